use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::project::Revision;

async fn artifact(folder: &Path, content: &str, commit: &str, second: i64) -> Artifact {
    std::fs::write(folder.join("a.jar"), content).unwrap();
    let jar = describe("a.jar", &folder.join("a.jar")).await.unwrap();
    let at = Timestamp::from_second(second).unwrap();
    Artifact::new("orders", "jobs/a", Revision::new(commit), "maven", jar, at)
}

async fn keeps_and_gives_back(store: &ArtifactStore) {
    let folder = tempfile::tempdir().unwrap();
    let one = artifact(folder.path(), "one", "c1", 100).await;
    store.put(&one, folder.path()).await.unwrap();
    let same = artifact(folder.path(), "one", "c2", 200).await;
    store.put(&same, folder.path()).await.unwrap();
    let large = "x".repeat(20 << 20);
    let other = artifact(folder.path(), &large, "c3", 300).await;
    store.put(&other, folder.path()).await.unwrap();
    assert_eq!(store.get(&one.id[..8]).await.unwrap(), same, "the newest build of a content is shown");
    assert_eq!(std::fs::read(store.jar(&other).await.unwrap()).unwrap(), large.as_bytes());
    let listed = store.list(&ArtifactFilter::project("orders")).await.unwrap();
    assert_eq!(listed, [other.clone(), same.clone(), one.clone()]);
    let filter = ArtifactFilter { revision: Some("c1".into()), ..ArtifactFilter::default() };
    assert_eq!(store.list(&filter).await.unwrap(), std::slice::from_ref(&one));
    assert!(store.list(&ArtifactFilter::project("nobody")).await.unwrap().is_empty());

    // What one story still needs stays, although another story of it goes.
    let retention = ArtifactRetention { keep: 2, max_age: Duration::from_secs(10) };
    let now = Timestamp::from_second(10_000).unwrap();
    let pruned = store.prune(&retention, &BTreeSet::new(), now).await.unwrap();
    assert_eq!((pruned.artifacts, pruned.bytes), (vec![one.id.clone()], 0));
    assert_eq!(std::fs::read(store.jar(&same).await.unwrap()).unwrap(), b"one");
    let retention = ArtifactRetention { keep: 0, max_age: Duration::from_secs(10) };
    let in_use = BTreeSet::from([same.id.clone()]);
    let pruned = store.prune(&retention, &in_use, now).await.unwrap();
    assert_eq!((pruned.artifacts, pruned.bytes), (vec![other.id.clone()], 20 << 20));
    let error = store.jar(&other).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "artifacts.file: the file 'a.jar' of the artifact is not kept any more; build it again"
    );
    let too_young = Timestamp::from_second(205).unwrap();
    assert_eq!(store.prune(&retention, &BTreeSet::new(), too_young).await.unwrap(), Pruned::default());
    assert_eq!(store.list(&ArtifactFilter::default()).await.unwrap(), [same]);
}

#[tokio::test]
async fn a_folder_keeps_artifacts() {
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::local(folder.path().join("artifacts")).unwrap();
    keeps_and_gives_back(&store).await;
    let error = store.get("../../etc").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "artifacts.get: '../../etc' names no artifact: give its SHA-256 in lower-case hexadecimal digits, or 8 or more of them"
    );
    assert_eq!(store.get("00000000").await.unwrap_err().to_string(), "artifacts.get: there is no artifact 00000000");
}

#[cfg(feature = "objects")]
#[tokio::test]
async fn an_object_store_keeps_artifacts() {
    let cache = tempfile::tempdir().unwrap();
    let objects: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    keeps_and_gives_back(&ArtifactStore::objects(Arc::clone(&objects), "/team/artifacts/", cache.path())).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let store = ArtifactStore::objects(objects, "team/artifacts", elsewhere.path());
    let found = store.list(&ArtifactFilter::default()).await.unwrap();
    assert_eq!(std::fs::read(store.jar(&found[0]).await.unwrap()).unwrap(), b"one", "another machine sees the same");
    std::fs::write(store.jar(&found[0]).await.unwrap(), "on").unwrap();
    assert_eq!(std::fs::read(store.jar(&found[0]).await.unwrap()).unwrap(), b"one", "a damaged copy is fetched again");
}

#[tokio::test]
async fn a_file_that_changed_or_was_cut_is_not_given_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::local(folder.path().join("artifacts")).unwrap();
    let one = artifact(folder.path(), "one", "c1", 100).await;
    std::fs::write(folder.path().join("a.jar"), "other").unwrap();
    let error = store.put(&one, folder.path()).await.unwrap_err();
    assert_eq!(error.message(), "the file 'a.jar' changed while it was kept");
    std::fs::write(folder.path().join("a.jar"), "one").unwrap();
    store.put(&one, folder.path()).await.unwrap();
    std::fs::write(store.jar(&one).await.unwrap(), "on").unwrap();
    let error = store.jar(&one).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Storage, "the file 'a.jar' of the artifact has 2 bytes instead of 3; build it again")
    );
}
