//! How one Hadoop cluster is reached and used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use streampark_core::flink::{FlinkConfig, FlinkVersion, format_duration, parse_duration};
use streampark_core::{Error, ErrorKind, Result, Secret};

use crate::auth::KerberosOptions;
use crate::hadoop::HadoopConf;

/// How one Hadoop cluster is reached and used. Each option left out is taken from the Hadoop
/// configuration folder, then asked of the ResourceManager, then a default.
///
/// ```
/// use streampark_yarn::YarnOptions;
///
/// let options = YarnOptions::new("http://rm:8088/")
///     .flink_home("/opt/flink-1.20.5")
///     .queue("streaming")
///     .flink("state.checkpoints.dir", "hdfs:///flink/checkpoints");
/// assert_eq!(options.queue.as_deref(), Some("streaming"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct YarnOptions {
    /// The web addresses of the ResourceManagers: one, or all of a highly available pair.
    pub resource_managers: Vec<String>,
    /// A folder with `core-site.xml`, `hdfs-site.xml` and `yarn-site.xml`.
    pub hadoop_conf: Option<PathBuf>,
    /// The user who owns applications and files. Default: `HADOOP_USER_NAME`, then
    /// `USER`, then the process's own.
    pub user: Option<String>,
    /// How we prove who we are to a secure cluster. Default: the user's name, without proof.
    pub kerberos: Option<KerberosOptions>,
    /// The user in whose name everything is done (`doAs`); the cluster must let us, see Hadoop's
    /// `hadoop.proxyuser.<us>.hosts` and `.users`.
    pub proxy_user: Option<String>,
    /// `fs.defaultFS` as the cluster spells it, for example `hdfs://nn:8020`.
    pub default_fs: Option<String>,
    /// The web addresses of the NameNodes, or of an HttpFS server.
    pub web_hdfs: Vec<String>,
    /// Whether [`web_hdfs`](Self::web_hdfs) is an HttpFS server.
    pub http_fs: bool,
    /// Where the cluster's file system is mounted on this machine; used in place of WebHDFS.
    pub shared_folder: Option<PathBuf>,
    /// How the object store behind [`default_fs`](Self::default_fs) `s3a://BUCKET` is opened (feature `s3`): `region`,
    /// `endpoint`, `access_key_id`, … as `Bucket::s3` takes them.
    pub object_store: BTreeMap<String, Secret>,
    /// Hosts, by the names that NameNodes and NodeManagers call them, and where we reach them:
    /// a name, or a name and a port.
    pub host_map: BTreeMap<String, String>,
    /// The folder that holds `.flink` (`yarn.staging-directory`). Default: the user's home folder.
    pub staging: Option<String>,
    /// Flink on this machine; its `lib` and `plugins` are put on the cluster once.
    pub flink_home: Option<PathBuf>,
    /// Flink's version, where it cannot be read from the name of `flink-dist-*.jar`.
    pub flink_version: Option<FlinkVersion>,
    /// Folders on the cluster's file system that hold Flink (`yarn.provided.lib.dirs`), in place of
    /// [`flink_home`](Self::flink_home).
    pub provided_lib_dirs: Vec<String>,
    /// Where distributions are kept on the cluster. Default: `.streampark/dist` below the home folder.
    pub distribution_folder: Option<String>,
    /// The queue (`yarn.application.queue`).
    pub queue: Option<String>,
    /// Marks every application of this installation: one request finds all of them. Lower case. Default `streampark`.
    pub tag: String,
    /// Flink configuration below that of each job.
    pub flink: FlinkConfig,
    /// The JobManager stays after the end of its job until that is recorded. Default true.
    pub keep_job_manager: bool,
    /// Ended jobs are written to a folder beside the staging folder. Default true.
    pub job_archive: bool,
    /// Certificates (PEM) trusted besides those of the machine.
    pub tls_ca: Option<PathBuf>,
    /// How long one request may take. Default 10 s.
    #[serde(with = "text")]
    pub timeout: Duration,
    /// How long to wait for a connection. Default 3 s.
    #[serde(with = "text")]
    pub connect_timeout: Duration,
    /// How long a file may take to arrive. Default 10 min.
    #[serde(with = "text")]
    pub transfer_timeout: Duration,
    /// How long to look for an active ResourceManager. Default 5 s.
    #[serde(with = "text")]
    pub failover_patience: Duration,
    /// How long tasks may outlive a lost JobManager: on YARN nobody ends the TaskManagers of a lost
    /// node at once. Default 3 min.
    #[serde(with = "text")]
    pub orphan_timeout: Duration,
}

impl Default for YarnOptions {
    fn default() -> Self {
        Self {
            resource_managers: Vec::new(),
            hadoop_conf: None,
            user: None,
            kerberos: None,
            proxy_user: None,
            default_fs: None,
            web_hdfs: Vec::new(),
            http_fs: false,
            shared_folder: None,
            object_store: BTreeMap::new(),
            host_map: BTreeMap::new(),
            staging: None,
            flink_home: None,
            flink_version: None,
            provided_lib_dirs: Vec::new(),
            distribution_folder: None,
            queue: None,
            tag: "streampark".to_owned(),
            flink: FlinkConfig::new(),
            keep_job_manager: true,
            job_archive: true,
            tls_ca: None,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            transfer_timeout: Duration::from_secs(600),
            failover_patience: Duration::from_secs(5),
            orphan_timeout: Duration::from_secs(180),
        }
    }
}

impl YarnOptions {
    /// The cluster of this ResourceManager.
    pub fn new(resource_manager: impl Into<String>) -> Self {
        Self { resource_managers: vec![resource_manager.into()], ..Self::default() }
    }

    /// The cluster that a Hadoop configuration folder describes.
    pub fn from_hadoop_conf(folder: impl Into<PathBuf>) -> Self {
        Self { hadoop_conf: Some(folder.into()), ..Self::default() }
    }

    /// Sets the user.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets how we prove who we are.
    #[must_use]
    pub fn kerberos(mut self, kerberos: KerberosOptions) -> Self {
        self.kerberos = Some(kerberos);
        self
    }

    /// Sets the user in whose name everything is done.
    #[must_use]
    pub fn proxy_user(mut self, user: impl Into<String>) -> Self {
        self.proxy_user = Some(user.into());
        self
    }

    /// Sets the certificates trusted besides those of the machine.
    #[must_use]
    pub fn tls_ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls_ca = Some(file.into());
        self
    }

    /// Sets the web addresses of the NameNodes.
    #[must_use]
    pub fn web_hdfs<T: Into<String>>(mut self, addresses: impl IntoIterator<Item = T>) -> Self {
        self.web_hdfs = addresses.into_iter().map(Into::into).collect();
        self
    }

    /// Sets `fs.defaultFS`.
    #[must_use]
    pub fn default_fs(mut self, default_fs: impl Into<String>) -> Self {
        self.default_fs = Some(default_fs.into());
        self
    }

    /// Sets where Flink is on this machine.
    #[must_use]
    pub fn flink_home(mut self, folder: impl Into<PathBuf>) -> Self {
        self.flink_home = Some(folder.into());
        self
    }

    /// Sets the folders on the cluster that hold Flink.
    #[must_use]
    pub fn provided_lib_dirs<T: Into<String>>(mut self, folders: impl IntoIterator<Item = T>) -> Self {
        self.provided_lib_dirs = folders.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Sets the tag of every application.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = tag.into();
        self
    }

    /// Sets one option of Flink for every job.
    #[must_use]
    pub fn flink(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.flink.set(key, value);
        self
    }

    /// Sets where staging folders are made.
    #[must_use]
    pub fn staging(mut self, folder: impl Into<String>) -> Self {
        self.staging = Some(folder.into());
        self
    }

    /// Sets whether JobManagers stay until the end of their jobs is recorded.
    #[must_use]
    pub fn keep_job_manager(mut self, yes: bool) -> Self {
        self.keep_job_manager = yes;
        self
    }

    /// Checks what can be checked without a request.
    pub(crate) fn check(&self) -> Result<()> {
        check_tag(&self.tag)?;
        if !self.provided_lib_dirs.is_empty() && self.flink_home.is_some() {
            return Err(Error::invalid(
                "flink_home and provided_lib_dirs are both given; give one: the folder on this machine, or those on \
                 the cluster",
            ));
        }
        if self.kerberos.is_some() && self.user.is_some() {
            return Err(Error::invalid(
                "user and kerberos are both given; with kerberos the principal says who we are, and kerberos.user where \
                 its short name is another",
            ));
        }
        for user in [&self.user, &self.proxy_user].into_iter().flatten() {
            if user.is_empty() || user.contains(['/', '@', ' ', '"', '$']) {
                return Err(Error::invalid(format!("'{user}' is no short user name; leave out host and realm")));
            }
        }
        Ok(())
    }

    /// The user, from the environment where the options name none.
    pub(crate) fn user_or_env(&self) -> Result<String> {
        let named = self.user.clone().or_else(|| std::env::var("HADOOP_USER_NAME").ok());
        let named = named.or_else(|| std::env::var("USER").ok()).filter(|user| !user.is_empty());
        named.or_else(user_of_process).ok_or_else(|| {
            Error::invalid(
                "which user owns the applications was not said; give the option user, or set HADOOP_USER_NAME",
            )
        })
    }

    /// The Hadoop configuration, empty where no folder is given.
    pub(crate) fn hadoop(&self) -> Result<HadoopConf> {
        self.hadoop_conf.as_ref().map_or_else(|| Ok(HadoopConf::new()), HadoopConf::load)
    }

    pub(crate) fn authorities(&self) -> Result<Option<Vec<u8>>> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| {
                Error::new(ErrorKind::Io, "the file of the option tls_ca cannot be read")
                    .with_context("file", path.display())
                    .with_source(source)
            })
        };
        self.tls_ca.as_ref().map(read).transpose()
    }
}

/// The name of the process's own user, where the machine keeps names in a file.
fn user_of_process() -> Option<String> {
    #[cfg(unix)]
    {
        let id = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").ok()?).to_string();
        let names = std::fs::read_to_string("/etc/passwd").ok()?;
        let mut lines = names.lines().map(|line| line.split(':'));
        lines.find_map(|mut line| {
            let name = line.next()?;
            (line.nth(1) == Some(&id)).then(|| name.to_owned())
        })
    }
    #[cfg(not(unix))]
    None
}

/// YARN's own rules for tags, and one more: it stores them in lower case, and parts them by commas.
fn check_tag(tag: &str) -> Result<()> {
    let why = if tag.is_empty() {
        "it is empty"
    } else if tag.len() > 100 {
        "it is longer than 100 characters"
    } else if !tag.is_ascii() {
        "it has characters that are not ASCII"
    } else if tag.bytes().any(|byte| byte.is_ascii_uppercase()) {
        "YARN keeps tags in lower case"
    } else if tag.contains([',', ' ', '\t', '\n']) {
        "it has a comma or a blank"
    } else {
        return Ok(());
    };
    let shown: String = tag.chars().take(110).collect();
    Err(Error::invalid(format!("the tag '{shown}' cannot be used: {why}; use a short lower-case word")))
}

pub(crate) mod text {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Duration, format_duration, parse_duration};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map_err(|error| serde::de::Error::custom(error.message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_from_json_and_go_back() {
        let text = r#"{"resource_managers": ["http://rm:8088/"], "timeout": "3 s", "flink": {"a": "b"}}"#;
        let options: YarnOptions = serde_json::from_str(text).unwrap();
        assert_eq!((options.timeout, options.keep_job_manager), (Duration::from_secs(3), true));
        let again: YarnOptions = serde_json::from_value(serde_json::to_value(&options).unwrap()).unwrap();
        assert_eq!(again, options);
        let error = serde_json::from_str::<YarnOptions>(r#"{"resourcemanager": "x"}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `resourcemanager`"), "{error}");
    }

    #[test]
    fn tags_that_yarn_would_refuse_or_change_are_refused_by_name() {
        for (tag, message) in [
            (String::new(), "the tag '' cannot be used: it is empty; use a short lower-case word"),
            (
                "StreamPark".to_owned(),
                "the tag 'StreamPark' cannot be used: YARN keeps tags in lower case; use a short lower-case word",
            ),
            ("a,b".to_owned(), "the tag 'a,b' cannot be used: it has a comma or a blank; use a short lower-case word"),
        ] {
            assert_eq!(YarnOptions::new("http://rm/").tag(tag).check().unwrap_err().message(), message);
        }
        let error = YarnOptions::new("http://rm/").tag("x".repeat(101)).check().unwrap_err();
        assert!(error.message().contains("it is longer than 100 characters"), "{error}");
    }

    #[test]
    fn one_place_for_flink() {
        let options = YarnOptions::new("http://rm/").flink_home("/opt/flink").provided_lib_dirs(["/flink/lib"]);
        assert!(options.check().unwrap_err().message().starts_with("flink_home and provided_lib_dirs are both given"));
    }
}
