//! One tokio runtime for the module, and calls that can be waited for or awaited.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::wrap_pyfunction;
use streampark_core::{Error, ErrorKind, Result};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::error::raise;
use crate::interpreter;

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
    made.as_ref().map_err(|source| {
        Error::new(ErrorKind::Internal, format!("the threads of streampark cannot be started: {source}"))
    })
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

    /// A call of something that is cheap to clone.
    pub(crate) fn on<H, T, F, Fut>(handle: &H, call: F) -> Self
    where
        H: Clone + Send + 'static,
        F: FnOnce(H) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: for<'py> IntoPyObject<'py> + Send + 'static,
    {
        let handle = handle.clone();
        Self::new(async move { call(handle).await })
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
        match interpreter::detach(py, || runtime.block_on(interruptible(call)))? {
            Ok(value) => value.give(py),
            Err(error) => Err(raise(&error)),
        }
    }

    fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let begun = self.take().and_then(|call| Ok((call, runtime()?)));
        let (call, runtime) = begun.map_err(|error| raise(&error))?;
        let event_loop = py.import("asyncio")?.call_method0("get_running_loop")?;
        let future = event_loop.call_method0("create_future")?;
        let (done, is_done) = oneshot::channel();
        future.call_method1("add_done_callback", (Done(Mutex::new(Some(done))),))?;
        let awaited = Awaited { event_loop: event_loop.unbind(), future: future.clone().unbind() };
        runtime.spawn(awaited.settle(call, is_done));
        future.call_method0("__await__")
    }
}

/// A future of asyncio, and the loop that it belongs to.
struct Awaited {
    event_loop: Py<PyAny>,
    future: Py<PyAny>,
}

impl Awaited {
    /// Makes the call, unless the future is done before: cancelled, that is.
    async fn settle(self, call: Call, is_done: oneshot::Receiver<()>) {
        let mut call = tokio::spawn(call);
        let outcome = tokio::select! {
            outcome = &mut call => outcome,
            _ = is_done => return call.abort(),
        };
        let outcome = outcome
            .unwrap_or_else(|source| Err(Error::new(ErrorKind::Internal, "the call ended early").with_source(source)));
        // The interpreter is waited for on a thread that may wait. A loop that is closed has nobody who waits for it.
        let _told = tokio::task::spawn_blocking(move || interpreter::attach(|py| self.tell(py, outcome).is_ok())).await;
    }

    fn tell(self, py: Python<'_>, outcome: Result<Box<dyn Give>>) -> PyResult<()> {
        let outcome = outcome.map_err(|error| raise(&error)).and_then(|value| value.give(py));
        let (method, argument) = match outcome {
            Ok(value) => ("set_result", value),
            Err(exception) => ("set_exception", exception.into_py_any(py)?),
        };
        let settle = wrap_pyfunction!(settle_future, py)?;
        self.event_loop.call_method1(py, "call_soon_threadsafe", (settle, self.future, method, argument)).map(drop)
    }
}

/// Run by the loop itself: the future may have been cancelled since.
#[pyfunction]
fn settle_future(future: &Bound<'_, PyAny>, method: &str, argument: Bound<'_, PyAny>) -> PyResult<()> {
    if future.call_method0("done")?.is_truthy()? {
        return Ok(());
    }
    future.call_method1(method, (argument,)).map(drop)
}

/// Called by asyncio when a future is done.
#[pyclass(frozen)]
struct Done(Mutex<Option<oneshot::Sender<()>>>);

#[pymethods]
impl Done {
    fn __call__(&self, _future: &Bound<'_, PyAny>) {
        if let Some(done) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Nobody listens where the call is over.
            let _heard = done.send(());
        }
    }
}

/// The outer error is a signal's: Ctrl-C.
async fn interruptible(mut call: Call) -> PyResult<Result<Box<dyn Give>>> {
    loop {
        match tokio::time::timeout(Duration::from_millis(100), &mut call).await {
            Ok(result) => return Ok(result),
            Err(_) => interpreter::attach(|py| py.check_signals()).unwrap_or(Ok(()))?,
        }
    }
}
