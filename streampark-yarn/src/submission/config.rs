//! The Flink configuration that goes with an application.

use std::borrow::Cow;

use streampark_core::cluster::Submission;
use streampark_core::flink::{FlinkConfig, FlinkVersion, JAVA_17_OPTIONS};
use streampark_core::job::Runtime;
use streampark_core::{Error, Result};

use super::place::qualified;
use super::request::{Deploy, Request};
use crate::facts::ClusterFacts;

/// What runs a Python program (`PackagedProgramUtils`).
pub(super) const PYTHON_DRIVER: &str = "org.apache.flink.client.python.PythonDriver";

/// What the submission itself says, whatever the configuration says.
const OURS: [&str; 6] = [
    "execution.target",
    EXECUTION_MODE,
    "$internal.application.main",
    PROGRAM_ARGS,
    "$internal.pipeline.job-id",
    "pipeline.jars",
];

/// The program's arguments (`ApplicationConfiguration.APPLICATION_ARGS`).
pub(super) const PROGRAM_ARGS: &str = "$internal.application.program-args";

/// The key of the execution mode: `internal.cluster.execution-mode` (`ClusterEntrypoint`).
const EXECUTION_MODE: &str = "internal.cluster.execution-mode";

/// The options of the cluster, the job's or session's over them.
pub(super) fn merged(request: &Request<'_>) -> FlinkConfig {
    let mut config = request.options.flink.clone();
    config.merge(match request.deploy {
        Deploy::Application(submission) => &submission.config,
        Deploy::Session(session) => &session.flink,
    });
    config
}

/// Everything that does not depend on files: what Flink's client adds before it uploads.
pub(super) fn complete(request: &Request<'_>, notes: &mut Vec<String>) -> Result<FlinkConfig> {
    let mut config = merged(request);
    for key in OURS {
        if config.remove(key).is_some() {
            notes.push(format!("{key} is set by the submission itself; the configured value is not used"));
        }
    }
    default_memory(&mut config, request.version, notes);
    if request.options.open_java_modules && request.version.at_least(1, 18) && !jvm_options_set(&config) {
        config.set(request.version.jvm_options_key(), JAVA_17_OPTIONS);
    }
    let target = match request.deploy {
        Deploy::Application(submission) => {
            application(&mut config, request, submission)?;
            "yarn-application"
        }
        Deploy::Session(_) => "yarn-session",
    };
    config.set("execution.target", target);
    config.set(EXECUTION_MODE, "NORMAL");
    if !CLUSTER_ID_KEYS.iter().any(|key| config.contains(key)) {
        config.set(CLUSTER_ID_KEYS[0], &request.facts.application_id);
    }
    log_environment(&mut config, request.version);
    config.remove_local_addresses();
    Ok(config)
}

/// The folder that holds `.flink` (`YarnClusterDescriptor.getStagingDir`).
pub(super) fn home(config: &FlinkConfig, facts: &ClusterFacts) -> Result<String> {
    let home = match config.get("yarn.staging-directory") {
        Some(folder) => qualified(folder, &facts.default_fs),
        None => facts.home.trim_end_matches('/').to_owned(),
    };
    match home.chars().find(|c| c.is_whitespace() || "'\";$`\\".contains(*c)) {
        None => Ok(home),
        Some(bad) => Err(Error::invalid(format!(
            "the staging folder '{home}' holds {}, which Flink's lists of files do not survive; set \
             yarn.staging-directory to another folder",
            bad.escape_debug()
        ))),
    }
}

/// The application's own folder (`YarnApplicationFileUploader.getApplicationDirPath`).
pub(super) fn staging(home: &str, facts: &ClusterFacts) -> String {
    format!("{home}/.flink/{}", facts.application_id)
}

/// `high-availability.cluster-id` and its older names (`HighAvailabilityOptions.HA_CLUSTER_ID`).
const CLUSTER_ID_KEYS: [&str; 3] =
    ["high-availability.cluster-id", "high-availability.zookeeper.path.namespace", "recovery.zookeeper.path.namespace"];

fn jvm_options_set(config: &FlinkConfig) -> bool {
    config.contains("env.java.opts.all") || config.contains("env.java.opts")
}

/// Flink refuses to start without a size, so its own distribution's configuration has these.
fn default_memory(config: &mut FlinkConfig, version: &FlinkVersion, notes: &mut Vec<String>) {
    let has = |keys: &[&str]| keys.iter().any(|key| config.contains(key));
    let legacy = version.major() < 2 && has(&["jobmanager.heap.size", "jobmanager.heap.mb"]);
    let job_manager = legacy
        || has(&["jobmanager.memory.process.size", "jobmanager.memory.flink.size", "jobmanager.memory.heap.size"]);
    let task_manager = has(&["taskmanager.memory.process.size", "taskmanager.memory.flink.size"])
        || has(&["taskmanager.memory.task.heap.size"]) && has(&["taskmanager.memory.managed.size"])
        || version.major() < 2 && has(&["taskmanager.heap.size", "taskmanager.heap.mb"]);
    for (known, key, size) in [
        (job_manager, "jobmanager.memory.process.size", "1600m"),
        (task_manager, "taskmanager.memory.process.size", "1728m"),
    ] {
        if !known {
            notes.push(format!("{key} is not set: {size}, as in the configuration that Flink comes with"));
            config.set(key, size);
        }
    }
}

fn application(config: &mut FlinkConfig, request: &Request<'_>, submission: &Submission) -> Result<()> {
    let version = request.version;
    config.set_default("pipeline.name", &submission.name);
    if let Some(parallelism) = submission.parallelism {
        config.set("parallelism.default", parallelism.to_string());
    }
    if let Some(point) = &submission.restore {
        config.set(version.checkpoint_restore_key(), &point.path);
        config.set(version.claim_mode_key(), submission.claim_mode.as_str());
    }
    if submission.allow_non_restored_state {
        config.set(version.ignore_unclaimed_state_key(), "true");
    }
    let launch = &submission.launch;
    match (&launch.entry_class, launch.runtime) {
        (Some(class), _) => config.set("$internal.application.main", class),
        (None, Runtime::Python) => config.set("$internal.application.main", PYTHON_DRIVER),
        (None, _) => {}
    }
    check_args(&launch.args, version)?;
    if !launch.args.is_empty() {
        config.set_list(PROGRAM_ARGS, &launch.args, version);
    }
    // The fence: a second application with this run collides with the first job by its id.
    config.set("$internal.pipeline.job-id", submission.run.flink_job.to_string());
    if request.options.linger {
        config.set_default("execution.shutdown-on-application-finish", "false");
        config.set_default("execution.submit-failed-job-on-application-error", "true");
    }
    if request.options.archive {
        let staging = staging(&home(config, request.facts)?, request.facts);
        config.set_default("jobmanager.archive.fs.dir", format!("{staging}-archive"));
    }
    Ok(())
}

/// `flink-conf.yaml` cannot hold every argument. Arguments may be secrets: they are counted, not shown.
fn check_args(args: &[String], version: &FlinkVersion) -> Result<()> {
    if version.supports_config_yaml() {
        return Ok(());
    }
    for (index, arg) in args.iter().enumerate() {
        let what = if arg.contains('#') {
            "holds '#', and everything from there on would be taken as a comment"
        } else if arg.contains(['\n', '\r']) {
            "holds a line end, and a value is one line"
        } else {
            continue;
        };
        return Err(Error::invalid(format!(
            "argument {} of the program {what}: Flink {version} reads arguments from flink-conf.yaml; pass it in a file, \
             or use Flink 1.19 or later",
            index + 1
        )));
    }
    Ok(())
}

/// `YarnClusterDescriptor.adaptEnvSetting`, since 1.19.
fn log_environment(config: &mut FlinkConfig, version: &FlinkVersion) {
    if !version.at_least(1, 19) {
        return;
    }
    for (key, variable) in [("env.log.level", "ROOT_LOG_LEVEL"), ("env.log.max", "MAX_LOG_FILE_NUMBER")] {
        if let Some(value) = config.get(key).map(str::to_owned) {
            for process in ["master", "taskmanager"] {
                config.set(format!("containerized.{process}.env.{variable}"), value.as_str());
            }
        }
    }
}

/// Whether high availability is on (`HighAvailabilityMode.fromConfig`).
pub(super) fn is_highly_available(config: &FlinkConfig, version: &FlinkVersion) -> bool {
    let keys = [version.high_availability_key(), "recovery.mode", "high-availability"];
    let mode = keys.iter().find_map(|key| config.get(key)).unwrap_or("NONE");
    !(mode.eq_ignore_ascii_case("none") || mode.eq_ignore_ascii_case("standalone"))
}

/// A number, or the default.
pub(super) fn number<T: std::str::FromStr>(config: &FlinkConfig, key: &str, default: T) -> Result<T> {
    let Some(text) = config.get(key) else { return Ok(default) };
    text.trim().parse().map_err(|_| Error::invalid(format!("{key} is '{text}', which is no number of its kind")))
}

/// A truth value, or the default.
pub(super) fn truth(config: &FlinkConfig, key: &str, default: bool) -> Result<bool> {
    match config.get(key).map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(text) => Err(Error::invalid(format!("{key} is '{text}'; it must be true or false"))),
    }
}

/// Where the user's jars stand on the class path (`YarnConfigOptions.UserJarInclusion`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UserJars {
    First,
    Last,
    /// Among Flink's own, in order of their names.
    Order,
    /// Nowhere: Flink loads them from `usrlib` with a class loader of their own.
    Disabled,
}

impl UserJars {
    pub(super) fn from_config(config: &FlinkConfig) -> Result<Self> {
        let key = "yarn.classpath.include-user-jar";
        let text = config.get(key).or_else(|| config.get("yarn.per-job-cluster.include-user-jar"));
        let text = text.map_or(Cow::Borrowed("ORDER"), |text| Cow::Owned(text.trim().to_ascii_uppercase()));
        match text.as_ref() {
            "FIRST" => Ok(Self::First),
            "LAST" => Ok(Self::Last),
            "ORDER" => Ok(Self::Order),
            "DISABLED" => Ok(Self::Disabled),
            other => Err(Error::invalid(format!("{key} is '{other}'; it must be FIRST, LAST, ORDER or DISABLED"))),
        }
    }
}
