//! How a run ended, and what follows.

use jiff::Timestamp;

use super::call::{Call, CallKind};
use super::command::said;
use super::memory::{Machine, after};
use super::step::Work;
use super::tell::Telling;
use crate::EventKind;
use crate::alert::AlertKind;
use crate::cluster::{RunStatus, Stop};
use crate::job::{Desired, Failure, FailureClass, JobState, RestartDecision, RestartMode, RestoreKind, RestorePoint};
use crate::store::{OperationKind, RunPhase};

/// How far the clocks of an engine and of this machine may be apart.
const SKEW: std::time::Duration = std::time::Duration::from_secs(60);

impl Machine {
    /// The end of the live run was seen.
    pub(super) fn conclude(&mut self, status: &RunStatus, work: &mut Work<'_>) {
        match status {
            RunStatus::Failed => {
                let Some(cause) = self.find_cause(work) else { return };
                let failure = cause.unwrap_or_else(|| Failure::new("the cluster says FAILED and tells no reason"));
                self.failed(failure, AlertKind::JobFailed, work);
            }
            RunStatus::Canceled => self.canceled(work),
            _ => self.finished(work),
        }
    }

    /// The cause, once it is known or was looked for long enough.
    fn find_cause(&mut self, work: &mut Work<'_>) -> Option<Option<Failure>> {
        if let Some(cause) = self.memory.cause.take() {
            return Some(cause);
        }
        if self.ready(CallKind::Failure, work)
            && let Some(run) = self.live().map(|run| run.run.clone())
        {
            work.step.calls.push(Call::Failure(run));
            // The next run needs them, and they can be read beside the cause.
            self.memory.points = None;
            self.ask_points(work);
        }
        let since = self.memory.end_seen.unwrap_or(work.now());
        work.due(after(since, work.rules().tell_within)).then_some(None)
    }

    /// The run failed: it is written down, told, and started again as the policy says.
    pub(super) fn failed(&mut self, failure: Failure, kind: AlertKind, work: &mut Work<'_>) {
        let ran = self.run.as_ref().is_some_and(|run| run.running_at.is_some());
        let ended = self.memory.seen.as_ref().and_then(|seen| seen.ended_at);
        self.end(JobState::Failed, Some(failure.clone()), work);
        let line = failure.one_line();
        let mut event = self.event(EventKind::RunFailed, format!("run {} failed", self.job.generation), work);
        event.error = Some(line.clone());
        event.data = serde_json::json!({"ended_at": ended, "task": failure.task});
        work.step.batch.events.push(event);
        if let Some(operation) = self.job.operation.take() {
            work.job_changed = true;
            if self.job.desired == Desired::Cancelled {
                return self.rest_as_desired(work);
            }
            let mut event = self.event(
                EventKind::OperationEnded,
                format!("{} met a failure of the run", said(operation.kind)),
                work,
            );
            event.error = Some(line.clone());
            work.step.batch.events.push(event);
            // A suspended job must be able to go on: it comes back first.
            self.job.desired = Desired::Running;
        }
        let fatal = failure.class_of == FailureClass::Fatal && !ran;
        let decision = match fatal {
            true => RestartDecision::GiveUp,
            false => self.spec.restart.decide(&mut self.job.restarts, work.now(), work.setting.random),
        };
        work.job_changed = true;
        match decision {
            RestartDecision::Restart(at) => {
                let at = self.tasks_until().map_or(at, |until| until.max(at));
                self.job.restarts.next_at = Some(at);
                self.back_off(failure, line, kind, at, work);
            }
            RestartDecision::CrashLoop => {
                let reason = format!(
                    "it failed {} times in {} min; the last time: {line}",
                    self.spec.restart.max_restarts.saturating_add(1),
                    self.spec.restart.window.as_secs() / 60
                );
                self.park(AlertKind::CrashLoop, reason, work);
            }
            RestartDecision::GiveUp => {
                self.become_state(JobState::Failed, Some(line.clone()), work);
                let incident = self.open_incident(work);
                let action = match fatal {
                    true => "not restarted: the same submission would fail again; mend it and start the job",
                    false => "not restarted: its restart policy says never",
                };
                self.tell(Telling::new(kind, incident, line).cause(Some(failure)).action(action), work);
            }
        }
    }

    fn back_off(&mut self, failure: Failure, line: String, kind: AlertKind, at: Timestamp, work: &mut Work<'_>) {
        let seconds = at.duration_since(work.now()).as_secs();
        let when = match seconds {
            ..=0 => "at once".to_owned(),
            _ if self.tasks_until() == Some(at) => format!("in {seconds} s, when its tasks can no longer be at work"),
            _ => format!("in {seconds} s"),
        };
        let mut event = self.event(EventKind::RestartDecided, format!("it is started again {when}"), work);
        event.data = serde_json::json!({"at": at, "restart": self.job.restarts.consecutive});
        work.step.batch.events.push(event);
        self.become_state(JobState::BackingOff, Some(line.clone()), work);
        // The first failure of an incident says why; those that follow from it are in the history.
        if self.job.incident.is_none() {
            let incident = self.open_incident(work);
            let action = format!("started again {when}, from its newest restore point");
            self.tell(Telling::new(kind, incident, line).cause(Some(failure)).action(action), work);
        }
    }

    fn canceled(&mut self, work: &mut Work<'_>) {
        let operation = self.job.operation.take();
        work.job_changed |= operation.is_some();
        self.end(JobState::Canceled, None, work);
        match operation.map(|operation| operation.kind) {
            Some(OperationKind::Replace(_)) => self.become_state(JobState::Submitting, None, work),
            Some(OperationKind::Stop(Stop::Cancel | Stop::Kill)) => self.rest_as_desired(work),
            Some(OperationKind::Stop(_)) if self.memory.saved => self.rest_as_desired(work),
            _ if self.spec.restart.mode == RestartMode::Always => self.again("it was cancelled by somebody else", work),
            _ => {
                self.job.desired = Desired::Cancelled;
                self.become_state(JobState::Canceled, Some("it was cancelled by somebody else".to_owned()), work);
                self.close_incident("closed, the job was cancelled", work);
            }
        }
    }

    fn finished(&mut self, work: &mut Work<'_>) {
        let kind = self.job.operation.as_ref().map(|operation| operation.kind);
        let (OperationKind::Stop(how) | OperationKind::Replace(how)) = kind.unwrap_or(OperationKind::Savepoint) else {
            return self.came_to_its_end(work);
        };
        if matches!(how, Stop::Savepoint | Stop::Drain) && !self.find_savepoint(work) {
            return;
        }
        if !self.memory.saved {
            return self.came_to_its_end(work);
        }
        self.job.operation = None;
        work.job_changed = true;
        self.end(JobState::Suspended, None, work);
        match kind {
            Some(OperationKind::Replace(_)) => self.become_state(JobState::Submitting, None, work),
            _ => self.rest_as_desired(work),
        }
    }

    /// Whether it is known if a stop left a savepoint: by its answer, or by the engine's list.
    fn find_savepoint(&mut self, work: &mut Work<'_>) -> bool {
        if self.memory.saved {
            return true;
        }
        let since = self.memory.end_seen.unwrap_or(work.now());
        if self.flies(CallKind::Stop) && !work.due(after(since, SKEW)) {
            return false;
        }
        let asked = self.memory.points.as_ref().filter(|(_, asked)| *asked >= since);
        let Some((points, _)) = asked else {
            let tries = self.memory.retries.get(&CallKind::Points).map_or(0, |retry| retry.attempts);
            self.ask_points(work);
            return tries >= work.rules().fetch_attempts;
        };
        let (run, at) = (self.job.run_key(), self.job.operation.as_ref().map(|operation| operation.at));
        let ours = |point: &&RestorePoint| {
            point.kind == RestoreKind::Savepoint
                && point.run == run
                && at.is_none_or(|at| after(point.completed_at, SKEW) >= at)
        };
        if let Some(point) = points.usable.iter().find(ours).cloned() {
            self.keep(point, work);
            self.memory.saved = true;
        }
        true
    }

    fn came_to_its_end(&mut self, work: &mut Work<'_>) {
        if let Some(operation) = self.job.operation.take() {
            work.job_changed = true;
            let message = format!("the program came to its end before {}", said(operation.kind));
            self.record(EventKind::OperationEnded, message, work);
        }
        self.end(JobState::Finished, None, work);
        if self.job.desired == Desired::Running && self.spec.restart.mode == RestartMode::Always {
            return self.again("the program came to its end", work);
        }
        self.become_state(JobState::Finished, None, work);
        self.close_incident("closed, the program came to its end", work);
    }

    /// An end that is no failure starts the job again, within the bounds of the policy.
    fn again(&mut self, why: &str, work: &mut Work<'_>) {
        let decision = self.spec.restart.decide(&mut self.job.restarts, work.now(), work.setting.random);
        work.job_changed = true;
        match decision {
            RestartDecision::Restart(_) => {
                self.record(EventKind::RestartDecided, format!("{why}; it is started again"), work);
                self.become_state(JobState::BackingOff, Some(why.to_owned()), work);
            }
            _ => self.park(AlertKind::CrashLoop, format!("{why}, too often for its restart policy"), work),
        }
    }

    /// The cluster answers and does not list the run: nothing is done before its tasks can no longer live.
    pub(super) fn wait_for_orphans(&mut self, since: Timestamp, work: &mut Work<'_>) {
        if !self.memory.looked_up
            && self.ready(CallKind::Lookup, work)
            && let Some(run) = self.live().map(|run| run.run.clone())
        {
            work.step.calls.push(Call::Lookup(run));
        }
        let facts = (work.setting.clusters)(self.cluster());
        let orphans = facts.map_or(SKEW, |facts| facts.orphan_timeout);
        if !work.due(after(since, orphans)) || !self.memory.looked_up {
            return;
        }
        if self.job.desired == Desired::Cancelled && self.job.operation.is_some() {
            self.job.operation = None;
            work.job_changed = true;
            self.end(JobState::Canceled, None, work);
            return self.rest_as_desired(work);
        }
        let words = format!(
            "the cluster answers and has not listed the run for {} s; its JobManager was lost",
            orphans.as_secs()
        );
        let failure = Failure::new(words).with_class_of(FailureClass::Environment);
        self.failed(failure, AlertKind::JobVanished, work);
    }

    /// Writes the end of the live run down.
    fn end(&mut self, outcome: JobState, failure: Option<Failure>, work: &mut Work<'_>) {
        let facts = (work.setting.clusters)(self.cluster());
        let kept = facts.is_none_or(|facts| facts.capability.application);
        if let Some(run) = &mut self.run {
            run.phase = RunPhase::Ended;
            run.ended_at = Some(work.now());
            run.outcome = Some(outcome);
            run.failure = failure;
            run.tasks_until = self.memory.seen.as_ref().and_then(|seen| seen.tasks_until);
            run.released = !kept;
            work.run_changed = true;
        }
        self.rest_run();
    }

    /// The job has no live run and goes where its owner wants it.
    pub(super) fn rest_as_desired(&mut self, work: &mut Work<'_>) {
        let state = match self.job.desired {
            Desired::Running => JobState::Submitting,
            Desired::Suspended => JobState::Suspended,
            Desired::Cancelled => JobState::Canceled,
        };
        work.job_changed = true;
        let rests = state != JobState::Submitting;
        self.become_state(state, None, work);
        if rests {
            self.job.restarts = crate::job::RestartHistory::default();
            self.close_incident("closed, the job was stopped", work);
        }
    }
}
