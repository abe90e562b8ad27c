//! A folder that this machine and every node see: a mounted HDFS, NFS, or one machine only.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use streampark_core::Result;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::{Content, FileStatus, FileSystem, Progress};

/// A file system that is mounted on this machine.
#[derive(Debug, Clone)]
pub struct SharedFolder {
    root: PathBuf,
    scheme: String,
    user: String,
}

impl SharedFolder {
    /// The paths of `scheme` (for example `file://`, or `hdfs://nn:8020` behind a gateway) lie below `root`.
    pub fn new(root: impl Into<PathBuf>, scheme: impl Into<String>, user: impl Into<String>) -> Self {
        let scheme: String = scheme.into();
        let scheme = if scheme.ends_with("://") { scheme } else { scheme.trim_end_matches('/').to_owned() };
        Self { root: root.into(), scheme, user: user.into() }
    }

    fn at(&self, path: &str) -> PathBuf {
        let parts = Path::new(path).components().filter(|part| matches!(part, std::path::Component::Normal(_)));
        parts.fold(self.root.clone(), |place, part| place.join(part))
    }
}

fn status(name: String, metadata: &std::fs::Metadata) -> FileStatus {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = modified.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    #[cfg(unix)]
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
    #[cfg(not(unix))]
    let mode = 0o755;
    FileStatus::new(name, metadata.is_dir(), metadata.len(), modified, mode)
}

fn absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

#[async_trait]
impl FileSystem for SharedFolder {
    fn scheme(&self) -> &str {
        &self.scheme
    }

    async fn home(&self) -> Result<String> {
        Ok(format!("/user/{}", self.user))
    }

    async fn make_folder(&self, path: &str, mode: u32) -> Result<()> {
        let place = self.at(path);
        if tokio::fs::try_exists(&place).await? {
            return Ok(());
        }
        tokio::fs::create_dir_all(&place).await?;
        self.set_mode(path, mode).await
    }

    async fn write(&self, path: &str, content: Content, mode: u32, progress: Option<Progress>) -> Result<()> {
        let place = self.at(path);
        if let Some(folder) = place.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        let mut file = tokio::fs::File::create(&place).await?;
        match content {
            Content::Bytes(bytes) => file.write_all(&bytes).await?,
            Content::File(from) => {
                let mut from = tokio::fs::File::open(from).await?;
                tokio::io::copy(&mut from, &mut file).await?;
            }
        }
        file.sync_all().await?;
        if let Some(progress) = progress {
            progress(file.metadata().await?.len());
        }
        self.set_mode(path, mode).await
    }

    async fn status(&self, path: &str) -> Result<Option<FileStatus>> {
        match tokio::fs::metadata(self.at(path)).await {
            Ok(metadata) => Ok(Some(status(String::new(), &metadata))),
            Err(error) if absent(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn list(&self, path: &str) -> Result<Option<Vec<FileStatus>>> {
        let mut entries = match tokio::fs::read_dir(self.at(path)).await {
            Ok(entries) => entries,
            Err(error) if absent(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            let metadata = tokio::fs::metadata(entry.path()).await?;
            all.push(status(entry.file_name().to_string_lossy().into_owned(), &metadata));
        }
        Ok(Some(all))
    }

    async fn read(&self, path: &str, offset: u64, length: u64) -> Result<Bytes> {
        let opened = tokio::fs::File::open(self.at(path)).await;
        let mut file = opened.map_err(|error| match absent(&error) {
            true => streampark_core::Error::not_found("the file is not there").with_context("path", path),
            false => error.into(),
        })?;
        file.seek(std::io::SeekFrom::Start(offset)).await?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes).await?;
        Ok(bytes.into())
    }

    async fn remove(&self, path: &str) -> Result<bool> {
        let place = self.at(path);
        let removed = match tokio::fs::metadata(&place).await {
            Ok(metadata) if metadata.is_dir() => tokio::fs::remove_dir_all(&place).await,
            Ok(_) => tokio::fs::remove_file(&place).await,
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) => Ok(true),
            Err(error) if absent(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn remove_empty(&self, path: &str) -> Result<bool> {
        match tokio::fs::remove_dir(self.at(path)).await {
            Ok(()) => Ok(true),
            Err(error) if absent(&error) || error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn rename(&self, from: &str, to: &str) -> Result<bool> {
        if tokio::fs::try_exists(self.at(to)).await? {
            return Ok(false);
        }
        tokio::fs::rename(self.at(from), self.at(to)).await?;
        Ok(true)
    }

    async fn set_mode(&self, path: &str, mode: u32) -> Result<()> {
        #[cfg(unix)]
        {
            let rights = std::os::unix::fs::PermissionsExt::from_mode(mode);
            tokio::fs::set_permissions(self.at(path), rights).await?;
        }
        #[cfg(not(unix))]
        let _ = (path, mode);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let fs = SharedFolder::new(folder.path(), "file://", "alice");
        fs.make_folder("/a/b", 0o700).await.unwrap();
        fs.write("/a/b/c", Content::Bytes("hello".into()), 0o644, None).await.unwrap();
        let status = fs.status("/a/b/c").await.unwrap().unwrap();
        assert_eq!((status.size, status.mode, status.folder), (5, 0o644, false));
        assert_eq!(fs.read("/a/b/c", 1, 3).await.unwrap(), "ell");
        assert_eq!(fs.list("/a/b").await.unwrap().unwrap()[0].name, "c");
        assert!(!fs.remove_empty("/a").await.unwrap());
        assert!(fs.rename("/a/b", "/a/d").await.unwrap() && fs.list("/a/b").await.unwrap().is_none());
        fs.make_folder("/a/e", 0o755).await.unwrap();
        assert!(fs.remove_empty("/a/e").await.unwrap() && !fs.remove_empty("/a/e").await.unwrap());
        assert!(fs.remove("/a").await.unwrap() && !fs.remove("/a").await.unwrap());
        assert_eq!(fs.status("/../../etc/passwd").await.unwrap(), None, "never leaves the root");
    }
}
