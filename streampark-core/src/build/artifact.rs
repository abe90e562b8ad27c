//! What a build leaves behind: immutable, named by its content.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::project::Revision;

/// One file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArtifactFile {
    /// Its path relative to the module's folder, with `/`.
    pub path: String,
    /// SHA-256 of its content, lower-case hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

impl ArtifactFile {
    /// The file at `path`.
    pub fn new(path: impl Into<String>, sha256: impl Into<String>, size: u64) -> Self {
        Self { path: path.into(), sha256: sha256.into(), size }
    }
}

/// What a build of one module left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Artifact {
    /// SHA-256 of the job's jar, lower-case hex: the artifact's identity.
    pub id: String,
    /// The project's name.
    pub project: String,
    /// The module, as the build spells it; empty for a project of one module.
    pub module: String,
    /// What was built.
    pub revision: Revision,
    /// Whether the folder held changes that no commit has.
    pub dirty: bool,
    /// The builder's kind.
    pub builder: String,
    /// The jar that runs.
    pub job_jar: ArtifactFile,
    /// Everything else that was kept.
    pub files: Vec<ArtifactFile>,
    /// When the build ended.
    pub built_at: Timestamp,
    /// The build that made it, where a queue ran it.
    #[serde(default)]
    pub build: Option<String>,
    /// The rule that made `job_jar` the job's jar, in words.
    #[serde(default)]
    pub rule: String,
    /// What else the build left behind, and why it is not the job's jar.
    #[serde(default)]
    pub passed: Vec<(String, String)>,
    /// Facts for people: JDK, options, duration.
    #[serde(default)]
    pub facts: std::collections::BTreeMap<String, String>,
}

impl Artifact {
    /// An artifact whose jar is `job_jar`.
    pub fn new(
        project: impl Into<String>,
        module: impl Into<String>,
        revision: Revision,
        builder: impl Into<String>,
        job_jar: ArtifactFile,
        built_at: Timestamp,
    ) -> Self {
        Self {
            id: job_jar.sha256.clone(),
            project: project.into(),
            module: module.into(),
            revision,
            dirty: false,
            builder: builder.into(),
            job_jar,
            files: Vec::new(),
            built_at,
            build: None,
            rule: String::new(),
            passed: Vec::new(),
            facts: std::collections::BTreeMap::new(),
        }
    }
}
