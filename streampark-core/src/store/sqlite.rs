//! A store in one SQLite file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;

use self::failure::Failure;
use self::worker::Worker;
use super::records::{Batch, ClusterRecord, JobRecord, JobRow, RunRecord, SpecVersion};
use super::store::{Committed, EventFilter, JobFilter, Store};
use crate::alert::{Delivery, DeliveryId, Outbox};
use crate::job::{JobId, RestorePoint};
use crate::{Event, Result};

mod failure;
mod lock;
mod migrate;
mod mounts;
mod open;
mod read;
mod row;
#[cfg(test)]
mod tests;

mod worker;
mod write;

/// How a [`SqliteStore`] is opened.
///
/// ```
/// use std::time::Duration;
/// use streampark_core::store::SqliteOptions;
///
/// let options = SqliteOptions::default().with_lock_wait(Duration::from_secs(30)).with_readers(4);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// How long to wait for another process, or an earlier store of this one, to let go of the file.
    /// Default 1 s.
    pub lock_wait: Duration,
    /// How long to wait where a foreign program, such as the `sqlite3` shell, holds the file. Default 5 s.
    pub busy_timeout: Duration,
    /// Reading threads, at least 1. Default 2.
    pub readers: usize,
    /// Opens a file on a network file system, where SQLite cannot promise that nothing is lost.
    /// Default false.
    pub allow_network_file_system: bool,
    max_pages: Option<u32>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            lock_wait: Duration::from_secs(1),
            busy_timeout: Duration::from_secs(5),
            readers: 2,
            allow_network_file_system: false,
            max_pages: None,
        }
    }
}

impl SqliteOptions {
    /// Sets how long to wait for whoever has the file open.
    #[must_use]
    pub fn with_lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// Sets how long to wait where a foreign program holds the file.
    #[must_use]
    pub fn with_busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Sets the number of reading threads.
    #[must_use]
    pub fn with_readers(mut self, readers: usize) -> Self {
        self.readers = readers;
        self
    }

    /// Sets whether a file on a network file system is opened.
    #[must_use]
    pub fn with_network_file_system(mut self, allow: bool) -> Self {
        self.allow_network_file_system = allow;
        self
    }

    /// Lets the file grow to this many pages only, as if the disk were full then: for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_max_pages(mut self, pages: u32) -> Self {
        self.max_pages = Some(pages);
        self
    }
}

/// Keeps everything in one SQLite file: the default store.
///
/// # Guarantees
/// - A commit that returned survives the death of the process and of the machine (write-ahead log,
///   `synchronous = FULL`). A batch is there whole or not at all.
/// - One store per file: a second one, of this process or another, is refused while the first is
///   open. The lock is `<file>.lock`; the operating system frees it when its owner dies.
/// - The schema only moves forward. A file of a newer version is refused; before an older one is
///   brought up to date it is copied to `<file>.schema-N.bak`.
/// - No async thread waits for the disk: one thread writes, others read. The writer takes all
///   batches that wait and commits them with one sync, each apart: one that is refused takes nothing with it.
///
/// # Assumptions
/// The disk does what `fsync` promises, and the file is on a local file system; known network file
/// systems are refused. `<file>-wal` and `<file>-shm` belong to the file: copy the three together, or
/// copy after [`close`](Store::close).
///
/// ```
/// use streampark_core::store::{JobFilter, SqliteStore, Store};
///
/// # let folder = tempfile::tempdir()?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// # let path = folder.path().join("jobs.db");
/// let store = SqliteStore::open(path).await?;
/// assert!(store.jobs(&JobFilter::default()).await?.is_empty());
/// store.close().await?;
/// # Ok::<(), streampark_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: Worker,
    readers: Worker,
}

impl SqliteStore {
    /// Opens the store at `path`, which is created where it does not exist (its folder must).
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) where the file is in use,
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where it is not a store,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where it is of a newer version or on a network file system,
    /// [`Storage`](crate::ErrorKind::Storage) where it cannot be read or written.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, SqliteOptions::default()).await
    }

    /// Opens the store at `path` with options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        let (path, writer, readers) = worker::start(path.as_ref().to_owned(), options)
            .await
            .map_err(|error| error.with_operation("store.open"))?;
        Ok(Self { path, writer, readers })
    }

    /// The file, with symbolic links followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn write<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        self.writer.call(work).await.map_err(|error| self.named(error, operation))
    }

    async fn read<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        self.readers.call(work).await.map_err(|error| self.named(error, operation))
    }

    fn named(&self, error: crate::Error, operation: &'static str) -> crate::Error {
        let error = error.with_operation(operation);
        match error.kind() {
            crate::ErrorKind::Storage | crate::ErrorKind::Internal => error.with_context("file", self.path.display()),
            _ => error,
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, batch: Batch) -> Result<Committed> {
        self.write("store.commit", move |c| write::commit(c, &batch)).await
    }

    async fn load(&self) -> Result<Vec<JobRow>> {
        self.read("store.load", |c| read::jobs(c, &JobFilter::default())).await
    }

    async fn clusters(&self) -> Result<Vec<ClusterRecord>> {
        self.read("store.clusters", read::clusters).await
    }

    async fn job(&self, id: JobId) -> Result<Option<JobRow>> {
        self.read("store.job", move |c| read::job(c, id)).await
    }

    async fn job_by_name(&self, name: &str) -> Result<Option<JobRow>> {
        let name = name.to_owned();
        self.read("store.job_by_name", move |c| read::job_by_name(c, &name)).await
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRow>> {
        let filter = filter.clone();
        self.read("store.jobs", move |c| read::jobs(c, &filter)).await
    }

    async fn delete_job(&self, job: &JobRecord, event: Event) -> Result<Committed> {
        let job = job.clone();
        self.write("store.delete_job", move |c| write::delete_job(c, &job, &event)).await
    }

    async fn specs(&self, job: JobId) -> Result<Vec<SpecVersion>> {
        self.read("store.specs", move |c| read::specs(c, job)).await
    }

    async fn spec(&self, job: JobId, version: u32) -> Result<Option<SpecVersion>> {
        self.read("store.spec", move |c| read::spec(c, job, version)).await
    }

    async fn runs(&self, job: JobId, limit: usize) -> Result<Vec<RunRecord>> {
        self.read("store.runs", move |c| read::runs(c, job, limit)).await
    }

    async fn restore_points(&self, job: JobId, limit: usize) -> Result<Vec<RestorePoint>> {
        self.read("store.restore_points", move |c| read::restore_points(c, job, limit)).await
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<Event>> {
        let filter = filter.clone();
        self.read("store.events", move |c| read::events(c, &filter)).await
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<u64> {
        self.write("store.prune", move |c| write::prune(c, before, limit)).await
    }

    async fn close(&self) -> Result<()> {
        self.readers.stop().await;
        self.writer.stop().await;
        Ok(())
    }
}

#[async_trait]
impl Outbox for SqliteStore {
    async fn pending(&self, channel: &str, limit: usize) -> Result<Vec<Delivery>> {
        let channel = channel.to_owned();
        self.read("outbox.pending", move |c| read::pending(c, &channel, limit)).await
    }

    async fn pending_count(&self, channel: &str) -> Result<u64> {
        let channel = channel.to_owned();
        self.read("outbox.pending_count", move |c| read::pending_count(c, &channel)).await
    }

    async fn delivered(&self, ids: &[DeliveryId], at: Timestamp) -> Result<()> {
        let ids = ids.to_vec();
        self.write("outbox.delivered", move |c| write::delivered(c, &ids, at)).await
    }

    async fn retry(&self, ids: &[DeliveryId], error: &str, next_at: Timestamp) -> Result<()> {
        let (ids, error) = (ids.to_vec(), error.to_owned());
        self.write("outbox.retry", move |c| write::retry(c, &ids, &error, next_at)).await
    }

    async fn dead(&self, ids: &[DeliveryId], error: &str, at: Timestamp) -> Result<()> {
        let (ids, error) = (ids.to_vec(), error.to_owned());
        self.write("outbox.dead", move |c| write::dead(c, &ids, &error, at)).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<Delivery>> {
        self.read("outbox.dead_letters", move |c| read::dead_letters(c, limit)).await
    }
}
