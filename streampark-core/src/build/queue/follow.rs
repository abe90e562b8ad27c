//! A build as it goes on, for those who watch.
//!
//! The log is the truth, and what is sent only says that there is more in it: who comes late, or is slow, reads all.

use std::collections::VecDeque;

use tokio::sync::broadcast::{self, error::RecvError};

use super::build::Build;
use super::ledger::LogPage;
use super::record::BuildState;
use crate::ErrorKind;
use crate::build::builder::BuildEvent;
use crate::project::SyncProgress;

/// How a step is marked in the log.
pub(super) const STEP: &str = "== ";
/// How much of a log is read at once; no line of it is longer than 8 KiB.
const PAGE: usize = 64 * 1024;
/// As long as it may be: the next look tells.
const UNKNOWN: u64 = u64::MAX;

/// What a build tells those who follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildUpdate {
    /// A line of output.
    Line(String),
    /// A new step.
    Step(String),
    /// How far the code has come.
    Progress(SyncProgress),
    /// It stands elsewhere now.
    State(BuildState),
}

impl From<BuildEvent> for BuildUpdate {
    fn from(event: BuildEvent) -> Self {
        match event {
            BuildEvent::Line(line) => Self::Line(line),
            BuildEvent::Step(step) => Self::Step(step),
        }
    }
}

/// What wakes those who follow.
#[derive(Debug, Clone)]
pub(super) enum Wake {
    /// The log is so long now, in bytes.
    Log(u64),
    /// What could not be written to the log, or is not kept in it.
    Now(BuildUpdate),
}

/// Follows one build from its begin to its end.
#[derive(Debug)]
pub struct BuildFollower {
    build: Build,
    wakes: Option<broadcast::Receiver<Wake>>,
    told: VecDeque<BuildUpdate>,
    state: BuildState,
    /// How much of the log was read, and how much there is at least.
    read: u64,
    length: u64,
    /// What is told after the whole log.
    last: Option<BuildState>,
}

impl BuildFollower {
    /// One that was asked for while the build stood at `state`.
    pub(super) fn new(build: Build, state: BuildState, wakes: Option<broadcast::Receiver<Wake>>) -> Self {
        let last = state.is_over().then_some(state);
        let told = if last.is_none() { VecDeque::from([BuildUpdate::State(state)]) } else { VecDeque::new() };
        let length = if state == BuildState::Queued { 0 } else { UNKNOWN };
        Self { build, wakes, told, state, read: 0, length, last }
    }

    /// The next update; None after the build is over. A call that is given up loses nothing.
    pub async fn next(&mut self) -> Option<BuildUpdate> {
        loop {
            if let Some(update) = self.told.pop_front() {
                return Some(update);
            }
            if self.read < self.length {
                self.read_on().await;
                continue;
            }
            if let Some(state) = self.last.take() {
                self.wakes = None;
                return Some(BuildUpdate::State(state));
            }
            match self.wakes.as_mut()?.recv().await {
                Ok(Wake::Log(length)) => self.length = length,
                Ok(Wake::Now(BuildUpdate::State(state))) => self.stands_at(state),
                Ok(Wake::Now(update)) => return Some(update),
                Err(RecvError::Lagged(_)) => {
                    self.length = UNKNOWN;
                    if let Ok(record) = self.build.record() {
                        self.stands_at(record.state);
                    }
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn stands_at(&mut self, state: BuildState) {
        if std::mem::replace(&mut self.state, state) == state {
            return;
        }
        if state.is_over() {
            (self.last, self.length) = (Some(state), UNKNOWN);
        } else {
            self.told.push_back(BuildUpdate::State(state));
        }
    }

    /// Takes the next whole lines of the log; where there is none, it ends here for now.
    async fn read_on(&mut self) {
        let page = self.build.log(self.read, PAGE).await.unwrap_or_else(|error| {
            if error.kind() != ErrorKind::NotFound {
                tracing::warn!(build = self.build.id(), error = %error.chain(), "a part of a build's log is not told");
            }
            LogPage::default()
        });
        let whole = page.text.rfind('\n').map_or(0, |at| at + 1);
        let (lines, rest) = page.text.split_at(whole);
        if lines.is_empty() {
            self.length = self.read;
            return;
        }
        self.told.extend(lines.lines().map(|line| match line.strip_prefix(STEP) {
            Some(step) => BuildUpdate::Step(step.to_owned()),
            None => BuildUpdate::Line(line.to_owned()),
        }));
        self.read = page.next - rest.len() as u64;
    }
}
