//! What every cluster must do, as functions that anyone can run on their own (feature `conformance`).
//!
//! Each function takes a [`Stage`], the cluster with programs that run on it, uses a new job and
//! panics where the cluster breaks its contract; it leaves nothing running. What a cluster cannot do
//! by its [`Capability`] it must refuse. [`run_all`] runs them all:
//!
//! ```no_run
//! # use streampark_core::cluster::suite::{self, MemoryStage};
//! # async fn example() {
//! suite::run_all(&MemoryStage::new()).await;
//! # }
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::{Accepted, Capability, Cluster, Observation, RunStatus, SavepointOptions, Stop, Submission};
use crate::flink::FlinkJobId;
use crate::job::{JobId, RestorePoint, RunKey, RunRef};

mod memory;
mod plans;
mod runs;
mod state;

pub use memory::MemoryStage;
pub use plans::{a_plan_changes_nothing_and_shows_no_secret, what_cannot_run_is_refused_before_it_is_sent};
pub use runs::{
    a_failure_tells_its_root, a_program_that_cannot_start_is_refused, a_run_is_seen_from_start_to_end,
    a_run_sent_twice_starts_once, a_run_that_ends_by_itself_is_finished, logs_and_release_are_harmless,
    what_never_arrived_is_told,
};
pub use state::{
    a_drained_run_ends_with_a_savepoint, a_missing_restore_point_is_refused, a_retained_checkpoint_is_restored,
    a_savepoint_asked_twice_is_one, a_stop_with_savepoint_loses_nothing, restore_points_are_not_older_than_the_call,
};

/// What a check asks of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behaviour {
    /// Counts for ever, completes a checkpoint at least twice a second and retains it when cancelled.
    Endless,
    /// As `Endless`, and fails after at least one checkpoint with a root cause of this message.
    FailsWith(String),
    /// Ends by itself within some seconds.
    Finite,
    /// Cannot be started: its `main` throws this message before any job is submitted.
    CannotStart(String),
}

/// A cluster with programs that run on it.
#[async_trait]
pub trait Stage: Send + Sync {
    /// The cluster.
    fn cluster(&self) -> &dyn Cluster;

    /// A submission of a program that behaves so. The runs of one job write to one place, by which
    /// [`assert_nothing_lost`](Self::assert_nothing_lost) judges them.
    fn submission(&self, run: RunRef, behaviour: Behaviour) -> Submission;

    /// Called again and again while a check waits: a simulated engine makes the program do its part here.
    async fn drive(&self, run: &RunRef, behaviour: &Behaviour) {
        let _by_itself = (run, behaviour);
    }

    /// Panics where the runs of `job` did not do as one program does: an element of its state was lost or
    /// counted twice, or two of them ran at once.
    fn assert_nothing_lost(&self, job: JobId);

    /// Whether the runs of `job` have left a trace by which
    /// [`assert_nothing_lost`](Self::assert_nothing_lost) can judge: awaited before a run is ended. Default true.
    fn has_worked(&self, job: JobId) -> bool {
        let _by_itself = job;
        true
    }

    /// A place for savepoints that does not exist in any form.
    fn missing_savepoint(&self) -> String;

    /// How long a step may take. Default 60 s.
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }
}

/// Runs every function of the suite, a few at a time: six free slots are enough.
///
/// # Panics
/// Where the cluster breaks its contract.
pub async fn run_all(stage: &dyn Stage) {
    tokio::join!(
        a_run_is_seen_from_start_to_end(stage),
        a_run_sent_twice_starts_once(stage),
        what_never_arrived_is_told(stage),
        a_failure_tells_its_root(stage),
        a_run_that_ends_by_itself_is_finished(stage),
        a_plan_changes_nothing_and_shows_no_secret(stage),
        what_cannot_run_is_refused_before_it_is_sent(stage),
    );
    tokio::join!(
        a_program_that_cannot_start_is_refused(stage),
        a_savepoint_asked_twice_is_one(stage),
        a_stop_with_savepoint_loses_nothing(stage),
        a_drained_run_ends_with_a_savepoint(stage),
        a_missing_restore_point_is_refused(stage),
        logs_and_release_are_harmless(stage),
    );
    tokio::join!(a_retained_checkpoint_is_restored(stage), restore_points_are_not_older_than_the_call(stage));
}

/// One job of a check and its runs.
struct Subject<'a> {
    stage: &'a dyn Stage,
    behaviour: Behaviour,
    run: RunRef,
}

impl<'a> Subject<'a> {
    fn new(stage: &'a dyn Stage, behaviour: Behaviour) -> Self {
        Self { stage, behaviour, run: RunRef::new(RunKey::new(JobId::generate(), 1)) }
    }

    fn cluster(&self) -> &'a dyn Cluster {
        self.stage.cluster()
    }

    fn capability(&self) -> Capability {
        self.cluster().capability()
    }

    fn submission(&self) -> Submission {
        self.stage.submission(self.run.clone(), self.behaviour.clone())
    }

    async fn submit(&mut self) -> Accepted {
        self.submit_from(None).await
    }

    async fn submit_from(&mut self, restore: Option<RestorePoint>) -> Accepted {
        self.run.deployment = self.cluster().reserve(&self.run.key).await.expect("reserve");
        let mut submission = self.submission();
        submission.restore = restore;
        let accepted = self.cluster().submit(&submission).await.expect("submit");
        self.run.deployment = accepted.deployment.clone().or(self.run.deployment.take());
        accepted
    }

    /// The next run of the same job.
    async fn submit_next(&mut self, restore: RestorePoint) -> Accepted {
        let key = RunKey::new(self.run.key.job, self.run.key.generation + 1);
        self.run = RunRef::new(key);
        self.submit_from(Some(restore)).await
    }

    async fn seen(&self) -> Option<Observation> {
        let deadline = tokio::time::Instant::now() + self.stage.patience();
        let all = loop {
            match self.cluster().observe().await {
                Err(error) if error.is_retryable() && tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                answer => break answer.expect("observe"),
            }
        };
        let mine: Vec<_> = all.into_iter().filter(|seen| self.is_mine(seen)).collect();
        assert!(mine.len() <= 1, "a run is listed once: {mine:#?}");
        mine.into_iter().next()
    }

    fn is_mine(&self, seen: &Observation) -> bool {
        seen.flink_job == Some(self.run.flink_job)
            || (seen.deployment.is_some() && seen.deployment == self.run.deployment)
            || seen.key == Some(self.run.key)
    }

    async fn wait_for(&self, wanted: RunStatus) -> Observation {
        let deadline = tokio::time::Instant::now() + self.stage.patience();
        loop {
            self.stage.drive(&self.run, &self.behaviour).await;
            let seen = self.seen().await;
            if let Some(seen) = &seen {
                // Flink calls a job RUNNING while its tasks are still being deployed.
                let at_work = seen.tasks.is_none_or(|(running, all)| running == all);
                if seen.status == wanted && (at_work || wanted != RunStatus::Running) {
                    return seen.clone();
                }
                assert!(!seen.status.is_terminal(), "{wanted:?} was waited for: {seen:#?}");
            }
            assert!(tokio::time::Instant::now() < deadline, "not {wanted:?} in time: {seen:#?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until the run has a restore point.
    async fn wait_for_point(&self) -> RestorePoint {
        let deadline = tokio::time::Instant::now() + self.stage.patience();
        loop {
            self.stage.drive(&self.run, &self.behaviour).await;
            let points = self.cluster().restore_points(&self.run).await.expect("restore points");
            if let Some(newest) = points.into_iter().next() {
                return newest;
            }
            assert!(tokio::time::Instant::now() < deadline, "no restore point in time");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until the run's newest restore point is told to be this checkpoint, or a newer one.
    async fn wait_for_newest(&self, checkpoint: Option<u64>) {
        let deadline = tokio::time::Instant::now() + self.stage.patience();
        loop {
            self.stage.drive(&self.run, &self.behaviour).await;
            let told = self.cluster().newest_restore_point(&self.run).await.expect("the newest restore point");
            if let Some(told) = &told {
                assert_eq!((told.run, told.flink_job), (Some(self.run.key), Some(self.run.flink_job)), "{told:?}");
                if told.checkpoint_id >= checkpoint {
                    return;
                }
            }
            assert!(tokio::time::Instant::now() < deadline, "not {checkpoint:?} in time: {told:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Lets the program work a little, from the moment on at which it does.
    async fn work(&self, time: Duration) {
        let deadline = tokio::time::Instant::now() + self.stage.patience();
        while !self.stage.has_worked(self.run.key.job) {
            assert!(tokio::time::Instant::now() < deadline, "the program did nothing in time");
            self.stage.drive(&self.run, &self.behaviour).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let end = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < end {
            self.stage.drive(&self.run, &self.behaviour).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn cancel(&self) {
        let stopped = self.cluster().stop(&self.run, Stop::Cancel, &SavepointOptions::default()).await;
        assert_eq!(stopped.expect("cancel").savepoint, None);
        self.wait_for(RunStatus::Canceled).await;
    }

    /// The ways to end a run that the cluster has.
    fn stops(&self) -> impl Iterator<Item = Stop> {
        let with_savepoint = self.capability().stop_with_savepoint;
        [Stop::Cancel, Stop::Savepoint].into_iter().filter(move |how| *how == Stop::Cancel || with_savepoint)
    }

    fn assert_nothing_lost(&self) {
        self.stage.assert_nothing_lost(self.run.key.job);
    }
}

/// Options that name the request, so that it may be repeated.
fn named(run: &RunRef, purpose: &str) -> SavepointOptions {
    let hash = Sha256::digest(format!("{}/{purpose}", run.key));
    SavepointOptions { trigger_id: Some(FlinkJobId::from_hash(&hash)), ..SavepointOptions::default() }
}
