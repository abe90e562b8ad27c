//! What a program comes down to: the files and words that every engine can run.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::flink::FlinkConfig;
use crate::{REDACTED, is_sensitive_key};

/// Where the bytes of a resource are.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// A file on this machine.
    Path(PathBuf),
    /// In memory: small things, such as the SQL runner.
    Bytes(Bytes),
    /// A place that the engine reads by itself (`hdfs://…`, `s3://…`, `local:///…` in an image).
    Remote(Url),
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::Remote(url) => f.debug_tuple("Remote").field(&url.as_str()).finish(),
        }
    }
}

/// A file that goes with a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resource {
    /// The file name that the engine sees, for example `orders.jar`.
    pub name: String,
    /// Where its bytes are.
    pub location: Location,
    /// SHA-256 in lower-case hex, where it was computed: caches and plans show it.
    pub sha256: Option<String>,
}

impl Resource {
    /// The file `name` at `location`.
    pub fn new(name: impl Into<String>, location: Location) -> Self {
        Self { name: name.into(), location, sha256: None }
    }

    /// Sets the SHA-256.
    #[must_use]
    pub fn with_sha256(mut self, sha256: impl Into<String>) -> Self {
        self.sha256 = Some(sha256.into());
        self
    }
}

/// The language of a program's entry, which decides how an engine starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Runtime {
    /// A class with `main` on the JVM.
    #[default]
    Java,
    /// PyFlink: the engine must ship `flink-python` and name Flink's Python driver as the entry.
    Python,
}

/// A program made ready: checked, its parts found, nothing sent yet.
///
/// JAR, SQL, Python and CDC programs all come down to this, so a cluster needs to know only this.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Launch {
    /// How the entry is started.
    pub runtime: Runtime,
    /// The jar with the entry class. None where the entry class ships with Flink itself.
    pub jar: Option<Resource>,
    /// The class with `main`; None means the jar's manifest names it.
    pub entry_class: Option<String>,
    /// The arguments of `main`, one element each, never split or joined.
    pub args: Vec<String>,
    /// Jars beside the main one: connectors, UDFs, dependencies.
    pub jars: Vec<Resource>,
    /// Files that the program opens by name in its working folder.
    pub files: Vec<Resource>,
    /// Archives that the engine unpacks under their name.
    pub archives: Vec<Resource>,
    /// Configuration that the program itself needs; the job's own configuration wins over it.
    pub config: FlinkConfig,
    /// What the reader of a plan should know of the program, without secrets; never sent.
    pub notes: Vec<String>,
}

impl Launch {
    /// A launch of `jar`.
    pub fn of_jar(jar: Resource) -> Self {
        Self { jar: Some(jar), ..Self::default() }
    }

    /// The arguments as a plan shows them: a SQL script readable, and secrets hidden: in a script the
    /// values of sensitive options, elsewhere `--password X` and `password=X` for every sensitive name.
    pub fn shown_args(&self) -> Vec<String> {
        let mut hide_next = false;
        let show = |arg: &String| {
            let hidden = std::mem::take(&mut hide_next);
            if let Some(script) = super::sql::shown_script(self, arg) {
                return script;
            }
            if hidden {
                return REDACTED.to_owned();
            }
            hide_next = arg.starts_with('-') && !arg.contains(['=', ':']) && is_sensitive_key(arg);
            mask_pairs(arg)
        };
        self.args.iter().map(show).collect()
    }
}

/// `text` in which the value of every `name=value` and `name: value` with a sensitive name is hidden; a
/// value ends at white space, a quote, or one of `&;,})]`.
fn mask_pairs(text: &str) -> String {
    let in_name = |c: char| c.is_alphanumeric() || "._-".contains(c);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['=', ':']) {
        let (before, after) = (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default());
        let name = before.trim_end_matches(['"', '\'', ' ']).rsplit(|c| !in_name(c)).next().unwrap_or_default();
        let value = after.trim_start_matches(['"', '\'', ' ']);
        let lead = after.len() - value.len();
        shown.push_str(rest.get(..=at + lead).unwrap_or_default());
        rest = value;
        if is_sensitive_key(name) && !value.is_empty() {
            shown.push_str(REDACTED);
            let end = value.find(|c: char| c.is_whitespace() || "\"'&;,})]".contains(c)).unwrap_or(value.len());
            rest = value.get(end..).unwrap_or_default();
        }
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_shown_without_their_secrets() {
        let shown = |args: &[&str]| {
            let launch = Launch { args: args.iter().map(|arg| (*arg).to_owned()).collect(), ..Launch::default() };
            launch.shown_args()
        };
        for (args, wanted) in [
            (vec!["--db.password", "canary", "--rate", "5"], vec!["--db.password", "******", "--rate", "5"]),
            (vec!["--password=can ary", "x"], vec!["--password=****** ary", "x"]),
            (vec!["token=canary"], vec!["token=******"]),
            (vec!["jdbc:mysql://h/d?user=a&password=canary&x=1"], vec!["jdbc:mysql://h/d?user=a&password=******&x=1"]),
            (vec![r#"{"api-key": "canary", "n": 1}"#], vec![r#"{"api-key": "******", "n": 1}"#]),
            (vec!["--output", "hdfs://nn:8020/a=b"], vec!["--output", "hdfs://nn:8020/a=b"]),
            (vec!["--secret"], vec!["--secret"]),
            (vec!["password="], vec!["password="]),
        ] {
            assert_eq!(shown(&args), wanted);
        }
    }
}
