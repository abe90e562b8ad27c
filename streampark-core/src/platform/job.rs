//! One job.

use std::time::Duration;

use super::events::EventStream;
use super::platform::StreamPark;
use crate::cluster::{LogOptions, LogStream, Plan, Submission};
use crate::job::{
    Desired, Failure, Generation, JobId, JobSpec, JobState, RestoreKind, RestorePoint, RunKey, RunRef, StartFrom,
    prepare,
};
use crate::store::{EventFilter, Operation, RunRecord, SpecVersion};
use crate::supervisor::{Command, JobView};
use crate::{Error, ErrorKind, Event, Result};

/// So many runs are looked through for the one to go back to.
const RUNS: usize = 100;

/// How long to wait for a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitOptions {
    /// How long at most. Default 5 min.
    pub timeout: Duration,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(300) }
    }
}

impl WaitOptions {
    /// Waits at most `timeout`.
    pub fn at_most(timeout: Duration) -> Self {
        Self { timeout }
    }
}

/// How to stop a job with a savepoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SuspendOptions {
    /// Lets all data through first (`--drain`); such a savepoint is not for going on later. Default false.
    pub drain: bool,
    /// Where the savepoint is written. Default: the cluster's folder.
    pub directory: Option<String>,
}

/// A handle to one job; cheap to clone.
///
/// Every call that changes something returns when the wish is committed, not when it has come true:
/// [`wait_for`](Self::wait_for) waits for that.
#[derive(Debug, Clone)]
pub struct Job {
    platform: StreamPark,
    id: JobId,
    name: String,
}

impl Job {
    pub(super) fn new(platform: StreamPark, id: JobId, name: String) -> Self {
        Self { platform, id, name }
    }

    /// The job's identity.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// The job's name when this handle was made.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the job stands, and what is known of its run.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where it was deleted.
    pub fn status(&self) -> Result<JobView> {
        self.platform.shared.supervisor.job(self.id).ok_or_else(|| {
            Error::not_found(format!("the job '{}' was deleted", self.name)).with_operation("job.status")
        })
    }

    /// The spec that the next run uses.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where it was deleted.
    pub fn spec(&self) -> Result<JobSpec> {
        self.status().map(|view| JobSpec::clone(&view.spec))
    }

    /// Wants it running. A job that runs already stays as it is.
    ///
    /// Starts from the newest restore point where the job has state, as its spec says.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where it was deleted; [`ErrorKind::Storage`] where the wish cannot be
    /// committed; likewise for every call below.
    pub async fn start(&self) -> Result<()> {
        self.command(Command::Start { job: self.id, from: StartFrom::default(), actor: self.actor() }).await
    }

    /// Wants it running, started from a restore point that the caller names, or empty.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where it runs; and as [`start`](Self::start).
    pub async fn start_from(&self, from: StartFrom) -> Result<()> {
        self.command(Command::Start { job: self.id, from, actor: self.actor() }).await
    }

    /// Wants it stopped with a savepoint, from which the next start goes on.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn suspend(&self) -> Result<()> {
        self.suspend_with(SuspendOptions::default()).await
    }

    /// Wants it stopped after all data has gone through (`--drain`); its savepoint is not for going on later.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn drain(&self) -> Result<()> {
        self.suspend_with(SuspendOptions { drain: true, ..SuspendOptions::default() }).await
    }

    /// Wants it stopped with a savepoint, as `options` say.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn suspend_with(&self, options: SuspendOptions) -> Result<()> {
        let SuspendOptions { drain, directory } = options;
        self.command(Command::Suspend { job: self.id, drain, directory, actor: self.actor() }).await
    }

    /// Wants it stopped, without a savepoint.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn cancel(&self) -> Result<()> {
        self.command(Command::Cancel { job: self.id, kill: false, actor: self.actor() }).await
    }

    /// Wants it ended by the engine's own means, where each run has a deployment of its own; else cancels it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn kill(&self) -> Result<()> {
        self.command(Command::Cancel { job: self.id, kill: true, actor: self.actor() }).await
    }

    /// Stops it, and starts it again from its newest state.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn restart(&self) -> Result<()> {
        self.command(Command::Restart { job: self.id, actor: self.actor() }).await
    }

    /// Takes a savepoint; the job goes on running. Returns when the savepoint is complete.
    ///
    /// `directory` says where; None is the cluster's default.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where it does not run or the savepoint failed, with the reason;
    /// [`ErrorKind::Timeout`] where it takes longer than `options` allow: it may still complete.
    pub async fn savepoint(&self, directory: Option<String>, options: WaitOptions) -> Result<RestorePoint> {
        let mut events = self.platform.events();
        let asked = self.platform.shared.supervisor.command(Command::Savepoint {
            job: self.id,
            directory,
            actor: self.actor(),
        });
        let operation = asked.await?.job.operation;
        let asked_at =
            |operation: &Option<Operation>| operation.as_ref().map(|operation| (operation.kind, operation.at));
        let waiting = async {
            loop {
                let view = self.status()?;
                if asked_at(&view.job.operation) != asked_at(&operation) {
                    break;
                }
                self.next_change(&mut events).await?;
            }
            let since = operation.map(|operation| operation.at);
            let newest = self.restore_points(20).await?.into_iter().find(|point| {
                point.kind == RestoreKind::Savepoint && since.is_none_or(|since| point.completed_at >= since)
            });
            match newest {
                Some(point) => Ok(point),
                None => {
                    let history = self.history(20).await?;
                    let error = history.into_iter().find_map(|event| event.error);
                    let reason = error.unwrap_or_else(|| "the history tells no reason".to_owned());
                    Err(Error::new(ErrorKind::Conflict, format!("no savepoint was taken: {reason}")))
                }
            }
        };
        self.within(options, "the savepoint", waiting).await.map_err(|error| error.with_operation("job.savepoint"))
    }

    /// Writes a new version of the spec. A running job is stopped and started with it, as
    /// [`JobSpec::upgrade`] says; the name must stay the same.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where the spec breaks a rule; and as [`start`](Self::start).
    pub async fn update(&self, spec: JobSpec) -> Result<()> {
        spec.validate()?;
        self.platform.clusters().get(&spec.cluster)?;
        self.platform.channels().require(&spec.alerts)?;
        self.command(Command::Update { job: self.id, spec: Box::new(spec), actor: self.actor() }).await
    }

    /// The spec as a run ran it: of its version, with the builds and versions that its names stood for then.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where that version is not stored, and those of the store.
    pub async fn spec_of(&self, run: &RunRecord) -> Result<JobSpec> {
        let version = self.platform.shared.store.spec(self.id, run.spec_version).await?;
        match version {
            Some(version) => Ok(version.spec.pinned(&run.pins)),
            None => Err(Error::not_found(format!("version {} of the spec is not stored", run.spec_version))
                .with_operation("job.spec_of")
                .with_context("job", &self.name)),
        }
    }

    /// Goes back to what an earlier run ran, spec and artifacts: writes a new version of the spec that names them, and
    /// goes on as [`update`](Self::update). The job stays there until its spec is changed again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] listing the runs that are remembered; as [`update`](Self::update).
    pub async fn roll_back(&self, generation: Generation) -> Result<()> {
        let named = |error: Error| error.with_operation("job.roll_back").with_context("job", &self.name);
        let runs = self.runs(RUNS).await.map_err(named)?;
        let Some(run) = runs.iter().find(|run| run.run.key.generation == generation) else {
            let known: Vec<String> = runs.iter().map(|run| run.run.key.generation.to_string()).collect();
            let known =
                if known.is_empty() { "it never ran".to_owned() } else { format!("there are {}", known.join(", ")) };
            return Err(named(Error::not_found(format!("no run {generation} of the job is remembered; {known}"))));
        };
        let spec = self.spec_of(run).await.map_err(named)?;
        self.update(spec).await.map_err(named)
    }

    /// Creates another job like this one: `change` gets a copy of the spec with the new name.
    ///
    /// # Errors
    /// As [`Jobs::create`](super::Jobs::create).
    pub async fn copy(&self, name: impl Into<String>, change: impl FnOnce(&mut JobSpec) + Send) -> Result<Job> {
        let mut spec = self.spec()?;
        spec.name = name.into();
        change(&mut spec);
        self.platform.jobs().create(spec).await
    }

    /// Deletes it; its history stays.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where a run of it may be alive: cancel it first.
    pub async fn delete(&self) -> Result<()> {
        self.command(Command::Delete { job: self.id, actor: self.actor() }).await
    }

    /// Waits until the job is in `state`, at most 5 minutes.
    ///
    /// # Errors
    /// As [`wait_for_with`](Self::wait_for_with).
    pub async fn wait_for(&self, state: JobState) -> Result<JobView> {
        self.wait_for_with(state, WaitOptions::default()).await
    }

    /// Waits until the job is in `state`.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] where that takes too long; [`ErrorKind::Conflict`], with the reason,
    /// as soon as the job settles in another state out of which only a person brings it.
    pub async fn wait_for_with(&self, state: JobState, options: WaitOptions) -> Result<JobView> {
        let mut events = self.platform.events();
        let waiting = async {
            loop {
                let view = self.status()?;
                if view.job.state == state {
                    return Ok(view);
                }
                if view.job.state.is_settled() && !settles_later(&view) {
                    let reason = view.job.reason.as_deref().unwrap_or("no reason is recorded");
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        format!("the job is {} and will not become {state} by itself: {reason}", view.job.state),
                    ));
                }
                self.next_change(&mut events).await?;
            }
        };
        self.within(options, &format!("the state {state}"), waiting)
            .await
            .map_err(|error| error.with_operation("job.wait_for"))
    }

    /// Waits for the next event of this job, or for one that was missed.
    async fn next_change(&self, events: &mut EventStream) -> Result<()> {
        loop {
            match events.next_event().await {
                Ok(Some(event)) if event.job != Some(self.id) => {}
                Ok(Some(_)) | Err(_) => return Ok(()),
                Ok(None) => return Err(Error::new(ErrorKind::Cancelled, "the engine was shut down while waiting")),
            }
        }
    }

    async fn within<T>(&self, options: WaitOptions, what: &str, wait: impl Future<Output = Result<T>>) -> Result<T> {
        let result = match tokio::time::timeout(options.timeout, wait).await {
            Ok(result) => result,
            Err(_) => {
                let job = self.status()?.job;
                let mut message = format!("{what} did not come within {:?}; the job is {}", options.timeout, job.state);
                if let Some(trouble) = job.operation.and_then(|operation| operation.trouble).or(job.reason) {
                    message.push_str(": ");
                    message.push_str(&trouble);
                }
                Err(Error::new(ErrorKind::Timeout, message))
            }
        };
        result.map_err(|error| error.with_context("job", &self.name))
    }

    /// What happened to the job, newest first, at most `limit` events.
    ///
    /// # Errors
    /// Those of the store; likewise below.
    pub async fn history(&self, limit: usize) -> Result<Vec<Event>> {
        let filter =
            EventFilter { job: Some(self.id), newest_first: true, limit: Some(limit), ..EventFilter::default() };
        self.platform.shared.store.events(&filter).await
    }

    /// Its runs, newest first, at most `limit`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn runs(&self, limit: usize) -> Result<Vec<RunRecord>> {
        self.platform.shared.store.runs(self.id, limit).await
    }

    /// The versions of its spec, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn versions(&self) -> Result<Vec<SpecVersion>> {
        self.platform.shared.store.specs(self.id).await
    }

    /// Its recorded restore points, newest first, at most `limit`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn restore_points(&self, limit: usize) -> Result<Vec<RestorePoint>> {
        self.platform.shared.store.restore_points(self.id, limit).await
    }

    /// Why its newest failed run failed; None where none failed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn failure(&self) -> Result<Option<Failure>> {
        Ok(self.runs(100).await?.into_iter().find_map(|run| run.failure))
    }

    /// The engine's logs around its newest run.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where it never ran, and those of the cluster.
    pub async fn logs(&self, options: &LogOptions) -> Result<LogStream> {
        let Some(run) = self.status()?.run else {
            return Err(Error::new(ErrorKind::Conflict, "the job never ran: it has no logs")
                .with_operation("job.logs")
                .with_context("job", &self.name));
        };
        self.platform.clusters().get(&run.cluster)?.logs(&run.run, options).await
    }

    /// What starting it now would send; nothing is sent or written.
    ///
    /// # Errors
    /// Those of the program and the cluster.
    pub async fn plan(&self) -> Result<Plan> {
        let view = self.status()?;
        plan_of(&self.platform, &view.spec, Some(&view)).await
    }

    async fn command(&self, command: Command) -> Result<()> {
        self.platform.shared.supervisor.command(command).await.map(drop)
    }

    fn actor(&self) -> String {
        self.platform.actor.to_string()
    }
}

/// A settled job whose owner wants something else is on its way there.
fn settles_later(view: &JobView) -> bool {
    let reached = match view.job.desired {
        Desired::Running => matches!(view.job.state, JobState::Failed | JobState::Parked | JobState::Finished),
        Desired::Suspended | Desired::Cancelled => true,
    };
    !reached
}

/// The plan of the submission that would follow now.
pub(super) async fn plan_of(platform: &StreamPark, spec: &JobSpec, view: Option<&JobView>) -> Result<Plan> {
    let shared = &platform.shared;
    let cluster = platform.clusters().get(&spec.cluster)?;
    let context = shared.context.clone().with_flink_version(cluster.info().flink_version);
    let launch = prepare(spec, &shared.programs, &context).await?;
    let key = match view {
        Some(view) => RunKey::new(view.job.id, view.job.generation + 1),
        None => RunKey::new(JobId::from_u128(0), 1),
    };
    cluster.plan(&Submission::of_spec(RunRef::new(key), spec, launch)).await
}
