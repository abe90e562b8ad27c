//! A run is made of what its names stood for when it was intended, whatever is built meanwhile.

use std::sync::Mutex;

use super::*;
use crate::Error;
use crate::job::{Dependency, Location, ModuleRef, Pin, Resource};

/// Knows one module, of which each look finds a newer build; remembers what was taken from it.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    looks: u32,
    taken: Vec<String>,
    trouble: Option<ErrorKind>,
}

impl Shelf {
    fn state(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.0.lock().unwrap()
    }

    /// The builds that were taken since the last call.
    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.state().taken)
    }
}

#[async_trait::async_trait]
impl Resolve for Shelf {
    async fn resolve(&self, dependency: &Dependency) -> crate::Result<Vec<Resource>> {
        let Dependency::Module(module) = dependency else { panic!("{dependency:?} is no module") };
        self.state().taken.push(module.build.clone().unwrap_or_default());
        let place = "hdfs://nn/orders.jar".parse().unwrap();
        Ok(vec![Resource::new("orders.jar", Location::Remote(place))])
    }

    async fn pin(&self, dependency: &Dependency) -> crate::Result<Option<Pin>> {
        let Dependency::Module(module) = dependency else { return Ok(None) };
        let mut state = self.state();
        if let Some(kind) = state.trouble {
            return Err(Error::new(kind, "the module 'orders' of the project 'shop' has no successful build"));
        }
        state.looks += 1;
        let build = state.looks.to_string();
        let exact = Dependency::Module(module.clone().build(&build));
        Ok(Some(Pin::new(dependency.clone(), [exact]).fact("build", build)))
    }
}

fn spec(world: &World) -> JobSpec {
    let mut spec = world.spec("orders");
    spec.dependencies = vec![Dependency::Module(ModuleRef::new("shop").module("orders"))];
    spec
}

/// The build that each run is made of, the oldest run first.
async fn builds(world: &World, job: JobId) -> Vec<String> {
    let runs = world.runs(job).await;
    runs.iter().rev().map(|run| run.pins[0].facts["build"].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_restart_by_itself_runs_the_same_artifact_and_whoever_asks_gets_the_newest() {
    let world = World::new().await;
    let job = world.running(spec(&world)).await;
    for generation in 2..4 {
        world.fail(job);
        world.wait_generation(job, generation).await;
    }
    assert_eq!(builds(&world, job).await, ["1", "1", "1"]);
    assert_eq!(world.count(job, EventKind::RunPinned).await, 1);

    world.handle.command(Command::Restart { job, actor: "ann".into() }).await.unwrap();
    world.wait_generation(job, 4).await;
    world.pass(12).await;
    world.suspend(job).await.unwrap();
    world.wait(job, JobState::Suspended).await;
    world.start(job).await;
    world.wait_generation(job, 5).await;
    world.pass(12).await;
    let changed = Box::new(spec(&world).parallelism(2));
    world.handle.command(Command::Update { job, spec: changed, actor: "ann".into() }).await.unwrap();
    world.wait_generation(job, 6).await;
    world.fail(job);
    world.wait_generation(job, 7).await;
    assert_eq!(builds(&world, job).await, ["1", "1", "1", "2", "3", "4", "4"]);
    assert_eq!(world.shelf.taken(), ["1", "1", "1", "2", "3", "4", "4"], "what is sent is what is written down");
    let history = world.history(job).await.join("\n");
    let told = "RunPinned run 4 is made of module 'orders' of project 'shop' (build 2)";
    assert!(history.contains(told), "{history}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_was_asked_for_and_did_not_work_changes_nothing() {
    let world = World::new().await;
    let job = world.running(spec(&world)).await;
    world.engine.break_down(Some(Call::Stop), Fault::Rejected("the savepoint folder is read-only".into()));
    world.handle.command(Command::Restart { job, actor: "ann".into() }).await.unwrap();
    world.pass(120).await;
    world.engine.heal();
    assert_eq!(world.state(job), JobState::Running);
    world.fail(job);
    world.wait_generation(job, 2).await;
    assert_eq!(builds(&world, job).await, ["1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_moment_a_run_is_sent_as_what_is_written_down() {
    for millis in (0..2_000).step_by(50) {
        let mut world = World::with(|options| options.latency = Duration::from_millis(200)).await;
        let job = world.create(spec(&world)).await;
        world.start(job).await;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        world.die_and_begin_again().await;
        world.wait(job, JobState::Running).await;
        let first = builds(&world, job).await;
        assert!(world.shelf.taken().iter().all(|build| *build == first[0]), "killed after {millis} ms: {first:?}");
        world.pass(12).await;
        world.fail(job);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        world.die_and_begin_again().await;
        world.wait_generation(job, 2).await;
        assert_eq!(builds(&world, job).await, [first[0].clone(), first[0].clone()], "killed after {millis} ms");
        assert!(world.shelf.taken().iter().all(|build| *build == first[0]), "killed after {millis} ms");
        assert_eq!(world.copies(job), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_submission_whose_answer_is_lost_is_sent_again_as_the_same() {
    let world = World::new().await;
    let job = world.create(spec(&world)).await;
    world.engine.inject(Call::Submit, Fault::ServerError, 2);
    world.engine.inject(Call::Submit, Fault::Hang(Duration::from_secs(200)), 1);
    world.start(job).await;
    world.wait(job, JobState::Running).await;
    let taken = world.shelf.taken();
    assert!(taken.len() > 2 && taken.iter().all(|build| build == "1"), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_never_built_is_refused_and_what_cannot_be_seen_is_asked_again() {
    let world = World::new().await;
    world.shelf.state().trouble = Some(ErrorKind::NotFound);
    let job = world.create(spec(&world)).await;
    world.start(job).await;
    world.wait(job, JobState::Failed).await;
    let reason = world.handle.job(job).unwrap().job.reason;
    assert_eq!(reason.as_deref(), Some("the module 'orders' of the project 'shop' has no successful build"));
    assert_eq!((world.copies(job), world.shelf.taken().len()), (0, 0));
    world.shelf.state().trouble = Some(ErrorKind::Timeout);
    world.start(job).await;
    world.pass(30).await;
    assert_eq!(world.state(job), JobState::Submitting);
    world.shelf.state().trouble = None;
    world.wait(job, JobState::Running).await;
    assert_eq!(world.shelf.taken(), ["1"]);
}
