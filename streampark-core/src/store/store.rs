//! The trait behind which every store stands.

use async_trait::async_trait;
use jiff::Timestamp;

use super::records::{Batch, ClusterRecord, JobRecord, JobRow, RunRecord, SpecVersion};
use crate::alert::Outbox;
use crate::job::{JobId, JobState, RestorePoint};
use crate::{Event, EventKind, Result};

/// What a commit gave.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Committed {
    /// The job's new revision; 0 where the batch held no job.
    pub revision: u64,
    /// The events as stored, with their sequence numbers.
    pub events: Vec<Event>,
}

impl Committed {
    /// A commit that gave a job `revision` and stored `events`.
    pub fn new(revision: u64, events: Vec<Event>) -> Self {
        Self { revision, events }
    }
}

/// Which jobs.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct JobFilter {
    /// In one of these states; empty is any.
    pub states: Vec<JobState>,
    /// Whose spec names this cluster.
    pub cluster: Option<String>,
    /// Whose name contains this, in any case.
    pub name_contains: Option<String>,
    /// With all of these labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// After this name, in order of names: for paging.
    pub after: Option<String>,
    /// At most this many; None is all.
    pub limit: Option<usize>,
}

/// Which events.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct EventFilter {
    /// Of this job.
    pub job: Option<JobId>,
    /// Of one of these kinds; empty is any.
    pub kinds: Vec<EventKind>,
    /// After this sequence number.
    pub after: Option<u64>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
    /// At most this many; None is 1,000.
    pub limit: Option<usize>,
}

impl EventFilter {
    /// How many events are given where no limit is named.
    pub const DEFAULT_LIMIT: usize = 1_000;
}

/// Checkpoints of each job that [`Store::prune`] leaves, however old: a run can start from the
/// newest only, and older ones are deleted by Flink.
pub(super) const KEPT_CHECKPOINTS: usize = 10;

/// Where jobs, runs, restore points, history and the outbox are kept.
///
/// # Contract
/// - [`commit`](Self::commit) is atomic and durable: when it returns, the batch survives a crash.
/// - Names of jobs are unique; a revision that does not fit is a
///   [`Conflict`](crate::ErrorKind::Conflict), a second job of a name [`AlreadyExists`](crate::ErrorKind::AlreadyExists).
/// - Event sequences increase in the order of commits, without repeats.
/// - A spec version follows the newest stored one by one and is never changed; a run, a restore point
///   or a spec of a job that is neither stored nor in the batch is [`NotFound`](crate::ErrorKind::NotFound).
/// - After [`close`](Self::close) every other call is a [`Conflict`](crate::ErrorKind::Conflict).
#[async_trait]
pub trait Store: Outbox {
    /// Commits a batch whole, or not at all.
    async fn commit(&self, batch: Batch) -> Result<Committed>;

    /// Every job, for the start of a process.
    async fn load(&self) -> Result<Vec<JobRow>>;

    /// What is known of clusters, for the start of a process.
    async fn clusters(&self) -> Result<Vec<ClusterRecord>>;

    /// One job by identity; None where there is none.
    async fn job(&self, id: JobId) -> Result<Option<JobRow>>;

    /// One job by name; None where there is none.
    async fn job_by_name(&self, name: &str) -> Result<Option<JobRow>>;

    /// Jobs in order of their names.
    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRow>>;

    /// Removes a job and all that belongs to it except its events. `job.revision` guards it as in a commit.
    async fn delete_job(&self, job: &JobRecord, event: Event) -> Result<Committed>;

    /// The versions of a job's spec, newest first.
    async fn specs(&self, job: JobId) -> Result<Vec<SpecVersion>>;

    /// One version of a job's spec; None where there is none.
    async fn spec(&self, job: JobId, version: u32) -> Result<Option<SpecVersion>>;

    /// The runs of a job, newest first, at most `limit`.
    async fn runs(&self, job: JobId, limit: usize) -> Result<Vec<RunRecord>>;

    /// The restore points of a job, newest first, at most `limit`.
    async fn restore_points(&self, job: JobId, limit: usize) -> Result<Vec<RestorePoint>>;

    /// The history.
    async fn events(&self, filter: &EventFilter) -> Result<Vec<Event>>;

    /// Removes what is older than `before`, at most `limit` rows; says how many went.
    ///
    /// It takes events, finished deliveries, ended runs except the newest of their job, and
    /// checkpoints except the newest ten of their job. Jobs, specs and savepoints stay.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<u64>;

    /// Finishes what is under way and lets go of files and locks. Later calls are refused.
    async fn close(&self) -> Result<()>;
}
