use super::*;

#[tokio::test(start_paused = true)]
async fn an_intent_is_kept_before_anything_is_sent_and_the_identity_is_derived() {
    let world = World::new().await;
    let job = world.create(world.spec("orders")).await;
    world.engine.break_down(Some(Call::Submit), Fault::Hang(Duration::from_secs(5)));
    world.start(job).await;
    world.pass(1).await;
    let run = &world.runs(job).await[0];
    assert_eq!(run.run.flink_job, run.run.key.flink_job_id());
    assert_eq!(run.phase, crate::store::RunPhase::Intended);
    assert_eq!(world.copies(job), 0);
    world.engine.heal();
    world.wait(job, JobState::Running).await;
    assert_eq!(world.copies(job), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_comes_back_from_its_newest_checkpoint_and_people_hear_once() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    world.fail(job);
    let newest = world.newest(job).await;
    world.wait_generation(job, 2).await;
    let runs = world.runs(job).await;
    assert_eq!(runs[0].restored_from.as_ref().unwrap().path, newest.path);
    assert_eq!(runs[1].outcome, Some(JobState::Failed));
    assert_eq!(runs[1].failure.as_ref().unwrap().message, "boom");
    world.pass(30).await;
    assert_eq!(world.told().await, [AlertKind::JobFailed, AlertKind::JobRecovered]);
    assert_eq!(world.copies(job), 2);
    let alert = &world.store.pending("people", 1).await.unwrap()[0].alert;
    assert_eq!(alert.title, "orders: java.io.IOException: boom");
    assert_eq!(alert.action.as_deref(), Some("started again at once, from its newest restore point"));
    assert_eq!(alert.cluster.as_deref(), Some("dev"));
}

#[tokio::test(start_paused = true)]
async fn a_job_without_checkpoints_starts_again_as_it_started() {
    let world = World::with(|options| options.checkpoint_interval = None).await;
    let job = world.running(world.spec("stateless")).await;
    world.fail(job);
    world.wait_generation(job, 2).await;
    assert_eq!(world.runs(job).await[0].restored_from, None);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_state_is_gone_is_parked_and_goes_on_when_a_person_says_where() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    let flink_job = world.live(job);
    world.pass(120).await;
    for point in world.engine.restore_points(&world.runs(job).await[0].run).await.unwrap() {
        world.engine.delete_restore_point(&point.path);
    }
    world.engine.fail(flink_job, Failure::new("boom")).unwrap();
    world.wait(job, JobState::Parked).await;
    let view = world.handle.job(job).unwrap();
    assert_eq!(
        view.job.reason.as_deref(),
        Some("the job has state and no usable restore point exists; start it from a path, or without state")
    );
    world.pass(3_600).await;
    assert_eq!(world.copies(job), 1, "it never starts empty by itself");
    world.start_from(job, StartFrom::Empty).await.unwrap();
    world.wait_generation(job, 2).await;
    assert_eq!(world.runs(job).await[0].restored_from, None);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_may_lose_its_state_starts_empty_where_its_owner_said_so() {
    let world = World::new().await;
    let mut spec = world.spec("cache");
    spec.restore.state = StateNeed::None;
    let job = world.running(spec).await;
    for point in world.engine.restore_points(&world.runs(job).await[0].run).await.unwrap() {
        world.engine.delete_restore_point(&point.path);
    }
    world.fail(job);
    world.wait_generation(job, 2).await;
    assert_eq!(world.runs(job).await[0].restored_from, None);
}

#[tokio::test(start_paused = true)]
async fn an_older_restore_point_than_allowed_parks_the_job() {
    let world = World::with(|options| options.checkpoint_interval = None).await;
    let mut spec = world.spec("orders");
    spec.restore.max_age = Some(Duration::from_secs(60));
    let job = world.running(spec).await;
    world.engine.complete_checkpoint(world.live(job)).unwrap();
    world.pass(120).await;
    world.fail(job);
    world.wait(job, JobState::Parked).await;
    assert!(world.handle.job(job).unwrap().job.reason.unwrap().contains("older than 60 s (restore.max_age)"));
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_waits_longer_each_time_and_is_parked() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    let mut seen = 1;
    for _ in 0..2_000 {
        let view = world.handle.job(job).unwrap();
        if view.job.state == JobState::Parked {
            break;
        }
        if view.job.state == JobState::Running && view.job.generation == seen {
            world.fail(job);
            seen += 1;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(world.state(job), JobState::Parked);
    assert_eq!(world.copies(job), 6);
    let starts: Vec<_> = world.engine.log().of(job).map(|copy| copy.started_at).collect();
    let gaps: Vec<_> = starts.windows(2).skip(1).map(|pair| pair[1].duration_since(pair[0]).as_secs()).collect();
    assert!(gaps.windows(2).all(|pair| pair[0] < pair[1]), "{gaps:?}");
    assert_eq!(world.told().await, [AlertKind::JobFailed, AlertKind::CrashLoop]);
    assert!(world.handle.job(job).unwrap().job.reason.unwrap().contains("it failed 6 times in 10 min"));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_stays_healthy_starts_the_count_anew() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    world.fail(job);
    world.wait_generation(job, 2).await;
    assert_eq!(world.handle.job(job).unwrap().job.restarts.consecutive, 1);
    world.pass(700).await;
    assert_eq!(world.handle.job(job).unwrap().job.restarts.consecutive, 0);
}

#[tokio::test(start_paused = true)]
async fn policies_never_and_always() {
    let world = World::new().await;
    let mut never = world.spec("never");
    never.restart.mode = RestartMode::Never;
    let never = world.running(never).await;
    world.fail(never);
    world.wait(never, JobState::Failed).await;
    world.pass(600).await;
    assert_eq!(world.copies(never), 1);
    let mut always = world.spec("always");
    always.restart.mode = RestartMode::Always;
    let always = world.running(always).await;
    world.engine.finish(world.live(always)).unwrap();
    world.wait_generation(always, 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_running_that_would_repeat_is_not_repeated() {
    let world = World::with(|options| options.start_delay = Duration::from_secs(60)).await;
    let job = world.create(world.spec("orders")).await;
    world.start(job).await;
    world.wait(job, JobState::Starting).await;
    let failure = Failure::new("no such class").with_class_of(FailureClass::Fatal);
    world.engine.fail(world.live(job), failure).unwrap();
    world.wait(job, JobState::Failed).await;
    world.pass(600).await;
    assert_eq!(world.copies(job), 1);
}

#[tokio::test(start_paused = true)]
async fn flinks_own_restarts_are_told_when_they_go_on() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    for _ in 0..5 {
        world.engine.set_restarting(world.live(job), true).unwrap();
        world.wait(job, JobState::Restarting).await;
        world.engine.set_restarting(world.live(job), false).unwrap();
        world.wait(job, JobState::Running).await;
    }
    world.pass(1).await;
    assert_eq!(world.told().await, [AlertKind::JobUnhealthy]);
    assert_eq!(world.copies(job), 1);
    world.pass(400).await;
    assert_eq!(world.told().await, [AlertKind::JobUnhealthy, AlertKind::JobRecovered]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_completes_no_checkpoint_any_more_is_told() {
    let world = World::with(|options| options.checkpoint_interval = None).await;
    let job = world.running(world.spec("orders")).await;
    world.engine.complete_checkpoint(world.live(job)).unwrap();
    world.pass(1_700).await;
    assert_eq!(world.told().await, []);
    world.pass(400).await;
    assert_eq!(world.told().await, [AlertKind::JobUnhealthy]);
    world.engine.complete_checkpoint(world.live(job)).unwrap();
    world.pass(100).await;
    assert_eq!(world.told().await, [AlertKind::JobUnhealthy, AlertKind::JobRecovered]);
}

#[tokio::test(start_paused = true)]
async fn three_hundred_jobs_on_one_cluster_each_run_once() {
    let world = World::new().await;
    let mut jobs = Vec::new();
    for index in 0..300 {
        jobs.push(world.create(world.spec(&format!("j{index}"))).await);
    }
    for job in &jobs {
        world.start(*job).await;
    }
    for job in &jobs {
        world.wait(*job, JobState::Running).await;
        assert_eq!(world.copies(*job), 1);
    }
}
