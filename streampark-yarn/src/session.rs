//! Flink sessions on YARN: started, found again by name, resized by their configuration, and stopped.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use streampark_core::cluster::{
    Accepted, Capability, Cluster, ClusterInfo, LogOptions, LogStream, Lookup, Observation, Plan, SavepointOptions,
    SessionCluster, SessionSpec, SessionStatus, StandaloneCluster, Stop, Stopped, Submission,
};
use streampark_core::job::{DeploymentId, Failure, RestorePoint, RunKey, RunRef, Verification};
use streampark_core::{Error, ErrorKind, Result};
use tokio::time::{Instant, sleep};

use crate::cluster::{YarnCluster, verification};
use crate::failure::explain;
use crate::submission::{Built, Deploy};
use crate::wire::{App, AppState};

/// How long a session may take until its JobManager answers.
const START: Duration = Duration::from_secs(300);

/// How long a session may take to end after it was asked to.
const END: Duration = Duration::from_secs(20);

/// The Flink sessions of one Hadoop cluster.
///
/// ```no_run
/// use streampark_core::cluster::{SessionCluster as _, SessionSpec};
/// use streampark_yarn::{YarnCluster, YarnOptions};
///
/// # async fn f() -> streampark_core::Result<()> {
/// let yarn = YarnCluster::new(YarnOptions::from_hadoop_conf("/etc/hadoop/conf").flink_home("/opt/flink"))?;
/// let reports = yarn.sessions().start(&SessionSpec::new("reports")).await?;
/// println!("{:?}", reports.observe().await?);
/// yarn.sessions().stop("reports").await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct YarnSessions {
    yarn: YarnCluster,
}

impl YarnCluster {
    /// The sessions of this cluster.
    pub fn sessions(&self) -> YarnSessions {
        YarnSessions { yarn: self.clone() }
    }
}

/// The tag by which a session is found: names may hold what tags may not.
fn tag_of(name: &str) -> String {
    let hash = hex::encode(Sha256::digest(name.as_bytes()));
    format!("streampark-session-{}", hash.get(..16).unwrap_or(&hash))
}

impl YarnSessions {
    /// Ends a session at once, by YARN; its jobs are lost. One that does not run is no error.
    ///
    /// # Errors
    /// Those of the ResourceManager; [`Timeout`](ErrorKind::Timeout) where it does not end.
    pub async fn kill(&self, name: &str) -> Result<()> {
        for app in self.living(name).await? {
            if !self.yarn.kill(&app, "the session is killed by StreamPark").await? {
                return Err(still_there(name, &app));
            }
            self.yarn.sweep(&app.id).await?;
        }
        Ok(())
    }

    /// The living sessions of this name, the oldest first; the answer is certain where there is none.
    async fn living(&self, name: &str) -> Result<Vec<App>> {
        let mut all = self.all(name).await?;
        all.retain(|app| !app.state.is_over());
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    async fn all(&self, name: &str) -> Result<Vec<App>> {
        let yarn = &self.yarn.inner.yarn;
        let tag = tag_of(name);
        yarn.certain(|| yarn.rm.tagged(&tag)).await
    }

    async fn build(&self, spec: &SessionSpec, id: &str) -> Result<Built> {
        let yarn = &self.yarn.inner.yarn;
        let ground = yarn.ground().await?;
        let wares = yarn.wares(None).await?;
        let facts = yarn.facts(ground, &wares, id);
        let mut options = yarn.submission_options(&wares);
        options.tags.push(tag_of(&spec.name));
        yarn.build(Deploy::Session(spec), &wares.version, &options, facts, ground).await
    }

    async fn submit(&self, spec: &SessionSpec) -> Result<App> {
        let yarn = &self.yarn.inner.yarn;
        let ground = yarn.ground().await?;
        let id = yarn.new_id().await?;
        let (staged, written) = yarn.stage(self.build(spec, &id).await?, ground).await?;
        yarn.land(&staged, &written, ground).await?;
        // Two that start the same session at the same time: the older stays.
        let living = self.living(&spec.name).await?;
        for extra in living.iter().skip(1).filter(|app| app.id == id) {
            self.yarn.kill(extra, "another session of this name was started at the same time").await?;
            self.yarn.sweep(&extra.id).await?;
        }
        let gone = || Error::new(ErrorKind::Remote, "YARN took the session and does not list it; ask again");
        living.into_iter().next().ok_or_else(gone)
    }

    async fn answering(&self, name: &str, id: &str) -> Result<(String, App)> {
        let yarn = &self.yarn.inner.yarn;
        let deadline = Instant::now() + START;
        loop {
            let app = yarn.rm.app(id).await?;
            if let Some(app) = &app {
                if app.state.is_over() {
                    return Err(ended(name, app));
                }
                if let Ok(Some(manager)) = self.yarn.inner.managers.of(yarn, app)
                    && manager.rest().overview().await.is_ok()
                {
                    return Ok((manager.rest().base_url().to_string(), app.clone()));
                }
            }
            if Instant::now() >= deadline {
                let waits = app.map(|app| app.diagnostics).unwrap_or_default();
                return Err(Error::new(
                    ErrorKind::Timeout,
                    format!("the session '{name}' did not answer within {START:?}: {}", waits.trim()),
                )
                .with_operation("yarn.session")
                .with_context("application", id));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

fn ended(name: &str, app: &App) -> Error {
    let reason = explain(app).map_or_else(|| app.state.to_string(), |failure| failure.message);
    Error::new(ErrorKind::NotFound, format!("the session '{name}' has ended: {reason}; start it again"))
        .with_operation("yarn.session")
        .with_context("application", &app.id)
}

fn still_there(name: &str, app: &App) -> Error {
    Error::new(ErrorKind::Timeout, format!("the session '{name}' was told to end and has not yet"))
        .with_operation("yarn.session")
        .with_context("application", &app.id)
}

#[async_trait]
impl SessionCluster for YarnSessions {
    async fn start(&self, spec: &SessionSpec) -> Result<Arc<dyn Cluster>> {
        if spec.name.is_empty() {
            return Err(Error::invalid("a session needs a name, by which it is found again"));
        }
        let app = match self.living(&spec.name).await?.into_iter().next() {
            Some(app) => app,
            None => self.submit(spec).await?,
        };
        let (address, app) = self.answering(&spec.name, &app.id).await?;
        Ok(Arc::new(YarnSession {
            sessions: self.clone(),
            name: spec.name.clone(),
            id: app.id,
            over: OnceLock::new(),
            current: Mutex::new((address.clone(), Arc::new(StandaloneCluster::new(address)?))),
        }))
    }

    async fn status(&self, name: &str) -> Result<Option<(DeploymentId, SessionStatus)>> {
        let all = self.all(name).await?;
        let Some(app) = all.into_iter().max_by_key(|app| (!app.state.is_over(), app.started_time)) else {
            return Ok(None);
        };
        let status = if app.state.is_over() {
            let reason = explain(&app).map(|failure| failure.message);
            SessionStatus::Ended(reason.unwrap_or_else(|| "it was stopped".to_owned()))
        } else {
            let answer = self.yarn.inner.managers.ask(&self.yarn.inner.yarn, &app).await;
            let answers = app.state == AppState::Running && matches!(answer, Some(Ok(_)));
            if answers { SessionStatus::Running } else { SessionStatus::Starting }
        };
        Ok(Some((DeploymentId::new(app.id), status)))
    }

    async fn stop(&self, name: &str) -> Result<()> {
        for app in self.living(name).await? {
            let manager = self.yarn.manager(&app)?;
            let asked = match &manager {
                Some(manager) => manager.rest().shut_down_cluster().await.is_ok(),
                None => false,
            };
            let over = asked && self.yarn.wait_for_end(&app.id, END).await?;
            if !over && !self.yarn.kill(&app, "the session is stopped by StreamPark").await? {
                return Err(still_there(name, &app));
            }
            self.yarn.sweep(&app.id).await?;
        }
        Ok(())
    }
}

/// One session; its JobManager is found again where it moves to another node.
#[derive(Debug)]
struct YarnSession {
    sessions: YarnSessions,
    name: String,
    id: String,
    /// Why it has ended, once that was seen.
    over: OnceLock<Failure>,
    current: Mutex<(String, Arc<StandaloneCluster>)>,
}

impl YarnSession {
    fn session(&self) -> Arc<StandaloneCluster> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// After an error: the same session at its new address, or the reason of its end.
    async fn again(&self, error: Error) -> Result<Arc<StandaloneCluster>> {
        if error.kind() != ErrorKind::Unreachable || !error.is_retryable() {
            return Err(error);
        }
        let yarn = &self.sessions.yarn.inner.yarn;
        let app = yarn.rm.app(&self.id).await.ok().flatten();
        let Some(app) = app else { return Err(error) };
        if app.state.is_over() {
            return Err(ended(&self.name, &app));
        }
        let Some(told) = app.flink_address() else { return Err(error) };
        let address = format!("http://{}/", yarn.reachable(told));
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 == address {
            return Err(error);
        }
        *current = (address.clone(), Arc::new(StandaloneCluster::new(address)?));
        Ok(Arc::clone(&current.1))
    }

    /// Why it has ended, by YARN and by its log.
    async fn last_words(&self) -> Result<Failure> {
        let app = self.sessions.yarn.inner.yarn.rm.app(&self.id).await?;
        let told = match &app {
            Some(app) => self.sessions.yarn.why_over(app).await,
            None => None,
        };
        let stopped = || Failure::new(format!("the session '{}' was stopped", self.name));
        Ok(told.unwrap_or_else(stopped))
    }

    fn is_gone(error: &Error) -> bool {
        error.kind() == ErrorKind::NotFound && error.operation() == Some("yarn.session")
    }

    async fn verified(&self, point: &mut RestorePoint) -> Result<()> {
        let ground = self.sessions.yarn.inner.yarn.ground().await?;
        point.verification = verification(ground.fs.as_ref(), &point.path).await?;
        Ok(())
    }
}

/// Asks the session, and once more where its JobManager has moved.
macro_rules! ask {
    ($own:ident, $session:ident => $call:expr) => {{
        let $session = $own.session();
        match $call.await {
            Err(error) => {
                let $session = $own.again(error).await?;
                $call.await
            }
            answer => answer,
        }
    }};
}

#[async_trait]
impl Cluster for YarnSession {
    fn info(&self) -> ClusterInfo {
        let mut info = self.session().info();
        info.kind = "yarn-session".to_owned();
        info.location = format!("{} session {} {}", self.sessions.yarn.inner.yarn.rm.base(), self.name, self.id);
        info.orphan_timeout = self.sessions.yarn.options().orphan_timeout;
        info
    }

    fn capability(&self) -> Capability {
        let mut capability = self.session().capability();
        capability.verify_restore_points = true;
        capability
    }

    fn ended(&self) -> Option<Failure> {
        self.over.get().cloned()
    }

    async fn observe(&self) -> Result<Vec<Observation>> {
        if self.over.get().is_some() {
            return Ok(Vec::new());
        }
        let answer = async { ask!(self, session => session.observe()) }.await;
        match answer {
            // YARN itself says that the session is over: nothing runs in it any more.
            Err(error) if Self::is_gone(&error) => {
                let reason = self.last_words().await?;
                let _known = self.over.set(reason);
                Ok(Vec::new())
            }
            answer => answer,
        }
    }

    async fn reserve(&self, _run: &RunKey) -> Result<Option<DeploymentId>> {
        Ok(None)
    }

    async fn plan(&self, submission: &Submission) -> Result<Plan> {
        self.session().plan(submission).await
    }

    async fn submit(&self, submission: &Submission) -> Result<Accepted> {
        ask!(self, session => session.submit(submission))
    }

    async fn lookup(&self, run: &RunRef) -> Result<Lookup> {
        let answer = async { ask!(self, session => session.lookup(run)) }.await;
        match answer {
            Err(error) if Self::is_gone(&error) => Ok(Lookup::NeverArrived),
            answer => answer,
        }
    }

    async fn stop(&self, run: &RunRef, how: Stop, savepoint: &SavepointOptions) -> Result<Stopped> {
        let mut stopped = ask!(self, session => session.stop(run, how, savepoint))?;
        if let Some(point) = &mut stopped.savepoint {
            self.verified(point).await?;
        }
        Ok(stopped)
    }

    async fn savepoint(&self, run: &RunRef, options: &SavepointOptions) -> Result<RestorePoint> {
        let mut point = ask!(self, session => session.savepoint(run, options))?;
        self.verified(&mut point).await?;
        Ok(point)
    }

    async fn restore_points(&self, run: &RunRef) -> Result<Vec<RestorePoint>> {
        let mut points = ask!(self, session => session.restore_points(run))?;
        for point in &mut points {
            self.verified(point).await?;
        }
        points.retain(RestorePoint::is_usable);
        Ok(points)
    }

    async fn newest_restore_point(&self, run: &RunRef) -> Result<Option<RestorePoint>> {
        ask!(self, session => session.newest_restore_point(run))
    }

    async fn verify(&self, point: &RestorePoint) -> Result<Verification> {
        self.sessions.yarn.verify(point).await
    }

    async fn failure(&self, run: &RunRef) -> Result<Option<Failure>> {
        ask!(self, session => session.failure(run))
    }

    async fn logs(&self, run: &RunRef, options: &LogOptions) -> Result<LogStream> {
        ask!(self, session => session.logs(run, options))
    }

    async fn release(&self, _run: &RunRef) -> Result<()> {
        Ok(())
    }
}
