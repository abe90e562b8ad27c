//! What must not be lost: jobs, runs, restore points, history and messages still to be said.

mod memory;
mod records;
mod rules;
mod store;

pub use memory::MemoryStore;
pub use records::{
    Batch, ClusterRecord, JobRecord, JobRow, Operation, OperationKind, RunPhase, RunRecord, SpecVersion,
};
pub use store::{Committed, EventFilter, JobFilter, Store};
