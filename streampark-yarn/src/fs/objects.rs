//! An object store as the cluster's file system: S3 and what speaks like it, or any other of the crate `object_store`.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, PutPayload, WriteMultipart};
use streampark_core::{Error, ErrorKind, Result};
use tokio::io::AsyncReadExt as _;

use super::{Content, FileStatus, FileSystem, Progress};

/// How much of a file is sent at once: S3 takes parts of 5 MiB and more.
const PART: usize = 8 << 20;

/// A bucket of an object store, as the nodes of the cluster read it (`s3a://bucket`, `oss://bucket`).
///
/// A store has no folders, no owners and no rights: making folders does nothing, everything has the rights that Hadoop's
/// `S3AFileStatus` tells (777 and 666), and who may read is decided by the bucket. A rename copies and deletes, object by
/// object. Times are whole seconds, as HTTP's `Last-Modified` is: nodes compare them with what they see.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    scheme: String,
    user: String,
}

impl Bucket {
    /// The paths of `scheme`, for example `s3a://flink`, lie in `store`.
    pub fn new(store: Arc<dyn ObjectStore>, scheme: impl Into<String>, user: impl Into<String>) -> Self {
        let scheme: String = scheme.into();
        Self { store, scheme: scheme.trim_end_matches('/').to_owned(), user: user.into() }
    }

    /// Everything below a path, in order.
    async fn below(&self, path: &str) -> Result<Vec<ObjectMeta>> {
        let listed = self.store.list(Some(&Key::from(path))).try_collect().await;
        listed.map_err(|source| failed(source, path))
    }

    async fn send_file(&self, path: &str, file: &std::path::Path, progress: Option<Progress>) -> Result<()> {
        let mut from = tokio::fs::File::open(file)
            .await
            .map_err(|source| Error::from(source).with_context("file", file.display()))?;
        let upload = self.store.put_multipart(&Key::from(path)).await.map_err(|source| failed(source, path))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        let mut buffer = vec![0; 256 << 10];
        let mut sent = 0;
        let sending = async {
            loop {
                let read = from.read(&mut buffer).await?;
                if read == 0 {
                    return Ok(());
                }
                upload.wait_for_capacity(2).await.map_err(|source| failed(source, path))?;
                upload.write(buffer.get(..read).unwrap_or_default());
                sent += read as u64;
                if let Some(progress) = &progress {
                    progress(sent);
                }
            }
        };
        let sent: Result<()> = sending.await;
        match sent {
            Ok(()) => upload.finish().await.map(drop).map_err(|source| failed(source, path)),
            Err(error) => {
                // Parts without an object would be paid for and serve nobody.
                let _gone = upload.abort().await;
                Err(error)
            }
        }
    }
}

fn file(name: &str, object: &ObjectMeta) -> FileStatus {
    FileStatus::new(name, false, object.size, object.last_modified.timestamp() * 1000, 0o666)
}

fn folder(name: &str) -> FileStatus {
    FileStatus::new(name, true, 0, 0, 0o777)
}

#[async_trait]
impl FileSystem for Bucket {
    fn scheme(&self) -> &str {
        &self.scheme
    }

    async fn home(&self) -> Result<String> {
        Ok(format!("/user/{}", self.user))
    }

    async fn make_folder(&self, _path: &str, _mode: u32) -> Result<()> {
        Ok(())
    }

    async fn write(&self, path: &str, content: Content, _mode: u32, progress: Option<Progress>) -> Result<()> {
        match content {
            Content::File(file) => self.send_file(path, &file, progress).await,
            Content::Bytes(bytes) => {
                let length = bytes.len() as u64;
                let sent = self.store.put(&Key::from(path), PutPayload::from_bytes(bytes)).await;
                sent.map_err(|source| failed(source, path))?;
                if let Some(progress) = progress {
                    progress(length);
                }
                Ok(())
            }
        }
    }

    async fn status(&self, path: &str) -> Result<Option<FileStatus>> {
        match self.store.head(&Key::from(path)).await {
            Ok(object) => Ok(Some(file("", &object))),
            Err(object_store::Error::NotFound { .. }) => {
                let mut listed = self.store.list(Some(&Key::from(path)));
                let first = listed.next().await.transpose().map_err(|source| failed(source, path))?;
                Ok(first.map(|_| folder("")))
            }
            Err(source) => Err(failed(source, path)),
        }
    }

    async fn list(&self, path: &str) -> Result<Option<Vec<FileStatus>>> {
        let key = Key::from(path);
        let listed = self.store.list_with_delimiter(Some(&key)).await.map_err(|source| failed(source, path))?;
        let folders = listed.common_prefixes.iter().filter_map(|prefix| prefix.filename()).map(folder);
        let files = listed.objects.iter().filter_map(|object| Some(file(object.location.filename()?, object)));
        let all: Vec<FileStatus> = folders.chain(files).collect();
        Ok((!all.is_empty()).then_some(all))
    }

    async fn read(&self, path: &str, offset: u64, length: u64) -> Result<Bytes> {
        let key = Key::from(path);
        let object = match self.store.head(&key).await {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => {
                return Err(Error::not_found("the file is not there").with_context("path", path));
            }
            Err(source) => return Err(failed(source, path)),
        };
        let end = offset.saturating_add(length).min(object.size);
        if offset >= end {
            return Ok(Bytes::new());
        }
        self.store.get_range(&key, offset..end).await.map_err(|source| failed(source, path))
    }

    async fn remove(&self, path: &str) -> Result<bool> {
        let mut keys: Vec<Key> = self.below(path).await?.into_iter().map(|object| object.location).collect();
        if self.store.head(&Key::from(path)).await.is_ok() {
            keys.push(Key::from(path));
        }
        let any = !keys.is_empty();
        let deleted = self.store.delete_stream(futures_util::stream::iter(keys.into_iter().map(Ok)).boxed());
        let results: Vec<object_store::Result<Key>> = deleted.collect().await;
        for result in results {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => return Err(failed(source, path)),
            }
        }
        Ok(any)
    }

    async fn rename(&self, from: &str, to: &str) -> Result<bool> {
        if self.status(to).await?.is_some() {
            return Ok(false);
        }
        let (old, new) = (Key::from(from), Key::from(to));
        if self.store.head(&old).await.is_ok() {
            self.store.copy(&old, &new).await.map_err(|source| failed(source, from))?;
        }
        for object in self.below(from).await? {
            let rest: Vec<_> = object.location.prefix_match(&old).into_iter().flatten().collect();
            let target = rest.into_iter().fold(new.clone(), |target, part| target.join(part));
            self.store.copy(&object.location, &target).await.map_err(|source| failed(source, from))?;
        }
        self.remove(from).await?;
        Ok(true)
    }

    async fn set_mode(&self, _path: &str, _mode: u32) -> Result<()> {
        Ok(())
    }
}

fn failed(source: object_store::Error, path: &str) -> Error {
    let (kind, message) = match &source {
        object_store::Error::PermissionDenied { .. } => {
            (ErrorKind::PermissionDenied, "the object store refuses us; check the rights of its credentials")
        }
        object_store::Error::Unauthenticated { .. } => {
            (ErrorKind::Unauthenticated, "the object store does not know us; check its credentials")
        }
        object_store::Error::NotFound { .. } => {
            (ErrorKind::NotFound, "the bucket or the object is not there; check the address")
        }
        _ => (ErrorKind::Unreachable, "the object store does not answer as it should"),
    };
    Error::new(kind, message).with_operation("yarn.object_store").with_context("path", path).with_source(source)
}

#[cfg(feature = "s3")]
mod s3 {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
    use streampark_core::{Error, Result, Secret};

    use super::Bucket;

    impl Bucket {
        /// The bucket at `address` (`s3a://BUCKET`), of S3 or what speaks like it, as OSS, OBS and MinIO do.
        ///
        /// Options have the names of `object_store`'s [`AmazonS3ConfigKey`], such as `region`, `endpoint`,
        /// `access_key_id`, `secret_access_key`, `allow_http`; a value `env:NAME` or `file:/path` names where it is read
        /// now. What is not given comes from the variables that AWS' own tools read.
        ///
        /// # Errors
        /// [`ErrorKind::InvalidInput`](streampark_core::ErrorKind::InvalidInput) naming the option.
        pub fn s3(address: &str, options: &BTreeMap<String, Secret>, user: impl Into<String>) -> Result<Self> {
            let named = |error: Error| error.with_operation("yarn.object_store");
            let bucket = address.split_once("://").map_or(address, |(_, rest)| rest);
            let bucket = bucket.split('/').next().unwrap_or_default();
            if bucket.is_empty() {
                let message = format!("'{address}' names no bucket; give s3a://BUCKET");
                return Err(named(Error::invalid(message)));
            }
            let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
            for (name, value) in options {
                let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().map_err(|_| {
                    named(Error::invalid(format!(
                        "'{name}' is no option of an object store; region, endpoint, access_key_id, secret_access_key, \
                         session_token, virtual_hosted_style_request, allow_http, timeout and others of the crate \
                         object_store are"
                    )))
                })?;
                let value = value.resolve().map_err(|error| named(error.with_context("option", name)))?;
                builder = builder.with_config(key, value.expose());
            }
            let store = builder.build().map_err(|source| {
                named(Error::invalid("the object store cannot be opened with these options").with_source(source))
            })?;
            Ok(Self::new(Arc::new(store), format!("s3a://{bucket}"), user))
        }
    }
}

#[cfg(test)]
mod tests;
