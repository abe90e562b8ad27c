//! A running local Flink.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use nix::sys::signal::Signal;
use tokio::sync::Mutex;

use super::builder::LocalClusterBuilder;
use super::process::{Java, Roster};
use crate::cluster::{
    Accepted, Capability, Cluster, ClusterInfo, LogOptions, LogStream, Lookup, Observation, Plan, SavepointOptions,
    StandaloneCluster, Stop, Stopped, Submission,
};
use crate::flink::{FlinkVersion, RestClient};
use crate::job::{DeploymentId, Failure, RestorePoint, RunKey, RunRef, Verification};
use crate::{Error, ErrorKind, Result};

#[derive(Debug)]
struct Shared {
    session: StandaloneCluster,
    version: FlinkVersion,
    address: String,
    work: PathBuf,
    roster: Roster,
    processes: Mutex<Option<Processes>>,
}

/// The children, none where Flink was adopted, and the claim on the folder.
#[derive(Debug)]
struct Processes {
    job_manager: Option<Java>,
    task_managers: Vec<Java>,
    _claim: File,
}

/// What was started, or found.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) roster: Roster,
    pub(super) job_manager: Option<Java>,
    pub(super) task_managers: Vec<Java>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Children end with their handles; what was adopted has none.
        if self.processes.get_mut().is_some() {
            self.roster.all().for_each(|process| process.signal(Signal::SIGKILL));
        }
    }
}

/// A real Flink session on this machine, without Flink's shell scripts.
///
/// Clones share it. It ends with [`stop`](Self::stop), or when the last clone is dropped. Where this
/// process is killed, or exits without dropping it, Flink lives on: the next [`start`](LocalClusterBuilder::start) in the same
/// `work_dir` finds it by process id and start time, and uses it again or ends it.
///
/// ```no_run
/// # async fn f() -> streampark_core::Result<()> {
/// use streampark_core::cluster::LocalCluster;
///
/// let flink = LocalCluster::builder().flink_home("/opt/flink").task_managers(1).slots(4).start().await?;
/// println!("Flink answers at {}", flink.address());
/// flink.stop().await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LocalCluster(Arc<Shared>);

impl LocalCluster {
    /// Starts to describe a local Flink.
    pub fn builder() -> LocalClusterBuilder {
        LocalClusterBuilder::new()
    }

    pub(super) fn new(version: FlinkVersion, work: PathBuf, claim: File, started: Started) -> Result<Self> {
        let Started { roster, job_manager, task_managers } = started;
        let session = StandaloneCluster::new(roster.address.clone())?.sharing_files(true);
        let address = roster.address.clone();
        let processes = Mutex::new(Some(Processes { job_manager, task_managers, _claim: claim }));
        Ok(Self(Arc::new(Shared { session, version, address, work, roster, processes })))
    }

    /// The address of the JobManager's REST interface and web UI.
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// The folder with configuration, logs, checkpoints and savepoints.
    pub fn work_dir(&self) -> &Path {
        &self.0.work
    }

    /// The version of Flink.
    pub fn version(&self) -> &FlinkVersion {
        &self.0.version
    }

    /// The client of Flink's REST interface.
    pub fn rest(&self) -> &RestClient {
        self.0.session.rest()
    }

    /// The process ids of the JobManager and the TaskManagers.
    pub fn process_ids(&self) -> (Option<i32>, Vec<i32>) {
        let roster = &self.0.roster;
        (
            roster.job_manager.as_ref().map(|process| process.pid),
            roster.task_managers.iter().map(|process| process.pid).collect(),
        )
    }

    /// Kills the JobManager as `kill -9` does, for tests of what follows; its TaskManagers live on.
    ///
    /// # Errors
    /// None today.
    pub async fn kill_job_manager(&self) -> Result<()> {
        let mut processes = self.0.processes.lock().await;
        match processes.as_mut().and_then(|processes| processes.job_manager.as_mut()) {
            Some(job_manager) => job_manager.kill().await,
            None => {
                if let Some(process) = &self.0.roster.job_manager {
                    process.signal(Signal::SIGKILL);
                }
            }
        }
        Ok(())
    }

    /// Says it where a call found nobody because the JobManager's process has ended.
    fn told<T>(&self, answer: Result<T>) -> Result<T> {
        let ended = self.0.roster.job_manager.as_ref().is_some_and(|process| !process.is_alive());
        answer.map_err(|error| match error.kind() {
            ErrorKind::Unreachable | ErrorKind::Timeout if ended => Error::new(
                ErrorKind::Unreachable,
                "the JobManager of the local Flink has ended; read its log, and start it again in the same work_dir",
            )
            .with_status(error.status())
            .with_context("log", self.0.work.join("log").join("jobmanager.log").display())
            .with_source(error),
            _ => error,
        })
    }

    /// Ends Flink: TaskManagers first, asked to at first, made to after 5 s. A second call does nothing.
    ///
    /// # Errors
    /// None today.
    pub async fn stop(&self) -> Result<()> {
        let Some(processes) = self.0.processes.lock().await.take() else { return Ok(()) };
        let Processes { job_manager, task_managers, _claim } = processes;
        for mut process in task_managers.into_iter().chain(job_manager) {
            process.end().await;
        }
        self.0.roster.end().await;
        let _gone = std::fs::remove_file(self.0.work.join("processes.json"));
        Ok(())
    }
}

#[async_trait]
impl Cluster for LocalCluster {
    fn info(&self) -> ClusterInfo {
        let mut info = self.0.session.info();
        info.kind = "local".to_owned();
        info.flink_version = Some(self.0.version.clone());
        info
    }

    fn capability(&self) -> Capability {
        self.0.session.capability()
    }

    async fn observe(&self) -> Result<Vec<Observation>> {
        self.told(self.0.session.observe().await)
    }

    async fn reserve(&self, run: &RunKey) -> Result<Option<DeploymentId>> {
        self.told(self.0.session.reserve(run).await)
    }

    async fn plan(&self, submission: &Submission) -> Result<Plan> {
        self.told(self.0.session.plan(submission).await)
    }

    async fn submit(&self, submission: &Submission) -> Result<Accepted> {
        self.told(self.0.session.submit(submission).await)
    }

    async fn lookup(&self, run: &RunRef) -> Result<Lookup> {
        self.told(self.0.session.lookup(run).await)
    }

    async fn stop(&self, run: &RunRef, how: Stop, savepoint: &SavepointOptions) -> Result<Stopped> {
        self.told(self.0.session.stop(run, how, savepoint).await)
    }

    async fn savepoint(&self, run: &RunRef, options: &SavepointOptions) -> Result<RestorePoint> {
        self.told(self.0.session.savepoint(run, options).await)
    }

    async fn restore_points(&self, run: &RunRef) -> Result<Vec<RestorePoint>> {
        self.told(self.0.session.restore_points(run).await)
    }

    async fn newest_restore_point(&self, run: &RunRef) -> Result<Option<RestorePoint>> {
        self.told(self.0.session.newest_restore_point(run).await)
    }

    async fn verify(&self, point: &RestorePoint) -> Result<Verification> {
        self.told(self.0.session.verify(point).await)
    }

    async fn failure(&self, run: &RunRef) -> Result<Option<Failure>> {
        self.told(self.0.session.failure(run).await)
    }

    async fn logs(&self, run: &RunRef, options: &LogOptions) -> Result<LogStream> {
        self.told(self.0.session.logs(run, options).await)
    }

    async fn release(&self, run: &RunRef) -> Result<()> {
        self.told(self.0.session.release(run).await)
    }
}
