//! How far the history has heard of each build.

use std::sync::Arc;

use tokio::sync::watch;

use super::record::{BuildRecord, BuildState};
use super::{BuildQueue, blocking};
use crate::Result;

/// What the history hears of a build, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Told {
    #[default]
    Nothing,
    Queued,
    Started,
    Over,
}

impl Told {
    pub(super) fn of(record: &BuildRecord) -> Self {
        match record.state {
            BuildState::Queued => Self::Queued,
            BuildState::Running => Self::Started,
            _ => Self::Over,
        }
    }

    pub(super) fn read(text: &str) -> Self {
        match text.trim() {
            "queued" => Self::Queued,
            "started" => Self::Started,
            "over" => Self::Over,
            _ => Self::Nothing,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Queued => "queued",
            Self::Started => "started",
            Self::Over => "over",
        }
    }
}

impl BuildQueue {
    /// Changes with every change of a build.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The builds of which the history has not heard everything, the oldest first, and what it has heard.
    pub(crate) fn untold(&self) -> Vec<(BuildRecord, Told)> {
        let state = self.state();
        let entries = state.builds.values().map(|entry| (entry.record.borrow().clone(), entry.told));
        entries.filter(|(record, told)| Told::of(record) > *told).collect()
    }

    /// The history has heard all that `record` says.
    pub(crate) async fn told(&self, record: &BuildRecord) -> Result<()> {
        let told = Told::of(record);
        match self.state().builds.get_mut(&record.id) {
            Some(entry) => entry.told = told,
            // Forgotten meanwhile.
            None => return Ok(()),
        }
        let (ledger, id) = (Arc::clone(&self.0.ledger), record.id.clone());
        blocking(move || ledger.told(&id, told)).await
    }
}
