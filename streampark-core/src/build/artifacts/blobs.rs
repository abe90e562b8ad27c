//! Where the bytes of artifacts are: a folder, or an object store.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::build::outputs::blocking;
use crate::{Error, Result};

/// Bytes under keys of plain letters, digits, `-`, `.` and `/`. A key is written once and whole.
#[async_trait]
pub(super) trait Blobs: fmt::Debug + Send + Sync + 'static {
    /// Where it is, for people.
    fn location(&self) -> String;
    async fn exists(&self, key: &str) -> Result<bool>;
    async fn put_file(&self, key: &str, file: &Path) -> Result<()>;
    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<()>;
    /// None where there is no such key.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;
    /// A file of this machine with the content; it is not to be changed.
    async fn file(&self, key: &str) -> Result<Option<PathBuf>>;
    /// All keys below a prefix.
    async fn list(&self, prefix: &str) -> Result<Vec<String>>;
    async fn delete(&self, key: &str) -> Result<()>;
}

/// A folder.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

#[async_trait]
impl Blobs for Folder {
    fn location(&self) -> String {
        self.0.display().to_string()
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

    async fn file(&self, key: &str) -> Result<Option<PathBuf>> {
        let path = self.0.join(key);
        Ok(tokio::fs::try_exists(&path).await?.then_some(path))
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
