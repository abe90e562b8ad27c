//! Flink's REST interface (`/v1`), versions 1.16 to 2.3.
//!
//! One [`RestClient`] speaks with the JobManagers of one cluster; what it can do is sorted by
//! subject: the cluster, jobs, jars, checkpoints, savepoints and metrics. The types are Flink's own
//! words, and tolerate fields that a version lacks or adds.

mod applications;
mod checkpoints;
mod client;
mod cluster;
mod error;
mod exceptions;
mod jars;
mod jobs;
mod line;
mod metrics;
mod options;
mod run;
mod savepoints;
#[cfg(test)]
mod tests;

pub use applications::ApplicationOverview;
pub use checkpoints::{
    Checkpoint, CheckpointConfig, CheckpointCounts, CheckpointStatus, Checkpoints, ExternalizedCheckpoints,
    LatestCheckpoints, RestoredCheckpoint,
};
pub use client::RestClient;
pub use cluster::{
    ClusterConfig, ClusterFeatures, ClusterOverview, ConfigEntry, LogFile, LogSource, TaskManager, TaskManagerHardware,
    TaskManagerResource,
};
pub use exceptions::{ExceptionEntry, JobExceptions};
pub use jars::{Jar, JarEntry, Progress, UploadedJar};
pub use jobs::{
    JobConfig, JobDetail, JobExecutionConfig, JobOverview, JobStatus, JobVertex, TaskCounts, VertexTaskCounts,
};
pub use metrics::{AggregatedMetric, Metric};
pub use options::RestOptions;
pub use run::{ClaimMode, RunJar};
pub use savepoints::{Savepoint, SavepointFormat, SavepointStatus, StopJob, TriggerSavepoint};
