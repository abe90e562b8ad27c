//! What a cluster says about a run, and when it said so.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::flink::FlinkJobId;
use crate::job::{DeploymentId, JobState, RunKey};

/// How an engine sees a run, in the few words that decisions need.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RunStatus {
    /// Accepted, not running yet: a queued application, INITIALIZING, CREATED, RECONCILING.
    Starting,
    /// RUNNING.
    Running,
    /// FAILING or RESTARTING: Flink's own restart strategy is at work.
    Restarting,
    /// CANCELLING, or ending after a stop.
    Cancelling,
    /// FAILED: the run is over.
    Failed,
    /// CANCELED: the run is over.
    Canceled,
    /// FINISHED: the run is over.
    Finished,
    /// A word of a newer engine; nothing is decided from it.
    Unknown(String),
}

impl RunStatus {
    /// Whether the run is over.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Failed | Self::Canceled | Self::Finished)
    }

    /// The state of a job whose run is seen like this and whose owner asked for nothing else.
    pub fn as_job_state(&self) -> JobState {
        match self {
            Self::Starting => JobState::Starting,
            Self::Running => JobState::Running,
            Self::Restarting => JobState::Restarting,
            Self::Cancelling => JobState::Cancelling,
            Self::Failed => JobState::Failed,
            Self::Canceled => JobState::Canceled,
            Self::Finished => JobState::Finished,
            Self::Unknown(word) => JobState::Unknown(word.clone()),
        }
    }
}

/// One run as a cluster sees it.
///
/// A run is recognised by Flink's JobID, by the deployment, or by the key that its tag carries:
/// at least one of the three is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Observation {
    /// Flink's JobID; None while an application has no JobManager yet.
    pub flink_job: Option<FlinkJobId>,
    /// The engine's place of the run.
    pub deployment: Option<DeploymentId>,
    /// Our key, where the engine carries our tag.
    pub key: Option<RunKey>,
    /// The name that the engine shows.
    #[serde(default)]
    pub name: String,
    /// The status in our words.
    pub status: RunStatus,
    /// The status in the engine's words.
    #[serde(default)]
    pub engine_status: String,
    /// When the run started, by the engine's clock.
    pub started_at: Option<Timestamp>,
    /// When it ended, by the engine's clock.
    pub ended_at: Option<Timestamp>,
    /// Tasks running, of all tasks; None where the engine does not say.
    pub tasks: Option<(u32, u32)>,
    /// A word from the engine worth showing: why an application waits, why it was refused.
    pub note: Option<String>,
    /// Of a run that is over: its tasks may go on until then, because the engine lost sight of them (a lost
    /// node, a JobManager that died). Nothing is started in its place before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks_until: Option<Timestamp>,
    /// Deployments that carried this run's tag beside `deployment`, and that the cluster ended for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<DeploymentId>,
    /// When this was learnt, by our clock.
    pub at: Timestamp,
}

impl Observation {
    /// A run with `flink_job` in `status`, learnt at `at`.
    pub fn of_job(flink_job: FlinkJobId, status: RunStatus, at: Timestamp) -> Self {
        Self { flink_job: Some(flink_job), ..Self::of_status(status, at) }
    }

    /// A deployment in `status`, learnt at `at`, whose JobID is not known yet.
    pub fn of_deployment(deployment: DeploymentId, status: RunStatus, at: Timestamp) -> Self {
        Self { deployment: Some(deployment), ..Self::of_status(status, at) }
    }

    fn of_status(status: RunStatus, at: Timestamp) -> Self {
        Self {
            flink_job: None,
            deployment: None,
            key: None,
            name: String::new(),
            status,
            engine_status: String::new(),
            started_at: None,
            ended_at: None,
            tasks: None,
            note: None,
            tasks_until: None,
            copies: Vec::new(),
            at,
        }
    }
}
