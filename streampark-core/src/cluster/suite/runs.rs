//! Starting, seeing, ending.

use std::time::Duration;

use super::{Behaviour, Stage, Subject};
use crate::cluster::{LogKind, LogOptions, Lookup, RunStatus, SavepointOptions};
use crate::job::{RunKey, RunRef};
use crate::{ErrorKind, ErrorStatus};

/// A run is listed under its JobID and name, is found, runs, and is cancelled; ending it again is no error.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn a_run_is_seen_from_start_to_end(stage: &dyn Stage) {
    let mut subject = Subject::new(stage, Behaviour::Endless);
    let accepted = subject.submit().await;
    assert_eq!(accepted.flink_job, subject.run.flink_job, "the JobID is ours");
    assert!(!accepted.already_there);
    let seen = subject.wait_for(RunStatus::Running).await;
    assert_eq!(seen.name, subject.submission().name);
    assert!(seen.started_at.is_some() && seen.ended_at.is_none(), "{seen:#?}");
    match subject.cluster().lookup(&subject.run).await.expect("lookup") {
        Lookup::Found(found) => assert!(!found.status.is_terminal(), "{found:#?}"),
        other => panic!("a live run is found: {other:?}"),
    }
    assert_eq!(subject.cluster().failure(&subject.run).await.expect("failure"), None);
    subject.cancel().await;
    let seen = subject.seen().await.expect("an ended run stays in the list");
    assert!(seen.status == RunStatus::Canceled && seen.ended_at.is_some(), "{seen:#?}");
    for how in subject.stops() {
        let again = subject.cluster().stop(&subject.run, how, &SavepointOptions::default()).await;
        let again = again.expect("a run that is over is ended");
        assert!(again.savepoint.is_none() && again.complete, "{again:?}");
    }
    assert_eq!(subject.cluster().failure(&subject.run).await.expect("failure"), None);
}

/// A submission sent twice, also at the same time, also after the end of the run, starts one run.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn a_run_sent_twice_starts_once(stage: &dyn Stage) {
    let mut subject = Subject::new(stage, Behaviour::Endless);
    subject.run.deployment = subject.cluster().reserve(&subject.run.key).await.expect("reserve");
    let submission = subject.submission();
    let (cluster, mut taken) = (subject.cluster(), 0);
    let (first, second) = tokio::join!(cluster.submit(&submission), cluster.submit(&submission));
    for accepted in [first.expect("submit"), second.expect("submit at the same time")] {
        taken += usize::from(!accepted.already_there);
        subject.run.deployment = accepted.deployment.or(subject.run.deployment.take());
    }
    assert_eq!(taken, 1, "one of the two was taken");
    subject.wait_for(RunStatus::Running).await;
    assert!(cluster.submit(&submission).await.expect("submit again").already_there);
    subject.work(Duration::from_secs(1)).await;
    subject.cancel().await;
    if subject.capability().fenced_submit {
        assert!(cluster.submit(&submission).await.expect("submit after the end").already_there);
        assert_eq!(subject.seen().await.expect("seen").status, RunStatus::Canceled, "nothing was started");
    }
    subject.assert_nothing_lost();
}

/// A run that was never sent is not listed and never arrived; it has no failure and no restore
/// points, cannot be ended, and nothing of it is to be released.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn what_never_arrived_is_told(stage: &dyn Stage) {
    let subject = Subject::new(stage, Behaviour::Endless);
    let (cluster, run) = (subject.cluster(), &subject.run);
    assert_eq!(subject.seen().await, None);
    assert_eq!(cluster.lookup(run).await.expect("lookup"), Lookup::NeverArrived);
    assert_eq!(cluster.failure(run).await.expect("failure"), None);
    assert_eq!(cluster.restore_points(run).await.expect("restore points"), []);
    for how in subject.stops() {
        let error = cluster.stop(run, how, &SavepointOptions::default()).await.expect_err("nothing to stop");
        assert_eq!((error.kind(), error.status()), (ErrorKind::NotFound, ErrorStatus::Permanent), "{error}");
    }
    cluster.release(run).await.expect("release");
}

/// A run that fails is listed as failed and tells its root cause first.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn a_failure_tells_its_root(stage: &dyn Stage) {
    let message = "the sink is full (conformance)";
    let mut subject = Subject::new(stage, Behaviour::FailsWith(message.to_owned()));
    subject.submit().await;
    let seen = subject.wait_for(RunStatus::Failed).await;
    assert!(seen.ended_at.is_some(), "{seen:#?}");
    let failure = subject.cluster().failure(&subject.run).await.expect("failure").expect("a failure has a reason");
    assert!(failure.message.contains(message), "the root cause comes first: {failure:#?}");
    if subject.capability().restore {
        let points = subject.cluster().restore_points(&subject.run).await.expect("restore points");
        assert!(!points.is_empty(), "checkpoints outlive a failure");
    }
    subject.cluster().release(&subject.run).await.expect("release");
}

/// A run that ends by itself is finished, and has no failure.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn a_run_that_ends_by_itself_is_finished(stage: &dyn Stage) {
    let mut subject = Subject::new(stage, Behaviour::Finite);
    subject.submit().await;
    subject.wait_for(RunStatus::Finished).await;
    assert_eq!(subject.cluster().failure(&subject.run).await.expect("failure"), None);
    match subject.cluster().lookup(&subject.run).await.expect("lookup") {
        Lookup::Found(found) => assert_eq!(found.status, RunStatus::Finished),
        other => panic!("an ended run is found: {other:?}"),
    }
}

/// A program whose `main` throws is refused for good with its own message, on clusters that run it
/// while they take the submission; elsewhere the run fails. No run is left.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn a_program_that_cannot_start_is_refused(stage: &dyn Stage) {
    let message = "no broker answers (conformance)";
    let mut subject = Subject::new(stage, Behaviour::CannotStart(message.to_owned()));
    if !subject.capability().session {
        subject.submit().await;
        subject.wait_for(RunStatus::Failed).await;
        let failure = subject.cluster().failure(&subject.run).await.expect("failure").expect("a reason");
        assert!(failure.message.contains(message), "{failure:#?}");
        return;
    }
    let submission = subject.submission();
    stage.drive(&subject.run, &subject.behaviour).await;
    let error = subject.cluster().submit(&submission).await.expect_err("main throws");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Program, ErrorStatus::Permanent), "{error}");
    assert!(error.message().contains(message), "{error}");
    assert!(!error.to_string().contains("\tat "), "no Java stack: {error}");
    let found = subject.cluster().lookup(&subject.run).await.expect("lookup");
    assert!(!matches!(&found, Lookup::Found(seen) if !seen.status.is_terminal()), "{found:?}");
}

/// Logs are given where the cluster says so, and not more than was asked; releasing an ended run
/// twice is no error and does not end anything else.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn logs_and_release_are_harmless(stage: &dyn Stage) {
    let mut subject = Subject::new(stage, Behaviour::Endless);
    subject.submit().await;
    subject.wait_for(RunStatus::Running).await;
    if subject.capability().logs {
        for kind in [LogKind::JobManager, LogKind::TaskManager(None)] {
            let options = LogOptions { kind, tail_bytes: Some(2_000) };
            let log = subject.cluster().logs(&subject.run, &options).await.expect("logs");
            let text = log.read_to_string(100_000).await.expect("read");
            assert!(!text.is_empty(), "{options:?}");
            let all = LogOptions { tail_bytes: None, ..options };
            let log = subject.cluster().logs(&subject.run, &all).await.expect("logs");
            assert!(log.read_to_string(64 << 20).await.expect("read").len() >= text.len());
        }
    }
    let stranger = RunRef::new(RunKey::new(subject.run.key.job, 99));
    subject.cluster().release(&stranger).await.expect("release of nothing");
    assert_eq!(subject.seen().await.expect("seen").status, RunStatus::Running);
    subject.cancel().await;
    subject.cluster().release(&subject.run).await.expect("release");
    subject.cluster().release(&subject.run).await.expect("release again");
}
