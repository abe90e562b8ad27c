//! A way into the history for what happens beside the jobs.

use std::sync::{Arc, Weak};

use super::keeper::closed;
use super::shared::Shared;
use crate::store::Batch;
use crate::{Event, Result};

/// Writes events into the history and tells those who follow it.
///
/// It keeps nothing alive: whom it tells of may be held by the supervisor, as the finder of its jars.
#[derive(Clone)]
pub struct EventRecorder {
    shared: Weak<Shared>,
}

impl std::fmt::Debug for EventRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventRecorder")
    }
}

impl super::SupervisorHandle {
    /// A way into the history for what happens beside the jobs.
    pub fn recorder(&self) -> EventRecorder {
        EventRecorder { shared: Arc::downgrade(self.shared()) }
    }
}

impl EventRecorder {
    /// Commits events in one transaction, then tells them.
    ///
    /// # Errors
    /// Those of the store; [`Cancelled`](crate::ErrorKind::Cancelled) after a shutdown began.
    pub async fn record(&self, events: Vec<Event>) -> Result<()> {
        let shared = self.shared.upgrade().filter(|shared| !shared.closing.is_cancelled());
        let shared = shared.ok_or_else(|| closed().with_operation("events.record"))?;
        let committed = shared.commit(Batch { events, ..Batch::default() }).await?;
        shared.publish(&committed.events);
        Ok(())
    }
}

/// What projects need.
#[cfg(feature = "build")]
impl EventRecorder {
    /// Is cancelled when the supervisor ends.
    pub(crate) fn closing(&self) -> tokio_util::sync::CancellationToken {
        match self.shared.upgrade() {
            Some(shared) => shared.closing.clone(),
            None => {
                let over = tokio_util::sync::CancellationToken::new();
                over.cancel();
                over
            }
        }
    }

    /// Runs beside the supervisor, whose shutdown waits for its end.
    pub(crate) fn beside(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(shared) = self.shared.upgrade() {
            shared.tasks.spawn(task);
        }
    }
}
