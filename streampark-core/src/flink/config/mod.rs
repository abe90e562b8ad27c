//! Flink's configuration: an ordered map of texts, and the two files that it is kept in.

mod legacy;
mod list;
mod value;
mod yaml;

use std::fmt;

use super::version::FlinkVersion;
use crate::{Error, ErrorKind, REDACTED, Result, is_sensitive_key};

pub use list::{decode_list, encode_list_json, encode_list_legacy};

/// What Java 17 needs to be opened to Flink (`env.java.opts.all` of the distribution's
/// `config.yaml`); without it TaskManagers die with an `IllegalAccessError`.
pub const JAVA_17_OPTIONS: &str = "--add-exports=java.base/sun.net.util=ALL-UNNAMED \
--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED \
--add-exports=jdk.compiler/com.sun.tools.javac.api=ALL-UNNAMED \
--add-exports=jdk.compiler/com.sun.tools.javac.file=ALL-UNNAMED \
--add-exports=jdk.compiler/com.sun.tools.javac.parser=ALL-UNNAMED \
--add-exports=jdk.compiler/com.sun.tools.javac.tree=ALL-UNNAMED \
--add-exports=jdk.compiler/com.sun.tools.javac.util=ALL-UNNAMED \
--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED \
--add-opens=java.base/java.lang=ALL-UNNAMED \
--add-opens=java.base/java.net=ALL-UNNAMED \
--add-opens=java.base/java.io=ALL-UNNAMED \
--add-opens=java.base/java.nio=ALL-UNNAMED \
--add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
--add-opens=java.base/java.lang.reflect=ALL-UNNAMED \
--add-opens=java.base/java.text=ALL-UNNAMED \
--add-opens=java.base/java.time=ALL-UNNAMED \
--add-opens=java.base/java.util=ALL-UNNAMED \
--add-opens=java.base/java.util.concurrent=ALL-UNNAMED \
--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED \
--add-opens=java.base/java.util.concurrent.locks=ALL-UNNAMED";

/// A Flink configuration: keys and values are texts, in the order in which they were first set.
///
/// `Debug` and `Display` hide the values of keys that Flink hides itself.
///
/// ```
/// use streampark_core::flink::FlinkConfig;
///
/// let config = FlinkConfig::from_config_yaml("parallelism:\n  default: 4\ns3.secret-key: abc\n")?;
/// assert_eq!(config.get("parallelism.default"), Some("4"));
/// assert_eq!(config.to_string(), "parallelism.default: 4\ns3.secret-key: ******\n");
/// # Ok::<(), streampark_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct FlinkConfig {
    entries: Vec<(String, String)>,
}

impl FlinkConfig {
    /// No entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Whether `key` is set.
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets `key`, in its old place where it is set already.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let (key, value) = (key.into(), value.into());
        match self.entries.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.entries.push((key, value)),
        }
    }

    /// Sets `key` where it is not set.
    pub fn set_default(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let key = key.into();
        if !self.contains(&key) {
            self.entries.push((key, value.into()));
        }
    }

    /// Removes `key` and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let at = self.entries.iter().position(|(known, _)| known == key)?;
        Some(self.entries.remove(at).1)
    }

    /// Sets every entry of `other`, which wins.
    pub fn merge(&mut self, other: &FlinkConfig) {
        for (key, value) in other.iter() {
            self.set(key, value);
        }
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The entries in order, the values of sensitive keys hidden.
    pub fn masked(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().map(|(key, value)| (key, if is_sensitive_key(key) { REDACTED } else { value }))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes addresses that bind a process to its own machine, as Flink's `YarnClusterDescriptor`
    /// does before it ships a configuration: `jobmanager.bind-host` and `taskmanager.bind-host`
    /// where they are `localhost`, `taskmanager.host` always; and `rest.bind-address` where it is
    /// local, which Flink keeps since late 1.20 and 2.0 (FLINK-35332) so that nobody reaches it.
    pub fn remove_local_addresses(&mut self) {
        self.remove("taskmanager.host");
        for key in ["jobmanager.bind-host", "taskmanager.bind-host", "rest.bind-address"] {
            if matches!(self.get(key), Some("localhost" | "127.0.0.1")) {
                self.remove(key);
            }
        }
    }

    /// Reads `config.yaml` as Flink 1.19 and later do: nested or flat, YAML 1.2, numbers and
    /// booleans in the form in which Java prints them (`1.10` becomes `1.1`: quote what must keep its
    /// form), lists as YAML text, the last one where two spellings name one key
    /// (`GlobalConfiguration`, `YamlParserUtils`).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] with line and column where Flink would refuse the file: no map,
    /// a key twice, a key that is no text, no value, a tab as indentation.
    pub fn from_config_yaml(text: &str) -> Result<Self> {
        yaml::read(text)
    }

    /// Writes `config.yaml` for Flink 1.19 and later: one line per key, both sides quoted, so that
    /// every value arrives as it is.
    pub fn to_config_yaml(&self) -> String {
        yaml::write(self)
    }

    /// Reads `flink-conf.yaml` as Flink up to 1.20 does: everything from `#` on is a comment, key
    /// and value are parted by the first `: `, both are trimmed, lines without key or value are
    /// ignored, the last of two wins, quotes mean nothing (`GlobalConfiguration.loadLegacyYAMLResource`).
    pub fn from_flink_conf_yaml(text: &str) -> Self {
        legacy::read(text)
    }

    /// Writes `flink-conf.yaml` for Flink up to 1.20.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] naming the first key whose value that format would damage: it
    /// cuts at `#` and at line ends, trims blanks, and drops empty values.
    pub fn to_flink_conf_yaml(&self) -> Result<String> {
        legacy::write(self)
    }

    /// The file that this version of Flink reads, and its content: `config.yaml` since 1.19, before
    /// that `flink-conf.yaml`. The folder must not hold the other file: up to 1.20
    /// `flink-conf.yaml` wins.
    ///
    /// # Errors
    /// As [`to_flink_conf_yaml`](Self::to_flink_conf_yaml), for versions before 1.19.
    pub fn to_file(&self, version: &FlinkVersion) -> Result<(&'static str, String)> {
        if version.supports_config_yaml() {
            return Ok(("config.yaml", self.to_config_yaml()));
        }
        let text = self.to_flink_conf_yaml().map_err(|e| e.with_context("flink", version))?;
        Ok(("flink-conf.yaml", text))
    }

    /// The value of `key` as a list, in either notation.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is no list.
    pub fn get_list(&self, key: &'static str) -> Result<Option<Vec<String>>> {
        self.get(key).map(|text| decode_list(text).map_err(|e| e.with_context("key", key))).transpose()
    }

    /// Sets `key` to a list in the notation that this version of Flink reads best: JSON since 1.19,
    /// before that items parted by `;`.
    pub fn set_list<I: AsRef<str>>(&mut self, key: impl Into<String>, items: &[I], version: &FlinkVersion) {
        let text = if version.supports_config_yaml() { encode_list_json(items) } else { encode_list_legacy(items) };
        self.set(key, text);
    }
}

impl fmt::Display for FlinkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.masked().try_for_each(|(key, value)| writeln!(f, "{key}: {value}"))
    }
}

impl fmt::Debug for FlinkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.masked()).finish()
    }
}

/// The order of entries says nothing.
impl PartialEq for FlinkConfig {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl Eq for FlinkConfig {}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for FlinkConfig {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut config = Self::new();
        config.extend(entries);
        config
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for FlinkConfig {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.set(key, value);
        }
    }
}

impl IntoIterator for FlinkConfig {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<(String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests;
