//! What goes to a cluster, and what comes back.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use serde::{Deserialize, Serialize};

use super::observation::Observation;
use crate::Result;
use crate::flink::{FlinkConfig, FlinkJobId};
use crate::job::{ClaimMode, DeploymentId, JobSpec, Launch, RestorePoint, RunRef};

/// Everything a cluster needs to start one run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Submission {
    /// Who the run is: chosen and committed before anything is sent.
    pub run: RunRef,
    /// The job's name (`pipeline.name`).
    pub name: String,
    /// The program, made ready.
    pub launch: Launch,
    /// Flink configuration: the program's own, then the job's over it.
    pub config: FlinkConfig,
    /// `parallelism.default`; None leaves it to the cluster.
    pub parallelism: Option<u32>,
    /// Where to start from; None starts empty.
    pub restore: Option<RestorePoint>,
    /// Passes state that no operator claims.
    pub allow_non_restored_state: bool,
    /// Who owns the files of `restore` afterwards.
    pub claim_mode: ClaimMode,
    /// Labels that engines can carry (YARN tags, Kubernetes labels), beside our own.
    pub labels: std::collections::BTreeMap<String, String>,
}

impl Submission {
    /// A submission of `launch` as `run`, named `name`, that starts empty.
    pub fn new(run: RunRef, name: impl Into<String>, launch: Launch) -> Self {
        Self {
            run,
            name: name.into(),
            launch,
            config: FlinkConfig::default(),
            parallelism: None,
            restore: None,
            allow_non_restored_state: false,
            claim_mode: ClaimMode::default(),
            labels: std::collections::BTreeMap::new(),
        }
    }
}

impl Submission {
    /// A submission of `launch` as `run` by the rules of `spec`: the program's own configuration, then
    /// the job's over it. Starts empty; set [`restore`](Self::restore) to start from state.
    pub fn of_spec(run: RunRef, spec: &JobSpec, launch: Launch) -> Self {
        let mut config = launch.config.clone();
        config.merge(&spec.flink);
        Self {
            config,
            parallelism: spec.parallelism,
            allow_non_restored_state: spec.restore.allow_non_restored_state,
            claim_mode: spec.restore.claim_mode,
            labels: spec.labels.clone(),
            ..Self::new(run, &spec.name, launch)
        }
    }
}

/// A cluster's word that a run was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Accepted {
    /// Flink's JobID.
    pub flink_job: FlinkJobId,
    /// The engine's place of the run.
    pub deployment: Option<DeploymentId>,
    /// True where the cluster had it already: this call changed nothing.
    pub already_there: bool,
}

impl Accepted {
    /// A run with this JobID was taken now.
    pub fn new(flink_job: FlinkJobId) -> Self {
        Self { flink_job, deployment: None, already_there: false }
    }
}

/// What became of a submission whose answer was lost.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Lookup {
    /// The run exists, or existed: this is how the cluster sees it.
    Found(Box<Observation>),
    /// The cluster answers and has never had the run; the request can no longer arrive.
    NeverArrived,
    /// The cluster cannot tell: ask again later, and send nothing.
    Unknown(String),
}

/// How a run is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stop {
    /// Flink's cancel: at once, no savepoint.
    Cancel,
    /// Stops with a savepoint; sources stop first.
    Savepoint,
    /// Stops with a savepoint after letting all data through (`--drain`); not for going on later.
    Drain,
    /// Ends the whole deployment by the engine's own means, where it has one; else cancels.
    Kill,
}

/// How a run's end was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stopped {
    /// The savepoint, where one was asked for.
    pub savepoint: Option<RestorePoint>,
    /// False where the end was asked for and is still to be observed.
    pub complete: bool,
}

impl Stopped {
    /// An end that was asked for and is still to be observed.
    pub fn requested() -> Self {
        Self { savepoint: None, complete: false }
    }
}

/// How the files of a savepoint are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum SavepointFormat {
    /// Readable by every state backend: Flink's default.
    #[default]
    Canonical,
    /// The state backend's own: quicker.
    Native,
}

/// Where and how a savepoint is written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavepointOptions {
    /// The folder (`execution.checkpointing.savepoint-dir` where None).
    pub directory: Option<String>,
    /// The format. Default canonical.
    pub format: SavepointFormat,
    /// How long to wait for it. Default 10 min.
    pub timeout: Duration,
    /// Names the request, so that asking twice makes one savepoint (Flink's `triggerId`: 32 hex
    /// digits). None lets the cluster choose.
    pub trigger_id: Option<FlinkJobId>,
}

impl Default for SavepointOptions {
    fn default() -> Self {
        Self {
            directory: None,
            format: SavepointFormat::default(),
            timeout: Duration::from_secs(600),
            trigger_id: None,
        }
    }
}

/// Whose log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LogKind {
    /// The JobManager's log.
    #[default]
    JobManager,
    /// The log of one TaskManager, by Flink's id of it; None takes each in turn.
    TaskManager(Option<String>),
}

/// Which part of which log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LogOptions {
    /// Whose log. Default the JobManager's.
    pub kind: LogKind,
    /// At most this many bytes from the end; None gives all.
    pub tail_bytes: Option<u64>,
}

/// A log, piece by piece.
pub struct LogStream(Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>);

impl LogStream {
    /// A log that arrives from `stream`.
    pub fn new(stream: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// A log that is here already.
    pub fn of_bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::new(futures_util::stream::once(async move { Ok(bytes) }))
    }

    /// Everything as text; what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// Those of the stream; [`ErrorKind::Exhausted`](crate::ErrorKind::Exhausted) beyond `limit` bytes.
    pub async fn read_to_string(mut self, limit: usize) -> Result<String> {
        use futures_util::StreamExt as _;

        let mut all = Vec::new();
        while let Some(piece) = self.0.next().await {
            all.extend_from_slice(&piece?);
            if all.len() > limit {
                return Err(crate::Error::new(
                    crate::ErrorKind::Exhausted,
                    format!("the log is longer than {limit} bytes; ask for its tail"),
                ));
            }
        }
        Ok(String::from_utf8_lossy(&all).into_owned())
    }
}

impl Stream for LogStream {
    type Item = Result<Bytes>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl fmt::Debug for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogStream")
    }
}
