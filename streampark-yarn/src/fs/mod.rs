//! The cluster's file system: one trait, over WebHDFS, HttpFS or a shared folder.

mod local;
#[cfg(feature = "objects")]
mod objects;
mod webhdfs;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use streampark_core::{Error, Result, Secret};

pub use local::SharedFolder;
#[cfg(feature = "objects")]
pub use objects::Bucket;
pub(crate) use webhdfs::{WebHdfs, WebHdfsOptions};

/// A file or folder, as the file system tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileStatus {
    /// The last part of its path; empty where the path itself was asked for.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Bytes.
    pub size: u64,
    /// Modification time in milliseconds since 1970.
    pub modified_ms: i64,
    /// The rights in octal notation, for example `0o644`.
    pub mode: u32,
}

impl FileStatus {
    /// A file or folder of this name.
    pub fn new(name: impl Into<String>, folder: bool, size: u64, modified_ms: i64, mode: u32) -> Self {
        Self { name: name.into(), folder, size, modified_ms, mode }
    }
}

/// Told how many bytes of a file were sent.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// What is written.
#[derive(Clone)]
#[non_exhaustive]
pub enum Content {
    /// Bytes in memory: small things.
    Bytes(Bytes),
    /// A file of this machine, sent piece by piece.
    File(PathBuf),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// The file system on which YARN's containers find their files. Paths are absolute, without scheme.
#[async_trait]
pub trait FileSystem: fmt::Debug + Send + Sync + 'static {
    /// What stands before a path in the cluster's own spelling, without a slash at the end:
    /// `hdfs://nn:8020`, `file://`.
    fn scheme(&self) -> &str;

    /// The home folder of the user.
    ///
    /// # Errors
    /// Where the file system does not answer or refuses; this holds for every call.
    async fn home(&self) -> Result<String>;

    /// Makes a folder and those above it; one that is there is no error.
    ///
    /// # Errors
    /// Those of the file system.
    async fn make_folder(&self, path: &str, mode: u32) -> Result<()>;

    /// Writes a file, over one that is there.
    ///
    /// # Errors
    /// Those of the file system.
    async fn write(&self, path: &str, content: Content, mode: u32, progress: Option<Progress>) -> Result<()>;

    /// The status of a file or folder; None where it is not there.
    ///
    /// # Errors
    /// Those of the file system.
    async fn status(&self, path: &str) -> Result<Option<FileStatus>>;

    /// What a folder holds, one level deep; None where it is not there.
    ///
    /// # Errors
    /// Those of the file system.
    async fn list(&self, path: &str) -> Result<Option<Vec<FileStatus>>>;

    /// At most `length` bytes of a file, beginning at `offset`.
    ///
    /// # Errors
    /// [`NotFound`](streampark_core::ErrorKind::NotFound) where it is not there; those of the file system.
    async fn read(&self, path: &str, offset: u64, length: u64) -> Result<Bytes>;

    /// Removes a file, or a folder with everything in it; false where there was none.
    ///
    /// # Errors
    /// Those of the file system.
    async fn remove(&self, path: &str) -> Result<bool>;

    /// Removes a folder that is empty, in one step; false where it holds something or is not there. Default: false,
    /// nothing is done.
    ///
    /// # Errors
    /// Those of the file system.
    async fn remove_empty(&self, path: &str) -> Result<bool> {
        let _ = path;
        Ok(false)
    }

    /// Gives a file or folder another path, in one step; false where the target is there already.
    ///
    /// # Errors
    /// Those of the file system.
    async fn rename(&self, from: &str, to: &str) -> Result<bool>;

    /// Sets the rights.
    ///
    /// # Errors
    /// Those of the file system.
    async fn set_mode(&self, path: &str, mode: u32) -> Result<()>;

    /// A new delegation token for an application of a secure cluster, in Hadoop's URL-safe text; None where the file
    /// system needs none. Default: None.
    ///
    /// # Errors
    /// Those of the file system.
    async fn delegation_token(&self, renewer: &str) -> Result<Option<Secret>> {
        let _ = renewer;
        Ok(None)
    }

    /// Cancels a delegation token that no application got. Default: nothing is done.
    ///
    /// # Errors
    /// Those of the file system.
    async fn cancel_token(&self, token: &Secret) -> Result<()> {
        let _ = token;
        Ok(())
    }
}

/// The path of `location` on this file system: a path as it is, or one with the file system's own scheme.
pub(crate) fn path_of(fs: &dyn FileSystem, location: &str) -> Option<String> {
    let tidy = |path: &str| {
        let path = format!("/{}", path.trim_matches('/'));
        Some(path)
    };
    if location.starts_with('/') {
        return tidy(location);
    }
    let (scheme, rest) = location.split_once(':')?;
    if !fs.scheme().starts_with(&format!("{scheme}:")) {
        return None;
    }
    let Some(rest) = rest.strip_prefix("//") else { return tidy(rest) };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let own = fs.scheme().split_once("://").map_or("", |(_, authority)| authority);
    (authority.is_empty() || authority.eq_ignore_ascii_case(own)).then(|| tidy(path)).flatten()
}

/// `path` as the cluster spells it.
pub(crate) fn location_of(fs: &dyn FileSystem, path: &str) -> String {
    format!("{}{path}", fs.scheme())
}

/// Refuses what would leave the folder in which it is meant to be.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let bad = name.is_empty() || name.split('/').any(|part| part.is_empty() || part == "." || part == "..");
    if bad || name.contains(['\\', '\0', ';', '\'', '\n', '\r']) {
        return Err(Error::invalid(format!(
            "'{}' cannot be the name of a file in a container; use letters, digits, '.', '-' and '_'",
            name.escape_debug()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_this_file_system_and_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let fs = SharedFolder::new(folder.path(), "hdfs://nn:8020", "alice");
        for (location, path) in [
            ("/a/b/", Some("/a/b")),
            ("hdfs://nn:8020/a", Some("/a")),
            ("hdfs:///a", Some("/a")),
            ("hdfs:/a", Some("/a")),
            ("hdfs://other:8020/a", None),
            ("s3://bucket/a", None),
        ] {
            assert_eq!(path_of(&fs, location).as_deref(), path, "{location}");
        }
    }

    #[test]
    fn names_stay_in_their_folder() {
        assert!(check_name("lib/a.jar").is_ok());
        for name in ["", "../a", "/a", "a;b", "it's.jar", "a//b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
