//! YARN's diagnostics (`RMAppAttemptImpl`, `ContainerExitStatus`), which are texts for people.

use streampark_core::job::{Failure, FailureClass};

use crate::wire::{App, AppState, FinalStatus};

/// What YARN itself says; None where it says nothing.
pub(crate) fn explain(app: &App) -> Option<Failure> {
    let text = app.diagnostics.trim();
    let (message, class) = if let Some(told) = of_queue(text) {
        told
    } else if let Some(code) = exit_code(text) {
        of_exit_code(code, text)
    } else if app.state == AppState::Killed || app.final_status == FinalStatus::Killed {
        (of_kill(text), FailureClass::Unknown)
    } else if let Some(reason) = between(text, "Failed to renew token: ", &['\n']) {
        (
            format!(
                "the ResourceManager could not renew a delegation token of the application: {reason}; is its renewer the \
                 ResourceManager's principal?"
            ),
            FailureClass::Fatal,
        )
    } else if text.is_empty() || text == "Attempt recovered after RM restart" {
        return None;
    } else {
        (first_line(text), FailureClass::Unknown)
    };
    let mut failure = Failure::new(message).with_class_of(class);
    failure.detail = (!text.is_empty()).then(|| text.chars().take(64 * 1024).collect());
    failure.at = jiff::Timestamp::from_millisecond(app.finished_time).ok().filter(|_| app.finished_time > 0);
    Some(failure)
}

/// Whether a file was missing or changed on the cluster: what is known of Flink's files there is stale.
pub(crate) fn missed_a_file(app: &App) -> bool {
    exit_code(&app.diagnostics) == Some(-1000)
}

/// Whether the node of the JobManager was lost, and with it whatever else ran there.
pub(crate) fn node_was_lost(app: &App) -> bool {
    exit_code(&app.diagnostics) == Some(-100)
}

/// Whether the ResourceManager never started a container.
pub(super) fn is_refusal(text: &str) -> bool {
    of_queue(text).is_some() || text.contains("Failed to renew token: ")
}

/// The exit code of the JobManager's container; two blanks before it are YARN's own.
pub(super) fn exit_code(text: &str) -> Option<i32> {
    let rest = text.get(text.find("exitCode: ")? + "exitCode: ".len()..)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

fn of_queue(text: &str) -> Option<(String, FailureClass)> {
    let name = |before| between(text, before, &['\n', ' ', '"']);
    let message = if let Some(queue) = name("to unknown queue: ") {
        format!("the queue '{queue}' does not exist; choose one of the cluster's by yarn.application.queue")
    } else if let Some(queue) = name("to non-leaf queue: ") {
        format!("the queue '{queue}' has queues below it and takes no applications itself; choose one of those")
    } else if let Some(queue) = between(text, "Queue ", &[' ']).filter(|_| text.contains("cannot accept submission of"))
    {
        // `AbstractLeafQueue.validateSubmitApplication`
        let count = between(text, " already has ", &[' ']).unwrap_or("as many as it may");
        format!(
            "the queue '{queue}' takes no more applications, it has {count}; wait until some have ended, raise \
             maximum-applications of the queue, or choose another by yarn.application.queue"
        )
    } else {
        return None;
    };
    Some((message, FailureClass::Fatal))
}

/// `Application … was killed by user alice with diagnostic message: why`.
fn of_kill(text: &str) -> String {
    let Some(user) = between(text, "was killed by user ", &['\n', ' ']) else {
        return if text.is_empty() { "the application was killed".to_owned() } else { first_line(text) };
    };
    match between(text, "with diagnostic message: ", &['\n']) {
        Some(why) => format!("the application was killed by {user}: {why}"),
        None => format!("the application was killed by {user}"),
    }
}

/// `ContainerExitStatus`, and what shells, the JVM and Flink add to it (`ClusterEntrypoint` ends with 1 and 2,
/// `FatalExitExceptionHandler` and `JvmShutdownSafeguard` with -17, which a shell sees as 239).
fn of_exit_code(code: i32, text: &str) -> (String, FailureClass) {
    let (message, class) = match code {
        -1000 => return of_localization(text),
        -100 => ("the node that ran the JobManager was lost", FailureClass::Environment),
        -101 => ("the disks of the node that ran the JobManager failed or are full", FailureClass::Environment),
        -102 => ("YARN took the JobManager's container away for another queue (preemption)", FailureClass::Environment),
        -103 | -104 => (
            "YARN ended the JobManager because it used more memory than its container has; raise \
             jobmanager.memory.process.size or jobmanager.memory.jvm-overhead.min",
            FailureClass::Unknown,
        ),
        0 => (
            "the JobManager ended by itself (exit code 0) without telling YARN; does the program call System.exit?",
            FailureClass::Fatal,
        ),
        1 => ("Flink's JobManager could not start (exit code 1)", FailureClass::Unknown),
        2 => ("the program or Flink's JobManager failed while it started (exit code 2)", FailureClass::Unknown),
        126 | 127 => (
            "the JobManager's command could not be run; is JAVA_HOME set for the NodeManagers, or by \
             containerized.master.env.JAVA_HOME?",
            FailureClass::Fatal,
        ),
        137 | 143 => {
            let message = format!(
                "the JobManager was ended from outside (exit code {code}, signal {}): by a person, or because the node \
                 had no memory left",
                code - 128
            );
            return (message, FailureClass::Environment);
        }
        239 => (
            "a thread of Flink's JobManager died of an exception, or its JVM took too long to end (exit code 239)",
            FailureClass::Unknown,
        ),
        _ => {
            let message =
                format!("the JobManager ended by itself with exit code {code}; does the program call System.exit?");
            return (message, FailureClass::Unknown);
        }
    };
    (message.to_owned(), class)
}

/// What kept a node from fetching the application's files (`FSDownload`).
fn of_localization(text: &str) -> (String, FailureClass) {
    let about = |word: &str| {
        let line = text.lines().find(|line| line.contains(word)).unwrap_or_default();
        without_time(line.split("Diagnostics: ").last().unwrap_or_default()).to_owned()
    };
    if text.contains("changed on src filesystem") {
        return (
            format!(
                "a file of the application was written again after it was submitted: {}",
                about("changed on src filesystem")
            ),
            FailureClass::Environment,
        );
    }
    if let Some(path) = between(text, "File does not exist: ", &['\n', ' ', ',']) {
        return (
            format!(
                "a file of the application is no longer on the cluster: {path}; the next submission puts it back where it is ours"
            ),
            FailureClass::Environment,
        );
    }
    if text.contains("is not publicly accessible") {
        return (
            format!(
                "{}; give everybody the right to read it and to pass the folders above",
                about("is not publicly accessible").trim_end_matches('.')
            ),
            FailureClass::Fatal,
        );
    }
    if text.contains("Client cannot authenticate via:") {
        return (
            "a node could not fetch the files of the application: it has no valid delegation token for HDFS".to_owned(),
            FailureClass::Fatal,
        );
    }
    let detail = match text.split_once("Diagnostics: ") {
        Some((_, detail)) => without_time(detail.lines().next().unwrap_or_default()).to_owned(),
        None => first_line(text),
    };
    (format!("a node could not fetch the files of the application: {detail}"), FailureClass::Environment)
}

/// A line without YARN's `[2026-11-28 18:26:59.858]` before it.
fn without_time(line: &str) -> &str {
    match line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((time, rest)) if time.starts_with(|c: char| c.is_ascii_digit()) => rest.trim(),
        _ => line.trim(),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &[char]) -> Option<&'a str> {
    let rest = text.get(text.find(before)? + before.len()..)?;
    rest.split(after).next().map(str::trim).filter(|word| !word.is_empty())
}

fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().take(500).collect()
}
