//! Jobs: which there are, how they are, why they failed, and how to cancel them.

use std::collections::BTreeMap;
use std::fmt;

use reqwest::Method;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::client::{Call, RestClient};
use super::cluster::Nothing;
use crate::Result;
use crate::flink::FlinkJobId;

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

#[derive(Deserialize)]
struct Jobs {
    jobs: Vec<JobOverview>,
}

#[derive(Deserialize)]
struct Status {
    status: JobStatus,
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
