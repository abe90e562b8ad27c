//! Wall-clock time as a value passed in, so that tests own it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// Tells the wall-clock time. Delays and timeouts use tokio's clock instead.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now, in UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A wall clock that moves with tokio's clock: real outside tests, paused with `start_paused`.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    start: Timestamp,
    origin: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that shows `start` now.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, origin: tokio::time::Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let elapsed = jiff::SignedDuration::try_from(self.origin.elapsed()).unwrap_or_default();
        self.start.checked_add(elapsed).unwrap_or(self.start)
    }
}

/// A clock shared by the parts of one platform.
pub type SharedClock = Arc<dyn Clock>;
