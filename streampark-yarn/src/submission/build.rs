//! Puts a submission together (`YarnClusterDescriptor.startAppMaster`).

use std::fmt;

use streampark_core::Result;
use streampark_core::cluster::{PlanBody, PlanStep};
use streampark_core::flink::{FlinkConfig, FlinkVersion, JobManagerMemory};
use streampark_core::job::Location;

use super::checks::{acls, container, tags};
use super::command::command;
use super::config::{PROGRAM_ARGS, complete, home, is_highly_available, number, staging};
use super::context::{SubmissionContext, mask_command};
use super::environment::{environment, files};
use super::request::{Deploy, Request};
use super::resources::{Resources, Upload};
use super::wares::gather;
use crate::facts::RemoteFile;

const SESSION: &str = "org.apache.flink.yarn.entrypoint.YarnSessionClusterEntrypoint";
const APPLICATION: &str = "org.apache.flink.yarn.entrypoint.YarnApplicationClusterEntryPoint";

/// The Flink configuration that goes with an application. `Debug` shows it as a plan does.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigFile {
    /// `config.yaml`, before Flink 1.19 `flink-conf.yaml`.
    pub name: &'static str,
    /// What is in it.
    pub config: FlinkConfig,
    shown: FlinkConfig,
}

impl ConfigFile {
    fn new(name: &'static str, config: FlinkConfig, request: &Request<'_>) -> Self {
        let mut shown: FlinkConfig = config.iter().map(|(key, value)| (key, mask_command(value))).collect();
        if let Deploy::Application(submission) = request.deploy
            && config.contains(PROGRAM_ARGS)
        {
            // Nothing marks a secret among arguments, but a SQL script is known from its inside.
            shown.set_list(PROGRAM_ARGS, &submission.launch.shown_args(), request.version);
        }
        Self { name, config, shown }
    }

    /// The content as people may see it: values of sensitive keys, and secrets in a SQL script, are
    /// hidden.
    pub fn shown(&self) -> String {
        self.shown.to_string()
    }
}

impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigFile").field("name", &self.name).field("shown", &self.shown).finish_non_exhaustive()
    }
}

/// A submission, ready but for the times of the files that must be written first.
#[derive(Clone)]
#[non_exhaustive]
pub struct Built {
    /// What the ResourceManager is sent. Times of [`uploads`](Self::uploads) are 0 in it; see
    /// [`staged`](Self::staged).
    pub context: SubmissionContext,
    /// The folder to create with rights 700, for the uploads; removed after the application's end.
    pub staging: String,
    /// What to write before the submission.
    pub uploads: Vec<Upload>,
    /// The Flink configuration, which is one of the uploads.
    pub config_file: ConfigFile,
    /// Where Flink writes ended jobs (`jobmanager.archive.fs.dir`).
    pub archive: Option<String>,
    /// How many copies HDFS keeps of the uploads (`yarn.file-replication`); None for its default.
    pub replication: Option<u16>,
    /// What the reader of a plan should know: defaults taken, things left out.
    pub notes: Vec<String>,
    resources: Resources,
    dist_key: String,
    version: FlinkVersion,
}

impl Built {
    /// What the ResourceManager is sent once the uploads were written: `written` are their states,
    /// read afterwards, because a NodeManager compares the time to the millisecond.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](streampark_core::ErrorKind::Internal) where an upload is missing;
    /// [`ErrorKind::Conflict`](streampark_core::ErrorKind::Conflict) where its size is not the expected one.
    pub fn staged(&self, written: &[RemoteFile]) -> Result<SubmissionContext> {
        let resources = self.resources.stamped(written)?;
        let mut context = self.context.clone();
        context.local_resources = resources.all().cloned().collect();
        for (name, value) in files(&resources, &self.dist_key, &self.version) {
            context.environment.insert(name.to_owned(), value);
        }
        Ok(context)
    }

    /// The steps of a submission, for a plan; secrets are hidden.
    pub fn plan(&self) -> Vec<PlanStep> {
        let mut steps = vec![PlanStep::new("create the staging folder", "MKDIRS", &self.staging)];
        for upload in &self.uploads {
            let body = match &upload.source {
                Location::Bytes(_) if upload.key == self.config_file.name => {
                    PlanBody::Text { name: upload.key.clone(), content: self.config_file.shown() }
                }
                Location::Bytes(bytes) if std::str::from_utf8(bytes).is_ok() && upload.key.contains("log") => {
                    PlanBody::Text { name: upload.key.clone(), content: String::from_utf8_lossy(bytes).into_owned() }
                }
                _ => PlanBody::File { name: upload.key.clone(), size: upload.size, sha256: upload.sha256.clone() },
            };
            steps.push(PlanStep::new(format!("stage {}", upload.key), "CREATE", &upload.target).with_body(body));
        }
        steps.push(
            PlanStep::new("submit the application", "POST", "/ws/v1/cluster/apps")
                .with_body(PlanBody::Json(self.context.masked())),
        );
        steps
    }
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Built")
            .field("context", &self.context)
            .field("staging", &self.staging)
            .field("uploads", &self.uploads)
            .field("config_file", &self.config_file)
            .field("archive", &self.archive)
            .field("replication", &self.replication)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

/// Builds a submission. Nothing is read, sent or written, and no clock is asked: the same request
/// gives the same submission.
///
/// # Errors
/// [`ErrorKind::InvalidInput`](streampark_core::ErrorKind::InvalidInput) for everything that Flink or
/// YARN would refuse or damage, with key, rule and remedy;
/// [`ErrorKind::Unsupported`](streampark_core::ErrorKind::Unsupported) where this version of Flink lacks it;
/// [`ErrorKind::NotFound`](streampark_core::ErrorKind::NotFound) for a file that the request does not know.
pub fn build(request: &Request<'_>) -> Result<Built> {
    assemble(request).map_err(|error| error.with_operation("yarn.build"))
}

fn assemble(request: &Request<'_>) -> Result<Built> {
    let (version, facts) = (request.version, request.facts);
    let mut notes = match request.deploy {
        Deploy::Application(submission) => submission.launch.notes.clone(),
        Deploy::Session(_) => Vec::new(),
    };
    let mut config = complete(request, &mut notes)?;
    let home = home(&config, facts)?;
    let staging = staging(&home, facts);
    let memory = JobManagerMemory::from_config(&config, version)?;
    let container = container(&config, version, &memory, &facts.limits)?;
    let tags = tags(request, &config, &mut notes)?;

    let wares = gather(request, &mut config, &staging, &mut notes)?;
    let has_krb5 = wares.kerberos.remote_krb5.is_some();
    let class = if matches!(request.deploy, Deploy::Application(_)) { APPLICATION } else { SESSION };
    let command = command(&config, version, &memory, &request.options.logging, class, has_krb5)?;
    let mut environment = environment(&config, version, facts, &home, &wares.class_path, &wares.kerberos)?;
    for (name, value) in files(&wares.resources, &wares.dist_key, version) {
        environment.insert(name.to_owned(), value);
    }
    let attempts = attempts(&config, version, request.deploy, &mut notes)?;
    let text = |key: &str| config.get(key).map(str::to_owned);
    let pattern = |key: &str| text(key).filter(|pattern| version.at_least(2, 1) && !pattern.trim().is_empty());
    let default_name = match request.deploy {
        Deploy::Application(submission) => submission.name.as_str(),
        Deploy::Session(session) if session.name.is_empty() => "Flink session cluster",
        Deploy::Session(session) => session.name.as_str(),
    };
    let context = SubmissionContext {
        application_id: facts.application_id.clone(),
        application_name: text("yarn.application.name").unwrap_or_else(|| default_name.to_owned()),
        application_type: text("yarn.application.type").unwrap_or_else(|| "Apache Flink".to_owned()),
        queue: text("yarn.application.queue"),
        priority: u32::try_from(number(&config, "yarn.application.priority", -1_i32)?).ok(),
        local_resources: wares.resources.all().cloned().collect(),
        environment,
        command,
        application_acls: acls(&config, version)?,
        tokens: Vec::new(),
        max_app_attempts: attempts.max,
        memory_mb: container.memory_mb,
        v_cores: container.v_cores,
        keep_containers: attempts.keep_containers,
        tags,
        node_label: text("yarn.application.node-label"),
        attempt_failures_validity_ms: attempts.validity_ms,
        rolled_logs: (pattern("yarn.rolled-logs.include-pattern"), pattern("yarn.rolled-logs.exclude-pattern")),
    };
    if facts.secure && wares.kerberos.local_keytab.is_none() {
        notes.push(
            "without security.kerberos.login.keytab the application lives on delegation tokens, which end after \
             some days (7 by default)"
                .to_owned(),
        );
    }
    Ok(Built {
        context,
        staging,
        uploads: wares.resources.uploads().to_vec(),
        archive: text("jobmanager.archive.fs.dir").filter(|_| matches!(request.deploy, Deploy::Application(_))),
        replication: u16::try_from(number(&config, "yarn.file-replication", -1_i32)?).ok().filter(|copies| *copies > 0),
        config_file: ConfigFile::new(wares.config_name, config, request),
        notes,
        resources: wares.resources,
        dist_key: wares.dist_key,
        version: version.clone(),
    })
}

struct Attempts {
    max: u32,
    keep_containers: bool,
    validity_ms: i64,
}

/// How often YARN starts the JobManager (`YarnClusterDescriptor.activateHighAvailabilitySupport`).
fn attempts(
    config: &FlinkConfig,
    version: &FlinkVersion,
    deploy: Deploy<'_>,
    notes: &mut Vec<String>,
) -> Result<Attempts> {
    let key = "yarn.application-attempts";
    if is_highly_available(config, version) {
        let validity_ms = number(config, "yarn.application-attempt-failures-validity-interval", 10_000)?;
        return Ok(Attempts { max: number(config, key, 2)?, keep_containers: true, validity_ms });
    }
    let max = number(config, key, 1)?;
    if max > 1 && matches!(deploy, Deploy::Application(_)) {
        notes.push(format!(
            "{key} is {max} and high availability is off: YARN would start the job again where this submission starts, \
             not from its newest checkpoint"
        ));
    }
    Ok(Attempts { max, keep_containers: false, validity_ms: -1 })
}
