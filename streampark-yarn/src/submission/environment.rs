//! The environment of the JobManager's container (`YarnClusterDescriptor.generateApplicationMasterEnv`).

use std::collections::BTreeMap;

use streampark_core::flink::{FlinkConfig, FlinkVersion};
use streampark_core::{Error, Result};

use super::descriptor::{descriptor, descriptors};
use super::resources::Resources;
use crate::facts::ClusterFacts;

/// Hadoop's own default of `yarn.application.classpath`; the NodeManager's shell expands the names.
const HADOOP_CLASS_PATH: [&str; 7] = [
    "$HADOOP_CONF_DIR",
    "$HADOOP_COMMON_HOME/share/hadoop/common/*",
    "$HADOOP_COMMON_HOME/share/hadoop/common/lib/*",
    "$HADOOP_HDFS_HOME/share/hadoop/hdfs/*",
    "$HADOOP_HDFS_HOME/share/hadoop/hdfs/lib/*",
    "$HADOOP_YARN_HOME/share/hadoop/yarn/*",
    "$HADOOP_YARN_HOME/share/hadoop/yarn/lib/*",
];

const OWN_VARIABLES: &str = "containerized.master.env.";

/// Kerberos, as far as containers hear of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Kerberos {
    pub(super) local_keytab: Option<String>,
    pub(super) remote_keytab: Option<String>,
    pub(super) principal: Option<String>,
    pub(super) remote_krb5: Option<String>,
}

/// All variables but those that name files with their times, see [`files`].
pub(super) fn environment(
    config: &FlinkConfig,
    version: &FlinkVersion,
    facts: &ClusterFacts,
    staging_home: &str,
    class_path: &str,
    kerberos: &Kerberos,
) -> Result<BTreeMap<String, String>> {
    let mut env = BTreeMap::new();
    for (key, value) in config.iter() {
        if let Some(name) = key.strip_prefix(OWN_VARIABLES) {
            check_variable(key, name, value)?;
            env.insert(name.to_owned(), value.to_owned());
        }
    }
    let mut set = |name: &str, value: &str| env.insert(name.to_owned(), value.to_owned());
    set("_FLINK_CLASSPATH", class_path);
    set("FLINK_LIB_DIR", "./lib");
    set("FLINK_OPT_DIR", "./opt");
    set("_APP_ID", &facts.application_id);
    set("_CLIENT_HOME_DIR", staging_home);
    set("_FLINK_YARN_FILES", &format!("{staging_home}/.flink/{}", facts.application_id));
    set("HADOOP_USER_NAME", &facts.user);
    if version.at_least(2, 0)
        && let Some(java_home) = config.get("env.java.home")
    {
        set("JAVA_HOME", java_home);
    }
    let hadoop = hadoop_class_path(config, facts);
    set("CLASSPATH", &format!("{class_path}:{}", hadoop.join(":")));
    for (name, value) in [
        ("_LOCAL_KEYTAB_PATH", &kerberos.local_keytab),
        ("_REMOTE_KEYTAB_PATH", &kerberos.remote_keytab),
        ("_KEYTAB_PRINCIPAL", &kerberos.principal),
        ("_KRB5_PATH", &kerberos.remote_krb5),
    ] {
        if let Some(value) = value {
            set(name, value);
        }
    }
    Ok(env)
}

/// The variables that change once the files were written.
pub(super) fn files(resources: &Resources, dist_key: &str, version: &FlinkVersion) -> [(&'static str, String); 2] {
    let dist = resources.get(dist_key).map(|file| descriptor(file, version)).unwrap_or_default();
    [("_CLIENT_SHIP_FILES", descriptors(resources.shipped(), version)), ("_FLINK_DIST_JAR", dist)]
}

/// `Utils.setupYarnClassPath`; Flink passes `flink.yarn.*` on to Hadoop without `flink.`.
fn hadoop_class_path(config: &FlinkConfig, facts: &ClusterFacts) -> Vec<String> {
    let entries: Vec<String> = match (config.get("flink.yarn.application.classpath"), &facts.yarn_class_path) {
        (Some(text), _) => text.split(',').map(str::to_owned).collect(),
        (None, Some(entries)) => entries.clone(),
        (None, None) => HADOOP_CLASS_PATH.map(str::to_owned).to_vec(),
    };
    entries.iter().map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect()
}

/// A NodeManager writes `export NAME="value"` and escapes nothing, so that `$NAME` in it is expanded.
fn check_variable(key: &str, name: &str, value: &str) -> Result<()> {
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name {
        return Err(Error::invalid(format!(
            "'{}' names no variable: letters, digits and _ follow {OWN_VARIABLES}",
            key.escape_debug()
        )));
    }
    if let Some(bad) = value.chars().find(|c| matches!(c, '"' | '`' | '\\') || c.is_control()) {
        return Err(Error::invalid(format!(
            "the value of {key} holds {}, which YARN's launch script does not survive: it puts values into double \
             quotes and escapes nothing; leave it out, or pass it in a file",
            bad.escape_debug()
        )));
    }
    Ok(())
}
