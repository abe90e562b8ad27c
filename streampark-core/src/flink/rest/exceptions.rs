//! Why a job failed or restarted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::client::{Call, RestClient};
use crate::Result;
use crate::flink::{FlinkJobId, RootCause};

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
    pub concurrent: Vec<RootCause>,
}

impl ExceptionEntry {
    /// The failure with its place: one that ended the job names no task, but the same failure among
    /// the concurrent ones does.
    fn located(&self) -> RootCause {
        let mut cause = self.cause.clone();
        if cause.task.is_none() {
            let same = |other: &&RootCause| other.class == cause.class && other.message == cause.message;
            if let Some(place) = self.concurrent.iter().find(same) {
                cause.task = place.task.clone();
                cause.taskmanager = place.taskmanager.clone();
            }
        }
        cause
    }
}

impl RestClient {
    /// Why one job failed or restarted; up to 3 s old.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `NotFound` for an unknown job.
    pub async fn job_exceptions(&self, job: &FlinkJobId) -> Result<JobExceptions> {
        let id = job.to_string();
        let call = Call::get("flink.jobs.exceptions", &["jobs", &id, "exceptions"]);
        self.json(call).await.map_err(|e| e.with_context("job", job))
    }
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
                concurrent: entry.concurrent_exceptions.iter().flatten().map(EntryWire::cause).collect(),
            })
            .collect();
        // 1.x names the root beside the history; the history knows task and TaskManager as well.
        let root = match (history.first(), wire.root.filter(|text| !text.is_empty())) {
            (Some(newest), _) => Some(newest.located()),
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
