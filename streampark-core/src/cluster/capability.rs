//! What a cluster is, and what it can do.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::flink::FlinkVersion;

/// What a cluster is; what is not known before the first contact is None until then.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClusterInfo {
    /// The kind, as specs and the registry spell it: `standalone`, `local`, `memory`, `yarn`, …
    pub kind: String,
    /// The Flink that runs there.
    pub flink_version: Option<FlinkVersion>,
    /// Where people look.
    pub web_url: Option<Url>,
    /// Where the cluster is, for messages: an address, a queue, a namespace. No secrets.
    pub location: String,
    /// How long tasks may outlive their JobManager (`heartbeat.timeout` and a margin). A run that
    /// vanished is not started again before this has passed since it was last seen (law 1).
    pub orphan_timeout: Duration,
    /// Names the process of the engine that answers, where a new one can be told from the one before:
    /// a session cluster that was restarted has forgotten its runs. None where it cannot be told.
    pub incarnation: Option<String>,
}

impl ClusterInfo {
    /// A cluster of `kind` at `location`; Flink's default heartbeat timeout (50 s) and 10 s more
    /// stand for the life of orphaned tasks until the cluster's own setting is read.
    pub fn new(kind: impl Into<String>, location: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            flink_version: None,
            web_url: None,
            location: location.into(),
            orphan_timeout: Duration::from_secs(60),
            incarnation: None,
        }
    }
}

/// What a cluster can do: checked before any request is made, so that a call that cannot work is
/// refused as [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) without any effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Capability {
    /// Several runs share one JobManager.
    pub session: bool,
    /// Each run has a JobManager of its own.
    pub application: bool,
    /// Refuses a second submission with a JobID that it knows: `submit` may be repeated.
    pub fenced_submit: bool,
    /// `reserve` gives out a deployment before anything is sent.
    pub reserve: bool,
    /// Takes Flink configuration with each submission.
    pub job_config: bool,
    /// Takes savepoints while the job runs.
    pub savepoint: bool,
    /// Stops with a savepoint.
    pub stop_with_savepoint: bool,
    /// Stops with `--drain`.
    pub drain: bool,
    /// Starts from a restore point.
    pub restore: bool,
    /// Sees whether a restore point's files exist.
    pub verify_restore_points: bool,
    /// Gives the engine's logs.
    pub logs: bool,
    /// Starts PyFlink programs.
    pub python: bool,
    /// Takes jars beside the main one.
    pub extra_jars: bool,
}
