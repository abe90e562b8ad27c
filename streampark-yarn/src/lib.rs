//! Apache Flink on Hadoop YARN through the REST interfaces of the ResourceManager and HDFS.

mod facts;
mod hadoop;

pub use facts::{ClusterFacts, RemoteFile, ResourceLimits, ResourceType, Visibility};
pub use hadoop::HadoopConf;
