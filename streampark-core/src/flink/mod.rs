//! Flink's own REST interface, configuration, memory and version rules: usable alone.
//!
//! | module | what it knows |
//! |---|---|
//! | [`rest`] | the JobManager's REST interface |
//! | `exception` | what a Java stack trace really says ([`RootCause`]) |
//! | `version` | what changed in which version ([`FlinkVersion`]) |
//! | `id` | [`FlinkJobId`] and [`TriggerId`] |

mod exception;
mod stub;
pub use stub::*;
mod id;
pub mod rest;
mod version;

pub use exception::{Cause, FailureClass, RootCause};
pub use id::{FlinkJobId, TriggerId};
pub use rest::{JobStatus, RestClient, RestOptions};
pub use version::FlinkVersion;
