//! The cluster itself: overview, settings, TaskManagers and logs.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use reqwest::{Method, Response};
use serde::{Deserialize, Serialize};

use super::client::{Call, RestClient};
use crate::flink::FlinkVersion;
use crate::{Error, ErrorKind, Result, is_sensitive_key};

/// `GET /overview`: slots and jobs of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ClusterOverview {
    /// TaskManagers that are registered.
    #[serde(default)]
    pub taskmanagers: u32,
    /// Slots of all of them.
    #[serde(default)]
    pub slots_total: u32,
    /// Slots that are free.
    #[serde(default)]
    pub slots_available: u32,
    /// Jobs that have not ended.
    #[serde(default)]
    pub jobs_running: u32,
    /// Jobs that ended by themselves.
    #[serde(default)]
    pub jobs_finished: u32,
    /// Jobs that were cancelled.
    #[serde(default)]
    pub jobs_cancelled: u32,
    /// Jobs that failed for good.
    #[serde(default)]
    pub jobs_failed: u32,
    /// The version that the cluster runs.
    pub flink_version: FlinkVersion,
    /// The commit that it was built from.
    #[serde(default)]
    pub flink_commit: String,
}

/// `GET /config`: what the web interface is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ClusterConfig {
    /// How old the answers about a single job may be, in milliseconds (`web.refresh-interval`).
    #[serde(default)]
    pub refresh_interval: i64,
    /// The version that the cluster runs.
    pub flink_version: FlinkVersion,
    /// The commit that it was built from, and when.
    #[serde(default)]
    pub flink_revision: String,
    /// What the cluster allows.
    #[serde(default)]
    pub features: ClusterFeatures,
}

/// What a cluster allows by REST.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct ClusterFeatures {
    /// Jars may be uploaded and run (`web.submit.enable`); never true in application mode.
    pub web_submit: bool,
    /// Jobs may be cancelled from the web page (`web.cancel.enable`).
    pub web_cancel: bool,
    /// Jobs may be rescaled (`web.rescale.enable`).
    pub web_rescale: bool,
    /// This is a history server.
    pub web_history: bool,
}

/// One TaskManager of `GET /taskmanagers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskManager {
    /// Its resource id.
    pub id: String,
    /// Its RPC address.
    #[serde(default)]
    pub path: String,
    /// The port of its network stack.
    #[serde(default)]
    pub data_port: i32,
    /// When it was last heard of, in milliseconds since 1970.
    #[serde(default)]
    pub time_since_last_heartbeat: i64,
    /// Its slots.
    #[serde(default)]
    pub slots_number: u32,
    /// Its free slots.
    #[serde(default)]
    pub free_slots: u32,
    /// Everything it has.
    #[serde(default)]
    pub total_resource: TaskManagerResource,
    /// What is not taken.
    #[serde(default)]
    pub free_resource: TaskManagerResource,
    /// The machine under it.
    #[serde(default)]
    pub hardware: TaskManagerHardware,
    /// Whether it takes no new tasks (since 1.18).
    #[serde(default)]
    pub blocked: bool,
}

/// Memory and processors of a TaskManager; memory in MiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TaskManagerResource {
    /// Processors.
    pub cpu_cores: f64,
    /// Heap for tasks.
    pub task_heap_memory: i64,
    /// Direct and native memory for tasks.
    pub task_off_heap_memory: i64,
    /// Memory that Flink manages.
    pub managed_memory: i64,
    /// Network buffers.
    pub network_memory: i64,
}

/// The machine under a TaskManager; memory in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TaskManagerHardware {
    /// Processors that Java sees.
    pub cpu_cores: u32,
    /// Memory of the machine.
    pub physical_memory: i64,
    /// Heap of the JVM.
    pub free_memory: i64,
    /// Memory that Flink manages.
    pub managed_memory: i64,
}

/// One line of `GET /jobmanager/config`; `Debug` masks what must not be shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConfigEntry {
    /// The key.
    pub key: String,
    /// The value; Flink masks secrets itself.
    pub value: String,
}

impl std::fmt::Debug for ConfigEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = if is_sensitive_key(&self.key) { crate::REDACTED } else { &self.value };
        write!(f, "{}: {value}", self.key)
    }
}

/// Whose log is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogSource {
    /// The JobManager that answers.
    JobManager,
    /// The TaskManager with this id.
    TaskManager(String),
}

/// One file of a log folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogFile {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    #[serde(default)]
    pub size: u64,
    /// When it was last written, in milliseconds since 1970 (since 1.18, else 0).
    #[serde(default)]
    pub mtime: i64,
}

#[derive(Deserialize)]
struct TaskManagers {
    taskmanagers: Vec<TaskManager>,
}

#[derive(Deserialize)]
struct Logs {
    logs: Vec<LogFile>,
}

/// An answer without content.
#[derive(Deserialize)]
pub(super) struct Nothing {}

impl RestClient {
    /// Slots and jobs of the cluster.
    ///
    /// # Errors
    /// Those of every question: `Unreachable`, `Timeout`, `UnexpectedResponse`, `Remote`,
    /// `Unauthenticated`, `PermissionDenied`.
    pub async fn overview(&self) -> Result<ClusterOverview> {
        let overview: ClusterOverview = self.json(Call::get("flink.overview", &["overview"])).await?;
        self.remember_version(&overview.flink_version);
        Ok(overview)
    }

    /// What the cluster is and allows.
    ///
    /// # Errors
    /// As [`overview`](Self::overview).
    pub async fn config(&self) -> Result<ClusterConfig> {
        let config: ClusterConfig = self.json(Call::get("flink.config", &["config"])).await?;
        self.remember_version(&config.flink_version);
        Ok(config)
    }

    /// The configuration that the JobManager runs with, sorted by key.
    ///
    /// # Errors
    /// As [`overview`](Self::overview).
    pub async fn jobmanager_config(&self) -> Result<Vec<ConfigEntry>> {
        let call = Call::get("flink.jobmanager.config", &["jobmanager", "config"]);
        let mut entries: Vec<ConfigEntry> = self.json(call).await?;
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }

    /// The TaskManagers that are registered.
    ///
    /// # Errors
    /// As [`overview`](Self::overview).
    pub async fn taskmanagers(&self) -> Result<Vec<TaskManager>> {
        let answer: TaskManagers = self.json(Call::get("flink.taskmanagers", &["taskmanagers"])).await?;
        Ok(answer.taskmanagers)
    }

    /// The files in the log folder of a process.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `NotFound` for an unknown TaskManager.
    pub async fn logs(&self, source: &LogSource) -> Result<Vec<LogFile>> {
        let answer: Logs = match source {
            LogSource::JobManager => self.json(Call::get("flink.logs", &["jobmanager", "logs"])).await?,
            LogSource::TaskManager(id) => self.json(Call::get("flink.logs", &["taskmanagers", id, "logs"])).await?,
        };
        Ok(answer.logs)
    }

    /// The last `tail` bytes of a log file, from the start of a line where it was cut.
    ///
    /// Flink always sends the whole file; no more than `tail` bytes of it are kept. Bytes that are
    /// no UTF-8 are replaced.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `NotFound` for an unknown file.
    pub async fn read_log(&self, source: &LogSource, name: &str, tail: usize) -> Result<String> {
        const OPERATION: &str = "flink.logs.read";
        let manager: [&str; 3] = ["jobmanager", "logs", name];
        let response = match source {
            LogSource::JobManager => self.open_stream(Call::get(OPERATION, &manager)).await?,
            // The JobManager fetches the file first.
            LogSource::TaskManager(id) => {
                let path = ["taskmanagers", id, "logs", name];
                self.open_stream(Call::get(OPERATION, &path).timeout(self.options().transfer_timeout)).await?
            }
        };
        let stream = Box::pin(chunks(response).map_err(|e| e.with_context("file", name)));
        last_bytes(stream, tail).await
    }

    /// The log that the process itself writes (`log.file`), from its beginning, piece by piece.
    ///
    /// # Errors
    /// As [`overview`](Self::overview), also of each piece; `NotFound` for an unknown TaskManager, or
    /// where the process writes no log.
    pub async fn main_log(&self, source: &LogSource) -> Result<impl Stream<Item = Result<Bytes>> + Send + use<>> {
        const OPERATION: &str = "flink.log";
        let response = match source {
            LogSource::JobManager => self.open_stream(Call::get(OPERATION, &["jobmanager", "log"])).await?,
            LogSource::TaskManager(id) => {
                let path = ["taskmanagers", id, "log"];
                self.open_stream(Call::get(OPERATION, &path).timeout(self.options().transfer_timeout)).await?
            }
        };
        Ok(chunks(response))
    }

    /// The last `tail` bytes of [`main_log`](Self::main_log), from the start of a line where it was cut.
    ///
    /// # Errors
    /// As [`main_log`](Self::main_log).
    pub async fn main_log_tail(&self, source: &LogSource, tail: usize) -> Result<String> {
        last_bytes(Box::pin(self.main_log(source).await?), tail).await
    }

    /// Ends the cluster (`DELETE /cluster`): its jobs stop, its processes exit.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `status` is `Unknown` where the answer was lost.
    pub async fn shut_down_cluster(&self) -> Result<()> {
        let call = Call::new("flink.cluster.shut_down", Method::DELETE, &["cluster"]);
        self.json::<Nothing>(call).await.map(|_| ())
    }
}

fn chunks(response: Response) -> impl Stream<Item = Result<Bytes>> + Send {
    response.bytes_stream().map_err(|source| {
        Error::new(ErrorKind::Unreachable, "the connection broke while the log was read")
            .with_operation("flink.log")
            .with_source(source.without_url())
    })
}

/// Flink always sends the whole file; no more than `tail` bytes of it are kept.
async fn last_bytes(mut chunks: impl Stream<Item = Result<Bytes>> + Unpin, tail: usize) -> Result<String> {
    let mut kept: VecDeque<u8> = VecDeque::new();
    let mut cut = false;
    while let Some(chunk) = chunks.next().await {
        kept.extend(chunk?.iter());
        let surplus = kept.len().saturating_sub(tail);
        kept.drain(..surplus);
        cut |= surplus > 0;
    }
    let bytes = Vec::from(kept);
    let start = if cut { bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1) } else { 0 };
    Ok(String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned())
}
