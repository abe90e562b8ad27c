//! Text that must never be printed: tokens, passwords, keys.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is printed in place of a secret.
pub const REDACTED: &str = "******";

/// A secret text: memory is wiped on drop, `Debug`, `Display` and serialization print [`REDACTED`].
///
/// Configuration may name where the secret lives instead of holding it: `env:NAME` reads an
/// environment variable, `file:/path` the first line of a file, both at the moment of use.
///
/// ```
/// use streampark_core::Secret;
///
/// let token = Secret::new("t0ken");
/// assert_eq!(format!("{token:?} {token}"), "Secret(******) ******");
/// assert_eq!(token.expose(), "t0ken");
/// ```
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// Reads the environment variable `name` now.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where it is not set.
    pub fn from_env(name: &str) -> crate::Result<Self> {
        std::env::var(name).map(Self::new).map_err(|_| {
            crate::Error::not_found("the environment variable of a secret is not set; set it and try again")
                .with_context("variable", name)
        })
    }

    /// The text itself; keep what it returns out of logs, errors and events.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The text, after following `env:NAME` or `file:/path`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where the variable or the file does not exist.
    pub fn resolve(&self) -> crate::Result<Secret> {
        let text = self.expose();
        if let Some(name) = text.strip_prefix("env:") {
            return Self::from_env(name);
        }
        if let Some(path) = text.strip_prefix("file:") {
            let content = std::fs::read_to_string(path).map_err(|source| {
                crate::Error::not_found("the file of a secret cannot be read")
                    .with_context("path", path)
                    .with_source(source)
            })?;
            return Ok(Self::new(content.lines().next().unwrap_or_default()));
        }
        Ok(self.clone())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({REDACTED})")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Key parts behind which Flink hides a value when it prints its configuration
/// (`org.apache.flink.configuration.GlobalConfiguration`, and the AM's property log).
const SENSITIVE_KEYS: [&str; 12] = [
    "password",
    "secret",
    "fs.azure.account.key",
    "apikey",
    "api-key",
    "auth-params",
    "service-key",
    "token",
    "basic-auth",
    "jaas.config",
    "http-headers",
    "credential",
];

/// Whether the value of a configuration key must not be shown, by Flink's own rule.
///
/// ```
/// assert!(streampark_core::is_sensitive_key("s3.secret-key"));
/// assert!(!streampark_core::is_sensitive_key("parallelism.default"));
/// ```
pub fn is_sensitive_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SENSITIVE_KEYS.iter().any(|part| key.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_it() {
        let secret = Secret::new("canary");
        let shown = format!("{secret:?}{secret}{}", serde_json::to_string(&secret).unwrap());
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn references_are_followed_when_used() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from-file\n").unwrap();
        let secret = Secret::new(format!("file:{}", file.path().display()));
        assert_eq!(secret.resolve().unwrap().expose(), "from-file");
        let error = Secret::new("env:STREAMPARK_NO_SUCH_VARIABLE").resolve().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::NotFound);
    }
}
