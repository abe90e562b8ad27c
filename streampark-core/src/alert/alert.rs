//! What people are told.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::{Failure, JobId, RunKey};

/// Identity of an alert: the same on every attempt to deliver it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(Uuid);

impl AlertId {
    /// A new identity; later ones sort after earlier ones.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The identity made of these 128 bits.
    pub fn from_u128(value: u128) -> Self {
        Self(Uuid::from_u128(value))
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good news, or none: something is well again.
    Info,
    /// The engine copes by itself; look when there is time.
    Warning,
    /// A job does not do its work.
    Error,
    /// A person must act.
    Critical,
}

impl Severity {
    /// The name, for example `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AlertKind {
    /// A run failed.
    JobFailed,
    /// A job that failed is running again.
    JobRecovered,
    /// A job failed too often and is parked.
    CrashLoop,
    /// A job is parked for another reason: no usable restore point, a submission that cannot be resolved.
    JobParked,
    /// A submission was refused for good.
    SubmissionFailed,
    /// A run is no longer listed by its cluster.
    JobVanished,
    /// A job restarts by Flink's own strategy again and again, or completes no checkpoint.
    JobUnhealthy,
    /// A stop, savepoint or upgrade that was asked for did not work.
    OperationFailed,
    /// A cluster does not answer.
    ClusterUnreachable,
    /// A cluster has ended: a session that was stopped, killed or broke down.
    ClusterEnded,
    /// A cluster answers again.
    ClusterRecovered,
    /// A message could not be delivered by another channel.
    DeliveryFailed,
    /// Somebody asked for a test message.
    Test,
}

impl AlertKind {
    /// The name, for example `job_failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JobFailed => "job_failed",
            Self::JobRecovered => "job_recovered",
            Self::CrashLoop => "crash_loop",
            Self::JobParked => "job_parked",
            Self::SubmissionFailed => "submission_failed",
            Self::JobVanished => "job_vanished",
            Self::JobUnhealthy => "job_unhealthy",
            Self::OperationFailed => "operation_failed",
            Self::ClusterUnreachable => "cluster_unreachable",
            Self::ClusterEnded => "cluster_ended",
            Self::ClusterRecovered => "cluster_recovered",
            Self::DeliveryFailed => "delivery_failed",
            Self::Test => "test",
        }
    }

    /// How bad this is by itself.
    pub fn severity(self) -> Severity {
        match self {
            Self::JobRecovered | Self::ClusterRecovered | Self::Test => Severity::Info,
            Self::JobUnhealthy => Severity::Warning,
            Self::JobFailed
            | Self::ClusterUnreachable
            | Self::ClusterEnded
            | Self::JobVanished
            | Self::OperationFailed => Severity::Error,
            Self::CrashLoop | Self::JobParked | Self::SubmissionFailed | Self::DeliveryFailed => Severity::Critical,
        }
    }

    /// Whether this tells that an earlier alert of the same incident is over.
    pub fn resolves(self) -> bool {
        matches!(self, Self::JobRecovered | Self::ClusterRecovered)
    }
}

/// Something that people are told: what happened, to whom it belongs, what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// Identity, kept over every attempt to deliver.
    pub id: AlertId,
    /// What belongs together: the failure and the news that it is over carry the same text.
    pub incident: String,
    /// What happened.
    pub kind: AlertKind,
    /// How bad it is.
    pub severity: Severity,
    /// One line for people.
    pub title: String,
    /// The job, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The job's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_name: Option<String>,
    /// The run, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunKey>,
    /// The cluster, by the platform's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Who answers for the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The root cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Failure>,
    /// What was done about it, or what a person has to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Named links: the job's own, and the cluster's web UI.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
    /// When it happened.
    pub at: Timestamp,
}

impl Alert {
    /// An alert of `kind` with its own severity.
    pub fn new(
        id: AlertId,
        kind: AlertKind,
        incident: impl Into<String>,
        title: impl Into<String>,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            incident: incident.into(),
            kind,
            severity: kind.severity(),
            title: title.into(),
            job: None,
            job_name: None,
            run: None,
            cluster: None,
            owner: None,
            cause: None,
            action: None,
            links: BTreeMap::new(),
            at,
        }
    }
}
