//! Names: `alice@EXAMPLE.ORG`, `HTTP/rm.example.org@EXAMPLE.ORG`.

use std::fmt;

use streampark_core::{Error, Result};

use super::der;

/// `NT-PRINCIPAL` and `NT-SRV-INST` (RFC 4120, section 6.2).
const USER: i64 = 1;
const SERVICE: i64 = 2;

/// A principal: who or what takes part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Principal {
    pub(super) parts: Vec<String>,
    pub(super) realm: String,
}

impl Principal {
    pub(super) fn parse(text: &str, default_realm: Option<&str>) -> Result<Self> {
        let (name, realm) = match text.rsplit_once('@') {
            Some((name, realm)) => (name, Some(realm)),
            None => (text, default_realm),
        };
        let parts: Vec<String> = name.split('/').map(str::to_owned).collect();
        if parts.iter().any(String::is_empty) || realm.is_some_and(str::is_empty) {
            return Err(Error::invalid(format!("'{text}' is no Kerberos principal; write it as alice@EXAMPLE.ORG")));
        }
        let realm = realm.ok_or_else(|| {
            Error::invalid(format!(
                "the principal '{text}' names no realm and krb5.conf has no default_realm; write it as {text}@EXAMPLE.ORG"
            ))
        })?;
        Ok(Self { parts, realm: realm.to_owned() })
    }

    pub(super) fn of_parts(parts: &[&str], realm: &str) -> Self {
        Self { parts: parts.iter().map(|part| (*part).to_owned()).collect(), realm: realm.to_owned() }
    }

    /// The ticket-granting service of `target`, as `realm` knows it.
    pub(super) fn granting(target: &str, realm: &str) -> Self {
        Self::of_parts(&["krbtgt", target], realm)
    }

    pub(super) fn is_granting(&self) -> bool {
        self.parts.first().is_some_and(|first| first == "krbtgt")
    }

    /// The user's short name, by Hadoop's default rule: the first part.
    pub(super) fn short(&self) -> &str {
        self.parts.first().map(String::as_str).unwrap_or_default()
    }

    /// `PrincipalName`, without the realm.
    pub(super) fn encode(&self) -> Vec<u8> {
        let service = self.is_granting() || self.parts.len() > 1;
        let parts = der::sequence(self.parts.iter().map(|part| der::text(part)));
        der::sequence([der::field(0, &der::integer(if service { SERVICE } else { USER })), der::field(1, &parts)])
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.parts.join("/"), self.realm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_and_their_short_names() {
        let principal = Principal::parse("alice/admin@EXAMPLE.ORG", None).unwrap();
        assert_eq!((principal.short(), principal.to_string().as_str()), ("alice", "alice/admin@EXAMPLE.ORG"));
        assert_eq!(Principal::parse("bob", Some("R")).unwrap().to_string(), "bob@R");
        for (text, message) in [
            (
                "bob",
                "the principal 'bob' names no realm and krb5.conf has no default_realm; write it as bob@EXAMPLE.ORG",
            ),
            ("@R", "'@R' is no Kerberos principal; write it as alice@EXAMPLE.ORG"),
            ("a/@R", "'a/@R' is no Kerberos principal; write it as alice@EXAMPLE.ORG"),
        ] {
            assert_eq!(Principal::parse(text, None).unwrap_err().message(), message);
        }
    }
}
