//! What must not be lost: jobs, runs, restore points, history and messages still to be said.

mod memory;
mod records;
mod rules;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
#[cfg(any(test, feature = "conformance"))]
pub mod suite;

pub use memory::MemoryStore;
pub use records::{
    Batch, ClusterRecord, JobRecord, JobRow, Operation, OperationKind, RunPhase, RunRecord, SpecVersion,
};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStore};
pub use store::{Committed, EventFilter, JobFilter, Store};
