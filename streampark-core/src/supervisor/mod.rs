//! Keeps what is wanted of every job and what its cluster does with it equal.
//!
//! [`Supervisor::start`] loads every job, watches every cluster and gives a [`SupervisorHandle`], over
//! which people and services act. The decisions are pure ([`machine`]); the rest carries them out.

mod act;
mod command;
mod keeper;
pub mod machine;
mod options;
mod parts;
mod recorder;
mod shared;
mod supervisor;
mod view;
mod watch;

pub use command::Command;
pub use machine::Knowledge;
pub use options::SupervisorOptions;
pub use parts::SupervisorParts;
pub use recorder::EventRecorder;
pub use supervisor::{Supervisor, SupervisorHandle};
pub use view::{ClusterView, JobView, ShutdownReport, SupervisorEvents};

#[cfg(test)]
mod tests;
