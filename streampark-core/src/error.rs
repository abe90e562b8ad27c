//! One error for the whole SDK: what went wrong, whether it may have happened, and what to do.

use std::error::Error as StdError;
use std::fmt;

/// The result of every fallible call of the SDK.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in words that a program can decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller gave something that can never work; the message names the rule and the remedy.
    InvalidInput,
    /// The thing named does not exist.
    NotFound,
    /// A thing of that name, or with that identity, exists already.
    AlreadyExists,
    /// The thing is in a state in which the call is refused, or somebody else changed it first.
    Conflict,
    /// The engine, store or cluster cannot do this at all; see `Capability`.
    Unsupported,
    /// The other side does not know who we are.
    Unauthenticated,
    /// The other side knows us and refuses.
    PermissionDenied,
    /// Nobody answered: connection refused, name not found, TLS handshake failed.
    Unreachable,
    /// An answer did not come in time.
    Timeout,
    /// The other side answered with something that is not its protocol.
    UnexpectedResponse,
    /// The other side answered that it failed (HTTP 5xx and the like).
    Remote,
    /// A bound of ours was reached: a queue is full, a limit is used up.
    Exhausted,
    /// The caller or a shutdown ended the call before it was done.
    Cancelled,
    /// The store could not read or write: disk full, read-only, damaged.
    Storage,
    /// A local file or process operation failed.
    Io,
    /// The user's own program is at fault: its `main` threw, its SQL does not parse, its class is absent.
    Program,
    /// A defect of the SDK itself.
    Internal,
}

impl ErrorKind {
    /// The kind's name as Python and the event log spell it, for example `not_found`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::Unsupported => "unsupported",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::UnexpectedResponse => "unexpected_response",
            Self::Remote => "remote",
            Self::Exhausted => "exhausted",
            Self::Cancelled => "cancelled",
            Self::Storage => "storage",
            Self::Io => "io",
            Self::Program => "program",
            Self::Internal => "internal",
        }
    }

    fn default_status(self) -> ErrorStatus {
        match self {
            Self::Unreachable | Self::Timeout | Self::Exhausted => ErrorStatus::Temporary,
            Self::Remote | Self::UnexpectedResponse => ErrorStatus::Temporary,
            _ => ErrorStatus::Permanent,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// May the same call work later, and may it have taken effect already?
///
/// The supervisor decides by status; people decide by [`ErrorKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorStatus {
    /// It did not happen, and the same call will fail again.
    Permanent,
    /// It did not happen; the same call may work later.
    Temporary,
    /// It may have happened: the request left, the answer is lost. Ask before sending again.
    Unknown,
}

impl ErrorStatus {
    /// The status's name as Python and the event log spell it, for example `temporary`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Temporary => "temporary",
            Self::Unknown => "unknown",
        }
    }
}

type Source = Box<dyn StdError + Send + Sync + 'static>;

struct Inner {
    kind: ErrorKind,
    status: ErrorStatus,
    message: String,
    operation: Option<&'static str>,
    context: Vec<(&'static str, String)>,
    source: Option<Source>,
}

/// Why a call failed.
///
/// `Display` is one line: the operation, the message, then the context pairs; it never repeats
/// [`source`](StdError::source), so that a printed chain says everything once.
///
/// ```
/// use streampark_core::{Error, ErrorKind, ErrorStatus};
///
/// let error = Error::new(ErrorKind::Unreachable, "connection refused; is the JobManager running?")
///     .with_operation("flink.overview")
///     .with_context("url", "http://localhost:8081/");
/// assert_eq!(error.status(), ErrorStatus::Temporary);
/// assert_eq!(
///     error.to_string(),
///     "flink.overview: connection refused; is the JobManager running? (url: http://localhost:8081/)"
/// );
/// ```
pub struct Error(Box<Inner>);

impl Error {
    /// An error of `kind` whose status is the usual one of that kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            status: kind.default_status(),
            message: message.into(),
            operation: None,
            context: Vec::new(),
            source: None,
        }))
    }

    /// Shorthand for [`ErrorKind::InvalidInput`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Shorthand for [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Sets whether the call may have taken effect.
    #[must_use]
    pub fn with_status(mut self, status: ErrorStatus) -> Self {
        self.0.status = status;
        self
    }

    /// Names the operation that failed, for example `flink.jars.run`. The innermost name is kept.
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// Adds one fact; a key already present is kept as it is, because the innermost knows best.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        if !self.0.context.iter().any(|(k, _)| *k == key) {
            self.0.context.push((key, value.to_string()));
        }
        self
    }

    /// Keeps the cause, to be read through [`source`](StdError::source).
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// May it have happened, may it work later?
    pub fn status(&self) -> ErrorStatus {
        self.0.status
    }

    /// True where nothing happened and the same call may work later.
    pub fn is_retryable(&self) -> bool {
        self.0.status == ErrorStatus::Temporary
    }

    /// The message alone, without operation and context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The operation that failed, for example `flink.jars.run`.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The facts around the failure, in the order they were added.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }

    /// The error and its sources, joined by `: `, for one-line logs and event rows.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = self.source();
        while let Some(source) = next {
            text.push_str(": ");
            text.push_str(&source.to_string());
            next = source.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = self.0.operation {
            write!(f, "{operation}: ")?;
        }
        f.write_str(&self.0.message)?;
        let mut separator = " (";
        for (key, value) in &self.0.context {
            write!(f, "{separator}{key}: {value}")?;
            separator = ", ";
        }
        if self.0.context.is_empty() {
            return Ok(());
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("status", &self.0.status)
            .field("operation", &self.0.operation)
            .field("message", &self.0.message)
            .field("context", &self.0.context)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        let message = match source.kind() {
            std::io::ErrorKind::NotFound => "no such file or folder",
            std::io::ErrorKind::PermissionDenied => "the operating system denies access",
            std::io::ErrorKind::StorageFull => "the disk is full; free some space",
            std::io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
            _ => "a file or process operation failed",
        };
        Self::new(ErrorKind::Io, message).with_source(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_says_each_thing_once() {
        let cause = std::io::Error::other("boom");
        let error = Error::new(ErrorKind::Storage, "the store could not commit")
            .with_context("file", "jobs.db")
            .with_source(cause);
        assert_eq!(error.to_string(), "the store could not commit (file: jobs.db)");
        assert_eq!(error.chain(), "the store could not commit (file: jobs.db): boom");
    }

    #[test]
    fn the_innermost_operation_and_context_win() {
        let error = Error::not_found("no job named 'a'")
            .with_operation("store.job")
            .with_operation("jobs.get")
            .with_context("job", "a")
            .with_context("job", "b");
        assert_eq!(error.operation(), Some("store.job"));
        assert_eq!(error.context(), [("job", "a".to_owned())]);
    }

    #[test]
    fn stays_small_and_sendable() {
        fn sendable<T: Send + Sync + 'static>() {}
        sendable::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
