//! The stream of events that embedders follow.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;

use crate::supervisor::SupervisorEvents;
use crate::{Event, Result};

type Next = Pin<Box<dyn Future<Output = (Option<Result<Event>>, SupervisorEvents)> + Send>>;

/// Events as they are committed; ends when the engine shuts down.
///
/// An item is an error of kind [`Exhausted`](crate::ErrorKind::Exhausted) where the follower was too
/// slow and events were left out: its context says how many (`missed`). The stream goes on after it;
/// what was left out is in the store ([`Store::events`](crate::store::Store::events)).
pub struct EventStream(Next);

async fn next(mut events: SupervisorEvents) -> (Option<Result<Event>>, SupervisorEvents) {
    let event = events.next().await;
    (event, events)
}

impl EventStream {
    pub(super) fn new(events: SupervisorEvents) -> Self {
        Self(Box::pin(next(events)))
    }

    /// The next event; None when the engine has shut down.
    ///
    /// # Errors
    /// [`Exhausted`](crate::ErrorKind::Exhausted) where events were left out.
    pub async fn next_event(&mut self) -> Result<Option<Event>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await.transpose()
    }
}

impl Stream for EventStream {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Poll::Ready((event, events)) = self.0.as_mut().poll(context) else { return Poll::Pending };
        self.0 = Box::pin(next(events));
        Poll::Ready(event)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventStream")
    }
}
