//! One tokio runtime for the module, and the two ways to wait for it: blocking, and awaited.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

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

/// Waits for `future`: with the interpreter free and Ctrl-C heard where `blocking`, else as an
/// awaitable of the running asyncio loop.
pub(crate) fn wait<'py, T, F>(py: Python<'py>, blocking: bool, future: F) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = streampark_core::Result<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    let runtime = runtime()?;
    if blocking {
        let value = py.detach(|| runtime.block_on(interruptible(future)))?;
        return value.into_bound_py_any(py);
    }
    let task = runtime.spawn(future);
    pyo3_async_runtimes::tokio::future_into_py(py, async move {
        let abort = AbortOnDrop(task.abort_handle());
        let result = match task.await {
            Ok(result) => result.map_err(|error| raise(&error)),
            Err(source) => Err(raise(&Error::new(ErrorKind::Internal, "a task ended early").with_context("reason", source))),
        };
        drop(abort);
        result
    })
}

use pyo3::IntoPyObjectExt as _;

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn interruptible<T>(future: impl Future<Output = streampark_core::Result<T>>) -> PyResult<T> {
    tokio::pin!(future);
    loop {
        tokio::select! {
            result = &mut future => return result.map_err(|error| raise(&error)),
            () = tokio::time::sleep(Duration::from_millis(100)) => Python::attach(|py| py.check_signals())?,
        }
    }
}
