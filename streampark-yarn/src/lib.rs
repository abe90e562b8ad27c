//! Apache Flink on Hadoop YARN through the REST interfaces of the ResourceManager and HDFS.

mod auth;
mod client;
mod config;
mod dist;
mod error;
mod facts;
mod fs;
mod hadoop;
mod http;
mod provided;
pub mod submission;
mod wire;

pub use auth::{Authenticator, Challenge, Proof, Service, Simple, StaticHeader, Target};
pub use config::YarnOptions;
pub use dist::{Installing, OnInstalling};
pub use facts::{ClusterFacts, RemoteFile, ResourceLimits, ResourceType, Visibility};
pub use fs::{Content, FileStatus, FileSystem, Progress, SharedFolder};
pub use hadoop::HadoopConf;
