//! Any Flink session that somebody else runs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;

use super::capability::{Capability, ClusterInfo};
use super::cluster::Cluster;
use super::jobmanager::JobManager;
use super::observation::Observation;
use super::packaging;
use super::plan::Plan;
use super::submission::{Accepted, LogOptions, LogStream, Lookup, SavepointOptions, Stop, Stopped, Submission};
use crate::flink::rest::RunJar;
use crate::flink::{FlinkJobId, RestClient, RestOptions};
use crate::job::{DeploymentId, Failure, Location, Resource, RestorePoint, RunKey, RunRef, Verification};
use crate::{ErrorKind, ErrorStatus, Result};

mod submit;

/// A Flink session cluster by its REST address: standalone, on YARN or Kubernetes, behind a proxy.
#[derive(Debug)]
pub struct StandaloneCluster {
    manager: JobManager,
    /// By the hash of a jar: who is looking whether it is there, and sends it.
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl StandaloneCluster {
    /// The session at `address`, for example `http://jobmanager:8081/`. A path is kept as a prefix.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is no `http` or `https` address. No request is made.
    pub fn new(address: impl Into<String>) -> Result<Self> {
        Self::with_options(RestOptions::new([address.into()]))
    }

    /// The session that `options` describe: several addresses, TLS, client certificate, headers.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] naming the option at fault. No request is made.
    pub fn with_options(options: RestOptions) -> Result<Self> {
        Ok(Self { manager: JobManager::new(RestClient::new(options)?), turns: Mutex::default() })
    }

    /// The client of Flink's REST interface below.
    pub fn rest(&self) -> &RestClient {
        self.manager.rest()
    }

    /// Says whether `file:` paths mean the same files here as on Flink's machines (default false): a
    /// shared mount, or one machine. Then restore points are looked for, and found missing.
    #[must_use]
    pub fn sharing_files(mut self, yes: bool) -> Self {
        self.manager = self.manager.sharing_files(yes);
        self
    }

    /// Takes the jar there, unless this JobManager has it already from an earlier run.
    async fn upload(&self, jar: &Resource) -> Result<String> {
        let name = submit::name_there(jar);
        let Some(hash) = &jar.sha256 else { return self.send_jar(jar, &name).await };
        // Two runs of one jar send it once; runs of other jars do not wait for it.
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let turn = turns.get(hash).and_then(Weak::upgrade).unwrap_or_default();
            turns.insert(hash.clone(), Arc::downgrade(&turn));
            turn
        };
        let _mine = turn.lock().await;
        match self.rest().jars().await?.into_iter().find(|jar| jar.name == name) {
            Some(jar) => Ok(jar.id),
            None => self.send_jar(jar, &name).await,
        }
    }

    async fn send_jar(&self, jar: &Resource, name: &str) -> Result<String> {
        let answer = match &jar.location {
            Location::Bytes(bytes) => self.rest().upload_jar_bytes(name, bytes.clone()).await,
            Location::Path(path) => {
                // The JobManager sees the name of the file: a link under the wanted name avoids a copy.
                let folder = tempfile::tempdir()?;
                let link = folder.path().join(name);
                link_or_copy(path.clone(), link.clone()).await?;
                self.rest().upload_jar(&link, None).await
            }
            Location::Remote(url) => return Err(submit::not_here(url).with_operation("standalone.upload")),
        };
        // An upload that is sent twice only costs space.
        answer.map(|jar| jar.id).map_err(|error| match error.status() {
            ErrorStatus::Unknown => error.with_status(ErrorStatus::Temporary),
            _ => error,
        })
    }

    async fn run(&self, jar: &Resource, run: &RunJar) -> Result<FlinkJobId> {
        let id = self.upload(jar).await?;
        match self.rest().run_jar(&id, run).await {
            // Another JobManager took the lead meanwhile, or somebody tidied up.
            Err(error) if error.kind() == ErrorKind::NotFound && !self.has_jar(&id).await => {
                let id = self.upload(jar).await?;
                self.rest().run_jar(&id, run).await
            }
            other => other,
        }
    }

    /// True where that cannot be found out.
    async fn has_jar(&self, id: &str) -> bool {
        self.rest().jars().await.map_or(true, |jars| jars.iter().any(|jar| jar.id == id))
    }
}

async fn link_or_copy(from: PathBuf, to: PathBuf) -> Result<()> {
    let from = tokio::fs::canonicalize(&from).await?;
    #[cfg(unix)]
    tokio::fs::symlink(&from, &to).await?;
    #[cfg(not(unix))]
    tokio::fs::copy(&from, &to).await?;
    Ok(())
}

#[async_trait]
impl Cluster for StandaloneCluster {
    fn info(&self) -> ClusterInfo {
        let (version, orphans) = self.manager.known();
        let mut info = ClusterInfo::new("standalone", self.rest().base_url().as_str());
        info.flink_version = version;
        info.web_url = Some(self.rest().base_url().clone());
        info.orphan_timeout = orphans.unwrap_or(Duration::from_secs(60));
        info.incarnation = self.manager.incarnation();
        info
    }

    fn capability(&self) -> Capability {
        Capability {
            session: true,
            fenced_submit: true,
            job_config: true,
            savepoint: true,
            stop_with_savepoint: true,
            drain: true,
            restore: true,
            verify_restore_points: self.manager.shares_files(),
            logs: true,
            extra_jars: true,
            ..Capability::default()
        }
    }

    async fn observe(&self) -> Result<Vec<Observation>> {
        self.manager.observe().await
    }

    async fn reserve(&self, _run: &RunKey) -> Result<Option<DeploymentId>> {
        Ok(None)
    }

    async fn plan(&self, submission: &Submission) -> Result<Plan> {
        submit::check(submission)?;
        let packed = packaging::with_libraries(&submission.launch).await?;
        let jar = submit::jar_of(submission, packed.as_ref().map(|packed| &packed.jar))?;
        submit::plan(self.rest(), submission, jar).await
    }

    async fn submit(&self, submission: &Submission) -> Result<Accepted> {
        submit::check(submission)?;
        let packed = packaging::with_libraries(&submission.launch).await?;
        let jar = submit::jar_of(submission, packed.as_ref().map(|packed| &packed.jar))?;
        let version = self.rest().version().await?;
        let run = submit::run_of(submission, Some(&version));
        run.check(&version).map_err(|error| error.with_operation("standalone.submit"))?;
        match self.run(jar, &run).await {
            Ok(job) => Ok(Accepted::new(job)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Ok(Accepted { already_there: true, ..Accepted::new(submission.run.flink_job) })
            }
            Err(error) => {
                if error.status() == ErrorStatus::Unknown {
                    self.manager.lost_answer(submission.run.flink_job);
                }
                Err(submit::in_user_words(error))
            }
        }
    }

    async fn lookup(&self, run: &RunRef) -> Result<Lookup> {
        self.manager.lookup(run).await
    }

    async fn stop(&self, run: &RunRef, how: Stop, savepoint: &SavepointOptions) -> Result<Stopped> {
        self.manager.stop(run, how, savepoint).await
    }

    async fn savepoint(&self, run: &RunRef, options: &SavepointOptions) -> Result<RestorePoint> {
        self.manager.savepoint(run, options).await
    }

    async fn restore_points(&self, run: &RunRef) -> Result<Vec<RestorePoint>> {
        self.manager.restore_points(run).await
    }

    async fn newest_restore_point(&self, run: &RunRef) -> Result<Option<RestorePoint>> {
        self.manager.newest_restore_point(run).await
    }

    async fn verify(&self, point: &RestorePoint) -> Result<Verification> {
        Ok(self.manager.verify(&point.path).await)
    }

    async fn failure(&self, run: &RunRef) -> Result<Option<Failure>> {
        self.manager.failure(run).await
    }

    async fn logs(&self, _run: &RunRef, options: &LogOptions) -> Result<LogStream> {
        self.manager.logs(options).await
    }

    async fn release(&self, _run: &RunRef) -> Result<()> {
        Ok(())
    }
}
