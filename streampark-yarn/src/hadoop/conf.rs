//! The properties of a Hadoop client.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use streampark_core::{Error, REDACTED, Result, is_sensitive_key};

use super::xml;

/// The files that matter to us, in the order in which Hadoop reads them.
const FILES: [&str; 3] = ["core-site.xml", "hdfs-site.xml", "yarn-site.xml"];

/// How often `${…}` is replaced within one value (`Configuration.MAX_SUBST`).
const MAX_SUBSTITUTIONS: usize = 20;

/// A Hadoop configuration folder, read by Hadoop's own rules: later files win, except over a
/// property that was `final`; `${…}` is resolved when a value is read
/// (`org.apache.hadoop.conf.Configuration`).
#[derive(Clone, Default)]
pub struct HadoopConf {
    properties: BTreeMap<String, String>,
    folder: Option<PathBuf>,
}

impl HadoopConf {
    /// No properties: Hadoop's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `core-site.xml`, `hdfs-site.xml` and `yarn-site.xml` of a folder.
    ///
    /// # Errors
    /// [`InvalidInput`](streampark_core::ErrorKind::InvalidInput) for a folder without `yarn-site.xml` and for a
    /// file that is no Hadoop configuration, with file and line; [`Io`](streampark_core::ErrorKind::Io).
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let told = |error: Error| error.with_operation("yarn.hadoop_conf").with_context("folder", folder.display());
        if !folder.is_dir() {
            return Err(told(Error::not_found("the Hadoop configuration folder does not exist")));
        }
        if !folder.join("yarn-site.xml").is_file() {
            return Err(told(Error::invalid(
                "the Hadoop configuration folder has no yarn-site.xml; copy that of the cluster into it, or give the \
                 ResourceManager's address",
            )));
        }
        let mut conf = Self { properties: BTreeMap::new(), folder: Some(folder.to_owned()) };
        let mut closed = std::collections::BTreeSet::new();
        for file in FILES.iter().map(|name| folder.join(name)).filter(|file| file.is_file()) {
            for property in xml::read(&file)? {
                if closed.contains(&property.name) {
                    continue;
                }
                if let Some(value) = property.value {
                    conf.properties.insert(property.name.clone(), value);
                }
                if property.last {
                    closed.insert(property.name);
                }
            }
        }
        Ok(conf)
    }

    /// The folder that was read.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The value of `name`, blanks around it cut off, `${…}` resolved; None where it is not set or empty.
    pub fn get(&self, name: &str) -> Option<String> {
        let raw = self.properties.get(name)?;
        let value = self.substitute(raw);
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Whether `name` is `true`; `otherwise` where it is neither `true` nor `false`.
    pub fn get_bool(&self, name: &str, otherwise: bool) -> bool {
        match self.get(name).map(|value| value.to_ascii_lowercase()).as_deref() {
            Some("true") => true,
            Some("false") => false,
            _ => otherwise,
        }
    }

    /// The parts of `name` between commas.
    pub fn get_list(&self, name: &str) -> Vec<String> {
        let value = self.get(name).unwrap_or_default();
        value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// Sets a property, over what the files say.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.properties.insert(name.into(), value.into());
    }

    fn substitute(&self, raw: &str) -> String {
        let mut value = raw.to_owned();
        for _ in 0..MAX_SUBSTITUTIONS {
            let Some((start, end)) = innermost(&value) else { break };
            let name = value.get(start + 2..end).unwrap_or_default();
            // What is unknown stays as it stands, as Hadoop leaves it.
            let Some(found) = self.variable(name) else { break };
            value.replace_range(start..=end, &found);
        }
        value
    }

    fn variable(&self, name: &str) -> Option<String> {
        if let Some(rest) = name.strip_prefix("env.") {
            let (name, fallback, or_empty) = match (rest.split_once(":-"), rest.split_once('-')) {
                (Some((name, fallback)), _) => (name, Some(fallback), true),
                (None, Some((name, fallback))) => (name, Some(fallback), false),
                (None, None) => (rest, None, false),
            };
            let set = std::env::var(name).ok().filter(|value| !(or_empty && value.is_empty()));
            return set.or_else(|| fallback.map(str::to_owned));
        }
        let system = match name {
            "user.name" => std::env::var("HADOOP_USER_NAME").or_else(|_| std::env::var("USER")).ok(),
            "user.home" => std::env::var("HOME").ok(),
            "java.io.tmpdir" => Some("/tmp".to_owned()),
            _ => None,
        };
        system.or_else(|| self.properties.get(name).cloned())
    }
}

/// The first `${…}` that holds no other.
fn innermost(text: &str) -> Option<(usize, usize)> {
    let end_of = |start: usize| text.get(start..).and_then(|rest| rest.find('}')).map(|at| start + at);
    let first = text.find("${")?;
    let end = end_of(first)?;
    let start = text.get(..end)?.rfind("${")?;
    (end > start + 2).then_some((start, end))
}

impl fmt::Debug for HadoopConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = self
            .properties
            .iter()
            .map(|(name, value)| (name, if is_sensitive_key(name) { REDACTED } else { value.as_str() }));
        f.debug_map().entries(masked).finish()
    }
}

#[cfg(test)]
mod tests;
