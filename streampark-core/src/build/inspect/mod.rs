//! What is in a jar, told without running any of it.

mod archive;
mod class_file;
mod code;
mod connector;
mod flink;
mod scan;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::artifact::Artifact;
use super::artifacts::ArtifactStore;
use super::outputs::blocking;
use crate::flink::FlinkVersion;
use crate::{Error, Result};

#[cfg(test)]
mod tests;

/// A class with a `public static void main(String[])`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MainClass {
    /// Its name, as `a.b.C`.
    pub class: String,
    /// Whether the manifest names it.
    pub manifest: bool,
}

/// A hint at the version of Flink that the code was compiled against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FlinkHint {
    /// The version, whole (`1.20.5`) or its line (`1.20`, `1`).
    pub version: String,
    /// Where that stands.
    pub from: String,
}

/// Classes that the cluster has too, or that disturb it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Clash {
    /// Whose they are: `flink`, `logging`, `hadoop`.
    pub library: String,
    /// How many classes.
    pub classes: u64,
    /// One of them, as `a.b.C`.
    pub example: String,
    /// What to do.
    pub remedy: String,
}

/// A function for Flink SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SqlFunction {
    /// Its class, as `a.b.C`.
    pub class: String,
    /// What it extends: `ScalarFunction`, `TableFunction`, `AggregateFunction`, …
    pub kind: String,
}

/// An option of a connector or format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectorOption {
    /// The key, where it can be read.
    pub key: Option<String>,
    /// The constant that the code names, as `KafkaConnectorOptions.TOPIC`.
    pub constant: String,
}

/// A factory of a connector, format or catalog that Flink SQL finds by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Connector {
    /// Its class, as `a.b.C`.
    pub class: String,
    /// The name in `'connector' = '…'` or `'format' = '…'`, where it can be read.
    pub identifier: Option<String>,
    /// The options that must be given.
    pub required: Vec<ConnectorOption>,
    /// The options that may be given.
    pub optional: Vec<ConnectorOption>,
}

/// What is in a jar.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Inspection {
    /// Bytes.
    pub size: u64,
    /// Entries of the archive.
    pub entries: u64,
    /// Classes among them.
    pub classes: u64,
    /// The class that the manifest names.
    pub manifest_class: Option<String>,
    /// Classes that can be started, the manifest's first. Those of libraries that are widely known are left out.
    pub main_classes: Vec<MainClass>,
    /// Which Flink the code was compiled against, as far as the jar tells; the surest hint first.
    pub flink: Vec<FlinkHint>,
    /// The Java that the newest class needs: 8, 11, 17.
    pub java: Option<u16>,
    /// That class, as `a.b.C`.
    pub java_class: Option<String>,
    /// Classes that will clash with the cluster's.
    pub clashes: Vec<Clash>,
    /// Functions for SQL.
    pub functions: Vec<SqlFunction>,
    /// Connectors, formats and catalogs for SQL.
    pub connectors: Vec<Connector>,
    /// What could not be read.
    pub warnings: Vec<String>,
}

impl Inspection {
    /// Looks into the jar at `path`. Blocks: some tenths of a second for a jar of 100 MB.
    ///
    /// # Errors
    /// [`ErrorKind::Program`](crate::ErrorKind::Program) where it is no jar, [`ErrorKind::Io`](crate::ErrorKind::Io)
    /// where it cannot be read.
    pub fn of_jar(path: &Path) -> Result<Self> {
        scan::scan(path).map_err(|error: Error| error.with_operation("jar.inspect").with_context("jar", path.display()))
    }

    /// Why the jar would not run well on a cluster with this Java and this Flink, in sentences; empty is good.
    pub fn problems(&self, java: Option<u16>, flink: Option<&FlinkVersion>) -> Vec<String> {
        let mut problems = Vec::new();
        if let (Some(needed), Some(there)) = (self.java, java)
            && needed > there
        {
            let class = self.java_class.as_deref().unwrap_or("a class");
            problems.push(format!(
                "{class} needs Java {needed}, and the cluster runs Java {there}; compile with --release {there}, or give the cluster a newer Java"
            ));
        }
        if let (Some(hint), Some(there)) = (self.flink.first(), flink)
            && flink::line(&hint.version) != Some(there.major().into())
        {
            problems.push(format!(
                "the code was compiled against Flink {} ({}), and the cluster runs {there}; compile it against {}.{}",
                hint.version,
                hint.from,
                there.major(),
                there.minor()
            ));
        }
        problems.extend(self.clashes.iter().map(|clash| {
            format!(
                "{} classes of {} are in the jar, such as {}; {}",
                clash.classes, clash.library, clash.example, clash.remedy
            )
        }));
        problems
    }
}

impl ArtifactStore {
    /// Looks into the job's jar of an artifact.
    ///
    /// # Errors
    /// As [`jar`](Self::jar) and [`Inspection::of_jar`].
    pub async fn inspect(&self, artifact: &Artifact) -> Result<Inspection> {
        let path = self.jar(artifact).await?;
        blocking(move || Inspection::of_jar(&path)).await
    }
}
