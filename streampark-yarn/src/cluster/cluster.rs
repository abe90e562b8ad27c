//! Hadoop YARN as a place that accepts runs: one application each.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::Serialize;
use streampark_core::Result;
use streampark_core::cluster::{
    Accepted, Capability, Cluster, ClusterInfo, JobManager, LogKind, LogOptions, LogStream, Lookup, Observation, Plan,
    PlanStep, SavepointOptions, Stop, Stopped, Submission,
};
use streampark_core::flink::FlinkVersion;
use streampark_core::job::{DeploymentId, Failure, RestorePoint, RunKey, RunRef, Verification};

use super::applications::{Asking, verification};
use super::observe::{Memory, run_of};
use crate::auth::Authenticator;
use crate::config::YarnOptions;
use crate::dist::{OnInstalling, dist_tag};
use crate::fs::FileSystem;
use crate::ground::Yarn;
use crate::managers::Managers;
use crate::submission::Deploy;

/// Checkpoint folders of so many runs are remembered.
const MAX_FOLDERS: usize = 20_000;

/// A Hadoop cluster, spoken to without a JVM: ResourceManager, HDFS and NodeManagers over HTTP.
///
/// Each run is an application of its own. Clones share their connections.
///
/// ```no_run
/// use streampark_yarn::{YarnCluster, YarnOptions};
///
/// # fn f() -> streampark_core::Result<()> {
/// let options = YarnOptions::from_hadoop_conf("/etc/hadoop/conf").flink_home("/opt/flink-1.20.5");
/// let cluster = YarnCluster::new(options)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct YarnCluster {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) yarn: Yarn,
    pub(crate) managers: Managers,
    pub(crate) memory: Memory,
    /// Where each run's checkpoints go, as its submission said.
    folders: Mutex<HashMap<RunKey, String>>,
}

/// What [`YarnCluster::collect_distributions`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Collected {
    /// Distributions that were removed.
    pub removed: Vec<String>,
    /// Distributions that stay, because applications use them or this cluster submits with them.
    pub kept: Vec<String>,
}

impl YarnCluster {
    /// The cluster that `options` describe, as the user that they name. No request is made.
    ///
    /// # Errors
    /// [`InvalidInput`](streampark_core::ErrorKind::InvalidInput) naming the option at fault; those of reading the Hadoop
    /// configuration folder.
    pub fn new(options: YarnOptions) -> Result<Self> {
        Self::with(options, None, None)
    }

    /// As [`new`](Self::new), with another way to prove who we are.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_authenticator(options: YarnOptions, authenticator: Arc<dyn Authenticator>) -> Result<Self> {
        Self::with(options, Some(authenticator), None)
    }

    /// As [`new`](Self::new), with another way to prove who we are, and another file system.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with(
        options: YarnOptions,
        authenticator: Option<Arc<dyn Authenticator>>,
        file_system: Option<Arc<dyn FileSystem>>,
    ) -> Result<Self> {
        let yarn = Yarn::new(options, authenticator, file_system)?;
        let inner = Inner { yarn, managers: Managers::default(), memory: Memory::default(), folders: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The options that this cluster was made with.
    pub fn options(&self) -> &YarnOptions {
        &self.inner.yarn.options
    }

    /// Puts Flink on the cluster where that is needed, so that the first submission does not wait for
    /// it, and gives its version.
    ///
    /// # Errors
    /// Those of reading Flink here and writing it there.
    pub async fn install(&self, told: Option<OnInstalling>) -> Result<FlinkVersion> {
        Ok(self.inner.yarn.wares(told.as_ref()).await?.version)
    }

    /// Removes distributions of Flink that no application uses any more; never the one that this
    /// cluster submits with.
    ///
    /// # Errors
    /// Those of the ResourceManager and the file system.
    pub async fn collect_distributions(&self) -> Result<Collected> {
        let yarn = &self.inner.yarn;
        let ground = yarn.ground().await?;
        let own = yarn.wares_for_plan().await.ok().and_then(|(wares, _)| wares.tag);
        let cache = yarn.cache(ground)?;
        let (whole, drafts) = cache.list().await?;
        let mut collected = Collected::default();
        for name in whole {
            let Some(tag) = dist_tag(&name) else { continue };
            let users = yarn.certain(|| yarn.rm.tagged(&tag)).await?;
            if own.as_ref() == Some(&tag) || users.iter().any(|app| !app.state.is_over()) {
                collected.kept.push(name);
                continue;
            }
            ground.fs.remove(&format!("{}/{name}", cache.folder)).await?;
            collected.removed.push(name);
        }
        for name in drafts {
            ground.fs.remove(&format!("{}/{name}", cache.folder)).await?;
        }
        Ok(collected)
    }

    pub(super) fn checkpoint_folders(&self, run: &RunRef) -> Vec<String> {
        let mut folders: Vec<String> = Vec::new();
        folders.extend(self.inner.folders.lock().unwrap_or_else(PoisonError::into_inner).get(&run.key).cloned());
        for key in CHECKPOINT_KEYS {
            folders.extend(self.options().flink.get(key).map(str::to_owned));
        }
        folders.dedup();
        folders
    }

    fn remember_folder(&self, submission: &Submission) {
        let config = &submission.config;
        let Some(folder) = CHECKPOINT_KEYS.iter().find_map(|key| config.get(key)) else { return };
        let mut folders = self.inner.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if folders.len() >= MAX_FOLDERS {
            folders.clear();
        }
        folders.insert(submission.run.key, folder.to_owned());
    }
}

/// `CheckpointingOptions.CHECKPOINTS_DIRECTORY`, by its newer and its older name.
const CHECKPOINT_KEYS: [&str; 2] = ["execution.checkpointing.dir", "state.checkpoints.dir"];

#[async_trait]
impl Cluster for YarnCluster {
    fn info(&self) -> ClusterInfo {
        let yarn = &self.inner.yarn;
        let base = yarn.rm.base();
        let mut info = ClusterInfo::new(
            "yarn",
            match &yarn.options.queue {
                Some(queue) => format!("{base} queue {queue}"),
                None => base.to_string(),
            },
        );
        info.flink_version = yarn.known_version();
        info.web_url = base.join("cluster").ok();
        info.orphan_timeout = yarn.options.orphan_timeout;
        info.incarnation = yarn.known_incarnation();
        info
    }

    fn capability(&self) -> Capability {
        let mut capability = Capability::default();
        capability.application = true;
        capability.fenced_submit = true;
        capability.reserve = true;
        capability.job_config = true;
        capability.savepoint = true;
        capability.stop_with_savepoint = true;
        capability.drain = true;
        capability.restore = true;
        capability.verify_restore_points = true;
        capability.logs = true;
        capability.python = true;
        capability.extra_jars = true;
        capability
    }

    async fn observe(&self) -> Result<Vec<Observation>> {
        let inner = &self.inner;
        let apps = inner.yarn.fleet(&inner.memory).await?;
        let live: BTreeSet<&str> = apps.iter().filter(|app| !app.state.is_over()).map(|app| app.id.as_str()).collect();
        inner.managers.keep_only(|id| live.contains(id));
        // Sessions carry our tag too, and no run's.
        let runs: Vec<_> = apps.into_iter().filter(|app| run_of(app).is_some()).collect();
        let runs = self.without_copies(runs).await;
        let mut seen = inner.yarn.observations(&runs, &inner.managers, &inner.memory).await;
        inner.yarn.tell_leftovers(&runs, &mut seen, &inner.memory).await;
        self.tell_copies(&mut seen);
        Ok(seen)
    }

    async fn reserve(&self, _run: &RunKey) -> Result<Option<DeploymentId>> {
        Ok(Some(DeploymentId::new(self.inner.yarn.new_id().await?)))
    }

    async fn plan(&self, submission: &Submission) -> Result<Plan> {
        let yarn = &self.inner.yarn;
        let ground = yarn.ground().await?;
        let (wares, note) = yarn.wares_for_plan().await?;
        let id = submission.run.deployment.as_ref().map_or("application_0_0000", DeploymentId::as_str);
        let facts = yarn.facts(ground, &wares, id);
        let options = yarn.submission_options(&wares);
        let built = yarn.build(Deploy::Application(submission), &wares.version, &options, facts, ground).await?;
        let mut plan = Plan::new(format!("yarn {}", yarn.rm.base()), &submission.name);
        if submission.run.deployment.is_none() {
            plan.push(PlanStep::new(
                "obtain an application id, in place of application_0_0000 below",
                "POST",
                format!("{}ws/v1/cluster/apps/new-application", yarn.rm.base()),
            ));
        }
        let mut steps = built.plan();
        let last = steps.pop();
        steps.into_iter().for_each(|step| plan.push(step));
        if ground.secure {
            let what = "obtain a delegation token for the application";
            plan.push(PlanStep::new(what, "GETDELEGATIONTOKEN", &ground.default_fs));
        }
        last.into_iter().for_each(|step| plan.push(step));
        plan.notes.extend(note);
        plan.notes.extend(built.notes.iter().cloned());
        Ok(plan)
    }

    async fn submit(&self, submission: &Submission) -> Result<Accepted> {
        let yarn = &self.inner.yarn;
        let accepted = |id: &str, already_there| {
            let mut accepted = Accepted::new(submission.run.flink_job);
            accepted.deployment = Some(DeploymentId::new(id));
            accepted.already_there = already_there;
            accepted
        };
        let known = async { Ok((yarn.ground().await?, yarn.wares(None).await?)) };
        let id = async {
            match &submission.run.deployment {
                Some(id) => Ok(id.as_str().to_owned()),
                None => yarn.new_id().await,
            }
        };
        // Side by side: an id that is not used is of no harm.
        let ((ground, wares), found, id) =
            futures_util::future::try_join3(known, self.find_first(&submission.run), id).await?;
        // What was sent before must not be staged again: nodes compare the times of its files.
        if let Some(app) = found {
            return Ok(accepted(&app.id, true));
        }
        let facts = yarn.facts(ground, &wares, &id);
        let options = yarn.submission_options(&wares);
        let built = yarn.build(Deploy::Application(submission), &wares.version, &options, facts, ground).await?;
        self.remember_folder(submission);
        let (staged, written) = yarn.stage(built, ground).await?;
        yarn.land(&staged, &written, ground).await?;
        self.inner.memory.expect(&id);
        Ok(accepted(&id, false))
    }

    async fn lookup(&self, run: &RunRef) -> Result<Lookup> {
        self.look_up(run).await
    }

    async fn stop(&self, run: &RunRef, how: Stop, savepoint: &SavepointOptions) -> Result<Stopped> {
        self.end(run, how, savepoint).await
    }

    async fn savepoint(&self, run: &RunRef, options: &SavepointOptions) -> Result<RestorePoint> {
        self.take_savepoint(run, options).await
    }

    async fn restore_points(&self, run: &RunRef) -> Result<Vec<RestorePoint>> {
        self.points(run).await
    }

    async fn newest_restore_point(&self, run: &RunRef) -> Result<Option<RestorePoint>> {
        self.newest_point(run).await
    }

    async fn verify(&self, point: &RestorePoint) -> Result<Verification> {
        let ground = self.inner.yarn.ground().await?;
        verification(ground.fs.as_ref(), &point.path).await
    }

    async fn failure(&self, run: &RunRef) -> Result<Option<Failure>> {
        self.reason(run).await
    }

    async fn logs(&self, run: &RunRef, options: &LogOptions) -> Result<LogStream> {
        let app = self.require(run).await?;
        let asked = options.clone();
        let ask = move |manager: Arc<JobManager>| -> Asking<'static, LogStream> {
            let options = asked.clone();
            Box::pin(async move { manager.logs(&options).await })
        };
        if let Some(Ok(log)) = self.read(&app, ask).await {
            return Ok(log);
        }
        let tail = options.tail_bytes.unwrap_or(64 << 20);
        let text = match &options.kind {
            LogKind::TaskManager(which) => self.task_manager_logs(&app, which.as_deref(), tail).await?,
            _ => self.inner.yarn.job_manager_log(&app, "jobmanager.log", tail).await?,
        };
        match text {
            Some(text) => Ok(LogStream::of_bytes(text)),
            None => Err(streampark_core::Error::not_found(
                "the log is gone: the node has forgotten the container, and no aggregated log is there; switch log \
                 aggregation on (yarn.log-aggregation-enable) to keep logs",
            )
            .with_operation("yarn.logs")
            .with_context("application", &app.id)),
        }
    }

    async fn release(&self, run: &RunRef) -> Result<()> {
        self.let_go(run).await
    }
}
