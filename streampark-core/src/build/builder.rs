//! The trait behind which every build tool stands.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::environment::BuildEnvironment;
use crate::Result;

/// What a running build tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildEvent {
    /// One line of output.
    Line(String),
    /// A new step, in the tool's words.
    Step(String),
}

/// Takes what a running build tells; must not block.
pub type LogSink = Arc<dyn Fn(BuildEvent) + Send + Sync>;

/// One build of one folder.
#[derive(Clone)]
#[non_exhaustive]
pub struct BuildRequest {
    /// The folder with the code; the build may write into it and nowhere else.
    pub folder: PathBuf,
    /// The modules wanted, as the tool spells them; empty is all.
    pub modules: Vec<String>,
    /// Names the build: its processes carry it in their environment.
    pub id: String,
    /// What the build sees of this process's environment.
    pub env: BuildEnvironment,
    /// The build is ended, with its whole process tree, after this time.
    pub timeout: Duration,
    /// The build is ended when it has printed more bytes than this.
    pub max_output: u64,
    /// The build is ended when its processes hold more bytes of memory than this, all together; None is no bound.
    pub max_memory: Option<u64>,
    /// Takes the output as it comes.
    pub log: LogSink,
}

impl BuildRequest {
    /// A build of all modules in `folder`, at most an hour and 64 MiB of output, which nobody wants to see.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            modules: Vec::new(),
            id: uuid::Uuid::now_v7().to_string(),
            env: BuildEnvironment::default(),
            timeout: Duration::from_secs(3600),
            max_output: 64 << 20,
            max_memory: None,
            log: Arc::new(|_| {}),
        }
    }

    /// Names the modules wanted.
    #[must_use]
    pub fn with_modules<M: Into<String>>(mut self, modules: impl IntoIterator<Item = M>) -> Self {
        self.modules = modules.into_iter().map(Into::into).collect();
        self
    }

    /// Sets who takes the output; must not block.
    #[must_use]
    pub fn with_log(mut self, log: impl Fn(BuildEvent) + Send + Sync + 'static) -> Self {
        self.log = Arc::new(log);
        self
    }
}

impl fmt::Debug for BuildRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildRequest")
            .field("folder", &self.folder)
            .field("modules", &self.modules)
            .field("id", &self.id)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What a build made: files in the build's folder, by module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BuildOutput {
    /// Module, and the files that it made.
    pub modules: Vec<(String, Vec<PathBuf>)>,
    /// Facts for people: tool version, JDK.
    pub facts: std::collections::BTreeMap<String, String>,
}

/// A build tool.
///
/// # Contract
/// - Foreign code runs only in child processes, without a shell, with a cleared environment.
/// - Dropping the future of `build` ends the whole process tree.
#[async_trait]
pub trait Builder: fmt::Debug + Send + Sync + 'static {
    /// The kind: `maven`, `gradle`, `command`, `none`.
    fn kind(&self) -> &str;

    /// All options that change the result, as one stable text: same commit and same text, same artifact.
    fn fingerprint(&self) -> String;

    /// Builds.
    ///
    /// # Errors
    /// [`ErrorKind::Program`](crate::ErrorKind::Program) where the code is at fault, with the
    /// tool's own lines; [`Timeout`](crate::ErrorKind::Timeout) and
    /// [`Cancelled`](crate::ErrorKind::Cancelled) apart from it.
    async fn build(&self, request: &BuildRequest) -> Result<BuildOutput>;
}
