//! A real Flink on this machine: a JobManager and TaskManagers as child processes.

mod builder;
mod cluster;
mod home;
mod process;

pub use builder::LocalClusterBuilder;
pub use cluster::LocalCluster;
