//! The engine that owns the life of Apache Flink jobs.

mod clock;
mod error;
mod secret;

pub mod flink;

pub use clock::{Clock, SharedClock, SystemClock, TokioClock};
pub use error::{Error, ErrorKind, ErrorStatus, Result};
pub use secret::{REDACTED, Secret, is_sensitive_key};
