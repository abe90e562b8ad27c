//! The simulated engine as a cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::engine::{CopyLog, Engine};
use super::fault::{Call, Fault, Faults};
use crate::cluster::{
    Accepted, Capability, Cluster, ClusterInfo, LogOptions, LogStream, Lookup, Observation, Plan, PlanBody, PlanStep,
    RunStatus, SavepointOptions, Stop, Stopped, Submission,
};
use crate::flink::FlinkJobId;
use crate::job::{DeploymentId, Failure, JobId, RestorePoint, RunKey, RunRef, Runtime, Verification};
use crate::{Error, ErrorKind, REDACTED, Result, SharedClock, SystemClock, is_sensitive_key};

/// How a simulated engine behaves when nothing goes wrong.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MemoryOptions {
    /// How long each answer takes. Default none.
    pub latency: Duration,
    /// How long an accepted run takes until RUNNING. Default none.
    pub start_delay: Duration,
    /// How often a running job completes a checkpoint by itself. Default never; see
    /// [`MemoryCluster::complete_checkpoint`].
    pub checkpoint_interval: Option<Duration>,
    /// How long tasks outlive their JobManager. Default 60 s.
    pub orphan_timeout: Duration,
    /// What it can do. Default all that it simulates.
    pub capability: Capability,
    /// The wall clock. Default the machine's.
    pub clock: SharedClock,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            start_delay: Duration::ZERO,
            checkpoint_interval: None,
            orphan_timeout: Duration::from_secs(60),
            capability: Capability {
                session: true,
                fenced_submit: true,
                job_config: true,
                savepoint: true,
                stop_with_savepoint: true,
                drain: true,
                restore: true,
                verify_restore_points: true,
                logs: true,
                extra_jars: true,
                ..Capability::default()
            },
            clock: Arc::new(SystemClock),
        }
    }
}

#[derive(Debug)]
struct Shared {
    options: MemoryOptions,
    engine: Mutex<Engine>,
    faults: Mutex<Faults>,
    ended: Mutex<Option<Failure>>,
}

/// A cluster that only simulates: no Flink, no process, no network.
///
/// For the tests of those who embed the SDK, and of the SDK itself. Faults are injected with
/// [`inject`](Self::inject) and [`break_down`](Self::break_down); [`log`](Self::log) tells what
/// truly ran. Clones share one engine.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> streampark_core::Result<()> {
/// use streampark_core::cluster::{Cluster, MemoryCluster, Submission};
/// use streampark_core::job::{JobId, Launch, RunKey, RunRef};
///
/// let cluster = MemoryCluster::new();
/// let run = RunRef::new(RunKey::new(JobId::generate(), 1));
/// let submission = Submission::new(run.clone(), "orders", Launch::default());
/// cluster.submit(&submission).await?;
/// assert!(cluster.submit(&submission).await?.already_there);
/// assert_eq!(cluster.log().most_at_once(run.key.job), 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct MemoryCluster(Arc<Shared>);

impl Default for MemoryCluster {
    fn default() -> Self {
        Self::new()
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryCluster {
    /// An empty engine that answers at once.
    pub fn new() -> Self {
        Self::with_options(MemoryOptions::default())
    }

    /// An empty engine that behaves as `options` say.
    pub fn with_options(options: MemoryOptions) -> Self {
        let engine = Engine::new(options.start_delay, options.checkpoint_interval, options.orphan_timeout);
        Self(Arc::new(Shared {
            options,
            engine: Mutex::new(engine),
            faults: Mutex::new(Faults::default()),
            ended: Mutex::default(),
        }))
    }

    /// Makes the next `times` calls of `call` go wrong.
    pub fn inject(&self, call: Call, fault: Fault, times: usize) {
        guard(&self.0.faults).push(call, fault, times);
    }

    /// Makes every call of `call` (all calls where None) go wrong until [`heal`](Self::heal).
    pub fn break_down(&self, call: Option<Call>, fault: Fault) {
        guard(&self.0.faults).stand(call, fault);
    }

    /// Ends every fault; one that had ended is there again.
    pub fn heal(&self) {
        guard(&self.0.faults).clear();
        *guard(&self.0.ended) = None;
    }

    /// What truly ran so far.
    pub fn log(&self) -> CopyLog {
        guard(&self.0.engine).log.clone()
    }

    /// The JobID of the newest run of `job` that the engine remembers.
    pub fn flink_job(&self, job: JobId) -> Option<FlinkJobId> {
        guard(&self.0.engine).find(job)
    }

    /// Makes a live job FAILED.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or [`ErrorKind::Conflict`] where there is no such live job; likewise below.
    pub fn fail(&self, job: FlinkJobId, failure: Failure) -> Result<()> {
        guard(&self.0.engine).fail(job, failure, self.now())
    }

    /// Makes a live job FINISHED.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such job.
    pub fn finish(&self, job: FlinkJobId) -> Result<()> {
        guard(&self.0.engine).end(job, RunStatus::Finished, self.now())
    }

    /// Makes a live job RESTARTING, or RUNNING again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or [`ErrorKind::Conflict`] where there is no such live job.
    pub fn set_restarting(&self, job: FlinkJobId, restarting: bool) -> Result<()> {
        guard(&self.0.engine).set_restarting(job, restarting)
    }

    /// Completes a checkpoint of a live job; the one before it is deleted.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or [`ErrorKind::Conflict`] where there is no such live job.
    pub fn complete_checkpoint(&self, job: FlinkJobId) -> Result<RestorePoint> {
        guard(&self.0.engine).complete_checkpoint(job, self.now())
    }

    /// Deletes the files of a restore point behind everybody's back; false where there are none.
    pub fn delete_restore_point(&self, path: &str) -> bool {
        guard(&self.0.engine).delete_restore_point(path)
    }

    /// The JobManager dies and comes back empty, without high availability: its jobs are no longer
    /// listed, and their tasks live on for `orphan_timeout`.
    pub fn crash_job_manager(&self) {
        guard(&self.0.engine).crash(self.now());
    }

    /// The cluster itself ends, as a session does: it lists nothing any more, and says why.
    pub fn end(&self, reason: Failure) {
        self.crash_job_manager();
        *guard(&self.0.ended) = Some(reason);
    }

    /// Forgets a job that is over, as Flink does after `jobstore.expiration-time`.
    pub fn forget(&self, job: FlinkJobId) {
        guard(&self.0.engine).remove(job);
    }

    fn now(&self) -> Timestamp {
        self.0.options.clock.now()
    }

    /// Waits as long as an answer takes and lets a fault strike: the error, and the wait after which a
    /// lost request takes effect all the same.
    async fn meet(&self, call: Call) -> Result<(), (Error, Option<Duration>)> {
        if !self.0.options.latency.is_zero() {
            tokio::time::sleep(self.0.options.latency).await;
        }
        let Some(fault) = guard(&self.0.faults).take(call) else { return Ok(()) };
        let effect = match &fault {
            Fault::Hang(wait) => {
                tokio::time::sleep(*wait).await;
                None
            }
            Fault::AnswerLost(_) => Some(Duration::ZERO),
            Fault::ArrivesLate(_, effect) => Some(*effect),
            _ => None,
        };
        Err((fault.error().with_operation("memory.call"), effect))
    }

    async fn meet_read(&self, call: Call) -> Result<()> {
        self.meet(call).await.map_err(|(error, _)| match error.kind() {
            // Nothing can have happened by reading.
            ErrorKind::Timeout => error.with_status(crate::ErrorStatus::Temporary),
            _ => error,
        })
    }

    /// Makes a change through the faults: the change happens now, later, or not at all.
    async fn change<T: Send + 'static>(
        &self,
        call: Call,
        change: impl FnOnce(&mut Engine, Timestamp) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match self.meet(call).await {
            Ok(()) => change(&mut guard(&self.0.engine), self.now()),
            Err((error, None)) => Err(error),
            Err((error, Some(Duration::ZERO))) => {
                drop(change(&mut guard(&self.0.engine), self.now()));
                Err(error)
            }
            Err((error, Some(wait))) => {
                let cluster = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    drop(change(&mut guard(&cluster.0.engine), cluster.now()));
                });
                Err(error)
            }
        }
    }

    fn check(&self, submission: &Submission) -> Result<()> {
        let capability = self.0.options.capability;
        self.require(submission.restore.is_none() || capability.restore, "restore state")?;
        self.require(submission.launch.runtime == Runtime::Java || capability.python, "run Python programs")?;
        self.require(submission.launch.jars.is_empty() || capability.extra_jars, "take jars beside the main one")?;
        if submission.parallelism == Some(0) {
            return Err(Error::invalid(
                "parallelism 0 runs nothing; give 1 or more, or none for the cluster's default",
            ));
        }
        Ok(())
    }

    fn require(&self, able: bool, what: &str) -> Result<()> {
        if able {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unsupported, format!("this simulated cluster cannot {what}")))
    }
}

#[async_trait]
impl Cluster for MemoryCluster {
    fn info(&self) -> ClusterInfo {
        let mut info = ClusterInfo::new("memory", "memory");
        info.orphan_timeout = self.0.options.orphan_timeout;
        info.incarnation = Some(guard(&self.0.engine).incarnation.to_string());
        info
    }

    fn ended(&self) -> Option<Failure> {
        guard(&self.0.ended).clone()
    }

    fn capability(&self) -> Capability {
        self.0.options.capability
    }

    async fn observe(&self) -> Result<Vec<Observation>> {
        self.meet_read(Call::Observe).await?;
        Ok(guard(&self.0.engine).observe(self.now()))
    }

    async fn reserve(&self, _run: &RunKey) -> Result<Option<DeploymentId>> {
        self.meet_read(Call::Reserve).await?;
        Ok(None)
    }

    async fn plan(&self, submission: &Submission) -> Result<Plan> {
        self.check(submission)?;
        let mut plan = Plan::new("memory", &submission.name);
        let shown = |key: &str, value: &str| if is_sensitive_key(key) { REDACTED.to_owned() } else { value.to_owned() };
        let config = submission.config.iter().map(|(key, value)| (key.to_owned(), shown(key, value)));
        let content = serde_json::json!({
            "jobId": submission.run.flink_job,
            "entryClass": submission.launch.entry_class,
            "programArgsList": submission.launch.shown_args(),
            "parallelism": submission.parallelism,
            "savepointPath": submission.restore.as_ref().map(|point| &point.path),
            "flinkConfiguration": config.collect::<BTreeMap<_, _>>(),
        });
        plan.push(PlanStep::new("simulate the run", "SUBMIT", "memory").with_body(PlanBody::Json(content)));
        plan.notes.extend_from_slice(&submission.launch.notes);
        Ok(plan)
    }

    async fn submit(&self, submission: &Submission) -> Result<Accepted> {
        self.check(submission)?;
        let submission = submission.clone();
        self.change(Call::Submit, move |engine, now| engine.submit(&submission, now)).await
    }

    async fn lookup(&self, run: &RunRef) -> Result<Lookup> {
        self.meet_read(Call::Lookup).await?;
        Ok(guard(&self.0.engine).lookup(run, self.now()))
    }

    async fn stop(&self, run: &RunRef, how: Stop, savepoint: &SavepointOptions) -> Result<Stopped> {
        let capability = self.0.options.capability;
        let with_savepoint = match how {
            Stop::Savepoint => self.require(capability.stop_with_savepoint, "stop with a savepoint").map(|()| true)?,
            Stop::Drain => self.require(capability.drain, "drain").map(|()| true)?,
            _ => false,
        };
        let (job, savepoint) = (run.flink_job, savepoint.clone());
        self.change(Call::Stop, move |engine, now| {
            if !with_savepoint {
                engine.end(job, RunStatus::Canceled, now)?;
                return Ok(Stopped { savepoint: None, complete: true });
            }
            if engine.is_over(job)? {
                return Ok(Stopped { savepoint: engine.triggered(job, savepoint.trigger_id), complete: true });
            }
            let point = engine.savepoint(job, savepoint.directory.as_deref(), savepoint.trigger_id, now)?;
            engine.end(job, RunStatus::Finished, now)?;
            Ok(Stopped { savepoint: Some(point), complete: true })
        })
        .await
    }

    async fn savepoint(&self, run: &RunRef, options: &SavepointOptions) -> Result<RestorePoint> {
        self.require(self.0.options.capability.savepoint, "take savepoints")?;
        let (job, options) = (run.flink_job, options.clone());
        self.change(Call::Savepoint, move |engine, now| {
            engine.savepoint(job, options.directory.as_deref(), options.trigger_id, now)
        })
        .await
    }

    async fn restore_points(&self, run: &RunRef) -> Result<Vec<RestorePoint>> {
        self.meet_read(Call::RestorePoints).await?;
        Ok(guard(&self.0.engine).restore_points(run.flink_job, self.now()))
    }

    async fn verify(&self, point: &RestorePoint) -> Result<Verification> {
        self.meet_read(Call::RestorePoints).await?;
        if !self.0.options.capability.verify_restore_points {
            return Ok(Verification::Unchecked);
        }
        let exists = guard(&self.0.engine).exists(&point.path);
        Ok(if exists { Verification::Present } else { Verification::Missing })
    }

    async fn failure(&self, run: &RunRef) -> Result<Option<Failure>> {
        self.meet_read(Call::Failure).await?;
        Ok(guard(&self.0.engine).failure(run.flink_job))
    }

    async fn logs(&self, run: &RunRef, _options: &LogOptions) -> Result<LogStream> {
        let log = self.log();
        let lines: Vec<_> = log.of(run.key.job).map(|copy| format!("{copy:?}\n")).collect();
        Ok(LogStream::of_bytes(lines.concat()))
    }

    async fn release(&self, _run: &RunRef) -> Result<()> {
        self.meet_read(Call::Release).await
    }
}
