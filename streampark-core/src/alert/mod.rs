//! Alerts: who is told, and how it is made sure that they hear.

mod alert;
mod channel;
mod outbox;

pub use alert::{Alert, AlertId, AlertKind, Severity};
pub use channel::{Channel, ChannelLimits, Message, Receipt};
pub use outbox::{Delivery, DeliveryId, DeliveryState, Outbox};
