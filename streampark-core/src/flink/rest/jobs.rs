//! Jobs: which there are, how they are, why they failed, and how to cancel them.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use reqwest::Method;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::client::{Call, RestClient};
use super::cluster::Nothing;
use crate::Result;
use crate::flink::{FlinkJobId, RootCause};

/// The state of a job in Flink's words (`org.apache.flink.api.common.JobStatus`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobStatus {
    /// Accepted, the JobMaster is being made.
    Initializing,
    /// Made, no task runs yet.
    Created,
    /// Some tasks run or are being scheduled.
    Running,
    /// Failed and cleaning up.
    Failing,
    /// Failed for good.
    Failed,
    /// Being cancelled.
    Cancelling,
    /// Cancelled.
    Canceled,
    /// Ended by itself, or stopped with a savepoint.
    Finished,
    /// Failed and about to run again.
    Restarting,
    /// Given up by this JobManager only; another may go on with it.
    Suspended,
    /// Waiting for its tasks to report after a failover.
    Reconciling,
    /// A word that this version of the SDK does not know.
    Unknown(String),
}

impl JobStatus {
    /// The word that Flink uses.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Failing => "FAILING",
            Self::Failed => "FAILED",
            Self::Cancelling => "CANCELLING",
            Self::Canceled => "CANCELED",
            Self::Finished => "FINISHED",
            Self::Restarting => "RESTARTING",
            Self::Suspended => "SUSPENDED",
            Self::Reconciling => "RECONCILING",
            Self::Unknown(word) => word,
        }
    }

    /// Whether the job can never run again under this id: `FAILED`, `CANCELED` or `FINISHED`.
    pub fn is_globally_terminal(&self) -> bool {
        matches!(self, Self::Failed | Self::Canceled | Self::Finished)
    }

    fn from_word(word: &str) -> Self {
        match word {
            "INITIALIZING" => Self::Initializing,
            "CREATED" => Self::Created,
            "RUNNING" => Self::Running,
            "FAILING" => Self::Failing,
            "FAILED" => Self::Failed,
            "CANCELLING" => Self::Cancelling,
            "CANCELED" => Self::Canceled,
            "FINISHED" => Self::Finished,
            "RESTARTING" => Self::Restarting,
            "SUSPENDED" => Self::Suspended,
            "RECONCILING" => Self::Reconciling,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for JobStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for JobStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = JobStatus;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a job status")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<JobStatus, E> {
                Ok(JobStatus::from_word(word))
            }
        }
        deserializer.deserialize_str(Word)
    }
}

/// One job of `GET /jobs/overview`, which is never stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct JobOverview {
    /// The id.
    pub jid: FlinkJobId,
    /// The name that the program gave it.
    #[serde(default)]
    pub name: String,
    /// The state now.
    pub state: JobStatus,
    /// When it started, in milliseconds since 1970.
    #[serde(default)]
    pub start_time: i64,
    /// When it ended, in milliseconds since 1970; -1 before that.
    #[serde(default = "never")]
    pub end_time: i64,
    /// For how long it has run, in milliseconds.
    #[serde(default)]
    pub duration: i64,
    /// When the state last changed, in milliseconds since 1970.
    #[serde(default)]
    pub last_modification: i64,
    /// How many tasks are in which state.
    #[serde(default)]
    pub tasks: TaskCounts,
}

fn never() -> i64 {
    -1
}

/// How many tasks of a job are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is named after the state it counts")]
pub struct TaskCounts {
    pub total: u32,
    pub created: u32,
    pub scheduled: u32,
    pub deploying: u32,
    pub initializing: u32,
    pub running: u32,
    pub finished: u32,
    pub canceling: u32,
    pub canceled: u32,
    pub failed: u32,
    pub reconciling: u32,
}

/// `GET /jobs/:id`. May be as old as `web.refresh-interval` (3 s by default).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct JobDetail {
    /// The id.
    pub jid: FlinkJobId,
    /// The name that the program gave it.
    #[serde(default)]
    pub name: String,
    /// The state.
    pub state: JobStatus,
    /// `STREAMING` or `BATCH` (since 1.18).
    #[serde(default)]
    pub job_type: Option<String>,
    /// When it started, in milliseconds since 1970.
    #[serde(default)]
    pub start_time: i64,
    /// When it ended, in milliseconds since 1970; -1 before that.
    #[serde(default = "never")]
    pub end_time: i64,
    /// For how long it has run, in milliseconds.
    #[serde(default)]
    pub duration: i64,
    /// The server's time of this answer, in milliseconds since 1970.
    #[serde(default)]
    pub now: i64,
    /// When each state was last entered, in milliseconds since 1970; 0 where never.
    #[serde(default)]
    pub timestamps: BTreeMap<String, i64>,
    /// The chained operators.
    #[serde(default)]
    pub vertices: Vec<JobVertex>,
}

/// One vertex (a chain of operators) of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct JobVertex {
    /// The id, 32 hexadecimal digits.
    pub id: String,
    /// The names of its operators.
    #[serde(default)]
    pub name: String,
    /// How many subtasks it has.
    #[serde(default)]
    pub parallelism: i32,
    /// The largest parallelism its state allows.
    #[serde(default, rename = "maxParallelism")]
    pub max_parallelism: i32,
    /// The state of all its subtasks taken together, an `ExecutionState`.
    #[serde(default)]
    pub status: String,
    /// How many subtasks are in which state.
    #[serde(default)]
    pub tasks: VertexTaskCounts,
}

/// How many subtasks of a vertex are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is named after the state it counts")]
pub struct VertexTaskCounts {
    pub created: u32,
    pub scheduled: u32,
    pub deploying: u32,
    pub initializing: u32,
    pub running: u32,
    pub finished: u32,
    pub canceling: u32,
    pub canceled: u32,
    pub failed: u32,
    pub reconciling: u32,
}

/// `GET /jobs/:id/config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct JobConfig {
    /// The id.
    pub jid: FlinkJobId,
    /// The name that the program gave it.
    #[serde(default)]
    pub name: String,
    /// How it runs; none where the JobManager no longer knows.
    #[serde(default)]
    pub execution_config: Option<JobExecutionConfig>,
}

/// How a job runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct JobExecutionConfig {
    /// The restart strategy in Flink's words.
    pub restart_strategy: String,
    /// The default parallelism.
    pub job_parallelism: i32,
    /// Whether objects are reused between operators.
    pub object_reuse_mode: bool,
    /// What the program set as global job parameters.
    pub user_config: BTreeMap<String, Option<String>>,
}

/// `GET /jobs/:id/exceptions`, the form of 1.x and that of 2.x in one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobExceptions {
    /// What made the job fail or restart last; none where nothing did.
    pub root: Option<RootCause>,
    /// Failures that are still remembered, the newest first.
    pub history: Vec<ExceptionEntry>,
    /// Whether older ones were left out.
    pub truncated: bool,
}

/// One remembered failure.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExceptionEntry {
    /// The failure.
    pub cause: RootCause,
    /// Failures of other tasks that came with it.
    pub concurrent: Vec<ConcurrentException>,
}

/// A failure that came with another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConcurrentException {
    /// The failure.
    pub cause: RootCause,
}

#[derive(Deserialize)]
struct Jobs {
    jobs: Vec<JobOverview>,
}

#[derive(Deserialize)]
struct Status {
    status: JobStatus,
}

#[derive(Deserialize)]
struct ExceptionsWire {
    #[serde(rename = "root-exception", default)]
    root: Option<String>,
    #[serde(default)]
    timestamp: Option<i64>,
    #[serde(rename = "exceptionHistory", default)]
    history: Option<HistoryWire>,
}

#[derive(Deserialize)]
struct HistoryWire {
    #[serde(default)]
    entries: Vec<EntryWire>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryWire {
    #[serde(default)]
    stacktrace: Option<String>,
    #[serde(default)]
    exception_name: Option<String>,
    #[serde(default)]
    timestamp: Option<i64>,
    #[serde(default)]
    task_name: Option<String>,
    #[serde(default)]
    task_manager_id: Option<String>,
    #[serde(default)]
    failure_labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    concurrent_exceptions: Option<Vec<EntryWire>>,
}

impl EntryWire {
    fn cause(&self) -> RootCause {
        let text = match (&self.stacktrace, &self.exception_name) {
            (Some(trace), _) if !trace.is_empty() => trace.as_str(),
            (_, Some(name)) => name.as_str(),
            _ => "",
        };
        let mut cause = RootCause::from_stacktrace(text);
        cause.task = self.task_name.clone().filter(|name| !name.is_empty());
        cause.taskmanager = self.task_manager_id.clone().filter(|id| !id.is_empty() && id != "(unassigned)");
        cause.at = self.timestamp.and_then(|millis| Timestamp::from_millisecond(millis).ok());
        cause.labels = self.failure_labels.clone().unwrap_or_default();
        cause
    }
}

impl<'de> Deserialize<'de> for JobExceptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = ExceptionsWire::deserialize(deserializer)?;
        let history_wire = wire.history.unwrap_or(HistoryWire { entries: Vec::new(), truncated: false });
        let history: Vec<ExceptionEntry> = history_wire
            .entries
            .iter()
            .map(|entry| ExceptionEntry {
                cause: entry.cause(),
                concurrent: entry
                    .concurrent_exceptions
                    .iter()
                    .flatten()
                    .map(|other| ConcurrentException { cause: other.cause() })
                    .collect(),
            })
            .collect();
        // 1.x names the root beside the history; the history knows task and TaskManager as well.
        let root = match (history.first(), wire.root.filter(|text| !text.is_empty())) {
            (Some(newest), _) => Some(newest.cause.clone()),
            (None, Some(text)) => {
                let mut cause = RootCause::from_stacktrace(&text);
                cause.at = wire.timestamp.and_then(|millis| Timestamp::from_millisecond(millis).ok());
                Some(cause)
            }
            (None, None) => None,
        };
        Ok(Self { root, history, truncated: history_wire.truncated })
    }
}

impl RestClient {
    /// Every job that the cluster knows, ended ones included as long as they are kept
    /// (`jobstore.expiration-time`, 1 h by default). One request, whatever the number of jobs.
    ///
    /// # Errors
    /// As [`overview`](Self::overview).
    pub async fn jobs(&self) -> Result<Vec<JobOverview>> {
        let answer: Jobs = self.json(Call::get("flink.jobs", &["jobs", "overview"])).await?;
        Ok(answer.jobs)
    }

    /// One job with its vertices; up to 3 s old.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `NotFound` for an unknown job.
    pub async fn job(&self, job: &FlinkJobId) -> Result<JobDetail> {
        let id = job.to_string();
        let call = Call::get("flink.jobs.get", &["jobs", &id]);
        self.json(call).await.map_err(|e| e.with_context("job", job))
    }

    /// The state of one job, never stale.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `NotFound` for an unknown job (Flink itself answers 500).
    pub async fn job_status(&self, job: &FlinkJobId) -> Result<JobStatus> {
        let id = job.to_string();
        let call = Call::get("flink.jobs.status", &["jobs", &id, "status"]);
        let answer: Status = self.json(call).await.map_err(|e| e.with_context("job", job))?;
        Ok(answer.status)
    }

    /// The execution configuration of one job.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `NotFound` for an unknown job.
    pub async fn job_config(&self, job: &FlinkJobId) -> Result<JobConfig> {
        let id = job.to_string();
        let call = Call::get("flink.jobs.config", &["jobs", &id, "config"]);
        self.json(call).await.map_err(|e| e.with_context("job", job))
    }

    /// Why one job failed or restarted; up to 3 s old.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `NotFound` for an unknown job.
    pub async fn job_exceptions(&self, job: &FlinkJobId) -> Result<JobExceptions> {
        let id = job.to_string();
        let call = Call::get("flink.jobs.exceptions", &["jobs", &id, "exceptions"]);
        self.json(call).await.map_err(|e| e.with_context("job", job))
    }

    /// Cancels one job without savepoint; returns when Flink has taken the order, not when the job has ended.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `NotFound` for an unknown job, `Conflict` where it ended
    /// before; `status` is `Unknown` where the answer was lost.
    pub async fn cancel(&self, job: &FlinkJobId) -> Result<()> {
        let id = job.to_string();
        let path = ["jobs", id.as_str()];
        let call = Call::new("flink.jobs.cancel", Method::PATCH, &path).query(&[("mode", "cancel")]);
        self.json::<Nothing>(call).await.map(|_| ()).map_err(|e| e.with_context("job", job))
    }
}
