//! Savepoints, checkpoints, and starting from them.

use std::time::Duration;

use jiff::Timestamp;

use super::{Behaviour, Stage, Subject, named};
use crate::cluster::{RunStatus, SavepointOptions, Stop};
use crate::job::{RestoreKind, RestorePoint, Verification};
use crate::{ErrorKind, ErrorStatus};

/// A savepoint that is asked for twice under one name is made once; it is found among the restore points.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn a_savepoint_asked_twice_is_one(stage: &dyn Stage) {
    let mut subject = Subject::new(stage, Behaviour::Endless);
    if !subject.capability().savepoint {
        let error = subject.cluster().savepoint(&subject.run, &SavepointOptions::default()).await;
        assert_eq!(error.expect_err("no savepoints").kind(), ErrorKind::Unsupported);
        return;
    }
    subject.submit().await;
    subject.wait_for(RunStatus::Running).await;
    let options = named(&subject.run, "savepoint");
    let first = subject.cluster().savepoint(&subject.run, &options).await.expect("savepoint");
    let second = subject.cluster().savepoint(&subject.run, &options).await.expect("savepoint, asked again");
    assert_eq!(first.path, second.path);
    assert_eq!((first.kind, first.run), (RestoreKind::Savepoint, Some(subject.run.key)));
    verified(&subject, &first).await;
    let other = subject.cluster().savepoint(&subject.run, &named(&subject.run, "another")).await.expect("savepoint");
    assert_ne!(other.path, first.path);
    let points = subject.cluster().restore_points(&subject.run).await.expect("restore points");
    let savepoints: Vec<_> = points.iter().filter(|point| point.kind == RestoreKind::Savepoint).collect();
    assert!(savepoints.iter().any(|point| point.path == other.path), "{points:#?}");
    assert!(savepoints.len() <= 2, "asked twice, made once: {points:#?}");
    subject.cancel().await;
}

/// A run stopped with a savepoint is finished; asked again under the same name, the cluster gives
/// the same savepoint; the next run goes on from it without losing an element of state.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn a_stop_with_savepoint_loses_nothing(stage: &dyn Stage) {
    let mut subject = Subject::new(stage, Behaviour::Endless);
    if !subject.capability().stop_with_savepoint {
        let error = subject.cluster().stop(&subject.run, Stop::Savepoint, &SavepointOptions::default()).await;
        assert_eq!(error.expect_err("no stop with a savepoint").kind(), ErrorKind::Unsupported);
        return;
    }
    let savepoint = stopped(&mut subject, Stop::Savepoint).await;
    subject.submit_next(savepoint).await;
    subject.wait_for(RunStatus::Running).await;
    subject.work(Duration::from_secs(1)).await;
    subject.cancel().await;
    subject.assert_nothing_lost();
}

/// A drained run is finished and left a savepoint.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn a_drained_run_ends_with_a_savepoint(stage: &dyn Stage) {
    let mut subject = Subject::new(stage, Behaviour::Endless);
    if !subject.capability().drain {
        let error = subject.cluster().stop(&subject.run, Stop::Drain, &SavepointOptions::default()).await;
        assert_eq!(error.expect_err("no drain").kind(), ErrorKind::Unsupported);
        return;
    }
    stopped(&mut subject, Stop::Drain).await;
    subject.assert_nothing_lost();
}

async fn stopped(subject: &mut Subject<'_>, how: Stop) -> RestorePoint {
    subject.submit().await;
    subject.wait_for(RunStatus::Running).await;
    subject.work(Duration::from_secs(1)).await;
    let options = named(&subject.run, "stop");
    let stopped = subject.cluster().stop(&subject.run, how, &options).await.expect("stop");
    let savepoint = stopped.savepoint.expect("a savepoint");
    subject.wait_for(RunStatus::Finished).await;
    let again = subject.cluster().stop(&subject.run, how, &options).await.expect("stop again");
    assert_eq!(again.savepoint.map(|point| point.path).as_ref(), Some(&savepoint.path));
    verified(subject, &savepoint).await;
    savepoint
}

/// A run that was cancelled leaves its newest checkpoint; the next run goes on from it without losing
/// an element of state.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn a_retained_checkpoint_is_restored(stage: &dyn Stage) {
    let mut subject = Subject::new(stage, Behaviour::Endless);
    if !subject.capability().restore {
        return;
    }
    subject.submit().await;
    subject.wait_for(RunStatus::Running).await;
    let early = subject.wait_for_point().await;
    assert_eq!((early.kind, early.flink_job), (RestoreKind::Checkpoint, Some(subject.run.flink_job)));
    subject.work(Duration::from_secs(2)).await;
    subject.cancel().await;
    let points = subject.cluster().restore_points(&subject.run).await.expect("restore points");
    let newest = points.first().expect("the newest checkpoint is retained").clone();
    assert!(newest.checkpoint_id > early.checkpoint_id, "{early:?} is older than the end: {points:#?}");
    assert!(points.is_sorted_by_key(|point| std::cmp::Reverse(point.completed_at)), "newest first: {points:#?}");
    for point in &points {
        verified(&subject, point).await;
    }
    subject.submit_next(newest).await;
    subject.wait_for(RunStatus::Running).await;
    subject.work(Duration::from_secs(1)).await;
    subject.cancel().await;
    subject.assert_nothing_lost();
}

/// What was asked a moment ago is not given again once there is a newer checkpoint; and it is soon told to be the
/// newest.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn restore_points_are_not_older_than_the_call(stage: &dyn Stage) {
    let mut subject = Subject::new(stage, Behaviour::Endless);
    if !subject.capability().restore {
        return;
    }
    subject.submit().await;
    subject.wait_for(RunStatus::Running).await;
    let mut last = subject.wait_for_point().await.checkpoint_id;
    for _ in 0..2 {
        subject.work(Duration::from_millis(1_500)).await;
        let points = subject.cluster().restore_points(&subject.run).await.expect("restore points");
        let newest = points.iter().filter_map(|point| point.checkpoint_id).max();
        assert!(newest > last, "a checkpoint newer than {last:?} was completed: {points:#?}");
        last = newest;
        subject.wait_for_newest(newest).await;
    }
    subject.cancel().await;
}

/// A restore point that does not exist is refused for good, or fails the run; nothing runs without
/// its state.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn a_missing_restore_point_is_refused(stage: &dyn Stage) {
    let subject = Subject::new(stage, Behaviour::Endless);
    let missing = RestorePoint::new(RestoreKind::Savepoint, stage.missing_savepoint(), Timestamp::UNIX_EPOCH);
    let verification = subject.cluster().verify(&missing).await.expect("verify");
    let expected = match subject.capability().verify_restore_points {
        true => Verification::Missing,
        false => Verification::Unchecked,
    };
    assert_eq!(verification, expected);
    let mut submission = subject.submission();
    submission.restore = Some(missing);
    if !subject.capability().restore {
        let error = subject.cluster().submit(&submission).await.expect_err("no restore");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        return;
    }
    match subject.cluster().submit(&submission).await {
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Program), "{error}");
            assert_eq!(error.status(), ErrorStatus::Permanent, "{error}");
            assert!(error.message().contains(&stage.missing_savepoint()), "{error}");
        }
        Ok(_) => drop(subject.wait_for(RunStatus::Failed).await),
    }
    let live = subject.seen().await.filter(|seen| !seen.status.is_terminal());
    assert_eq!(live, None, "nothing runs without its state");
}

async fn verified(subject: &Subject<'_>, point: &RestorePoint) {
    let verification = subject.cluster().verify(point).await.expect("verify");
    if subject.capability().verify_restore_points {
        assert_eq!(verification, Verification::Present, "{point:?}");
    } else {
        assert_ne!(verification, Verification::Missing, "{point:?}");
    }
}
