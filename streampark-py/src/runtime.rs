//! One tokio runtime for the module, and calls that can be waited for or awaited.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use streampark_core::{Error, ErrorKind};
use tokio::runtime::Runtime;

use crate::error::raise;

static RUNTIME: OnceLock<(u32, std::io::Result<Runtime>)> = OnceLock::new();

/// The runtime, made on first use.
///
/// A forked child has the parent's memory and none of its threads, so the runtime would never
/// answer: the child is told instead of left to hang.
pub(crate) fn runtime() -> PyResult<&'static Runtime> {
    let (owner, runtime) = RUNTIME.get_or_init(|| {
        let made = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("streampark")
            .enable_all()
            .build();
        (std::process::id(), made)
    });
    if *owner != std::process::id() {
        return Err(raise(&Error::new(
            ErrorKind::Internal,
            "streampark was used before this process was forked, and does not work in the child; \
             start the child with the 'spawn' or 'forkserver' method",
        )));
    }
    runtime.as_ref().map_err(|source| {
        raise(&Error::new(ErrorKind::Internal, "the tokio runtime cannot be started").with_context("reason", source))
    })
}

/// What a call gives, made into a Python object once the interpreter is at hand.
type Value = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>> + Send>;
type Call = Pin<Box<dyn Future<Output = streampark_core::Result<Value>> + Send>>;

/// A call that has not begun: `wait()` makes it and blocks, `await` makes it in asyncio.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Pending(Mutex<Option<Call>>);

impl Pending {
    pub(crate) fn new<T, F>(future: F) -> Self
    where
        F: Future<Output = streampark_core::Result<T>> + Send + 'static,
        T: for<'py> IntoPyObject<'py> + Send + 'static,
    {
        let call = async move {
            let value = future.await?;
            Ok(Box::new(move |py: Python<'_>| value.into_bound_py_any(py)) as Value)
        };
        Self(Mutex::new(Some(Box::pin(call))))
    }

    fn take(&self) -> PyResult<Call> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .ok_or_else(|| raise(&Error::invalid("a call can be waited for once; make the call again")))
    }
}

#[pymethods]
impl Pending {
    /// Makes the call: the interpreter is free meanwhile, and Ctrl-C ends it.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (call, runtime) = (self.take()?, runtime()?);
        let value = py.detach(|| runtime.block_on(interruptible(call)))?;
        value(py)
    }

    fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let task = AbortOnDrop(runtime()?.spawn(self.take()?));
        let awaitable = pyo3_async_runtimes::tokio::future_into_py(py, async move {
            let mut task = task;
            match (&mut task.0).await {
                Ok(Ok(value)) => Python::attach(|py| value(py).map(Bound::unbind)),
                Ok(Err(error)) => Err(raise(&error)),
                Err(source) => {
                    Err(raise(&Error::new(ErrorKind::Internal, "a call ended early").with_context("reason", source)))
                }
            }
        })?;
        awaitable.call_method0("__await__")
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<streampark_core::Result<Value>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn interruptible(call: Call) -> PyResult<Value> {
    tokio::pin!(call);
    loop {
        tokio::select! {
            result = &mut call => return result.map_err(|error| raise(&error)),
            () = tokio::time::sleep(Duration::from_millis(100)) => Python::attach(|py| py.check_signals())?,
        }
    }
}
