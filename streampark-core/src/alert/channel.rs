//! A way to reach people.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::alert::{Alert, AlertId, AlertKind};
use super::outbox::DeliveryId;
use crate::Result;

/// What a channel is asked to say: one alert, or several together where there are too many.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// Identity of the delivery: the same on every attempt, for receivers that tell repeats apart.
    pub id: DeliveryId,
    /// The alerts, oldest first; never empty. More than one make a digest.
    pub alerts: Vec<Alert>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

impl Message {
    /// The first attempt to say `alerts`.
    pub fn new(id: DeliveryId, alerts: Vec<Alert>) -> Self {
        Self { id, alerts, attempt: 1 }
    }

    /// A message that only shows that a channel works.
    pub fn test(at: Timestamp) -> Self {
        let id = AlertId::generate();
        let mut alert = Alert::new(id, AlertKind::Test, format!("test/{id}"), "this is a test message", at);
        alert.action = Some("nothing has to be done: somebody tries out whether this channel works".to_owned());
        Self::new(DeliveryId::generate(), vec![alert])
    }
}

/// What the other side said on accepting a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Receipt {
    /// The other side's own identity of the message, where it gives one.
    pub reference: Option<String>,
}

/// How much a channel bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelLimits {
    /// Messages per minute; None is no limit.
    pub per_minute: Option<u32>,
    /// How long one attempt may take. Default 10 s.
    pub timeout: Duration,
    /// Attempts before a message is given up and kept as a dead letter. Default 5.
    pub attempts: u32,
    /// Alerts waiting for this channel before new ones are merged into digests. Default 1,000.
    pub queue: usize,
}

impl Default for ChannelLimits {
    fn default() -> Self {
        Self { per_minute: None, timeout: Duration::from_secs(10), attempts: 5, queue: 1_000 }
    }
}

/// A way to reach people: a chat robot, a webhook, a mailbox.
///
/// # Contract
/// - `send` makes one attempt; repeats, back-off and the order of messages are not its concern.
/// - An error with status `Permanent` is not tried again: the address or the secret is wrong.
/// - Where the other side names a wait (`Retry-After`), the error carries it as the context pair
///   `retry_after`, in seconds.
#[async_trait]
pub trait Channel: fmt::Debug + Send + Sync + 'static {
    /// The kind, for example `webhook`.
    fn kind(&self) -> &str;

    /// How much it bears.
    fn limits(&self) -> ChannelLimits;

    /// Makes one attempt to say `message`.
    async fn send(&self, message: &Message) -> Result<Receipt>;
}
