//! The trait behind which every origin of code stands.

use std::fmt;
use std::path::{Path, PathBuf};

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

/// What to put into a working folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CheckoutOptions {
    /// A commit to take; None is where the wanted reference stands.
    pub revision: Option<String>,
}

/// A working folder with one revision in it, removed when dropped.
#[derive(Debug)]
#[non_exhaustive]
pub struct Checkout {
    /// What is in it.
    pub revision: Revision,
    folder: PathBuf,
    keep: Option<tempfile::TempDir>,
}

impl Checkout {
    /// A folder that is removed with this value.
    pub fn temporary(revision: Revision, folder: tempfile::TempDir) -> Self {
        Self { revision, folder: folder.path().to_owned(), keep: Some(folder) }
    }

    /// A folder that stays: it belongs to somebody else.
    pub fn borrowed(revision: Revision, folder: impl Into<PathBuf>) -> Self {
        Self { revision, folder: folder.into(), keep: None }
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
    async fn sync(&self) -> Result<SyncReport>;

    /// Puts one revision into a clean folder.
    async fn checkout(&self, options: &CheckoutOptions) -> Result<Checkout>;
}
