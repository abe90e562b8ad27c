//! What a run can start from.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::RunKey;
use crate::flink::FlinkJobId;

/// Whether Flink made the point by itself or was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RestoreKind {
    /// Flink's own periodic checkpoint, kept because it is externalized.
    Checkpoint,
    /// A savepoint.
    Savepoint,
}

/// Whether the `_metadata` file of a restore point was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verification {
    /// Seen just now.
    Present,
    /// Looked for and absent: it cannot be used.
    Missing,
    /// The storage cannot be seen from here; only the engine's word says that it exists.
    Unchecked,
}

/// A checkpoint or savepoint that a run can start from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RestorePoint {
    /// Checkpoint or savepoint.
    pub kind: RestoreKind,
    /// The folder that holds `_metadata`, as Flink spells it: `file:/…/chk-7`, `hdfs://…`.
    pub path: String,
    /// Flink's checkpoint id, counted within one JobID.
    pub checkpoint_id: Option<u64>,
    /// When Flink completed it.
    pub completed_at: Timestamp,
    /// Bytes of state, where Flink says.
    pub size_bytes: Option<u64>,
    /// The run that wrote it, where it is one of ours.
    pub run: Option<RunKey>,
    /// The JobID that wrote it, where known.
    pub flink_job: Option<FlinkJobId>,
    /// Whether it was seen when this value was made.
    pub verification: Verification,
}

impl RestorePoint {
    /// A point at `path`, not yet looked for.
    pub fn new(kind: RestoreKind, path: impl Into<String>, completed_at: Timestamp) -> Self {
        Self {
            kind,
            path: path.into(),
            checkpoint_id: None,
            completed_at,
            size_bytes: None,
            run: None,
            flink_job: None,
            verification: Verification::Unchecked,
        }
    }

    /// Whether a run may be started from it: not known to be missing.
    pub fn is_usable(&self) -> bool {
        self.verification != Verification::Missing
    }
}

impl fmt::Display for RestorePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.checkpoint_id) {
            (RestoreKind::Checkpoint, Some(id)) => write!(f, "checkpoint {id}"),
            (RestoreKind::Checkpoint, None) => write!(f, "checkpoint {}", self.path),
            (RestoreKind::Savepoint, _) => write!(f, "savepoint {}", self.path),
        }
    }
}

/// Who owns the files of a restore point after the start (`execution.state-recovery.claim-mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum ClaimMode {
    /// The new run never deletes them: Flink's default, and ours.
    #[default]
    NoClaim,
    /// The new run owns and may delete them.
    Claim,
}

impl ClaimMode {
    /// Flink's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoClaim => "NO_CLAIM",
            Self::Claim => "CLAIM",
        }
    }
}

/// Whether a job may start without its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateNeed {
    /// A job that ever completed a checkpoint or savepoint needs its state; one that did not starts
    /// as its last run started.
    #[default]
    Auto,
    /// Never starts again without a restore point: it is parked instead.
    Required,
    /// Always may start empty.
    None,
}

/// Where the next run of a job starts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StartFrom {
    /// At the newest restore point that exists; empty where the job never had state.
    #[default]
    Newest,
    /// At the savepoint or retained checkpoint with this path.
    Path(String),
    /// Without state, because somebody said so.
    Empty,
}

/// How a job gets its state back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RestoreOptions {
    /// Whether the job may start without its state.
    #[serde(skip_serializing_if = "is_default")]
    pub state: StateNeed,
    /// Passes state that no operator of the program claims (`--allowNonRestoredState`). Default false.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_non_restored_state: bool,
    /// Who owns the files afterwards. Default `NO_CLAIM`.
    #[serde(skip_serializing_if = "is_default")]
    pub claim_mode: ClaimMode,
    /// A restore point older than this parks the job instead of being used. Default: any age.
    #[serde(with = "super::duration::option", skip_serializing_if = "is_default")]
    pub max_age: Option<Duration>,
    /// Where the very first run starts: the path of a savepoint or a retained checkpoint.
    #[serde(skip_serializing_if = "is_default")]
    pub initial: Option<String>,
}

/// How a changed spec takes the place of a running one; the words of the Flink Kubernetes operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpgradeMode {
    /// Stops with a savepoint and starts from it.
    #[default]
    Savepoint,
    /// Cancels and starts from the newest checkpoint.
    LastState,
    /// Cancels and starts empty.
    Stateless,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
