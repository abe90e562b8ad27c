//! A real HDFS and YARN with Kerberos and TLS, beside a KDC of their own, for one test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::hadoop::MEMORY;
use crate::process::Servers;

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
///
/// Orders: `kill` or `start` with the name of a daemon, or `kdc`.
pub type SecureHadoop = Servers<Addresses>;

impl Servers<Addresses> {
    /// Starts the Hadoop in `home`, with more arguments for `secure.py`.
    ///
    /// # Panics
    /// Where it does not come up: the test cannot go on.
    pub fn start(home: &str, arguments: &[&str]) -> Self {
        Self::run("secure.py", ["--home", home, "--memory", MEMORY].iter().chain(arguments))
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
