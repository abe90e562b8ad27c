//! What follows from what is known now; the same question after every input.

use super::call::{Call, CallKind, Trouble};
use super::command::said;
use super::knowledge::Knowledge;
use super::memory::{Machine, after};
use super::step::Work;
use super::tell::Telling;
use crate::alert::AlertKind;
use crate::cluster::{Observation, RunStatus, SavepointOptions, Stop, Stopped};
use crate::job::{Desired, JobState, RestorePoint, StartFrom};
use crate::store::{Operation, OperationKind, RunPhase};
use crate::{ErrorStatus, EventKind};

/// An end can lead to a new intent and that to its submission, in one step.
const ROUNDS: usize = 4;

impl Machine {
    pub(super) fn decide(&mut self, work: &mut Work<'_>) {
        if std::mem::take(&mut self.memory.loaded) {
            self.resume(work);
        }
        for _ in 0..ROUNDS {
            let before = self.phase();
            match before.1 {
                Some(RunPhase::Intended) => self.pursue(work),
                Some(RunPhase::Accepted | RunPhase::Running) => self.tend(work),
                Some(RunPhase::Ended) | None => self.rest(work),
            }
            if self.phase() == before {
                break;
            }
        }
    }

    fn phase(&self) -> (u64, Option<RunPhase>, JobState) {
        (self.job.generation, self.run.as_ref().map(|run| run.phase), self.job.state.clone())
    }

    /// The process that wrote the intent is gone: nobody knows whether it was sent.
    fn resume(&mut self, work: &mut Work<'_>) {
        let Some(run) = self.live().filter(|run| run.phase == RunPhase::Intended) else { return };
        // What a run is made of and its reservation are committed before anything is sent: without them, nothing was.
        let reserves = (work.setting.clusters)(&run.cluster).is_some_and(|facts| facts.capability.reserve);
        let never_sent = run.unpinned || (reserves && run.run.deployment.is_none());
        if !never_sent && self.job.state == JobState::Submitting {
            self.record(
                EventKind::SubmissionInDoubt,
                "the process ended while it was submitted; the cluster is asked",
                work,
            );
            self.become_state(JobState::InDoubt, None, work);
        }
    }

    /// No run is alive.
    fn rest(&mut self, work: &mut Work<'_>) {
        match self.job.state {
            JobState::Submitting => self.begin(work),
            JobState::BackingOff => {
                let at = self.job.restarts.next_at.unwrap_or(work.now());
                if work.due(at) {
                    self.begin(work);
                }
            }
            _ => self.tidy(work),
        }
    }

    /// What the engine keeps of the ended run is removed, once its restore points are known.
    fn tidy(&mut self, work: &mut Work<'_>) {
        let Some(run) = self.to_release() else { return };
        let tries = self.memory.retries.get(&CallKind::Points).map_or(0, |retry| retry.attempts);
        if self.memory.points.is_none() && tries < work.rules().fetch_attempts {
            self.ask_points(work);
        } else if self.ready(CallKind::Release, work) {
            work.step.calls.push(Call::Release(run));
        }
    }

    pub(super) fn to_release(&self) -> Option<crate::job::RunRef> {
        let run = self.run.as_ref()?;
        let taken = run.accepted_at.is_some() || run.run.deployment.is_some();
        (run.phase == RunPhase::Ended && taken && !run.released).then(|| run.run.clone())
    }

    pub(super) fn ask_points(&mut self, work: &mut Work<'_>) {
        let Some(run) = self.run.as_ref().map(|run| run.run.clone()) else { return };
        if self.ready(CallKind::Points, work) {
            self.memory.points_asked = Some(work.now());
            work.step.calls.push(Call::Points(run));
        }
    }

    /// The cluster has the run.
    fn tend(&mut self, work: &mut Work<'_>) {
        if let Some(status) = self.memory.seen.as_ref().map(|seen| seen.status.clone())
            && status.is_terminal()
        {
            return self.conclude(&status, work);
        }
        match self.knowledge {
            Knowledge::Absent(since) => return self.wait_for_orphans(since, work),
            Knowledge::Unreachable(_) | Knowledge::Unknown => return,
            Knowledge::Observed(_) => {}
        }
        let status = self.memory.seen.as_ref().map_or(RunStatus::Starting, |seen| seen.status.clone());
        if status == RunStatus::Running
            && let Some(run) = self.run.as_mut().filter(|run| run.phase == RunPhase::Accepted)
        {
            run.phase = RunPhase::Running;
            run.running_at = Some(work.now());
            work.run_changed = true;
        }
        match self.job.operation.clone() {
            Some(operation) if operation.kind != OperationKind::Savepoint => {
                self.stop_run(&operation, status == RunStatus::Running, work);
            }
            operation => {
                self.become_state(status.as_job_state(), None, work);
                if let Some(operation) = operation {
                    self.take_savepoint(&operation, status == RunStatus::Running, work);
                }
            }
        }
        if self.job.operation.is_none() {
            self.look_after(work);
        }
    }

    fn take_savepoint(&mut self, operation: &Operation, running: bool, work: &mut Work<'_>) {
        if self.is_overdue(operation, running, work) || !running || !self.ready(CallKind::Savepoint, work) {
            return;
        }
        if let Some(run) = self.live().map(|run| run.run.clone()) {
            work.step.calls.push(Call::Savepoint(run, options(operation)));
        }
    }

    fn stop_run(&mut self, operation: &Operation, running: bool, work: &mut Work<'_>) {
        let (how, state) = match operation.kind {
            OperationKind::Stop(how @ (Stop::Cancel | Stop::Kill)) => (how, JobState::Cancelling),
            OperationKind::Stop(how) | OperationKind::Replace(how) => (how, JobState::Stopping),
            OperationKind::Savepoint => return,
        };
        let with_savepoint = matches!(how, Stop::Savepoint | Stop::Drain);
        if with_savepoint && self.memory.saved {
            return;
        }
        if self.job.state != state && self.job.state.may_become(&state) {
            self.become_state(state, None, work);
        }
        if with_savepoint && (self.is_overdue(operation, running, work) || !running) {
            return;
        }
        if !self.ready(CallKind::Stop, work) {
            return;
        }
        if let Some(run) = self.live().map(|run| run.run.clone()) {
            work.step.calls.push(Call::Stop(run, how, options(operation)));
        }
    }

    /// Gives an operation up that needs a RUNNING job and waited too long for one.
    fn is_overdue(&mut self, operation: &Operation, running: bool, work: &mut Work<'_>) -> bool {
        if running || !work.due(after(operation.at, work.rules().operation_patience)) {
            return false;
        }
        let text = format!("the job is {} and not RUNNING", self.job.state);
        self.give_up(&Trouble { kind: crate::ErrorKind::Conflict, status: ErrorStatus::Permanent, text }, work);
        true
    }

    pub(super) fn stopped(&mut self, answer: Result<Stopped, Trouble>, work: &mut Work<'_>) {
        let Some(operation) = self.job.operation.clone() else { return };
        match answer {
            Ok(stopped) => {
                self.memory.retries.remove(&CallKind::Stop);
                if self.job.operation.as_mut().is_some_and(|operation| operation.trouble.take().is_some()) {
                    work.job_changed = true;
                }
                let with_savepoint = stopped.savepoint.is_some();
                if let Some(point) = stopped.savepoint {
                    self.keep(point, work);
                    self.memory.saved = true;
                }
                if stopped.complete {
                    let status = if with_savepoint { RunStatus::Finished } else { RunStatus::Canceled };
                    let job = self.live().map(|run| run.run.flink_job);
                    if let Some(job) = job {
                        self.memory.seen = Some(Box::new(Observation::of_job(job, status, work.now())));
                        self.memory.end_seen.get_or_insert(work.now());
                    }
                } else if !with_savepoint {
                    // Asked again where the end does not come.
                    let retry = self.memory.retries.entry(CallKind::Stop).or_default();
                    retry.at = Some(after(work.setting.now, work.setting.rules.retry_backoff_max));
                }
            }
            Err(trouble) => self.operation_failed(operation, CallKind::Stop, &trouble, work),
        }
    }

    pub(super) fn saved(&mut self, answer: Result<RestorePoint, Trouble>, work: &mut Work<'_>) {
        let Some(operation) = self.job.operation.clone() else { return };
        match answer {
            Ok(point) => {
                self.memory.retries.remove(&CallKind::Savepoint);
                self.job.operation = None;
                work.job_changed = true;
                let message = format!("the savepoint is at {}", point.path);
                self.keep(point, work);
                self.record(EventKind::OperationEnded, message, work);
            }
            Err(trouble) => self.operation_failed(operation, CallKind::Savepoint, &trouble, work),
        }
    }

    /// Writes a savepoint down.
    pub(super) fn keep(&mut self, point: RestorePoint, work: &mut Work<'_>) {
        let mut event = self.event(EventKind::RestorePointRecorded, format!("{point} is complete"), work);
        event.data = serde_json::json!({"path": point.path, "checkpoint_id": point.checkpoint_id});
        work.step.batch.events.push(event);
        self.memory.recorded = Some(point.path.clone());
        work.step.batch.restore_points.push((self.job.id, point));
        self.memory.points = None;
        if let Some(run) = &mut self.run {
            run.checkpointed = true;
            work.run_changed = true;
        }
    }

    fn operation_failed(&mut self, operation: Operation, kind: CallKind, trouble: &Trouble, work: &mut Work<'_>) {
        self.later(kind, trouble, work);
        let attempts = operation.attempts.saturating_add(1);
        let permanent = trouble.status == ErrorStatus::Permanent;
        let cancels = matches!(
            operation.kind,
            OperationKind::Stop(Stop::Cancel | Stop::Kill) | OperationKind::Replace(Stop::Cancel | Stop::Kill)
        );
        // A request whose answer is lost is asked for under its old name, and that may be asked more often.
        let limit = work.rules().operation_attempts.saturating_mul(if permanent { 1 } else { 4 });
        let mut changed = Operation { attempts, trouble: Some(trouble.text.clone()), ..operation };
        let trigger = (permanent && !cancels).then(|| self.trigger(work));
        if let Some(trigger) = trigger {
            changed.trigger = trigger;
        }
        let over = self.memory.seen.as_ref().is_some_and(|seen| seen.status.is_terminal());
        if cancels {
            if attempts == work.rules().operation_attempts {
                self.tell_operation(&changed, trouble, "it is asked again until it ends", work);
            }
        } else if attempts >= limit && !over {
            self.job.operation = Some(changed);
            return self.give_up(trouble, work);
        }
        self.job.operation = Some(changed);
        work.job_changed = true;
    }

    /// The operation is over without what it was asked for; the job goes on running.
    fn give_up(&mut self, trouble: &Trouble, work: &mut Work<'_>) {
        let Some(operation) = self.job.operation.take() else { return };
        work.job_changed = true;
        self.memory.retries.clear();
        let mut event = self.event(EventKind::OperationEnded, format!("{} did not work", said(operation.kind)), work);
        event.error = Some(trouble.text.clone());
        work.step.batch.events.push(event);
        let action = match operation.kind {
            OperationKind::Savepoint => "the job goes on",
            OperationKind::Replace(_) => "the job goes on as it was; the new spec is used when it next starts",
            OperationKind::Stop(_) => "the job goes on; ask again, or cancel it",
        };
        self.tell_operation(&operation, trouble, action, work);
        if operation.kind != OperationKind::Savepoint {
            self.job.desired = Desired::Running;
            self.job.renewed = false;
            self.job.start_from = StartFrom::Newest;
            let status = self.memory.seen.as_ref().map_or(RunStatus::Starting, |seen| seen.status.clone());
            self.become_state(status.as_job_state(), None, work);
        }
    }

    fn tell_operation(&self, operation: &Operation, trouble: &Trouble, action: &str, work: &mut Work<'_>) {
        let incident = format!("{}/{}", operation.run, operation.trigger);
        let title = format!("{} did not work: {}", said(operation.kind), trouble.text);
        self.tell(Telling::new(AlertKind::OperationFailed, incident, title).action(action), work);
    }

    /// A run that is well, or not quite.
    fn look_after(&mut self, work: &mut Work<'_>) {
        match self.ailment(work) {
            Some(title) if !self.memory.unhealthy => self.complain_of_health(title, work),
            Some(_) => {}
            None => self.memory.unhealthy = false,
        }
        let Some(since) = self.memory.running_since else { return };
        if self.job.incident.is_some() && !self.memory.unhealthy {
            let doublings = self.job.restarts.consecutive.saturating_sub(1).min(5);
            let proof = work.rules().recovered_after.saturating_mul(1 << doublings);
            if work.due(after(since, proof)) {
                self.close_incident("running again", work);
            }
        }
        if !self.job.restarts.recent.is_empty() || self.job.restarts.consecutive > 0 {
            let checkpointed = self.run.as_ref().is_some_and(|run| run.checkpointed);
            if checkpointed && work.due(after(since, self.spec.restart.reset_after)) {
                self.job.restarts = crate::job::RestartHistory::default();
                work.job_changed = true;
            }
        }
        let interval = work.rules().probe_interval;
        let spread = 0.75 + 0.5 * work.setting.random.clamp(0.0, 1.0);
        let first = after(since, (interval / 6).mul_f64(spread));
        let at = *self.memory.look_at.get_or_insert(first);
        if work.due(at)
            && !self.flies(CallKind::Look)
            && let Some(run) = self.run.as_ref().map(|run| run.run.clone())
        {
            self.memory.look_at = Some(after(work.now(), interval.mul_f64(spread)));
            work.step.calls.push(Call::Look(run));
        }
    }

    /// What is wrong with a run that its cluster keeps alive.
    fn ailment(&mut self, work: &mut Work<'_>) -> Option<String> {
        let (window, count) = (work.rules().restarting_window, work.rules().restarting_count as usize);
        let now = work.now();
        self.memory.restarting.retain(|at| after(*at, window) > now);
        if self.memory.restarting.len() >= count {
            if let Some(oldest) = self.memory.restarting.front() {
                work.due(after(*oldest, window));
            }
            return Some(format!("Flink restarted it {count} times in {} min", window.as_secs() / 60));
        }
        if let Some(since) = self.memory.restarting_since
            && work.due(after(since, window))
        {
            return Some(format!("it has been RESTARTING for {} min", window.as_secs() / 60));
        }
        let newest = self.memory.newest_checkpoint?;
        let limit = after(newest, work.rules().checkpoint_silence);
        let minutes = work.rules().checkpoint_silence.as_secs() / 60;
        let looked = self.memory.looked_at;
        looked.is_some_and(|at| at >= limit).then(|| format!("no checkpoint has completed for {minutes} min"))
    }

    fn complain_of_health(&mut self, title: String, work: &mut Work<'_>) {
        self.memory.unhealthy = true;
        let incident = self.open_incident(work);
        let telling = Telling::new(AlertKind::JobUnhealthy, incident, title)
            .action("nothing is done about it: Flink's own restart strategy is at work; look at its exceptions");
        self.tell(telling, work);
    }
}

fn options(operation: &Operation) -> SavepointOptions {
    SavepointOptions {
        directory: operation.directory.clone(),
        trigger_id: Some(operation.trigger),
        ..SavepointOptions::default()
    }
}
