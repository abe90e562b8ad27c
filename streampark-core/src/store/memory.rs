//! A store in memory: for tests, for trying things out, and for embedders whose jobs may be forgotten.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use self::state::State;
use super::records::{Batch, ClusterRecord, JobRecord, JobRow, RunRecord, SpecVersion};
use super::rules;
use super::store::{Committed, EventFilter, JobFilter, Store};
use crate::alert::{Delivery, DeliveryId, DeliveryState, Outbox};
use crate::job::{JobId, RestorePoint};
use crate::{Event, Result};

mod outbox;
mod state;

/// Keeps everything in memory and forgets it with the process; otherwise it promises what every
/// [`Store`] promises.
///
/// History is bounded: of events and of finished deliveries the newest 100,000 are kept each, or as
/// many as [`with_history_limit`](Self::with_history_limit) says.
///
/// ```
/// use streampark_core::store::MemoryStore;
///
/// let store = MemoryStore::default().with_history_limit(1_000);
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
}

/// Events, and finished deliveries, that are kept where nothing else is said.
const HISTORY_LIMIT: usize = 100_000;

impl Default for MemoryStore {
    fn default() -> Self {
        Self { state: Mutex::new(State::new(HISTORY_LIMIT)) }
    }
}

impl MemoryStore {
    /// Sets how many events, and how many finished deliveries, are kept; older ones are forgotten.
    #[must_use]
    pub fn with_history_limit(self, limit: usize) -> Self {
        self.lock().history_limit = limit;
        self
    }

    /// A panic cannot leave a half-made change behind: a batch is checked whole before it is applied.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if state.closed { Err(rules::closed()) } else { Ok(state) }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, batch: Batch) -> Result<Committed> {
        self.open().and_then(|mut state| state.commit(batch)).map_err(|error| error.with_operation("store.commit"))
    }

    async fn load(&self) -> Result<Vec<JobRow>> {
        Ok(self.open()?.jobs(&JobFilter::default()))
    }

    async fn clusters(&self) -> Result<Vec<ClusterRecord>> {
        Ok(self.open()?.clusters.values().cloned().collect())
    }

    async fn job(&self, id: JobId) -> Result<Option<JobRow>> {
        Ok(self.open()?.row(id))
    }

    async fn job_by_name(&self, name: &str) -> Result<Option<JobRow>> {
        let state = self.open()?;
        Ok(state.names.get(name).and_then(|id| state.row(*id)))
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRow>> {
        Ok(self.open()?.jobs(filter))
    }

    async fn delete_job(&self, job: &JobRecord, event: Event) -> Result<Committed> {
        self.open()
            .and_then(|mut state| state.delete_job(job, event))
            .map_err(|error| error.with_operation("store.delete_job"))
    }

    async fn specs(&self, job: JobId) -> Result<Vec<SpecVersion>> {
        let state = self.open()?;
        Ok(state.job(job).map(|entry| entry.specs.iter().rev().cloned().collect()).unwrap_or_default())
    }

    async fn spec(&self, job: JobId, version: u32) -> Result<Option<SpecVersion>> {
        Ok(self.open()?.job(job).and_then(|entry| entry.spec(version)).cloned())
    }

    async fn runs(&self, job: JobId, limit: usize) -> Result<Vec<RunRecord>> {
        let state = self.open()?;
        Ok(state.job(job).map(|entry| entry.runs.values().rev().take(limit).cloned().collect()).unwrap_or_default())
    }

    async fn restore_points(&self, job: JobId, limit: usize) -> Result<Vec<RestorePoint>> {
        let state = self.open()?;
        Ok(state.job(job).map(|entry| entry.points.iter().take(limit).cloned().collect()).unwrap_or_default())
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<Event>> {
        Ok(self.open()?.events(filter))
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<u64> {
        Ok(self.open()?.prune(before, limit))
    }

    async fn close(&self) -> Result<()> {
        self.lock().closed = true;
        Ok(())
    }
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn pending(&self, channel: &str, limit: usize) -> Result<Vec<Delivery>> {
        Ok(self.open()?.outbox.pending(channel, limit))
    }

    async fn pending_count(&self, channel: &str) -> Result<u64> {
        Ok(self.open()?.outbox.pending_count(channel))
    }

    async fn delivered(&self, ids: &[DeliveryId], at: Timestamp) -> Result<()> {
        let mut state = self.open()?;
        let limit = state.history_limit;
        state.outbox.finish(ids, DeliveryState::Delivered, None, at, limit);
        Ok(())
    }

    async fn retry(&self, ids: &[DeliveryId], error: &str, next_at: Timestamp) -> Result<()> {
        self.open()?.outbox.retry(ids, error, next_at);
        Ok(())
    }

    async fn dead(&self, ids: &[DeliveryId], error: &str, at: Timestamp) -> Result<()> {
        let mut state = self.open()?;
        let limit = state.history_limit;
        state.outbox.finish(ids, DeliveryState::Dead, Some(error), at, limit);
        Ok(())
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<Delivery>> {
        Ok(self.open()?.outbox.dead_letters(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite;
    use crate::{EventKind, store::EventFilter};

    #[tokio::test]
    async fn it_does_what_every_store_does() {
        suite::run_all(|| async { MemoryStore::default() }).await;
    }

    #[tokio::test]
    async fn history_is_bounded() {
        let store = MemoryStore::default().with_history_limit(10);
        for n in 0..25 {
            let event = Event::new(EventKind::Requested, "ann", Timestamp::UNIX_EPOCH, n.to_string());
            store.commit(Batch { events: vec![event], ..Batch::default() }).await.unwrap();
        }
        let kept = store.events(&EventFilter::default()).await.unwrap();
        assert_eq!(kept.iter().map(|event| event.sequence).collect::<Vec<_>>(), (16..=25).collect::<Vec<_>>());
    }
}
