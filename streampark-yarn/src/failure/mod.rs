//! Why an application ended badly, in the sentence that the user reads: a pure function of what YARN
//! reports and what the JobManager's logs say.
//!
//! YARN knows how a container ended, not why Flink did: after an operator threw, its diagnostics are
//! empty. So [`explain`] says what YARN knows, [`files_to_read`] which logs can know more, and
//! [`conclude`] makes one failure of both.

mod diagnostics;
mod log;

use streampark_core::cluster::JobManager;
use streampark_core::flink::RootCause;
use streampark_core::job::{Failure, FailureClass};

use self::log::Severity;
use crate::wire::{App, AppState, FinalStatus};

pub(crate) use diagnostics::{explain, missed_a_file, node_was_lost};

/// So much of a log without an exception is kept with a failure.
const TAIL: usize = 16 * 1024;

/// The JobManager's logs that can tell more than YARN does, in the order in which to read them: the
/// first one with a reason ends the search. None where no JobManager ever ran, or none is at fault.
pub(crate) fn files_to_read(app: &App) -> &'static [&'static str] {
    let well = app.state == AppState::Finished && app.final_status == FinalStatus::Succeeded;
    let killed = app.state == AppState::Killed || app.final_status == FinalStatus::Killed;
    match diagnostics::exit_code(&app.diagnostics) {
        _ if well || killed || diagnostics::is_refusal(&app.diagnostics) => &[],
        Some(code) if (-1000..0).contains(&code) => &[],
        // A JVM that does not start complains to its standard output, a shell to its error output.
        Some(126 | 127) => &["jobmanager.err", "prelaunch.err"],
        _ => &["jobmanager.log", "jobmanager.out", "jobmanager.err", "prelaunch.err"],
    }
}

/// Whether this log names a reason, so that no other needs to be read.
pub(crate) fn tells(text: &str) -> bool {
    log::exception(text, Severity::Any).is_some() || log::complaint(text).is_some()
}

/// One failure of YARN's word and of logs, by file name, in the order of [`files_to_read`]; None where
/// nobody says anything.
pub(crate) fn conclude(app: &App, logs: &[(&str, String)]) -> Option<Failure> {
    let told = explain(app);
    // What was ended from outside may have warned of something before; it did not end of that.
    let from_outside = matches!(diagnostics::exit_code(&app.diagnostics), Some(137 | 143));
    let least = if from_outside { Severity::Error } else { Severity::Any };
    if let Some(cause) = logs.iter().find_map(|(_, text)| log::exception(text, least)) {
        let mut failure = of_cause(&cause);
        if let Some(told) = told {
            failure.detail = Some(match failure.detail {
                Some(detail) => format!("{}\n{detail}", told.message),
                None => told.message,
            });
            failure.at = failure.at.or(told.at);
        }
        return Some(failure);
    }
    let mut failure = told?;
    if let Some((message, class)) = logs.iter().find_map(|(_, text)| log::complaint(text)) {
        (failure.message, failure.class_of) = (message, class);
    }
    let tail = logs.iter().find(|(_, text)| !text.trim().is_empty()).map(|(file, text)| (file, end_of(text, TAIL)));
    if let Some((file, tail)) = tail {
        let detail = failure.detail.unwrap_or_default();
        failure.detail = Some(format!("{detail}\n\nThe end of {file}:\n{tail}"));
    }
    Some(failure)
}

/// A failure of a Java exception; where Flink's words hide what the user did, ours say it.
pub(crate) fn of_cause(cause: &RootCause) -> Failure {
    let mut failure = JobManager::failure_of(cause);
    let says = |part: &str| cause.chain.iter().find_map(|link| link.message.split_once(part));
    let plain = if let Some((_, rest)) = says("The program's entry point class '") {
        let class = rest.split('\'').next().unwrap_or_default();
        Some(format!(
            "the class '{class}' is not in the program's jars; check entry_class, and that the jar was built with it"
        ))
    } else if says("Neither a 'Main-Class', nor a 'program-class' entry").is_some() {
        Some("the program's jar names no main class in its manifest; set entry_class".to_owned())
    } else if says("The application contains no execute() calls").is_some() {
        Some(
            "the program's main ended without a call of execute(), so there is no job; check that its arguments lead to one"
                .to_owned(),
        )
    } else {
        None
    };
    if let Some(plain) = plain {
        (failure.message, failure.class_of) = (plain, FailureClass::Fatal);
        failure.class = String::new();
    }
    failure
}

/// The last characters of a text, from the beginning of a line where there is one.
fn end_of(text: &str, length: usize) -> &str {
    let mut start = text.len().saturating_sub(length);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let tail = text.get(start..).unwrap_or_default();
    match tail.split_once('\n') {
        Some((_, whole)) if start > 0 => whole,
        _ => tail,
    }
}

#[cfg(test)]
mod tests;
