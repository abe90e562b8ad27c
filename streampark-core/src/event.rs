//! The history: one row per change, and the stream that embedders follow.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::job::{JobId, JobState, RunKey};

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A job was created.
    JobCreated,
    /// A job's spec got a new version.
    SpecChanged,
    /// A job was renamed, removed or otherwise edited by a person.
    JobChanged,
    /// A job was deleted.
    JobDeleted,
    /// Somebody asked for another desired state, a savepoint, an upgrade.
    Requested,
    /// An intent was written: a submission is about to leave.
    SubmissionIntended,
    /// What the names in a run's spec stand for was written down: commits, artifacts, versions.
    RunPinned,
    /// A cluster accepted a run.
    SubmissionAccepted,
    /// A submission was refused.
    SubmissionRefused,
    /// A submission's answer is lost.
    SubmissionInDoubt,
    /// A job's state changed.
    StateChanged,
    /// What is known of a run changed: reachable or not, listed or not.
    KnowledgeChanged,
    /// A restore point was recorded.
    RestorePointRecorded,
    /// A run failed.
    RunFailed,
    /// A restart was decided.
    RestartDecided,
    /// An operation ended.
    OperationEnded,
    /// A running job was taken over.
    JobAdopted,
    /// A cluster stopped or started to answer.
    ClusterChanged,
    /// An alert was written to the outbox.
    AlertRaised,
    /// A second deployment of a run was found on its cluster and ended.
    CopyEnded,
    /// A project was declared, changed or removed.
    ProjectChanged,
    /// The code of a project was synchronised, or could not be.
    ProjectSynced,
    /// A build was asked for.
    BuildQueued,
    /// The turn of a build came.
    BuildStarted,
    /// A build left artifacts behind.
    BuildSucceeded,
    /// A build failed.
    BuildFailed,
    /// Somebody ended a build.
    BuildCancelled,
    /// The process that ran a build ended before it did.
    BuildInterrupted,
}

impl EventKind {
    /// The name, for example `run_failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JobCreated => "job_created",
            Self::SpecChanged => "spec_changed",
            Self::JobChanged => "job_changed",
            Self::JobDeleted => "job_deleted",
            Self::Requested => "requested",
            Self::SubmissionIntended => "submission_intended",
            Self::RunPinned => "run_pinned",
            Self::SubmissionAccepted => "submission_accepted",
            Self::SubmissionRefused => "submission_refused",
            Self::SubmissionInDoubt => "submission_in_doubt",
            Self::StateChanged => "state_changed",
            Self::KnowledgeChanged => "knowledge_changed",
            Self::RestorePointRecorded => "restore_point_recorded",
            Self::RunFailed => "run_failed",
            Self::RestartDecided => "restart_decided",
            Self::OperationEnded => "operation_ended",
            Self::JobAdopted => "job_adopted",
            Self::ClusterChanged => "cluster_changed",
            Self::AlertRaised => "alert_raised",
            Self::CopyEnded => "copy_ended",
            Self::ProjectChanged => "project_changed",
            Self::ProjectSynced => "project_synced",
            Self::BuildQueued => "build_queued",
            Self::BuildStarted => "build_started",
            Self::BuildSucceeded => "build_succeeded",
            Self::BuildFailed => "build_failed",
            Self::BuildCancelled => "build_cancelled",
            Self::BuildInterrupted => "build_interrupted",
        }
    }
}

/// One row of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Position in the history: given by the store on commit, increasing, 0 before that.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Who: the embedder's name for the person or service, or `supervisor`.
    pub actor: String,
    /// One line for people.
    pub message: String,
    /// The job it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The job's name at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_name: Option<String>,
    /// The run it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunKey>,
    /// The cluster it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The state before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<JobState>,
    /// The state after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<JobState>,
    /// What went wrong, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Facts for tools: restore point, application id, delays. No secrets.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

impl Event {
    /// The name under which the engine itself acts.
    pub const SUPERVISOR: &'static str = "supervisor";

    /// An event of `kind` by `actor`.
    pub fn new(kind: EventKind, actor: impl Into<String>, at: Timestamp, message: impl Into<String>) -> Self {
        Self {
            sequence: 0,
            at,
            kind,
            actor: actor.into(),
            message: message.into(),
            job: None,
            job_name: None,
            run: None,
            cluster: None,
            from: None,
            to: None,
            error: None,
            data: Value::Null,
        }
    }
}
