//! Checkpoints of a job: which there are, where they lie, how they are configured.

use serde::{Deserialize, Serialize};

use super::client::{Call, RestClient};
use crate::Result;
use crate::flink::FlinkJobId;

/// `GET /jobs/:id/checkpoints`. May be 3 s old (`rest.cache.checkpoint-statistics.timeout`): right
/// after a failure the newest one shown can be deleted already.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Checkpoints {
    /// How many there have been.
    pub counts: CheckpointCounts,
    /// The newest of each kind.
    pub latest: LatestCheckpoints,
    /// The last few, the newest first (`web.checkpoints.history`, 10 by default).
    pub history: Vec<Checkpoint>,
}

/// How many checkpoints a job has had since its JobManager knows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CheckpointCounts {
    /// How often it was restored.
    pub restored: i64,
    /// All that were triggered.
    pub total: i64,
    /// Those under way.
    pub in_progress: i64,
    /// Those that completed.
    pub completed: i64,
    /// Those that failed.
    pub failed: i64,
}

/// The newest checkpoint of each kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LatestCheckpoints {
    /// The newest checkpoint that completed.
    pub completed: Option<Checkpoint>,
    /// The newest savepoint that completed.
    pub savepoint: Option<Checkpoint>,
    /// The newest that failed.
    pub failed: Option<Checkpoint>,
    /// What the job was last restored from.
    pub restored: Option<RestoredCheckpoint>,
}

/// The state of one checkpoint in Flink's words (`CheckpointStatsStatus`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum CheckpointStatus {
    /// Under way.
    #[default]
    InProgress,
    /// Done; it can be restored from until it is discarded.
    Completed,
    /// Failed.
    Failed,
    /// A word that this version of the SDK does not know.
    #[serde(untagged)]
    Unknown(String),
}

/// One checkpoint or savepoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Its number within the job.
    pub id: i64,
    /// How it went.
    pub status: CheckpointStatus,
    /// Whether it is a savepoint.
    pub is_savepoint: bool,
    /// When it was triggered, in milliseconds since 1970.
    pub trigger_timestamp: i64,
    /// When the last task acknowledged, in milliseconds since 1970; -1 before that.
    pub latest_ack_timestamp: i64,
    /// What it wrote, in bytes (0 before 1.15).
    pub checkpointed_size: i64,
    /// The full state, in bytes.
    pub state_size: i64,
    /// From trigger to the last acknowledgement, in milliseconds.
    pub end_to_end_duration: i64,
    /// `CHECKPOINT`, `UNALIGNED_CHECKPOINT`, `SAVEPOINT` or `SYNC_SAVEPOINT`.
    pub checkpoint_type: String,
    /// Where it lies; none before it is complete. `<checkpoint-not-externally-addressable>` where
    /// it is kept in memory.
    pub external_path: Option<String>,
    /// Whether it has been deleted since.
    pub discarded: bool,
    /// When it failed, in milliseconds since 1970.
    pub failure_timestamp: Option<i64>,
    /// Why it failed.
    pub failure_message: Option<String>,
}

impl Checkpoint {
    /// Where it lies, if it is complete, kept, and outside of the JobManager's memory.
    pub fn usable_path(&self) -> Option<&str> {
        let path = self.external_path.as_deref()?;
        let usable = self.status == CheckpointStatus::Completed && !self.discarded && !path.starts_with('<');
        (usable && !path.is_empty()).then_some(path)
    }
}

/// What a job was restored from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RestoredCheckpoint {
    /// Its number.
    pub id: i64,
    /// When, in milliseconds since 1970.
    pub restore_timestamp: i64,
    /// Whether it was a savepoint.
    pub is_savepoint: bool,
    /// Where it lies.
    pub external_path: Option<String>,
}

/// `GET /jobs/:id/checkpoints/config`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CheckpointConfig {
    /// `exactly_once` or `at_least_once`.
    pub mode: String,
    /// Milliseconds between two; `i64::MAX` where checkpointing is off.
    pub interval: i64,
    /// Milliseconds that one may take.
    pub timeout: i64,
    /// Milliseconds between the end of one and the start of the next.
    pub min_pause: i64,
    /// How many may be under way.
    pub max_concurrent: i64,
    /// Whether they outlive the job.
    pub externalization: ExternalizedCheckpoints,
    /// The class of the state backend.
    pub state_backend: String,
    /// The class of the checkpoint storage.
    pub checkpoint_storage: String,
    /// Whether barriers overtake records.
    pub unaligned_checkpoints: bool,
    /// How many may fail in a row before the job does.
    pub tolerable_failed_checkpoints: i64,
}

/// Whether checkpoints outlive their job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ExternalizedCheckpoints {
    /// They are kept at all.
    pub enabled: bool,
    /// They are deleted when the job is cancelled.
    pub delete_on_cancellation: bool,
}

impl RestClient {
    /// The checkpoints of one job; up to 3 s old.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `NotFound` for an unknown job, or one without checkpointing.
    pub async fn checkpoints(&self, job: &FlinkJobId) -> Result<Checkpoints> {
        let id = job.to_string();
        let call = Call::get("flink.checkpoints", &["jobs", &id, "checkpoints"]);
        self.json(call).await.map_err(|e| e.with_context("job", job))
    }

    /// How the checkpoints of one job are configured.
    ///
    /// # Errors
    /// As [`checkpoints`](Self::checkpoints).
    pub async fn checkpoint_config(&self, job: &FlinkJobId) -> Result<CheckpointConfig> {
        let id = job.to_string();
        let call = Call::get("flink.checkpoints.config", &["jobs", &id, "checkpoints", "config"]);
        self.json(call).await.map_err(|e| e.with_context("job", job))
    }
}
