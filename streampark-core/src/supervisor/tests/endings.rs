use super::*;

#[tokio::test(start_paused = true)]
async fn a_program_that_comes_to_its_end_is_finished() {
    let world = World::new().await;
    let job = world.running(world.spec("batch")).await;
    world.engine.finish(world.live(job)).unwrap();
    world.wait(job, JobState::Finished).await;
    world.pass(600).await;
    assert_eq!(world.copies(job), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_by_somebody_else_is_kept_to() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    let run = world.runs(job).await[0].run.clone();
    let how = crate::cluster::Stop::Cancel;
    world.engine.stop(&run, how, &crate::cluster::SavepointOptions::default()).await.unwrap();
    world.wait(job, JobState::Canceled).await;
    let view = world.handle.job(job).unwrap();
    assert_eq!(view.job.desired, Desired::Cancelled);
    assert_eq!(view.job.reason.as_deref(), Some("it was cancelled by somebody else"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_it_is_suspended_brings_it_back_first() {
    let world = World::with(|options| options.latency = Duration::from_secs(1)).await;
    let job = world.running(world.spec("orders")).await;
    world.engine.break_down(Some(Call::Stop), Fault::ServerError);
    world.suspend(job).await.unwrap();
    world.pass(2).await;
    world.fail(job);
    world.wait_generation(job, 2).await;
    assert_eq!(world.handle.job(job).unwrap().job.desired, Desired::Running);
    assert_eq!(world.copies(job), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_it_is_cancelled_ends_it() {
    let world = World::with(|options| options.latency = Duration::from_secs(1)).await;
    let job = world.running(world.spec("orders")).await;
    world.engine.break_down(Some(Call::Stop), Fault::ServerError);
    world.cancel(job).await.unwrap();
    world.pass(2).await;
    world.fail(job);
    world.wait(job, JobState::Canceled).await;
    world.pass(600).await;
    assert_eq!(world.copies(job), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cause_that_cannot_be_learnt_delays_the_news_for_a_bounded_time() {
    let world = World::new().await;
    let job = world.running(world.spec("orders")).await;
    world.engine.break_down(Some(Call::Failure), Fault::Hang(Duration::from_secs(60)));
    let failed_at = world.clock.now();
    world.fail(job);
    world.wait_generation(job, 2).await;
    let run = &world.runs(job).await[1];
    let late = run.ended_at.unwrap().duration_since(failed_at).as_secs();
    assert!(late <= 6, "{late} s");
    assert_eq!(run.failure.as_ref().unwrap().message, "the cluster says FAILED and tells no reason");
}

#[tokio::test(start_paused = true)]
async fn events_are_followed_and_a_slow_follower_is_told() {
    let world = World::new().await;
    let mut events = world.handle.subscribe();
    let job = world.running(world.spec("orders")).await;
    let mut kinds = Vec::new();
    while kinds.len() < 6 {
        kinds.push(events.next().await.unwrap().unwrap().kind);
    }
    assert_eq!(kinds[0], EventKind::JobCreated);
    assert!(kinds.contains(&EventKind::SubmissionIntended) && kinds.contains(&EventKind::SubmissionAccepted));
    for _ in 0..9_000 {
        world.handle.shared().publish(&[crate::Event::new(EventKind::JobChanged, "ann", world.clock.now(), "x")]);
    }
    let lagged = events.next().await.unwrap().unwrap_err();
    assert_eq!(lagged.kind(), ErrorKind::Exhausted);
    let missed = lagged.context().iter().find(|(key, _)| *key == "missed").unwrap().1.parse::<u64>().unwrap();
    assert!(missed >= 800, "{missed}");
    assert_eq!(world.state(job), JobState::Running);
}
