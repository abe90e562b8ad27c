//! The rows that a store keeps.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Event;
use crate::alert::Delivery;
use crate::cluster::Stop;
use crate::flink::FlinkJobId;
use crate::job::{
    Desired, Failure, Generation, JobId, JobSpec, JobState, Pin, RestartHistory, RestorePoint, RunKey, RunRef,
    StartFrom,
};

/// A job: what is wanted of it, and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobRecord {
    /// Identity.
    pub id: JobId,
    /// The name, unique in a store; the same as in the current spec.
    pub name: String,
    /// Counts the commits of this row, from 1. A commit names the revision that it was made from.
    pub revision: u64,
    /// The version of the spec that the next run uses.
    pub spec_version: u32,
    /// What the owner wants.
    pub desired: Desired,
    /// Where the job stands.
    pub state: JobState,
    /// The newest run; 0 before the first.
    pub generation: Generation,
    /// Where the next run starts.
    #[serde(default)]
    pub start_from: StartFrom,
    /// What is being done on somebody's request, until it has ended.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// Whether the next run takes what is newest, because somebody asked for it; one that takes the place of another
    /// by itself runs the same artifacts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renewed: bool,
    /// Restarts so far.
    #[serde(default)]
    pub restarts: RestartHistory,
    /// Why the job stands where it stands: the reason of a parking, the root cause of a failure.
    #[serde(default)]
    pub reason: Option<String>,
    /// The incident that people have been told of and that is not over.
    #[serde(default)]
    pub incident: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When `state` last changed.
    pub changed_at: Timestamp,
}

impl JobRecord {
    /// A job that was created at `at` and never started.
    pub fn new(id: JobId, name: impl Into<String>, at: Timestamp) -> Self {
        Self {
            id,
            name: name.into(),
            revision: 0,
            spec_version: 1,
            desired: Desired::Cancelled,
            state: JobState::New,
            generation: 0,
            start_from: StartFrom::Newest,
            operation: None,
            renewed: false,
            restarts: RestartHistory::default(),
            reason: None,
            incident: None,
            created_at: at,
            changed_at: at,
        }
    }

    /// The newest run, where there is one.
    pub fn run_key(&self) -> Option<RunKey> {
        (self.generation > 0).then(|| RunKey::new(self.id, self.generation))
    }
}

/// One version of a job's spec; never changed once written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SpecVersion {
    /// The job.
    pub job: JobId,
    /// From 1, without gaps.
    pub version: u32,
    /// The spec.
    pub spec: JobSpec,
    /// Who wrote it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

impl SpecVersion {
    /// Version `version` of `job`'s spec.
    pub fn new(job: JobId, version: u32, spec: JobSpec, actor: impl Into<String>, at: Timestamp) -> Self {
        Self { job, version, spec, actor: actor.into(), at }
    }
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum RunPhase {
    /// Written down, not known to have been sent: after a crash the cluster is asked.
    Intended,
    /// The cluster has it.
    Accepted,
    /// It was seen running.
    Running,
    /// It is over.
    Ended,
}

/// One submission of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunRecord {
    /// Who it is on its cluster.
    pub run: RunRef,
    /// The cluster, by the platform's name for it.
    pub cluster: String,
    /// The version of the spec that was submitted.
    pub spec_version: u32,
    /// How far it has come.
    pub phase: RunPhase,
    /// Where it started from; None is empty.
    pub restored_from: Option<RestorePoint>,
    /// When the intent was written.
    pub intended_at: Timestamp,
    /// When the cluster accepted it.
    pub accepted_at: Option<Timestamp>,
    /// When it was first seen running.
    pub running_at: Option<Timestamp>,
    /// When its end was recorded.
    pub ended_at: Option<Timestamp>,
    /// The state in which it ended: FAILED, CANCELED, FINISHED, SUSPENDED.
    pub outcome: Option<JobState>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Attempts to send this submission.
    #[serde(default)]
    pub attempts: u32,
    /// The process of the engine that was there when the intent was written
    /// ([`ClusterInfo::incarnation`](crate::cluster::ClusterInfo::incarnation)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
    /// Whether what the engine keeps of it was removed after its end.
    #[serde(default)]
    pub released: bool,
    /// Its tasks may go on until then, though it is over: no run is started before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks_until: Option<Timestamp>,
    /// Whether a checkpoint or savepoint of it was seen complete.
    #[serde(default)]
    pub checkpointed: bool,
    /// What the names in its spec stand for in this run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Pin>,
    /// Whether `pins` is still to be found: it is not sent before they are committed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unpinned: bool,
    /// Free facts: the plan's digest.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub facts: serde_json::Value,
}

impl RunRecord {
    /// A run that is intended at `at` on `cluster`.
    pub fn intended(run: RunRef, cluster: impl Into<String>, spec_version: u32, at: Timestamp) -> Self {
        Self {
            run,
            cluster: cluster.into(),
            spec_version,
            phase: RunPhase::Intended,
            restored_from: None,
            intended_at: at,
            accepted_at: None,
            running_at: None,
            ended_at: None,
            outcome: None,
            failure: None,
            attempts: 0,
            incarnation: None,
            released: false,
            tasks_until: None,
            checkpointed: false,
            pins: Vec::new(),
            unpinned: false,
            facts: serde_json::Value::Null,
        }
    }
}

/// What is being done to a run on somebody's request; an intent, written before it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Operation {
    /// What.
    pub kind: OperationKind,
    /// The run that it concerns.
    pub run: RunKey,
    /// Names the request to Flink, so that sending it twice has one effect.
    pub trigger: FlinkJobId,
    /// Where a savepoint is to be written; None is the cluster's default.
    #[serde(default)]
    pub directory: Option<String>,
    /// Who asked.
    pub actor: String,
    /// When it was asked for.
    pub at: Timestamp,
    /// Attempts to send it.
    #[serde(default)]
    pub attempts: u32,
    /// What came of the last attempt, where that was not what was asked for; it is made again.
    #[serde(default)]
    pub trouble: Option<String>,
}

impl Operation {
    /// `kind` on `run`, asked for by `actor`.
    pub fn new(kind: OperationKind, run: RunKey, trigger: FlinkJobId, actor: impl Into<String>, at: Timestamp) -> Self {
        Self { kind, run, trigger, directory: None, actor: actor.into(), at, attempts: 0, trouble: None }
    }
}

/// What is done to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OperationKind {
    /// It is ended.
    Stop(Stop),
    /// It goes on, and a savepoint is taken.
    Savepoint,
    /// It is ended so that a run of a newer spec, or a fresh one, can take its place.
    Replace(Stop),
}

/// What is known of a cluster over restarts of the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClusterRecord {
    /// The platform's name for it.
    pub name: String,
    /// Since when it has not answered; None where it answers.
    pub unreachable_since: Option<Timestamp>,
    /// The incident that people have been told of and that is not over.
    pub incident: Option<String>,
    /// Why it has ended; None where it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

impl ClusterRecord {
    /// A cluster that answers.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), unreachable_since: None, incident: None, ended: None }
    }
}

/// A job as it is loaded at a start: its row, the specs of its desired version and its newest run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobRow {
    /// The job.
    pub job: JobRecord,
    /// The spec of `job.spec_version`.
    pub spec: JobSpec,
    /// The newest run.
    pub run: Option<RunRecord>,
}

impl JobRow {
    /// A job, its spec and its newest run.
    pub fn new(job: JobRecord, spec: JobSpec, run: Option<RunRecord>) -> Self {
        Self { job, spec, run }
    }
}

/// One change: committed whole or not at all.
///
/// State change, event rows and outgoing messages go together (law 6).
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Batch {
    /// The job's new row. Its `revision` is the one it was read with (0 for a new job); the store
    /// refuses the batch where the stored revision is another, and adds one on success.
    pub job: Option<JobRecord>,
    /// A new version of its spec.
    pub spec: Option<SpecVersion>,
    /// New or changed runs.
    pub runs: Vec<RunRecord>,
    /// New restore points; one known already (same job, same path) is replaced.
    pub restore_points: Vec<(JobId, RestorePoint)>,
    /// What is known of a cluster.
    pub cluster: Option<ClusterRecord>,
    /// What happened.
    pub events: Vec<Event>,
    /// What is to be said; one whose identity is stored already is left as it is.
    pub deliveries: Vec<Delivery>,
}

impl Batch {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
