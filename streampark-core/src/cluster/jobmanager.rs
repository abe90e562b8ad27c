//! What every cluster of Flink shares: the JobManager's answers in our words.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use self::words::{failure_of, format_of, observation, trigger_of};
use super::observation::Observation;
use super::submission::{LogKind, LogOptions, LogStream, Lookup, SavepointOptions, Stop, Stopped};
use crate::flink::rest::{LogSource, SavepointStatus, StopJob, TriggerSavepoint};
use crate::flink::{FlinkJobId, FlinkVersion, JobStatus, RestClient, TriggerId, parse_duration};
use crate::job::{Failure, RestoreKind, RestorePoint, RunRef};
use crate::{Error, ErrorKind, Result};

pub(crate) use points::siblings;

mod points;
mod words;

/// What is added to `heartbeat.timeout` before tasks without a JobManager count as gone.
const ORPHAN_MARGIN: Duration = Duration::from_secs(10);

/// `web.refresh-interval`, where the configuration does not say.
const REFRESH: Duration = Duration::from_secs(3);

/// What is added to the life of an answer in a cache of the JobManager.
const CACHE_MARGIN: Duration = Duration::from_millis(200);

/// How long what happened to a job is remembered, at least.
const MEMORY: Duration = Duration::from_secs(600);

/// A JobManager's REST interface, spoken in runs, observations and restore points.
#[derive(Debug)]
pub struct JobManager {
    rest: RestClient,
    shares_files: bool,
    facts: Mutex<Facts>,
    recent: Mutex<HashMap<FlinkJobId, Recent>>,
}

#[derive(Debug, Clone, Default)]
struct Facts {
    version: Option<FlinkVersion>,
    orphan_timeout: Option<Duration>,
    /// The folder that ClusterEntrypoint names with a new UUID at each start (`web.tmpdir`).
    incarnation: Option<String>,
    /// How long jobs' graphs, and statistics of checkpoints, are answered from a cache.
    caches: Option<(Duration, Duration)>,
    /// The JobManager may have been replaced since these were read.
    stale: bool,
}

/// What this client did to a job not long ago.
#[derive(Debug, Default)]
struct Recent {
    savepoint: Option<RestorePoint>,
    lost_answer: Option<Instant>,
    at: Option<Instant>,
}

impl JobManager {
    /// Speaks over `rest`.
    pub fn new(rest: RestClient) -> Self {
        Self { rest, shares_files: false, facts: Mutex::default(), recent: Mutex::default() }
    }

    /// Says whether `file:` paths mean the same files here as on Flink's machines (default false):
    /// then a restore point that is not there is known to be missing.
    #[must_use]
    pub fn sharing_files(mut self, yes: bool) -> Self {
        self.shares_files = yes;
        self
    }

    /// Whether `file:` paths mean the same files here as on Flink's machines.
    pub fn shares_files(&self) -> bool {
        self.shares_files
    }

    /// The client below.
    pub fn rest(&self) -> &RestClient {
        &self.rest
    }

    /// The version and the life of orphaned tasks, as far as they were read.
    pub fn known(&self) -> (Option<FlinkVersion>, Option<Duration>) {
        let facts = guard(&self.facts).clone();
        (facts.version, facts.orphan_timeout)
    }

    /// Names the process that answers, as far as it is known.
    pub fn incarnation(&self) -> Option<String> {
        let facts = guard(&self.facts);
        facts.incarnation.clone().filter(|_| !facts.stale)
    }

    /// Reads version, heartbeat timeout and caches, again where the JobManager was out of reach.
    async fn learn(&self) -> Result<()> {
        let facts = guard(&self.facts).clone();
        if facts.orphan_timeout.is_some() && !facts.stale {
            return Ok(());
        }
        let version = self.rest.config().await?.flink_version;
        let entries = match self.rest.jobmanager_config().await {
            Ok(entries) => entries,
            // A longer timeout that could not be read now must not be taken for the default for good.
            Err(error) if error.is_retryable() => {
                guard(&self.facts).version = Some(version);
                return Ok(());
            }
            Err(_) => Vec::new(),
        };
        // Flink reads a bare number as milliseconds.
        let duration = |key: &str| {
            let entry = entries.iter().find(|entry| entry.key == key)?;
            parse_duration(&entry.value).ok()
        };
        let incarnation = entries.iter().find(|entry| entry.key == "web.tmpdir").map(|entry| entry.value.clone());
        let heartbeat = duration("heartbeat.timeout").unwrap_or(Duration::from_secs(50));
        let graphs = duration("web.refresh-interval").unwrap_or(REFRESH);
        let statistics = duration("rest.cache.checkpoint-statistics.timeout").unwrap_or(graphs);
        *guard(&self.facts) = Facts {
            version: Some(version),
            orphan_timeout: Some(heartbeat + ORPHAN_MARGIN),
            incarnation,
            caches: Some((graphs, statistics)),
            stale: false,
        };
        Ok(())
    }

    /// How old an answer about a job's graph, and about its checkpoints, can be.
    fn caches(&self) -> (Duration, Duration) {
        let (graphs, statistics) = guard(&self.facts).caches.unwrap_or((REFRESH, REFRESH));
        (graphs + CACHE_MARGIN, statistics + CACHE_MARGIN)
    }

    /// Remembers that the answer to a submission of `job` was lost: the request can still be on its
    /// way, or its `main` still at work, for as long as a run may take.
    pub fn lost_answer(&self, job: FlinkJobId) {
        self.remember(job, |recent| recent.lost_answer = Some(Instant::now()));
    }

    /// The savepoint that was last taken through this client, which the cache may not show yet.
    fn recent_savepoint(&self, job: &FlinkJobId) -> Option<RestorePoint> {
        guard(&self.recent).get(job).and_then(|recent| recent.savepoint.clone())
    }

    fn remember(&self, job: FlinkJobId, what: impl FnOnce(&mut Recent)) {
        let memory = MEMORY.max(self.rest.options().run_timeout);
        let mut all = guard(&self.recent);
        all.retain(|_, recent| recent.at.is_some_and(|at| at.elapsed() < memory));
        let recent = all.entry(job).or_default();
        recent.at = Some(Instant::now());
        what(recent);
    }

    /// Every job of the JobManager, in one request.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn observe(&self) -> Result<Vec<Observation>> {
        self.learn().await?;
        let jobs = self.rest.jobs().await.inspect_err(|error| {
            if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout) {
                guard(&self.facts).stale = true;
            }
        })?;
        let now = Timestamp::now();
        Ok(jobs.into_iter().map(|job| observation(job, now)).collect())
    }

    /// What became of a run. For as long as a run may take after a lost answer, a run that is not
    /// listed is `Unknown`: Flink lists a job only when the program's `main` has submitted it.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn lookup(&self, run: &RunRef) -> Result<Lookup> {
        // The answer counts for the process that gives it: see `incarnation`.
        guard(&self.facts).stale = true;
        let found = self.observe().await?.into_iter().find(|seen| seen.flink_job == Some(run.flink_job));
        if let Some(seen) = found {
            return Ok(Lookup::Found(Box::new(seen)));
        }
        let lost = guard(&self.recent).get(&run.flink_job).and_then(|recent| recent.lost_answer);
        match lost.map(|at| self.rest.options().run_timeout.saturating_sub(at.elapsed())) {
            Some(left) if !left.is_zero() => Ok(Lookup::Unknown(format!(
                "the JobManager does not list the run; its main method may still be at work for {} s",
                left.as_secs() + 1
            ))),
            _ => Ok(Lookup::NeverArrived),
        }
    }

    /// Ends a run.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn stop(&self, run: &RunRef, how: Stop, options: &SavepointOptions) -> Result<Stopped> {
        let job = &run.flink_job;
        let trigger = trigger_of(options);
        let with_savepoint = matches!(how, Stop::Savepoint | Stop::Drain);
        if self.rest.job_status(job).await?.is_globally_terminal() {
            // Perhaps by an earlier call with this trigger id, whose answer was lost.
            let savepoint = match self.rest.savepoint_status(job, &trigger).await {
                Ok(SavepointStatus::Completed(savepoint)) if with_savepoint => {
                    Some(self.point_at(run, savepoint.location).await)
                }
                _ => None,
            };
            return Ok(Stopped { savepoint, complete: true });
        }
        if !with_savepoint {
            return match self.rest.cancel(job).await {
                Err(error) if self.is_over(job, &error).await => Ok(Stopped { savepoint: None, complete: true }),
                other => other.map(|()| Stopped::requested()),
            };
        }
        let mut request = StopJob::new(trigger).format(format_of(options)).drain(how == Stop::Drain);
        request.target_directory = options.directory.clone();
        let asked = self.rest.stop(job, &request).await;
        match self.wait_for(run, asked, trigger, options).await {
            Ok(savepoint) => Ok(Stopped { savepoint: Some(savepoint), complete: false }),
            Err(error) if self.is_over(job, &error).await => Ok(Stopped { savepoint: None, complete: true }),
            Err(error) => Err(error),
        }
    }

    async fn is_over(&self, job: &FlinkJobId, error: &Error) -> bool {
        if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::InvalidInput) {
            return false;
        }
        self.rest.job_status(job).await.is_ok_and(|status| status.is_globally_terminal())
    }

    /// Takes a savepoint of a running job.
    ///
    /// # Errors
    /// Those of the client; the savepoint's own failure.
    pub async fn savepoint(&self, run: &RunRef, options: &SavepointOptions) -> Result<RestorePoint> {
        let trigger = trigger_of(options);
        let mut request = TriggerSavepoint::new(trigger).format(format_of(options));
        request.target_directory = options.directory.clone();
        let asked = self.rest.trigger_savepoint(&run.flink_job, &request).await;
        self.wait_for(run, asked, trigger, options).await
    }

    async fn wait_for(
        &self,
        run: &RunRef,
        asked: Result<TriggerId>,
        trigger: TriggerId,
        options: &SavepointOptions,
    ) -> Result<RestorePoint> {
        // A question with our trigger id tells whether a request whose answer was lost, or that was
        // refused because the job is stopping already, had arrived.
        if let Err(error) = asked
            && self.rest.savepoint_status(&run.flink_job, &trigger).await.is_err()
        {
            return Err(error);
        }
        let savepoint = self.rest.await_savepoint(&run.flink_job, &trigger, options.timeout).await?;
        let point = self.point_at(run, savepoint.location).await;
        self.remember(run.flink_job, |recent| recent.savepoint = Some(point.clone()));
        Ok(point)
    }

    async fn point_at(&self, run: &RunRef, path: String) -> RestorePoint {
        let mut point = RestorePoint::new(RestoreKind::Savepoint, path, Timestamp::now());
        point.run = Some(run.key);
        point.flink_job = Some(run.flink_job);
        point.verification = self.verify(&point.path).await;
        point
    }

    /// Why a run failed.
    ///
    /// A job that has just failed may be answered from a graph that somebody asked for before it did:
    /// then this waits until that is forgotten.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn failure(&self, run: &RunRef) -> Result<Option<Failure>> {
        let known = self.known_failure(run).await?;
        if known.is_some() || !matches!(self.rest.job_status(&run.flink_job).await, Ok(JobStatus::Failed)) {
            return Ok(known);
        }
        sleep(self.caches().0).await;
        self.known_failure(run).await
    }

    async fn known_failure(&self, run: &RunRef) -> Result<Option<Failure>> {
        match self.rest.job_exceptions(&run.flink_job).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(exceptions) => {
                let entry = exceptions.root.or_else(|| exceptions.history.into_iter().next().map(|entry| entry.cause));
                Ok(entry.map(|cause| failure_of(&cause)))
            }
        }
    }

    /// The log of the JobManager or of TaskManagers, piece by piece.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn logs(&self, options: &LogOptions) -> Result<LogStream> {
        let sources = match &options.kind {
            LogKind::JobManager => vec![LogSource::JobManager],
            LogKind::TaskManager(Some(id)) => vec![LogSource::TaskManager(id.clone())],
            LogKind::TaskManager(None) => {
                let all = self.rest.taskmanagers().await?;
                all.into_iter().map(|manager| LogSource::TaskManager(manager.id)).collect()
            }
        };
        if let Some(tail) = options.tail_bytes {
            let tail = usize::try_from(tail).unwrap_or(usize::MAX);
            let mut text = String::new();
            for source in sources {
                text.push_str(&self.rest.main_log_tail(&source, tail).await?);
            }
            return Ok(LogStream::of_bytes(text));
        }
        let rest = self.rest.clone();
        let logs = stream::iter(sources).then(move |source| {
            let rest = rest.clone();
            async move { rest.main_log(&source).await }
        });
        Ok(LogStream::new(logs.try_flatten()))
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
