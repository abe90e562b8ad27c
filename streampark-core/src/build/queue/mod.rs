//! The queue of builds: so many at once, one of a project, in turn, and nothing twice.

mod build;
mod follow;
mod ledger;
mod record;
mod told;
mod work;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

pub use self::build::Build;
use self::follow::Wake;
pub use self::follow::{BuildFollower, BuildUpdate};
use self::ledger::Ledger;
pub use self::ledger::LogPage;
pub use self::record::{BuildOrder, BuildProblem, BuildRecord, BuildState};
pub(crate) use self::told::Told;
pub use self::work::{BuildPlan, BuildPlans};
use self::work::{Found, Work};
use super::artifacts::ArtifactStore;
use super::builder::BuildEvent;
use super::environment::BuildEnvironment;
use super::outputs::blocking;
use super::process;
use crate::{Error, ErrorKind, Result, SharedClock, SystemClock};

#[cfg(test)]
mod tests;

/// How many words a follower may lag behind before it looks for itself.
const FOLLOWED: usize = 1024;
/// How long a shutdown waits for builds that were told to end.
const GRACE: Duration = Duration::from_secs(15);

/// Bounds of a queue.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuildQueueOptions {
    /// How many builds run at once: half of the machine's cores, at least one.
    pub concurrency: usize,
    /// How many builds may wait: 1,000.
    pub capacity: usize,
    /// How long a build may take: one hour.
    pub timeout: Duration,
    /// How much a build may print: 64 MiB.
    pub max_output: u64,
    /// How much memory the processes of a build may hold together: no bound. It is looked at ten times a second.
    pub max_memory: Option<u64>,
    /// How many builds of a project are remembered, with their logs: 100.
    pub keep: usize,
    /// What builds see of this process's environment.
    pub env: BuildEnvironment,
    /// Tells the time.
    pub clock: SharedClock,
}

impl Default for BuildQueueOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            concurrency: (cores / 2).max(1),
            capacity: 1_000,
            timeout: Duration::from_secs(3600),
            max_output: 64 << 20,
            max_memory: None,
            keep: 100,
            env: BuildEnvironment::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// A queue of builds; cheap to clone.
///
/// # Guarantees
/// - At most [`concurrency`](BuildQueueOptions::concurrency) builds run at once, and one of a project.
/// - A build is never refused because others run; only where [`capacity`](BuildQueueOptions::capacity) builds wait.
/// - The same commit with the same options is built once: a second order gets the artifacts of the first.
/// - A build that waited when the process ended waits again after the next [`open`](Self::open); one that ran is
///   INTERRUPTED, and what was left of its processes is ended.
#[derive(Clone)]
pub struct BuildQueue(Arc<Inner>);

struct Inner {
    ledger: Arc<Ledger>,
    artifacts: ArtifactStore,
    plans: Arc<dyn BuildPlans>,
    options: BuildQueueOptions,
    runtime: tokio::runtime::Handle,
    state: Mutex<State>,
    idle: watch::Sender<usize>,
    /// Counts the changes of builds.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    builds: BTreeMap<String, Entry>,
    /// The builds that wait, in the order of asking.
    waiting: Vec<String>,
    /// Project and build.
    running: HashMap<String, String>,
    closed: bool,
}

struct Entry {
    record: watch::Sender<BuildRecord>,
    wakes: broadcast::Sender<Wake>,
    cancel: CancellationToken,
    /// Who cancelled it.
    cancelled_by: Option<String>,
    /// How far the history has heard of it.
    told: Told,
}

impl Entry {
    fn new(record: BuildRecord, told: Told) -> Self {
        let wakes = broadcast::Sender::new(if record.state.is_over() { 1 } else { FOLLOWED });
        Self { record: watch::Sender::new(record), wakes, cancel: CancellationToken::new(), cancelled_by: None, told }
    }
}

impl BuildQueue {
    /// Opens the queue whose records and logs are in `folder`, and goes on where the last process stopped.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where another process has the folder open; [`ErrorKind::Io`] and
    /// [`ErrorKind::Storage`] where it cannot be read.
    pub async fn open(
        folder: impl Into<PathBuf>,
        artifacts: ArtifactStore,
        plans: Arc<dyn BuildPlans>,
        options: BuildQueueOptions,
    ) -> Result<Self> {
        let folder: PathBuf = folder.into();
        let (ledger, records) = blocking(move || Ledger::open(&folder)).await?;
        let ledger = Arc::new(ledger);
        let mut state = State::default();
        for (mut record, told) in records {
            if record.state == BuildState::Running {
                if process::end_leftovers(&record.id).await {
                    tracing::warn!(build = record.id, "ended what was left of a build that was cut off");
                }
                record.state = BuildState::Interrupted;
                record.ended_at = Some(options.clock.now());
                let (ledger, kept) = (Arc::clone(&ledger), record.clone());
                blocking(move || ledger.keep(&kept)).await?;
            }
            if record.state == BuildState::Queued {
                state.waiting.push(record.id.clone());
            }
            state.builds.insert(record.id.clone(), Entry::new(record, told));
        }
        let queue = Self(Arc::new(Inner {
            ledger,
            artifacts,
            plans,
            options,
            runtime: tokio::runtime::Handle::current(),
            state: Mutex::new(state),
            idle: watch::Sender::new(0),
            changes: watch::Sender::new(0),
        }));
        queue.pump();
        Ok(queue)
    }

    /// Asks for a build. An equal order that still waits is the same build.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such project, [`ErrorKind::Exhausted`] where too many builds wait,
    /// [`ErrorKind::Conflict`] after [`close`](Self::close).
    pub async fn add(&self, order: BuildOrder) -> Result<Build> {
        let named = |error: Error| error.with_operation("build.add");
        self.0.plans.plan(&order.project).map_err(named)?;
        let (limit, now) = (self.0.options.capacity, self.0.options.clock.now());
        let record = {
            let mut state = self.state();
            if state.closed {
                return Err(named(Error::new(ErrorKind::Conflict, "the queue of builds is closed")));
            }
            let known = state.waiting.iter().find_map(|id| {
                let entry = state.builds.get(id)?;
                entry.record.borrow().order.serves(&order).then_some(entry)
            });
            if let Some(entry) = known {
                entry.record.send_modify(|record| record.order.priority = record.order.priority.max(order.priority));
                let id = entry.record.borrow().id.clone();
                drop(state);
                return Ok(self.handle(id));
            }
            if state.waiting.len() >= limit {
                return Err(named(Error::new(
                    ErrorKind::Exhausted,
                    format!(
                        "{limit} builds wait already, which is the bound of the queue; try again later, or raise capacity"
                    ),
                )));
            }
            let record = BuildRecord::new(order, now);
            state.builds.insert(record.id.clone(), Entry::new(record.clone(), Told::Nothing));
            record
        };
        // It runs only after it is kept: a build that nobody remembers would be nobody's.
        let (ledger, kept) = (Arc::clone(&self.0.ledger), record.clone());
        let result = blocking(move || ledger.keep(&kept)).await;
        {
            let mut state = self.state();
            if let Err(error) = result {
                state.builds.remove(&record.id);
                return Err(named(error));
            }
            state.waiting.push(record.id.clone());
        }
        self.changed();
        self.pump();
        Ok(self.handle(record.id))
    }

    /// The build `id`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where it is not remembered.
    pub fn get(&self, id: &str) -> Result<Build> {
        self.record(id).map(|record| self.handle(record.id))
    }

    /// Builds, newest first; of one project, or of all.
    pub fn list(&self, project: Option<&str>) -> Vec<BuildRecord> {
        let state = self.state();
        let records = state.builds.values().rev().map(|entry| entry.record.borrow().clone());
        records.filter(|record| project.is_none_or(|project| record.order.project == project)).collect()
    }

    /// The builds that wait, the next one first.
    pub fn waiting(&self) -> Vec<BuildRecord> {
        let state = self.state();
        turns(&state).into_iter().filter_map(|id| Some(state.builds.get(&id)?.record.borrow().clone())).collect()
    }

    /// Where artifacts are kept.
    pub fn artifacts(&self) -> &ArtifactStore {
        &self.0.artifacts
    }

    /// Ends what runs, which is then INTERRUPTED, and takes no more orders. What waits stays for the next
    /// [`open`](Self::open).
    pub async fn close(&self) {
        {
            let mut state = self.state();
            state.closed = true;
            for id in state.running.values() {
                if let Some(entry) = state.builds.get(id) {
                    entry.cancel.cancel();
                }
            }
        }
        let mut idle = self.0.idle.subscribe();
        let ended = idle.wait_for(|running| *running == 0);
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("some builds did not end with the queue");
        }
    }

    fn handle(&self, id: String) -> Build {
        Build { queue: self.clone(), id }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, id: &str) -> Result<BuildRecord> {
        match self.state().builds.get(id) {
            Some(entry) => Ok(entry.record.borrow().clone()),
            None => Err(Error::not_found(format!("no build '{}' is remembered", super::words::shown(id)))
                .with_operation("build.get")),
        }
    }

    /// Starts whoever's turn it is.
    fn pump(&self) {
        let mut state = self.state();
        while !state.closed && state.running.len() < self.0.options.concurrency.max(1) {
            let next = turns(&state).into_iter().find_map(|id| {
                let project = state.builds.get(&id)?.record.borrow().order.project.clone();
                (!state.running.contains_key(&project)).then_some((id, project))
            });
            let Some((id, project)) = next else { break };
            state.waiting.retain(|waiting| *waiting != id);
            state.running.insert(project.clone(), id.clone());
            self.0.idle.send_replace(state.running.len());
            let queue = self.clone();
            self.0.runtime.spawn(async move {
                queue.run(&id).await;
                {
                    let mut state = queue.state();
                    state.running.remove(&project);
                    queue.0.idle.send_replace(state.running.len());
                }
                queue.forget_old(&project).await;
                queue.pump();
            });
        }
    }

    /// One build, up to its end.
    async fn run(&self, id: &str) {
        let Some((mut record, wakes, cancel)) = self
            .state()
            .builds
            .get(id)
            .map(|entry| (entry.record.borrow().clone(), entry.wakes.clone(), entry.cancel.clone()))
        else {
            return;
        };
        record.state = BuildState::Running;
        record.started_at = Some(self.0.options.clock.now());
        if !self.keep(&record).await {
            // Without a record of its start nobody would end what it leaves behind after a crash.
            self.end(record, Err(Error::new(ErrorKind::Storage, "the start of the build cannot be recorded"))).await;
            return;
        }
        let (queue, begun) = (self.clone(), record.clone());
        let mut task = tokio::spawn(async move { queue.work(begun, wakes).await });
        let outcome = tokio::select! {
            outcome = &mut task => Some(outcome),
            () = cancel.cancelled() => None,
        };
        let (record, result) = match outcome {
            Some(Ok((record, result))) => (record, result),
            Some(Err(source)) => {
                (record, Err(Error::new(ErrorKind::Internal, "the build panicked").with_source(source)))
            }
            None => {
                task.abort();
                // Its future is dropped now; the processes end with it, and this waits for them.
                let _aborted = task.await;
                process::end_leftovers(id).await;
                let by = if self.state().closed { "the queue was closed" } else { "it was cancelled" };
                (record, Err(Error::new(ErrorKind::Cancelled, by)))
            }
        };
        self.end(record, result).await;
    }

    async fn end(&self, mut record: BuildRecord, result: Result<()>) {
        record.ended_at = Some(self.0.options.clock.now());
        match result {
            Ok(()) => record.state = BuildState::Succeeded,
            Err(error) if error.kind() == ErrorKind::Cancelled => {
                let state = self.state();
                record.state = if state.closed { BuildState::Interrupted } else { BuildState::Cancelled };
                record.ended_by = state.builds.get(&record.id).and_then(|entry| entry.cancelled_by.clone());
            }
            Err(error) => {
                record.state = BuildState::Failed;
                record.problem = Some(BuildProblem::of(&error));
            }
        }
        tracing::info!(build = record.id, project = record.order.project, state = %record.state, "a build is over");
        self.keep(&record).await;
    }

    async fn work(&self, mut record: BuildRecord, wakes: broadcast::Sender<Wake>) -> (BuildRecord, Result<()>) {
        let mut found = Found::default();
        let result = self.try_work(&mut record, &mut found, wakes).await;
        record.revision = found.revision;
        record.builder = found.builder;
        record.key = found.key;
        (record, result)
    }

    async fn try_work(
        &self,
        record: &mut BuildRecord,
        found: &mut Found,
        wakes: broadcast::Sender<Wake>,
    ) -> Result<()> {
        let options = &self.0.options;
        let (ledger, id) = (Arc::clone(&self.0.ledger), record.id.clone());
        let log = blocking(move || ledger.log(&id)).await?;
        let (lines, progress) = (wakes.clone(), wakes);
        let work = Work {
            id: record.id.clone(),
            order: record.order.clone(),
            plan: self.0.plans.plan(&record.order.project)?,
            artifacts: self.0.artifacts.clone(),
            env: options.env.clone(),
            timeout: options.timeout,
            max_output: options.max_output,
            max_memory: options.max_memory,
            clock: Arc::clone(&options.clock),
            log: Arc::new(move |event| {
                let length = match &event {
                    BuildEvent::Line(line) => log.line(line),
                    BuildEvent::Step(step) => log.step(step),
                };
                let wake = length.map_or_else(|| Wake::Now(event.into()), Wake::Log);
                // Nobody may be following.
                let _followers = lines.send(wake);
            }),
            progress: Arc::new(move |made| {
                let _followers = progress.send(Wake::Now(BuildUpdate::Progress(made)));
            }),
        };
        *found = work.begin().await?;
        if let Some((earlier, artifacts)) = self.known(found, &record.order).await {
            (work.log)(BuildEvent::Step(format!(
                "build {earlier} had the same commit and options; its artifacts are taken"
            )));
            record.artifacts = artifacts;
            record.reused = Some(earlier);
            return Ok(());
        }
        record.artifacts = work.build(found).await?;
        Ok(())
    }

    /// An earlier build with this result, whose artifacts are still kept.
    async fn known(&self, found: &Found, order: &BuildOrder) -> Option<(String, Vec<(String, String)>)> {
        let key = found.key.as_ref().filter(|_| !order.fresh)?;
        let earlier = self.list(Some(&order.project)).into_iter().find(|record| {
            record.state == BuildState::Succeeded && record.key.as_ref() == Some(key) && record.reused.is_none()
        })?;
        for (_, id) in &earlier.artifacts {
            let artifact = self.0.artifacts.get(id).await.ok()?;
            self.0.artifacts.jar(&artifact).await.ok()?;
        }
        Some((earlier.id, earlier.artifacts))
    }

    /// Keeps a record and tells it; false where it could not be kept.
    async fn keep(&self, record: &BuildRecord) -> bool {
        let (ledger, kept) = (Arc::clone(&self.0.ledger), record.clone());
        let result = blocking(move || ledger.keep(&kept)).await;
        if let Err(error) = &result {
            tracing::error!(build = record.id, error = %error.chain(), "the record of a build is lost");
        }
        if let Some(entry) = self.state().builds.get(&record.id) {
            let changed = entry.record.borrow().state != record.state;
            entry.record.send_replace(record.clone());
            if changed {
                let _followers = entry.wakes.send(Wake::Now(BuildUpdate::State(record.state)));
            }
        }
        self.changed();
        result.is_ok()
    }

    fn changed(&self) {
        self.0.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// Forgets builds of a project beyond those that are kept.
    async fn forget_old(&self, project: &str) {
        let over: Vec<String> = {
            let mut state = self.state();
            let ids: Vec<String> = state
                .builds
                .iter()
                .rev()
                .filter(|(_, entry)| {
                    let record = entry.record.borrow();
                    record.order.project == project && record.state.is_over()
                })
                .map(|(id, _)| id.clone())
                .skip(self.0.options.keep)
                .collect();
            for id in &ids {
                state.builds.remove(id);
            }
            ids
        };
        let ledger = Arc::clone(&self.0.ledger);
        let forget = move || over.iter().try_for_each(|id| ledger.forget(id));
        if let Err(error) = blocking(forget).await {
            tracing::warn!(error = %error.chain(), "the folder of an old build cannot be removed");
        }
    }
}

/// The builds that wait, the next one first.
fn turns(state: &State) -> Vec<String> {
    let priority = |id: &String| state.builds.get(id).map_or(0, |entry| entry.record.borrow().order.priority);
    let mut ids = state.waiting.clone();
    // Stable: equal ones stay in the order of asking.
    ids.sort_by_key(|id| std::cmp::Reverse(priority(id)));
    ids
}

impl fmt::Debug for BuildQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("BuildQueue")
            .field("waiting", &state.waiting.len())
            .field("running", &state.running)
            .field("artifacts", &self.0.artifacts)
            .finish_non_exhaustive()
    }
}
