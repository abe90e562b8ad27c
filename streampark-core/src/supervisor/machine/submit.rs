//! From the wish to run to a run that its cluster has.

use jiff::Timestamp;

use super::call::{Call, CallKind, Trouble};
use super::memory::{Machine, after};
use super::step::Work;
use super::tell::Telling;
use crate::alert::AlertKind;
use crate::cluster::Accepted;
use crate::job::{
    DeploymentId, Failure, JobState, Pin, RestoreKind, RestorePoint, RunKey, RunRef, StartFrom, StateNeed, Verification,
};
use crate::store::{RunPhase, RunRecord};
use crate::{ErrorKind, ErrorStatus, EventKind};

/// Where the next run starts, or why it does not.
enum Start {
    From(Option<RestorePoint>),
    NotYet,
    Park(String),
}

impl Machine {
    /// Writes the intent of the next run, once its restore point is chosen.
    pub(super) fn begin(&mut self, work: &mut Work<'_>) {
        if let Some(until) = self.tasks_until().filter(|until| !work.due(*until)) {
            let reason = format!("tasks of the run before may be at work until {until:.0}; it is submitted then");
            return self.become_state(self.job.state.clone(), Some(reason), work);
        }
        let from = match self.choose(work) {
            Start::NotYet => return,
            Start::Park(reason) => return self.park(AlertKind::JobParked, reason, work),
            Start::From(from) => from,
        };
        if let Some(run) = self.to_release() {
            if self.ready(CallKind::Release, work) {
                work.step.calls.push(Call::Release(run));
            }
            return;
        }
        let now = work.now();
        let pins = self.inherited_pins();
        if work.run_changed {
            // The end of the run before belongs to the same commit.
            work.step.batch.runs.extend(self.run.take());
        }
        let generation = self.job.generation.saturating_add(1);
        let run = RunRef::new(RunKey::new(self.job.id, generation));
        let mut record = RunRecord::intended(run, &self.spec.cluster, self.job.spec_version, now);
        record.attempts = 1;
        record.incarnation = (work.setting.clusters)(&self.spec.cluster).and_then(|facts| facts.incarnation);
        record.restored_from = from;
        record.unpinned = pins.is_none() && self.spec.has_names_to_pin();
        record.pins = pins.unwrap_or_default();
        self.job.renewed = false;
        self.forget_run();
        self.job.generation = generation;
        self.job.start_from = StartFrom::Newest;
        self.job.restarts.next_at = None;
        let words = match &record.restored_from {
            Some(point) => format!("run {generation} is about to be submitted, from {point}"),
            None => format!("run {generation} is about to be submitted, without state"),
        };
        let data = serde_json::json!({
            "flink_job": record.run.flink_job,
            "restore_point": record.restored_from.as_ref().map(|point| &point.path),
            "spec_version": record.spec_version,
            "pins": record.pins,
        });
        self.run = Some(record);
        work.run_changed = true;
        work.job_changed = true;
        let mut event = self.event(EventKind::SubmissionIntended, words, work);
        event.data = data;
        work.step.batch.events.push(event);
        self.become_state(JobState::Submitting, None, work);
    }

    /// Until when tasks of the run before may be at work.
    pub(super) fn tasks_until(&self) -> Option<Timestamp> {
        self.run.as_ref().and_then(|run| run.tasks_until)
    }

    fn choose(&mut self, work: &mut Work<'_>) -> Start {
        let now = work.now();
        let named = |path: &str| {
            let kind = match path.trim_end_matches('/').rsplit('/').next() {
                Some(last) if last.starts_with("chk-") => RestoreKind::Checkpoint,
                _ => RestoreKind::Savepoint,
            };
            RestorePoint::new(kind, path, now)
        };
        match &self.job.start_from {
            StartFrom::Path(path) => return Start::From(Some(named(path))),
            StartFrom::Empty => return Start::From(None),
            StartFrom::Newest => {}
        }
        if self.run.is_none() {
            return Start::From(self.spec.restore.initial.as_deref().map(named));
        };
        let fresh = work.rules().points_fresh;
        let ended = self.memory.end_seen;
        let known = self.memory.points.as_ref();
        let known = known.filter(|(_, asked)| after(*asked, fresh) >= now && ended.is_none_or(|ended| *asked >= ended));
        let Some((points, _)) = known else {
            self.ask_points(work);
            return Start::NotYet;
        };
        let need = self.spec.restore.state;
        if need == StateNeed::None && points.usable.is_empty() {
            return Start::From(None);
        }
        match points.usable.first() {
            Some(point) => {
                let oldest = self.spec.restore.max_age;
                if let Some(age) = oldest.filter(|age| after(point.completed_at, *age) < now) {
                    return Start::Park(format!(
                        "the newest restore point, {point}, is older than {} s (restore.max_age); start it from a place \
                         that you name",
                        age.as_secs()
                    ));
                }
                Start::From(Some(point.clone()))
            }
            None if points.had_state => Start::Park(
                "the job has state and no usable restore point exists; start it from a path, or without state"
                    .to_owned(),
            ),
            None if need == StateNeed::Required => Start::Park(
                "restore.state is required and there is no restore point; start it from a path, or without state"
                    .to_owned(),
            ),
            None => Start::From(self.spec.restore.initial.as_deref().filter(|_| !points.had_state).map(named)),
        }
    }

    /// The submission goes on: reserve, send, or ask.
    pub(super) fn pursue(&mut self, work: &mut Work<'_>) {
        let Some(run) = self.live().map(|run| run.run.clone()) else { return };
        if [CallKind::Submit, CallKind::Reserve, CallKind::Pin].into_iter().any(|kind| self.flies(kind)) {
            return;
        }
        if self.job.state == JobState::InDoubt {
            if self.ready(CallKind::Lookup, work) {
                work.step.calls.push(Call::Lookup(run));
            }
            return;
        }
        if self.withdrawn() {
            // An earlier request of a run that was sent again can still arrive: that is waited out.
            if self.was_sent_again() {
                return self.become_state(JobState::InDoubt, None, work);
            }
            return self.withdraw(work);
        }
        let Some(facts) = (work.setting.clusters)(&self.spec.cluster) else {
            let text = format!("no cluster is registered under the name '{}'", self.spec.cluster);
            return self.complain(&Trouble::new(ErrorKind::NotFound, text), work);
        };
        if !facts.reachable {
            return;
        }
        // Another process of the engine has no fence against a copy that the one before took and left behind.
        if self.was_sent_again() && self.live().is_some_and(|run| run.incarnation != facts.incarnation) {
            return self.become_state(JobState::InDoubt, None, work);
        }
        let call = match self.live() {
            Some(record) if record.unpinned => Call::Pin(run),
            _ if facts.capability.reserve && run.deployment.is_none() => Call::Reserve(run),
            _ => Call::Submit(run),
        };
        if self.ready(call.kind(), work) {
            work.step.calls.push(call);
        }
    }

    /// What the run before ran, where the next one takes its place and nobody asked for anything new.
    fn inherited_pins(&self) -> Option<Vec<Pin>> {
        let before = self.run.as_ref().filter(|run| !self.job.renewed && run.spec_version == self.job.spec_version)?;
        (!before.unpinned && !before.pins.is_empty()).then(|| before.pins.clone())
    }

    /// It is known what the run is made of: from now on it is made of that, however often it is sent.
    pub(super) fn took(&mut self, answer: Result<Vec<Pin>, Trouble>, work: &mut Work<'_>) {
        let Some(run) = self.run.as_mut().filter(|run| run.phase == RunPhase::Intended && run.unpinned) else { return };
        match answer {
            Ok(pins) => {
                run.unpinned = false;
                run.pins.clone_from(&pins);
                work.run_changed = true;
                self.memory.retries.remove(&CallKind::Pin);
                if pins.is_empty() {
                    return;
                }
                let words: Vec<String> = pins.iter().map(Pin::to_string).collect();
                let message = format!("run {} is made of {}", self.job.generation, words.join("; "));
                let mut event = self.event(EventKind::RunPinned, message, work);
                event.data = serde_json::json!({"pins": pins});
                work.step.batch.events.push(event);
            }
            Err(trouble) if trouble.status == ErrorStatus::Permanent => self.refused(trouble, work),
            Err(trouble) => {
                self.later(CallKind::Pin, &trouble, work);
                self.complain(&trouble, work);
            }
        }
    }

    /// Whether the run is not wanted any more and is known not to have been sent.
    fn withdrawn(&self) -> bool {
        self.job.operation.as_ref().is_some_and(|operation| operation.kind != crate::store::OperationKind::Savepoint)
    }

    fn was_sent_again(&self) -> bool {
        self.live().is_some_and(|run| run.attempts > 1)
    }

    pub(super) fn reserved(&mut self, answer: Result<Option<DeploymentId>, Trouble>, work: &mut Work<'_>) {
        let incarnation = (work.setting.clusters)(&self.spec.cluster).and_then(|facts| facts.incarnation);
        let Some(run) = self.run.as_mut().filter(|run| run.phase == RunPhase::Intended) else { return };
        match answer {
            Ok(deployment) => {
                run.run.deployment = deployment;
                // Nothing was sent so far: the process that reserved is the one that a submission goes to.
                run.incarnation = incarnation;
                work.run_changed = true;
                self.memory.retries.remove(&CallKind::Reserve);
            }
            // Nothing runs by a reservation: it may be asked for again.
            Err(trouble) if trouble.status == ErrorStatus::Permanent => self.refused(trouble, work),
            Err(trouble) => {
                self.later(CallKind::Reserve, &trouble, work);
                self.complain(&trouble, work);
            }
        }
    }

    pub(super) fn submitted(&mut self, answer: Result<Accepted, Trouble>, work: &mut Work<'_>) {
        if !self.live().is_some_and(|run| run.phase == RunPhase::Intended) {
            return;
        }
        match answer {
            Ok(accepted) => self.accept(accepted, work),
            Err(trouble) => match trouble.status {
                ErrorStatus::Permanent if self.was_sent_again() => {
                    self.memory.refusal = Some(trouble);
                    self.become_state(JobState::InDoubt, None, work);
                }
                ErrorStatus::Permanent => self.refused(trouble, work),
                ErrorStatus::Temporary => {
                    let attempts = self.later(CallKind::Submit, &trouble, work);
                    if attempts == 1 {
                        let mut event =
                            self.event(EventKind::SubmissionRefused, "refused for the moment; it is tried again", work);
                        event.error = Some(trouble.text.clone());
                        work.step.batch.events.push(event);
                    }
                    self.complain(&trouble, work);
                }
                ErrorStatus::Unknown => {
                    let mut event = self.event(
                        EventKind::SubmissionInDoubt,
                        "the answer is lost; the cluster is asked what became of the submission",
                        work,
                    );
                    event.error = Some(trouble.text);
                    work.step.batch.events.push(event);
                    self.become_state(JobState::InDoubt, None, work);
                    self.memory.troubled_since.get_or_insert(work.now());
                }
            },
        }
    }

    /// The cluster answers and never had the run.
    pub(super) fn never_arrived(&mut self, work: &mut Work<'_>) {
        let Some(run) = self.live() else { return };
        let facts = (work.setting.clusters)(&run.cluster);
        let known = facts.as_ref().and_then(|facts| facts.incarnation.as_deref());
        let same_engine = known.is_some() && known == run.incarnation.as_deref();
        let orphans = facts.as_ref().map_or(std::time::Duration::from_secs(60), |facts| facts.orphan_timeout);
        // Another process of the engine may have taken the run and died since: its tasks can live on for a while,
        // counted from the first answer of the process after it.
        // The same process refuses a late request by its JobID once the run is sent again, and only then.
        let since = match &self.memory.never_since {
            Some((since, by)) if by.as_deref() == known => *since,
            _ => work.now(),
        };
        self.memory.never_since = Some((since, known.map(str::to_owned)));
        let fenced = same_engine && !self.withdrawn() && self.memory.refusal.is_none();
        if !fenced && !work.due(after(since, orphans)) {
            let retry = self.memory.retries.entry(CallKind::Lookup).or_default();
            retry.at = Some(after(since, orphans));
            return;
        }
        self.memory.never_since = None;
        if self.withdrawn() {
            return self.withdraw(work);
        }
        if let Some(trouble) = self.memory.refusal.take() {
            return self.refused(trouble, work);
        }
        let incarnation = facts.and_then(|facts| facts.incarnation);
        if let Some(run) = self.run.as_mut() {
            run.attempts = run.attempts.saturating_add(1);
            run.incarnation = incarnation;
            work.run_changed = true;
        }
        self.memory.retries.clear();
        self.record(
            EventKind::SubmissionIntended,
            "the cluster never had the run; it is sent again as the same run",
            work,
        );
        self.become_state(JobState::Submitting, None, work);
    }

    /// People hear of a submission that gets nowhere, once, after a while.
    pub(super) fn complain(&mut self, trouble: &Trouble, work: &mut Work<'_>) {
        let since = *self.memory.troubled_since.get_or_insert(work.now());
        let at = after(since, work.rules().patience);
        if self.memory.trouble_told || !self.live().is_some_and(|run| run.phase == RunPhase::Intended) || !work.due(at)
        {
            return;
        }
        self.memory.trouble_told = true;
        let incident = self.open_incident(work);
        let telling =
            Telling::new(AlertKind::SubmissionFailed, incident, format!("not submitted yet: {}", trouble.text))
                .action("it is tried again until it works or the job is cancelled");
        self.tell(telling, work);
    }

    /// The submission was refused for good.
    fn refused(&mut self, trouble: Trouble, work: &mut Work<'_>) {
        let now = work.now();
        let failure = Failure::new(trouble.text);
        let reason = failure.one_line();
        if let Some(run) = &mut self.run {
            run.phase = RunPhase::Ended;
            run.ended_at = Some(now);
            run.outcome = Some(JobState::Failed);
            run.failure = Some(failure.clone());
            work.run_changed = true;
        }
        let mut event = self.event(EventKind::SubmissionRefused, "the submission was refused", work);
        event.error = Some(reason.clone());
        work.step.batch.events.push(event);
        self.forget_run();
        if self.job.operation.take().is_some() && self.job.desired != crate::job::Desired::Running {
            return self.rest_as_desired(work);
        }
        self.become_state(JobState::Failed, Some(reason.clone()), work);
        let incident = self.open_incident(work);
        let telling = Telling::new(AlertKind::SubmissionFailed, incident, format!("not submitted: {reason}"))
            .cause(Some(failure))
            .action("not tried again: the same submission would be refused again; mend it and start the job");
        self.tell(telling, work);
    }

    /// Ends a run that was never sent because it is not wanted any more.
    fn withdraw(&mut self, work: &mut Work<'_>) {
        let now = work.now();
        if let Some(run) = &mut self.run {
            run.phase = RunPhase::Ended;
            run.ended_at = Some(now);
            run.outcome = Some(JobState::Canceled);
            run.released = false;
            work.run_changed = true;
        }
        self.forget_run();
        self.job.operation = None;
        work.job_changed = true;
        self.rest_as_desired(work);
    }

    /// Stops here and waits for a person.
    pub(super) fn park(&mut self, kind: AlertKind, reason: String, work: &mut Work<'_>) {
        self.job.restarts.next_at = None;
        self.become_state(JobState::Parked, Some(reason.clone()), work);
        let incident = self.open_incident(work);
        let cause = self.run.as_ref().and_then(|run| run.failure.clone());
        let telling = Telling::new(kind, incident, format!("parked: {reason}"))
            .cause(cause)
            .action("it waits for a person: start it when the reason is gone");
        self.tell(telling, work);
    }
}

/// The points that can be used, newest first, each once.
pub(in crate::supervisor) fn newest_first(points: impl IntoIterator<Item = RestorePoint>) -> Vec<RestorePoint> {
    let mut kept: Vec<RestorePoint> = Vec::new();
    for point in points {
        if point.verification == Verification::Missing || kept.iter().any(|known| known.path == point.path) {
            continue;
        }
        kept.push(point);
    }
    kept.sort_by_key(|point| std::cmp::Reverse((point.completed_at, point.checkpoint_id)));
    kept
}
