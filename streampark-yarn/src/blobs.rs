//! Artifacts of projects on the cluster's file system.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use streampark_core::build::BlobStore;
use streampark_core::{Error, ErrorKind, Result};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OnceCell;

use crate::cluster::YarnCluster;
use crate::fs::{Content, FileSystem, location_of, path_of};

/// How much of a file is held in memory.
const CHUNK: u64 = 4 << 20;
/// Below the folder: what is being written, under names that nobody lists.
const DRAFTS: &str = ".drafts";
/// Nobody writes to one draft for so long: its writer was killed.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

impl YarnCluster {
    /// A folder of the cluster's file system that keeps artifacts, with this cluster's identity, for
    /// [`ArtifactStore::of_blobs`](streampark_core::build::ArtifactStore::of_blobs). `folder` is an absolute path, or one
    /// with the scheme (`hdfs://nn/artifacts`); it is made where it does not exist. No request is made.
    ///
    /// ```no_run
    /// use streampark_core::build::ArtifactStore;
    /// use streampark_core::platform::ProjectsOptions;
    /// use streampark_yarn::{YarnCluster, YarnOptions};
    ///
    /// # fn f() -> streampark_core::Result<()> {
    /// let yarn = YarnCluster::new(YarnOptions::from_hadoop_conf("/etc/hadoop/conf"))?;
    /// let artifacts = ArtifactStore::of_blobs(yarn.blobs("/streampark/artifacts"), "/var/cache/streampark");
    /// let options = ProjectsOptions::default().artifacts(artifacts);
    /// # Ok(())
    /// # }
    /// ```
    pub fn blobs(&self, folder: impl Into<String>) -> Arc<dyn BlobStore> {
        Arc::new(Blobs { cluster: self.clone(), folder: folder.into(), place: OnceCell::new() })
    }
}

#[derive(Debug)]
struct Blobs {
    cluster: YarnCluster,
    folder: String,
    place: OnceCell<Place>,
}

#[derive(Debug)]
struct Place {
    fs: Arc<dyn FileSystem>,
    folder: String,
}

impl Place {
    fn at(&self, key: &str) -> String {
        format!("{}/{key}", self.folder)
    }

    async fn make_parent(&self, path: &str) -> Result<()> {
        match path.rsplit_once('/') {
            Some((parent, _)) if !parent.is_empty() => self.fs.make_folder(parent, 0o755).await,
            _ => Ok(()),
        }
    }

    /// A draft whose writer was killed is nobody's.
    async fn sweep(&self) -> Result<()> {
        let folder = self.at(DRAFTS);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for draft in self.fs.list(&folder).await?.unwrap_or_default() {
            let since = Duration::from_millis(u64::try_from(draft.modified_ms).unwrap_or_default());
            if now.saturating_sub(since) > ABANDONED {
                self.fs.remove(&format!("{folder}/{}", draft.name)).await?;
            }
        }
        Ok(())
    }

    async fn put(&self, key: &str, content: Content) -> Result<()> {
        let (draft, target) = (self.at(&format!("{DRAFTS}/{}", uuid::Uuid::new_v4())), self.at(key));
        let put = async {
            self.fs.write(&draft, content, 0o644, None).await?;
            // The folder may go between these two, with the last file that somebody else removes.
            for _ in 0..3 {
                self.make_parent(&target).await?;
                match self.fs.rename(&draft, &target).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
                if self.fs.status(&target).await?.is_some() {
                    self.fs.remove(&draft).await?;
                    return Ok(());
                }
            }
            Err(Error::new(ErrorKind::Remote, "the file could not be given its place").with_context("path", &target))
        };
        let put: Result<()> = put.await;
        if put.is_err() {
            // Else swept after a day.
            let _swept = self.fs.remove(&draft).await;
        }
        put
    }
}

impl Blobs {
    async fn place(&self) -> Result<&Place> {
        let found = self.place.get_or_try_init(|| async {
            let fs = self.cluster.inner.yarn.files().await?;
            let folder = path_of(fs.as_ref(), &self.folder).ok_or_else(|| {
                let message = format!(
                    "the folder of artifacts '{}' is not on the cluster's file system, {}; give one that is",
                    self.folder,
                    fs.scheme()
                );
                Error::invalid(message)
            })?;
            let place = Place { fs, folder: folder.trim_end_matches('/').to_owned() };
            place.sweep().await?;
            Ok(place)
        });
        found.await.map_err(|error: Error| error.with_context("artifacts", &self.folder))
    }
}

#[async_trait]
impl BlobStore for Blobs {
    fn location(&self) -> String {
        match self.place.get() {
            Some(place) => location_of(place.fs.as_ref(), &place.folder),
            None => self.folder.clone(),
        }
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        let place = self.place().await?;
        Ok(place.fs.status(&place.at(key)).await?.is_some())
    }

    async fn put_file(&self, key: &str, file: &Path) -> Result<()> {
        self.place().await?.put(key, Content::File(file.to_owned())).await
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        self.place().await?.put(key, Content::Bytes(bytes.into())).await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let place = self.place().await?;
        let path = place.at(key);
        let Some(status) = place.fs.status(&path).await? else { return Ok(None) };
        match place.fs.read(&path, 0, status.size).await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn fetch(&self, key: &str, to: &mut tokio::fs::File) -> Result<bool> {
        let place = self.place().await?;
        let path = place.at(key);
        let Some(status) = place.fs.status(&path).await? else { return Ok(false) };
        let mut offset = 0;
        while offset < status.size {
            let piece = place.fs.read(&path, offset, CHUNK.min(status.size - offset)).await?;
            if piece.is_empty() {
                let message = format!("the file ends after {offset} of its {} bytes", status.size);
                return Err(Error::new(ErrorKind::UnexpectedResponse, message).with_context("path", &path));
            }
            to.write_all(&piece).await?;
            offset += piece.len() as u64;
        }
        Ok(true)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let place = self.place().await?;
        let mut keys = Vec::new();
        let mut todo = vec![prefix.to_owned()];
        while let Some(folder) = todo.pop() {
            for entry in place.fs.list(&place.at(&folder)).await?.unwrap_or_default() {
                let key = format!("{folder}/{}", entry.name);
                match entry.folder {
                    true => todo.push(key),
                    false => keys.push(key),
                }
            }
        }
        keys.sort();
        Ok(keys)
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let place = self.place().await?;
        let path = place.at(key);
        place.fs.remove(&path).await?;
        // The last file of a folder takes it along, so that listings do not grow with what is gone.
        if let Some((parent, _)) = path.rsplit_once('/') {
            place.fs.remove_empty(parent).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
