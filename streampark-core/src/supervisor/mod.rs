//! Keeps what is wanted of every job and what its cluster does with it equal.
//!
//! [`Supervisor::start`] loads every job, watches every cluster and gives a [`SupervisorHandle`], over
//! which people and services act. The decisions are pure ([`machine`]); the rest carries them out.

pub mod machine;
mod options;
mod supervisor;

pub use machine::Knowledge;
pub use options::SupervisorOptions;
pub use supervisor::{
    ClusterView, Command, JobView, ShutdownReport, Supervisor, SupervisorEvents, SupervisorHandle, SupervisorParts,
};
