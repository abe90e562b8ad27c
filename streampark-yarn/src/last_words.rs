//! What YARN says of an application that ended badly, in words that name the remedy.

use streampark_core::flink::RootCause;
use streampark_core::job::{Failure, FailureClass};

use crate::wire::{App, AppState, FinalStatus};

/// What YARN itself says; None where it says nothing.
pub(crate) fn explain(app: &App) -> Option<Failure> {
    let text = app.diagnostics.trim();
    let (message, class) = if let Some(queue) = between(text, "to unknown queue: ", &['\n', ' ', '"']) {
        (
            format!("the queue '{queue}' does not exist; choose one of the cluster's by yarn.application.queue"),
            FailureClass::Fatal,
        )
    } else if let Some(queue) = between(text, "to non-leaf queue: ", &['\n', ' ', '"']) {
        (
            format!("the queue '{queue}' has queues below it and takes no applications itself; choose one of those"),
            FailureClass::Fatal,
        )
    } else if let Some(code) = exit_code(text) {
        of_exit_code(code, text)
    } else if app.state == AppState::Killed || app.final_status == FinalStatus::Killed {
        (
            if text.is_empty() { "the application was killed".to_owned() } else { first_line(text) },
            FailureClass::Unknown,
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

/// The exit code of the JobManager's container; two blanks before it are YARN's own.
fn exit_code(text: &str) -> Option<i32> {
    let rest = text.get(text.find("exitCode: ")? + "exitCode: ".len()..)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// `ContainerExitStatus`, and what shells and Flink add to it.
fn of_exit_code(code: i32, text: &str) -> (String, FailureClass) {
    let detail = text.find("Diagnostics: ").and_then(|at| text.get(at + "Diagnostics: ".len()..)).unwrap_or_default();
    let detail =
        detail.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('[')).unwrap_or_default();
    match code {
        -1000 => of_localization(text, detail),
        -100 => ("the node that ran the JobManager was lost".to_owned(), FailureClass::Environment),
        -101 => {
            ("the disks of the node that ran the JobManager failed or are full".to_owned(), FailureClass::Environment)
        }
        -102 => (
            "YARN took the JobManager's container away for another queue (preemption)".to_owned(),
            FailureClass::Environment,
        ),
        -103 | -104 => (
            "YARN ended the JobManager because it used more memory than its container has; raise \
             jobmanager.memory.process.size or jobmanager.memory.jvm-overhead.min"
                .to_owned(),
            FailureClass::Unknown,
        ),
        0 => {
            ("the JobManager ended before it had registered with YARN (exit code 0)".to_owned(), FailureClass::Unknown)
        }
        126 | 127 => (
            format!(
                "the JobManager's command could not be run (exit code {code}); is JAVA_HOME set for the NodeManagers, or by containerized.master.env.JAVA_HOME?"
            ),
            FailureClass::Fatal,
        ),
        137 | 143 => (format!("the JobManager was ended by a signal (exit code {code})"), FailureClass::Environment),
        _ => (format!("the JobManager ended with exit code {code}"), FailureClass::Unknown),
    }
}

fn of_localization(text: &str, detail: &str) -> (String, FailureClass) {
    let line = text.lines().map(str::trim);
    let about = |word: &str| {
        line.clone().find(|line| line.contains(word)).unwrap_or_default().trim_start_matches('[').to_owned()
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
                about("is not publicly accessible")
            ),
            FailureClass::Fatal,
        );
    }
    let detail = if detail.is_empty() { first_line(text) } else { detail.to_owned() };
    (format!("a node could not fetch the files of the application: {detail}"), FailureClass::Environment)
}

fn between<'a>(text: &'a str, before: &str, after: &[char]) -> Option<&'a str> {
    let rest = text.get(text.find(before)? + before.len()..)?;
    rest.split(after).next().map(str::trim).filter(|word| !word.is_empty())
}

fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().take(500).collect()
}

/// The last exception of a log, where it has one.
pub(crate) fn exception_of_log(log: &str) -> Option<RootCause> {
    let lines: Vec<&str> = log.lines().collect();
    let is_frame = |line: &str| line.starts_with("\tat ") || line.starts_with("    at ");
    let names_exception = |line: &str| {
        !line.starts_with(['\t', ' '])
            && !line.starts_with("Caused by:")
            && (line.contains("Exception") || line.contains("Error"))
    };
    // A fatal one stands last among those of level ERROR; a log without any ends with what it has.
    let mut found: Option<(bool, usize)> = None;
    for (index, line) in lines.iter().enumerate() {
        let begins = names_exception(line)
            && lines.get(index + 1).is_some_and(|next| is_frame(next) || next.starts_with("Caused by:"));
        if !begins {
            continue;
        }
        let head = if index > 0 { lines.get(index - 1).copied().unwrap_or_default() } else { "" };
        let severe = line.contains(" ERROR ")
            || line.contains(" FATAL ")
            || head.contains(" ERROR ")
            || head.contains(" FATAL ");
        if severe || found.is_none_or(|(known, _)| !known) {
            found = Some((severe, index));
        }
    }
    let (_, start) = found?;
    let more = |line: &&&str| {
        let line: &str = line;
        is_frame(line)
            || line.starts_with("Caused by:")
            || line.starts_with("\t...")
            || line.starts_with("\tSuppressed")
            || line.starts_with('\t')
    };
    let trace: Vec<&str> = std::iter::once(without_prefix(lines.get(start)?))
        .chain(lines.get(start + 1..)?.iter().take_while(more).copied())
        .collect();
    Some(RootCause::from_stacktrace(&trace.join("\n")))
}

/// A line of a log without time, level and logger: `… [] - java.io.IOException: x`.
fn without_prefix(line: &str) -> &str {
    match line.find(" - ") {
        Some(at) if line.starts_with(|c: char| c.is_ascii_digit()) => line.get(at + 3..).unwrap_or(line).trim(),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(diagnostics: &str) -> App {
        App {
            state: AppState::Failed,
            final_status: FinalStatus::Failed,
            diagnostics: diagnostics.to_owned(),
            ..App::default()
        }
    }

    fn sentence(diagnostics: &str) -> String {
        explain(&failed(diagnostics)).unwrap().message
    }

    fn exited(code: i32, diagnostics: &str) -> String {
        format!(
            "Application application_1_0001 failed 1 times (global limit =2; local limit is =1) due to AM Container for \
             appattempt_1_0001_000001 exited with  exitCode: {code}\nFailing this attempt.Diagnostics: {diagnostics}"
        )
    }

    #[test]
    fn every_row_of_the_matrix_is_a_sentence() {
        for (diagnostics, message) in [
            (
                "Application application_1_0001 submitted by user alice to unknown queue: nosuch".to_owned(),
                "the queue 'nosuch' does not exist; choose one of the cluster's by yarn.application.queue",
            ),
            (
                "Application application_1_0001 submitted by user alice to non-leaf queue: root".to_owned(),
                "the queue 'root' has queues below it and takes no applications itself; choose one of those",
            ),
            (exited(-100, "Container released on a *lost* node"), "the node that ran the JobManager was lost"),
            (
                exited(2, "[2026-11-28 10:00:00]Exception from container-launch."),
                "the JobManager ended with exit code 2",
            ),
            (exited(137, "Killed by external signal"), "the JobManager was ended by a signal (exit code 137)"),
            (
                exited(
                    -1000,
                    "[2026]File does not exist: hdfs://nn:8020/dist/lib/a.jar\njava.io.FileNotFoundException",
                ),
                "a file of the application is no longer on the cluster: hdfs://nn:8020/dist/lib/a.jar; the next submission \
                 puts it back where it is ours",
            ),
            (exited(0, ""), "the JobManager ended before it had registered with YARN (exit code 0)"),
        ] {
            assert_eq!(sentence(&diagnostics), message);
        }
        assert!(explain(&failed("")).is_none() && explain(&failed("Attempt recovered after RM restart")).is_none());
        assert!(missed_a_file(&failed(&exited(-1000, "x"))));
    }

    #[test]
    fn the_fatal_exception_of_a_log_is_found_among_others() {
        let log = "2026-11-28 10:00:00,000 WARN  a.B [] - retrying\njava.net.ConnectException: refused\n\tat a.B.c(B.java:1)\n\
                   2026-11-28 10:00:01,000 ERROR org.apache.flink.runtime.entrypoint.ClusterEntrypoint [] - Could not start cluster entrypoint.\n\
                   org.apache.flink.runtime.entrypoint.ClusterEntrypointException: Failed to initialize\n\tat a.B.d(B.java:2)\n\
                   Caused by: java.lang.ClassNotFoundException: com.acme.Absent\n\t... 3 more\n\
                   2026-11-28 10:00:02,000 INFO  a.B [] - bye\n";
        let cause = exception_of_log(log).unwrap();
        assert_eq!(cause.one_line(), "ClassNotFoundException: com.acme.Absent");
        assert!(exception_of_log("2026 INFO nothing\n").is_none());
    }
}
