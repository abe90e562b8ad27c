//! What is known of one build, kept for as long as somebody may ask.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::build::failure::{BuildFailure, BuildFailureKind};
use crate::project::Revision;
use crate::{Error, ErrorKind};

/// Where a build stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum BuildState {
    /// It waits for its turn.
    Queued,
    /// It is under way.
    Running,
    /// Its artifacts are kept.
    Succeeded,
    /// It ended without an artifact; the record says why.
    Failed,
    /// Somebody ended it.
    Cancelled,
    /// The process that ran it ended before it did. It can be run again.
    Interrupted,
}

impl BuildState {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// The name as records and Python spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Interrupted => "INTERRUPTED",
        }
    }
}

impl std::fmt::Display for BuildState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What to build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BuildOrder {
    /// The project.
    pub project: String,
    /// Its modules; none named are those that the project declares.
    #[serde(default)]
    pub modules: Vec<String>,
    /// A commit; None is where the project's branch or tag stands when the build's turn comes.
    #[serde(default)]
    pub revision: Option<String>,
    /// Higher comes first; equal ones in the order of asking. 0 is usual.
    #[serde(default)]
    pub priority: i32,
    /// Builds even where the same commit was built with the same options before.
    #[serde(default)]
    pub fresh: bool,
    /// Who asked.
    #[serde(default)]
    pub actor: String,
}

impl BuildOrder {
    /// The modules that a project declares, at the newest commit.
    pub fn new(project: impl Into<String>) -> Self {
        Self {
            project: project.into(),
            modules: Vec::new(),
            revision: None,
            priority: 0,
            fresh: false,
            actor: String::new(),
        }
    }

    /// Names one more module.
    #[must_use]
    pub fn module(mut self, module: impl Into<String>) -> Self {
        self.modules.push(module.into());
        self
    }

    /// Names the commit.
    #[must_use]
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self
    }

    /// Sets the priority.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Builds anew whatever was built before.
    #[must_use]
    pub fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }

    /// Says who asks.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = actor.into();
        self
    }

    /// Whether one build serves both.
    pub(super) fn serves(&self, other: &Self) -> bool {
        self.project == other.project
            && self.modules == other.modules
            && self.revision == other.revision
            && self.fresh == other.fresh
    }
}

/// Why a build failed, as its record keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BuildProblem {
    /// The reason, where the build itself failed and not what surrounds it.
    #[serde(default)]
    pub reason: Option<BuildFailureKind>,
    /// The kind of the error.
    pub kind: String,
    /// The error in one line.
    pub message: String,
    /// The tool's lines about it.
    #[serde(default)]
    pub lines: Vec<String>,
}

impl BuildProblem {
    pub(super) fn of(error: &Error) -> Self {
        let failure = BuildFailure::of(error);
        Self {
            reason: failure.map(|failure| failure.kind),
            kind: error.kind().as_str().to_owned(),
            message: if failure.is_some() { error.message().to_owned() } else { error.chain() },
            lines: failure.map(|failure| failure.lines.clone()).unwrap_or_default(),
        }
    }

    /// The error again.
    pub(super) fn error(&self, id: &str) -> Error {
        let error = match self.reason {
            Some(kind) => BuildFailure::new(kind).with_lines(self.lines.clone()).into_error(&self.message),
            None => Error::new(kind_of(&self.kind), &self.message).with_operation("build"),
        };
        error.with_context("build", id)
    }
}

fn kind_of(name: &str) -> ErrorKind {
    let known = [
        ErrorKind::InvalidInput,
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::Unsupported,
        ErrorKind::Unauthenticated,
        ErrorKind::PermissionDenied,
        ErrorKind::Unreachable,
        ErrorKind::Timeout,
        ErrorKind::Remote,
        ErrorKind::Exhausted,
        ErrorKind::Cancelled,
        ErrorKind::Storage,
        ErrorKind::Io,
        ErrorKind::Program,
    ];
    known.into_iter().find(|kind| kind.as_str() == name).unwrap_or(ErrorKind::Internal)
}

/// One build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BuildRecord {
    /// Its identity; later builds have greater ones.
    pub id: String,
    /// What was asked for.
    pub order: BuildOrder,
    /// Where it stands.
    pub state: BuildState,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When its turn came.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// Who ended it before it was over by itself.
    #[serde(default)]
    pub ended_by: Option<String>,
    /// What was built.
    #[serde(default)]
    pub revision: Option<Revision>,
    /// The builder's kind.
    #[serde(default)]
    pub builder: String,
    /// Names commit and options: builds of one key have the same result.
    #[serde(default)]
    pub key: Option<String>,
    /// The artifacts: module and id.
    #[serde(default)]
    pub artifacts: Vec<(String, String)>,
    /// The earlier build whose artifacts these are.
    #[serde(default)]
    pub reused: Option<String>,
    /// Why it failed.
    #[serde(default)]
    pub problem: Option<BuildProblem>,
}

impl BuildRecord {
    pub(super) fn new(order: BuildOrder, now: Timestamp) -> Self {
        Self {
            id: uuid::Uuid::now_v7().to_string(),
            order,
            state: BuildState::Queued,
            queued_at: now,
            started_at: None,
            ended_at: None,
            ended_by: None,
            revision: None,
            builder: String::new(),
            key: None,
            artifacts: Vec::new(),
            reused: None,
            problem: None,
        }
    }

    /// The artifact of a module, where the build made one.
    pub fn artifact(&self, module: &str) -> Option<&str> {
        self.artifacts.iter().find(|(name, _)| name == module).map(|(_, id)| id.as_str())
    }
}
