//! A real Git repository behind a real ssh server, with a clone that pushes.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde::Deserialize;

use crate::git_server::git;

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
#[derive(Debug)]
pub struct GitHost {
    child: Child,
    input: Option<ChildStdin>,
    /// Where the repository is.
    pub at: Repository,
    _work: tempfile::TempDir,
}

impl GitHost {
    /// Starts a server whose repository holds the project `name` of `tests/projects`.
    ///
    /// # Panics
    /// Where it does not come up: nothing can go on.
    #[allow(clippy::panic, clippy::unwrap_used)]
    pub fn start(name: &str) -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let work = tempfile::Builder::new().prefix("streampark-git-").tempdir().unwrap();
        let mut child = Command::new("python3")
            .arg(tests.join("servers").join("git.py"))
            .arg("--sources")
            .arg(tests.join("projects").join(name))
            .arg("--work")
            .arg(work.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let at = serde_json::from_str(&line).unwrap_or_else(|error| panic!("git.py said {line:?}: {error}"));
        Self { child, input, at, _work: work }
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

impl Drop for GitHost {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}
