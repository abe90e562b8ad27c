//! When a failed job is started again: policy as data, decided by a pure function.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Which endings start a job again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartMode {
    /// A failure does; a program that finishes does not.
    #[default]
    OnFailure,
    /// Any ending that nobody asked for does.
    Always,
    /// None does.
    Never,
}

/// How often and how soon a failed job is started again.
///
/// The first failure restarts at once. Each further one waits: `initial_backoff`, then
/// `backoff_multiplier` times longer up to `max_backoff`, with a random part of `jitter`. A run
/// that stays healthy for `reset_after` and completes a checkpoint starts the count anew. More than
/// `max_restarts` within `window` is a crash loop: the job is parked and a person is told.
///
/// The shape follows Flink's exponential-delay restart strategy and systemd's start limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RestartPolicy {
    /// Which endings start the job again. Default `on-failure`.
    pub mode: RestartMode,
    /// Whether the first failure restarts without a wait. Default true.
    pub immediate_first: bool,
    /// The first wait. Default 10 s.
    #[serde(with = "super::duration")]
    pub initial_backoff: Duration,
    /// How much longer each further wait is. Default 2.
    pub backoff_multiplier: f64,
    /// The longest wait. Default 5 min.
    #[serde(with = "super::duration")]
    pub max_backoff: Duration,
    /// The random share added to or taken from each wait, 0 to 1. Default 0.2.
    pub jitter: f64,
    /// How long a run must be healthy before the count starts anew. Default 10 min.
    #[serde(with = "super::duration")]
    pub reset_after: Duration,
    /// How many restarts `window` allows. Default 5.
    pub max_restarts: u32,
    /// The time in which `max_restarts` are counted. Default 10 min.
    #[serde(with = "super::duration")]
    pub window: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            mode: RestartMode::OnFailure,
            immediate_first: true,
            initial_backoff: Duration::from_secs(10),
            backoff_multiplier: 2.0,
            max_backoff: Duration::from_secs(300),
            jitter: 0.2,
            reset_after: Duration::from_secs(600),
            max_restarts: 5,
            window: Duration::from_secs(600),
        }
    }
}

/// What has been restarted so far; kept with the job, so that a new process goes on counting.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RestartHistory {
    /// When restarts were decided, oldest first; at most `max_restarts + 1` are kept.
    pub recent: Vec<Timestamp>,
    /// Restarts since the count last started anew.
    pub consecutive: u32,
    /// When the next run is to be submitted, while the job backs off.
    pub next_at: Option<Timestamp>,
}

/// What follows a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestartDecision {
    /// Submit again at this time.
    Restart(Timestamp),
    /// Too many in the window: park the job.
    CrashLoop,
    /// The policy does not restart this ending.
    GiveUp,
}

impl RestartPolicy {
    /// Decides over one failure at `now` and records a restart in `history`.
    ///
    /// `random` is a number from 0 to 1 that places the wait within its jitter.
    pub fn decide(&self, history: &mut RestartHistory, now: Timestamp, random: f64) -> RestartDecision {
        if self.mode == RestartMode::Never {
            return RestartDecision::GiveUp;
        }
        let window = SignedDuration::try_from(self.window).unwrap_or(SignedDuration::MAX);
        history.recent.retain(|at| now.duration_since(*at) < window);
        if history.recent.len() >= self.max_restarts as usize {
            return RestartDecision::CrashLoop;
        }
        let delay = self.delay(history.consecutive, random);
        let at = now.checked_add(SignedDuration::try_from(delay).unwrap_or_default()).unwrap_or(now);
        history.recent.push(now);
        history.consecutive = history.consecutive.saturating_add(1);
        history.next_at = Some(at);
        RestartDecision::Restart(at)
    }

    /// The wait before restart number `consecutive` (0 is the first).
    pub fn delay(&self, consecutive: u32, random: f64) -> Duration {
        let step = match (self.immediate_first, consecutive) {
            (true, 0) => return Duration::ZERO,
            (true, n) => n - 1,
            (false, n) => n,
        };
        let exponent = i32::try_from(step).unwrap_or(i32::MAX);
        let factor = self.backoff_multiplier.max(1.0).powi(exponent);
        let full = (self.initial_backoff.as_secs_f64() * factor).min(self.max_backoff.as_secs_f64());
        let jitter = self.jitter.clamp(0.0, 1.0) * (2.0 * random.clamp(0.0, 1.0) - 1.0);
        Duration::try_from_secs_f64(full * (1.0 + jitter)).unwrap_or(self.max_backoff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    #[test]
    fn the_first_is_immediate_then_waits_double_up_to_the_cap() {
        let policy = RestartPolicy { max_restarts: 100, ..RestartPolicy::default() };
        let waits: Vec<_> = (0..8).map(|n| policy.delay(n, 0.5).as_secs()).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(policy.delay(u32::MAX, 0.5).as_secs(), 300);
    }

    #[test]
    fn jitter_stays_in_its_bounds() {
        let policy = RestartPolicy::default();
        assert_eq!(policy.delay(1, 0.0), Duration::from_secs(8));
        assert_eq!(policy.delay(1, 1.0), Duration::from_secs(12));
    }

    #[test]
    fn a_crash_loop_ends_and_the_window_forgets() {
        let policy = RestartPolicy::default();
        let mut history = RestartHistory::default();
        for n in 0..5 {
            assert!(matches!(policy.decide(&mut history, at(n), 0.5), RestartDecision::Restart(_)));
        }
        assert_eq!(policy.decide(&mut history, at(6), 0.5), RestartDecision::CrashLoop);
        assert!(matches!(policy.decide(&mut history, at(700), 0.5), RestartDecision::Restart(_)));
    }
}
