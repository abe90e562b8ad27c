//! The owner of every job: takes commands, commits before it acts, tells what happened.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::broadcast;

use super::machine::Knowledge;
use super::options::SupervisorOptions;
use crate::cluster::Cluster;
use crate::flink::FlinkJobId;
use crate::job::{DeploymentId, JobId, JobSpec, JobState, ProgramContext, ProgramRegistry, StartFrom};
use crate::store::{JobRecord, RunRecord, Store};
use crate::{Error, Event, Result, SharedClock};

/// What a supervisor works with.
#[derive(Debug)]
#[non_exhaustive]
pub struct SupervisorParts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The clusters at the start, by the names that specs use; more may come later.
    pub clusters: Vec<(String, Arc<dyn Cluster>)>,
    /// The program kinds.
    pub programs: ProgramRegistry,
    /// What programs may ask while they are made ready; the Flink version is set for each cluster.
    pub context: ProgramContext,
    /// The wall clock. Waits use tokio's clock.
    pub clock: SharedClock,
    /// The numbers.
    pub options: SupervisorOptions,
}

impl SupervisorParts {
    /// Parts with no clusters, the shipped program kinds and the default numbers.
    pub fn new(store: Arc<dyn Store>, context: ProgramContext, clock: SharedClock) -> Self {
        Self {
            store,
            clusters: Vec::new(),
            programs: ProgramRegistry::new(),
            context,
            clock,
            options: SupervisorOptions::default(),
        }
    }

    /// Adds a cluster under the name that specs use.
    #[must_use]
    pub fn with_cluster(mut self, name: impl Into<String>, cluster: Arc<dyn Cluster>) -> Self {
        self.clusters.push((name.into(), cluster));
        self
    }

    /// Sets the program kinds.
    #[must_use]
    pub fn with_programs(mut self, programs: ProgramRegistry) -> Self {
        self.programs = programs;
        self
    }

    /// Sets the numbers.
    #[must_use]
    pub fn with_options(mut self, options: SupervisorOptions) -> Self {
        self.options = options;
        self
    }
}

/// What somebody wants done. `actor` is the embedder's name for the person or service; the history
/// keeps it.
///
/// A command returns when what it asks for is committed, not when it is done: follow the events or
/// read the job's state to see it happen.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Keep a new job; it is not started.
    Create {
        /// What should run.
        spec: Box<JobSpec>,
        /// Who asks.
        actor: String,
    },
    /// Keep the job running. A job that is being stopped is started again when it has ended.
    Start {
        /// The job.
        job: JobId,
        /// Where the next run starts.
        from: StartFrom,
        /// Who asks.
        actor: String,
    },
    /// Stop with a savepoint and keep stopped. Where the savepoint fails, the job goes on running.
    Suspend {
        /// The job.
        job: JobId,
        /// Lets all data through first (`--drain`); such a savepoint is not for going on later.
        drain: bool,
        /// Where the savepoint is written; None is the cluster's default.
        directory: Option<String>,
        /// Who asks.
        actor: String,
    },
    /// Cancel and keep stopped.
    Cancel {
        /// The job.
        job: JobId,
        /// Ends the whole deployment by the engine's own means.
        kill: bool,
        /// Who asks.
        actor: String,
    },
    /// Take a savepoint and go on.
    Savepoint {
        /// The job.
        job: JobId,
        /// Where it is written; None is the cluster's default.
        directory: Option<String>,
        /// Who asks.
        actor: String,
    },
    /// Keep a new version of the spec; a running job is upgraded as its `upgrade` says.
    Update {
        /// The job.
        job: JobId,
        /// The whole new spec.
        spec: Box<JobSpec>,
        /// Who asks.
        actor: String,
    },
    /// Start a fresh run at once: of a running job after a stop, of a job that backs off without
    /// waiting, of a settled one as `Start` does.
    Restart {
        /// The job.
        job: JobId,
        /// Who asks.
        actor: String,
    },
    /// Forget a job that has no live run.
    Delete {
        /// The job.
        job: JobId,
        /// Who asks.
        actor: String,
    },
    /// Take over a job that somebody else started.
    Adopt {
        /// The cluster that runs it, by its name here; `spec.cluster` is set to it.
        cluster: String,
        /// Flink's JobID.
        flink_job: FlinkJobId,
        /// The engine's place of it, for engines that have one.
        deployment: Option<DeploymentId>,
        /// What is run when it must be started again.
        spec: Box<JobSpec>,
        /// Who asks.
        actor: String,
    },
}

/// A job as the supervisor sees it now, from memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobView {
    /// What is wanted of it and where it stands.
    pub job: JobRecord,
    /// Its current spec.
    pub spec: Arc<JobSpec>,
    /// Its newest run.
    pub run: Option<RunRecord>,
    /// What is known of that run.
    pub knowledge: Knowledge,
}

impl JobView {
    /// Where the job stands.
    pub fn state(&self) -> &JobState {
        &self.job.state
    }
}

/// A cluster as the supervisor sees it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClusterView {
    /// Its name here.
    pub name: String,
    /// When it last answered.
    pub answered_at: Option<jiff::Timestamp>,
    /// Since when it counts as unreachable; None where it answers.
    pub unreachable_since: Option<jiff::Timestamp>,
    /// Why the last question failed.
    pub last_error: Option<String>,
    /// Live runs of ours that are watched there.
    pub watched: usize,
    /// Questions that began more than a quarter of an interval after their time.
    pub late_ticks: u64,
}

/// The committed events, as they come.
#[derive(Debug)]
pub struct SupervisorEvents(broadcast::Receiver<Event>);

impl SupervisorEvents {
    /// The next event; None once the supervisor has ended.
    ///
    /// # Errors
    /// [`ErrorKind::Exhausted`](crate::ErrorKind::Exhausted) with the context pair `missed` where the
    /// follower lagged; the next call goes on with the oldest event still kept. The store has them all.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        match self.0.recv().await {
            Ok(event) => Some(Ok(event)),
            Err(broadcast::error::RecvError::Closed) => None,
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Err(Error::new(
                crate::ErrorKind::Exhausted,
                "events were missed by a follower that is too slow; read them from the history",
            )
            .with_operation("supervisor.events")
            .with_context("missed", missed))),
        }
    }
}

/// What a shutdown left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Calls to clusters that were under way and ended in time.
    pub finished: usize,
    /// Calls that were given up; the next start resolves them by asking.
    pub given_up: usize,
}

/// Starts supervision.
#[derive(Debug)]
pub struct Supervisor;

/// The way to a running supervisor. Clones share it; it ends with [`shutdown`](Self::shutdown) or when
/// the last clone is dropped.
#[derive(Clone)]
pub struct SupervisorHandle {
    _inner: Arc<()>,
}

impl fmt::Debug for SupervisorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorHandle").finish_non_exhaustive()
    }
}

impl Supervisor {
    /// Loads every job and begins to watch, in the caller's tokio runtime.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn start(_parts: SupervisorParts) -> Result<SupervisorHandle> {
        Err(unfinished())
    }
}

fn unfinished() -> Error {
    Error::new(crate::ErrorKind::Unsupported, "the supervisor is not there yet")
}

impl SupervisorHandle {
    /// Does what `command` asks, and gives the job as it stands after the commit. A deleted job is given as
    /// it stood before.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown job or cluster,
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) for a name in use,
    /// [`Conflict`](crate::ErrorKind::Conflict) where the job's state refuses it,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where its cluster cannot,
    /// [`Exhausted`](crate::ErrorKind::Exhausted) where too many commands wait for the job,
    /// [`Storage`](crate::ErrorKind::Storage) where nothing could be committed: then nothing was done,
    /// [`Cancelled`](crate::ErrorKind::Cancelled) after a shutdown began.
    pub async fn command(&self, _command: Command) -> Result<JobView> {
        Err(unfinished())
    }

    /// The job as it stands, from memory; None where there is none.
    pub fn job(&self, _job: JobId) -> Option<JobView> {
        None
    }

    /// The job of that name, from memory; None where there is none.
    pub fn job_by_name(&self, _name: &str) -> Option<JobView> {
        None
    }

    /// State and knowledge of a job, from memory: cheap enough to ask in a loop.
    pub fn job_state(&self, _job: JobId) -> Option<(JobState, Knowledge)> {
        None
    }

    /// Every job, from memory, in order of identity (oldest first).
    pub fn jobs(&self) -> Vec<JobView> {
        Vec::new()
    }

    /// Watches `cluster` under `name` from now on; a cluster of that name is replaced.
    pub fn add_cluster(&self, _name: impl Into<String>, _cluster: Arc<dyn Cluster>) {}

    /// Stops to watch a cluster.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound); [`Conflict`](crate::ErrorKind::Conflict) naming the jobs
    /// that have live runs there.
    pub fn remove_cluster(&self, _name: &str) -> Result<Arc<dyn Cluster>> {
        Err(unfinished())
    }

    /// The cluster registered under `name`.
    pub fn cluster(&self, _name: &str) -> Option<Arc<dyn Cluster>> {
        None
    }

    /// The clusters and how they answer, in order of their names.
    pub fn clusters(&self) -> Vec<ClusterView> {
        Vec::new()
    }

    /// Every event committed from now on.
    pub fn subscribe(&self) -> SupervisorEvents {
        SupervisorEvents(broadcast::channel(1).1)
    }

    /// Why the store refuses commits, where it does: nothing is sent to any cluster meanwhile.
    pub fn storage_trouble(&self) -> Option<String> {
        None
    }

    /// Takes no more commands, stops to watch, waits a bounded time for calls under way and records
    /// what they gave. What is left is an intent that the next start resolves. Called again, it waits for the first.
    pub async fn shutdown(&self) -> ShutdownReport {
        ShutdownReport::default()
    }
}
