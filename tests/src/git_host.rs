//! A real Git repository behind a real ssh server, with a clone that pushes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::git_server::git;
use crate::process::Servers;

/// Where the repository is, as `tests/servers/git.py` says.
#[derive(Debug, Clone, Deserialize)]
pub struct Repository {
    /// Its address.
    pub url: String,
    /// The private key that may log in.
    pub key: PathBuf,
    /// The server's own key.
    pub known_hosts: PathBuf,
    /// A clone that may push.
    pub clone: PathBuf,
    /// The first commit.
    pub commit: String,
}

/// The server; it ends with this value.
pub type GitHost = Servers<Repository>;

impl Servers<Repository> {
    /// Starts a server whose repository holds the project `name` of `tests/projects`.
    ///
    /// # Panics
    /// Where it does not come up: nothing can go on.
    pub fn start(name: &str) -> Self {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("projects").join(name);
        Self::run("git.py", [OsStr::new("--sources"), sources.as_os_str()])
    }

    /// Changes a file of the clone, commits, and pushes over ssh; returns the commit's id.
    ///
    /// # Panics
    /// Where Git refuses.
    #[allow(clippy::unwrap_used)]
    pub fn push(&self, message: &str, file: &str, change: impl FnOnce(&str) -> String) -> String {
        let path = self.at.clone.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, change(&text)).unwrap();
        git(&self.at.clone, &["commit", "--quiet", "--all", "--message", message]);
        git(&self.at.clone, &["push", "--quiet"]);
        git(&self.at.clone, &["rev-parse", "HEAD"])
    }
}
