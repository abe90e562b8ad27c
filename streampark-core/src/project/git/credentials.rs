//! How we tell a Git server who we are.

use std::fmt;
use std::path::PathBuf;

use git2::{Cred, CredentialType};

use crate::{Error, Result, Secret};

/// Who we are to a Git server. Secrets may be references (`env:NAME`, `file:/path`), read at each use.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GitCredentials {
    /// Nobody: public repositories.
    #[default]
    Anonymous,
    /// A name and a password, or a name and an access token, over https.
    Password {
        /// The account; servers that take tokens alone want `oauth2`, `x-access-token` or any word here.
        user: String,
        /// The password or token.
        password: Secret,
    },
    /// A private key file over ssh.
    KeyFile {
        /// The file, in OpenSSH or PEM form.
        path: PathBuf,
        /// What opens the key.
        passphrase: Option<Secret>,
    },
    /// A private key over ssh that lives in a secret, not in a file.
    Key {
        /// The key's text, in OpenSSH or PEM form.
        key: Secret,
        /// What opens the key.
        passphrase: Option<Secret>,
    },
    /// The ssh agent of the process's user.
    Agent,
}

impl GitCredentials {
    /// An access token over https.
    pub fn token(token: impl Into<Secret>) -> Self {
        Self::Password { user: "oauth2".into(), password: token.into() }
    }

    /// A name and a password over https.
    pub fn password(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::Password { user: user.into(), password: password.into() }
    }

    /// A private key file over ssh.
    pub fn key_file(path: impl Into<PathBuf>, passphrase: Option<Secret>) -> Self {
        Self::KeyFile { path: path.into(), passphrase }
    }

    /// Reads what is kept by reference, so that a missing variable or file is told before anything connects.
    pub(super) fn resolve(&self) -> Result<Self> {
        let resolve = |secret: &Option<Secret>| secret.as_ref().map(Secret::resolve).transpose();
        Ok(match self {
            Self::Password { user, password } => Self::Password { user: user.clone(), password: password.resolve()? },
            Self::KeyFile { path, passphrase } => {
                if !path.is_file() {
                    return Err(Error::not_found("the private key of the Git credentials is not there")
                        .with_context("path", path.display()));
                }
                Self::KeyFile { path: path.clone(), passphrase: resolve(passphrase)? }
            }
            Self::Key { key, passphrase } => Self::Key { key: key_text(key)?, passphrase: resolve(passphrase)? },
            Self::Anonymous => Self::Anonymous,
            Self::Agent => Self::Agent,
        })
    }

    /// Answers what libgit2 asks; None where these credentials are of another kind.
    pub(super) fn answer(&self, user: &str, wanted: CredentialType) -> Option<Result<Cred, git2::Error>> {
        if wanted.contains(CredentialType::USERNAME) {
            return Some(Cred::username(user));
        }
        let open = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        match self {
            Self::Password { user: account, password } if wanted.contains(CredentialType::USER_PASS_PLAINTEXT) => {
                Some(Cred::userpass_plaintext(account, password.expose()))
            }
            Self::KeyFile { path, passphrase } if wanted.contains(CredentialType::SSH_KEY) => {
                Some(Cred::ssh_key(user, None, path, open(passphrase).as_deref()))
            }
            Self::Key { key, passphrase } if wanted.contains(CredentialType::SSH_MEMORY) => {
                Some(Cred::ssh_key_from_memory(user, None, key.expose(), open(passphrase).as_deref()))
            }
            Self::Agent if wanted.contains(CredentialType::SSH_KEY) => Some(Cred::ssh_key_from_agent(user)),
            _ => None,
        }
    }

    /// What they are, for errors.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "no credentials",
            Self::Password { .. } => "a password or token",
            Self::KeyFile { .. } | Self::Key { .. } => "a private key",
            Self::Agent => "the ssh agent",
        }
    }
}

impl fmt::Debug for GitCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user}, ******)"),
            Self::KeyFile { path, .. } => write!(f, "KeyFile({})", path.display()),
            Self::Key { .. } => f.write_str("Key(******)"),
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Agent => f.write_str("Agent"),
        }
    }
}

/// A key has many lines, of which [`Secret::resolve`] would read the first only.
fn key_text(key: &Secret) -> Result<Secret> {
    match key.expose().strip_prefix("file:") {
        Some(path) => std::fs::read_to_string(path).map(Secret::new).map_err(|source| {
            Error::not_found("the private key of the Git credentials cannot be read")
                .with_context("path", path)
                .with_source(source)
        }),
        None => key.resolve(),
    }
}
