//! A simulated engine: runs nothing, forgets nothing, fails on demand.

mod cluster;
mod engine;
mod fault;
#[cfg(test)]
mod tests;

pub use cluster::{MemoryCluster, MemoryOptions};
pub use engine::{Copy, CopyLog};
pub use fault::{Call, Fault};
