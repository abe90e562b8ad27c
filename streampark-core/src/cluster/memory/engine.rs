//! The simulated engine itself: plain state, no waiting.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cluster::{Accepted, Lookup, Observation, RunStatus, Submission};
use crate::flink::FlinkJobId;
use crate::job::{Failure, JobId, RestoreKind, RestorePoint, RunKey, RunRef, Verification};
use crate::{Error, ErrorKind, Result};

/// One copy of a job that truly ran.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Copy {
    /// The run.
    pub key: RunKey,
    /// Flink's JobID.
    pub flink_job: FlinkJobId,
    /// Where it started from.
    pub restored_from: Option<String>,
    /// When its tasks began.
    pub started_at: Timestamp,
    /// When its last task ended; None while it lives. After a crash of the JobManager this lies in
    /// the future: tasks outlive it.
    pub ended_at: Option<Timestamp>,
    /// How it ended, in the engine's word.
    pub ended_as: Option<String>,
}

/// What truly ran, in the order of starts. Only ever grows: the judge of "one copy".
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CopyLog(pub Vec<Copy>);

impl CopyLog {
    /// The copies of one job, oldest first.
    pub fn of(&self, job: JobId) -> impl Iterator<Item = &Copy> {
        self.0.iter().filter(move |copy| copy.key.job == job)
    }

    /// The most copies of `job` that were alive at one moment.
    pub fn most_at_once(&self, job: JobId) -> usize {
        let copies: Vec<_> = self.of(job).collect();
        let alive_at = |at: Timestamp| {
            copies.iter().filter(|copy| copy.started_at <= at && copy.ended_at.is_none_or(|end| at < end)).count()
        };
        copies.iter().map(|copy| alive_at(copy.started_at)).max().unwrap_or(0)
    }

    /// The copies of `job` alive at `at`.
    pub fn alive(&self, job: JobId, at: Timestamp) -> usize {
        self.of(job).filter(|copy| copy.started_at <= at && copy.ended_at.is_none_or(|end| at < end)).count()
    }

    /// Every job that ever ran.
    pub fn jobs(&self) -> BTreeSet<JobId> {
        self.0.iter().map(|copy| copy.key.job).collect()
    }
}

#[derive(Debug, Clone)]
struct Simulated {
    key: RunKey,
    name: String,
    started_at: Timestamp,
    running_at: Timestamp,
    over: Option<(RunStatus, Timestamp)>,
    restarting: bool,
    failure: Option<Failure>,
    checkpoints: Vec<RestorePoint>,
    next_checkpoint: u64,
    checkpointed_until: Timestamp,
    triggers: BTreeMap<FlinkJobId, RestorePoint>,
    copy: usize,
}

#[derive(Debug)]
pub(super) struct Engine {
    pub(super) start_delay: Duration,
    pub(super) checkpoint_interval: Option<Duration>,
    pub(super) orphan_timeout: Duration,
    jobs: HashMap<FlinkJobId, Simulated>,
    forgotten: BTreeSet<FlinkJobId>,
    /// Counts the JobManagers, each of which forgets what the one before knew.
    pub(super) incarnation: u64,
    storage: BTreeMap<String, RestorePoint>,
    pub(super) log: CopyLog,
}

fn after(at: Timestamp, delay: Duration) -> Timestamp {
    at.checked_add(SignedDuration::try_from(delay).unwrap_or_default()).unwrap_or(at)
}

impl Engine {
    pub(super) fn new(start_delay: Duration, checkpoint_interval: Option<Duration>, orphan_timeout: Duration) -> Self {
        Self {
            start_delay,
            checkpoint_interval,
            orphan_timeout,
            jobs: HashMap::new(),
            forgotten: BTreeSet::new(),
            incarnation: 1,
            storage: BTreeMap::new(),
            log: CopyLog::default(),
        }
    }

    pub(super) fn submit(&mut self, submission: &Submission, now: Timestamp) -> Result<Accepted> {
        let flink_job = submission.run.flink_job;
        if self.jobs.contains_key(&flink_job) {
            return Ok(Accepted { already_there: true, ..Accepted::new(flink_job) });
        }
        if let Some(point) = &submission.restore
            && !self.storage.contains_key(&point.path)
        {
            return Err(Error::new(
                ErrorKind::Program,
                format!("cannot find checkpoint or savepoint '{}'", point.path),
            )
            .with_operation("memory.submit"));
        }
        let copy = self.log.0.len();
        self.log.0.push(Copy {
            key: submission.run.key,
            flink_job,
            restored_from: submission.restore.as_ref().map(|point| point.path.clone()),
            started_at: now,
            ended_at: None,
            ended_as: None,
        });
        let running_at = after(now, self.start_delay);
        let simulated = Simulated {
            key: submission.run.key,
            name: submission.name.clone(),
            started_at: now,
            running_at,
            over: None,
            restarting: false,
            failure: None,
            checkpoints: Vec::new(),
            next_checkpoint: submission.restore.as_ref().and_then(|point| point.checkpoint_id).unwrap_or(0) + 1,
            checkpointed_until: running_at,
            triggers: BTreeMap::new(),
            copy,
        };
        self.jobs.insert(flink_job, simulated);
        Ok(Accepted::new(flink_job))
    }

    fn status(job: &Simulated, now: Timestamp) -> RunStatus {
        match &job.over {
            Some((status, _)) => status.clone(),
            None if now < job.running_at => RunStatus::Starting,
            None if job.restarting => RunStatus::Restarting,
            None => RunStatus::Running,
        }
    }

    fn observation(flink_job: FlinkJobId, job: &Simulated, now: Timestamp) -> Observation {
        let status = Self::status(job, now);
        let engine_status = status.as_job_state().to_string();
        Observation {
            key: Some(job.key),
            name: job.name.clone(),
            started_at: Some(job.started_at),
            ended_at: job.over.as_ref().map(|(_, at)| *at),
            engine_status,
            ..Observation::of_job(flink_job, status, now)
        }
    }

    pub(super) fn observe(&self, now: Timestamp) -> Vec<Observation> {
        self.jobs.iter().map(|(id, job)| Self::observation(*id, job, now)).collect()
    }

    pub(super) fn lookup(&self, run: &RunRef, now: Timestamp) -> Lookup {
        match self.jobs.get(&run.flink_job) {
            Some(job) => Lookup::Found(Box::new(Self::observation(run.flink_job, job, now))),
            None => Lookup::NeverArrived,
        }
    }

    fn job(&mut self, flink_job: FlinkJobId) -> Result<&mut Simulated> {
        self.jobs.get_mut(&flink_job).ok_or_else(|| {
            Error::not_found(format!("the simulated cluster has no job {flink_job}")).with_operation("memory.job")
        })
    }

    fn live(&mut self, flink_job: FlinkJobId) -> Result<&mut Simulated> {
        let job = self.job(flink_job)?;
        if job.over.is_some() {
            return Err(
                Error::new(ErrorKind::Conflict, format!("job {flink_job} is over")).with_operation("memory.job")
            );
        }
        Ok(job)
    }

    pub(super) fn end(&mut self, flink_job: FlinkJobId, status: RunStatus, now: Timestamp) -> Result<()> {
        self.advance(flink_job, now)?;
        let job = self.job(flink_job)?;
        if job.over.is_some() {
            return Ok(());
        }
        let word = status.as_job_state().to_string();
        job.over = Some((status, now));
        let copy = job.copy;
        if let Some(copy) = self.log.0.get_mut(copy) {
            copy.ended_at = Some(now);
            copy.ended_as = Some(word);
        }
        Ok(())
    }

    pub(super) fn fail(&mut self, flink_job: FlinkJobId, failure: Failure, now: Timestamp) -> Result<()> {
        self.live(flink_job)?.failure = Some(failure);
        self.end(flink_job, RunStatus::Failed, now)
    }

    pub(super) fn set_restarting(&mut self, flink_job: FlinkJobId, restarting: bool) -> Result<()> {
        self.live(flink_job)?.restarting = restarting;
        Ok(())
    }

    /// Completes the periodic checkpoints that are due by now; only the newest is kept, as with
    /// `execution.checkpointing.num-retained: 1`.
    fn advance(&mut self, flink_job: FlinkJobId, now: Timestamp) -> Result<()> {
        let Some(interval) = self.checkpoint_interval else { return Ok(()) };
        let job = self.job(flink_job)?;
        if job.over.is_some() || job.restarting {
            return Ok(());
        }
        let elapsed = now.duration_since(job.checkpointed_until);
        let due = elapsed.as_millis() / i128::try_from(interval.as_millis().max(1)).unwrap_or(i128::MAX);
        if due <= 0 {
            return Ok(());
        }
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        job.checkpointed_until = after(job.checkpointed_until, interval.saturating_mul(due));
        job.next_checkpoint += u64::from(due) - 1;
        let at = job.checkpointed_until;
        self.complete_checkpoint(flink_job, at).map(drop)
    }

    pub(super) fn complete_checkpoint(&mut self, flink_job: FlinkJobId, now: Timestamp) -> Result<RestorePoint> {
        let job = self.live(flink_job)?;
        let id = job.next_checkpoint;
        job.next_checkpoint += 1;
        let mut point =
            RestorePoint::new(RestoreKind::Checkpoint, format!("memory:///checkpoints/{flink_job}/chk-{id}"), now);
        point.checkpoint_id = Some(id);
        point.run = Some(job.key);
        point.flink_job = Some(flink_job);
        point.verification = Verification::Present;
        let replaced = std::mem::replace(&mut job.checkpoints, vec![point.clone()]);
        for old in replaced {
            self.storage.remove(&old.path);
        }
        self.storage.insert(point.path.clone(), point.clone());
        Ok(point)
    }

    pub(super) fn is_over(&mut self, flink_job: FlinkJobId) -> Result<bool> {
        Ok(self.job(flink_job)?.over.is_some())
    }

    /// The savepoint that an earlier call named.
    pub(super) fn triggered(&self, flink_job: FlinkJobId, trigger: Option<FlinkJobId>) -> Option<RestorePoint> {
        self.jobs.get(&flink_job)?.triggers.get(&trigger?).cloned()
    }

    pub(super) fn savepoint(
        &mut self,
        flink_job: FlinkJobId,
        directory: Option<&str>,
        trigger: Option<FlinkJobId>,
        now: Timestamp,
    ) -> Result<RestorePoint> {
        if let Some(point) = self.triggered(flink_job, trigger) {
            return Ok(point);
        }
        let number = self.storage.len();
        let job = self.live(flink_job)?;
        let directory = directory.unwrap_or("memory:///savepoints").trim_end_matches('/');
        let mut point =
            RestorePoint::new(RestoreKind::Savepoint, format!("{directory}/savepoint-{flink_job}-{number}"), now);
        point.run = Some(job.key);
        point.flink_job = Some(flink_job);
        point.verification = Verification::Present;
        if let Some(trigger) = trigger {
            job.triggers.insert(trigger, point.clone());
        }
        self.storage.insert(point.path.clone(), point.clone());
        Ok(point)
    }

    pub(super) fn restore_points(&mut self, flink_job: FlinkJobId, now: Timestamp) -> Vec<RestorePoint> {
        // Storage outlives the JobManager that knew the job.
        drop(self.advance(flink_job, now));
        let mut points: Vec<_> =
            self.storage.values().filter(|point| point.flink_job == Some(flink_job)).cloned().collect();
        points.sort_by_key(|point| std::cmp::Reverse(point.completed_at));
        points
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.storage.contains_key(path)
    }

    pub(super) fn delete_restore_point(&mut self, path: &str) -> bool {
        for job in self.jobs.values_mut() {
            job.checkpoints.retain(|point| point.path != path);
        }
        self.storage.remove(path).is_some()
    }

    pub(super) fn failure(&self, flink_job: FlinkJobId) -> Option<Failure> {
        self.jobs.get(&flink_job)?.failure.clone()
    }

    /// The JobManager dies and comes back empty: nothing is listed, tasks live on for a while.
    pub(super) fn crash(&mut self, now: Timestamp) {
        self.incarnation += 1;
        let ids: Vec<_> = self.jobs.keys().copied().collect();
        for id in ids {
            drop(self.advance(id, now));
        }
        let end = after(now, self.orphan_timeout);
        for (id, job) in self.jobs.drain() {
            self.forgotten.insert(id);
            if job.over.is_none()
                && let Some(copy) = self.log.0.get_mut(job.copy)
            {
                copy.ended_at = Some(end);
                copy.ended_as = Some("LOST".to_owned());
            }
        }
    }

    pub(super) fn remove(&mut self, flink_job: FlinkJobId) {
        if self.jobs.get(&flink_job).is_some_and(|job| job.over.is_some()) {
            self.jobs.remove(&flink_job);
        }
    }

    pub(super) fn find(&self, job: JobId) -> Option<FlinkJobId> {
        let newest = self.jobs.iter().filter(|(_, simulated)| simulated.key.job == job);
        newest.max_by_key(|(_, simulated)| simulated.key.generation).map(|(id, _)| *id)
    }
}
