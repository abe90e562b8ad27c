//! A real HDFS and YARN, for one test: one node or two, one ResourceManager or a pair.

mod scene;
mod tripwire;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use streampark_core::cluster::Cluster;
use streampark_core::job::{Failure, RunRef};
use streampark_yarn::YarnOptions;

pub use scene::{Scene, patient};
pub use tripwire::{Moment, Tripwire};

use crate::process::Servers;

/// Why a run failed, asked as the supervisor asks: again, where its JobManager leaves just now.
///
/// # Panics
/// Where there is no answer within a minute.
#[allow(clippy::panic)]
pub async fn reason(cluster: &dyn Cluster, run: &RunRef) -> Option<Failure> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match cluster.failure(run).await {
            Ok(failure) => return failure,
            Err(error) if error.is_retryable() && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => panic!("no reason of the failure: {error:?}"),
        }
    }
}

/// What a node lends to containers, in MiB.
pub(crate) const MEMORY: &str = "4096";

/// Where the daemons are, as `tests/servers/hadoop.py` says.
#[derive(Debug, Clone, Deserialize)]
pub struct Addresses {
    /// The ResourceManager's web address.
    pub resource_manager: String,
    /// The web addresses of all ResourceManagers.
    pub resource_managers: Vec<String>,
    /// The NodeManager's web address.
    pub node_manager: String,
    /// That of `nodemanager2`.
    pub second_node_manager: String,
    /// The DataNode's web address.
    pub data_node: String,
    /// The NameNode's web address.
    pub web_hdfs: String,
    /// `fs.defaultFS`.
    pub fs: String,
    /// Who runs it.
    pub user: String,
    /// The folder of the configuration.
    pub conf: PathBuf,
    /// Where containers run.
    pub local_dirs: PathBuf,
    /// Where containers log.
    pub log_dirs: PathBuf,
    /// How long it took to be ready.
    pub ready_seconds: Value,
}

/// Processes so small that several applications share 4 GB, and checkpoints that stay.
pub fn small(mut options: YarnOptions) -> YarnOptions {
    // A machine with much to do.
    options.timeout = Duration::from_secs(60);
    options
        .flink("jobmanager.memory.process.size", "768m")
        .flink("jobmanager.memory.jvm-metaspace.size", "160m")
        .flink("taskmanager.memory.process.size", "900m")
        .flink("taskmanager.memory.managed.size", "0m")
        .flink("taskmanager.memory.jvm-metaspace.size", "160m")
        .flink("yarn.heartbeat.interval", "1")
        .flink("execution.checkpointing.interval", "500 ms")
        .flink("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION")
}

/// The daemons; they end with this value.
///
/// Orders: `kill`, `term`, `start`, `pause` and `resume` with the name of a daemon, or `set`.
pub type Hadoop = Servers<Addresses>;

impl Servers<Addresses> {
    /// Starts the Hadoop in `home`, with more arguments for `hadoop.py`.
    ///
    /// # Panics
    /// Where it does not come up: the test cannot go on.
    pub fn start(home: &str, arguments: &[&str]) -> Self {
        Self::run("hadoop.py", ["--home", home, "--memory", MEMORY].iter().chain(arguments))
    }
}
