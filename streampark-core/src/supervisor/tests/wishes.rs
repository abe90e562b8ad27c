use super::*;

#[tokio::test(start_paused = true)]
async fn suspend_and_start_go_on_from_the_savepoint() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    world.suspend(job).await.unwrap();
    world.wait(job, JobState::Suspended).await;
    assert_eq!(world.runs(job).await[0].outcome, Some(JobState::Suspended));
    world.start(job).await;
    world.wait_generation(job, 2).await;
    let savepoint = world.runs(job).await[0].restored_from.clone().unwrap();
    assert_eq!(savepoint.kind, RestoreKind::Savepoint);
    assert_eq!(world.copies(job), 2);
    let kinds = vec![EventKind::RestorePointRecorded];
    let recorded = world.store.events(&EventFilter { job: Some(job), kinds, ..EventFilter::default() }).await.unwrap();
    let told = recorded.iter().filter(|event| event.data["path"] == savepoint.path.as_str()).count();
    assert_eq!(told, 1, "{recorded:#?}");
}

#[tokio::test(start_paused = true)]
async fn the_newest_checkpoint_of_a_run_that_ended_is_written_down() {
    let world = World::new().await;
    let mut spec = world.spec("orders");
    spec.restart.mode = RestartMode::Never;
    let job = world.running(spec).await;
    // Not long after one was written down while it ran.
    world.pass(120).await;
    world.fail(job);
    world.wait(job, JobState::Failed).await;
    world.pass(10).await;
    let ended = world.runs(job).await[0].ended_at.unwrap();
    let stored = world.store.restore_points(job, 1).await.unwrap().remove(0);
    let age = ended.duration_since(stored.completed_at).as_secs();
    assert!(age < 30, "{age} s before the end: {stored:?}");
}

#[tokio::test(start_paused = true)]
async fn a_savepoint_that_fails_leaves_the_job_running_and_is_told() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    world.engine.break_down(Some(Call::Stop), Fault::Rejected("the savepoint folder is read-only".into()));
    world.suspend(job).await.unwrap();
    world.pass(120).await;
    let view = world.handle.job(job).unwrap();
    assert_eq!((view.job.state, view.job.desired), (JobState::Running, Desired::Running));
    assert_eq!(world.told().await, [AlertKind::OperationFailed]);
    assert_eq!(world.copies(job), 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_operation_waits_for_is_told() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    world.engine.break_down(Some(Call::Savepoint), Fault::ServerError);
    let command = Command::Savepoint { job, directory: None, actor: "ann".into() };
    let view = world.handle.command(command).await.unwrap();
    assert_eq!(view.job.operation.unwrap().trouble, None);
    world.pass(2).await;
    let trouble = world.handle.job(job).unwrap().job.operation.unwrap().trouble;
    assert!(trouble.as_ref().is_some_and(|text| text.contains("500")), "{trouble:?}");
    world.engine.heal();
    world.pass(60).await;
    assert_eq!(world.handle.job(job).unwrap().job.operation, None);
    assert_eq!(world.store.restore_points(job, 10).await.unwrap()[0].kind, RestoreKind::Savepoint);
}

#[tokio::test(start_paused = true)]
async fn cancel_is_asked_until_it_ends() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    world.engine.inject(Call::Stop, Fault::ServerError, 3);
    world.cancel(job).await.unwrap();
    world.wait(job, JobState::Canceled).await;
    assert_eq!(world.copies(job), 1);
    world.pass(600).await;
    assert_eq!(world.copies(job), 1);
}

#[tokio::test(start_paused = true)]
async fn cancel_while_it_is_submitted_or_in_doubt_leaves_nothing_running() {
    for fault in [
        None,
        Some(Fault::AnswerLost(Duration::from_secs(3))),
        Some(Fault::Hang(Duration::from_secs(3))),
        Some(Fault::ServerError),
    ] {
        let world = World::with(|options| options.latency = Duration::from_secs(1)).await;
        let job = world.create(world.spec("orders")).await;
        if let Some(fault) = fault.clone() {
            world.engine.inject(Call::Submit, fault, 1);
        }
        world.start(job).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.cancel(job).await.unwrap();
        world.wait(job, JobState::Canceled).await;
        world.pass(200).await;
        let now = world.clock.now();
        assert_eq!(world.engine.log().alive(job, now), 0, "{fault:?}");
        assert_eq!(world.state(job), JobState::Canceled);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_takes_over_with_a_savepoint_as_a_new_version() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    let spec = world.spec("orders").parallelism(4);
    world.handle.command(Command::Update { job, spec: Box::new(spec), actor: "bob".into() }).await.unwrap();
    world.wait_generation(job, 2).await;
    let runs = world.runs(job).await;
    assert_eq!(runs[0].spec_version, 2);
    assert_eq!(runs[0].restored_from.as_ref().unwrap().kind, RestoreKind::Savepoint);
    let versions = world.store.specs(job).await.unwrap();
    assert_eq!(versions.iter().map(|version| version.actor.as_str()).collect::<Vec<_>>(), ["bob", "ann"]);
    assert_eq!(world.copies(job), 2);
}

#[tokio::test(start_paused = true)]
async fn upgrades_from_the_last_state_and_without_state() {
    let world = World::new().await;
    let job = world.running(world.spec("orders").upgrade(UpgradeMode::LastState)).await;
    let spec = world.spec("orders").upgrade(UpgradeMode::LastState).parallelism(2);
    world.handle.command(Command::Update { job, spec: Box::new(spec), actor: "ann".into() }).await.unwrap();
    world.wait_generation(job, 2).await;
    assert_eq!(world.runs(job).await[0].restored_from.as_ref().unwrap().kind, RestoreKind::Checkpoint);
    let spec = world.spec("orders").upgrade(UpgradeMode::Stateless).parallelism(3);
    world.handle.command(Command::Update { job, spec: Box::new(spec), actor: "ann".into() }).await.unwrap();
    world.wait_generation(job, 3).await;
    assert_eq!(world.runs(job).await[0].restored_from, None);
    // What was left behind on purpose does not come back by a failure.
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.fail(job);
    world.wait_generation(job, 4).await;
    assert_eq!(world.runs(job).await[0].restored_from, None);
    assert_eq!(world.copies(job), 4);
}

#[tokio::test(start_paused = true)]
async fn a_stop_can_be_turned_into_a_fresh_start() {
    let world = World::with(|options| options.latency = Duration::from_secs(1)).await;
    let job = world.running(world.spec("orders")).await;
    world.suspend(job).await.unwrap();
    world.start(job).await;
    world.wait_generation(job, 2).await;
    assert_eq!(world.copies(job), 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_state_refuses_changes_nothing() {
    let world = World::new().await;
    let fresh = world.create(world.spec("fresh")).await;
    let refused = world.suspend(fresh).await.unwrap_err();
    assert_eq!(refused.to_string(), "job.suspend: the job is NEW: there is nothing to suspend (job: fresh)");
    let job = world.running(world.spec("orders")).await;
    let before = world.handle.job(job);
    let refused = world.start_from(job, StartFrom::Empty).await.unwrap_err();
    assert_eq!(
        refused.message(),
        "the job is RUNNING: it cannot be started from another place; suspend or cancel it first"
    );
    let refused = world.handle.command(Command::Delete { job, actor: "ann".into() }).await.unwrap_err();
    assert_eq!(refused.message(), "the job is RUNNING: a run of it may be alive; cancel it first");
    let refused = world
        .handle
        .command(Command::Update { job, spec: Box::new(world.spec("other")), actor: "ann".into() })
        .await
        .unwrap_err();
    assert_eq!(refused.message(), "the new spec is named 'other'; a job keeps its name, copy it to get another one");
    assert_eq!(world.handle.job(job), before);
}

#[tokio::test(start_paused = true)]
async fn names_are_unique_and_unknown_jobs_are_named() {
    let world = World::new().await;
    world.create(world.spec("orders")).await;
    let twice = Command::Create { spec: Box::new(world.spec("orders")), actor: "ann".into() };
    let refused = world.handle.command(twice).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(refused.message(), "a job named 'orders' exists already; choose another name, or change that job");
    let unknown = world.cancel(JobId::from_u128(7)).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert_eq!(
        unknown.to_string(),
        "job.cancel: there is no job 00000000-0000-0000-0000-000000000007; it may have been deleted"
    );
}

#[tokio::test(start_paused = true)]
async fn a_savepoint_is_recorded_and_the_job_goes_on() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    let command = Command::Savepoint { job, directory: Some("memory:///mine".into()), actor: "ann".into() };
    let view = world.handle.command(command).await.unwrap();
    assert_eq!(view.job.operation.unwrap().kind, OperationKind::Savepoint);
    world.pass(5).await;
    assert_eq!(world.handle.job(job).unwrap().job.operation, None);
    let points = world.store.restore_points(job, 10).await.unwrap();
    assert!(points.iter().any(|point| point.path.starts_with("memory:///mine/savepoint-")));
    assert_eq!(world.state(job), JobState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_running_job_of_somebody_else_is_adopted_and_kept_alive() {
    let world = World::new().await;
    let stranger = crate::job::RunRef::new(crate::job::RunKey::new(JobId::from_u128(9), 1));
    let submission = crate::cluster::Submission::new(stranger.clone(), "theirs", Launch::default());
    world.engine.submit(&submission).await.unwrap();
    world.pass(20).await;
    let adopt = |flink_job| Command::Adopt {
        cluster: "dev".into(),
        flink_job,
        deployment: None,
        spec: Box::new(world.spec("ours")),
        actor: "ann".into(),
    };
    let unknown = FlinkJobId::from_hash(&[7; 16]);
    let refused = world.handle.command(adopt(unknown)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    let job = world.handle.command(adopt(stranger.flink_job)).await.unwrap().job.id;
    world.wait(job, JobState::Running).await;
    let again = world.handle.command(adopt(stranger.flink_job)).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    world.pass(20).await;
    world.engine.fail(stranger.flink_job, Failure::new("boom")).unwrap();
    world.wait_generation(job, 2).await;
    assert!(world.runs(job).await[0].restored_from.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_job_is_gone_and_its_history_stays() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    world.cancel(job).await.unwrap();
    world.wait(job, JobState::Canceled).await;
    world.handle.command(Command::Delete { job, actor: "ann".into() }).await.unwrap();
    assert_eq!(world.handle.job(job), None);
    assert_eq!(world.count(job, EventKind::JobDeleted).await, 1);
    world.create(world.spec("orders")).await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_comes_later_takes_its_jobs_up() {
    let world = World::new().await;
    let job = world.create(world.spec("orders").cluster("later")).await;
    world.start(job).await;
    world.pass(10).await;
    assert_eq!(world.state(job), JobState::Submitting);
    world.handle.add_cluster("later", Arc::new(world.engine.clone()));
    world.wait(job, JobState::Running).await;
    let refused = world.handle.remove_cluster("later").unwrap_err();
    assert_eq!(refused.message(), "jobs have live runs on 'later': orders; stop them first");
    world.cancel(job).await.unwrap();
    world.wait(job, JobState::Canceled).await;
    world.handle.remove_cluster("later").unwrap();
    let _unused = JarProgram::new("x.jar");
}

#[tokio::test(start_paused = true)]
async fn events_end_with_a_shutdown_after_the_last_one_was_given() {
    let world = World::new().await;
    let mut events = world.handle.subscribe();
    let job = world.create(world.spec("orders")).await;
    world.handle.shutdown().await;
    assert_eq!(events.next().await.unwrap().unwrap().job, Some(job));
    assert!(events.next().await.is_none());
    assert!(world.handle.subscribe().next().await.is_none());
}
