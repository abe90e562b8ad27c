//! What a program needs beside itself.

use serde::{Deserialize, Serialize};

/// A jar that goes with a job, by where it is found.
///
/// In YAML: a plain text is a path or URL; the other kinds are maps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Dependency {
    /// A path or an `http(s)`, `file` or engine-readable URL of a jar.
    Location(String),
    /// An artifact of a project's module.
    Module(ModuleRef),
    /// A named entry of the resource centre.
    Resource(ResourceRef),
    /// Maven coordinates, resolved with what they need.
    Maven(MavenRef),
}

/// Names the artifact of one module of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModuleRef {
    /// The project's name.
    pub project: String,
    /// The module, as the build spells it; None where the project has one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// A commit to stay on; None means the newest successful build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// A build to stay on, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// An artifact to stay on, by its id: the SHA-256 of the job's jar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
}

impl ModuleRef {
    /// The newest artifact of `project`'s only module.
    pub fn new(project: impl Into<String>) -> Self {
        Self { project: project.into(), module: None, commit: None, build: None, artifact: None }
    }

    /// Names the module.
    #[must_use]
    pub fn module(mut self, module: impl Into<String>) -> Self {
        self.module = Some(module.into());
        self
    }

    /// Stays on a commit.
    #[must_use]
    pub fn commit(mut self, commit: impl Into<String>) -> Self {
        self.commit = Some(commit.into());
        self
    }

    /// Stays on a build.
    #[must_use]
    pub fn build(mut self, build: impl Into<String>) -> Self {
        self.build = Some(build.into());
        self
    }

    /// Stays on an artifact.
    #[must_use]
    pub fn artifact(mut self, artifact: impl Into<String>) -> Self {
        self.artifact = Some(artifact.into());
        self
    }
}

/// Names an entry of the resource centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ResourceRef {
    /// The entry's name.
    pub resource: String,
    /// A version to stay on; None means the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl ResourceRef {
    /// The newest version of `resource`.
    pub fn new(resource: impl Into<String>) -> Self {
        Self { resource: resource.into(), version: None }
    }
}

/// Names a Maven artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MavenRef {
    /// `group:artifact:version`, optionally `group:artifact:version:classifier`.
    pub maven: String,
    /// What not to bring along, as `group:artifact`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

impl MavenRef {
    /// The artifact at `coordinates`.
    pub fn new(coordinates: impl Into<String>) -> Self {
        Self { maven: coordinates.into(), exclude: Vec::new() }
    }
}

impl<T: Into<String>> From<T> for Dependency {
    fn from(location: T) -> Self {
        Self::Location(location.into())
    }
}
