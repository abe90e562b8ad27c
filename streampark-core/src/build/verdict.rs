//! What the verdicts on all tools share.

use std::path::Path;

use super::failure::{BuildFailure, BuildFailureKind};
use super::process::Finished;
use crate::Error;

/// A reason, the sentence for people, the tool's lines.
pub(super) struct Verdict {
    pub(super) kind: BuildFailureKind,
    pub(super) message: String,
    pub(super) lines: Vec<String>,
}

impl Verdict {
    pub(super) fn new(kind: BuildFailureKind, message: String, lines: Vec<String>) -> Self {
        Self { kind, message, lines }
    }
}

/// The failures that no tool explains: it was killed, or ran out of memory.
pub(super) fn of_exit(tool: &str, finished: &Finished) -> Option<Error> {
    let memory: Vec<String> = finished.lines.iter().filter(|line| is_out_of_memory(line)).take(5).cloned().collect();
    if !memory.is_empty() {
        return Some(
            BuildFailure::new(BuildFailureKind::OutOfMemory)
                .with_lines(memory)
                .into_error(format!("{tool} ran out of memory; give it a larger heap, or the machine more memory")),
        );
    }
    // A shell's launcher reports the signal of its child as 128 + its number.
    let signal =
        finished.signal.or_else(|| finished.code.filter(|code| [137, 143].contains(code)).map(|code| code - 128));
    let signal = signal?;
    let remedy = if signal == 9 { "; did the machine run out of memory?" } else { "" };
    Some(
        BuildFailure::new(BuildFailureKind::Killed)
            .with_lines(tail(finished))
            .into_error(format!("{tool} was ended from outside by signal {signal}{remedy}")),
    )
}

fn is_out_of_memory(line: &str) -> bool {
    line.contains("java.lang.OutOfMemoryError")
        || line.contains("There is insufficient memory for the Java Runtime Environment")
        || line.contains("The system is out of resources")
        || line.contains("GC overhead limit exceeded")
        || line.contains("Java heap space")
        || line.contains("OutOfMemoryError: Metaspace")
}

/// The last lines that say something.
pub(super) fn tail(finished: &Finished) -> Vec<String> {
    let lines: Vec<&String> = finished.lines.iter().filter(|line| !line.trim().is_empty()).collect();
    lines.iter().skip(lines.len().saturating_sub(20)).map(|line| (*line).clone()).collect()
}

/// The exit code in a sentence.
pub(super) fn code(finished: &Finished) -> String {
    finished.code.map(|code| format!(" with exit code {code}")).unwrap_or_default()
}

/// The line with paths relative to the project: the folder of a build means nothing to people.
pub(super) fn relative(line: &str, root: &Path) -> String {
    line.replace(&format!("{}/", root.display()), "")
}
