//! Addresses of Git repositories: which are taken, and which are refused before anything is opened.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{Error, Result};

/// How a Git repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum GitScheme {
    /// HTTP over TLS.
    Https,
    /// SSH.
    Ssh,
    /// HTTP in the clear: anybody on the way can change the code that will be built.
    Http,
    /// A folder of this machine: a user could read what the process can read.
    File,
}

impl GitScheme {
    /// What is allowed unless the embedder says otherwise.
    pub const DEFAULT: [Self; 2] = [Self::Https, Self::Ssh];

    /// The scheme as URLs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Ssh => "ssh",
            Self::Http => "http",
            Self::File => "file",
        }
    }
}

/// A checked address: an allowed scheme, no credentials, nothing that a tool could take for an option.
///
/// The short SSH form `git@host:group/name.git` is understood and kept as `ssh://git@host/group/name.git`.
///
/// ```
/// use streampark_core::project::{GitScheme, GitUrl};
///
/// let url = GitUrl::parse("git@git.example.com:team/orders.git", &GitScheme::DEFAULT)?;
/// assert_eq!(url.to_string(), "ssh://git@git.example.com/team/orders.git");
/// assert!(GitUrl::parse("https://me:pa55@git.example.com/orders", &GitScheme::DEFAULT).is_err());
/// # Ok::<(), streampark_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct GitUrl {
    scheme: GitScheme,
    url: Url,
}

impl GitUrl {
    /// Checks an address against the schemes in `allowed`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) naming the rule. The address is
    /// shown only where it cannot hold a secret.
    pub fn parse(text: &str, allowed: &[GitScheme]) -> Result<Self> {
        let url = split(text, allowed).map_err(|error| error.with_operation("project.url"))?;
        let scheme = match url.scheme() {
            "https" => GitScheme::Https,
            "ssh" => GitScheme::Ssh,
            "http" => GitScheme::Http,
            "file" => GitScheme::File,
            other => return Err(not_allowed(other, allowed)),
        };
        if !allowed.contains(&scheme) {
            return Err(not_allowed(scheme.as_str(), allowed));
        }
        check_parts(scheme, &url).map_err(|error| error.with_operation("project.url"))?;
        Ok(Self { scheme, url })
    }

    /// How it is reached.
    pub fn scheme(&self) -> GitScheme {
        self.scheme
    }

    /// The host's name or address, without brackets; empty for a folder.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, given or usual; 0 for a folder.
    pub fn port(&self) -> u16 {
        self.url.port().unwrap_or(match self.scheme {
            GitScheme::Https => 443,
            GitScheme::Ssh => 22,
            GitScheme::Http => 80,
            GitScheme::File => 0,
        })
    }

    /// The account of an SSH address.
    pub fn user(&self) -> Option<&str> {
        Some(self.url.username()).filter(|user| !user.is_empty())
    }

    /// The address, for libraries.
    pub fn as_url(&self) -> &Url {
        &self.url
    }

    /// The last part of the path without `.git`: what people call the repository.
    pub fn name(&self) -> &str {
        let path = self.url.path().trim_end_matches('/');
        let last = path.rsplit('/').next().unwrap_or_default();
        last.strip_suffix(".git").unwrap_or(last)
    }

    /// The address of a submodule: absolute, or relative to this one as Git reads it.
    ///
    /// # Errors
    /// As [`parse`](Self::parse): a submodule gets no scheme that its parent could not have.
    pub fn submodule(&self, text: &str, allowed: &[GitScheme]) -> Result<Self> {
        if !(text.starts_with("./") || text.starts_with("../")) {
            return Self::parse(text, allowed);
        }
        let mut base = self.url.clone();
        let path = format!("{}/", self.url.path().trim_end_matches('/'));
        base.set_path(&path);
        let joined = base.join(text).map_err(|source| {
            Error::invalid("a submodule's relative URL does not fit its parent").with_source(source)
        })?;
        Self::parse(joined.as_str(), allowed)
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

impl fmt::Debug for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GitUrl({})", self.url)
    }
}

/// Takes the text apart; knows the short SSH form.
fn split(text: &str, allowed: &[GitScheme]) -> Result<Url> {
    if text.is_empty() {
        return Err(Error::invalid("a Git URL is empty; write https://host/path or ssh://user@host/path"));
    }
    if text.starts_with('-') {
        return Err(Error::invalid(
            "a Git URL must not start with '-', which tools take for an option; write https://host/path or ssh://user@host/path",
        ));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Error::invalid("a Git URL must not hold spaces, line ends or control characters"));
    }
    let helper = text.split("::").next().unwrap_or_default();
    if text.contains("::") && helper.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c)) {
        return Err(Error::invalid(
            "Git transport helpers such as 'ext::' can run commands and are always refused; use https or ssh",
        ));
    }
    if !text.contains("://") {
        return match text.split_once(':') {
            Some((host, path)) if !host.contains('/') && !path.is_empty() => {
                let path = path.trim_start_matches('/');
                Url::parse(&format!("ssh://{host}/{path}")).map_err(|_| unreadable())
            }
            _ => Err(not_allowed("file", allowed)),
        };
    }
    Url::parse(text).map_err(|_| unreadable())
}

fn check_parts(scheme: GitScheme, url: &Url) -> Result<()> {
    let with_user = !url.username().is_empty() && scheme != GitScheme::Ssh;
    if url.password().is_some() || with_user {
        return Err(Error::invalid(
            "a Git URL must not hold credentials: URLs end up in logs; remove them and set the project's credentials instead",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::invalid(
            "a Git URL must not have a query or a fragment; credentials do not belong there either",
        ));
    }
    let host = url.host_str().unwrap_or_default();
    if scheme != GitScheme::File && host.is_empty() {
        return Err(Error::invalid("a Git URL needs a host; write https://host/path or ssh://user@host/path"));
    }
    if host.starts_with('-') || url.username().starts_with('-') {
        return Err(Error::invalid("the host and the user of a Git URL must not start with '-'"));
    }
    if url.path().trim_matches('/').is_empty() {
        return Err(Error::invalid("a Git URL needs the path of a repository").with_context("url", url.as_str()));
    }
    Ok(())
}

fn unreadable() -> Error {
    Error::invalid("this is not a Git URL; write https://host/path or ssh://user@host/path")
}

fn not_allowed(scheme: &str, allowed: &[GitScheme]) -> Error {
    let allowed: Vec<&str> = allowed.iter().map(|scheme| scheme.as_str()).collect();
    Error::invalid(format!("Git URLs of scheme '{scheme}' are not allowed here; allowed: {}", allowed.join(", ")))
        .with_operation("project.url")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        GitUrl::parse(text, &GitScheme::DEFAULT).unwrap_err().to_string()
    }

    #[test]
    fn transport_helpers_are_refused_in_any_case() {
        let told = "project.url: Git transport helpers such as 'ext::' can run commands and are always refused; use https or ssh";
        for text in ["ext::sh -c id", "ext::sh", "EXT::sh%20-c%20id", "eXt::x", "fd::17", "transport::https://h/p"] {
            let message = refused(text);
            if text.contains(' ') {
                assert!(message.contains("must not hold spaces"), "{message}");
            } else {
                assert_eq!(message, told, "{text}");
            }
        }
    }

    #[test]
    fn only_allowed_schemes_pass() {
        let told = "project.url: Git URLs of scheme 'file' are not allowed here; allowed: https, ssh";
        for text in ["file:///etc/passwd", "FILE:///etc/passwd", "/srv/repo", "./repo", "repo"] {
            assert_eq!(refused(text), told, "{text}");
        }
        assert!(refused("http://host/x").contains("'http'"));
        assert!(refused("git://host/x").contains("'git'"));
        assert!(GitUrl::parse("http://host/x", &[GitScheme::Http]).is_ok());
        assert!(GitUrl::parse("file:///srv/repo", &[GitScheme::File]).is_ok());
    }

    #[test]
    fn options_are_no_addresses() {
        assert_eq!(
            refused("--upload-pack=touch${IFS}/tmp/x"),
            "project.url: a Git URL must not start with '-', which tools take for an option; write https://host/path or ssh://user@host/path"
        );
        assert!(refused("ssh://-oProxyCommand=id/x").contains("must not start with '-'"));
    }

    #[test]
    fn credentials_in_the_address_are_refused_and_never_shown() {
        for text in [
            "https://me:canary@host/x",
            "https://canary@host/x",
            "ssh://git:canary@host/x",
            "https://host/x?token=canary",
        ] {
            let error = GitUrl::parse(text, &GitScheme::DEFAULT).unwrap_err();
            assert!(error.to_string().contains("credentials"), "{error}");
            assert!(!format!("{error} {error:?} {}", error.chain()).contains("canary"));
        }
    }

    #[test]
    fn the_short_ssh_form_is_understood() {
        let url = GitUrl::parse("git@host.example:team/orders.git", &GitScheme::DEFAULT).unwrap();
        assert_eq!((url.host(), url.port(), url.user(), url.name()), ("host.example", 22, Some("git"), "orders"));
    }

    #[test]
    fn submodules_are_relative_to_their_parent_and_keep_its_rules() {
        let url = GitUrl::parse("https://host/team/orders.git", &GitScheme::DEFAULT).unwrap();
        let sub = url.submodule("../common.git", &GitScheme::DEFAULT).unwrap();
        assert_eq!(sub.to_string(), "https://host/team/common.git");
        assert!(url.submodule("file:///etc", &GitScheme::DEFAULT).is_err());
        assert!(url.submodule("ext::sh", &GitScheme::DEFAULT).is_err());
    }
}
