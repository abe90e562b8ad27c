//! Flink's words in ours, and ours in Flink's.

use jiff::Timestamp;

use super::JobManager;
use crate::cluster::observation::{Observation, RunStatus};
use crate::cluster::submission::{SavepointFormat, SavepointOptions};
use crate::flink::rest;
use crate::flink::{JobStatus, RootCause, TriggerId};
use crate::job::{Failure, FailureClass, SqlFailure};

/// A stack trace is kept up to this length.
const DETAIL: usize = 64 * 1024;

pub(super) fn trigger_of(options: &SavepointOptions) -> TriggerId {
    match options.trigger_id {
        Some(id) => TriggerId::from_hash(&hex::decode(id.to_string()).unwrap_or_default()),
        None => TriggerId::from_hash(uuid::Uuid::new_v4().as_bytes()),
    }
}

pub(super) fn format_of(options: &SavepointOptions) -> rest::SavepointFormat {
    match options.format {
        SavepointFormat::Canonical => rest::SavepointFormat::Canonical,
        SavepointFormat::Native => rest::SavepointFormat::Native,
    }
}

pub(super) fn time(milliseconds: i64) -> Option<Timestamp> {
    (milliseconds > 0).then(|| Timestamp::from_millisecond(milliseconds).ok()).flatten()
}

pub(super) fn observation(job: rest::JobOverview, now: Timestamp) -> Observation {
    let mut seen = Observation::of_job(job.jid, status_of(&job.state), now);
    seen.name = job.name;
    seen.engine_status = job.state.to_string();
    seen.started_at = time(job.start_time);
    seen.ended_at = time(job.end_time);
    seen.tasks = Some((job.tasks.running, job.tasks.total));
    seen
}

impl JobManager {
    /// A root cause in the words of the user's own statement where it is one of SQL, else in Flink's.
    pub fn failure_of(cause: &RootCause) -> Failure {
        failure_of(cause)
    }

    /// Flink's word for the state of a job in ours.
    pub fn status_of(status: &JobStatus) -> RunStatus {
        status_of(status)
    }
}

/// Flink's word in ours.
pub(super) fn status_of(status: &JobStatus) -> RunStatus {
    match status {
        JobStatus::Initializing | JobStatus::Created | JobStatus::Reconciling | JobStatus::Suspended => {
            RunStatus::Starting
        }
        JobStatus::Running => RunStatus::Running,
        JobStatus::Failing | JobStatus::Restarting => RunStatus::Restarting,
        JobStatus::Cancelling => RunStatus::Cancelling,
        JobStatus::Failed => RunStatus::Failed,
        JobStatus::Canceled => RunStatus::Canceled,
        JobStatus::Finished => RunStatus::Finished,
        JobStatus::Unknown(word) => RunStatus::Unknown(word.clone()),
    }
}

/// A failure in the words of the user's own statement where it is one of SQL, else Flink's root cause.
pub(super) fn failure_of(cause: &RootCause) -> Failure {
    if let Some(sql) = SqlFailure::find(&cause.stacktrace) {
        return sql.to_failure();
    }
    let mut failure = Failure::new(cause.message.clone()).with_class(cause.class.clone());
    let detail: String = cause.stacktrace.chars().take(DETAIL).collect();
    failure.detail = (!detail.is_empty()).then_some(detail);
    failure.task = cause.task.clone();
    failure.at = cause.at;
    failure.labels = cause.labels.clone();
    failure.class_of = match cause.classify() {
        crate::flink::FailureClass::Fatal => FailureClass::Fatal,
        crate::flink::FailureClass::Environment => FailureClass::Environment,
        _ => FailureClass::Unknown,
    };
    failure
}
