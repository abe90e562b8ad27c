use std::sync::Mutex;

use object_store::memory::InMemory;

use super::*;

/// Everything that a submission and the distribution cache do with a file system.
async fn keeps_files(fs: &Bucket) {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("flink-dist.jar");
    std::fs::write(&large, vec![7_u8; 20 << 20]).unwrap();
    let told: Arc<Mutex<Vec<u64>>> = Arc::default();
    let heard = Arc::clone(&told);
    let progress: Progress = Arc::new(move |sent| heard.lock().unwrap().push(sent));

    assert_eq!(fs.status("/user/alice/dist").await.unwrap(), None);
    assert_eq!(fs.list("/user/alice/dist").await.unwrap(), None);
    fs.make_folder("/user/alice/dist", 0o755).await.unwrap();
    fs.write("/user/alice/dist/lib/flink-dist.jar", Content::File(large), 0o644, Some(progress)).await.unwrap();
    fs.write("/user/alice/dist/config.yaml", Content::Bytes("a: b".into()), 0o644, None).await.unwrap();
    {
        let told = told.lock().unwrap();
        assert!(told.len() > 10 && told.is_sorted(), "{told:?}");
        assert_eq!(told.last(), Some(&(20 << 20)));
    }
    let status = fs.status("/user/alice/dist/lib/flink-dist.jar").await.unwrap().unwrap();
    assert_eq!((status.folder, status.size, status.modified_ms % 1000), (false, 20 << 20, 0));
    assert!(status.modified_ms > 0);
    assert!(fs.status("/user/alice/dist").await.unwrap().unwrap().folder);
    let mut names: Vec<(String, bool)> =
        fs.list("/user/alice/dist").await.unwrap().unwrap().into_iter().map(|file| (file.name, file.folder)).collect();
    names.sort();
    assert_eq!(names, [("config.yaml".to_owned(), false), ("lib".to_owned(), true)]);
    assert_eq!(fs.read("/user/alice/dist/config.yaml", 1, 100).await.unwrap(), ": b");
    assert_eq!(fs.read("/user/alice/dist/config.yaml", 9, 100).await.unwrap(), "");
    let error = fs.read("/user/alice/none", 0, 1).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "the file is not there"));

    assert!(fs.rename("/user/alice/dist", "/user/alice/kept").await.unwrap());
    assert!(!fs.rename("/user/alice/kept/lib", "/user/alice/kept/config.yaml").await.unwrap());
    assert_eq!(fs.status("/user/alice/dist").await.unwrap(), None);
    assert_eq!(fs.status("/user/alice/kept/lib/flink-dist.jar").await.unwrap().unwrap().size, 20 << 20);
    assert!(fs.remove("/user/alice/kept").await.unwrap());
    assert!(!fs.remove("/user/alice/kept").await.unwrap());
    let error = fs.write("/a", Content::File("/nowhere".into()), 0o644, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(fs.status("/a").await.unwrap(), None, "nothing half-made");
}

#[tokio::test]
async fn a_store_in_memory_keeps_files() {
    let fs = Bucket::new(Arc::new(InMemory::new()), "oss://flink/", "alice");
    assert_eq!((fs.scheme(), fs.home().await.unwrap().as_str()), ("oss://flink", "/user/alice"));
    keeps_files(&fs).await;
}

#[cfg(feature = "s3")]
#[test]
fn options_are_known_by_name() {
    let options = std::collections::BTreeMap::from([("colour".to_owned(), "red".into())]);
    let error = Bucket::s3("s3a://flink", &options, "alice").unwrap_err();
    assert!(error.message().starts_with("'colour' is no option of an object store; region, endpoint,"), "{error}");
    let error = Bucket::s3("s3a://", &std::collections::BTreeMap::new(), "alice").unwrap_err();
    assert_eq!(error.message(), "'s3a://' names no bucket; give s3a://BUCKET");
}
