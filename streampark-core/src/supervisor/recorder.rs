//! A way into the history for what happens beside the jobs.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::keeper::closed;
use super::shared::Shared;
use crate::store::Batch;
use crate::{Event, Result};

/// Writes events into the history and tells those who follow it; does not keep the supervisor alive.
#[derive(Clone)]
pub struct EventRecorder(Arc<Shared>);

impl std::fmt::Debug for EventRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventRecorder")
    }
}

impl super::SupervisorHandle {
    /// A way into the history for what happens beside the jobs.
    pub fn recorder(&self) -> EventRecorder {
        EventRecorder(Arc::clone(self.shared()))
    }
}

impl EventRecorder {
    /// Commits events in one transaction, then tells them.
    ///
    /// # Errors
    /// Those of the store; [`Cancelled`](crate::ErrorKind::Cancelled) after a shutdown began.
    pub async fn record(&self, events: Vec<Event>) -> Result<()> {
        if self.0.closing.is_cancelled() {
            return Err(closed().with_operation("events.record"));
        }
        let committed = self.0.commit(Batch { events, ..Batch::default() }).await?;
        self.0.publish(&committed.events);
        Ok(())
    }

    /// Ends with the supervisor.
    pub(crate) fn closing(&self) -> CancellationToken {
        self.0.closing.clone()
    }

    /// Runs beside the supervisor, whose shutdown waits for its end.
    pub(crate) fn beside(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(task);
    }
}
