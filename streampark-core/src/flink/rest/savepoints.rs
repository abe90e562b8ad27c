//! Savepoints and stopping with one: asynchronous operations whose identity the caller chooses.

use std::time::Duration;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout_at};

use super::client::{Call, RestClient};
use crate::flink::{FlinkJobId, RootCause, TriggerId};
use crate::{Error, ErrorKind, ErrorStatus, Result};

/// How a savepoint is written (`org.apache.flink.core.execution.SavepointFormatType`, since 1.15).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum SavepointFormat {
    /// The same for every state backend: slower, but the backend may change.
    #[default]
    Canonical,
    /// The backend's own: faster.
    Native,
}

/// What `POST /jobs/:id/savepoints` is asked.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TriggerSavepoint {
    /// The identity of the operation. Sent twice, it starts once (`AsynchronousJobOperationKey`).
    #[serde(rename = "triggerId")]
    pub trigger: TriggerId,
    /// Where to write; by default the cluster's savepoint folder.
    #[serde(rename = "target-directory", skip_serializing_if = "Option::is_none")]
    pub target_directory: Option<String>,
    /// How to write.
    #[serde(rename = "formatType")]
    pub format: SavepointFormat,
    /// Whether the job is cancelled afterwards; prefer [`StopJob`], which loses no output.
    #[serde(rename = "cancel-job")]
    pub cancel_job: bool,
}

impl TriggerSavepoint {
    /// A savepoint in canonical form into the cluster's own folder.
    pub fn new(trigger: TriggerId) -> Self {
        Self { trigger, target_directory: None, format: SavepointFormat::default(), cancel_job: false }
    }

    /// Sets where to write.
    #[must_use]
    pub fn target_directory(mut self, directory: impl Into<String>) -> Self {
        self.target_directory = Some(directory.into());
        self
    }

    /// Sets how to write.
    #[must_use]
    pub fn format(mut self, format: SavepointFormat) -> Self {
        self.format = format;
        self
    }

    /// Cancels the job afterwards.
    #[must_use]
    pub fn cancel_job(mut self, yes: bool) -> Self {
        self.cancel_job = yes;
        self
    }
}

/// What `POST /jobs/:id/stop` is asked.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StopJob {
    /// The identity of the operation. Sent twice, it starts once.
    #[serde(rename = "triggerId")]
    pub trigger: TriggerId,
    /// Where to write; by default the cluster's savepoint folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_directory: Option<String>,
    /// How to write.
    #[serde(rename = "formatType")]
    pub format: SavepointFormat,
    /// Whether the largest watermark is sent first, so that timers fire and windows close: only for
    /// a job that is not to go on from this savepoint.
    pub drain: bool,
}

impl StopJob {
    /// Stops with a savepoint in canonical form into the cluster's own folder, without draining.
    pub fn new(trigger: TriggerId) -> Self {
        Self { trigger, target_directory: None, format: SavepointFormat::default(), drain: false }
    }

    /// Sets where to write.
    #[must_use]
    pub fn target_directory(mut self, directory: impl Into<String>) -> Self {
        self.target_directory = Some(directory.into());
        self
    }

    /// Sets how to write.
    #[must_use]
    pub fn format(mut self, format: SavepointFormat) -> Self {
        self.format = format;
        self
    }

    /// Drains the job first.
    #[must_use]
    pub fn drain(mut self, yes: bool) -> Self {
        self.drain = yes;
        self
    }
}

/// How far a savepoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SavepointStatus {
    /// Under way.
    InProgress,
    /// Done.
    Completed(Savepoint),
    /// Failed; a job that was to be stopped goes on, or fails.
    Failed(RootCause),
}

/// A savepoint that is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Savepoint {
    /// Where it lies.
    pub location: String,
}

#[derive(Deserialize)]
struct Triggered {
    #[serde(rename = "request-id")]
    trigger: TriggerId,
}

#[derive(Deserialize)]
struct OperationWire {
    status: OperationState,
    #[serde(default)]
    operation: Option<OperationResult>,
}

#[derive(Deserialize)]
struct OperationState {
    id: String,
}

#[derive(Deserialize)]
struct OperationResult {
    #[serde(default)]
    location: Option<String>,
    #[serde(default, rename = "failure-cause")]
    failure: Option<FailureWire>,
}

#[derive(Deserialize)]
struct FailureWire {
    #[serde(default, rename = "class")]
    class: String,
    #[serde(default, rename = "stack-trace")]
    stack_trace: String,
}

impl RestClient {
    /// Starts a savepoint and returns its trigger id, that of `request`.
    ///
    /// Sent again with the same trigger id it starts nothing new, as long as the JobManager lives
    /// and remembers (`rest.async.store-duration`, 5 min after the end).
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `NotFound` for an unknown job, `InvalidInput` where neither
    /// the request nor the cluster names a folder; `status` is `Unknown` where the answer was lost.
    pub async fn trigger_savepoint(&self, job: &FlinkJobId, request: &TriggerSavepoint) -> Result<TriggerId> {
        let id = job.to_string();
        let path = ["jobs", id.as_str(), "savepoints"];
        let call = Call::new("flink.savepoints.trigger", Method::POST, &path).json(request)?;
        let answer: Triggered = self.json(call).await.map_err(|e| e.with_context("job", job))?;
        Ok(answer.trigger)
    }

    /// Stops a job with a savepoint and returns the trigger id of that savepoint; the job ends as
    /// `FINISHED`. See [`trigger_savepoint`](Self::trigger_savepoint) about sending again.
    ///
    /// # Errors
    /// As [`trigger_savepoint`](Self::trigger_savepoint).
    pub async fn stop(&self, job: &FlinkJobId, request: &StopJob) -> Result<TriggerId> {
        let id = job.to_string();
        let path = ["jobs", id.as_str(), "stop"];
        let call = Call::new("flink.jobs.stop", Method::POST, &path).json(request)?;
        let answer: Triggered = self.json(call).await.map_err(|e| e.with_context("job", job))?;
        Ok(answer.trigger)
    }

    /// How far a savepoint, or a stop with one, is.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `NotFound` where the JobManager does not know, or no longer
    /// remembers, the trigger id.
    pub async fn savepoint_status(&self, job: &FlinkJobId, trigger: &TriggerId) -> Result<SavepointStatus> {
        let (id, trigger_text) = (job.to_string(), trigger.to_string());
        let path = ["jobs", id.as_str(), "savepoints", trigger_text.as_str()];
        let told = |e: Error| e.with_context("job", job).with_context("trigger", trigger);
        let wire: OperationWire = self.json(Call::get("flink.savepoints.status", &path)).await.map_err(told)?;
        if wire.status.id != "COMPLETED" {
            return Ok(SavepointStatus::InProgress);
        }
        match wire.operation {
            Some(OperationResult { location: Some(location), .. }) => {
                Ok(SavepointStatus::Completed(Savepoint { location }))
            }
            Some(OperationResult { failure: Some(failure), .. }) => {
                let text = if failure.stack_trace.is_empty() { &failure.class } else { &failure.stack_trace };
                Ok(SavepointStatus::Failed(RootCause::from_stacktrace(text)))
            }
            _ => Err(told(
                Error::new(ErrorKind::UnexpectedResponse, "the savepoint ended with neither a location nor a failure")
                    .with_operation("flink.savepoints.status"),
            )),
        }
    }

    /// Waits until a savepoint is complete, for `patience` at most. Asks every 100 ms at first,
    /// later every 2 s; a question that fails in passing is asked again.
    ///
    /// # Errors
    /// `Timeout` with status `Unknown` after `patience`: the savepoint may still complete. `Remote`
    /// with status `Permanent` where it failed, with Flink's reason. `NotFound` with status `Unknown`
    /// where the trigger id is not known any more.
    pub async fn await_savepoint(
        &self,
        job: &FlinkJobId,
        trigger: &TriggerId,
        patience: Duration,
    ) -> Result<Savepoint> {
        const OPERATION: &str = "flink.savepoints.await";
        let deadline = Instant::now() + patience;
        let told = |e: Error| e.with_operation(OPERATION).with_context("job", job).with_context("trigger", trigger);
        let mut pause = Duration::from_millis(100);
        let mut last = None;
        loop {
            match timeout_at(deadline, self.savepoint_status(job, trigger)).await {
                Ok(Ok(SavepointStatus::Completed(savepoint))) => return Ok(savepoint),
                Ok(Ok(SavepointStatus::Failed(cause))) => {
                    let message = format!("the savepoint failed: {}", cause.one_line());
                    return Err(told(Error::new(ErrorKind::Remote, message).with_status(ErrorStatus::Permanent)));
                }
                Ok(Ok(SavepointStatus::InProgress)) => {}
                Ok(Err(error)) if error.is_retryable() => last = Some(error),
                Ok(Err(error)) => {
                    let unknown = error.kind() == ErrorKind::NotFound;
                    return Err(told(if unknown { error.with_status(ErrorStatus::Unknown) } else { error }));
                }
                Err(_) => {}
            }
            if Instant::now() + pause >= deadline {
                let error = Error::new(
                    ErrorKind::Timeout,
                    format!("the savepoint was not complete after {} s; it may still become so", patience.as_secs()),
                )
                .with_status(ErrorStatus::Unknown);
                return Err(told(match last {
                    Some(source) => error.with_source(source),
                    None => error,
                }));
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}
