//! What is still to be said: written with the change it tells of, delivered at least once.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::alert::Alert;
use crate::Result;

/// Identity of one alert on its way to one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(Uuid);

impl DeliveryId {
    /// A new identity; later ones sort after earlier ones.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The identity made of these 128 bits.
    pub fn from_u128(value: u128) -> Self {
        Self(Uuid::from_u128(value))
    }

    /// The identity as 128 bits.
    pub fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// The identity of one message that says all of these: the delivery's own where it is one,
    /// else derived from them, so that the same deliveries always make the same message.
    pub fn of_all(deliveries: &[DeliveryId]) -> Self {
        if let [only] = deliveries {
            return *only;
        }
        let mut hash = Sha256::new();
        for delivery in deliveries {
            hash.update(delivery.0.as_bytes());
        }
        Self::of_hash(hash)
    }

    /// An identity that belongs to this one, the same for the same `purpose`.
    pub fn derived(self, purpose: &str) -> Self {
        Self::of_hash(Sha256::new().chain_update(self.0.as_bytes()).chain_update(purpose))
    }

    fn of_hash(hash: Sha256) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl std::str::FromStr for DeliveryId {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self> {
        Uuid::parse_str(text).map(Self).map_err(|_| crate::Error::invalid(format!("'{text}' is not a delivery id")))
    }
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Still to be said.
    Pending,
    /// The other side accepted it.
    Delivered,
    /// Given up: a dead letter.
    Dead,
}

/// One alert on its way to one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Delivery {
    /// Identity, the same on every attempt.
    pub id: DeliveryId,
    /// The channel, by the platform's name for it.
    pub channel: String,
    /// What is to be said.
    pub alert: Alert,
    /// How far it has come.
    pub state: DeliveryState,
    /// Attempts made.
    pub attempts: u32,
    /// Not before this time.
    pub next_at: Timestamp,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the other side accepted it.
    pub delivered_at: Option<Timestamp>,
}

impl Delivery {
    /// `alert` to be said on `channel` at once.
    pub fn new(id: DeliveryId, channel: impl Into<String>, alert: Alert) -> Self {
        Self {
            id,
            channel: channel.into(),
            next_at: alert.at,
            alert,
            state: DeliveryState::Pending,
            attempts: 0,
            last_error: None,
            delivered_at: None,
        }
    }
}

/// Where deliveries are kept. A store fulfils it; new rows come in by the store's own commit.
#[async_trait]
pub trait Outbox: fmt::Debug + Send + Sync + 'static {
    /// Pending deliveries of `channel`, oldest first, at most `limit`, due or not.
    async fn pending(&self, channel: &str, limit: usize) -> Result<Vec<Delivery>>;

    /// How many deliveries of `channel` are pending.
    async fn pending_count(&self, channel: &str) -> Result<u64>;

    /// Marks deliveries as accepted, which is one more attempt of each.
    ///
    /// Here and in the next two, a delivery that is not pending any more, or not stored, is passed over.
    async fn delivered(&self, ids: &[DeliveryId], at: Timestamp) -> Result<()>;

    /// Records a failed attempt and when the next one is due.
    async fn retry(&self, ids: &[DeliveryId], error: &str, next_at: Timestamp) -> Result<()>;

    /// Gives deliveries up after one more attempt.
    async fn dead(&self, ids: &[DeliveryId], error: &str, at: Timestamp) -> Result<()>;

    /// Dead letters, newest first, at most `limit`.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<Delivery>>;
}
