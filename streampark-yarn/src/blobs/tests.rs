use std::collections::BTreeSet;

use jiff::Timestamp;
use streampark_core::ErrorStatus;
use streampark_core::build::{Artifact, ArtifactFile, ArtifactFilter, ArtifactRetention, ArtifactStore};
use streampark_core::project::Revision;

use super::*;
use crate::auth::Simple;
use crate::config::YarnOptions;
use crate::fs::{FileStatus, Progress, SharedFolder};

fn cluster(fs: Arc<dyn FileSystem>) -> YarnCluster {
    let options = YarnOptions::new("http://127.0.0.1:9/");
    YarnCluster::with(options, Some(Arc::new(Simple::new("alice"))), Some(fs)).unwrap()
}

fn shared(root: &Path) -> Arc<dyn FileSystem> {
    Arc::new(SharedFolder::new(root, "hdfs://nn:8020", "alice"))
}

fn artifact(folder: &Path, content: &[u8], second: i64) -> Artifact {
    std::fs::write(folder.join("a.jar"), content).unwrap();
    let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(content));
    let jar = ArtifactFile::new("a.jar", sha256, content.len() as u64);
    Artifact::new("orders", "a", Revision::new("c1"), "maven", jar, Timestamp::from_second(second).unwrap())
}

#[tokio::test]
async fn artifacts_lie_on_the_file_system_for_every_machine() {
    let (root, cache, code) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let blobs = cluster(shared(root.path())).blobs("hdfs:///team/artifacts/");
    assert_eq!(blobs.location(), "hdfs:///team/artifacts/");
    let store = ArtifactStore::of_blobs(Arc::clone(&blobs), cache.path());
    assert!(store.list(&ArtifactFilter::default()).await.unwrap().is_empty(), "no folder is an empty one");
    let small = artifact(code.path(), b"one", 100);
    store.put(&small, code.path()).await.unwrap();
    store.put(&small, code.path()).await.unwrap();
    // Fetched in several pieces.
    let content: Vec<u8> = (0..(9 << 20)).map(|index: u32| (index % 251) as u8).collect();
    let large = artifact(code.path(), &content, 200);
    store.put(&large, code.path()).await.unwrap();
    assert_eq!(blobs.location(), "hdfs://nn:8020/team/artifacts");

    let elsewhere = tempfile::tempdir().unwrap();
    let other = ArtifactStore::of_blobs(cluster(shared(root.path())).blobs("/team/artifacts"), elsewhere.path());
    assert_eq!(other.list(&ArtifactFilter::default()).await.unwrap(), [large.clone(), small.clone()]);
    assert!(std::fs::read(other.jar(&large).await.unwrap()).unwrap() == content);
    let mut retention = ArtifactRetention::default();
    (retention.keep, retention.max_age) = (0, Duration::ZERO);
    let pruned = other.prune(&retention, &BTreeSet::from([small.id.clone()]), Timestamp::now()).await.unwrap();
    assert_eq!((pruned.artifacts, pruned.bytes), (vec![large.id.clone()], 9 << 20));
    assert_eq!(other.jar(&large).await.unwrap_err().kind(), ErrorKind::NotFound);
    let left: Vec<_> = std::fs::read_dir(root.path().join("team/artifacts/artifacts")).unwrap().collect();
    assert_eq!(left.len(), 1, "the folder of the last story is gone: {left:?}");
    assert_eq!(std::fs::read_dir(root.path().join("team/artifacts/.drafts")).unwrap().count(), 0);
}

/// A file system whose rename loses the race for its folder, or that breaks.
#[derive(Debug)]
struct Rude(Arc<dyn FileSystem>, &'static str, std::sync::atomic::AtomicU32);

#[async_trait]
impl FileSystem for Rude {
    fn scheme(&self) -> &str {
        self.0.scheme()
    }
    async fn home(&self) -> Result<String> {
        self.0.home().await
    }
    async fn make_folder(&self, path: &str, mode: u32) -> Result<()> {
        self.0.make_folder(path, mode).await
    }
    async fn write(&self, path: &str, content: Content, mode: u32, progress: Option<Progress>) -> Result<()> {
        self.0.write(path, content, mode, progress).await
    }
    async fn status(&self, path: &str) -> Result<Option<FileStatus>> {
        self.0.status(path).await
    }
    async fn list(&self, path: &str) -> Result<Option<Vec<FileStatus>>> {
        self.0.list(path).await
    }
    async fn read(&self, path: &str, offset: u64, length: u64) -> Result<bytes::Bytes> {
        match self.1 {
            "cut" => Ok(bytes::Bytes::new()),
            _ => self.0.read(path, offset, length).await,
        }
    }
    async fn remove(&self, path: &str) -> Result<bool> {
        self.0.remove(path).await
    }
    async fn rename(&self, from: &str, to: &str) -> Result<bool> {
        let before = self.2.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match self.1 {
            "race" if before == 0 => {
                self.0.remove(to.rsplit_once('/').unwrap().0).await?;
                Ok(false)
            }
            "broken" => Err(Error::new(ErrorKind::Unreachable, "gone").with_status(ErrorStatus::Temporary)),
            _ => self.0.rename(from, to).await,
        }
    }
    async fn set_mode(&self, path: &str, mode: u32) -> Result<()> {
        self.0.set_mode(path, mode).await
    }
}

fn rude(root: &Path, how: &'static str) -> Arc<dyn BlobStore> {
    cluster(Arc::new(Rude(shared(root), how, 0.into()))).blobs("/a")
}

#[tokio::test]
async fn a_key_is_there_whole_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    let error = rude(root.path(), "broken").put("x/y", b"1".to_vec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!(std::fs::read_dir(root.path().join("a/.drafts")).unwrap().count(), 0, "nothing half-made stays");
    let blobs = rude(root.path(), "race");
    assert!(!blobs.exists("x/y").await.unwrap());
    blobs.put("x/y", b"1".to_vec()).await.unwrap();
    assert_eq!(blobs.get("x/y").await.unwrap(), Some(b"1".to_vec()));
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut to = tokio::fs::File::from_std(file.reopen().unwrap());
    let error = rude(root.path(), "cut").fetch("x/y", &mut to).await.unwrap_err();
    assert_eq!(error.message(), "the file ends after 0 of its 1 bytes");
    assert!(!blobs.fetch("x/z", &mut to).await.unwrap());
}

#[tokio::test]
async fn drafts_of_the_dead_are_swept() {
    let root = tempfile::tempdir().unwrap();
    let drafts = root.path().join("a/.drafts");
    std::fs::create_dir_all(&drafts).unwrap();
    for name in ["old", "new"] {
        std::fs::write(drafts.join(name), name).unwrap();
    }
    let old = std::fs::File::open(drafts.join("old")).unwrap();
    old.set_modified(SystemTime::now() - Duration::from_secs(25 * 3600)).unwrap();
    cluster(shared(root.path())).blobs("/a").put("x/y", b"1".to_vec()).await.unwrap();
    assert!(!drafts.join("old").exists() && drafts.join("new").exists());
}

#[tokio::test]
async fn a_folder_of_another_file_system_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let error = cluster(shared(root.path())).blobs("s3a://bucket/a").exists("x").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::InvalidInput,
            "the folder of artifacts 's3a://bucket/a' is not on the cluster's file system, hdfs://nn:8020; give one that is"
        )
    );
}

#[tokio::test]
async fn a_dead_name_node_is_told_and_may_be_asked_again() {
    let options = YarnOptions::new("http://127.0.0.1:9/")
        .user("alice")
        .default_fs("hdfs://nn:8020")
        .web_hdfs(["http://127.0.0.1:1/"]);
    let blobs = YarnCluster::new(options).unwrap().blobs("/artifacts");
    let error = blobs.exists("x").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unreachable, ErrorStatus::Temporary), "{error}");
    assert!(error.to_string().contains("artifacts: /artifacts"), "it says whose: {error}");
}
