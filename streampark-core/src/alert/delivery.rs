//! Carries alerts from the outbox to the channels.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::channel::{Channel, Message, Receipt};
use super::outbox::{Delivery, Outbox};
use super::pace::Bucket;
use super::worker::Worker;
use crate::{Error, ErrorKind, Result, SharedClock};

/// Writes an alert that the dispatcher itself raises: the platform fulfils it with a commit of its store.
#[async_trait]
pub trait Raise: fmt::Debug + Send + Sync + 'static {
    /// Commits a new delivery. Its identity is derived from what could not be delivered, and the
    /// call is repeated after a crash: [`AlreadyExists`](ErrorKind::AlreadyExists) is as good as done.
    async fn raise(&self, delivery: Delivery) -> Result<()>;
}

/// How the dispatcher goes about its work; what a channel bears is in [`ChannelLimits`](super::ChannelLimits).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DispatcherOptions {
    /// The longest wait before the first repeat; each further one is `backoff_factor` times longer.
    /// The true wait is drawn between nothing and that (full jitter). Default 2 s.
    pub backoff: Duration,
    /// How much longer each wait may be. Default 4.
    pub backoff_factor: u32,
    /// The longest wait of all. Default 5 min.
    pub backoff_max: Duration,
    /// How long a digest gathers before it leaves, where the channel spoke shortly before. Default 2 s.
    pub gather: Duration,
    /// How often the outbox is read without a [`notify`](Dispatcher::notify), for rows that another
    /// process wrote. Default 15 s.
    pub poll: Duration,
    /// Alerts in one message at most. Default 256.
    pub digest: usize,
}

impl Default for DispatcherOptions {
    fn default() -> Self {
        Self {
            backoff: Duration::from_secs(2),
            backoff_factor: 4,
            backoff_max: Duration::from_secs(300),
            gather: Duration::from_secs(2),
            poll: Duration::from_secs(15),
            digest: 256,
        }
    }
}

/// How a channel is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStatus {
    /// The platform's name for it.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Whether its last attempt failed.
    pub failing: bool,
    /// Messages accepted by the other side since the channel was added.
    pub delivered: u64,
    /// Messages given up since the channel was added.
    pub dead: u64,
    /// Why the last failed attempt failed.
    pub last_error: Option<String>,
}

/// What the task of a channel and its dispatcher share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) channel: Arc<dyn Channel>,
    pub(super) wake: Notify,
    pub(super) bucket: Mutex<Bucket>,
    pub(super) failing: AtomicBool,
    pub(super) delivered: AtomicU64,
    pub(super) dead: AtomicU64,
    pub(super) last_error: Mutex<Option<String>>,
}

/// What all channel tasks share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) raise: Option<Arc<dyn Raise>>,
    pub(super) clock: SharedClock,
    pub(super) options: DispatcherOptions,
    channels: Mutex<BTreeMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Common {
    /// Another channel to tell that `name` cannot be reached: one that works, where there is one.
    pub(super) fn other_than(&self, name: &str) -> Option<Arc<Shared>> {
        let channels = lock(&self.channels);
        let others = || channels.values().map(|entry| &entry.shared).filter(|shared| shared.name != name);
        others().find(|shared| !shared.failing.load(Ordering::Relaxed)).or_else(|| others().next()).cloned()
    }
}

/// Delivers what is in an [`Outbox`], each channel in a task of its own.
///
/// # Expected flow
/// The store commits deliveries together with the change they tell of; then
/// [`notify`](Self::notify) wakes the channels. Each reads its own pending deliveries, makes an
/// attempt, and records what became of it. The first alerts leave at once, one message each; when
/// the channel's budget is short, or it has trouble, those that wait are merged in digests.
///
/// # Guarantees
/// - At least once: a delivery stays pending until the other side accepted it or it is given up.
///   A message repeated, in the same process, carries the same identity and the same alerts; so
///   does a single alert after a crash.
/// - In order within an incident: "running again" never leaves before "failed".
/// - A slow, dead or panicking channel delays no other. At most a few hundred alerts of each are in memory.
/// - No more than the limit of messages leaves in any minute of one process.
/// - A message that is given up is kept as a dead letter and told on another channel, once, where
///   there is one; a message that tells of that never causes another.
///
/// # Assumptions
/// One dispatcher at a time reads the deliveries of a channel. Those of a channel that was
/// removed stay in the outbox until a channel of that name is added again.
#[derive(Debug)]
pub struct Dispatcher {
    common: Arc<Common>,
    closed: AtomicBool,
}

impl Dispatcher {
    /// A dispatcher without channels. Without `raise`, dead letters are logged and nobody else is told.
    pub fn new(
        outbox: Arc<dyn Outbox>,
        raise: Option<Arc<dyn Raise>>,
        clock: SharedClock,
        options: DispatcherOptions,
    ) -> Self {
        let common = Common { outbox, raise, clock, options, channels: Mutex::default() };
        Self { common: Arc::new(common), closed: AtomicBool::new(false) }
    }

    /// Adds a channel and starts to deliver what waits for it. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) where the name is taken;
    /// [`Cancelled`](ErrorKind::Cancelled) after a shutdown.
    pub fn add(&self, name: impl Into<String>, channel: Arc<dyn Channel>) -> Result<()> {
        let name = name.into();
        let mut channels = lock(&self.common.channels);
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Cancelled, "the dispatcher of alerts is shut down")
                .with_operation("alerts.add")
                .with_context("channel", name));
        }
        if channels.contains_key(&name) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("a channel named '{name}' exists already; remove it first or choose another name"),
            )
            .with_operation("alerts.add"));
        }
        let shared = Arc::new(Shared {
            name: name.clone(),
            bucket: Mutex::new(Bucket::new(channel.limits().per_minute, Instant::now())),
            channel,
            wake: Notify::new(),
            failing: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            dead: AtomicU64::new(0),
            last_error: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let worker = Worker::new(self.common.clone(), shared.clone(), stop.clone());
        let task = tokio::spawn(worker.run());
        channels.insert(name, Entry { shared, stop, task });
        Ok(())
    }

    /// Removes a channel: the attempt under way is finished within `grace`, else given up. What is
    /// not delivered stays in the outbox.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) listing the channels there are.
    pub async fn remove(&self, name: &str, grace: Duration) -> Result<()> {
        let entry = lock(&self.common.channels).remove(name);
        let entry = entry.ok_or_else(|| self.unknown(name))?;
        entry.stop.cancel();
        finish(entry, Instant::now() + grace).await;
        Ok(())
    }

    /// Tells every channel that its outbox may hold something new. Cheap, never waits.
    pub fn notify(&self) {
        for entry in lock(&self.common.channels).values() {
            entry.shared.wake.notify_one();
        }
    }

    /// Says a test message on a channel, now, and waits for what the other side says to it.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for a channel that is not there;
    /// [`Exhausted`](ErrorKind::Exhausted) where the channel has used up its messages of this
    /// minute; else what the channel's attempt met.
    pub async fn test(&self, name: &str) -> Result<Receipt> {
        let shared = lock(&self.common.channels).get(name).map(|entry| entry.shared.clone());
        let shared = shared.ok_or_else(|| self.unknown(name))?;
        let now = Instant::now();
        if let Err(ready) = lock(&shared.bucket).take(now) {
            return Err(Error::new(
                ErrorKind::Exhausted,
                "the channel has used up its messages of this minute; try later",
            )
            .with_operation("alerts.test")
            .with_context("channel", name)
            .with_context("retry_after", ready.duration_since(now).as_secs() + 1));
        }
        test_message(shared.channel.as_ref(), self.common.clock.now())
            .await
            .map_err(|error| error.with_context("channel", name))
    }

    /// How every channel is doing, in order of names.
    pub fn status(&self) -> Vec<ChannelStatus> {
        let status = |shared: &Shared| ChannelStatus {
            name: shared.name.clone(),
            kind: shared.channel.kind().to_owned(),
            failing: shared.failing.load(Ordering::Relaxed),
            delivered: shared.delivered.load(Ordering::Relaxed),
            dead: shared.dead.load(Ordering::Relaxed),
            last_error: lock(&shared.last_error).clone(),
        };
        lock(&self.common.channels).values().map(|entry| status(&entry.shared)).collect()
    }

    /// Ends all channels in two phases: first each finishes the attempt under way and begins no
    /// other; those not done after `grace` are ended in the middle. What is not delivered stays in
    /// the outbox and is said after the next start.
    pub async fn shutdown(&self, grace: Duration) {
        let entries = {
            let mut channels = lock(&self.common.channels);
            self.closed.store(true, Ordering::SeqCst);
            std::mem::take(&mut *channels)
        };
        for entry in entries.values() {
            entry.stop.cancel();
        }
        let deadline = Instant::now() + grace;
        for entry in entries.into_values() {
            finish(entry, deadline).await;
        }
    }

    fn unknown(&self, name: &str) -> Error {
        let known: Vec<String> = lock(&self.common.channels).keys().cloned().collect();
        let known =
            if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) };
        Error::not_found(format!("no channel is named '{name}'; {known}")).with_operation("alerts.channel")
    }
}

impl Drop for Dispatcher {
    /// Tasks that [`shutdown`](Dispatcher::shutdown) did not end are ended here.
    fn drop(&mut self) {
        for entry in lock(&self.common.channels).values() {
            entry.stop.cancel();
            entry.task.abort();
        }
    }
}

async fn finish(mut entry: Entry, deadline: Instant) {
    if timeout_at(deadline, &mut entry.task).await.is_err() {
        entry.task.abort();
        tracing::warn!(
            channel = %entry.shared.name,
            "an attempt to deliver an alert was ended by the shutdown; it is made again after the next start"
        );
    }
}

/// Says a test message on `channel`, outside any outbox: for people who have just set one up.
///
/// # Errors
/// What the channel's attempt met; [`Timeout`](ErrorKind::Timeout) after the channel's own limit.
pub async fn test_message(channel: &dyn Channel, at: jiff::Timestamp) -> Result<Receipt> {
    let message = Message::test(at);
    super::worker::attempt(channel, &message).await.map_err(|error| error.with_operation("alerts.test"))
}

#[cfg(test)]
mod tests;
