//! What somebody wants of a job that exists.

use std::sync::Arc;

use super::super::Command;
use super::memory::Machine;
use super::step::Work;
use crate::cluster::{Capability, Stop};
use crate::flink::FlinkJobId;
use crate::job::{Desired, JobSpec, JobState, RestartHistory, StartFrom, UpgradeMode};
use crate::store::{Operation, OperationKind, RunPhase, SpecVersion};
use crate::{Error, ErrorKind, EventKind, Result};

impl Machine {
    pub(super) fn obey(&mut self, command: &Command, work: &mut Work<'_>) -> Result<()> {
        let result = match command {
            Command::Start { from, .. } => self.start(from, work),
            Command::Suspend { drain, directory, .. } => self.suspend(*drain, directory.clone(), work),
            Command::Cancel { kill, .. } => self.cancel(*kill, work),
            Command::Savepoint { directory, .. } => self.savepoint(directory.clone(), work),
            Command::Update { spec, .. } => self.update(spec, work),
            Command::Restart { .. } => self.restart(work),
            Command::Delete { .. } => self.may_delete(),
            Command::Create { .. } | Command::Adopt { .. } => {
                Err(Error::new(ErrorKind::Internal, "a command that makes a job was given to a job that exists"))
            }
        };
        result.map_err(|error| error.with_operation(command.operation()).with_context("job", &self.job.name))
    }

    fn start(&mut self, from: &StartFrom, work: &mut Work<'_>) -> Result<()> {
        if let StartFrom::Path(path) = from
            && path.trim().is_empty()
        {
            return Err(Error::invalid("the path of the restore point is empty; name a savepoint or a checkpoint"));
        }
        if self.live().is_some() || self.job.state == JobState::Submitting {
            if *from != StartFrom::Newest {
                return Err(self.refusal("it cannot be started from another place; suspend or cancel it first"));
            }
            if self.job.desired == Desired::Running {
                return Ok(());
            }
            return self.start_after_stop(work);
        }
        if self.job.state == JobState::BackingOff && *from == StartFrom::Newest {
            return Ok(());
        }
        self.record(EventKind::Requested, format!("start {}", spoken(from)), work);
        self.job.desired = Desired::Running;
        self.job.start_from = from.clone();
        self.job.renewed = true;
        self.job.restarts = RestartHistory::default();
        self.memory.points = None;
        self.memory.retries.clear();
        self.become_state(JobState::Submitting, None, work);
        work.job_changed = true;
        Ok(())
    }

    /// The stop under way goes on; the job is started again when it has ended.
    fn start_after_stop(&mut self, work: &mut Work<'_>) -> Result<()> {
        self.record(EventKind::Requested, "start again after the stop", work);
        self.job.renewed = true;
        self.job.desired = Desired::Running;
        work.job_changed = true;
        if let Some(operation) = &mut self.job.operation
            && let OperationKind::Stop(how) = operation.kind
        {
            operation.kind = OperationKind::Replace(how);
        }
        Ok(())
    }

    fn suspend(&mut self, drain: bool, directory: Option<String>, work: &mut Work<'_>) -> Result<()> {
        let how = if drain { Stop::Drain } else { Stop::Savepoint };
        if self.live().is_none() {
            if self.job.state == JobState::Suspended {
                return Ok(());
            }
            if !self.job.state.may_become(&JobState::Suspended) {
                return Err(self.refusal("there is nothing to suspend"));
            }
            self.record(EventKind::Requested, "suspend", work);
            self.settle(JobState::Suspended, Desired::Suspended, None, work);
            return Ok(());
        }
        if self.stop_under_way() {
            return match &self.job.operation {
                Some(operation) if operation.kind == OperationKind::Stop(how) => Ok(()),
                _ => Err(self.refusal("it is being stopped already; wait for the end of that")),
            };
        }
        self.require(work, |able| able.stop_with_savepoint, "stop a job with a savepoint; cancel it instead")?;
        if drain {
            self.require(work, |able| able.drain, "let all data through before a stop; suspend without drain")?;
        }
        self.record(EventKind::Requested, if drain { "drain" } else { "suspend with a savepoint" }, work);
        self.job.desired = Desired::Suspended;
        self.operate(OperationKind::Stop(how), directory, work);
        Ok(())
    }

    fn cancel(&mut self, kill: bool, work: &mut Work<'_>) -> Result<()> {
        let how = if kill { Stop::Kill } else { Stop::Cancel };
        if self.live().is_none() {
            if self.job.state == JobState::Canceled && self.job.desired == Desired::Cancelled {
                return Ok(());
            }
            self.record(EventKind::Requested, "cancel", work);
            self.settle(JobState::Canceled, Desired::Cancelled, None, work);
            return Ok(());
        }
        let same = self.job.operation.as_ref().is_some_and(|operation| operation.kind == OperationKind::Stop(how));
        if same && self.job.desired == Desired::Cancelled {
            return Ok(());
        }
        self.record(EventKind::Requested, if kill { "kill" } else { "cancel" }, work);
        self.job.desired = Desired::Cancelled;
        self.operate(OperationKind::Stop(how), None, work);
        Ok(())
    }

    fn savepoint(&mut self, directory: Option<String>, work: &mut Work<'_>) -> Result<()> {
        if self.job.operation.is_some() {
            return Err(self.refusal("another operation on it is under way; wait for its end"));
        }
        if self.job.state != JobState::Running {
            return Err(self.refusal("a savepoint is taken of a RUNNING job only"));
        }
        self.require(work, |able| able.savepoint, "take savepoints")?;
        self.record(EventKind::Requested, "savepoint", work);
        self.operate(OperationKind::Savepoint, directory, work);
        Ok(())
    }

    fn update(&mut self, spec: &JobSpec, work: &mut Work<'_>) -> Result<()> {
        spec.validate()?;
        if spec.name != self.job.name {
            return Err(Error::invalid(format!(
                "the new spec is named '{}'; a job keeps its name, copy it to get another one",
                spec.name
            )));
        }
        if *spec == *self.spec {
            return Ok(());
        }
        if self.stop_under_way() && self.job.desired == Desired::Running {
            return Err(self.refusal("it is being replaced already; wait for the end of that"));
        }
        let replaces = self.live().is_some() && self.job.desired == Desired::Running;
        if replaces && spec.upgrade == UpgradeMode::Savepoint {
            self.require(
                work,
                |able| able.stop_with_savepoint,
                "stop a job with a savepoint; set upgrade to last-state or stateless",
            )?;
        }
        let version = self.job.spec_version.saturating_add(1);
        self.record(EventKind::SpecChanged, format!("spec version {version}"), work);
        let now = work.now();
        work.step.batch.spec = Some(SpecVersion::new(self.job.id, version, spec.clone(), &work.actor, now));
        self.job.spec_version = version;
        self.spec = Arc::new(spec.clone());
        work.job_changed = true;
        if replaces {
            let how = match spec.upgrade {
                UpgradeMode::Savepoint => Stop::Savepoint,
                UpgradeMode::LastState | UpgradeMode::Stateless => Stop::Cancel,
            };
            if spec.upgrade == UpgradeMode::Stateless {
                self.job.start_from = StartFrom::Empty;
            }
            self.operate(OperationKind::Replace(how), None, work);
        }
        Ok(())
    }

    fn restart(&mut self, work: &mut Work<'_>) -> Result<()> {
        if self.live().is_none() {
            if self.job.state == JobState::BackingOff {
                self.record(EventKind::Requested, "restart without waiting", work);
                self.job.renewed = true;
                self.job.restarts.next_at = Some(work.now());
                work.job_changed = true;
                return Ok(());
            }
            return self.start(&StartFrom::Newest, work);
        }
        if self.stop_under_way() {
            return Err(self.refusal("it is being stopped already; wait for the end of that"));
        }
        let able = (work.setting.clusters)(self.cluster()).is_none_or(|facts| facts.capability.stop_with_savepoint);
        let how = match self.spec.upgrade {
            UpgradeMode::Savepoint if able => Stop::Savepoint,
            _ => Stop::Cancel,
        };
        self.record(EventKind::Requested, "restart", work);
        self.job.renewed = true;
        self.job.desired = Desired::Running;
        self.operate(OperationKind::Replace(how), None, work);
        Ok(())
    }

    fn may_delete(&self) -> Result<()> {
        if self.live().is_some() || self.job.state.has_live_run() {
            return Err(self.refusal("a run of it may be alive; cancel it first"));
        }
        Ok(())
    }

    /// Begins an operation on the live run; one that was under way is superseded.
    fn operate(&mut self, kind: OperationKind, directory: Option<String>, work: &mut Work<'_>) {
        let Some(run) = self.live().map(|run| run.run.key) else { return };
        if let Some(before) = self.job.operation.take() {
            self.record(EventKind::OperationEnded, format!("{} was superseded", said(before.kind)), work);
        }
        let trigger = self.trigger(work);
        let mut operation = Operation::new(kind, run, trigger, &work.actor, work.now());
        operation.directory = directory;
        self.job.operation = Some(operation);
        for call in [super::CallKind::Stop, super::CallKind::Savepoint] {
            self.memory.flight.remove(&call);
            self.memory.retries.remove(&call);
        }
        self.memory.saved = false;
        work.job_changed = true;
        let sent = self.live().is_some_and(|run| run.phase != RunPhase::Intended);
        let state = match kind {
            OperationKind::Stop(Stop::Cancel | Stop::Kill) => JobState::Cancelling,
            OperationKind::Stop(_) | OperationKind::Replace(_) if sent => JobState::Stopping,
            _ => return,
        };
        if self.job.state.may_become(&state) && sent {
            self.become_state(state, None, work);
        }
    }

    /// A name for a request that no other request has.
    pub(super) fn trigger(&self, work: &Work<'_>) -> FlinkJobId {
        use sha2::{Digest as _, Sha256};
        let attempts = self.job.operation.as_ref().map_or(0, |operation| operation.attempts);
        let hash = Sha256::new()
            .chain_update("streampark trigger 1\0")
            .chain_update(self.job.id.to_string())
            .chain_update(self.job.revision.to_be_bytes())
            .chain_update(attempts.to_be_bytes())
            .chain_update(work.now().as_nanosecond().to_be_bytes())
            .finalize();
        FlinkJobId::from_hash(&hash)
    }

    fn stop_under_way(&self) -> bool {
        matches!(&self.job.operation, Some(operation) if operation.kind != OperationKind::Savepoint)
    }

    fn require(&self, work: &Work<'_>, able: impl Fn(&Capability) -> bool, what: &str) -> Result<()> {
        match (work.setting.clusters)(self.cluster()) {
            Some(facts) if !able(&facts.capability) => {
                Err(Error::new(ErrorKind::Unsupported, format!("the cluster '{}' cannot {what}", self.cluster())))
            }
            _ => Ok(()),
        }
    }

    fn refusal(&self, remedy: &str) -> Error {
        Error::new(ErrorKind::Conflict, format!("the job is {}: {remedy}", self.job.state))
    }

    /// Puts a job without a live run to rest on somebody's request.
    fn settle(&mut self, state: JobState, desired: Desired, reason: Option<String>, work: &mut Work<'_>) {
        self.job.desired = desired;
        self.job.restarts = RestartHistory::default();
        self.job.start_from = StartFrom::Newest;
        work.job_changed = true;
        self.become_state(state, reason, work);
        let title = format!("closed, {} put it to rest", work.actor);
        self.close_incident(title, work);
    }
}

fn spoken(from: &StartFrom) -> String {
    match from {
        StartFrom::Newest => "from the newest restore point".to_owned(),
        StartFrom::Path(path) => format!("from {path}"),
        StartFrom::Empty => "without state".to_owned(),
    }
}

pub(super) fn said(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Stop(Stop::Cancel) => "the cancellation",
        OperationKind::Stop(Stop::Kill) => "the kill",
        OperationKind::Stop(Stop::Drain) => "the drain",
        OperationKind::Stop(_) => "the stop with savepoint",
        OperationKind::Savepoint => "the savepoint",
        OperationKind::Replace(_) => "the replacement",
    }
}
