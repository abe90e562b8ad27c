//! The engine that owns the life of Apache Flink jobs.

mod clock;
mod error;
mod secret;

pub mod alert;
pub mod build;
pub mod cluster;
mod event;
pub mod flink;
pub mod job;
pub mod platform;
pub mod project;
pub mod store;
pub mod supervisor;

pub use clock::{Clock, SharedClock, SystemClock, TokioClock};
pub use error::{Error, ErrorKind, ErrorStatus, Result};
pub use event::{Event, EventKind};
pub use platform::StreamPark;
pub use secret::{REDACTED, Secret, is_sensitive_key};
