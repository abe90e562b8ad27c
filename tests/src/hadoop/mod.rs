//! A real HDFS and YARN, for one test: one node or two, one ResourceManager or a pair.

mod scene;
mod tripwire;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::Value;
use streampark_yarn::YarnOptions;

pub use scene::Scene;
pub use tripwire::{Moment, Tripwire};

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
pub fn small(options: YarnOptions) -> YarnOptions {
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
#[derive(Debug)]
pub struct Hadoop {
    child: Child,
    talk: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
    /// Where the daemons are.
    pub at: Addresses,
    _work: tempfile::TempDir,
}

impl Hadoop {
    /// Starts the Hadoop in `home`, with more arguments for `hadoop.py`.
    ///
    /// # Panics
    /// Where it does not come up: the test cannot go on.
    #[allow(clippy::panic, clippy::unwrap_used)]
    pub fn start(home: &str, arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers").join("hadoop.py");
        let work = tempfile::Builder::new().prefix("streampark-hadoop-").tempdir().unwrap();
        let mut child = Command::new("python3")
            .arg(script)
            .args(["--home", home, "--memory", "4096", "--work"])
            .arg(work.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let at = serde_json::from_str(&line).unwrap_or_else(|error| panic!("hadoop.py said {line:?}: {error}"));
        Self { child, talk: Mutex::new(Some((input, output))), at, _work: work }
    }

    /// Says one of `kill`, `term`, `start`, `pause` and `resume` with the name of a daemon, or `set`.
    ///
    /// # Panics
    /// Where it is not obeyed.
    #[allow(clippy::panic, clippy::unwrap_used)]
    pub fn order(&self, order: &str) {
        let mut talk = self.talk.lock().unwrap();
        let (input, output) = talk.as_mut().unwrap();
        writeln!(input, "{order}").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["ok"], true, "{order}: {answer}");
    }
}

impl Drop for Hadoop {
    fn drop(&mut self) {
        drop(self.talk.lock().map(|mut talk| talk.take()));
        drop(self.child.wait());
    }
}
