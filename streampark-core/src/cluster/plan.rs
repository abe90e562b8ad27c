//! What a submission would send, to read before production and to compare in tests.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, ErrorKind, Result};

/// The content of one request of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlanBody {
    /// JSON, with secrets masked.
    Json(Value),
    /// A file, by name, size in bytes and SHA-256 in hex where known.
    File {
        /// The file name that the other side sees.
        name: String,
        /// Bytes.
        size: Option<u64>,
        /// SHA-256, lower-case hex.
        sha256: Option<String>,
    },
    /// A text file whose content is shown, with secrets masked.
    Text {
        /// The file name that the other side sees.
        name: String,
        /// The content.
        content: String,
    },
}

/// One request, or one process started, in the order it would happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlanStep {
    /// Why this step is there, in a few words.
    pub purpose: String,
    /// The HTTP method or the verb of the engine.
    pub method: String,
    /// The address; parts known only when it happens stand in braces: `/jars/{jar-id}/run`.
    pub target: String,
    /// The content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<PlanBody>,
}

impl PlanStep {
    /// A step without content.
    pub fn new(purpose: impl Into<String>, method: impl Into<String>, target: impl Into<String>) -> Self {
        Self { purpose: purpose.into(), method: method.into(), target: target.into(), body: None }
    }

    /// Sets the content.
    #[must_use]
    pub fn with_body(mut self, body: PlanBody) -> Self {
        self.body = Some(body);
        self
    }
}

/// Exactly what a submission would send, with secrets masked.
///
/// `Display` prints it for people; [`to_yaml`](Self::to_yaml) and [`to_json`](Self::to_json) for tools.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// The cluster's kind and place.
    pub cluster: String,
    /// The job's name.
    pub job: String,
    /// The steps, in order.
    pub steps: Vec<PlanStep>,
    /// What the reader should know: defaults taken, things that could not be checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Plan {
    /// An empty plan for `job` on `cluster`.
    pub fn new(cluster: impl Into<String>, job: impl Into<String>) -> Self {
        Self { cluster: cluster.into(), job: job.into(), steps: Vec::new(), notes: Vec::new() }
    }

    /// Adds a step.
    pub fn push(&mut self, step: PlanStep) {
        self.steps.push(step);
    }

    /// The plan as YAML.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`]; no known plan causes one.
    pub fn to_yaml(&self) -> Result<String> {
        serde_saphyr::to_string(self)
            .map_err(|source| Error::new(ErrorKind::Internal, "the plan cannot be written as YAML").with_source(source))
    }

    /// The plan as JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`]; no known plan causes one.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|source| Error::new(ErrorKind::Internal, "the plan cannot be written as JSON").with_source(source))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "plan of '{}' on {}", self.job, self.cluster)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{}. {}: {} {}", number + 1, step.purpose, step.method, step.target)?;
            match &step.body {
                None => {}
                Some(PlanBody::Json(value)) => {
                    for line in serde_json::to_string_pretty(value).unwrap_or_default().lines() {
                        writeln!(f, "     {line}")?;
                    }
                }
                Some(PlanBody::File { name, size, sha256 }) => {
                    write!(f, "     file {name}")?;
                    if let Some(size) = size {
                        write!(f, ", {size} bytes")?;
                    }
                    if let Some(sha256) = sha256 {
                        write!(f, ", sha256 {sha256}")?;
                    }
                    writeln!(f)?;
                }
                Some(PlanBody::Text { name, content }) => {
                    writeln!(f, "     file {name}:")?;
                    for line in content.lines() {
                        writeln!(f, "       {line}")?;
                    }
                }
            }
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}
