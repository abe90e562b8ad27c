//! What a supervisor shows: jobs, clusters, events.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::machine::Knowledge;
use crate::job::{JobSpec, JobState};
use crate::store::{JobRecord, RunRecord};
use crate::{Error, Event, Result};

/// A job as the supervisor sees it now, from memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobView {
    /// What is wanted of it and where it stands.
    pub job: JobRecord,
    /// Its current spec.
    pub spec: Arc<JobSpec>,
    /// Its newest run.
    pub run: Option<RunRecord>,
    /// What is known of that run.
    pub knowledge: Knowledge,
}

impl JobView {
    /// Where the job stands.
    pub fn state(&self) -> &JobState {
        &self.job.state
    }
}

/// A cluster as the supervisor sees it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClusterView {
    /// Its name here.
    pub name: String,
    /// When it last answered.
    pub answered_at: Option<jiff::Timestamp>,
    /// Since when it counts as unreachable; None where it answers.
    pub unreachable_since: Option<jiff::Timestamp>,
    /// Why it has ended, where it is a session that has.
    pub ended: Option<String>,
    /// Why the last question failed.
    pub last_error: Option<String>,
    /// Live runs of ours that are watched there.
    pub watched: usize,
    /// Questions that began more than a quarter of an interval after their time.
    pub late_ticks: u64,
}

/// The committed events, as they come.
#[derive(Debug)]
pub struct SupervisorEvents {
    events: broadcast::Receiver<Event>,
    over: CancellationToken,
}

impl SupervisorEvents {
    /// Follows `events` until there are none left after `over`: the sender lives as long as a handle does.
    pub(super) fn new(events: broadcast::Receiver<Event>, over: CancellationToken) -> Self {
        Self { events, over }
    }

    /// The next event; None once the supervisor has ended.
    ///
    /// # Errors
    /// [`ErrorKind::Exhausted`](crate::ErrorKind::Exhausted) with the context pair `missed` where the
    /// follower lagged; the next call goes on with the oldest event still kept. The store has them all.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        let next = tokio::select! {
            biased;
            next = self.events.recv() => next,
            () = self.over.cancelled() => return None,
        };
        match next {
            Ok(event) => Some(Ok(event)),
            Err(broadcast::error::RecvError::Closed) => None,
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Err(Error::new(
                crate::ErrorKind::Exhausted,
                "events were missed by a follower that is too slow; read them from the history",
            )
            .with_operation("supervisor.events")
            .with_context("missed", missed))),
        }
    }
}

/// What a shutdown left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Calls to clusters that were under way and ended in time.
    pub finished: usize,
    /// Calls that were given up; the next start resolves them by asking.
    pub given_up: usize,
}
