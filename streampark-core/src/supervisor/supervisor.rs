//! The owner of every job: takes commands, commits before it acts, tells what happened.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::command::Command;
use super::keeper::{self, closed};
use super::machine::{Input, Knowledge};
use super::parts::SupervisorParts;
use super::shared::{Message, Shared};
use super::view::{ClusterView, JobView, ShutdownReport, SupervisorEvents};
use super::watch::{self, Watch};
use crate::cluster::{Cluster, Observation};
use crate::flink::FlinkJobId;
use crate::job::{DeploymentId, Desired, JobId, JobSpec, JobState, RunKey, RunRef};
use crate::store::{Batch, ClusterRecord, JobRecord, JobRow, RunPhase, RunRecord, SpecVersion};
use crate::{Error, ErrorKind, Event, EventKind, Result};

/// Starts supervision.
#[derive(Debug)]
pub struct Supervisor;

/// The way to a running supervisor. Clones share it; it ends with [`shutdown`](Self::shutdown) or when
/// the last clone is dropped.
#[derive(Clone)]
pub struct SupervisorHandle {
    owner: Arc<Owner>,
}

/// Ends the tasks with the last handle.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.closing.cancel();
        self.0.killed.cancel();
    }
}

impl fmt::Debug for SupervisorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorHandle").field("jobs", &self.shared().slots().by_id.len()).finish_non_exhaustive()
    }
}

impl Supervisor {
    /// Loads every job and begins to watch, in the caller's tokio runtime.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn start(parts: SupervisorParts) -> Result<SupervisorHandle> {
        let clusters = parts.clusters.clone();
        let shared = Arc::new(Shared::new(parts));
        let (rows, records) = tokio::try_join!(shared.store.load(), shared.store.clusters())?;
        let handle = SupervisorHandle { owner: Arc::new(Owner(Arc::clone(&shared))) };
        for (name, cluster) in clusters {
            let record = records.iter().find(|record| record.name == name).cloned();
            begin_watching(&shared, name, cluster, record);
        }
        shared.tasks.spawn(Arc::clone(&shared).feel_pulse());
        for row in rows {
            keeper::keep(&shared, row);
        }
        Ok(handle)
    }
}

fn begin_watching(shared: &Arc<Shared>, name: String, cluster: Arc<dyn Cluster>, record: Option<ClusterRecord>) {
    let watch = Arc::new(Watch::new(name.clone(), cluster, record, &shared.options));
    if let Some(before) = shared.watch(&name) {
        watch.tell(before.told());
    }
    if let Some(before) = shared.clusters_mut().insert(name.clone(), Arc::clone(&watch)) {
        before.ended.cancel();
    }
    // Runs that were loaded before their cluster came, or watched by the one that it replaces.
    for slot in shared.slots().by_id.values() {
        let view = slot.view();
        if let Some(run) = view.run.as_ref().filter(|run| run.phase != RunPhase::Ended && run.cluster == name) {
            watch.look_for(run.run.clone(), Arc::clone(&view.spec), slot.mailbox.clone());
        }
    }
    shared.tasks.spawn(watch::watch(Arc::clone(shared), watch));
}

impl SupervisorHandle {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.owner.0
    }

    /// Does what `command` asks, and gives the job as it stands after the commit. A deleted job is given as
    /// it stood before.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown job or cluster,
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) for a name in use,
    /// [`Conflict`](crate::ErrorKind::Conflict) where the job's state refuses it,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where its cluster cannot,
    /// [`Exhausted`](crate::ErrorKind::Exhausted) where too many commands wait for the job,
    /// [`Storage`](crate::ErrorKind::Storage) where nothing could be committed: then nothing was done,
    /// [`Cancelled`](crate::ErrorKind::Cancelled) after a shutdown began.
    pub async fn command(&self, command: Command) -> Result<JobView> {
        let operation = command.operation();
        if self.shared().closing.is_cancelled() {
            return Err(closed().with_operation(operation));
        }
        let job = match command {
            Command::Create { spec, actor } => return self.create(*spec, actor).await,
            Command::Adopt { cluster, flink_job, deployment, spec, actor } => {
                return self.take_over(cluster, flink_job, deployment, *spec, actor).await;
            }
            ref command => command.job(),
        };
        let slot = job.and_then(|job| self.shared().slot(job));
        let slot = slot.ok_or_else(|| {
            let name = job.map(|job| job.to_string()).unwrap_or_default();
            Error::not_found(format!("there is no job {name}; it may have been deleted")).with_operation(operation)
        })?;
        let (reply, answer) = oneshot::channel();
        slot.mailbox.try_send(Message::Command(Box::new(command), reply)).map_err(|error| {
            let error = match error {
                tokio::sync::mpsc::error::TrySendError::Full(_) => {
                    Error::new(ErrorKind::Exhausted, "too many commands wait for this job; ask again later")
                }
                tokio::sync::mpsc::error::TrySendError::Closed(_) => closed(),
            };
            error.with_operation(operation)
        })?;
        answer.await.unwrap_or_else(|_| Err(closed().with_operation(operation)))
    }

    async fn create(&self, spec: JobSpec, actor: String) -> Result<JobView> {
        let now = self.shared().clock.now();
        let job = JobRecord::new(JobId::generate(), &spec.name, now);
        let mut event = Event::new(EventKind::JobCreated, &actor, now, format!("'{}' was created", spec.name));
        event.cluster = Some(spec.cluster.clone());
        self.keep_new(job, spec, None, event).await.map_err(|error| error.with_operation("job.create"))
    }

    async fn keep_new(
        &self,
        job: JobRecord,
        spec: JobSpec,
        run: Option<RunRecord>,
        mut event: Event,
    ) -> Result<JobView> {
        spec.validate()?;
        let shared = self.shared();
        event.job = Some(job.id);
        event.job_name = Some(job.name.clone());
        event.run = job.run_key();
        let batch = Batch {
            spec: Some(SpecVersion::new(job.id, 1, spec.clone(), &event.actor, event.at)),
            job: Some(job.clone()),
            runs: run.iter().cloned().collect(),
            events: vec![event],
            ..Batch::default()
        };
        let committed = shared.commit(batch).await?;
        let mut job = job;
        job.revision = committed.revision;
        let slot = keeper::keep(shared, JobRow::new(job, spec, run));
        shared.publish(&committed.events);
        Ok(JobView::clone(&slot.view()))
    }

    async fn take_over(
        &self,
        cluster: String,
        flink_job: FlinkJobId,
        deployment: Option<DeploymentId>,
        mut spec: JobSpec,
        actor: String,
    ) -> Result<JobView> {
        let shared = self.shared();
        let failed = |error: Error| error.with_operation("job.adopt");
        let watch = shared.watch(&cluster).ok_or_else(|| failed(unknown_cluster(&cluster)))?;
        let ours = self.jobs().into_iter().find(|view| {
            view.run.as_ref().is_some_and(|run| run.phase != RunPhase::Ended && run.run.flink_job == flink_job)
        });
        if let Some(view) = ours {
            let message = format!("the run {flink_job} belongs to the job '{}' already", view.job.name);
            return Err(failed(Error::new(ErrorKind::AlreadyExists, message)));
        }
        let listed = watch.cluster.observe().await.map_err(failed)?;
        let is_it = |seen: &&Observation| {
            seen.flink_job == Some(flink_job) || (deployment.is_some() && seen.deployment == deployment)
        };
        let seen =
            listed.iter().find(is_it).filter(|seen| !seen.status.is_terminal()).ok_or_else(|| {
                failed(Error::not_found(format!("the cluster '{cluster}' runs no live job {flink_job}")))
            })?;
        spec.cluster.clone_from(&cluster);
        let now = shared.clock.now();
        let mut job = JobRecord::new(JobId::generate(), &spec.name, now);
        job.generation = 1;
        job.desired = Desired::Running;
        job.state = match seen.status.as_job_state() {
            JobState::Running => JobState::Running,
            _ => JobState::Starting,
        };
        let place = seen.deployment.clone().or(deployment);
        let run = RunRef::new(RunKey::new(job.id, 1)).with_flink_job(flink_job).with_deployment(place);
        let mut record = RunRecord::intended(run, &cluster, 1, now);
        record.phase = RunPhase::Accepted;
        record.accepted_at = Some(seen.started_at.unwrap_or(now));
        record.incarnation = watch.facts().incarnation;
        let message = format!("'{}' was taken over: {flink_job} on '{cluster}'", spec.name);
        let mut event = Event::new(EventKind::JobAdopted, &actor, now, message);
        event.cluster = Some(cluster);
        event.to = Some(job.state.clone());
        self.keep_new(job, spec, Some(record), event).await.map_err(failed)
    }

    /// The job as it stands, from memory; None where there is none.
    pub fn job(&self, job: JobId) -> Option<JobView> {
        self.shared().slot(job).map(|slot| JobView::clone(&slot.view()))
    }

    /// The job of that name, from memory; None where there is none.
    pub fn job_by_name(&self, name: &str) -> Option<JobView> {
        let job = self.shared().slots().by_name.get(name).copied()?;
        self.job(job)
    }

    /// State and knowledge of a job, from memory: cheap enough to ask in a loop.
    pub fn job_state(&self, job: JobId) -> Option<(JobState, Knowledge)> {
        let view = self.shared().slot(job)?.view();
        Some((view.job.state.clone(), view.knowledge))
    }

    /// Every job, from memory, in order of identity (oldest first).
    pub fn jobs(&self) -> Vec<JobView> {
        self.shared().slots().by_id.values().map(|slot| JobView::clone(&slot.view())).collect()
    }

    /// Watches `cluster` under `name` from now on; a cluster of that name is replaced.
    pub fn add_cluster(&self, name: impl Into<String>, cluster: Arc<dyn Cluster>) {
        let (name, shared) = (name.into(), self.shared());
        if shared.closing.is_cancelled() {
            return;
        }
        let record = shared.watch(&name).map(|before| before.record());
        begin_watching(shared, name.clone(), cluster, record);
        for slot in shared.slots().by_id.values() {
            let view = slot.view();
            if view.spec.cluster == name || view.run.as_ref().is_some_and(|run| run.cluster == name) {
                // A keeper with a full mailbox finds the cluster by its own waits.
                let _ = slot.mailbox.try_send(Message::Input(Input::Reachable));
            }
        }
    }

    /// Tells these channels when a cluster ends, does not answer, and answers again, whether or not jobs run there.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) where there is no such cluster.
    pub fn tell_of_cluster(&self, name: &str, channels: Vec<String>) -> Result<()> {
        let watch = self.shared().watch(name);
        watch.map(|watch| watch.tell(channels)).ok_or_else(|| {
            Error::not_found(format!("there is no cluster named '{name}'")).with_operation("clusters.alert")
        })
    }

    /// Stops to watch a cluster.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound); [`Conflict`](crate::ErrorKind::Conflict) naming the jobs
    /// that have live runs there.
    pub fn remove_cluster(&self, name: &str) -> Result<Arc<dyn Cluster>> {
        let shared = self.shared();
        let failed = |error: Error| error.with_operation("clusters.remove");
        let live: Vec<String> = self
            .jobs()
            .into_iter()
            .filter(|view| view.run.as_ref().is_some_and(|run| run.phase != RunPhase::Ended && run.cluster == name))
            .map(|view| view.job.name)
            .collect();
        if !live.is_empty() {
            let message = format!("jobs have live runs on '{name}': {}; stop them first", live.join(", "));
            return Err(failed(Error::new(ErrorKind::Conflict, message)));
        }
        let watch = shared.clusters_mut().remove(name).ok_or_else(|| failed(unknown_cluster(name)))?;
        watch.ended.cancel();
        Ok(Arc::clone(&watch.cluster))
    }

    /// The cluster registered under `name`.
    pub fn cluster(&self, name: &str) -> Option<Arc<dyn Cluster>> {
        self.shared().watch(name).map(|watch| Arc::clone(&watch.cluster))
    }

    /// The clusters and how they answer, in order of their names.
    pub fn clusters(&self) -> Vec<ClusterView> {
        self.shared().clusters().values().map(|watch| watch.view()).collect()
    }

    /// Every event committed from now on; those of one job in their order.
    pub fn subscribe(&self) -> SupervisorEvents {
        let shared = self.shared();
        SupervisorEvents::new(shared.events.subscribe(), shared.over.clone())
    }

    /// Why the store refuses commits, where it does: nothing is sent to any cluster meanwhile.
    pub fn storage_trouble(&self) -> Option<String> {
        self.shared().trouble()
    }

    /// Takes no more commands, stops to watch, waits a bounded time for calls under way and records
    /// what they gave. What is left is an intent that the next start resolves. Called again, it waits for the first.
    pub async fn shutdown(&self) -> ShutdownReport {
        let shared = self.shared();
        shared.closing.cancel();
        shared.tasks.close();
        if tokio::time::timeout(shared.options.shutdown_timeout, shared.tasks.wait()).await.is_err() {
            shared.killed.cancel();
            shared.tasks.wait().await;
        }
        shared.over.cancel();
        ShutdownReport {
            finished: shared.finished.load(Ordering::Relaxed),
            given_up: shared.given_up.load(Ordering::Relaxed),
        }
    }
}

fn unknown_cluster(name: &str) -> Error {
    Error::not_found(format!("no cluster is registered under the name '{name}'"))
}
