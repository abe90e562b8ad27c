//! Flink's own REST interface, configuration, memory and version rules: usable alone.
//!
//! | module | what it knows |
//! |---|---|
//! | [`rest`] | the JobManager's REST interface |
//! | `config` | `flink-conf.yaml`, `config.yaml` and the values in them ([`FlinkConfig`]) |
//! | `memory` | the memory of a JobManager and a TaskManager, and how their JVMs are started |
//! | `units` | sizes and durations in Flink's notation |
//! | `exception` | what a Java stack trace really says ([`RootCause`]) |
//! | `version` | what changed in which version ([`FlinkVersion`]) |
//! | `id` | [`FlinkJobId`] and [`TriggerId`] |

mod config;
mod exception;
mod id;
mod memory;
pub mod rest;
mod units;
mod version;

pub use config::{FlinkConfig, JAVA_17_OPTIONS, decode_list, encode_list_json, encode_list_legacy};
pub use exception::{Cause, FailureClass, RemoteException, RootCause};
pub use id::{FlinkJobId, TriggerId};
pub use memory::{JobManagerMemory, TaskManagerMemory};
pub use rest::{JobStatus, RestClient, RestOptions};
pub use units::{MemorySize, format_duration, parse_duration};
pub use version::FlinkVersion;
