//! From a job and a cluster to what the ResourceManager is sent: what Flink's own client
//! (`YarnClusterDescriptor`) computes in a JVM, as a pure function.
//!
//! [`build`] is the one call. It reads, sends and writes nothing, so the same call makes a plan and a
//! submission. What it must know beforehand is told by [`needs`].
//!
//! ```
//! use streampark_core::cluster::SessionSpec;
//! use streampark_core::flink::FlinkVersion;
//! use streampark_yarn::submission::{Deploy, Request, SubmissionOptions, build};
//! use streampark_yarn::{ClusterFacts, RemoteFile, ResourceLimits, ResourceType, Visibility};
//!
//! let facts = ClusterFacts {
//!     resource_manager: "http://rm:8088/".to_owned(),
//!     default_fs: "hdfs://nn:8020".to_owned(),
//!     user: "alice".to_owned(),
//!     home: "hdfs://nn:8020/user/alice".to_owned(),
//!     yarn_class_path: None,
//!     application_id: "application_1700000000000_0007".to_owned(),
//!     cluster_timestamp: 1_700_000_000_000,
//!     limits: ResourceLimits { max_memory_mb: 8192, max_vcores: 8, min_allocation_mb: 1024 },
//!     hadoop_files: Default::default(),
//!     provided_lib_dirs: vec!["hdfs://nn:8020/flink/lib".to_owned()],
//!     files: vec![RemoteFile {
//!         path: "hdfs://nn:8020/flink/lib/flink-dist-2.3.0.jar".to_owned(),
//!         size: 7,
//!         modified_ms: 1_795_248_513_662,
//!         resource_type: ResourceType::File,
//!         visibility: Visibility::Public,
//!     }],
//!     secure: false,
//! };
//! let (version, session) = (FlinkVersion::new(2, 3), SessionSpec::new("reports"));
//! let options = SubmissionOptions::default();
//! let built = build(&Request::new(Deploy::Session(&session), &version, &options, &facts))?;
//!
//! let staged: Vec<&str> = built.uploads.iter().map(|upload| upload.key.as_str()).collect();
//! assert_eq!(staged, ["log4j.properties", "config.yaml"]);
//! assert_eq!(built.context.masked()["application-name"], "reports");
//! # Ok::<(), streampark_core::Error>(())
//! ```
//!
//! Then the uploads are written, their states are read, and [`Built::staged`] gives what is sent.
//!
//! | module | rule of Flink |
//! |---|---|
//! | `config` | `YarnClusterDescriptor.deployInternal`, `setHAClusterIdIfNotSet`, `removeLocalhostBindHostSetting` |
//! | `wares`, `program`, `resources` | `startAppMaster`, `YarnApplicationFileUploader` |
//! | `descriptor` | `YarnLocalResourceDescriptor` |
//! | `command` | `setupApplicationMasterContainer`, `Utils.getStartCommand`, `YarnLogConfigUtil` |
//! | `environment` | `generateApplicationMasterEnv`, `Utils.setupYarnClassPath` |
//! | `checks` | `validateClusterResources`, `setApplicationTags`, `Utils.setAclsFor` |
//! | `context` | Hadoop's `ApplicationSubmissionContextInfo` |
//!
//! What differs from Flink's client, on purpose: the job's id is fixed, its JobManager lingers and
//! archives ([`SubmissionOptions`]), the application is tagged with its run, a `rest.bind-address` of
//! this machine is dropped, and jars beside the program's go to `usrlib`.

mod build;
mod checks;
mod command;
mod config;
mod context;
mod descriptor;
mod environment;
mod logging;
mod lookup;
mod needs;
mod place;
mod program;
mod request;
mod resources;
mod wares;

pub use build::{Built, ConfigFile, build};
pub use context::{LocalResource, SubmissionContext};
pub use needs::{Needs, needs};
pub use request::{Deploy, LocalDistribution, LocalFile, LocalTree, LogConfig, Request, SubmissionOptions};
pub use resources::Upload;

#[cfg(test)]
mod tests;
