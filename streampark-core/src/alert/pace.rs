//! How often a channel may speak, and what it says next: pure, so that every rule is a plain test.

use std::time::Duration;

use tokio::time::Instant;

use super::alert::Severity;
use super::outbox::Delivery;

/// A token bucket that never lets more than the channel's budget through in any 60 seconds.
///
/// The budget is nine tenths of the limit: 18 of DingTalk's 20, because clocks differ and a robot
/// that oversteps is muted for ten minutes. Half of the budget is the bucket's size, the other half
/// flows back within a minute; so a minute that begins with a full bucket still keeps the budget.
/// A part is kept for what is critical or good news: 4 of 18.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Option<Rate>,
}

#[derive(Debug)]
struct Rate {
    size: f64,
    per_second: f64,
    reserve: usize,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket for `per_minute` messages; None lets everything through.
    pub(super) fn new(per_minute: Option<u32>, now: Instant) -> Self {
        let rate = per_minute.map(|limit| {
            let limit = limit.max(1);
            let budget = limit - limit / 10;
            let size = budget.div_ceil(2);
            // A bucket of one that fills within a minute lets one a minute through.
            let flow = (budget - size).max(1);
            Rate {
                size: f64::from(size),
                per_second: f64::from(flow) / 60.0,
                reserve: (budget / 4).min(size - 1) as usize,
                tokens: f64::from(size),
                at: now,
            }
        });
        Self { rate }
    }

    /// Messages that may leave now; `reserve` of them only for what is urgent.
    fn available(&mut self, now: Instant) -> (usize, usize) {
        match &mut self.rate {
            None => (usize::MAX, 0),
            Some(rate) => {
                rate.refill(now);
                (rate.tokens as usize, rate.reserve)
            }
        }
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.rate.as_mut().is_none_or(|rate| {
            rate.refill(now);
            rate.tokens >= rate.size
        })
    }

    /// When at least `count` tokens are there.
    fn ready_at(&mut self, count: usize, now: Instant) -> Instant {
        let Some(rate) = &mut self.rate else { return now };
        rate.refill(now);
        let missing = count as f64 - rate.tokens;
        if missing <= 0.0 {
            return now;
        }
        // A millisecond more than computed, so that rounding never asks in vain.
        now + Duration::from_secs_f64(missing / rate.per_second) + Duration::from_millis(1)
    }

    /// Takes one token, where there is one.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let ready = self.ready_at(1, now);
        match &mut self.rate {
            _ if ready > now => Err(ready),
            None => Ok(()),
            Some(rate) => {
                rate.tokens -= 1.0;
                Ok(())
            }
        }
    }
}

impl Rate {
    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.size);
        self.at = now;
    }
}

/// A delivery that waits in memory for its turn.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) delivery: Delivery,
    /// When this process first saw it.
    pub(super) since: Instant,
    /// Not before this time.
    pub(super) due: Instant,
}

impl Waiting {
    fn urgent(&self) -> bool {
        let alert = &self.delivery.alert;
        alert.severity == Severity::Critical || alert.kind.resolves()
    }
}

/// What to do with what waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Say the delivery at this position by itself.
    One(usize),
    /// Say these positions in one message.
    Digest(Vec<usize>),
    /// Nothing before this time.
    At(Instant),
    /// Nothing waits.
    Idle,
}

/// What the choice of the next message looks at, beside the bucket.
pub(super) struct Situation<'a> {
    pub(super) now: Instant,
    /// What waits, oldest first.
    pub(super) waiting: &'a [Waiting],
    /// Incidents whose earlier message is under way: what follows waits, so that nobody reads
    /// "running again" before "failed".
    pub(super) held: &'a dyn Fn(&str) -> bool,
    /// Whether to merge because the channel has trouble, or more waits than its limits bear.
    pub(super) merge: bool,
    /// How long a digest gathers.
    pub(super) gather: Duration,
}

/// Chooses the next message: the first alerts one by one and at once, then, when the budget is
/// short, everything that waits in one digest. The reserved part of the budget is spent only where
/// something urgent waits; a digest then takes the rest along.
pub(super) fn next(bucket: &mut Bucket, situation: &Situation<'_>) -> Next {
    let Situation { now, waiting, held, merge, gather } = *situation;
    let open = || waiting.iter().enumerate().filter(|(_, w)| !held(&w.delivery.alert.incident));
    let due: Vec<usize> = open().filter(|(_, w)| w.due <= now).map(|(position, _)| position).collect();
    let Some(first) = due.first().copied() else {
        return open().map(|(_, w)| w.due).min().map_or(Next::Idle, Next::At);
    };
    let urgent = due.iter().copied().find(|&position| waiting.get(position).is_some_and(Waiting::urgent));
    let (available, reserve) = bucket.available(now);
    let usable = if urgent.is_some() { available } else { available.saturating_sub(reserve) };
    if usable == 0 {
        let needed = if urgent.is_some() { 1 } else { reserve + 1 };
        let later = open().map(|(_, w)| w.due).filter(|due| *due > now).min();
        let ready = bucket.ready_at(needed, now);
        return Next::At(later.map_or(ready, |later| later.min(ready)));
    }
    // Two of one incident go in one message or in order; never the good news first.
    let leading = urgent.filter(|&position| !follows_another(waiting, &due, position)).unwrap_or(first);
    if due.len() == 1 || (!merge && due.len() <= usable) {
        return Next::One(leading);
    }
    let oldest = due.iter().filter_map(|&position| waiting.get(position)).map(|w| w.since.max(w.due)).min();
    let ripe = oldest.unwrap_or(now) + gather;
    if !bucket.is_full(now) && ripe > now {
        return Next::At(ripe);
    }
    Next::Digest(due)
}

fn follows_another(waiting: &[Waiting], due: &[usize], position: usize) -> bool {
    let incident = |position: usize| waiting.get(position).map(|w| w.delivery.alert.incident.as_str());
    due.iter().take_while(|&&other| other < position).any(|&other| incident(other) == incident(position))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Alert, AlertId, AlertKind, DeliveryId};
    use jiff::Timestamp;

    fn waiting(id: u128, kind: AlertKind, incident: &str, now: Instant) -> Waiting {
        let alert = Alert::new(AlertId::from_u128(id), kind, incident, "t", Timestamp::UNIX_EPOCH);
        Waiting { delivery: Delivery::new(DeliveryId::from_u128(id), "c", alert), since: now, due: now }
    }

    fn choose(bucket: &mut Bucket, waiting: &[Waiting], now: Instant) -> Next {
        let situation = Situation { now, waiting, held: &|_| false, merge: false, gather: Duration::from_secs(2) };
        next(bucket, &situation)
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_sees_more_than_nine_tenths_of_the_limit() {
        for (limit, budget) in [(20, 18), (100, 90), (10, 9), (60, 54), (2, 2), (1, 1)] {
            let mut bucket = Bucket::new(Some(limit), Instant::now());
            let mut sent = Vec::new();
            for _ in 0..6_000 {
                if bucket.take(Instant::now()).is_ok() {
                    sent.push(Instant::now());
                }
                tokio::time::advance(Duration::from_millis(50)).await;
            }
            let minute = |start: &Instant| {
                sent.iter().filter(|at| *at >= start && **at < *start + Duration::from_secs(60)).count()
            };
            let worst = sent.iter().map(minute).max().unwrap();
            assert!(worst <= budget && worst * 2 >= budget, "{worst} in a minute at a limit of {limit}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_reserve_is_for_what_is_urgent() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Some(20), now);
        let plain = [waiting(1, AlertKind::JobFailed, "a", now)];
        let mut singles = 0;
        while choose(&mut bucket, &plain, now) == Next::One(0) {
            bucket.take(now).unwrap();
            singles += 1;
        }
        assert_eq!(singles, 5, "9 in the bucket, 4 of them kept");
        for kind in [AlertKind::CrashLoop, AlertKind::JobRecovered] {
            let urgent = [waiting(1, AlertKind::JobFailed, "a", now), waiting(2, kind, "b", now)];
            assert_eq!(choose(&mut bucket, &urgent, now), Next::One(1), "the urgent one first");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn good_news_never_overtakes_the_bad() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Some(20), now);
        let both = [waiting(1, AlertKind::JobFailed, "a", now), waiting(2, AlertKind::JobRecovered, "a", now)];
        assert_eq!(choose(&mut bucket, &both, now), Next::One(0));
        let held = |incident: &str| incident == "a";
        let situation = Situation { now, waiting: &both, held: &held, merge: false, gather: Duration::from_secs(2) };
        assert_eq!(next(&mut bucket, &situation), Next::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_budget_gathers_one_digest() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Some(20), now);
        let many: Vec<Waiting> = (0..30).map(|n| waiting(n, AlertKind::JobFailed, &format!("i{n}"), now)).collect();
        assert_eq!(
            choose(&mut bucket, &many, now),
            Next::Digest((0..30).collect()),
            "a quiet channel waits for nobody"
        );
        bucket.take(now).unwrap();
        assert_eq!(choose(&mut bucket, &many, now), Next::At(now + Duration::from_secs(2)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(choose(&mut bucket, &many, Instant::now()), Next::Digest((0..30).collect()));
    }
}
