//! Functions of the user, called from the engine: program kinds, resolvers, channels.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use pyo3::prelude::*;
use serde_json::{Map, Value};
use streampark_core::job::{
    Dependency, Launch, Location, Program, ProgramContext, ProgramFactory, ProgramRegistry, ProgramSpec, Resolve,
    Resource,
};
use streampark_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;

use crate::convert::{parse, text};
use crate::error::of_exception;

/// A Python function from text to text, or None.
///
/// One call runs at a time, on a thread that may block: code that hangs holds one thread, not many.
#[derive(Clone)]
pub(crate) struct Callback {
    function: Arc<Py<PyAny>>,
    turn: Arc<Semaphore>,
    otherwise: ErrorKind,
}

impl Callback {
    pub(crate) fn new(function: Py<PyAny>, otherwise: ErrorKind) -> Self {
        Self { function: Arc::new(function), turn: Arc::new(Semaphore::new(1)), otherwise }
    }

    pub(crate) async fn call(&self, argument: String) -> Result<Option<String>> {
        let closing = || Error::new(ErrorKind::Cancelled, "the Python interpreter is closing");
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| closing())?;
        let (function, otherwise) = (Arc::clone(&self.function), self.otherwise);
        let called = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let answer = Python::try_attach(|py| {
                let answer = function.call1(py, (argument,)).and_then(|answer| answer.extract::<Option<String>>(py));
                answer.map_err(|exception| of_exception(py, &exception, otherwise))
            });
            answer.unwrap_or_else(|| Err(closing()))
        });
        called
            .await
            .map_err(|source| Error::new(ErrorKind::Internal, "a Python function ended early").with_source(source))?
    }
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
