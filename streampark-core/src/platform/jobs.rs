//! All jobs of an engine.

use super::job::{Job, plan_of};
use super::platform::StreamPark;
use crate::cluster::Plan;
use crate::flink::FlinkJobId;
use crate::job::{JobId, JobSpec};
use crate::store::JobFilter;
use crate::supervisor::{Command, JobView};
use crate::{Error, Result};

/// All jobs of an engine.
#[derive(Debug, Clone)]
pub struct Jobs {
    platform: StreamPark,
}

impl Jobs {
    pub(super) fn new(platform: StreamPark) -> Self {
        Self { platform }
    }

    /// Creates a job; nothing is sent until it is started.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) where the spec breaks a rule or
    /// names a cluster or channel that the engine does not know;
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) where a job of that name exists.
    pub async fn create(&self, spec: JobSpec) -> Result<Job> {
        spec.validate()?;
        self.platform.clusters().get(&spec.cluster)?;
        self.platform.channels().require(&spec.alerts)?;
        let actor = self.platform.actor.to_string();
        let command = Command::Create { spec: Box::new(spec), actor };
        let view = self.platform.shared.supervisor.command(command).await?;
        Ok(self.handle(&view))
    }

    /// The job named `name`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where there is none.
    pub fn get(&self, name: &str) -> Result<Job> {
        match self.platform.shared.supervisor.job_by_name(name) {
            Some(view) => Ok(self.handle(&view)),
            None => Err(Error::not_found(format!("there is no job named '{name}'")).with_operation("jobs.get")),
        }
    }

    /// The job `id`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where there is none.
    pub fn by_id(&self, id: JobId) -> Result<Job> {
        match self.platform.shared.supervisor.job(id) {
            Some(view) => Ok(self.handle(&view)),
            None => Err(Error::not_found(format!("there is no job {id}")).with_operation("jobs.by_id")),
        }
    }

    /// Jobs in order of their names, as they stand now.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(&self, filter: &JobFilter) -> Result<Vec<JobView>> {
        let rows = self.platform.shared.store.jobs(filter).await?;
        Ok(rows.iter().filter_map(|row| self.platform.shared.supervisor.job(row.job.id)).collect())
    }

    /// Takes over a job that somebody else started: from now on it is supervised as `spec` says.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where the cluster has no such live job,
    /// and those of [`create`](Self::create).
    pub async fn adopt(&self, spec: JobSpec, flink_job: FlinkJobId) -> Result<Job> {
        spec.validate()?;
        self.platform.clusters().get(&spec.cluster)?;
        self.platform.channels().require(&spec.alerts)?;
        let actor = self.platform.actor.to_string();
        let cluster = spec.cluster.clone();
        let command = Command::Adopt { cluster, flink_job, deployment: None, spec: Box::new(spec), actor };
        let view = self.platform.shared.supervisor.command(command).await?;
        Ok(self.handle(&view))
    }

    /// What starting a job of this spec would send; nothing is sent or written.
    ///
    /// # Errors
    /// Those of the spec, the program and the cluster.
    pub async fn plan(&self, spec: &JobSpec) -> Result<Plan> {
        spec.validate()?;
        plan_of(&self.platform, spec, None).await
    }

    fn handle(&self, view: &JobView) -> Job {
        Job::new(self.platform.clone(), view.job.id, view.job.name.clone())
    }
}
