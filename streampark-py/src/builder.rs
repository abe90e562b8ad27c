//! Describes an engine, then starts it.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use streampark_core::platform::StreamParkBuilder;
use streampark_core::store::{MemoryStore, SqliteOptions, SqliteStore, Store as CoreStore};
use streampark_core::{Error, ErrorKind, StreamPark};

use crate::callback::{Callback, PythonResolver, program_factory};
use crate::channel::Channel;
use crate::cluster::Cluster;
use crate::convert::{Raise as _, duration};
use crate::engine::Engine;
use crate::options::{dispatcher_options, supervisor_options};
use crate::projects::Projects;
use crate::runtime::Pending;

/// Where jobs and history are kept.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Store(Arc<dyn CoreStore>);

#[pymethods]
impl Store {
    #[staticmethod]
    fn memory() -> Self {
        Self(Arc::new(MemoryStore::default()))
    }

    #[staticmethod]
    fn sqlite(path: String, lock_wait: f64, busy_timeout: f64, readers: usize, network: bool) -> PyResult<Pending> {
        let options = SqliteOptions::default()
            .with_lock_wait(duration(lock_wait).or_raise()?)
            .with_busy_timeout(duration(busy_timeout).or_raise()?)
            .with_readers(readers)
            .with_network_file_system(network);
        Ok(Pending::new(async move {
            let store = SqliteStore::open_with(path, options).await?;
            Ok(Store(Arc::new(store)))
        }))
    }
}

/// Describes an engine; `start` starts it.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Builder(Mutex<Option<StreamParkBuilder>>);

impl Builder {
    fn take(&self) -> PyResult<StreamParkBuilder> {
        let builder = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        builder.ok_or_else(|| Error::invalid("this engine was started already; describe another one")).or_raise()
    }

    fn change(&self, change: impl FnOnce(StreamParkBuilder) -> StreamParkBuilder) -> PyResult<()> {
        let changed = change(self.take()?);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(changed);
        Ok(())
    }
}

#[pymethods]
impl Builder {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(Some(StreamPark::builder())))
    }

    fn store(&self, store: &Store) -> PyResult<()> {
        self.change(|builder| builder.shared_store(Arc::clone(&store.0)))
    }

    fn cluster(&self, name: String, cluster: &Cluster) -> PyResult<()> {
        self.change(|builder| builder.shared_cluster(name, Arc::clone(&cluster.0)))
    }

    fn channel(&self, name: String, channel: &Channel) -> PyResult<()> {
        self.change(|builder| builder.shared_channel(name, Arc::clone(&channel.0)))
    }

    /// A function that makes a program, as JSON, of the options of `kind`, as JSON.
    fn program(&self, kind: String, make: Py<PyAny>) -> PyResult<()> {
        let make = Callback::new(make, ErrorKind::Program);
        self.change(|builder| builder.program(kind.clone(), program_factory(kind, make)))
    }

    /// A function that gives the paths, as JSON, of a dependency, as JSON.
    fn resolver(&self, find: Py<PyAny>) -> PyResult<()> {
        let resolver = PythonResolver(Callback::new(find, ErrorKind::NotFound));
        self.change(|builder| builder.resolver(Arc::new(resolver)))
    }

    fn projects(&self, projects: &Projects) -> PyResult<()> {
        self.change(|builder| builder.projects(projects.0.clone()))
    }

    fn cache(&self, folder: String) -> PyResult<()> {
        self.change(|builder| builder.cache(folder))
    }

    fn supervisor(&self, options: &str) -> PyResult<()> {
        let options = supervisor_options(options).or_raise()?;
        self.change(|builder| builder.supervisor(options))
    }

    fn delivery(&self, options: &str) -> PyResult<()> {
        let options = dispatcher_options(options).or_raise()?;
        self.change(|builder| builder.delivery(options))
    }

    #[pyo3(signature = (actor))]
    fn start(&self, actor: Option<String>) -> PyResult<Pending> {
        let builder = self.take()?;
        Ok(Pending::new(async move {
            let platform = builder.start().await?;
            Ok(Engine(match actor {
                Some(actor) => platform.acting_as(actor),
                None => platform,
            }))
        }))
    }
}
