//! Why a run ended badly.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The root of a run's failure, as its cluster tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// The class of the root exception, for example `java.io.IOException`; empty where the engine
    /// tells a reason that is no exception.
    #[serde(default)]
    pub class: String,
    /// The root exception's message, or the engine's own words.
    pub message: String,
    /// The whole stack trace or log tail, at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The task that threw, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// When it happened, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Labels of Flink's failure enrichers.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub labels: std::collections::BTreeMap<String, String>,
    /// Whether another attempt can be expected to work.
    #[serde(default)]
    pub class_of: FailureClass,
}

/// Whether another attempt can be expected to work (reliability rules: first match decides).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The same submission fails again: class absent, SQL wrong, savepoint path wrong.
    Fatal,
    /// The surroundings failed: a machine lost, a connection refused, storage away.
    Environment,
    /// Nothing is known; another attempt is made.
    #[default]
    Unknown,
}

impl Failure {
    /// A failure told in plain words.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            class: String::new(),
            message: message.into(),
            detail: None,
            task: None,
            at: None,
            labels: std::collections::BTreeMap::new(),
            class_of: FailureClass::Unknown,
        }
    }

    /// Sets the exception class.
    #[must_use]
    pub fn with_class(mut self, class: impl Into<String>) -> Self {
        self.class = class.into();
        self
    }

    /// Sets whether another attempt can be expected to work.
    #[must_use]
    pub fn with_class_of(mut self, class_of: FailureClass) -> Self {
        self.class_of = class_of;
        self
    }

    /// Class and message in one line of at most 300 characters.
    pub fn one_line(&self) -> String {
        let message = self.message.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = match (self.class.is_empty(), message.is_empty()) {
            (true, _) => message,
            (false, true) => self.class.clone(),
            (false, false) => format!("{}: {message}", self.class),
        };
        if line.chars().count() <= 300 {
            return line;
        }
        line.chars().take(299).chain(['…']).collect()
    }
}
