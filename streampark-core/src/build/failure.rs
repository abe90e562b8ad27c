//! Why a build ended without an artifact.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, ErrorStatus};

/// The reasons that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BuildFailureKind {
    /// The compiler refused the code.
    Compile,
    /// A dependency, plugin or parent is in no repository.
    Dependency,
    /// A repository did not answer, or refused us.
    Repository,
    /// Tests failed.
    Tests,
    /// Somebody outside ended the build's process.
    Killed,
    /// The build took longer than it may.
    TimedOut,
    /// The tool or its compiler ran out of memory.
    OutOfMemory,
    /// The build printed more than it may.
    OutputLimit,
    /// There is no `pom.xml`, no `build.gradle`.
    BuildFile,
    /// The project has no such module.
    Module,
    /// Maven, Gradle or the declared program is not on this machine.
    Tool,
    /// The tool was content, but what it left behind has no job jar, or more than one.
    Outputs,
    /// The tool failed for a reason that none of the others names.
    Other,
}

impl BuildFailureKind {
    /// The name as records, Python and the log spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compile => "compile",
            Self::Dependency => "dependency",
            Self::Repository => "repository",
            Self::Tests => "tests",
            Self::Killed => "killed",
            Self::TimedOut => "timed_out",
            Self::OutOfMemory => "out_of_memory",
            Self::OutputLimit => "output_limit",
            Self::BuildFile => "build_file",
            Self::Module => "module",
            Self::Tool => "tool",
            Self::Outputs => "outputs",
            Self::Other => "other",
        }
    }

    fn error_kind(self) -> ErrorKind {
        match self {
            Self::Repository => ErrorKind::Unreachable,
            Self::Killed => ErrorKind::Io,
            Self::TimedOut => ErrorKind::Timeout,
            Self::OutOfMemory | Self::OutputLimit => ErrorKind::Exhausted,
            Self::BuildFile | Self::Module | Self::Tool => ErrorKind::NotFound,
            Self::Compile | Self::Dependency | Self::Tests | Self::Outputs | Self::Other => ErrorKind::Program,
        }
    }

    fn status(self) -> ErrorStatus {
        match self {
            Self::Repository | Self::Killed | Self::TimedOut => ErrorStatus::Temporary,
            _ => ErrorStatus::Permanent,
        }
    }
}

impl fmt::Display for BuildFailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reason of a failed build, with the tool's own lines about it.
///
/// It is the [`source`](std::error::Error::source) of the build's [`Error`]; [`BuildFailure::of`] finds it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BuildFailure {
    /// The reason.
    pub kind: BuildFailureKind,
    /// The lines of the tool that say so, files relative to the project; at most 50.
    #[serde(default)]
    pub lines: Vec<String>,
}

impl BuildFailure {
    /// How many of the tool's lines are kept.
    pub const MAX_LINES: usize = 50;

    /// A failure for the reason `kind`.
    pub fn new(kind: BuildFailureKind) -> Self {
        Self { kind, lines: Vec::new() }
    }

    /// Adds the tool's lines, as many as are kept.
    #[must_use]
    pub fn with_lines<L: Into<String>>(mut self, lines: impl IntoIterator<Item = L>) -> Self {
        let room = Self::MAX_LINES.saturating_sub(self.lines.len());
        self.lines.extend(lines.into_iter().take(room).map(Into::into));
        self
    }

    /// The error that a builder returns for it; `message` names what failed and the remedy.
    pub fn into_error(self, message: impl Into<String>) -> Error {
        let error = Error::new(self.kind.error_kind(), message)
            .with_status(self.kind.status())
            .with_operation("build")
            .with_context("reason", self.kind);
        if self.lines.is_empty() { error.with_source(Silent(self)) } else { error.with_source(self) }
    }

    /// The reason inside an error of a build; None where the error is about something else.
    pub fn of(error: &Error) -> Option<&Self> {
        let source = std::error::Error::source(error)?;
        source.downcast_ref::<Self>().or_else(|| source.downcast_ref::<Silent>().map(|silent| &silent.0))
    }
}

impl fmt::Display for BuildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join(" | "))
    }
}

impl std::error::Error for BuildFailure {}

/// A reason of which the tool said nothing: the message has it all.
#[derive(Debug)]
struct Silent(BuildFailure);

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the build ended: {}", self.0.kind)
    }
}

impl std::error::Error for Silent {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_travels_inside_the_error() {
        let failure = BuildFailure::new(BuildFailureKind::Compile).with_lines(["src/A.java:3: ';' expected"]);
        let error = failure.clone().into_error("the code of module 'a' does not compile");
        assert_eq!(error.to_string(), "build: the code of module 'a' does not compile (reason: compile)");
        assert_eq!(
            error.chain(),
            "build: the code of module 'a' does not compile (reason: compile): src/A.java:3: ';' expected"
        );
        assert_eq!((error.kind(), BuildFailure::of(&error)), (ErrorKind::Program, Some(&failure)));
        let silent = BuildFailure::new(BuildFailureKind::TimedOut).into_error("too long");
        assert!(silent.is_retryable());
        assert_eq!(BuildFailure::of(&silent).unwrap().kind, BuildFailureKind::TimedOut);
    }
}
