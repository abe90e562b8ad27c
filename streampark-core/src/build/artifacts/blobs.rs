//! Where the bytes of artifacts are.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::build::outputs::blocking;
use crate::{Error, Result};

/// Bytes under keys, in a place that several machines may reach; [`ArtifactStore::of_blobs`](super::ArtifactStore::of_blobs)
/// keeps artifacts there.
///
/// A key is a path of letters, digits, `-`, `.` and `/`, such as `blobs/ab/ab12…`. It is written once and never changed,
/// and whoever reads or lists sees it whole or not at all, also where the writer was killed.
#[async_trait]
pub trait BlobStore: fmt::Debug + Send + Sync + 'static {
    /// Where it is, for people.
    fn location(&self) -> String;

    /// The file of this machine that holds `key`, for a place that is one: it is used as it is, and never changed.
    /// Default: None, files are fetched.
    fn local_path(&self, key: &str) -> Option<PathBuf> {
        let _ = key;
        None
    }

    /// Whether there is such a key.
    ///
    /// # Errors
    /// Those of the place; this holds for every call.
    async fn exists(&self, key: &str) -> Result<bool>;

    /// Keeps what a file holds, piece by piece; a key that is there already may stay as it is.
    ///
    /// # Errors
    /// Those of the file and of the place; nothing of it is seen then.
    async fn put_file(&self, key: &str, file: &Path) -> Result<()>;

    /// Keeps a few bytes; likewise.
    ///
    /// # Errors
    /// Those of the place.
    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<()>;

    /// All bytes of a key that was written by [`put`](Self::put); None where there is no such key.
    ///
    /// # Errors
    /// Those of the place.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Writes the bytes of `key` into a file, piece by piece; false where there is no such key.
    ///
    /// # Errors
    /// Those of the file and of the place.
    async fn fetch(&self, key: &str, to: &mut tokio::fs::File) -> Result<bool>;

    /// All keys below the folder `prefix`, sorted.
    ///
    /// # Errors
    /// Those of the place.
    async fn list(&self, prefix: &str) -> Result<Vec<String>>;

    /// Removes a key; one that is not there is no error.
    ///
    /// # Errors
    /// Those of the place.
    async fn delete(&self, key: &str) -> Result<()>;
}

/// A folder.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

#[async_trait]
impl BlobStore for Folder {
    fn location(&self) -> String {
        self.0.display().to_string()
    }

    fn local_path(&self, key: &str) -> Option<PathBuf> {
        Some(self.0.join(key))
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        Ok(tokio::fs::try_exists(self.0.join(key)).await?)
    }

    async fn put_file(&self, key: &str, file: &Path) -> Result<()> {
        let (target, file) = (self.0.join(key), file.to_owned());
        blocking(move || {
            place(&target, |to| {
                std::io::copy(&mut File::open(&file)?, to)?;
                Ok(())
            })
        })
        .await
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        let target = self.0.join(key);
        blocking(move || place(&target, |to| to.write_all(&bytes))).await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        found(tokio::fs::read(self.0.join(key)).await)
    }

    async fn fetch(&self, key: &str, to: &mut tokio::fs::File) -> Result<bool> {
        let Some(mut file) = found(tokio::fs::File::open(self.0.join(key)).await)? else { return Ok(false) };
        tokio::io::copy(&mut file, to).await?;
        Ok(true)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let (root, prefix) = (self.0.clone(), prefix.to_owned());
        blocking(move || {
            let mut keys = Vec::new();
            let mut todo = vec![prefix];
            while let Some(folder) = todo.pop() {
                let Some(entries) = found(fs::read_dir(root.join(&folder)))? else { continue };
                for entry in entries {
                    let entry = entry?;
                    let key = format!("{folder}/{}", entry.file_name().to_string_lossy());
                    match entry.file_type()?.is_dir() {
                        true => todo.push(key),
                        false => keys.push(key),
                    }
                }
            }
            keys.sort();
            Ok(keys)
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let path = self.0.join(key);
        found(tokio::fs::remove_file(&path).await)?;
        // The last file of a folder takes it along; one that holds others stays.
        let _kept = match path.parent() {
            Some(folder) => tokio::fs::remove_dir(folder).await,
            None => Ok(()),
        };
        Ok(())
    }
}

/// Writes beside the place, then moves it there: a reader sees it whole or not at all.
pub(super) fn place(target: &Path, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    let named = |source: std::io::Error| Error::from(source).with_context("path", target.display());
    fs::create_dir_all(folder).map_err(named)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(named)?;
    write(file.as_file_mut()).map_err(named)?;
    file.as_file().sync_all().map_err(named)?;
    file.persist(target).map_err(|error| named(error.error))?;
    Ok(())
}

fn found<T>(result: std::io::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(source.into()),
    }
}
