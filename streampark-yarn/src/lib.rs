//! Apache Flink on Hadoop YARN through the REST interfaces of the ResourceManager and HDFS.

mod facts;
pub mod submission;

pub use facts::{ClusterFacts, RemoteFile, ResourceLimits, ResourceType, Visibility};
