//! Artifacts in an object store.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::blobs::BlobStore;
use crate::{Error, ErrorKind, Result};

/// How much of a file is sent at once.
const CHUNK: usize = 8 << 20;

/// An object store.
#[derive(Debug)]
pub(super) struct Objects {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: String,
}

impl Objects {
    fn key(&self, key: &str) -> Key {
        match self.prefix.is_empty() {
            true => Key::from(key),
            false => Key::from(format!("{}/{key}", self.prefix)),
        }
    }
}

#[async_trait]
impl BlobStore for Objects {
    fn location(&self) -> String {
        format!("{} /{}", self.store, self.prefix)
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        Ok(found(self.store.head(&self.key(key)).await, key)?.is_some())
    }

    async fn put_file(&self, key: &str, file: &Path) -> Result<()> {
        let mut from = tokio::fs::File::open(file).await?;
        let failed = |source| failed(source, key);
        if from.metadata().await?.len() <= CHUNK as u64 {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).await?;
            return self.put(key, bytes).await;
        }
        let upload = self.store.put_multipart(&self.key(key)).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, CHUNK);
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = match from.read(&mut buffer).await {
                Ok(0) => break,
                Ok(read) => read,
                Err(source) => {
                    // The parts that came would be paid for and serve nobody.
                    let _aborted = upload.abort().await;
                    return Err(source.into());
                }
            };
            upload.wait_for_capacity(2).await.map_err(failed)?;
            upload.write(buffer.get(..read).unwrap_or_default());
        }
        upload.finish().await.map_err(failed)?;
        Ok(())
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        let sent = self.store.put(&self.key(key), PutPayload::from(bytes)).await;
        sent.map(drop).map_err(|source| failed(source, key))
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let Some(object) = found(self.store.get(&self.key(key)).await, key)? else { return Ok(None) };
        let bytes = object.bytes().await.map_err(|source| failed(source, key))?;
        Ok(Some(bytes.to_vec()))
    }

    async fn fetch(&self, key: &str, to: &mut tokio::fs::File) -> Result<bool> {
        let Some(object) = found(self.store.get(&self.key(key)).await, key)? else { return Ok(false) };
        let mut chunks = object.into_stream();
        while let Some(chunk) = chunks.next().await {
            to.write_all(&chunk.map_err(|source| failed(source, key))?).await?;
        }
        Ok(true)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let below = self.key(prefix);
        let own = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        let all: Vec<_> = self.store.list(Some(&below)).try_collect().await.map_err(|source| failed(source, prefix))?;
        let mut keys: Vec<String> =
            all.iter().filter_map(|object| object.location.as_ref().get(own..).map(str::to_owned)).collect();
        keys.sort();
        Ok(keys)
    }

    async fn delete(&self, key: &str) -> Result<()> {
        found(self.store.delete(&self.key(key)).await, key).map(drop)
    }
}

fn found<T>(result: object_store::Result<T>, key: &str) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(failed(source, key)),
    }
}

fn failed(source: object_store::Error, key: &str) -> Error {
    let (kind, message) = match &source {
        object_store::Error::PermissionDenied { .. } => {
            (ErrorKind::PermissionDenied, "the object store refuses us; check the rights of its credentials")
        }
        object_store::Error::Unauthenticated { .. } => {
            (ErrorKind::Unauthenticated, "the object store does not know us; check its credentials")
        }
        _ => (ErrorKind::Remote, "the object store failed"),
    };
    Error::new(kind, message).with_context("object", key).with_source(source)
}
