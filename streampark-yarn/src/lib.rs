//! Apache Flink on Hadoop YARN through the REST interfaces of the ResourceManager and HDFS.

mod auth;
mod client;
mod error;
mod facts;
mod fs;
mod hadoop;
mod http;
mod wire;

pub use auth::{Authenticator, Challenge, Proof, Service, Simple, StaticHeader, Target};
pub use facts::{ClusterFacts, RemoteFile, ResourceLimits, ResourceType, Visibility};
pub use hadoop::HadoopConf;
