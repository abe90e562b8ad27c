//! The files of submissions in a real server that speaks S3.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use streampark_core::{ErrorKind, Secret};
use streampark_tests::s3::S3Server;
use streampark_yarn::{Bucket, Content, FileSystem, Progress, YarnCluster, YarnOptions};

fn bucket_options(server: &S3Server) -> BTreeMap<String, Secret> {
    [
        ("endpoint", server.endpoint.as_str()),
        ("region", "us-east-1"),
        ("access_key_id", "us"),
        ("secret_access_key", "canary"),
        ("allow_http", "true"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), Secret::new(value)))
    .collect()
}

#[tokio::test]
async fn a_bucket_keeps_what_submissions_write() {
    let server = S3Server::start("flink").await;
    let fs = Bucket::s3("s3a://flink", &bucket_options(&server), "alice").unwrap();
    assert_eq!(fs.scheme(), "s3a://flink");
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("flink-dist.jar");
    std::fs::write(&large, vec![7_u8; 20 << 20]).unwrap();
    let told: Arc<Mutex<Vec<u64>>> = Arc::default();
    let heard = Arc::clone(&told);
    let progress: Progress = Arc::new(move |sent| heard.lock().unwrap().push(sent));
    assert_eq!(fs.status("/user/alice/dist").await.unwrap(), None);
    fs.write("/user/alice/dist/lib/flink-dist.jar", Content::File(large), 0o644, Some(progress)).await.unwrap();
    fs.write("/user/alice/dist/config.yaml", Content::Bytes("a: b".into()), 0o644, None).await.unwrap();
    let told = told.lock().unwrap().clone();
    assert!(told.len() > 10 && told.is_sorted() && told.last() == Some(&(20 << 20)), "{told:?}");

    let listed = fs.list("/user/alice/dist/lib").await.unwrap().unwrap();
    let status = fs.status("/user/alice/dist/lib/flink-dist.jar").await.unwrap().unwrap();
    // A node compares the time that it sees with the one that was submitted.
    assert_eq!((listed[0].size, listed[0].modified_ms), (status.size, status.modified_ms));
    assert_eq!((status.size, status.modified_ms % 1000), (20 << 20, 0));
    assert!(fs.rename("/user/alice/dist", "/user/alice/kept").await.unwrap());
    assert_eq!(fs.read("/user/alice/kept/config.yaml", 1, 100).await.unwrap(), ": b");
    assert!(fs.remove("/user/alice/kept").await.unwrap() && !fs.remove("/user/alice/kept").await.unwrap());
    assert_eq!(fs.list("/user/alice").await.unwrap(), None);

    let error = Bucket::s3("s3a://none", &bucket_options(&server), "alice")
        .unwrap()
        .write("/a", Content::Bytes("x".into()), 0, None)
        .await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::NotFound, "the bucket or the object is not there; check the address")
    );
}

/// A cluster takes the bucket by its options, which show no secret.
#[tokio::test]
async fn a_cluster_stages_in_a_bucket() {
    let server = S3Server::start("flink").await;
    let mut options = YarnOptions::new("http://127.0.0.1:9/").user("alice").default_fs("s3a://flink");
    options.object_store = bucket_options(&server);
    assert!(!format!("{options:?}").contains("canary"));
    options.connect_timeout = Duration::from_millis(300);
    options.failover_patience = Duration::from_millis(300);
    let told = YarnCluster::new(options).unwrap().diagnose().await.to_string();
    assert!(told.contains("nobody listens at 127.0.0.1:9"), "{told}");
    assert!(!told.contains("is no HDFS"), "{told}");
}
