//! Which statement of a script was at fault, read out of what Flink says.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::super::failure::{Failure, FailureClass};
use super::mask;
use crate::{Error, ErrorKind};

const MARKER: &str = "[streampark-sql-error:";
/// Characters of the statement that a message shows.
const SHOWN: usize = 120;

/// A statement of a script that Flink refused, and why.
///
/// The runner of SQL scripts ends the message of its exception with a marker that survives stack
/// traces, JSON and logs; [`find`](Self::find) reads it back. `Display` is one line, without any
/// Java: `statement 3 at line 3: SELEC 1: Encountered "SELEC" at line 3, column 1.`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SqlFailure {
    /// Which statement of the script, from 1; 0 is a jar that was to be added before the first.
    pub statement: u32,
    /// The line of the script on which the statement begins, from 1.
    pub line: u32,
    /// The statement, or its beginning; values of sensitive options are hidden.
    pub text: String,
    /// What Flink says about it. Lines and columns in it are those of the script.
    pub reason: String,
}

impl SqlFailure {
    /// The failure that a text of Flink carries: an answer of its REST API, a stack trace, a log.
    /// None where it carries none, or only part of one.
    pub fn find(text: &str) -> Option<Self> {
        text.match_indices(MARKER).find_map(|(at, _)| {
            let rest = text.get(at + MARKER.len()..)?;
            let mut fields = rest.get(..rest.find(']')?)?.split(':');
            let mut field = || fields.next();
            let failure = Self {
                statement: field()?.parse().ok()?,
                line: field()?.parse().ok()?,
                text: mask::masked(&decode(field()?)?),
                reason: decode(field()?)?,
            };
            field().is_none().then_some(failure)
        })
    }

    /// The failure as the error of a submission: the program is at fault, and trying again is vain.
    pub fn to_error(&self) -> Error {
        Error::new(ErrorKind::Program, self.to_string())
    }

    /// The failure as the end of a run.
    pub fn to_failure(&self) -> Failure {
        Failure::new(self.to_string()).with_class_of(FailureClass::Fatal)
    }
}

fn decode(field: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(field).ok()?).ok()
}

impl fmt::Display for SqlFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason.split_whitespace().collect::<Vec<_>>().join(" ");
        let (number, line) = (self.statement, self.line);
        write!(f, "statement {number} at line {line}: {}: {reason}", mask::one_line(&self.text, SHOWN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(number: u32, line: u32, text: &str, reason: &str) -> String {
        let (text, reason) = (URL_SAFE_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(reason));
        format!("{MARKER}{number}:{line}:{text}:{reason}]")
    }

    #[test]
    fn is_found_in_a_stack_trace_within_json() {
        let marker =
            marker(3, 3, "INSERT INTO\n  t\tSELEC 1", "SQL parse failed. Encountered \"SELEC\" at line 4, column 5.");
        let trace = serde_json::json!({"errors": [format!(
            "org.apache.flink.client.program.ProgramInvocationException: The main method caused an error: statement 3 {marker}\n\
             \tat org.apache.flink.client.program.PackagedProgram.callMainMethod(PackagedProgram.java:373)"
        )]});
        let failure = SqlFailure::find(&trace.to_string()).unwrap();
        assert_eq!(
            failure.to_string(),
            "statement 3 at line 3: INSERT INTO t SELEC 1: SQL parse failed. Encountered \"SELEC\" at line 4, column 5."
        );
        let error = failure.to_error();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Program, false));
        assert_eq!(failure.to_failure().class_of, FailureClass::Fatal);
    }

    #[test]
    fn shows_no_secret_of_the_statement() {
        let text = marker(1, 1, "CREATE TABLE t WITH ('password' = 'canary', 'x", "no");
        let failure = SqlFailure::find(&text).unwrap();
        assert!(!format!("{failure} {failure:?}").contains("canary"), "{failure}");
    }

    #[test]
    fn half_a_marker_is_none() {
        let whole = marker(12, 34, "a", "b");
        for end in 0..whole.len() {
            assert_eq!(SqlFailure::find(&whole[..end]), None);
        }
        let both = format!("{}…{whole}", &whole[..MARKER.len() + 3]);
        assert!(SqlFailure::find(&both).is_none_or(|failure| failure.line == 34));
        for bad in [
            "[streampark-sql-error:a:1:YQ:YQ]",
            "[streampark-sql-error:1:1:!:YQ]",
            "[streampark-sql-error:1:1:YQ:YQ:YQ]",
        ] {
            assert_eq!(SqlFailure::find(bad), None);
        }
    }
}
