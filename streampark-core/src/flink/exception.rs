//! What a Java stack trace really says: the innermost cause that means something, and whether
//! trying again can help.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One link of a chain of Java exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cause {
    /// The full class name; empty where the text names none.
    pub class: String,
    /// The message, possibly of several lines; empty where the exception has none.
    pub message: String,
}

impl Cause {
    /// The class without its package.
    pub fn simple_class(&self) -> &str {
        self.class.rsplit(['.', '$']).next().unwrap_or(&self.class)
    }

    /// `Class: first line of the message`.
    pub fn one_line(&self) -> String {
        let line = self.message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        match (self.class.is_empty(), line.is_empty()) {
            (true, _) => line.to_owned(),
            (false, true) => self.simple_class().to_owned(),
            (false, false) => format!("{}: {line}", self.simple_class()),
        }
    }

    fn means_nothing(&self) -> bool {
        const WRAPPERS: [&str; 14] = [
            "CompletionException",
            "ExecutionException",
            "InvocationTargetException",
            "UndeclaredThrowableException",
            "PrivilegedActionException",
            "SerializedThrowable",
            "ProgramInvocationException",
            "JobExecutionException",
            "ApplicationExecutionException",
            "ApplicationFailureException",
            "JobInitializationException",
            "RestHandlerException",
            "WrappingRuntimeException",
            "StreamTaskException",
        ];
        WRAPPERS.contains(&self.simple_class())
            || (self.simple_class() == "JobException" && self.message.starts_with("Recovery is suppressed by"))
            || (self.simple_class() == "FlinkRuntimeException" && self.message == "Could not execute application.")
            || (self.simple_class() == "FlinkException" && self.message.starts_with("Failed to execute job"))
    }

    /// `new RuntimeException(cause)` takes the cause's text as its message.
    fn repeats(&self, inner: &Cause) -> bool {
        self.message.strip_prefix(inner.class.as_str()).is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix(": ").is_some_and(|message| message.trim_end() == inner.message)
        })
    }

    /// Says too little without the exception around it.
    fn is_bare(&self) -> bool {
        const BARE: [&str; 6] = [
            "TimeoutException",
            "CancellationException",
            "InterruptedException",
            "ClosedChannelException",
            "ClosedByInterruptException",
            "Exception",
        ];
        self.message.is_empty() && BARE.contains(&self.simple_class())
    }
}

/// Why a job or a call failed, in Flink's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RootCause {
    /// The class of the innermost cause that means something, with its package.
    pub class: String,
    /// Its message, possibly of several lines.
    pub message: String,
    /// Every exception from the outermost to the innermost, wrappers included.
    pub chain: Vec<Cause>,
    /// The trace as Flink printed it.
    pub stacktrace: String,
    /// The task that failed, for example `Source: orders -> Map (1/4)`; none for a failure of the whole job.
    pub task: Option<String>,
    /// The id of the TaskManager on which it failed.
    pub taskmanager: Option<String>,
    /// When it failed, where Flink says so.
    pub at: Option<Timestamp>,
    /// What the cluster's failure enrichers said (`jobmanager.failure-enrichers`).
    pub labels: BTreeMap<String, String>,
}

/// What Flink threw when it refused a call: the source of an [`Error`](crate::Error), by which the whole
/// trace can be read. Its own `Display` and `Debug` are the class alone.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteException(pub RootCause);

impl fmt::Display for RemoteException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flink threw {}", self.0.class)
    }
}

impl fmt::Debug for RemoteException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteException({})", self.0.class)
    }
}

impl std::error::Error for RemoteException {}

impl RootCause {
    /// Reads a stack trace as Java prints it; never fails, text that is no trace becomes the message.
    ///
    /// ```
    /// use streampark_core::flink::RootCause;
    ///
    /// let cause = RootCause::from_stacktrace(
    ///     "java.util.concurrent.CompletionException: java.io.IOException: disk full\n\tat a.B.c(B.java:1)\n\
    ///      Caused by: java.io.IOException: disk full\n\t... 1 more\n",
    /// );
    /// assert_eq!(cause.class, "java.io.IOException");
    /// assert_eq!(cause.one_line(), "IOException: disk full");
    /// ```
    pub fn from_stacktrace(text: &str) -> Self {
        let chain = parse_chain(text);
        let chosen = choose(&chain).cloned().unwrap_or_else(|| Cause { class: String::new(), message: String::new() });
        Self {
            class: chosen.class,
            message: chosen.message,
            chain,
            stacktrace: text.to_owned(),
            task: None,
            taskmanager: None,
            at: None,
            labels: BTreeMap::new(),
        }
    }

    /// `Class: first line of the message`, the class without its package.
    pub fn one_line(&self) -> String {
        Cause { class: self.class.clone(), message: self.message.clone() }.one_line()
    }

    /// Whether an exception of this simple class name is anywhere in the chain.
    pub fn mentions(&self, simple_class: &str) -> bool {
        self.chain.iter().any(|cause| cause.simple_class() == simple_class)
    }

    /// Whether starting again can help; see [`FailureClass`].
    ///
    /// Rules in this order: a label `streampark.recovery` of `fatal` or `recoverable` set by a
    /// failure enricher of the user; Flink's own verdict that the failure cannot be recovered
    /// (`SuppressRestartsException` and the errors of `ThrowableType.NonRecoverableError`); errors
    /// of the program, of its classes, of its restore point and of permissions; failures of
    /// machines, networks and storage; else unknown.
    pub fn classify(&self) -> FailureClass {
        match self.labels.get("streampark.recovery").map(String::as_str) {
            Some("fatal") => return FailureClass::Fatal,
            Some("recoverable") => return FailureClass::Environment,
            _ => {}
        }
        let any_class = |names: &[&str]| self.chain.iter().any(|cause| names.contains(&cause.simple_class()));
        let any_text = |parts: &[&str]| {
            self.chain.iter().any(|cause| {
                let message = cause.message.to_ascii_lowercase();
                parts.iter().any(|part| message.contains(part))
            })
        };
        if any_class(&FATAL_CLASSES) || any_text(&FATAL_TEXTS) {
            FailureClass::Fatal
        } else if any_class(&ENVIRONMENT_CLASSES) || any_text(&ENVIRONMENT_TEXTS) {
            FailureClass::Environment
        } else {
            FailureClass::Unknown
        }
    }
}

/// Whether starting a failed job again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FailureClass {
    /// It will fail again in the same way: the program, its classes, its restore point or a permission is at fault.
    Fatal,
    /// A machine, the network or a storage failed; the job itself is sound.
    Environment,
    /// Nothing tells; treat as recoverable, but with less patience.
    Unknown,
}

impl FailureClass {
    /// Whether a restart makes sense at all.
    pub fn is_recoverable(self) -> bool {
        self != Self::Fatal
    }

    /// The name as events spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Environment => "environment",
            Self::Unknown => "unknown",
        }
    }
}

const FATAL_CLASSES: [&str; 27] = [
    // Flink's own verdict.
    "SuppressRestartsException",
    "NoResourceAvailableNonRecoverableException",
    "StateMigrationException",
    "CorruptConfigurationException",
    "IllegalConfigurationException",
    "InvalidProgramException",
    "StateMapSnapshotException",
    // The program and its classes.
    "ClassNotFoundException",
    "NoClassDefFoundError",
    "NoSuchMethodError",
    "NoSuchFieldError",
    "AbstractMethodError",
    "IncompatibleClassChangeError",
    "UnsupportedClassVersionError",
    "InvalidClassException",
    "NotSerializableException",
    "ProgramParametrizationException",
    "ProgramMissingJobException",
    "UserSystemExitException",
    // SQL.
    "ValidationException",
    "SqlParserException",
    "SqlParseException",
    "CalciteContextException",
    "NoMatchingTableFactoryException",
    // Permissions.
    "AccessDeniedException",
    "AccessControlException",
    "AuthenticationException",
];

const FATAL_TEXTS: [&str; 9] = [
    "the program's entry point class",
    "neither a 'main-class', nor a 'program-class' entry was found",
    "cannot find checkpoint or savepoint file/directory",
    "there is no operator for the state",
    "cannot map checkpoint/savepoint state",
    "failed to rollback to checkpoint/savepoint",
    "quota exceeded",
    "is over quota",
    "permission denied",
];

const ENVIRONMENT_CLASSES: [&str; 22] = [
    "RemoteTransportException",
    "LocalTransportException",
    "PartitionNotFoundException",
    "PartitionConnectionException",
    "PartitionException",
    "HeartbeatTimeoutException",
    "NoResourceAvailableException",
    "TaskManagerLossException",
    "ResourceManagerException",
    "JobMasterException",
    "AskTimeoutException",
    "RecipientUnreachableException",
    "ConnectException",
    "NoRouteToHostException",
    "UnknownHostException",
    "SocketTimeoutException",
    "SocketException",
    "ClosedChannelException",
    "TimeoutException",
    "StandbyException",
    "SafeModeException",
    "OutOfMemoryError",
];

const ENVIRONMENT_TEXTS: [&str; 12] = [
    "heartbeat of taskmanager",
    "heartbeat of job manager",
    "is no longer reachable",
    "lost the connection",
    "connection refused",
    "connection reset",
    "could not acquire the minimum required resources",
    "slot request timeout",
    "taskexecutor has been shut down",
    "the taskexecutor is shutting down",
    "service unavailable",
    "slow down",
];

fn choose(chain: &[Cause]) -> Option<&Cause> {
    let meaningful = |index: usize, cause: &Cause| {
        !cause.means_nothing() && chain.get(index + 1).is_none_or(|inner| !cause.repeats(inner))
    };
    let mut candidates =
        chain.iter().enumerate().rev().filter(|(index, cause)| meaningful(*index, cause)).map(|(_, cause)| cause);
    let innermost = candidates.next();
    match innermost {
        Some(cause) if cause.is_bare() => candidates.find(|outer| !outer.message.is_empty()).or(innermost),
        Some(cause) => Some(cause),
        // Wrappers only: the innermost that has a message still says most.
        None => chain.iter().rev().find(|cause| !cause.message.is_empty()).or(chain.last()),
    }
}

fn parse_chain(text: &str) -> Vec<Cause> {
    const PREFIX: &str = "<Exception on server side:";
    let mut chain: Vec<Cause> = Vec::new();
    let mut in_message = false;
    for line in text.lines() {
        if line.trim() == PREFIX || line.starts_with("End of exception on server side") {
            continue;
        }
        if let Some(header) = line.strip_prefix("Caused by: ") {
            chain.push(parse_header(header));
            in_message = true;
        } else if is_frame(line) {
            in_message = false;
        } else if chain.is_empty() {
            if !line.trim().is_empty() {
                chain.push(parse_header(line));
                in_message = true;
            }
        } else if in_message && let Some(cause) = chain.last_mut() {
            cause.message.push('\n');
            cause.message.push_str(line);
        }
    }
    for cause in &mut chain {
        cause.message.truncate(cause.message.trim_end().len());
        unwrap_serialized(cause);
    }
    chain
}

fn is_frame(line: &str) -> bool {
    let trimmed = line.trim_start();
    trimmed.len() < line.len()
        && (trimmed.starts_with("at ")
            || trimmed.starts_with("... ")
            || trimmed.starts_with("Suppressed: ")
            || trimmed.starts_with("Caused by: ")
            || trimmed.starts_with("[CIRCULAR REFERENCE"))
}

fn parse_header(line: &str) -> Cause {
    let line = line.trim();
    let (class, message) = match line.split_once(": ") {
        Some((class, message)) => (class, message),
        None => (line.strip_suffix(':').unwrap_or(line), ""),
    };
    if is_class_name(class) {
        Cause { class: class.to_owned(), message: message.trim_end().to_owned() }
    } else {
        Cause { class: String::new(), message: line.to_owned() }
    }
}

fn is_class_name(text: &str) -> bool {
    let part = |part: &str| {
        !part.starts_with(|c: char| c.is_ascii_digit())
            && !part.is_empty()
            && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
    };
    text.contains('.') && text.split('.').all(part)
}

/// `SerializedThrowable` carries the real class at the head of its message.
fn unwrap_serialized(cause: &mut Cause) {
    while cause.simple_class() == "SerializedThrowable" {
        let inner = parse_header(cause.message.lines().next().unwrap_or_default());
        if inner.class.is_empty() {
            return;
        }
        let rest: String = cause.message.lines().skip(1).flat_map(|line| ["\n", line]).collect();
        *cause = Cause { class: inner.class, message: inner.message + &rest };
    }
}

#[cfg(test)]
mod tests;
