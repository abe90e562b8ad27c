//! What a build sees of this process's environment: the variables of a list, and nothing else.

use std::collections::BTreeMap;
#[cfg(feature = "build")]
use std::ffi::OsString;
use std::fmt;

use crate::Secret;
#[cfg(feature = "build")]
use crate::{Error, Result};

/// The environment of a build.
///
/// Builds run foreign code; what stands in the environment of the process that embeds the SDK (passwords of
/// data bases, tokens of clouds) is none of its business.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildEnvironment {
    /// The variables that are handed on where they are set.
    pub pass: Vec<String>,
    /// Variables that are set for builds alone. Values may be references (`env:NAME`, `file:/path`);
    /// what they resolve to is replaced by asterisks in the log.
    pub set: BTreeMap<String, Secret>,
}

impl BuildEnvironment {
    /// The variables that are handed on unless the embedder says otherwise.
    pub const DEFAULT: [&'static str; 20] = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "JAVA_HOME",
        "M2_HOME",
        "MAVEN_HOME",
        "GRADLE_HOME",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ];

    /// Nothing is handed on.
    pub fn empty() -> Self {
        Self { pass: Vec::new(), set: BTreeMap::new() }
    }

    /// Hands a variable on too.
    #[must_use]
    pub fn pass(mut self, name: impl Into<String>) -> Self {
        self.pass.push(name.into());
        self
    }

    /// Sets a variable for builds.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.set.insert(name.into(), value.into());
        self
    }

    /// What a child gets now.
    #[cfg(feature = "build")]
    pub(super) fn resolve(&self) -> Result<BTreeMap<String, OsString>> {
        let mut found: BTreeMap<String, OsString> =
            self.pass.iter().filter_map(|name| Some((name.clone(), std::env::var_os(name)?))).collect();
        for (name, value) in &self.set {
            let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !plain || name.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(Error::invalid(format!(
                    "'{}' cannot name a variable of a build: use letters, digits and '_', and no digit first",
                    name.escape_debug()
                )));
            }
            let value = value.resolve()?;
            if value.expose().contains('\0') {
                return Err(Error::invalid(format!("the value of the variable '{name}' holds a zero byte")));
            }
            found.insert(name.clone(), value.expose().into());
        }
        Ok(found)
    }

    /// The texts that may not appear in a log.
    #[cfg(feature = "build")]
    pub(super) fn hidden(&self) -> Result<Vec<Secret>> {
        self.set.values().map(Secret::resolve).collect()
    }
}

impl Default for BuildEnvironment {
    fn default() -> Self {
        Self { pass: Self::DEFAULT.map(str::to_owned).to_vec(), set: BTreeMap::new() }
    }
}

impl fmt::Debug for BuildEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildEnvironment").field("pass", &self.pass).field("set", &self.set.keys()).finish()
    }
}
