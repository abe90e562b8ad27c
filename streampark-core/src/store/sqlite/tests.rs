use super::*;
use crate::store::suite;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn it_does_what_every_store_does() {
    let folder = folder();
    let counter = std::sync::atomic::AtomicUsize::new(0);
    suite::run_all(|| async {
        let number = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        SqliteStore::open(folder.path().join(format!("{number}.db"))).await.unwrap()
    })
    .await;
}
