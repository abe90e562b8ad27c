//! What the logs of a JobManager say last.

use streampark_core::flink::RootCause;
use streampark_core::job::FailureClass;

/// What a JVM or a shell complains of when it could not even start Flink: no exception, but a line.
pub(super) fn complaint(log: &str) -> Option<(String, FailureClass)> {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let after = |head: &str| {
        let at = lines.iter().position(|line| line.starts_with(head))?;
        lines.get(at + 1).copied()
    };
    if let Some(reason) = after("Error occurred during initialization of VM") {
        return Some((
            format!("the JVM of the JobManager did not start: {reason}; check env.java.opts.* and the memory options"),
            FailureClass::Fatal,
        ));
    }
    if lines.iter().any(|line| line.contains("insufficient memory for the Java Runtime Environment")) {
        let message = "the JVM of the JobManager did not start: the node has not enough memory left";
        return Some((message.to_owned(), FailureClass::Environment));
    }
    let find = |part: &str| lines.iter().find(|line| line.contains(part)).copied();
    if let Some(line) = find("Could not find or load main class org.apache.flink") {
        return Some((
            format!(
                "Flink is not on the class path of the JobManager: {line}; are its lib folder and flink-dist on the cluster?"
            ),
            FailureClass::Fatal,
        ));
    }
    if let Some(line) = find("Unrecognized VM option").or_else(|| find("Unrecognized option:")) {
        return Some((
            format!("the JVM of the JobManager did not start: {line}; check env.java.opts.*"),
            FailureClass::Fatal,
        ));
    }
    let shell = lines.iter().find(|line| {
        (line.contains("bash: ") || line.contains("sh: "))
            && (line.ends_with("No such file or directory")
                || line.ends_with("command not found")
                || line.ends_with("Permission denied"))
    })?;
    let what = shell.split_once(": ").map_or(*shell, |(_, what)| what);
    let what = what.strip_prefix("line ").and_then(|rest| rest.split_once(": ")).map_or(what, |(_, rest)| rest);
    Some((
        format!(
            "the JobManager's command could not be run: {what}; is JAVA_HOME set for the NodeManagers, or by \
             containerized.master.env.JAVA_HOME?"
        ),
        FailureClass::Fatal,
    ))
}

/// How severe a log calls what it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Any,
    /// ERROR and FATAL.
    Error,
}

/// The last exception of a log, where it has one of at least this severity.
pub(super) fn exception(log: &str, least: Severity) -> Option<RootCause> {
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
    let (_, start) = found.filter(|(severe, _)| *severe || least == Severity::Any)?;
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
