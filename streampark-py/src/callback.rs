//! Functions of the user, called from the engine: program kinds, resolvers, channels.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pyo3::prelude::*;
use serde_json::{Map, Value};
use streampark_core::job::{
    Dependency, Launch, Location, Program, ProgramContext, ProgramFactory, ProgramRegistry, ProgramSpec, Resolve,
    Resource,
};
use streampark_core::{Error, ErrorKind, ErrorStatus, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::convert::{parse, text};
use crate::error::of_exception;
use crate::interpreter;

/// Calls of one user's code that are on their way at once, at most.
pub(crate) const AT_ONCE_MOST: usize = 64;

/// A Python function from text to text, or None.
///
/// A bounded number of calls run at a time, on threads that may block: code that hangs holds so many threads, not
/// more.
#[derive(Clone)]
pub(crate) struct Callback {
    function: Arc<Py<PyAny>>,
    turns: Arc<Semaphore>,
    otherwise: ErrorKind,
}

impl Callback {
    /// A function that runs once at a time.
    pub(crate) fn new(function: Py<PyAny>, otherwise: ErrorKind) -> Self {
        Self::several(function, otherwise, 1)
    }

    /// A function that runs `at_once` times at once, at most.
    pub(crate) fn several(function: Py<PyAny>, otherwise: ErrorKind, at_once: usize) -> Self {
        Self { function: Arc::new(function), turns: Arc::new(Semaphore::new(at_once)), otherwise }
    }

    /// As [`several`](Self::several), of as many as a user said.
    pub(crate) fn several_of(function: Py<PyAny>, otherwise: ErrorKind, at_once: usize) -> Result<Self> {
        if at_once == 0 || at_once > AT_ONCE_MOST {
            return Err(Error::invalid(format!("at_once is {at_once}; it must be from 1 to {AT_ONCE_MOST}")));
        }
        Ok(Self::several(function, otherwise, at_once))
    }

    pub(crate) async fn call(&self, argument: String) -> Result<Option<String>> {
        let turn = self.turn().await?;
        self.run(argument, turn, None).await
    }

    /// As [`call`](Self::call), bounded in time. Where the function does not answer, or fails in a way that says
    /// nothing of it, the status is `otherwise`.
    pub(crate) async fn call_within(
        &self,
        argument: String,
        timeout: Duration,
        otherwise: ErrorStatus,
    ) -> Result<Option<String>> {
        let late = |what: &str| Error::new(ErrorKind::Timeout, format!("{what} within {} s", timeout.as_secs_f64()));
        let begun = Instant::now();
        let turn = match tokio::time::timeout(timeout, self.turn()).await {
            Ok(turn) => turn?,
            Err(_) => return Err(late("the calls before this one did not end").with_status(ErrorStatus::Temporary)),
        };
        let left = timeout.saturating_sub(begun.elapsed());
        match tokio::time::timeout(left, self.run(argument, turn, Some(otherwise))).await {
            Ok(answer) => answer,
            Err(_) => Err(late("the Python function did not answer").with_status(otherwise)),
        }
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.map_err(|_| closing())
    }

    async fn run(
        &self,
        argument: String,
        turn: OwnedSemaphorePermit,
        status: Option<ErrorStatus>,
    ) -> Result<Option<String>> {
        let (function, otherwise) = (Arc::clone(&self.function), self.otherwise);
        let called = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let answer = interpreter::attach(|py| {
                let answer = function.call1(py, (argument,)).and_then(|answer| answer.extract::<Option<String>>(py));
                answer.map_err(|exception| of_exception(py, &exception, otherwise, status))
            });
            answer.unwrap_or_else(|| Err(closing()))
        });
        called
            .await
            .map_err(|source| Error::new(ErrorKind::Internal, "a Python function ended early").with_source(source))?
    }
}

fn closing() -> Error {
    Error::new(ErrorKind::Cancelled, "the Python interpreter is closing")
}

impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Callback")
    }
}

/// A program kind whose function turns options into a program of a shipped kind.
#[derive(Debug)]
struct PythonProgram {
    kind: String,
    options: Map<String, Value>,
    make: Callback,
}

pub(crate) fn program_factory(kind: String, make: Callback) -> ProgramFactory {
    Arc::new(move |options| {
        Ok(Arc::new(PythonProgram { kind: kind.clone(), options: options.clone(), make: make.clone() }))
    })
}

#[async_trait]
impl Program for PythonProgram {
    fn kind(&self) -> &str {
        &self.kind
    }

    async fn prepare(&self, context: &ProgramContext) -> Result<Launch> {
        let made = self.make.call(text(&self.options)?).await;
        let made = made.map_err(|error| error.with_operation("program.prepare").with_context("kind", &self.kind))?;
        let spec: ProgramSpec = parse(&made.unwrap_or_default(), "the program that the kind's function made")?;
        ProgramRegistry::new().program(&spec)?.prepare(context).await
    }
}

/// A function that finds the files behind names.
#[derive(Debug)]
pub(crate) struct PythonResolver(pub(crate) Callback);

#[async_trait]
impl Resolve for PythonResolver {
    async fn resolve(&self, dependency: &Dependency) -> Result<Vec<Resource>> {
        let answer = self.0.call(text(dependency)?).await.map_err(|error| error.with_operation("resolver.resolve"))?;
        let paths: Vec<PathBuf> = parse(&answer.unwrap_or_default(), "the paths that the resolver gave")?;
        if paths.is_empty() {
            return Err(Error::not_found("the resolver gave no file").with_operation("resolver.resolve"));
        }
        let resource = |path: PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            Resource::new(name, Location::Path(path))
        };
        Ok(paths.into_iter().map(resource).collect())
    }
}
