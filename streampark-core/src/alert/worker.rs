//! The task of one channel.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::alert::{Alert, AlertId, AlertKind};
use super::channel::{Channel, ChannelLimits, Message, Receipt};
use super::delivery::{Common, Raise, Shared, lock};
use super::outbox::{Delivery, DeliveryId};
use super::pace::{Next, Situation, Waiting, next};
use crate::job::Failure;
use crate::{Error, ErrorKind, ErrorStatus, Result};

/// How long one call of the outbox may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(30);
/// Messages that wait for a repeat at the same time; beyond, new ones wait with them.
const REPEATS: usize = 4;
/// The longest wait that the other side may ask for.
const RETRY_AFTER_MAX: u64 = 3_600;
/// Bytes of a stack trace that are kept in memory: more than any channel shows.
const DETAIL: usize = 8 * 1024;

/// A message whose attempts failed so far.
struct Group {
    message: Message,
    deliveries: Vec<DeliveryId>,
    due: Instant,
}

/// Reads the pending deliveries of one channel and makes the attempts, one at a time.
pub(super) struct Worker {
    common: Arc<Common>,
    shared: Arc<Shared>,
    limits: ChannelLimits,
    stop: CancellationToken,
    waiting: Vec<Waiting>,
    groups: Vec<Group>,
    /// The other side asked for silence until then.
    silence: Instant,
    /// The outbox may hold what we have not read.
    stale: bool,
    /// The last read was full: more waits in the outbox.
    more: bool,
    /// Whether more waits than the channel's limits bear.
    crowded: bool,
}

impl Worker {
    pub(super) fn new(common: Arc<Common>, shared: Arc<Shared>, stop: CancellationToken) -> Self {
        let limits = shared.channel.limits();
        Self {
            common,
            shared,
            limits,
            stop,
            waiting: Vec::new(),
            groups: Vec::new(),
            silence: Instant::now(),
            stale: true,
            more: false,
            crowded: false,
        }
    }

    pub(super) async fn run(mut self) {
        let mut trouble = Duration::ZERO;
        while !self.stop.is_cancelled() {
            match self.turn().await {
                Ok(()) => trouble = Duration::ZERO,
                Err(error) => {
                    trouble = (trouble * 2).clamp(Duration::from_secs(1), Duration::from_secs(30));
                    tracing::warn!(channel = %self.shared.name, error = %error.chain(), "the outbox of alerts cannot be used; trying again");
                    self.stale = true;
                    let stop = self.stop.clone();
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = sleep(trouble) => {}
                    }
                }
            }
        }
    }

    /// Reads what is new, then makes one attempt, or waits for a reason to look again.
    async fn turn(&mut self) -> Result<()> {
        let page = self.common.options.digest.max(1);
        if (self.stale || self.more) && self.waiting.len() < page {
            self.load(page).await?;
        }
        let now = Instant::now();
        let repeat = self.groups.iter().position(|group| group.due <= now);
        if self.silence > now {
            return self.idle_until(Some(self.silence)).await;
        }
        if let Some(position) = repeat {
            let ready = lock(&self.shared.bucket).take(now);
            return match ready {
                Ok(()) => {
                    let group = self.groups.swap_remove(position);
                    self.say(group).await
                }
                Err(ready) => self.idle_until(Some(ready)).await,
            };
        }
        let choice = if self.groups.len() < REPEATS { self.choose(now) } else { Next::Idle };
        let positions = match choice {
            Next::One(position) => vec![position],
            Next::Digest(positions) => positions.into_iter().take(page).collect(),
            Next::At(at) => return self.idle_until(Some(at)).await,
            Next::Idle => return self.idle_until(None).await,
        };
        let ready = lock(&self.shared.bucket).take(now);
        if let Err(ready) = ready {
            return self.idle_until(Some(ready)).await;
        }
        let group = self.group(&positions, now);
        self.say(group).await
    }

    fn choose(&self, now: Instant) -> Next {
        let held = |incident: &str| {
            self.groups.iter().any(|group| group.message.alerts.iter().any(|alert| alert.incident == incident))
        };
        let situation = Situation {
            now,
            waiting: &self.waiting,
            held: &held,
            merge: self.crowded || self.shared.failing.load(Ordering::Relaxed),
            gather: self.common.options.gather,
        };
        next(&mut lock(&self.shared.bucket), &situation)
    }

    /// Waits until `at`, a repeat is due, somebody calls, or the outbox is to be read anyway.
    async fn idle_until(&mut self, at: Option<Instant>) -> Result<()> {
        let poll = Instant::now() + self.common.options.poll;
        let repeat = self.groups.iter().map(|group| group.due).min();
        // A repeat that is due may wait for the channel's silence or budget: `at` is then the reason.
        let repeat = repeat.filter(|due| *due > Instant::now());
        let until = [at, repeat].into_iter().flatten().fold(poll, Instant::min);
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.shared.wake.notified() => self.stale = true,
            () = sleep_until(until) => self.stale |= until == poll,
        }
        Ok(())
    }

    async fn load(&mut self, page: usize) -> Result<()> {
        let known: HashSet<DeliveryId> = self
            .waiting
            .iter()
            .map(|waiting| waiting.delivery.id)
            .chain(self.groups.iter().flat_map(|group| group.deliveries.iter().copied()))
            .collect();
        let limit = known.len() + page;
        let pending = store(self.common.outbox.pending(&self.shared.name, limit)).await?;
        self.stale = false;
        self.more = pending.len() >= limit;
        self.crowded = self.more && {
            let count = store(self.common.outbox.pending_count(&self.shared.name)).await?;
            count > self.limits.queue as u64
        };
        let (now, wall) = (Instant::now(), self.common.clock.now());
        for mut delivery in pending.into_iter().filter(|delivery| !known.contains(&delivery.id)) {
            if let Some(detail) = delivery.alert.cause.as_mut().and_then(|cause| cause.detail.as_mut()) {
                shorten(detail, DETAIL);
            }
            let wait = Duration::try_from(delivery.next_at.duration_since(wall)).unwrap_or_default();
            self.waiting.push(Waiting { delivery, since: now, due: now + wait });
        }
        Ok(())
    }

    /// Takes what stands at these positions out of the waiting line, as one message.
    fn group(&mut self, positions: &[usize], now: Instant) -> Group {
        let chosen: HashSet<usize> = positions.iter().copied().collect();
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        for (position, waiting) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            if chosen.contains(&position) { taken.push(waiting.delivery) } else { left.push(waiting) }
        }
        self.waiting = left;
        let attempts = taken.iter().map(|delivery: &Delivery| delivery.attempts).max().unwrap_or_default();
        let deliveries: Vec<DeliveryId> = taken.iter().map(|delivery| delivery.id).collect();
        let alerts = taken.into_iter().map(|delivery| delivery.alert).collect();
        let mut message = Message::new(DeliveryId::of_all(&deliveries), alerts);
        message.attempt = attempts + 1;
        Group { message, deliveries, due: now }
    }

    /// Makes one attempt and records what became of it.
    async fn say(&mut self, mut group: Group) -> Result<()> {
        let outcome = attempt(self.shared.channel.as_ref(), &group.message).await;
        self.shared.failing.store(outcome.is_err(), Ordering::Relaxed);
        let error = match outcome {
            Ok(_) => {
                self.shared.delivered.fetch_add(1, Ordering::Relaxed);
                self.close(&group.deliveries, None).await;
                return Ok(());
            }
            Err(error) => error,
        };
        let reason = error.chain();
        *lock(&self.shared.last_error) = Some(reason.clone());
        tracing::warn!(channel = %self.shared.name, attempt = group.message.attempt, error = %reason, "an alert was not delivered");
        let asked = retry_after(&error);
        if let Some(asked) = asked {
            self.silence = Instant::now() + asked;
        }
        if error.status() == ErrorStatus::Permanent || group.message.attempt >= self.limits.attempts {
            self.give_up(&group, &reason).await;
            return Ok(());
        }
        let wait = asked.unwrap_or_default() + self.jitter(group.message.attempt);
        group.due = Instant::now() + wait;
        group.message.attempt += 1;
        let due = later(self.common.clock.now(), wait);
        let recorded = store(self.common.outbox.retry(&group.deliveries, &reason, due)).await;
        // Held in memory whether or not the row could be written: the repeat does not depend on it.
        self.groups.push(group);
        recorded
    }

    fn jitter(&self, attempt: u32) -> Duration {
        let options = &self.common.options;
        let factor = options.backoff_factor.max(1).saturating_pow(attempt.saturating_sub(1));
        let longest = options.backoff.saturating_mul(factor).min(options.backoff_max);
        longest.mul_f64(rand::random::<f64>())
    }

    /// Keeps the message as a dead letter, after another channel is told: in this order, so that a
    /// crash between the two repeats the news instead of losing it.
    async fn give_up(&mut self, group: &Group, reason: &str) {
        self.shared.dead.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            channel = %self.shared.name,
            message = %group.message.id,
            alerts = group.message.alerts.len(),
            error = reason,
            "an alert is given up and kept as a dead letter"
        );
        if let (Some(raise), Some(other)) = (&self.common.raise, self.common.other_than(&self.shared.name))
            && let Some(alert) = self.news_of(group, reason)
        {
            let delivery = Delivery::new(group.message.id.derived(&other.name), other.name.clone(), alert);
            match self.raise(raise.as_ref(), delivery).await {
                Ok(()) => other.wake.notify_one(),
                Err(error) => {
                    tracing::error!(channel = %other.name, error = %error.chain(), "no other channel could be told of a dead letter");
                }
            }
        }
        self.close(&group.deliveries, Some(reason)).await;
    }

    /// Writes news of a dead letter; a store that is away for a moment is given some seconds.
    async fn raise(&self, raise: &dyn Raise, delivery: Delivery) -> Result<()> {
        let mut wait = Duration::from_millis(100);
        loop {
            match store(raise.raise(delivery.clone())).await {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
                Err(error) if wait > Duration::from_secs(10) || self.stop.is_cancelled() => return Err(error),
                Err(_) => sleep(wait).await,
                Ok(()) => return Ok(()),
            }
            wait *= 2;
        }
    }

    /// What another channel says of a dead letter. None where the dead letter itself was such news:
    /// two broken channels do not tell each other for ever.
    fn news_of(&self, group: &Group, reason: &str) -> Option<Alert> {
        let lost: Vec<&Alert> =
            group.message.alerts.iter().filter(|alert| alert.kind != AlertKind::DeliveryFailed).collect();
        let first = *lost.first()?;
        let (name, kind) = (&self.shared.name, self.shared.channel.kind());
        let title = match lost.len() {
            1 => format!("channel '{name}' ({kind}) could not deliver: {}", first.title),
            count => format!("channel '{name}' ({kind}) could not deliver {count} alerts, the first: {}", first.title),
        };
        let id = AlertId::from_u128(group.message.id.derived("alert").as_u128());
        let incident = format!("channel/{name}");
        let mut alert = Alert::new(id, AlertKind::DeliveryFailed, incident, title, self.common.clock.now());
        if lost.len() == 1 {
            alert.job = first.job;
            alert.job_name.clone_from(&first.job_name);
            alert.run = first.run;
            alert.cluster.clone_from(&first.cluster);
            alert.owner.clone_from(&first.owner);
            alert.links.clone_from(&first.links);
        }
        alert.cause = Some(Failure::new(reason));
        alert.action =
            Some("the message is kept as a dead letter; mend the channel and send it a test message".to_owned());
        Some(alert)
    }

    /// Records deliveries as accepted, or as dead for a reason. Repeated until it works or the
    /// channel is stopped: what was said must not be said again because the store was away for a moment.
    async fn close(&self, ids: &[DeliveryId], dead: Option<&str>) {
        let at = self.common.clock.now();
        let outbox = &self.common.outbox;
        let mut wait = Duration::from_millis(100);
        loop {
            let recorded = match dead {
                None => store(outbox.delivered(ids, at)).await,
                Some(reason) => store(outbox.dead(ids, reason, at)).await,
            };
            let Err(error) = recorded else { return };
            tracing::warn!(channel = %self.shared.name, error = %error.chain(), "the outbox cannot record what became of an alert; trying again");
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(wait) => {}
            }
            wait = (wait * 2).min(Duration::from_secs(30));
        }
    }
}

/// One attempt within the channel's own time; a panic of a channel is an error like another.
pub(super) async fn attempt(channel: &dyn Channel, message: &Message) -> Result<Receipt> {
    let limit = channel.limits().timeout;
    match timeout(limit, AssertUnwindSafe(channel.send(message)).catch_unwind()).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Error::new(ErrorKind::Internal, "the channel panicked while it sent a message")),
        Err(_) => Err(Error::new(ErrorKind::Timeout, format!("the other side did not answer within {limit:?}"))
            .with_status(ErrorStatus::Unknown)),
    }
}

async fn store<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(STORE_TIMEOUT, call).await.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Timeout, "the store did not answer within 30 s").with_operation("alerts.outbox"))
    })
}

fn retry_after(error: &Error) -> Option<Duration> {
    let (_, value) = error.context().iter().find(|(key, _)| *key == "retry_after")?;
    value.parse::<u64>().ok().map(|seconds| Duration::from_secs(seconds.min(RETRY_AFTER_MAX)))
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok()).unwrap_or(now)
}

/// Cuts `text` to at most `limit` bytes, between two characters.
pub(super) fn shorten(text: &mut String, limit: usize) {
    if text.len() > limit {
        let end = (0..=limit).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
        text.truncate(end);
    }
}
