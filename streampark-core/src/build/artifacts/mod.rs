//! Artifacts, kept by their content.

mod blobs;
#[cfg(feature = "objects")]
mod objects;
mod retention;
#[cfg(feature = "s3")]
mod url;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use sha2::{Digest, Sha256};

pub use self::blobs::BlobStore;
pub use self::retention::{ArtifactRetention, Pruned};
use super::artifact::{Artifact, ArtifactFile};
use super::outputs::blocking;
use crate::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// Documents are read side by side.
const AT_ONCE: usize = 8;

/// Which artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ArtifactFilter {
    /// Of this project.
    pub project: Option<String>,
    /// Of this module.
    pub module: Option<String>,
    /// Of this commit, or one that begins so.
    pub revision: Option<String>,
    /// At most this many; None is all.
    pub limit: Option<usize>,
}

impl ArtifactFilter {
    /// All of a project.
    pub fn project(name: impl Into<String>) -> Self {
        Self { project: Some(name.into()), ..Self::default() }
    }

    fn fits(&self, artifact: &Artifact) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&self.project, &artifact.project)
            && is(&self.module, &artifact.module)
            && self.revision.as_ref().is_none_or(|wanted| artifact.revision.id.starts_with(wanted.as_str()))
    }
}

/// Keeps artifacts in a folder, in an object store or in any other [`BlobStore`]; cheap to clone.
///
/// A file is kept once, under its SHA-256, whatever builds made it; what is known of an artifact is a small JSON
/// document for each build that made it. Nothing is ever changed, only added and, by [`prune`](Self::prune), removed.
#[derive(Debug, Clone)]
pub struct ArtifactStore {
    blobs: Arc<dyn BlobStore>,
    /// Files that were fetched, by their keys.
    cache: Arc<Path>,
}

impl ArtifactStore {
    /// Keeps them in a folder, which is made where it does not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where the folder cannot be made.
    pub fn local(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = std::path::absolute(folder.into())?;
        std::fs::create_dir_all(&folder)
            .map_err(|source| Error::from(source).with_context("path", folder.display()))?;
        Ok(Self::of_blobs(Arc::new(blobs::Folder(folder.clone())), folder))
    }

    /// Keeps them in a place that the embedder brings. Jars that are asked for are kept in the folder `cache`.
    pub fn of_blobs(blobs: Arc<dyn BlobStore>, cache: impl Into<PathBuf>) -> Self {
        Self { blobs, cache: cache.into().into() }
    }

    /// Keeps them in an object store, below `prefix`. Jars that are asked for are kept in the folder `cache`.
    #[cfg(feature = "objects")]
    pub fn objects(
        store: Arc<dyn object_store::ObjectStore>,
        prefix: impl Into<String>,
        cache: impl Into<PathBuf>,
    ) -> Self {
        let prefix: String = prefix.into();
        let prefix = prefix.trim_matches('/').to_owned();
        Self::of_blobs(Arc::new(objects::Objects { store, prefix }), cache)
    }

    /// Where they are, for people.
    pub fn location(&self) -> String {
        self.blobs.location()
    }

    /// Keeps an artifact: its files are read from `folder` by their paths, and their hashes compared.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where a file is not what the artifact says; those of the folder or object store.
    pub async fn put(&self, artifact: &Artifact, folder: &Path) -> Result<()> {
        let files: Vec<(ArtifactFile, PathBuf)> = std::iter::once(&artifact.job_jar)
            .chain(&artifact.files)
            .map(|file| (file.clone(), folder.join(&file.path)))
            .collect();
        self.put_files(artifact, &files).await
    }

    /// Keeps an artifact whose files lie apart.
    pub(super) async fn put_files(&self, artifact: &Artifact, files: &[(ArtifactFile, PathBuf)]) -> Result<()> {
        let named = |error: Error| error.with_operation("artifacts.put").with_context("artifact", &artifact.id);
        for (file, path) in files {
            let key = blob(&file.sha256);
            if self.blobs.exists(&key).await.map_err(named)? {
                continue;
            }
            let found = describe(&file.path, path).await.map_err(named)?;
            if found != *file {
                return Err(named(Error::invalid(format!("the file '{}' changed while it was kept", file.path))));
            }
            self.blobs.put_file(&key, path).await.map_err(named)?;
        }
        let document = serde_json::to_vec_pretty(artifact).map_err(|source| {
            Error::new(ErrorKind::Internal, "an artifact cannot be written as JSON").with_source(source)
        })?;
        self.blobs.put(&document_key(artifact), document).await.map_err(named)
    }

    /// The artifact `id`: its SHA-256, or the first 8 digits of it or more. Where several builds made it, the
    /// newest of them.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none, [`ErrorKind::Conflict`] where the digits fit several.
    pub async fn get(&self, id: &str) -> Result<Artifact> {
        let plain = id.len() >= 8 && id.chars().all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase());
        if !plain {
            return Err(Error::invalid(format!(
                "'{}' names no artifact: give its SHA-256 in lower-case hexadecimal digits, or 8 or more of them",
                super::words::shown(id)
            ))
            .with_operation("artifacts.get"));
        }
        let found = match id.len() {
            64 => self.stories(id).await?,
            _ => {
                let mut found = self.list(&ArtifactFilter::default()).await?;
                found.retain(|artifact| artifact.id.starts_with(id));
                found
            }
        };
        let Some(newest) = found.first().cloned() else {
            return Err(Error::not_found(format!("there is no artifact {id}")).with_operation("artifacts.get"));
        };
        if found.iter().any(|artifact| artifact.id != newest.id) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("several artifacts begin with {id}; give more digits"),
            )
            .with_operation("artifacts.get"));
        }
        Ok(newest)
    }

    /// What is known of one artifact: a story for each build that made it, the newest first.
    pub(crate) async fn stories(&self, id: &str) -> Result<Vec<Artifact>> {
        self.read(&format!("artifacts/{id}"), &ArtifactFilter::default()).await
    }

    /// What is kept, newest first.
    ///
    /// # Errors
    /// Those of the folder or object store.
    pub async fn list(&self, filter: &ArtifactFilter) -> Result<Vec<Artifact>> {
        self.read("artifacts", filter).await
    }

    async fn read(&self, below: &str, filter: &ArtifactFilter) -> Result<Vec<Artifact>> {
        let named = |error: Error| error.with_operation("artifacts.list");
        let keys = self.blobs.list(below).await.map_err(named)?;
        let read = |key: String| async move { Ok::<_, Error>((self.blobs.get(&key).await?, key)) };
        let mut documents = futures_util::stream::iter(keys).map(read).buffered(AT_ONCE);
        let mut found = Vec::new();
        while let Some(document) = documents.next().await {
            // None: removed between the listing and now.
            let (Some(bytes), key) = document.map_err(named)? else { continue };
            match serde_json::from_slice::<Artifact>(&bytes) {
                Ok(artifact) if filter.fits(&artifact) => found.push(artifact),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(key, %error, "a document in the folder of artifacts is none of an artifact")
                }
            }
        }
        found.sort_by(|one, other| other.built_at.cmp(&one.built_at).then_with(|| one.id.cmp(&other.id)));
        found.truncate(filter.limit.unwrap_or(usize::MAX));
        Ok(found)
    }

    /// A file of this machine that holds the job's jar; not to be changed.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where it was removed, [`ErrorKind::Storage`] where it is damaged.
    pub async fn jar(&self, artifact: &Artifact) -> Result<PathBuf> {
        self.file(&artifact.job_jar).await
    }

    /// A file of this machine that holds one file of an artifact; not to be changed.
    ///
    /// # Errors
    /// As [`jar`](Self::jar).
    pub async fn file(&self, file: &ArtifactFile) -> Result<PathBuf> {
        let found =
            self.here(&blob(&file.sha256), file.size).await.map_err(|error| error.with_operation("artifacts.file"))?;
        let path = found.ok_or_else(|| {
            Error::not_found(format!("the file '{}' of the artifact is not kept any more; build it again", file.path))
                .with_operation("artifacts.file")
        })?;
        let size = tokio::fs::metadata(&path).await?.len();
        if size != file.size {
            return Err(Error::new(
                ErrorKind::Storage,
                format!(
                    "the file '{}' of the artifact has {size} bytes instead of {}; build it again",
                    file.path, file.size
                ),
            )
            .with_operation("artifacts.file")
            .with_context("path", path.display()));
        }
        Ok(path)
    }

    /// A file of this machine that holds `key`, fetched where it must be, and where a copy is damaged.
    async fn here(&self, key: &str, size: u64) -> Result<Option<PathBuf>> {
        if let Some(path) = self.blobs.local_path(key) {
            return Ok(tokio::fs::try_exists(&path).await?.then_some(path));
        }
        let path = self.cache.join(key);
        if tokio::fs::metadata(&path).await.is_ok_and(|copy| copy.len() == size) {
            return Ok(Some(path));
        }
        let folder = Arc::clone(&self.cache);
        let file = blocking(move || {
            std::fs::create_dir_all(&folder)?;
            Ok(tempfile::NamedTempFile::new_in(&folder)?)
        })
        .await?;
        let mut to = tokio::fs::File::from_std(file.reopen()?);
        if !self.blobs.fetch(key, &mut to).await? {
            return Ok(None);
        }
        to.sync_all().await?;
        let target = path.clone();
        blocking(move || {
            if let Some(folder) = target.parent() {
                std::fs::create_dir_all(folder)?;
            }
            file.persist(&target).map_err(|error| Error::from(error.error))?;
            Ok(())
        })
        .await?;
        Ok(Some(path))
    }

    async fn remove(&self, key: &str) -> Result<()> {
        self.blobs.delete(key).await?;
        if self.blobs.local_path(key).is_none() {
            // What is not there needs no removal.
            let _gone = tokio::fs::remove_file(self.cache.join(key)).await;
        }
        Ok(())
    }
}

/// Hashes a file.
pub(super) async fn describe(shown: &str, path: &Path) -> Result<ArtifactFile> {
    let (shown, path) = (shown.to_owned(), path.to_owned());
    blocking(move || {
        let mut file = std::fs::File::open(&path).map_err(|source| Error::from(source).with_context("file", &shown))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        let mut size = 0;
        loop {
            match std::io::Read::read(&mut file, &mut buffer)? {
                0 => break,
                read => {
                    size += read as u64;
                    hash.update(buffer.get(..read).unwrap_or_default());
                }
            }
        }
        Ok(ArtifactFile::new(shown, hex::encode(hash.finalize()), size))
    })
    .await
}

fn blob(sha256: &str) -> String {
    format!("blobs/{}/{sha256}", sha256.get(..2).unwrap_or_default())
}

/// One document for each build: the same jar of two commits is one artifact with two stories.
fn document_key(artifact: &Artifact) -> String {
    let story = [&artifact.project, &artifact.module, &artifact.revision.id];
    let mut hash = Sha256::new();
    for part in story.into_iter().chain(&artifact.build) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let story = hex::encode(hash.finalize());
    format!("artifacts/{}/{}.json", artifact.id, story.get(..16).unwrap_or_default())
}
