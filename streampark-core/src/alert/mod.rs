//! Alerts: who is told, and how it is made sure that they hear.

mod alert;
mod channel;
mod delivery;
mod dingtalk;
mod http;
mod log;
mod outbox;
mod pace;
mod render;
#[cfg(test)]
mod testing;
mod webhook;
mod worker;

pub use alert::{Alert, AlertId, AlertKind, Severity};
pub use channel::{Channel, ChannelLimits, Message, Receipt};
pub use delivery::{ChannelStatus, Dispatcher, DispatcherOptions, Raise, test_message};
pub use dingtalk::DingTalk;
pub use log::Log;
pub use outbox::{Delivery, DeliveryId, DeliveryState, Outbox};
pub use webhook::Webhook;
