//! A real HDFS and YARN with Kerberos and TLS, beside a KDC of their own, for one test.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

/// Where everything is, as `tests/servers/secure.py` says.
#[derive(Debug, Clone, Deserialize)]
pub struct Addresses {
    /// The ResourceManager's web address.
    pub resource_manager: String,
    /// The NameNode's web address.
    pub web_hdfs: String,
    /// `fs.defaultFS`.
    pub fs: String,
    /// The folder of the configuration.
    pub conf: PathBuf,
    /// The realm of all principals.
    pub realm: String,
    /// Where clients find the KDC.
    pub krb5_conf: PathBuf,
    /// Who signed the daemons' certificates.
    pub authority: PathBuf,
    /// Of users, by their short names.
    pub keytabs: BTreeMap<String, PathBuf>,
    /// How long it took to be ready.
    pub ready_seconds: Value,
}

/// The daemons and the KDC; they end with this value.
#[derive(Debug)]
pub struct SecureHadoop {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Where everything is.
    pub at: Addresses,
    work: tempfile::TempDir,
}

impl SecureHadoop {
    /// Starts the Hadoop in `home`, with more arguments for `secure.py`.
    ///
    /// # Panics
    /// Where it does not come up: the test cannot go on.
    #[allow(clippy::panic, clippy::unwrap_used)]
    pub fn start(home: &str, arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers").join("secure.py");
        let work = tempfile::Builder::new().prefix("streampark-secure-").tempdir().unwrap();
        let mut child = Command::new("python3")
            .arg(script)
            .args(["--home", home, "--memory", "4096", "--work"])
            .arg(work.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let at = serde_json::from_str(&line).unwrap_or_else(|error| panic!("secure.py said {line:?}: {error}"));
        Self { child, input, output, at, work }
    }

    /// Says `kill` or `start` with the name of a daemon, or `kdc`.
    ///
    /// # Panics
    /// Where it is not obeyed.
    #[allow(clippy::panic, clippy::unwrap_used)]
    pub fn order(&mut self, order: &str) {
        writeln!(self.input.as_mut().unwrap(), "{order}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["ok"], true, "{order}: {answer}");
    }

    /// Gets a ticket of a user by MIT's `kinit` into a credential cache, which it gives.
    ///
    /// # Panics
    /// Where `kinit` fails.
    #[allow(clippy::panic, clippy::unwrap_used)]
    pub fn kinit(&self, user: &str, arguments: &[&str]) -> PathBuf {
        let cache = self.work.path().join(format!("{user}.cache"));
        let done = Command::new("kinit")
            .env("KRB5_CONFIG", &self.at.krb5_conf)
            .args(["-k", "-t"])
            .arg(&self.at.keytabs[user])
            .arg("-c")
            .arg(&cache)
            .args(arguments)
            .arg(user)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        cache
    }
}

impl Drop for SecureHadoop {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}
