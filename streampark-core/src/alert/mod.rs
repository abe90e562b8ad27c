//! Alerts: who is told, and how it is made sure that they hear.

mod alert;
mod channel;
mod delivery;
mod outbox;
mod pace;
mod worker;

pub use alert::{Alert, AlertId, AlertKind, Severity};
pub use channel::{Channel, ChannelLimits, Message, Receipt};
pub use delivery::{ChannelStatus, Dispatcher, DispatcherOptions, Raise, test_message};
pub use outbox::{Delivery, DeliveryId, DeliveryState, Outbox};
