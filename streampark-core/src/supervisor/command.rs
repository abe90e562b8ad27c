//! What somebody wants done.

use crate::flink::FlinkJobId;
use crate::job::{DeploymentId, JobId, JobSpec, StartFrom};

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

impl Command {
    /// Who asks.
    pub fn actor(&self) -> &str {
        match self {
            Self::Create { actor, .. }
            | Self::Start { actor, .. }
            | Self::Suspend { actor, .. }
            | Self::Cancel { actor, .. }
            | Self::Savepoint { actor, .. }
            | Self::Update { actor, .. }
            | Self::Restart { actor, .. }
            | Self::Delete { actor, .. }
            | Self::Adopt { actor, .. } => actor,
        }
    }

    /// The job that it is about; None where it makes one.
    pub fn job(&self) -> Option<JobId> {
        match self {
            Self::Create { .. } | Self::Adopt { .. } => None,
            Self::Start { job, .. }
            | Self::Suspend { job, .. }
            | Self::Cancel { job, .. }
            | Self::Savepoint { job, .. }
            | Self::Update { job, .. }
            | Self::Restart { job, .. }
            | Self::Delete { job, .. } => Some(*job),
        }
    }

    /// The operation's name, as errors carry it.
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Create { .. } => "job.create",
            Self::Start { .. } => "job.start",
            Self::Suspend { .. } => "job.suspend",
            Self::Cancel { .. } => "job.cancel",
            Self::Savepoint { .. } => "job.savepoint",
            Self::Update { .. } => "job.update",
            Self::Restart { .. } => "job.restart",
            Self::Delete { .. } => "job.delete",
            Self::Adopt { .. } => "job.adopt",
        }
    }
}
