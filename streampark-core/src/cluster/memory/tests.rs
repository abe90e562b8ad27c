use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::cluster::suite::{self, MemoryStage};
use crate::cluster::{Capability, Cluster, Lookup, RunStatus, SavepointOptions, Stop, Submission};
use crate::job::{Failure, JobId, Launch, RunKey, RunRef};
use crate::{ErrorKind, ErrorStatus, TokioClock};

fn cluster(checkpoints: Option<Duration>) -> MemoryCluster {
    let start = Timestamp::from_second(1_700_000_000).unwrap();
    MemoryCluster::with_options(MemoryOptions {
        checkpoint_interval: checkpoints,
        clock: Arc::new(TokioClock::starting_at(start)),
        ..MemoryOptions::default()
    })
}

fn submission(generation: u64) -> Submission {
    Submission::new(RunRef::new(RunKey::new(JobId::from_u128(1), generation)), "orders", Launch::default())
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_by_looking_and_a_second_submission_changes_nothing() {
    let cluster = cluster(None);
    cluster.inject(Call::Submit, Fault::AnswerLost(Duration::ZERO), 1);
    let submission = submission(1);
    let error = cluster.submit(&submission).await.unwrap_err();
    assert_eq!(error.status(), ErrorStatus::Unknown);
    assert!(matches!(cluster.lookup(&submission.run).await.unwrap(), Lookup::Found(_)));
    assert!(cluster.submit(&submission).await.unwrap().already_there);
    assert_eq!(cluster.log().0.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_request_meets_the_fence() {
    let cluster = cluster(None);
    cluster.inject(Call::Submit, Fault::ArrivesLate(Duration::ZERO, Duration::from_secs(30)), 1);
    let submission = submission(1);
    cluster.submit(&submission).await.unwrap_err();
    assert_eq!(cluster.lookup(&submission.run).await.unwrap(), Lookup::NeverArrived);
    cluster.submit(&submission).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.log().0.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn tasks_outlive_a_crashed_job_manager_and_the_log_sees_two_copies() {
    let cluster = cluster(None);
    cluster.submit(&submission(1)).await.unwrap();
    cluster.crash_job_manager();
    assert!(cluster.observe().await.unwrap().is_empty());
    tokio::time::sleep(Duration::from_secs(59)).await;
    cluster.submit(&submission(2)).await.unwrap();
    assert_eq!(cluster.log().most_at_once(JobId::from_u128(1)), 2);
}

#[tokio::test(start_paused = true)]
async fn checkpoints_complete_by_time_and_only_the_newest_is_kept() {
    let cluster = cluster(Some(Duration::from_secs(10)));
    let submission = submission(1);
    cluster.submit(&submission).await.unwrap();
    tokio::time::sleep(Duration::from_secs(35)).await;
    let first = cluster.restore_points(&submission.run).await.unwrap();
    assert_eq!(first.iter().map(|point| point.checkpoint_id).collect::<Vec<_>>(), [Some(3)]);
    tokio::time::sleep(Duration::from_secs(10)).await;
    cluster.fail(submission.run.flink_job, Failure::new("boom")).unwrap();
    let second = cluster.restore_points(&submission.run).await.unwrap();
    assert_eq!(second[0].checkpoint_id, Some(4));
    assert!(!cluster.delete_restore_point(&first[0].path));
    assert_eq!(cluster.failure(&submission.run).await.unwrap().unwrap().message, "boom");
}

#[tokio::test(start_paused = true)]
async fn a_stop_with_the_same_trigger_gives_the_same_savepoint() {
    let cluster = cluster(None);
    let submission = submission(1);
    cluster.submit(&submission).await.unwrap();
    let options = SavepointOptions { trigger_id: Some(submission.run.flink_job), ..SavepointOptions::default() };
    cluster.inject(Call::Stop, Fault::AnswerLost(Duration::ZERO), 1);
    cluster.stop(&submission.run, Stop::Savepoint, &options).await.unwrap_err();
    let stopped = cluster.stop(&submission.run, Stop::Savepoint, &options).await.unwrap();
    assert_eq!(stopped.savepoint.unwrap().run, Some(submission.run.key));
    let seen = cluster.observe().await.unwrap();
    assert_eq!(seen[0].status, RunStatus::Finished);
}

#[tokio::test(start_paused = true)]
async fn a_missing_restore_point_is_refused() {
    let cluster = cluster(None);
    let mut submission = submission(1);
    submission.restore = Some(crate::job::RestorePoint::new(
        crate::job::RestoreKind::Savepoint,
        "memory:///none",
        Timestamp::UNIX_EPOCH,
    ));
    assert_eq!(cluster.submit(&submission).await.unwrap_err().kind(), ErrorKind::Program);
    assert!(cluster.log().0.is_empty());
}

#[tokio::test(start_paused = true)]
async fn it_keeps_the_contract_of_clusters() {
    suite::run_all(&MemoryStage::new()).await;
}

#[tokio::test(start_paused = true)]
async fn it_refuses_what_it_is_said_to_lack() {
    let capability = Capability { session: true, fenced_submit: true, ..Capability::default() };
    suite::run_all(&MemoryStage::with_capability(capability)).await;
}
