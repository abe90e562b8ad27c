//! What every place of artifacts must do, on real servers.

use std::sync::Arc;

use streampark_core::Result;
use streampark_core::build::BlobStore;

/// # Panics
/// Where it does not.
pub async fn keeps(blobs: Arc<dyn BlobStore>) -> Result<()> {
    assert_eq!(blobs.list("a").await?, Vec::<String>::new());
    assert!(!blobs.exists("a/x").await? && blobs.get("a/x").await?.is_none());
    blobs.delete("a/x").await?;

    // Of several that write one key at once all are content, and one content is there.
    let writers = (0..8).map(|_| blobs.put("a/x", b"one".to_vec()));
    for written in futures_util::future::join_all(writers).await {
        written?;
    }
    let folder = tempfile::tempdir()?;
    let (large, fetched) = (folder.path().join("large"), folder.path().join("fetched"));
    let content: Vec<u8> = (0..(11 << 20)).map(|index: u32| (index % 251) as u8).collect();
    std::fs::write(&large, &content)?;
    blobs.put_file("a/b/y", &large).await?;
    assert_eq!(blobs.list("a").await?, ["a/b/y", "a/x"]);
    assert_eq!(blobs.get("a/x").await?.as_deref(), Some(b"one".as_slice()));
    let mut to = tokio::fs::File::create(&fetched).await?;
    assert!(blobs.fetch("a/b/y", &mut to).await?);
    assert!(!blobs.fetch("a/b/z", &mut to).await?);
    to.sync_all().await?;
    assert!(std::fs::read(&fetched)? == content, "it comes back as it went");

    // What lies beside a key that goes stays.
    blobs.put("a/b/z", b"two".to_vec()).await?;
    blobs.delete("a/b/y").await?;
    assert_eq!(blobs.list("a").await?, ["a/b/z", "a/x"]);
    blobs.delete("a/b/z").await?;
    blobs.delete("a/x").await?;
    assert_eq!(blobs.list("a").await?, Vec::<String>::new());
    Ok(())
}
