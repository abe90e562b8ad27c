//! Apache Flink on Hadoop YARN through the REST interfaces of the ResourceManager and HDFS.

mod archive;
mod auth;
#[cfg(feature = "artifacts")]
mod blobs;
mod client;
mod cluster;
mod config;
mod dist;
mod error;
mod facts;
mod failure;
mod fs;
mod ground;
mod hadoop;
mod http;
#[cfg(feature = "kerberos")]
mod kerberos;
mod managers;
mod nodes;
mod provided;
mod registry;
mod session;
pub mod submission;
mod tokens;
mod wire;

pub use auth::{Authenticator, Challenge, KerberosOptions, Proof, Service, Simple, StaticHeader, Target};
pub use cluster::{Check, Collected, Diagnosis, Finding, YarnCluster};
pub use config::YarnOptions;
pub use dist::{Installing, OnInstalling};
pub use facts::{ClusterFacts, RemoteFile, ResourceLimits, ResourceType, Visibility};
#[cfg(feature = "objects")]
pub use fs::Bucket;
pub use fs::{Content, FileStatus, FileSystem, Progress, SharedFolder};
pub use hadoop::HadoopConf;
#[cfg(feature = "kerberos")]
pub use kerberos::Kerberos;
pub use registry::register;
pub use session::YarnSessions;
