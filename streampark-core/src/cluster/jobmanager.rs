//! What every cluster of Flink shares: the JobManager's answers in our words.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::observation::{Observation, RunStatus};
use super::submission::{LogKind, LogOptions, LogStream, Lookup, SavepointFormat, SavepointOptions, Stop, Stopped};
use crate::flink::rest::{self, Checkpoints, LogSource, StopJob, TriggerSavepoint};
use crate::flink::{FlinkJobId, FlinkVersion, JobStatus, RestClient, RootCause, TriggerId, parse_duration};
use crate::job::{Failure, FailureClass, RestoreKind, RestorePoint, RunRef, SqlFailure, Verification};
use crate::{Error, ErrorKind, Result};

/// How long the JobManager answers checkpoint statistics from a cache, and a little more
/// (`rest.cache.checkpoint-statistics.timeout`, 3 s by default).
const STATISTICS_CACHE: Duration = Duration::from_millis(3_200);

/// What is added to `heartbeat.timeout` before tasks without a JobManager count as gone.
const ORPHAN_MARGIN: Duration = Duration::from_secs(10);

/// A stack trace is kept up to this length.
const DETAIL: usize = 64 * 1024;

/// A JobManager's REST interface, spoken in runs, observations and restore points.
#[derive(Debug)]
pub struct JobManager {
    rest: RestClient,
    read_at: Mutex<HashMap<FlinkJobId, Instant>>,
    facts: Mutex<Facts>,
}

#[derive(Debug, Clone, Default)]
struct Facts {
    version: Option<FlinkVersion>,
    orphan_timeout: Option<Duration>,
}

impl JobManager {
    /// Speaks over `rest`.
    pub fn new(rest: RestClient) -> Self {
        Self { rest, read_at: Mutex::default(), facts: Mutex::default() }
    }

    /// The client below.
    pub fn rest(&self) -> &RestClient {
        &self.rest
    }

    /// The version and the life of orphaned tasks, as far as they were read.
    pub fn known(&self) -> (Option<FlinkVersion>, Option<Duration>) {
        let facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (facts.version, facts.orphan_timeout)
    }

    /// Reads version and heartbeat timeout once.
    async fn learn(&self) -> Result<()> {
        if self.known().1.is_some() {
            return Ok(());
        }
        let version = self.rest.version().await?;
        let entries = self.rest.jobmanager_config().await.unwrap_or_default();
        let heartbeat = entries.iter().find(|entry| entry.key == "heartbeat.timeout");
        // Flink reads a bare number as milliseconds.
        let timeout = heartbeat.and_then(|entry| parse_duration(&entry.value).ok()).unwrap_or(Duration::from_secs(50));
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        *facts = Facts { version: Some(version), orphan_timeout: Some(timeout + ORPHAN_MARGIN) };
        Ok(())
    }

    /// Every job of the JobManager, in one request.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn observe(&self) -> Result<Vec<Observation>> {
        self.learn().await?;
        let jobs = self.rest.jobs().await?;
        let now = Timestamp::now();
        Ok(jobs.into_iter().map(|job| observation(job, now)).collect())
    }

    /// What became of a run.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn lookup(&self, run: &RunRef) -> Result<Lookup> {
        let found = self.observe().await?.into_iter().find(|seen| seen.flink_job == Some(run.flink_job));
        Ok(match found {
            Some(seen) => Lookup::Found(Box::new(seen)),
            None => Lookup::NeverArrived,
        })
    }

    /// Ends a run.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn stop(&self, run: &RunRef, how: Stop, options: &SavepointOptions) -> Result<Stopped> {
        let job = &run.flink_job;
        if !matches!(how, Stop::Savepoint | Stop::Drain) {
            return match self.rest.cancel(job).await {
                Err(error) if self.is_over(job, &error).await => Ok(Stopped { savepoint: None, complete: true }),
                other => other.map(|()| Stopped::requested()),
            };
        }
        let trigger = trigger_of(options);
        let mut request = StopJob::new(trigger).format(format_of(options)).drain(how == Stop::Drain);
        request.target_directory = options.directory.clone();
        let asked = self.rest.stop(job, &request).await;
        let savepoint = self.wait_for(run, asked, trigger, options).await?;
        Ok(Stopped { savepoint: Some(savepoint), complete: false })
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
        let mut point = RestorePoint::new(RestoreKind::Savepoint, savepoint.location, Timestamp::now());
        point.run = Some(run.key);
        point.flink_job = Some(run.flink_job);
        point.verification = verify(&point.path);
        Ok(point)
    }

    /// The restore points of a run that exist now, newest first.
    ///
    /// Waits until the JobManager's cache of statistics has forgotten what this client last saw.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn restore_points(&self, run: &RunRef) -> Result<Vec<RestorePoint>> {
        let job = run.flink_job;
        let read_at = self.read_at.lock().unwrap_or_else(PoisonError::into_inner).get(&job).copied();
        if let Some(read_at) = read_at {
            tokio::time::sleep_until(read_at + STATISTICS_CACHE).await;
        }
        let answer = self.rest.checkpoints(&job).await;
        {
            let mut reads = self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
            reads.retain(|_, at| at.elapsed() < STATISTICS_CACHE);
            reads.insert(job, Instant::now());
        }
        let answer = match answer {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        Ok(Self::points_of(run, answer))
    }

    /// The restore points that Flink's statistics of checkpoints name, newest first; those whose files
    /// are on this machine and known to be gone are left out.
    pub fn points_of(run: &RunRef, statistics: Checkpoints) -> Vec<RestorePoint> {
        let latest = [statistics.latest.completed, statistics.latest.savepoint];
        let all = latest.into_iter().flatten().chain(statistics.history);
        let mut points: Vec<RestorePoint> = Vec::new();
        for checkpoint in all {
            let Some(path) = checkpoint.usable_path() else { continue };
            if points.iter().any(|point| point.path == path) {
                continue;
            }
            let kind = if checkpoint.is_savepoint { RestoreKind::Savepoint } else { RestoreKind::Checkpoint };
            let at = checkpoint.latest_ack_timestamp.max(checkpoint.trigger_timestamp);
            let mut point = RestorePoint::new(kind, path, time(at).unwrap_or(Timestamp::UNIX_EPOCH));
            point.checkpoint_id = u64::try_from(checkpoint.id).ok();
            point.size_bytes = u64::try_from(checkpoint.state_size).ok();
            point.run = Some(run.key);
            point.flink_job = Some(run.flink_job);
            point.verification = verify(path);
            points.push(point);
        }
        points.retain(RestorePoint::is_usable);
        points.sort_by_key(|point| std::cmp::Reverse((point.completed_at, point.checkpoint_id)));
        points
    }

    /// A root cause in the words of the user's own statement where it is one of SQL, else in Flink's.
    pub fn failure_of(cause: &RootCause) -> Failure {
        failure_of(cause)
    }

    /// Flink's word for a job's state in ours.
    pub fn status_of(status: &JobStatus) -> RunStatus {
        status_of(status)
    }

    /// Why a run failed.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn failure(&self, run: &RunRef) -> Result<Option<Failure>> {
        match self.rest.job_exceptions(&run.flink_job).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(exceptions) => {
                let entry = exceptions.root.or_else(|| exceptions.history.into_iter().next().map(|entry| entry.cause));
                Ok(entry.map(|cause| failure_of(&cause)))
            }
        }
    }

    /// The engine's logs.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn logs(&self, options: &LogOptions) -> Result<LogStream> {
        let tail = options.tail_bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let sources = match &options.kind {
            LogKind::JobManager => vec![LogSource::JobManager],
            LogKind::TaskManager(Some(id)) => vec![LogSource::TaskManager(id.clone())],
            LogKind::TaskManager(None) => {
                let all = self.rest.taskmanagers().await?;
                all.into_iter().map(|manager| LogSource::TaskManager(manager.id)).collect()
            }
        };
        let mut text = String::new();
        for source in sources {
            for file in self.rest.logs(&source).await?.into_iter().filter(|file| file.name.ends_with(".log")) {
                text.push_str(&self.rest.read_log(&source, &file.name, tail).await?);
            }
        }
        Ok(LogStream::of_bytes(text))
    }
}

fn trigger_of(options: &SavepointOptions) -> TriggerId {
    match options.trigger_id {
        Some(id) => TriggerId::from_hash(&hex::decode(id.to_string()).unwrap_or_default()),
        None => TriggerId::from_hash(uuid::Uuid::new_v4().as_bytes()),
    }
}

fn format_of(options: &SavepointOptions) -> rest::SavepointFormat {
    match options.format {
        SavepointFormat::Canonical => rest::SavepointFormat::Canonical,
        SavepointFormat::Native => rest::SavepointFormat::Native,
    }
}

fn time(milliseconds: i64) -> Option<Timestamp> {
    (milliseconds > 0).then(|| Timestamp::from_millisecond(milliseconds).ok()).flatten()
}

fn observation(job: rest::JobOverview, now: Timestamp) -> Observation {
    let mut seen = Observation::of_job(job.jid, status_of(&job.state), now);
    seen.name = job.name;
    seen.engine_status = job.state.to_string();
    seen.started_at = time(job.start_time);
    seen.ended_at = time(job.end_time);
    seen.tasks = Some((job.tasks.running, job.tasks.total));
    seen
}

/// Flink's word in ours.
pub(super) fn status_of(status: &JobStatus) -> RunStatus {
    match status {
        JobStatus::Initializing | JobStatus::Created | JobStatus::Reconciling | JobStatus::Suspended => {
            RunStatus::Starting
        }
        JobStatus::Running => RunStatus::Running,
        JobStatus::Failing | JobStatus::Restarting => RunStatus::Restarting,
        JobStatus::Cancelling => RunStatus::Cancelling,
        JobStatus::Failed => RunStatus::Failed,
        JobStatus::Canceled => RunStatus::Canceled,
        JobStatus::Finished => RunStatus::Finished,
        JobStatus::Unknown(word) => RunStatus::Unknown(word.clone()),
    }
}

/// Whether the `_metadata` of a restore point on this machine's file system is there.
pub(super) fn verify(path: &str) -> Verification {
    let local = path.strip_prefix("file:").map(|rest| format!("/{}", rest.trim_start_matches('/')));
    let local = local.or_else(|| path.starts_with('/').then(|| path.to_owned()));
    match local {
        None => Verification::Unchecked,
        Some(folder) => match std::fs::metadata(Path::new(&folder).join("_metadata")) {
            Ok(_) => Verification::Present,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Verification::Missing,
            Err(_) => Verification::Unchecked,
        },
    }
}

/// A failure in the words of the user's own statement where it is one of SQL, else Flink's root cause.
pub(super) fn failure_of(cause: &RootCause) -> Failure {
    if let Some(sql) = SqlFailure::find(&cause.stacktrace) {
        return sql.to_failure();
    }
    let mut failure = Failure::new(cause.message.clone()).with_class(cause.class.clone());
    let detail: String = cause.stacktrace.chars().take(DETAIL).collect();
    failure.detail = (!detail.is_empty()).then_some(detail);
    failure.task = cause.task.clone();
    failure.at = cause.at;
    failure.labels = cause.labels.clone();
    failure.class_of = match cause.classify() {
        crate::flink::FailureClass::Fatal => FailureClass::Fatal,
        crate::flink::FailureClass::Environment => FailureClass::Environment,
        _ => FailureClass::Unknown,
    };
    failure
}
