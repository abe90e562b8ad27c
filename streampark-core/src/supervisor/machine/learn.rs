//! What happened, written into the machine's memory; decisions follow in `decide`.

use super::call::{Answer, CallKind, Input, Trouble};
use super::knowledge::Knowledge;
use super::memory::{Machine, after};
use super::step::Work;
use crate::cluster::{Accepted, Lookup, Observation, RunStatus};
use crate::flink::FlinkJobId;
use crate::job::{JobState, RestorePoint, RunKey};
use crate::store::RunPhase;
use crate::{ErrorStatus, EventKind};

impl Machine {
    pub(super) fn learn(&mut self, input: Input, work: &mut Work<'_>) {
        match input {
            Input::Tick => {}
            Input::Reachable => {
                for retry in self.memory.retries.values_mut() {
                    retry.at = None;
                }
            }
            Input::Unreachable(run) => {
                if self.is_live(run) && !matches!(self.knowledge, Knowledge::Unreachable(_)) {
                    self.knowledge = Knowledge::Unreachable(work.now());
                    self.memory.running_since = None;
                }
            }
            Input::Seen(run, Some(seen)) => {
                if self.is_live(run) {
                    self.see(seen, work);
                }
            }
            Input::Seen(run, None) => {
                if self.is_live(run) {
                    self.miss(work);
                }
            }
            Input::Answered { run, trigger, answer } => self.hear(run, trigger, *answer, work),
        }
    }

    fn is_live(&self, key: RunKey) -> bool {
        self.live().is_some_and(|run| run.run.key == key)
    }

    /// The cluster lists the live run.
    pub(super) fn see(&mut self, seen: Box<Observation>, work: &mut Work<'_>) {
        let intended = self.live().is_some_and(|run| run.phase == RunPhase::Intended);
        if intended {
            let mut accepted = Accepted::new(seen.flink_job.unwrap_or_else(|| self.flink_job()));
            accepted.deployment = seen.deployment.clone();
            accepted.already_there = true;
            self.accept(accepted, work);
        }
        if let Knowledge::Absent(_) = self.knowledge {
            self.record(EventKind::KnowledgeChanged, "the cluster lists the run again", work);
        }
        self.knowledge = Knowledge::Observed(work.now());
        self.memory.looked_up = false;
        let now = work.now();
        for copy in &seen.copies {
            if self.memory.copies.insert(copy.clone()) {
                let words = format!("{copy} carried the tag of this run too and was ended; one copy goes on");
                self.record(EventKind::CopyEnded, words, work);
            }
        }
        if let Some(run) = &mut self.run {
            // An application's JobID can be learnt late, and its deployment by a tag.
            let (job, deployment) = (seen.flink_job, seen.deployment.clone());
            if deployment.is_some() && run.run.deployment.is_none() {
                run.run.deployment = deployment;
                work.run_changed = true;
            }
            if let Some(job) = job.filter(|job| *job != run.run.flink_job) {
                run.run.flink_job = job;
                work.run_changed = true;
            }
        }
        match seen.status {
            RunStatus::Running => {
                self.memory.running_since.get_or_insert(now);
                self.memory.restarting_since = None;
            }
            RunStatus::Restarting => {
                self.memory.running_since = None;
                if self.memory.restarting_since.is_none() {
                    self.memory.restarting_since = Some(now);
                    self.memory.restarting.push_back(now);
                    while self.memory.restarting.len() > 64 {
                        self.memory.restarting.pop_front();
                    }
                }
            }
            _ => self.memory.running_since = None,
        }
        if seen.status.is_terminal() {
            self.memory.end_seen.get_or_insert(now);
        }
        self.memory.seen = Some(seen);
    }

    /// The cluster answers and does not list the live run.
    fn miss(&mut self, work: &mut Work<'_>) {
        let sent = self.live().is_some_and(|run| run.phase != RunPhase::Intended);
        // An end that was seen stays seen, though the engine has forgotten it meanwhile.
        let over = self.memory.seen.as_ref().is_some_and(|seen| seen.status.is_terminal());
        if !sent || over || matches!(self.knowledge, Knowledge::Absent(_)) {
            return;
        }
        self.knowledge = Knowledge::Absent(work.now());
        self.memory.running_since = None;
        self.memory.looked_up = false;
        self.record(EventKind::KnowledgeChanged, "the cluster answers and does not list the run", work);
    }

    fn flink_job(&self) -> FlinkJobId {
        self.run.as_ref().map_or_else(|| RunKey::new(self.job.id, 0).flink_job_id(), |run| run.run.flink_job)
    }

    /// The cluster has the run.
    pub(super) fn accept(&mut self, accepted: Accepted, work: &mut Work<'_>) {
        let now = work.now();
        let Some(run) = self.run.as_mut().filter(|run| run.phase == RunPhase::Intended) else { return };
        run.phase = RunPhase::Accepted;
        run.accepted_at = Some(now);
        run.run.flink_job = accepted.flink_job;
        if accepted.deployment.is_some() {
            run.run.deployment = accepted.deployment;
        }
        work.run_changed = true;
        let place = match &run.run.deployment {
            Some(deployment) => format!("accepted as {deployment}"),
            None => format!("accepted as {}", run.run.flink_job),
        };
        self.memory.retries.clear();
        self.memory.troubled_since = None;
        self.memory.trouble_told = false;
        self.record(EventKind::SubmissionAccepted, place, work);
        self.become_state(JobState::Starting, None, work);
        self.knowledge = Knowledge::Observed(now);
    }

    fn hear(&mut self, run: RunKey, trigger: Option<FlinkJobId>, answer: Answer, work: &mut Work<'_>) {
        let kind = answer.kind();
        let expected = self.memory.flight.get(&kind) == Some(&trigger);
        if expected {
            self.memory.flight.remove(&kind);
        }
        let current = self.run.as_ref().is_some_and(|newest| newest.run.key == run);
        if !current {
            return;
        }
        match answer {
            Answer::Pinned(answer) => self.took(answer, work),
            Answer::Reserved(answer) => self.reserved(answer, work),
            Answer::Submitted(answer) => self.submitted(answer, work),
            Answer::LookedUp(answer) => self.looked_up(answer, work),
            Answer::Stopped(answer) if expected => self.stopped(answer, work),
            Answer::Saved(answer) if expected => self.saved(answer, work),
            Answer::Stopped(_) | Answer::Saved(_) => {}
            Answer::Failure(Ok(failure)) => self.memory.cause = Some(failure),
            Answer::Failure(Err(trouble)) => {
                let attempts = self.later(CallKind::Failure, &trouble, work);
                if attempts >= work.rules().fetch_attempts {
                    self.memory.cause = Some(None);
                }
            }
            Answer::Points(Ok(points)) => self.found(points, work),
            Answer::Points(Err(trouble)) => drop(self.later(CallKind::Points, &trouble, work)),
            Answer::Looked(Ok(newest)) => self.looked(newest.as_ref(), work),
            // The next look comes soon enough.
            Answer::Looked(Err(_)) => {}
            Answer::Released(Ok(())) => {
                if let Some(run) = self.run.as_mut().filter(|run| run.phase == RunPhase::Ended) {
                    run.released = true;
                    work.run_changed = true;
                }
            }
            Answer::Released(Err(trouble)) => {
                let attempts = self.later(CallKind::Release, &trouble, work);
                if attempts >= work.rules().operation_attempts
                    && let Some(run) = self.run.as_mut()
                {
                    run.released = true;
                    work.run_changed = true;
                    let mut event =
                        self.event(EventKind::OperationEnded, "what the engine keeps of the run was not removed", work);
                    event.error = Some(trouble.text);
                    work.step.batch.events.push(event);
                }
            }
        }
    }

    fn looked_up(&mut self, answer: Result<Lookup, Trouble>, work: &mut Work<'_>) {
        let in_doubt = self.live().is_some_and(|run| run.phase == RunPhase::Intended);
        match answer {
            Ok(Lookup::Found(seen)) => {
                self.memory.retries.remove(&CallKind::Lookup);
                if self.live().is_some() {
                    self.see(seen, work);
                }
            }
            Ok(Lookup::NeverArrived) if in_doubt => self.never_arrived(work),
            Ok(Lookup::NeverArrived) => self.memory.looked_up = true,
            Ok(Lookup::Unknown(reason)) => {
                let trouble = Trouble { kind: crate::ErrorKind::Remote, status: ErrorStatus::Temporary, text: reason };
                self.later(CallKind::Lookup, &trouble, work);
                self.memory.looked_up = true;
                self.complain(&trouble, work);
            }
            Err(trouble) => {
                self.later(CallKind::Lookup, &trouble, work);
                self.complain(&trouble, work);
            }
        }
    }

    /// Puts the next attempt of a kind of call off; gives the attempts that failed so far.
    pub(super) fn later(&mut self, kind: CallKind, trouble: &Trouble, work: &mut Work<'_>) -> u32 {
        let (first, longest) = (work.rules().retry_backoff, work.rules().retry_backoff_max);
        let retry = self.memory.retries.entry(kind).or_default();
        let factor = 2_u32.saturating_pow(retry.attempts.min(16));
        let wait = first.saturating_mul(factor).min(longest);
        // Those that were put off together do not come back together.
        let spread = wait.mul_f64(0.75 + 0.5 * work.setting.random.clamp(0.0, 1.0));
        retry.attempts = retry.attempts.saturating_add(1);
        retry.at = Some(after(work.now(), spread));
        tracing::debug!(job = %self.job.id, ?kind, attempts = retry.attempts, trouble = %trouble.text, "a call is put off");
        retry.attempts
    }

    /// Whether a call of this kind can be made now: none is under way, and no wait is left.
    pub(super) fn ready(&self, kind: CallKind, work: &mut Work<'_>) -> bool {
        if self.flies(kind) {
            return false;
        }
        match self.memory.retries.get(&kind).and_then(|retry| retry.at) {
            Some(at) => work.due(at),
            None => true,
        }
    }

    fn found(&mut self, points: super::call::Points, work: &mut Work<'_>) {
        self.memory.retries.remove(&CallKind::Points);
        let asked = self.memory.points_asked.take().unwrap_or(work.now());
        self.looked(points.usable.first(), work);
        self.memory.points = Some((points, asked));
    }

    /// Writes the newest restore point down: of a run at work not each time that there is a newer one.
    fn looked(&mut self, newest: Option<&RestorePoint>, work: &mut Work<'_>) {
        let now = work.now();
        self.memory.looked_at = Some(now);
        let of_run = newest.filter(|point| point.run.is_some() && point.run == self.job.run_key());
        let Some(point) = of_run else { return };
        let first = self.run.as_ref().is_some_and(|run| !run.checkpointed);
        if let Some(run) = self.run.as_mut().filter(|_| first) {
            run.checkpointed = true;
            work.run_changed = true;
        }
        let newer = self.memory.newest_checkpoint.is_none_or(|at| point.completed_at > at);
        if newer {
            self.memory.newest_checkpoint = Some(point.completed_at);
        }
        // The last one of a run is what the next may start from when the engine has forgotten both.
        let over = self.memory.end_seen.is_some() || self.live().is_none();
        let often = work.rules().record_interval;
        let due = over || newer && (first || self.memory.recorded_at.is_none_or(|at| after(at, often) <= now));
        if due && self.memory.recorded.as_ref() != Some(&point.path) {
            self.memory.recorded = Some(point.path.clone());
            self.memory.recorded_at = Some(now);
            let mut event = self.event(EventKind::RestorePointRecorded, format!("{point} is complete"), work);
            event.data = serde_json::json!({"path": point.path, "checkpoint_id": point.checkpoint_id});
            work.step.batch.events.push(event);
            work.step.batch.restore_points.push((self.job.id, point.clone()));
        }
    }
}
