//! How much memory a JobManager and a TaskManager get, and how their JVMs are started: the sums of
//! Flink's `ProcessMemoryUtils`, `JobManagerProcessUtils` and `TaskExecutorProcessUtils`.

mod jobmanager;
mod sums;
mod taskmanager;

pub use jobmanager::JobManagerMemory;
pub use taskmanager::TaskManagerMemory;

#[cfg(test)]
mod tests;
