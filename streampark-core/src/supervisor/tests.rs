//! The supervisor over the simulated engine, in paused time; the engine's own log is the judge.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::alert::{AlertKind, Outbox as _};
use crate::cluster::{Call, Cluster, Fault, MemoryCluster, MemoryOptions};
use crate::flink::FlinkJobId;
use crate::job::{
    Desired, Failure, FailureClass, JarProgram, JobId, JobSpec, JobState, Launch, Program, ProgramContext,
    ProgramRegistry, ProgramSpec, Resolve, RestartMode, RestartPolicy, RestoreKind, StartFrom, StateNeed, UpgradeMode,
};
use crate::store::{EventFilter, MemoryStore, OperationKind, RunRecord, Store};
use crate::{ErrorKind, EventKind, SharedClock, TokioClock};

mod endings;
mod faults;
mod lifecycle;
mod pins;
mod wishes;

/// A program that needs no file.
#[derive(Debug)]
struct Nothing;

#[async_trait::async_trait]
impl Program for Nothing {
    fn kind(&self) -> &str {
        "nothing"
    }

    async fn prepare(&self, _context: &ProgramContext) -> crate::Result<Launch> {
        Ok(Launch::default())
    }
}

struct World {
    store: Arc<MemoryStore>,
    engine: MemoryCluster,
    clock: SharedClock,
    handle: SupervisorHandle,
    shelf: Arc<pins::Shelf>,
}

fn policy() -> RestartPolicy {
    RestartPolicy { jitter: 0.0, ..RestartPolicy::default() }
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut MemoryOptions)) -> Self {
        let clock: SharedClock = Arc::new(TokioClock::starting_at(Timestamp::from_second(1_700_000_000).unwrap()));
        let mut options = MemoryOptions {
            clock: Arc::clone(&clock),
            checkpoint_interval: Some(Duration::from_secs(5)),
            start_delay: Duration::from_millis(500),
            ..MemoryOptions::default()
        };
        change(&mut options);
        let engine = MemoryCluster::with_options(options);
        let store = Arc::new(MemoryStore::default());
        let shelf = Arc::new(pins::Shelf::default());
        let handle = Self::begin(&store, &engine, &clock, &shelf).await;
        Self { store, engine, clock, handle, shelf }
    }

    async fn begin(
        store: &Arc<MemoryStore>,
        engine: &MemoryCluster,
        clock: &SharedClock,
        shelf: &Arc<pins::Shelf>,
    ) -> SupervisorHandle {
        let context = ProgramContext::new("/nonexistent").with_resolver(Some(Arc::clone(shelf) as Arc<dyn Resolve>));
        let store: Arc<dyn Store> = Arc::clone(store) as Arc<dyn Store>;
        let parts = SupervisorParts::new(store, context, Arc::clone(clock))
            .with_cluster("dev", Arc::new(engine.clone()) as Arc<dyn Cluster>)
            .with_programs(Self::programs());
        Supervisor::start(parts).await.unwrap()
    }

    fn programs() -> ProgramRegistry {
        let mut programs = ProgramRegistry::new();
        programs.register("nothing", Arc::new(|_| Ok(Arc::new(Nothing))));
        programs
    }

    /// The process dies where it stands and a new one begins on the same store.
    async fn die_and_begin_again(&mut self) {
        let next = Self::begin(&self.store, &self.engine, &self.clock, &self.shelf).await;
        drop(std::mem::replace(&mut self.handle, next));
    }

    fn spec(&self, name: &str) -> JobSpec {
        let program = ProgramSpec::Custom { kind: "nothing".to_owned(), options: serde_json::Map::new() };
        JobSpec::new(name, program).cluster("dev").alert("people").restart(policy())
    }

    async fn create(&self, spec: JobSpec) -> JobId {
        self.handle.command(Command::Create { spec: Box::new(spec), actor: "ann".into() }).await.unwrap().job.id
    }

    async fn start(&self, job: JobId) {
        self.start_from(job, StartFrom::Newest).await.unwrap();
    }

    async fn start_from(&self, job: JobId, from: StartFrom) -> crate::Result<JobView> {
        self.handle.command(Command::Start { job, from, actor: "ann".into() }).await
    }

    async fn suspend(&self, job: JobId) -> crate::Result<JobView> {
        self.handle.command(Command::Suspend { job, drain: false, directory: None, actor: "ann".into() }).await
    }

    async fn cancel(&self, job: JobId) -> crate::Result<JobView> {
        self.handle.command(Command::Cancel { job, kill: false, actor: "ann".into() }).await
    }

    /// A job that runs and has completed a checkpoint.
    async fn running(&self, spec: JobSpec) -> JobId {
        let job = self.create(spec).await;
        self.start(job).await;
        self.wait(job, JobState::Running).await;
        self.pass(12).await;
        job
    }

    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    fn state(&self, job: JobId) -> JobState {
        self.handle.job(job).unwrap().job.state
    }

    async fn wait(&self, job: JobId, state: JobState) {
        for _ in 0..40_000 {
            if self.state(job) == state {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{} did not come: {:#?}\n{:#?}", state, self.handle.job(job), self.history(job).await);
    }

    async fn wait_generation(&self, job: JobId, generation: u64) {
        for _ in 0..40_000 {
            let view = self.handle.job(job).unwrap();
            if view.job.generation == generation && view.job.state == JobState::Running {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no run {generation}: {:#?}", self.history(job).await);
    }

    fn fail(&self, job: JobId) {
        self.engine.fail(self.live(job), Failure::new("boom").with_class("java.io.IOException")).unwrap();
    }

    /// The newest checkpoint that exists.
    async fn newest(&self, job: JobId) -> crate::job::RestorePoint {
        let run = self.runs(job).await[0].run.clone();
        self.engine.restore_points(&run).await.unwrap().remove(0)
    }

    fn live(&self, job: JobId) -> FlinkJobId {
        self.engine.flink_job(job).unwrap()
    }

    async fn runs(&self, job: JobId) -> Vec<RunRecord> {
        self.store.runs(job, 100).await.unwrap()
    }

    async fn history(&self, job: JobId) -> Vec<String> {
        let filter = EventFilter { job: Some(job), ..EventFilter::default() };
        self.store
            .events(&filter)
            .await
            .unwrap()
            .iter()
            .map(|e| format!("{} {:?} {}", e.at, e.kind, e.message))
            .collect()
    }

    async fn count(&self, job: JobId, kind: EventKind) -> usize {
        let filter = EventFilter { job: Some(job), kinds: vec![kind], ..EventFilter::default() };
        self.store.events(&filter).await.unwrap().len()
    }

    async fn told(&self) -> Vec<AlertKind> {
        let pending = self.store.pending("people", 1_000).await.unwrap();
        pending.into_iter().map(|delivery| delivery.alert.kind).collect()
    }

    fn copies(&self, job: JobId) -> usize {
        assert!(self.engine.log().most_at_once(job) <= 1, "two copies: {:#?}", self.engine.log());
        self.engine.log().of(job).count()
    }
}
