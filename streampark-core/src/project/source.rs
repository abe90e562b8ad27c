//! The trait behind which every origin of code stands.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Result;

/// One state of a source: a commit, or the hash of a folder's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Revision {
    /// The commit's id, or the content's SHA-256: lower-case hex.
    pub id: String,
    /// The branch or tag that was asked for.
    pub reference: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// The first line of its message.
    pub summary: Option<String>,
    /// When it was written.
    pub at: Option<Timestamp>,
}

impl Revision {
    /// The revision `id`, of which nothing else is known.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), reference: None, author: None, summary: None, at: None }
    }
}

/// What a synchronisation did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncReport {
    /// Where the wanted reference stands now.
    pub revision: Revision,
    /// Whether that is another revision than before.
    pub changed: bool,
    /// Bytes that came over the network.
    pub received_bytes: u64,
}

impl SyncReport {
    /// A synchronisation that ended at `revision`.
    pub fn new(revision: Revision, changed: bool, received_bytes: u64) -> Self {
        Self { revision, changed, received_bytes }
    }
}

/// How far a synchronisation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SyncProgress {
    /// Objects that have come.
    pub received_objects: u64,
    /// Objects that will come; 0 while nobody knows.
    pub total_objects: u64,
    /// Bytes that have come.
    pub received_bytes: u64,
}

impl SyncProgress {
    /// Some objects of `total` have come.
    pub fn new(received_objects: u64, total_objects: u64, received_bytes: u64) -> Self {
        Self { received_objects, total_objects, received_bytes }
    }
}

/// Takes the progress of a synchronisation; must not block.
pub type ProgressSink = Arc<dyn Fn(SyncProgress) + Send + Sync>;

/// How to synchronise. To cancel, drop the future.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct SyncOptions {
    /// Takes progress as it is made.
    pub progress: Option<ProgressSink>,
}

impl SyncOptions {
    /// Sets who takes progress.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(SyncProgress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }
}

impl fmt::Debug for SyncOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncOptions").field("progress", &self.progress.is_some()).finish()
    }
}

/// What to put into a working folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CheckoutOptions {
    /// A commit to take; None is where the wanted reference stands.
    pub revision: Option<String>,
}

impl CheckoutOptions {
    /// The commit `revision`.
    pub fn at(revision: impl Into<String>) -> Self {
        Self { revision: Some(revision.into()) }
    }
}

/// A working folder with one revision in it, removed when dropped.
#[derive(Debug)]
#[non_exhaustive]
pub struct Checkout {
    /// What is in it.
    pub revision: Revision,
    /// Whether it holds changes that no commit has.
    pub dirty: bool,
    folder: PathBuf,
    keep: Option<tempfile::TempDir>,
}

impl Checkout {
    /// A folder that is removed with this value.
    pub fn temporary(revision: Revision, folder: tempfile::TempDir) -> Self {
        Self { revision, dirty: false, folder: folder.path().to_owned(), keep: Some(folder) }
    }

    /// A folder that stays: it belongs to somebody else.
    pub fn borrowed(revision: Revision, folder: impl Into<PathBuf>) -> Self {
        Self { revision, dirty: false, folder: folder.into(), keep: None }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Whether the folder goes away with this value.
    pub fn is_temporary(&self) -> bool {
        self.keep.is_some()
    }
}

/// Where code comes from.
///
/// # Contract
/// - `check` and `sync` never run anything that the source holds: no hooks, no filters.
/// - Dropping the future of a call ends it; nothing half-made is left where it is read.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// The kind: `git`, `local`, …
    fn kind(&self) -> &str;

    /// Where it is, for people: no secrets.
    fn location(&self) -> String;

    /// Whether it can be reached and the wanted reference exists; brings nothing.
    async fn check(&self) -> Result<Revision>;

    /// Brings what is new.
    async fn sync(&self, options: &SyncOptions) -> Result<SyncReport>;

    /// Puts one revision into a clean folder; brings it first where it is not here yet.
    async fn checkout(&self, options: &CheckoutOptions) -> Result<Checkout>;
}
