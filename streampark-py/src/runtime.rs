//! One tokio runtime for the module, and calls that can be waited for or awaited.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use streampark_core::{Error, ErrorKind, Result};
use tokio::runtime::Runtime;

use crate::error::raise;

/// The process that made the runtime, and the runtime.
static RUNTIME: OnceLock<(u32, std::io::Result<Runtime>)> = OnceLock::new();

/// The runtime, made on first use.
///
/// A forked child has the parent's memory and none of its threads, so the runtime would never
/// answer: the child is told instead of left to hang.
pub(crate) fn runtime() -> Result<&'static Runtime> {
    let (_, made) = RUNTIME.get_or_init(|| {
        let made = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("streampark")
            .enable_all()
            .build();
        (std::process::id(), made)
    });
    if is_forked() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "streampark was used before this process was forked, and does not work in the child; \
             start the child with the 'spawn' or 'forkserver' method",
        )
        .with_operation("python.runtime"));
    }
    let runtime = made.as_ref().map_err(|source| {
        Error::new(ErrorKind::Internal, format!("the threads of streampark cannot be started: {source}"))
    })?;
    // A second call changes nothing.
    let _known = pyo3_async_runtimes::tokio::init_with_runtime(runtime);
    Ok(runtime)
}

/// Runs what waits for the disk on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|source| Error::new(ErrorKind::Internal, "work on a file ended early").with_source(source))?
}

/// Whether this process is a forked child of the one that made the runtime.
///
/// What the parent owns must not be dropped here: a child that ends would end the parent's Flink.
pub(crate) fn is_forked() -> bool {
    RUNTIME.get().is_some_and(|(owner, _)| *owner != std::process::id())
}

/// What a call gives, made into a Python object once the interpreter is at hand.
pub(crate) trait Give: Send {
    fn give(self: Box<Self>, py: Python<'_>) -> PyResult<Py<PyAny>>;
}

impl<T: for<'py> IntoPyObject<'py> + Send> Give for T {
    fn give(self: Box<Self>, py: Python<'_>) -> PyResult<Py<PyAny>> {
        (*self).into_py_any(py)
    }
}

type Call = Pin<Box<dyn Future<Output = Result<Box<dyn Give>>> + Send>>;

/// A call that has not begun: `wait()` makes it and blocks, `await` makes it in asyncio.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Pending(Mutex<Option<Call>>);

impl Pending {
    pub(crate) fn new<T, F>(future: F) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: for<'py> IntoPyObject<'py> + Send + 'static,
    {
        let call = async move { future.await.map(|value| Box::new(value) as Box<dyn Give>) };
        Self(Mutex::new(Some(Box::pin(call))))
    }

    fn take(&self) -> Result<Call> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .ok_or_else(|| Error::invalid("a call can be waited for once; make the call again"))
    }
}

#[pymethods]
impl Pending {
    /// Makes the call: the interpreter is free meanwhile, and Ctrl-C ends it.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let begun = self.take().and_then(|call| Ok((call, runtime()?)));
        let (call, runtime) = begun.map_err(|error| raise(&error))?;
        let value = py.detach(|| runtime.block_on(interruptible(call)))?;
        value.give(py)
    }

    fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let begun = self.take().and_then(|call| runtime().map(|_| call));
        let call = begun.map_err(|error| raise(&error))?;
        let awaitable = pyo3_async_runtimes::tokio::future_into_py(py, async move { Ok(Outcome(call.await)) })?;
        awaitable.call_method0("__await__")
    }
}

/// An answer that becomes a value or an exception where the interpreter is held anyway.
struct Outcome(Result<Box<dyn Give>>);

impl<'py> IntoPyObject<'py> for Outcome {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        match self.0 {
            Ok(value) => value.give(py).map(|value| value.into_bound(py)),
            Err(error) => Err(raise(&error)),
        }
    }
}

async fn interruptible(mut call: Call) -> PyResult<Box<dyn Give>> {
    loop {
        match tokio::time::timeout(Duration::from_millis(100), &mut call).await {
            Ok(result) => return result.map_err(|error| raise(&error)),
            Err(_) => Python::attach(|py| py.check_signals())?,
        }
    }
}
