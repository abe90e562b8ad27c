//! How runs end, and what is removed afterwards.

use std::time::Duration;

use streampark_core::cluster::{SavepointOptions, Stop, Stopped};
use streampark_core::job::{RestorePoint, RunRef};
use streampark_core::{Error, ErrorKind, Result};
use tokio::time::{Instant, sleep};

use super::applications::verification;
use super::cluster::YarnCluster;
use super::leftovers::ended_by_yarn_alone;
use crate::managers::writes_need_the_node;
use crate::wire::App;

/// How long an application may take to end after it was asked to.
const END: Duration = Duration::from_secs(8);

impl YarnCluster {
    pub(super) async fn end(&self, run: &RunRef, how: Stop, savepoint: &SavepointOptions) -> Result<Stopped> {
        let app = self.require(run).await?;
        let done = |complete| {
            let mut stopped = Stopped::requested();
            stopped.complete = complete;
            Ok(stopped)
        };
        if app.state.is_over() {
            let gone = !ended_by_yarn_alone(&app) || self.inner.memory.is_gone(&app.id);
            return done(gone || self.inner.yarn.is_at_rest(&app).await);
        }
        if how == Stop::Kill {
            return done(self.kill_whole(&app, "ended by StreamPark").await?);
        }
        match self.manager(&app)? {
            Some(manager) => {
                let stopped = manager.stop(run, how, savepoint).await;
                let mut stopped = stopped.map_err(|error| told_of(error, &app))?;
                if let Some(point) = &mut stopped.savepoint {
                    self.look_at(point).await?;
                }
                Ok(stopped)
            }
            // There is no JobManager yet, and no job that could lose anything.
            None if how == Stop::Cancel => done(self.kill_whole(&app, "cancelled by StreamPark before it ran").await?),
            None => Err(Error::new(
                ErrorKind::Conflict,
                "the application has no JobManager yet, so it can take no savepoint; wait until it runs, or cancel it",
            )
            .with_context("application", &app.id)),
        }
    }

    pub(super) async fn take_savepoint(&self, run: &RunRef, options: &SavepointOptions) -> Result<RestorePoint> {
        let app = self.require(run).await?;
        let Some(manager) = self.manager(&app)? else {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("the application is {} and has no JobManager, so it can take no savepoint", app.state),
            )
            .with_context("application", &app.id));
        };
        let mut point = manager.savepoint(run, options).await.map_err(|error| told_of(error, &app))?;
        self.look_at(&mut point).await?;
        Ok(point)
    }

    async fn look_at(&self, point: &mut RestorePoint) -> Result<()> {
        let ground = self.inner.yarn.ground().await?;
        point.verification = verification(ground.fs.as_ref(), &point.path).await?;
        Ok(())
    }

    /// As [`kill`](Self::kill), removes what it left, and waits as long again until its containers are gone
    /// too; true where they are.
    async fn kill_whole(&self, app: &App, reason: &str) -> Result<bool> {
        if !self.kill(app, reason).await? {
            return Ok(false);
        }
        self.sweep(&app.id).await?;
        let deadline = Instant::now() + END;
        let mut pause = Duration::from_millis(100);
        while !self.inner.yarn.is_at_rest(app).await {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
        Ok(true)
    }

    /// Kills an application, and waits a while for its end; true where it came.
    pub(crate) async fn kill(&self, app: &App, reason: &str) -> Result<bool> {
        let rm = &self.inner.yarn.rm;
        if rm.kill(&app.id, reason).await? {
            return Ok(true);
        }
        self.wait_for_end(&app.id, END).await
    }

    pub(crate) async fn wait_for_end(&self, id: &str, within: Duration) -> Result<bool> {
        let deadline = Instant::now() + within;
        let mut pause = Duration::from_millis(50);
        loop {
            if self.inner.yarn.rm.is_gone(id).await? {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// Removes what an ended application left on the cluster's file system.
    pub(crate) async fn sweep(&self, id: &str) -> Result<()> {
        let inner = &self.inner;
        inner.managers.forget(id);
        inner.memory.over(id);
        let ground = inner.yarn.ground().await?;
        // A JobManager that was killed has a moment left, in which it may write its archive once more.
        while inner.yarn.clean(id, ground).await? {
            sleep(Duration::from_millis(400)).await;
        }
        Ok(())
    }

    /// Ends the JobManager that stayed for its reason to be read, and removes what is left.
    pub(super) async fn let_go(&self, run: &RunRef) -> Result<()> {
        let Some(app) = self.find(run).await? else {
            if let Some(id) = &run.deployment {
                self.sweep(id.as_str()).await?;
            }
            return Ok(());
        };
        if app.state.is_over() {
            self.wait_for_end(&app.id, END).await?;
        } else {
            self.end_lingering(&app).await?;
        }
        self.sweep(&app.id).await
    }

    async fn end_lingering(&self, app: &App) -> Result<()> {
        let manager = self.manager(app)?;
        let jobs = match &manager {
            Some(manager) => manager.observe().await.ok(),
            None => None,
        };
        if let Some(jobs) = &jobs
            && jobs.iter().any(|job| !job.status.is_terminal())
        {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the run is not over: its JobManager has a job that has not ended; stop it first",
            )
            .with_operation("yarn.release")
            .with_context("application", &app.id));
        }
        let asked = match (&manager, &jobs) {
            (Some(manager), Some(_)) => manager.rest().shut_down_cluster().await.is_ok(),
            _ => false,
        };
        if asked && self.wait_for_end(&app.id, END).await? {
            return Ok(());
        }
        if self.kill(app, "ended by StreamPark: its job is over and recorded").await? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Timeout, "the application was told to end and has not yet; try again")
            .with_operation("yarn.release")
            .with_context("application", &app.id))
    }
}

fn told_of(error: Error, app: &App) -> Error {
    let address = app.flink_address().unwrap_or("its node").to_owned();
    writes_need_the_node(error, &address).with_context("application", &app.id)
}
