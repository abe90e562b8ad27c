use super::*;

#[tokio::test(start_paused = true)]
async fn a_lost_answer_runs_once() {
    let world = World::new().await;
    let job = world.create(world.spec("orders")).await;
    world.engine.inject(Call::Submit, Fault::AnswerLost(Duration::from_secs(2)), 1);
    world.start(job).await;
    world.wait(job, JobState::Running).await;
    assert_eq!(world.copies(job), 1);
    assert_eq!(world.count(job, EventKind::SubmissionInDoubt).await, 1);
    assert_eq!(world.handle.job(job).unwrap().job.generation, 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_lost_is_sent_again_as_the_same_run() {
    let world = World::new().await;
    let job = world.create(world.spec("orders")).await;
    world.engine.inject(Call::Submit, Fault::Hang(Duration::from_secs(2)), 1);
    world.start(job).await;
    world.wait(job, JobState::Running).await;
    let run = &world.runs(job).await[0];
    assert_eq!((run.run.key.generation, run.attempts), (1, 2));
    assert_eq!(world.copies(job), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_arrives_late_meets_the_fence() {
    let world = World::new().await;
    let job = world.create(world.spec("orders")).await;
    let late = Fault::ArrivesLate(Duration::from_secs(1), Duration::from_secs(40));
    world.engine.inject(Call::Submit, late, 1);
    world.start(job).await;
    world.wait(job, JobState::Running).await;
    world.pass(100).await;
    assert_eq!(world.copies(job), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_its_job_manager_may_have_taken_before_it_died_is_waited_for() {
    let world = World::new().await;
    let job = world.create(world.spec("orders")).await;
    world.engine.inject(Call::Submit, Fault::AnswerLost(Duration::ZERO), 1);
    world.engine.break_down(Some(Call::Observe), Fault::Refused);
    world.engine.break_down(Some(Call::Lookup), Fault::Refused);
    world.start(job).await;
    world.wait(job, JobState::InDoubt).await;
    // It took the run and dies before it is asked: its tasks live on for a minute.
    world.engine.crash_job_manager();
    world.engine.heal();
    world.pass(50).await;
    assert_eq!(world.copies(job), 1);
    world.wait(job, JobState::Running).await;
    assert_eq!(world.copies(job), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dead_job_manager_is_no_second_copy() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    world.pass(60).await;
    world.engine.crash_job_manager();
    world.pass(30).await;
    assert_eq!(world.handle.job(job).unwrap().knowledge.as_str(), "absent");
    assert_eq!(world.state(job), JobState::Running);
    world.wait_generation(job, 2).await;
    assert_eq!(world.copies(job), 2);
    let restored = world.runs(job).await[0].restored_from.clone();
    assert!(restored.is_some(), "the checkpoint written down is used");
    assert!(world.told().await.contains(&AlertKind::JobVanished));
}

#[tokio::test(start_paused = true)]
async fn unreachable_is_not_failed_and_is_told_once() {
    let world = World::new().await;
    let first = world.running(world.spec("first")).await;
    let second = world.running(world.spec("second")).await;
    for fault in [Fault::Refused, Fault::Hang(Duration::from_secs(60)), Fault::ServerError] {
        world.engine.break_down(None, fault);
        world.pass(600).await;
        assert_eq!(world.handle.job(first).unwrap().knowledge.as_str(), "unreachable");
        assert_eq!((world.state(first), world.state(second)), (JobState::Running, JobState::Running));
        world.engine.heal();
        world.pass(90).await;
        assert_eq!(world.handle.job(first).unwrap().knowledge.as_str(), "observed");
    }
    let told = world.told().await;
    assert_eq!(told.iter().filter(|kind| **kind == AlertKind::ClusterUnreachable).count(), 3);
    assert_eq!(told.iter().filter(|kind| **kind == AlertKind::ClusterRecovered).count(), 3);
    assert_eq!(told.len(), 6);
    assert_eq!((world.copies(first), world.copies(second)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_has_ended_is_told_once_with_its_last_words() {
    let mut world = World::new().await;
    // Nothing runs there: who asked for it hears of it all the same.
    world.handle.tell_of_cluster("dev", vec!["people".to_owned()]).unwrap();
    let error = world.handle.tell_of_cluster("nowhere", Vec::new()).unwrap_err();
    assert_eq!(error.message(), "there is no cluster named 'nowhere'");
    world.engine.end(Failure::new("killed by user root"));
    world.pass(60).await;
    let view = world.handle.clusters().remove(0);
    assert_eq!((view.ended.as_deref(), view.unreachable_since), (Some("killed by user root"), None));
    assert_eq!(world.told().await, [AlertKind::ClusterEnded]);
    world.die_and_begin_again().await;
    world.pass(60).await;
    assert_eq!(world.told().await, [AlertKind::ClusterEnded], "not again");
    world.handle.tell_of_cluster("dev", vec!["people".to_owned()]).unwrap();
    world.engine.heal();
    world.pass(60).await;
    assert_eq!(world.told().await, [AlertKind::ClusterEnded, AlertKind::ClusterRecovered]);
    assert_eq!(world.handle.clusters().remove(0).ended, None);
    let events = world.store.events(&EventFilter::default()).await.unwrap();
    let said: Vec<&str> = events
        .iter()
        .filter(|event| event.kind == EventKind::ClusterChanged)
        .map(|event| event.message.as_str())
        .collect();
    assert_eq!(said, ["cluster 'dev' has ended: killed by user root", "cluster 'dev' is there again"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_unreachable_is_noticed_when_the_cluster_answers_again() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    world.engine.break_down(None, Fault::Refused);
    world.pass(20).await;
    world.fail(job);
    world.pass(20).await;
    assert_eq!(world.state(job), JobState::Running);
    world.engine.heal();
    world.wait_generation(job, 2).await;
    assert_eq!(world.copies(job), 2);
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_moment_of_a_submission_it_runs_once() {
    for millis in (0..1_500).step_by(50) {
        let mut world = World::with(|options| options.latency = Duration::from_millis(300)).await;
        let job = world.create(world.spec("orders")).await;
        world.start(job).await;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        world.die_and_begin_again().await;
        world.wait(job, JobState::Running).await;
        world.pass(200).await;
        assert_eq!(world.copies(job), 1, "killed after {millis} ms: {:#?}", world.history(job).await);
        assert_eq!(world.handle.job(job).unwrap().job.generation, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_moment_of_a_restart_it_comes_back_once_and_is_told_once() {
    for millis in (0..3_000).step_by(100) {
        let mut world = World::with(|options| options.latency = Duration::from_millis(200)).await;
        let job = world.running(world.spec("orders")).await;
        world.fail(job);
        let newest = world.newest(job).await;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        world.die_and_begin_again().await;
        world.pass(1).await;
        world.wait_generation(job, 2).await;
        world.pass(60).await;
        assert_eq!(world.copies(job), 2, "killed after {millis} ms: {:#?}", world.history(job).await);
        assert_eq!(world.runs(job).await[0].restored_from.as_ref().unwrap().path, newest.path);
        assert_eq!(world.told().await, [AlertKind::JobFailed, AlertKind::JobRecovered], "killed after {millis} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_moment_of_a_suspension_the_savepoint_is_kept() {
    for millis in (0..3_000).step_by(100) {
        let mut world = World::with(|options| options.latency = Duration::from_millis(300)).await;
        let job = world.running(world.spec("orders")).await;
        world.suspend(job).await.unwrap();
        tokio::time::sleep(Duration::from_millis(millis)).await;
        world.die_and_begin_again().await;
        world.wait(job, JobState::Suspended).await;
        world.start(job).await;
        world.wait_generation(job, 2).await;
        let restored = world.runs(job).await[0].restored_from.clone().unwrap();
        assert_eq!(restored.kind, RestoreKind::Savepoint, "killed after {millis} ms");
        assert_eq!(world.copies(job), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_the_moment_is_tried_again_and_told_after_a_while() {
    let world = World::new().await;
    let job = world.create(world.spec("orders")).await;
    world.engine.break_down(Some(Call::Submit), Fault::ServerError);
    world.start(job).await;
    world.pass(200).await;
    assert_eq!(world.told().await, []);
    world.pass(200).await;
    assert_eq!(world.told().await, [AlertKind::SubmissionFailed]);
    assert_eq!(world.state(job), JobState::Submitting);
    world.engine.heal();
    world.wait(job, JobState::Running).await;
    assert_eq!((world.copies(job), world.handle.job(job).unwrap().job.generation), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_told_with_its_reason_and_not_repeated() {
    let world = World::new().await;
    let job = world.create(world.spec("orders")).await;
    world.engine.inject(Call::Submit, Fault::Rejected("class com.acme.Orders is not in the jar".into()), 1);
    world.start(job).await;
    world.wait(job, JobState::Failed).await;
    assert_eq!(world.handle.job(job).unwrap().job.reason.as_deref(), Some("class com.acme.Orders is not in the jar"));
    world.pass(600).await;
    assert_eq!(world.copies(job), 0);
    assert_eq!(world.told().await, [AlertKind::SubmissionFailed]);
    world.start(job).await;
    world.wait(job, JobState::Running).await;
    assert_eq!(world.handle.job(job).unwrap().job.generation, 2);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_what_is_under_way_and_the_next_start_goes_on() {
    let mut world = World::with(|options| options.latency = Duration::from_secs(2)).await;
    let job = world.create(world.spec("orders")).await;
    world.start(job).await;
    world.pass(1).await;
    let report = world.handle.shutdown().await;
    assert_eq!((report.finished, report.given_up), (1, 0));
    let refused = world.cancel(job).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Cancelled);
    world.die_and_begin_again().await;
    world.wait(job, JobState::Running).await;
    assert_eq!(world.copies(job), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_begins_nothing_and_waits_for_nothing_that_was_not_begun() {
    let mut world = World::with(|options| {
        options.latency = Duration::from_secs(2);
        options.capability.session = false;
        options.capability.application = true;
    })
    .await;
    let job = world.running(world.spec("orders")).await;
    world.cancel(job).await.unwrap();
    world.wait(job, JobState::Canceled).await;
    // The ended run's restore points are asked for; when they are told, what is left of it would be removed.
    let begun = tokio::time::Instant::now();
    let report = world.handle.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!((report.finished, report.given_up), (1, 0));
    world.die_and_begin_again().await;
    world.pass(30).await;
    assert_eq!((world.state(job), world.copies(job)), (JobState::Canceled, 1));
}

#[tokio::test(start_paused = true)]
async fn a_run_is_watched_though_its_cluster_is_named_after_the_start() {
    let mut world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    world.handle.shutdown().await;
    let parts = SupervisorParts::new(
        Arc::clone(&world.store) as Arc<dyn Store>,
        ProgramContext::new("/nonexistent"),
        Arc::clone(&world.clock),
    )
    .with_programs(World::programs());
    world.handle = Supervisor::start(parts).await.unwrap();
    world.pass(30).await;
    assert_eq!(world.handle.job(job).unwrap().knowledge.as_str(), "unknown");
    world.handle.add_cluster("dev", Arc::new(world.engine.clone()));
    world.pass(3).await;
    assert_eq!(world.handle.job(job).unwrap().knowledge.as_str(), "observed");
    world.fail(job);
    world.wait_generation(job, 2).await;
    world.handle.add_cluster("dev", Arc::new(world.engine.clone()));
    world.fail(job);
    world.wait_generation(job, 3).await;
    assert_eq!(world.copies(job), 3);
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_is_full_nothing_is_sent_and_afterwards_it_goes_on() {
    use crate::store::{Batch, SqliteOptions, SqliteStore};
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::default().with_max_pages(120);
    let store = Arc::new(SqliteStore::open_with(folder.path().join("jobs.db"), options).await.unwrap());
    let clock: SharedClock = Arc::new(crate::SystemClock);
    let engine = MemoryCluster::new();
    let parts = SupervisorParts::new(Arc::clone(&store) as Arc<dyn Store>, ProgramContext::new("/nonexistent"), clock)
        .with_cluster("dev", Arc::new(engine.clone()) as Arc<dyn Cluster>)
        .with_programs(World::programs());
    let handle = Supervisor::start(parts).await.unwrap();
    let spec = |name: &str| {
        let program = ProgramSpec::Custom { kind: "nothing".to_owned(), options: serde_json::Map::new() };
        Box::new(JobSpec::new(name, program).cluster("dev").restart(policy()))
    };
    let create = |name| handle.command(Command::Create { spec: spec(name), actor: "ann".into() });
    let start = |job| handle.command(Command::Start { job, from: StartFrom::Newest, actor: "ann".into() });
    let (runs, waits) = (create("runs").await.unwrap().job.id, create("waits").await.unwrap().job.id);
    start(runs).await.unwrap();
    let state = |job| handle.job(job).unwrap().job.state;
    let until = async |job, wanted: JobState, generation: u64| {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while state(job) != wanted || handle.job(job).unwrap().job.generation != generation {
            assert!(std::time::Instant::now() < deadline, "{:#?}", handle.job(job));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    until(runs, JobState::Running, 1).await;
    let event = |size: usize| crate::Event::new(EventKind::JobChanged, "ann", Timestamp::UNIX_EPOCH, "x".repeat(size));
    for size in [3_000, 300, 1] {
        while store.commit(Batch { events: vec![event(size)], ..Batch::default() }).await.is_ok() {}
    }

    let refused = start(waits).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Storage, "{refused}");
    assert_eq!(state(waits), JobState::New);
    engine.fail(engine.flink_job(runs).unwrap(), Failure::new("boom")).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(handle.storage_trouble().is_some_and(|trouble| trouble.contains("the disk is full")));
    assert_eq!(engine.log().0.len(), 1, "nothing was sent");

    store.prune(Timestamp::now(), 100).await.unwrap();
    until(runs, JobState::Running, 2).await;
    start(waits).await.unwrap();
    until(waits, JobState::Running, 1).await;
    assert_eq!(handle.storage_trouble(), None);
    assert_eq!(engine.log().0.len(), 3);
}
