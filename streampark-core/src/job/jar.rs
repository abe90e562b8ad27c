//! Programs that come as a JAR.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::dependency::Dependency;
use super::launch::Launch;
use super::program::{Program, ProgramContext};
use crate::Result;

/// A JAR with a `main`.
///
/// ```
/// use streampark_core::job::JarProgram;
///
/// let program = JarProgram::new("orders.jar").entry_class("com.acme.Orders").args(["--env", "prod"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JarProgram {
    /// The jar: a path, a URL, or the artifact of a project's module.
    pub jar: Dependency,
    /// The class with `main`; None means the manifest names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_class: Option<String>,
    /// The arguments of `main`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

impl JarProgram {
    /// The jar at a path or URL, or of a project's module.
    pub fn new(jar: impl Into<Dependency>) -> Self {
        Self { jar: jar.into(), entry_class: None, args: Vec::new() }
    }

    /// Names the class with `main`.
    #[must_use]
    pub fn entry_class(mut self, class: impl Into<String>) -> Self {
        self.entry_class = Some(class.into());
        self
    }

    /// Sets the arguments of `main`.
    #[must_use]
    pub fn args<I: IntoIterator<Item = A>, A: Into<String>>(mut self, args: I) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }
}

#[async_trait]
impl Program for JarProgram {
    fn kind(&self) -> &str {
        "jar"
    }

    async fn prepare(&self, _context: &ProgramContext) -> Result<Launch> {
        Err(crate::Error::new(crate::ErrorKind::Unsupported, "jar programs are not made ready yet"))
    }
}
