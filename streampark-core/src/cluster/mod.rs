//! Clusters: places that accept runs, and what they say about them.

mod capability;
mod cluster;
mod jobmanager;
#[cfg(feature = "local")]
mod local;
mod memory;
mod observation;
mod packaging;
mod plan;
mod registry;
mod session;
mod standalone;
mod submission;
#[cfg(any(test, feature = "conformance"))]
pub mod suite;

pub use capability::{Capability, ClusterInfo};
pub use cluster::Cluster;
pub use jobmanager::JobManager;
pub(crate) use jobmanager::siblings;
#[cfg(feature = "local")]
pub use local::{LocalCluster, LocalClusterBuilder};
pub use memory::{Call, Copy, CopyLog, Fault, MemoryCluster, MemoryOptions};
pub use observation::{Observation, RunStatus};
pub use plan::{Plan, PlanBody, PlanStep};
pub use registry::{ClusterFactory, ClusterRegistry};
pub use session::{SessionCluster, SessionSpec, SessionStatus};
pub use standalone::StandaloneCluster;
pub use submission::{
    Accepted, LogKind, LogOptions, LogStream, Lookup, SavepointFormat, SavepointOptions, Stop, Stopped, Submission,
};
