//! The platform, call by call; records cross as JSON, which the Python half makes into its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::json;
use streampark_core::cluster::{LogKind, LogOptions, Plan};
use streampark_core::job::{JobId, JobState, StartFrom};
use streampark_core::platform::{EventStream, Job, StreamPark, SuspendOptions, WaitOptions};
use streampark_core::store::{EventFilter, JobFilter};
use streampark_core::{Event, EventKind, Result};
use tokio::sync::Mutex;

use crate::channel::Channel;
use crate::cluster::Cluster;
use crate::convert::{Raise as _, duration, parse, text};
use crate::runtime::{Pending, is_forked};
use crate::spec::spec_of;

/// The longest log that is given whole, in bytes.
const LOG: usize = 64 << 20;

/// A running engine.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Engine(pub(crate) StreamPark);

impl Drop for Engine {
    fn drop(&mut self) {
        if is_forked() {
            std::mem::forget(self.0.clone());
        }
    }
}

fn plan_text(plan: &Plan) -> Result<String> {
    text(&json!({"plan": plan, "text": plan.to_string(), "yaml": plan.to_yaml()?}))
}

fn handle(job: &Job) -> (String, String) {
    (job.id().to_string(), job.name().to_owned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JobsArgs {
    states: Vec<String>,
    cluster: Option<String>,
    name_contains: Option<String>,
    labels: BTreeMap<String, String>,
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsArgs {
    job: Option<JobId>,
    kinds: Vec<EventKind>,
    after: Option<u64>,
    since: Option<Timestamp>,
    newest_first: bool,
    limit: usize,
}

impl Engine {
    fn on_job<T, F, Fut>(&self, id: &str, call: F) -> PyResult<Pending>
    where
        F: FnOnce(Job) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: for<'py> IntoPyObject<'py> + Send + 'static,
    {
        let id: JobId = id.parse().or_raise()?;
        Ok(Pending::on(&self.0, move |platform| async move { call(platform.jobs().by_id(id)?).await }))
    }
}

#[pymethods]
impl Engine {
    fn acting_as(&self, actor: String) -> Self {
        Self(self.0.acting_as(actor))
    }

    fn storage_trouble(&self) -> Option<String> {
        self.0.storage_trouble()
    }

    fn shutdown(&self) -> Pending {
        Pending::on(&self.0, |platform| async move { platform.shutdown().await })
    }

    fn events(&self) -> Events {
        Events(Arc::new(Mutex::new(Follower { stream: self.0.events(), newest: None })))
    }

    fn history(&self, filter: &str) -> PyResult<Pending> {
        let args: EventsArgs = parse(filter, "the filter of events").or_raise()?;
        let mut filter = EventFilter::default();
        filter.job = args.job;
        filter.kinds = args.kinds;
        filter.after = args.after;
        filter.since = args.since;
        filter.newest_first = args.newest_first;
        filter.limit = Some(args.limit);
        Ok(Pending::on(&self.0, move |platform| async move { text(&platform.store().events(&filter).await?) }))
    }

    fn prune(&self, before: &str, limit: usize) -> PyResult<Pending> {
        let before: Timestamp = parse(&format!("\"{before}\""), "the time").or_raise()?;
        Ok(Pending::on(&self.0, move |platform| async move { platform.store().prune(before, limit).await }))
    }

    fn create(&self, spec: &str) -> PyResult<Pending> {
        let spec = spec_of(spec)?;
        Ok(Pending::on(
            &self.0,
            move |platform| async move { platform.jobs().create(spec).await.map(|job| handle(&job)) },
        ))
    }

    fn adopt(&self, flink_job: &str, spec: &str) -> PyResult<Pending> {
        let spec = spec_of(spec)?;
        let flink_job = flink_job.parse().or_raise()?;
        Ok(Pending::on(&self.0, move |platform| async move {
            platform.jobs().adopt(spec, flink_job).await.map(|job| handle(&job))
        }))
    }

    fn get(&self, name: String) -> Pending {
        Pending::on(&self.0, move |platform| async move { platform.jobs().get(&name).map(|job| handle(&job)) })
    }

    fn by_id(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { Ok(handle(&job)) })
    }

    fn list(&self, filter: &str) -> PyResult<Pending> {
        let args: JobsArgs = parse(filter, "the filter of jobs").or_raise()?;
        let mut filter = JobFilter::default();
        for state in args.states {
            filter.states.push(state.parse::<JobState>().or_raise()?);
        }
        filter.cluster = args.cluster;
        filter.name_contains = args.name_contains;
        filter.labels = args.labels;
        filter.after = args.after;
        filter.limit = args.limit;
        Ok(Pending::on(&self.0, move |platform| async move { text(&platform.jobs().list(&filter).await?) }))
    }

    fn plan(&self, spec: &str) -> PyResult<Pending> {
        let spec = spec_of(spec)?;
        Ok(Pending::on(&self.0, move |platform| async move { plan_text(&platform.jobs().plan(&spec).await?) }))
    }

    fn plan_job(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { plan_text(&job.plan().await?) })
    }

    fn status(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { text(&job.status()?) })
    }

    fn spec(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { job.spec()?.to_json() })
    }

    #[pyo3(signature = (id, from_path, empty))]
    fn start_job(&self, id: &str, from_path: Option<String>, empty: bool) -> PyResult<Pending> {
        self.on_job(id, move |job| async move {
            match from_path {
                Some(path) => job.start_from(StartFrom::Path(path)).await,
                None if empty => job.start_from(StartFrom::Empty).await,
                None => job.start().await,
            }
        })
    }

    #[pyo3(signature = (id, drain, directory))]
    fn suspend(&self, id: &str, drain: bool, directory: Option<String>) -> PyResult<Pending> {
        let mut options = SuspendOptions::default();
        options.drain = drain;
        options.directory = directory;
        self.on_job(id, |job| async move { job.suspend_with(options).await })
    }

    fn cancel(&self, id: &str, kill: bool) -> PyResult<Pending> {
        self.on_job(id, move |job| async move { if kill { job.kill().await } else { job.cancel().await } })
    }

    fn restart(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { job.restart().await })
    }

    fn roll_back(&self, id: &str, generation: u64) -> PyResult<Pending> {
        self.on_job(id, move |job| async move { job.roll_back(generation).await })
    }

    fn delete(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { job.delete().await })
    }

    #[pyo3(signature = (id, directory, timeout))]
    fn savepoint(&self, id: &str, directory: Option<String>, timeout: f64) -> PyResult<Pending> {
        let options = WaitOptions::at_most(duration(timeout).or_raise()?);
        self.on_job(id, move |job| async move { text(&job.savepoint(directory, options).await?) })
    }

    fn update(&self, id: &str, spec: &str) -> PyResult<Pending> {
        let spec = spec_of(spec)?;
        self.on_job(id, |job| async move { job.update(spec).await })
    }

    fn wait_for(&self, id: &str, state: &str, timeout: f64) -> PyResult<Pending> {
        let state: JobState = state.parse().or_raise()?;
        let options = WaitOptions::at_most(duration(timeout).or_raise()?);
        self.on_job(id, move |job| async move { text(&job.wait_for_with(state, options).await?) })
    }

    fn job_history(&self, id: &str, limit: usize) -> PyResult<Pending> {
        self.on_job(id, move |job| async move { text(&job.history(limit).await?) })
    }

    fn runs(&self, id: &str, limit: usize) -> PyResult<Pending> {
        self.on_job(id, move |job| async move { text(&job.runs(limit).await?) })
    }

    fn versions(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { text(&job.versions().await?) })
    }

    fn restore_points(&self, id: &str, limit: usize) -> PyResult<Pending> {
        self.on_job(id, move |job| async move { text(&job.restore_points(limit).await?) })
    }

    fn failure(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { text(&job.failure().await?) })
    }

    fn origin(&self, id: &str) -> PyResult<Pending> {
        let platform = self.0.clone();
        self.on_job(id, move |job| async move { text(&platform.projects()?.origin(&job).await?) })
    }

    #[pyo3(signature = (id, task_managers, task_manager, tail_bytes))]
    fn logs(
        &self,
        id: &str,
        task_managers: bool,
        task_manager: Option<String>,
        tail_bytes: Option<u64>,
    ) -> PyResult<Pending> {
        let mut options = LogOptions::default();
        options.tail_bytes = tail_bytes;
        if task_managers {
            options.kind = LogKind::TaskManager(task_manager);
        }
        self.on_job(id, |job| async move { job.logs(&options).await?.read_to_string(LOG).await })
    }

    fn add_cluster(&self, name: String, cluster: &Cluster) -> Pending {
        let cluster = Arc::clone(&cluster.0);
        Pending::on(&self.0, move |platform| async move {
            platform.clusters().add_shared(name, cluster);
            Ok(())
        })
    }

    fn alert_of_cluster(&self, name: &str, channels: Vec<String>) -> PyResult<()> {
        self.0.clusters().alert(name, channels).or_raise()
    }

    fn remove_cluster(&self, name: String) -> Pending {
        Pending::on(&self.0, move |platform| async move { platform.clusters().remove(&name).map(drop) })
    }

    fn cluster(&self, name: &str) -> PyResult<Cluster> {
        self.0.clusters().get(name).map(Cluster).or_raise()
    }

    fn cluster_views(&self) -> PyResult<String> {
        text(&self.0.clusters().views()).or_raise()
    }

    fn add_channel(&self, name: String, channel: &Channel) -> Pending {
        let channel = Arc::clone(&channel.0);
        Pending::on(&self.0, move |platform| async move { platform.channels().add_shared(name, channel) })
    }

    fn remove_channel(&self, name: String) -> Pending {
        Pending::on(&self.0, move |platform| async move { platform.channels().remove(&name).await })
    }

    fn channel_status(&self) -> PyResult<String> {
        let status: Vec<_> = self
            .0
            .channels()
            .status()
            .into_iter()
            .map(|channel| {
                json!({
                    "name": channel.name,
                    "kind": channel.kind,
                    "failing": channel.failing,
                    "delivered": channel.delivered,
                    "dead": channel.dead,
                    "last_error": channel.last_error,
                })
            })
            .collect();
        text(&status).or_raise()
    }

    fn test_channel(&self, name: String) -> Pending {
        Pending::on(&self.0, move |platform| async move { Ok(platform.channels().test(&name).await?.reference) })
    }

    fn dead_letters(&self, limit: usize) -> Pending {
        Pending::on(&self.0, move |platform| async move { text(&platform.channels().dead_letters(limit).await?) })
    }
}

/// Events as they come.
///
/// An answer can be lost on its way: an awaited call may be cancelled after it was made. So the
/// newest event is kept until the follower says that it has seen it.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Events(Arc<Mutex<Follower>>);

struct Follower {
    stream: EventStream,
    newest: Option<Event>,
}

impl Follower {
    async fn next(&mut self, seen: u64) -> Result<Option<String>> {
        let again = self.newest.as_ref().is_some_and(|event| event.sequence != seen);
        if !again {
            self.newest = self.stream.next_event().await?;
        }
        self.newest.as_ref().map(text).transpose()
    }
}

#[pymethods]
impl Events {
    /// The event after the one numbered `seen`, as JSON; None where none came in time, or where the engine has ended.
    #[pyo3(signature = (seen, timeout))]
    fn next(&self, seen: u64, timeout: Option<f64>) -> PyResult<Pending> {
        let (follower, timeout) = (Arc::clone(&self.0), timeout.map(duration).transpose().or_raise()?);
        Ok(Pending::new(async move {
            let mut follower = follower.lock().await;
            match timeout {
                Some(timeout) => tokio::time::timeout(timeout, follower.next(seen)).await.unwrap_or(Ok(None)),
                None => follower.next(seen).await,
            }
        }))
    }
}
