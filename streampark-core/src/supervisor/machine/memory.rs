//! One job as the machine holds it: its rows, and what only this process knows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::call::{Call, CallKind, Points, Trouble};
use super::knowledge::Knowledge;
use crate::cluster::Observation;
use crate::flink::FlinkJobId;
use crate::job::{DeploymentId, Failure, JobSpec};
use crate::store::{JobRow, RunPhase, RunRecord};

/// One job: its rows, and what only this process knows of it.
#[derive(Debug, Clone)]
pub struct Machine {
    /// What is wanted and where it stands, as stored.
    pub job: crate::store::JobRecord,
    /// The spec that the next run uses.
    pub spec: Arc<JobSpec>,
    /// The newest run, as stored.
    pub run: Option<RunRecord>,
    /// What is known of that run.
    pub knowledge: Knowledge,
    pub(super) memory: Memory,
}

/// What is rebuilt after a start by asking again.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// Whether the job was loaded and nothing was decided since.
    pub(super) loaded: bool,
    /// Calls under way, with the names of their requests.
    pub(super) flight: BTreeMap<CallKind, Option<FlinkJobId>>,
    /// Attempts that failed, and when the next may be made.
    pub(super) retries: BTreeMap<CallKind, Retry>,
    /// The newest observation of the live run.
    pub(super) seen: Option<Box<Observation>>,
    /// Why the live run failed, once the cluster was asked; the outer None is "not answered yet".
    pub(super) cause: Option<Option<Failure>>,
    /// When the end of the live run was first seen.
    pub(super) end_seen: Option<Timestamp>,
    /// The restore points for the next run, and when they were asked for.
    pub(super) points: Option<(Points, Timestamp)>,
    /// When the restore points that are on their way were asked for.
    pub(super) points_asked: Option<Timestamp>,
    /// Whether a run that is no longer listed was looked up since.
    pub(super) looked_up: bool,
    /// Whether the savepoint of the stop under way is recorded.
    pub(super) saved: bool,
    /// Since when the live run has been RUNNING without a break.
    pub(super) running_since: Option<Timestamp>,
    /// Starts of Flink's own restarts in the window of the rules.
    pub(super) restarting: VecDeque<Timestamp>,
    /// Since when the live run has been RESTARTING.
    pub(super) restarting_since: Option<Timestamp>,
    /// Whether people were told that this run is unhealthy.
    pub(super) unhealthy: bool,
    /// When the checkpoints are looked at next, and when they were last seen.
    pub(super) look_at: Option<Timestamp>,
    pub(super) looked_at: Option<Timestamp>,
    /// The completion of the newest checkpoint that is known.
    pub(super) newest_checkpoint: Option<Timestamp>,
    /// The path of the restore point that was last written down.
    pub(super) recorded: Option<String>,
    /// When the newest checkpoint of the live run was last written down.
    pub(super) recorded_at: Option<Timestamp>,
    /// Since when the submission is in doubt or refused for the moment, and whether people were told.
    pub(super) troubled_since: Option<Timestamp>,
    pub(super) trouble_told: bool,
    /// Why a run that was sent again was refused, while its first request may still arrive.
    pub(super) refusal: Option<Trouble>,
    /// Copies of the run that its cluster ended, as far as that was told.
    pub(super) copies: BTreeSet<DeploymentId>,
    /// Since when the cluster answers that it never had the run that is in doubt, and which process of its
    /// engine answers so.
    pub(super) never_since: Option<(Timestamp, Option<String>)>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Retry {
    pub(super) attempts: u32,
    pub(super) at: Option<Timestamp>,
}

pub(super) fn after(at: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

impl Machine {
    /// A job as it was loaded: nothing is known yet of what its cluster does.
    pub fn new(row: JobRow) -> Self {
        Self {
            job: row.job,
            spec: Arc::new(row.spec),
            run: row.run,
            knowledge: Knowledge::Unknown,
            memory: Memory { loaded: true, ..Memory::default() },
        }
    }

    /// The newest run, where it may be alive.
    pub fn live(&self) -> Option<&RunRecord> {
        self.run.as_ref().filter(|run| run.phase != RunPhase::Ended)
    }

    /// The cluster on which the job has its live run, else the one its spec names.
    pub fn cluster(&self) -> &str {
        self.live().map_or(&self.spec.cluster, |run| &run.cluster)
    }

    /// Calls under way.
    pub fn in_flight(&self) -> usize {
        self.memory.flight.len()
    }

    pub(super) fn flies(&self, kind: CallKind) -> bool {
        self.memory.flight.contains_key(&kind)
    }

    pub(super) fn take_off(&mut self, call: &Call) {
        self.memory.flight.insert(call.kind(), call.trigger());
    }

    /// A call that the last step asked for is not made: nothing is waited for.
    pub fn leave_out(&mut self, call: &Call) {
        self.memory.flight.remove(&call.kind());
    }

    /// Forgets what belonged to a run that is over, but for what the next one needs.
    pub(super) fn rest_run(&mut self) {
        let old = std::mem::take(&mut self.memory);
        self.memory = Memory {
            flight: old.flight,
            points: old.points,
            points_asked: old.points_asked,
            end_seen: old.end_seen,
            saved: old.saved,
            recorded: old.recorded,
            ..Memory::default()
        };
        self.knowledge = Knowledge::Unknown;
    }

    /// Forgets what belonged to the run before: a new one begins.
    pub(super) fn forget_run(&mut self) {
        let flight = std::mem::take(&mut self.memory.flight);
        self.memory = Memory { flight, ..Memory::default() };
        self.knowledge = Knowledge::Unknown;
    }
}
