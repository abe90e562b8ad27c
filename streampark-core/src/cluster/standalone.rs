//! Any Flink session that somebody else runs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::capability::{Capability, ClusterInfo};
use super::cluster::Cluster;
use super::jobmanager::{JobManager, verify};
use super::observation::Observation;
use super::plan::{Plan, PlanBody, PlanStep};
use super::submission::{Accepted, LogOptions, LogStream, Lookup, SavepointOptions, Stop, Stopped, Submission};
use crate::flink::rest::RunJar;
use crate::flink::{RestClient, RestOptions};
use crate::job::{
    ClaimMode, DeploymentId, Failure, Location, Resource, RestorePoint, RunKey, RunRef, SqlFailure, Verification,
};
use crate::{Error, ErrorKind, Result};

/// A Flink session cluster by its REST address: standalone, on YARN or Kubernetes, behind a proxy.
#[derive(Debug)]
pub struct StandaloneCluster {
    manager: JobManager,
    uploaded: Mutex<HashMap<String, String>>,
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
        Ok(Self { manager: JobManager::new(RestClient::new(options)?), uploaded: Mutex::default() })
    }

    /// The client of Flink's REST interface below.
    pub fn rest(&self) -> &RestClient {
        self.manager.rest()
    }

    fn run_of(&self, submission: &Submission) -> RunJar {
        let launch = &submission.launch;
        let mut config = submission.config.clone();
        config.set_default("pipeline.name", &submission.name);
        let mut run = RunJar::new().args(launch.args.clone()).job_id(submission.run.flink_job);
        if let Some(class) = &launch.entry_class {
            run = run.entry_class(class);
        }
        if let Some(parallelism) = submission.parallelism {
            run = run.parallelism(parallelism);
        }
        if let Some(point) = &submission.restore {
            let mode = match submission.claim_mode {
                ClaimMode::Claim => crate::flink::rest::ClaimMode::Claim,
                ClaimMode::NoClaim => crate::flink::rest::ClaimMode::NoClaim,
            };
            run = run.savepoint_path(&point.path).claim_mode(mode);
            run = run.allow_non_restored_state(submission.allow_non_restored_state);
        }
        run.flink_configuration(config.iter().map(|(key, value)| (key.to_owned(), value.to_owned())))
    }

    fn jar_of<'a>(&self, submission: &'a Submission) -> Result<&'a Resource> {
        submission.launch.jar.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "a session cluster runs programs that come as a jar, and this one has none",
            )
            .with_operation("standalone.submit")
        })
    }

    /// Uploads the jar unless this JobManager has it already from an earlier run.
    async fn upload(&self, jar: &Resource) -> Result<String> {
        let Some(hash) = &jar.sha256 else { return self.send_jar(jar, &jar.name).await };
        // The hash in the name lets another process, or the next one, find the jar again.
        let name = format!("{}-{}", hash.get(..16).unwrap_or(hash), jar.name);
        let mut uploaded = self.uploaded.lock().await;
        let listed = self.rest().jars().await?;
        let known = uploaded.get(hash).filter(|id| listed.iter().any(|jar| &jar.id == *id)).cloned();
        if let Some(id) = known.or_else(|| listed.into_iter().find(|jar| jar.name == name).map(|jar| jar.id)) {
            return Ok(id);
        }
        let id = self.send_jar(jar, &name).await?;
        uploaded.insert(hash.clone(), id.clone());
        Ok(id)
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
            Location::Remote(url) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("a session cluster takes jars from this machine only, and '{url}' is not on it; download it first"),
                )
                .with_operation("standalone.upload"));
            }
        };
        // An upload that is sent twice only costs space.
        answer.map(|jar| jar.id).map_err(|error| match error.status() {
            crate::ErrorStatus::Unknown => error.with_status(crate::ErrorStatus::Temporary),
            _ => error,
        })
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
            verify_restore_points: false,
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
        let jar = self.jar_of(submission)?;
        let address = self.rest().base_url();
        let mut plan = Plan::new(format!("standalone {address}"), &submission.name);
        let size = match &jar.location {
            Location::Bytes(bytes) => Some(bytes.len() as u64),
            Location::Path(path) => tokio::fs::metadata(path).await.ok().map(|file| file.len()),
            Location::Remote(_) => None,
        };
        plan.push(
            PlanStep::new("upload the jar, unless the JobManager has it", "POST", format!("{address}v1/jars/upload"))
                .with_body(PlanBody::File { name: jar.name.clone(), size, sha256: jar.sha256.clone() }),
        );
        let run = self.run_of(submission);
        let body = serde_json::to_value(run.body(self.manager.known().0.as_ref())).unwrap_or_default();
        plan.push(
            PlanStep::new(
                "run it under the JobID that was written down",
                "POST",
                format!("{address}v1/jars/{{jar-id}}/run"),
            )
            .with_body(PlanBody::Json(masked(body))),
        );
        Ok(plan)
    }

    async fn submit(&self, submission: &Submission) -> Result<Accepted> {
        let jar = super::packaging::with_libraries(&submission.launch).await?;
        let jar = match &jar {
            Some(packed) => packed,
            None => self.jar_of(submission)?,
        };
        let id = self.upload(jar).await?;
        match self.rest().run_jar(&id, &self.run_of(submission)).await {
            Ok(job) => Ok(Accepted::new(job)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Ok(Accepted { already_there: true, ..Accepted::new(submission.run.flink_job) })
            }
            Err(error) => Err(in_user_words(error)),
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

    async fn verify(&self, point: &RestorePoint) -> Result<Verification> {
        Ok(verify(&point.path))
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

/// A statement at fault is told by number, line and text instead of a Java stack.
fn in_user_words(error: Error) -> Error {
    let chain = error.chain();
    match SqlFailure::find(&chain) {
        Some(failure) => failure.to_error().with_status(error.status()),
        None => error,
    }
}

fn masked(mut body: serde_json::Value) -> serde_json::Value {
    if let Some(config) = body.get_mut("flinkConfiguration").and_then(serde_json::Value::as_object_mut) {
        for (key, value) in config.iter_mut() {
            if crate::is_sensitive_key(key) {
                *value = crate::REDACTED.into();
            }
        }
    }
    body
}
