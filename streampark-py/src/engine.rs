//! The platform, call by call; records cross as JSON, which the Python half makes into its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use serde::Serialize;
use serde_json::json;
use streampark_core::cluster::{LogKind, LogOptions, Plan, SavepointFormat, SavepointOptions};
use streampark_core::job::{JobId, JobState};
use streampark_core::platform::{EventStream, Job, JobView, StreamPark, WaitOptions};
use streampark_core::store::{JobFilter, JobRow, MemoryStore, SqliteStore, Store};
use streampark_core::{Error, ErrorKind, Result};
use tokio::sync::Mutex;

use crate::channel::channel_of;
use crate::cluster::cluster_of;
use crate::error::raise;
use crate::runtime::Pending;
use crate::spec::spec_of;

/// A running engine.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Engine(StreamPark);

fn text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|source| Error::new(ErrorKind::Internal, "an answer cannot be written as JSON").with_source(source))
}

fn plan_text(plan: &Plan) -> Result<String> {
    text(&json!({"plan": plan, "text": plan.to_string(), "yaml": plan.to_yaml()?}))
}

fn status_json(view: &JobView) -> serde_json::Value {
    json!({
        "id": view.job.id,
        "name": view.job.name,
        "state": view.job.state,
        "desired": view.job.desired,
        "knowledge": view.knowledge.as_str(),
        "knowledge_since": view.knowledge.since(),
        "generation": view.job.generation,
        "spec_version": view.job.spec_version,
        "reason": view.job.reason,
        "changed_at": view.job.changed_at,
        "cluster": view.spec.cluster,
        "owner": view.spec.owner,
    })
}

fn row_json(platform: &StreamPark, row: &JobRow) -> serde_json::Value {
    status_json(&platform.view_of(row))
}

impl Engine {
    fn on_job<T, F, Fut>(&self, id: &str, call: F) -> PyResult<Pending>
    where
        F: FnOnce(Job) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: for<'py> IntoPyObject<'py> + Send + 'static,
    {
        let id: JobId = id.parse().map_err(|error| raise(&error))?;
        let platform = self.0.clone();
        Ok(Pending::new(async move { call(platform.jobs().by_id(id).await?).await }))
    }
}

#[pymethods]
impl Engine {
    #[staticmethod]
    #[pyo3(signature = (store, clusters, channels, cache, actor, options))]
    fn start(
        store: Option<String>,
        clusters: BTreeMap<String, Bound<'_, PyAny>>,
        channels: BTreeMap<String, Bound<'_, PyAny>>,
        cache: Option<String>,
        actor: Option<String>,
        options: &str,
    ) -> PyResult<Pending> {
        let mut builder = StreamPark::builder();
        for (name, cluster) in clusters {
            builder = builder.shared_cluster(name, cluster_of(&cluster)?);
        }
        for (name, channel) in channels {
            builder = builder.shared_channel(name, channel_of(&channel)?);
        }
        if let Some(cache) = cache {
            builder = builder.cache(cache);
        }
        let options = serde_json::from_str(options).map_err(|source| {
            raise(&Error::invalid(format!("the options of supervision are not valid: {source}")))
        })?;
        builder = builder.supervisor(options);
        Ok(Pending::new(async move {
            let store: Arc<dyn Store> = match store {
                Some(path) => Arc::new(SqliteStore::open(path).await?),
                None => Arc::new(MemoryStore::default()),
            };
            let mut platform = builder.shared_store(store).start().await?;
            if let Some(actor) = actor {
                platform = platform.acting_as(actor);
            }
            Ok(Engine(platform))
        }))
    }

    fn shutdown(&self) -> Pending {
        let platform = self.0.clone();
        Pending::new(async move { platform.shutdown().await })
    }

    fn events(&self) -> Events {
        Events(Arc::new(Mutex::new(self.0.events())))
    }

    fn create(&self, spec: &str) -> PyResult<Pending> {
        let (platform, spec) = (self.0.clone(), spec_of(spec)?);
        Ok(Pending::new(async move {
            let job = platform.jobs().create(spec).await?;
            Ok((job.id().to_string(), job.name().to_owned()))
        }))
    }

    fn adopt(&self, flink_job: &str, spec: &str) -> PyResult<Pending> {
        let (platform, spec) = (self.0.clone(), spec_of(spec)?);
        let flink_job = flink_job.parse().map_err(|error| raise(&error))?;
        Ok(Pending::new(async move {
            let job = platform.jobs().adopt(spec, flink_job).await?;
            Ok((job.id().to_string(), job.name().to_owned()))
        }))
    }

    fn get(&self, name: String) -> Pending {
        let platform = self.0.clone();
        Pending::new(async move {
            let job = platform.jobs().get(&name).await?;
            Ok((job.id().to_string(), job.name().to_owned()))
        })
    }

    #[pyo3(signature = (states, cluster, name_contains, labels, after, limit))]
    fn list(
        &self,
        states: Vec<String>,
        cluster: Option<String>,
        name_contains: Option<String>,
        labels: BTreeMap<String, String>,
        after: Option<String>,
        limit: Option<usize>,
    ) -> PyResult<Pending> {
        let mut filter = JobFilter::default();
        for state in states {
            filter.states.push(state.parse::<JobState>().map_err(|error| raise(&error))?);
        }
        filter.cluster = cluster;
        filter.name_contains = name_contains;
        filter.labels = labels;
        filter.after = after;
        filter.limit = limit;
        let platform = self.0.clone();
        Ok(Pending::new(async move {
            let rows = platform.jobs().list(&filter).await?;
            text(&rows.iter().map(|row| row_json(&platform, row)).collect::<Vec<_>>())
        }))
    }

    fn plan(&self, spec: &str) -> PyResult<Pending> {
        let (platform, spec) = (self.0.clone(), spec_of(spec)?);
        Ok(Pending::new(async move { plan_text(&platform.jobs().plan(&spec).await?) }))
    }

    fn plan_job(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { plan_text(&job.plan().await?) })
    }

    fn status(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { text(&status_json(&job.status().await?)) })
    }

    fn spec(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { job.spec().await?.to_json() })
    }

    #[pyo3(signature = (id, from_path))]
    fn start_job(&self, id: &str, from_path: Option<String>) -> PyResult<Pending> {
        self.on_job(id, |job| async move {
            match from_path {
                Some(path) => job.start_from(path).await,
                None => job.start().await,
            }
        })
    }

    fn suspend(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { job.suspend().await })
    }

    fn cancel(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { job.cancel().await })
    }

    fn restart(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { job.restart().await })
    }

    fn delete(&self, id: &str) -> PyResult<Pending> {
        self.on_job(id, |job| async move { job.delete().await })
    }

    #[pyo3(signature = (id, directory, native, timeout))]
    fn savepoint(&self, id: &str, directory: Option<String>, native: bool, timeout: f64) -> PyResult<Pending> {
        let mut options = SavepointOptions::default();
        options.directory = directory;
        options.timeout = duration(timeout)?;
        if native {
            options.format = SavepointFormat::Native;
        }
        self.on_job(id, |job| async move { text(&job.savepoint(&options).await?) })
    }

    fn update(&self, id: &str, spec: &str) -> PyResult<Pending> {
        let spec = spec_of(spec)?;
        self.on_job(id, |job| async move { job.update(spec).await })
    }

    fn wait_for(&self, id: &str, state: &str, timeout: f64) -> PyResult<Pending> {
        let state: JobState = state.parse().map_err(|error| raise(&error))?;
        let options = WaitOptions::at_most(duration(timeout)?);
        self.on_job(id, move |job| async move { text(&status_json(&job.wait_for_with(state, options).await?)) })
    }

    fn history(&self, id: &str, limit: usize) -> PyResult<Pending> {
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

    #[pyo3(signature = (id, task_manager, tail_bytes))]
    fn logs(&self, id: &str, task_manager: bool, tail_bytes: Option<u64>) -> PyResult<Pending> {
        let mut options = LogOptions::default();
        options.tail_bytes = tail_bytes;
        if task_manager {
            options.kind = LogKind::TaskManager(None);
        }
        self.on_job(id, |job| async move { job.logs(&options).await?.read_to_string(64 << 20).await })
    }

    fn add_cluster(&self, name: String, cluster: &Bound<'_, PyAny>) -> PyResult<Pending> {
        let (platform, cluster) = (self.0.clone(), cluster_of(cluster)?);
        Ok(Pending::new(async move { platform.clusters().add_shared(name, cluster).await }))
    }

    fn remove_cluster(&self, name: String) -> Pending {
        let platform = self.0.clone();
        Pending::new(async move { platform.clusters().remove(&name).await })
    }

    fn cluster_names(&self) -> Vec<String> {
        self.0.clusters().names()
    }

    fn add_channel(&self, name: String, channel: &Bound<'_, PyAny>) -> PyResult<Pending> {
        let (platform, channel) = (self.0.clone(), channel_of(channel)?);
        Ok(Pending::new(async move { platform.channels().add_shared(name, channel) }))
    }

    fn remove_channel(&self, name: String) -> Pending {
        let platform = self.0.clone();
        Pending::new(async move { platform.channels().remove(&name) })
    }

    fn channel_names(&self) -> Vec<String> {
        self.0.channels().names()
    }

    fn test_channel(&self, name: String) -> Pending {
        let platform = self.0.clone();
        Pending::new(async move { platform.channels().test(&name).await.map(drop) })
    }

    fn dead_letters(&self, limit: usize) -> Pending {
        let platform = self.0.clone();
        Pending::new(async move { text(&platform.channels().dead_letters(limit).await?) })
    }
}

/// Events as they come.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Events(Arc<Mutex<EventStream>>);

#[pymethods]
impl Events {
    #[pyo3(signature = (timeout))]
    fn next(&self, timeout: Option<f64>) -> PyResult<Pending> {
        let (stream, timeout) = (Arc::clone(&self.0), timeout.map(duration).transpose()?);
        Ok(Pending::new(async move {
            let mut stream = stream.lock().await;
            let event = match timeout {
                Some(timeout) => tokio::time::timeout(timeout, stream.next_event()).await.unwrap_or(Ok(None))?,
                None => stream.next_event().await?,
            };
            event.as_ref().map(text).transpose()
        }))
    }
}

fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| raise(&Error::invalid(format!("a time of {seconds} seconds is not possible"))))
}
