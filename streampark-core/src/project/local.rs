//! A folder of this machine as a source.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::source::{Checkout, CheckoutOptions, Revision, Source, SyncOptions, SyncReport};
use crate::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// How deep folders may be nested.
const MAX_DEPTH: usize = 128;

/// A folder. What stands for the commit is the SHA-256 of its names and contents.
///
/// A checkout is a copy, so that a build leaves the folder as it is.
///
/// ```no_run
/// use streampark_core::project::{LocalSource, Source, SyncOptions};
///
/// # async fn example() -> streampark_core::Result<()> {
/// let source = LocalSource::new("/home/ada/orders")?.ignore("target");
/// println!("{}", source.sync(&SyncOptions::default()).await?.revision.id);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSource {
    folder: PathBuf,
    ignored: Vec<String>,
    max_files: u64,
    max_bytes: u64,
    scratch: Option<PathBuf>,
}

impl LocalSource {
    /// The folder at an absolute path, without any `.git` in it; at most 500,000 files and 8 GiB.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where the path is relative.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        if !folder.is_absolute() {
            return Err(Error::invalid(format!(
                "the folder '{}' of a project is a relative path; write it whole",
                folder.display()
            ))
            .with_operation("project.local"));
        }
        let ignored = vec![".git".to_owned()];
        Ok(Self { folder, ignored, max_files: 500_000, max_bytes: 8 << 30, scratch: None })
    }

    /// Leaves out every file and folder of this name, such as `target`.
    #[must_use]
    pub fn ignore(mut self, name: impl Into<String>) -> Self {
        self.ignored.push(name.into());
        self
    }

    /// Sets how many files and bytes a checkout may have.
    #[must_use]
    pub fn limits(mut self, files: u64, bytes: u64) -> Self {
        (self.max_files, self.max_bytes) = (files, bytes);
        self
    }

    /// Writes checkouts below this folder. Default: the system's folder for temporary files.
    #[must_use]
    pub fn checkouts(mut self, folder: impl Into<PathBuf>) -> Self {
        self.scratch = Some(folder.into());
        self
    }

    /// Walks the folder once: hashes it, and copies it where a target is given.
    async fn walk(&self, target: Option<PathBuf>) -> Result<Revision> {
        let source = self.clone();
        let work = move || {
            let mut walk = Walk { source: &source, target, hash: Sha256::new(), files: 0, bytes: 0 };
            walk.folder(Path::new(""), 0)?;
            Ok(Revision::new(hex::encode(walk.hash.finalize())))
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|source| {
                Err(Error::new(ErrorKind::Internal, "reading a project's folder ended early").with_source(source))
            })
            .map_err(|error: Error| error.with_operation("project.local").with_context("folder", self.folder.display()))
    }
}

#[async_trait]
impl Source for LocalSource {
    fn kind(&self) -> &str {
        "local"
    }

    fn location(&self) -> String {
        self.folder.display().to_string()
    }

    async fn check(&self) -> Result<Revision> {
        self.walk(None).await
    }

    /// Nothing has to be brought; every call tells what the folder holds now, and calls it changed.
    async fn sync(&self, _options: &SyncOptions) -> Result<SyncReport> {
        Ok(SyncReport::new(self.walk(None).await?, true, 0))
    }

    async fn checkout(&self, options: &CheckoutOptions) -> Result<Checkout> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("checkout-");
        let folder = match &self.scratch {
            Some(parent) => {
                fs::create_dir_all(parent)?;
                builder.tempdir_in(parent)?
            }
            None => builder.tempdir()?,
        };
        let revision = self.walk(Some(folder.path().to_owned())).await?;
        match &options.revision {
            Some(wanted) if *wanted != revision.id => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the folder holds {} now and not {wanted}; a folder has no history, so build what it holds",
                    revision.id
                ),
            )
            .with_operation("project.checkout")
            .with_context("folder", self.folder.display())),
            _ => Ok(Checkout::temporary(revision, folder)),
        }
    }
}

struct Walk<'a> {
    source: &'a LocalSource,
    target: Option<PathBuf>,
    hash: Sha256,
    files: u64,
    bytes: u64,
}

impl Walk<'_> {
    fn folder(&mut self, below: &Path, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::invalid("its folders are nested more than 128 deep"));
        }
        let at = self.source.folder.join(below);
        let entries = fs::read_dir(&at).map_err(|source| named(source, below))?;
        let mut entries: Vec<fs::DirEntry> =
            entries.collect::<Result<_, _>>().map_err(|source| named(source, below))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            if self.source.ignored.iter().any(|ignored| entry.file_name() == ignored.as_str()) {
                continue;
            }
            let path = below.join(entry.file_name());
            let kind = entry.file_type().map_err(|source| named(source, &path))?;
            if kind.is_dir() {
                if let Some(target) = &self.target {
                    fs::create_dir(target.join(&path)).map_err(|source| named(source, &path))?;
                }
                self.folder(&path, depth + 1)?;
            } else if kind.is_symlink() {
                self.link(&path)?;
            } else if kind.is_file() {
                self.file(&path)?;
            } else {
                return Err(Error::invalid(format!("'{}' is neither a file nor a folder", path.display())));
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<()> {
        let failed = |source| named(source, path);
        let mut from = File::open(self.source.folder.join(path)).map_err(failed)?;
        let executable = is_executable(&from.metadata().map_err(failed)?);
        self.entry(if executable { "x" } else { "f" }, path)?;
        let mut to = match &self.target {
            Some(target) => Some(create(&target.join(path), executable).map_err(failed)?),
            None => None,
        };
        let mut content = Sha256::new();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let read = from.read(&mut buffer).map_err(failed)?;
            let bytes = buffer.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            self.bytes += read as u64;
            if self.bytes > self.source.max_bytes {
                return Err(Error::new(
                    ErrorKind::Exhausted,
                    format!("it holds more than {} bytes; name folders to ignore", self.source.max_bytes),
                ));
            }
            content.update(bytes);
            if let Some(to) = &mut to {
                std::io::Write::write_all(to, bytes).map_err(failed)?;
            }
        }
        self.hash.update(content.finalize());
        Ok(())
    }

    fn link(&mut self, path: &Path) -> Result<()> {
        let failed = |source| named(source, path);
        let to = fs::read_link(self.source.folder.join(path)).map_err(failed)?;
        let inside = self.source.folder.join(path).canonicalize().ok().zip(self.source.folder.canonicalize().ok());
        if to.is_absolute() || !inside.is_some_and(|(whole, root)| whole.starts_with(root)) {
            return Err(Error::invalid(format!(
                "'{}' is a symbolic link that leads out of the folder, or nowhere; remove it, or ignore it",
                path.display()
            )));
        }
        self.entry("l", path)?;
        self.hash.update(to.as_os_str().as_encoded_bytes());
        #[cfg(unix)]
        if let Some(target) = &self.target {
            std::os::unix::fs::symlink(&to, target.join(path)).map_err(failed)?;
        }
        Ok(())
    }

    fn entry(&mut self, kind: &str, path: &Path) -> Result<()> {
        self.files += 1;
        if self.files > self.source.max_files {
            return Err(Error::new(
                ErrorKind::Exhausted,
                format!("it holds more than {} files; name folders to ignore", self.source.max_files),
            ));
        }
        let name = path.as_os_str().as_encoded_bytes();
        self.hash.update(kind);
        self.hash.update((name.len() as u64).to_be_bytes());
        self.hash.update(name);
        Ok(())
    }
}

fn create(path: &Path, executable: bool) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(if executable { 0o755 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = executable;
    options.open(path)
}

fn is_executable(metadata: &fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        metadata.permissions().mode() & 0o100 != 0
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}

fn named(source: std::io::Error, path: &Path) -> Error {
    Error::from(source).with_context("path", path.display())
}
