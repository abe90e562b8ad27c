//! What the owner of a job writes down.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dependency::Dependency;
use super::program::ProgramSpec;
use super::restart::RestartPolicy;
use super::restore::{RestoreOptions, UpgradeMode};
use crate::flink::FlinkConfig;
use crate::{Error, Result};

/// A job as its owner describes it: what runs, where, and what happens when it fails.
///
/// The same words in Rust, Python, YAML and JSON. A field that does not exist is an error.
///
/// ```
/// use streampark_core::job::{JarProgram, JobSpec};
///
/// let spec = JobSpec::new("orders", JarProgram::new("orders.jar").entry_class("com.acme.Orders"))
///     .cluster("dev")
///     .parallelism(4)
///     .alert("oncall");
/// let again = JobSpec::from_yaml(&spec.to_yaml()?)?;
/// assert_eq!(again, spec);
/// # Ok::<(), streampark_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JobSpec {
    /// The job's name, unique in a platform: 1 to 255 characters, no control characters.
    pub name: String,
    /// What runs.
    pub program: ProgramSpec,
    /// The cluster, by the name under which the platform knows it.
    #[serde(default)]
    pub cluster: String,
    /// The default parallelism (`parallelism.default`), 1 to 32768; None leaves it to the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<u32>,
    /// Flink configuration of this job.
    #[serde(default, skip_serializing_if = "FlinkConfig::is_empty")]
    pub flink: FlinkConfig,
    /// Jars beside the program: connectors, UDFs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// The channels that hear of this job, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<String>,
    /// When a failed job is started again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub restart: RestartPolicy,
    /// How the job gets its state back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub restore: RestoreOptions,
    /// How a changed spec takes the place of a running one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub upgrade: UpgradeMode,
    /// Who answers for the job; alerts name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What the job is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Anything the owner wants to find the job by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Named links that alerts carry: dashboard, runbook.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl JobSpec {
    /// A job named `name` that runs `program`.
    pub fn new(name: impl Into<String>, program: impl Into<ProgramSpec>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            cluster: String::new(),
            parallelism: None,
            flink: FlinkConfig::default(),
            dependencies: Vec::new(),
            alerts: Vec::new(),
            restart: RestartPolicy::default(),
            restore: RestoreOptions::default(),
            upgrade: UpgradeMode::default(),
            owner: None,
            description: None,
            labels: BTreeMap::new(),
            links: BTreeMap::new(),
        }
    }

    /// Names the cluster.
    #[must_use]
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.cluster = name.into();
        self
    }

    /// Sets the default parallelism.
    #[must_use]
    pub fn parallelism(mut self, parallelism: u32) -> Self {
        self.parallelism = Some(parallelism);
        self
    }

    /// Sets one Flink option.
    #[must_use]
    pub fn flink(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.flink.set(key, value);
        self
    }

    /// Adds a jar beside the program.
    #[must_use]
    pub fn dependency(mut self, dependency: impl Into<Dependency>) -> Self {
        self.dependencies.push(dependency.into());
        self
    }

    /// Adds a channel that hears of this job.
    #[must_use]
    pub fn alert(mut self, channel: impl Into<String>) -> Self {
        self.alerts.push(channel.into());
        self
    }

    /// Sets the restart policy.
    #[must_use]
    pub fn restart(mut self, policy: RestartPolicy) -> Self {
        self.restart = policy;
        self
    }

    /// Sets how the job gets its state back.
    #[must_use]
    pub fn restore(mut self, options: RestoreOptions) -> Self {
        self.restore = options;
        self
    }

    /// Sets how a changed spec takes over.
    #[must_use]
    pub fn upgrade(mut self, mode: UpgradeMode) -> Self {
        self.upgrade = mode;
        self
    }

    /// Names who answers for the job.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Adds a link that alerts carry.
    #[must_use]
    pub fn link(mut self, name: impl Into<String>, url: impl Into<String>) -> Self {
        self.links.insert(name.into(), url.into());
        self
    }

    /// Reads YAML.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) with line and column; an unknown
    /// field is named together with the field that was probably meant.
    pub fn from_yaml(text: &str) -> Result<Self> {
        let spec: Self = serde_saphyr::from_str(text).map_err(|source| unreadable("YAML", &source.to_string()))?;
        spec.validate()?;
        Ok(spec)
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml).
    pub fn from_json(text: &str) -> Result<Self> {
        let spec: Self = serde_json::from_str(text).map_err(|source| unreadable("JSON", &source.to_string()))?;
        spec.validate()?;
        Ok(spec)
    }

    /// Writes YAML that [`from_yaml`](Self::from_yaml) reads back to an equal spec.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal); no known spec causes one.
    pub fn to_yaml(&self) -> Result<String> {
        serde_saphyr::to_string(self).map_err(|source| {
            Error::new(crate::ErrorKind::Internal, "the spec cannot be written as YAML").with_source(source)
        })
    }

    /// Writes JSON that [`from_json`](Self::from_json) reads back to an equal spec.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal); no known spec causes one.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|source| {
            Error::new(crate::ErrorKind::Internal, "the spec cannot be written as JSON").with_source(source)
        })
    }

    /// Checks the rules that types alone cannot hold.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) naming the field, the rule and the remedy.
    pub fn validate(&self) -> Result<()> {
        let invalid = |message: String| {
            Err(Error::invalid(message).with_operation("job.validate").with_context("job", &self.name))
        };
        let length = self.name.chars().count();
        if length == 0 || length > 255 || self.name.chars().any(char::is_control) {
            return invalid("name must have 1 to 255 characters and no control characters".to_owned());
        }
        // Flink's bound: KeyGroupRangeAssignment.UPPER_BOUND_MAX_PARALLELISM
        if let Some(parallelism @ (0 | 32769..)) = self.parallelism {
            return invalid(format!(
                "parallelism is {parallelism}, it must be 1 to 32768; leave it out for the cluster's default"
            ));
        }
        let restart = &self.restart;
        if !(0.0..=1.0).contains(&restart.jitter) {
            return invalid(format!("restart.jitter is {}, it must be 0 to 1", restart.jitter));
        }
        if restart.backoff_multiplier.is_nan() || restart.backoff_multiplier < 1.0 {
            return invalid(format!(
                "restart.backoff_multiplier is {}, it must be 1 or more",
                restart.backoff_multiplier
            ));
        }
        Ok(())
    }
}

/// Serde names an unknown field and lists the known ones; this adds the one that was meant.
fn unreadable(format: &str, message: &str) -> Error {
    let line = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let mut text = format!("the job spec is not valid {format}: {line}");
    if let Some(meant) = suggestion(line) {
        text.push_str(&format!("; did you mean '{meant}'?"));
    }
    Error::invalid(text).with_operation("job.parse")
}

fn suggestion(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("unknown field `")?;
    let (unknown, rest) = rest.split_once('`')?;
    let (_, known) = rest.split_once("expected")?;
    known
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty() && !matches!(*word, "one" | "of" | "or" | "at" | "line" | "column"))
        .map(|word| (strsim::damerau_levenshtein(unknown, word), word))
        .filter(|(distance, word)| *distance <= word.len().max(3) / 3 + 1)
        .min()
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests;
