//! Running an uploaded jar.

use std::collections::BTreeMap;
use std::fmt;

use reqwest::Method;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::client::{Call, RestClient};
use super::error;
use crate::flink::{FlinkJobId, FlinkVersion, RemoteException};
use crate::{Error, ErrorKind, ErrorStatus, REDACTED, Result, is_sensitive_key};

const RUN: &str = "flink.jars.run";

/// Who owns the restore point afterwards (`RecoveryClaimMode`, before 1.20 `RestoreMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum ClaimMode {
    /// The job: it deletes it when it is of no more use.
    Claim,
    /// Nobody else: the first checkpoint copies everything (Flink's default).
    NoClaim,
    /// As before 1.15; removed in 2.0.
    Legacy,
}

/// What `POST /jars/:id/run` is asked.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct RunJar {
    /// The class whose `main` runs; by default the one that the jar's manifest names.
    pub entry_class: Option<String>,
    /// The arguments of `main`, each as it is.
    pub args: Vec<String>,
    /// The parallelism; by default the cluster's.
    pub parallelism: Option<u32>,
    /// The id that the job gets. With it, a submission sent twice starts one job; without it, two.
    pub job_id: Option<FlinkJobId>,
    /// The checkpoint or savepoint to start from.
    pub savepoint_path: Option<String>,
    /// Whether state that fits no operator is dropped.
    pub allow_non_restored_state: bool,
    /// Who owns the restore point afterwards.
    pub claim_mode: Option<ClaimMode>,
    /// Flink configuration for this job alone (since 1.17).
    pub flink_configuration: BTreeMap<String, String>,
}

impl RunJar {
    /// Runs the jar's own main class with the cluster's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the class whose `main` runs.
    #[must_use]
    pub fn entry_class(mut self, class: impl Into<String>) -> Self {
        self.entry_class = Some(class.into());
        self
    }

    /// Sets the arguments of `main`.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the parallelism.
    #[must_use]
    pub fn parallelism(mut self, parallelism: u32) -> Self {
        self.parallelism = Some(parallelism);
        self
    }

    /// Sets the id that the job gets.
    #[must_use]
    pub fn job_id(mut self, id: FlinkJobId) -> Self {
        self.job_id = Some(id);
        self
    }

    /// Starts from this checkpoint or savepoint.
    #[must_use]
    pub fn savepoint_path(mut self, path: impl Into<String>) -> Self {
        self.savepoint_path = Some(path.into());
        self
    }

    /// Drops state that fits no operator.
    #[must_use]
    pub fn allow_non_restored_state(mut self, yes: bool) -> Self {
        self.allow_non_restored_state = yes;
        self
    }

    /// Sets who owns the restore point afterwards.
    #[must_use]
    pub fn claim_mode(mut self, mode: ClaimMode) -> Self {
        self.claim_mode = Some(mode);
        self
    }

    /// Sets Flink configuration for this job alone.
    #[must_use]
    pub fn flink_configuration<K: Into<String>, V: Into<String>>(
        mut self,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.flink_configuration = entries.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        self
    }

    /// Whether the request depends on Flink's version, so that it must be known before sending.
    pub fn needs_version(&self) -> bool {
        self.claim_mode.is_some() || !self.flink_configuration.is_empty()
    }

    /// Checks the request against a version of Flink.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] naming the rule and the first version that allows it;
    /// [`ErrorKind::InvalidInput`] where the request can never work.
    pub fn check(&self, version: &FlinkVersion) -> Result<()> {
        if !self.flink_configuration.is_empty() && !version.run_jar_accepts_configuration() {
            version.require("a Flink configuration per run (flinkConfiguration of /jars/:id/run)", 1, 17).map_err(
                |e| {
                    e.with_context(
                        "remedy",
                        "set the keys in the cluster's configuration or in the program, or use application mode",
                    )
                },
            )?;
        }
        if self.claim_mode == Some(ClaimMode::Legacy) && !version.has_legacy_claim_mode() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("claim mode LEGACY was removed in Flink 2.0, this is {version}; use CLAIM or NO_CLAIM"),
            ));
        }
        self.check_always()
    }

    /// The part of [`check`](Self::check) that needs no version.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where the request can never work.
    pub fn check_always(&self) -> Result<()> {
        if self.claim_mode.is_some() && self.savepoint_path.is_none() {
            return Err(Error::invalid(
                "a claim mode without a savepoint path has nothing to claim; give both or none",
            ));
        }
        if self.parallelism == Some(0) {
            return Err(Error::invalid(
                "parallelism 0 runs nothing; give 1 or more, or none for the cluster's default",
            ));
        }
        Ok(())
    }

    /// The body of the request for a version of Flink, as JSON.
    pub fn body(&self, version: Option<&FlinkVersion>) -> impl Serialize {
        let claim_mode_field = version.map_or("claimMode", FlinkVersion::run_jar_claim_mode_field);
        RunBody { run: self, claim_mode_field }
    }
}

impl fmt::Debug for RunJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let configuration: BTreeMap<&str, &str> = self
            .flink_configuration
            .iter()
            .map(|(k, v)| (k.as_str(), if is_sensitive_key(k) { REDACTED } else { v.as_str() }))
            .collect();
        f.debug_struct("RunJar")
            .field("entry_class", &self.entry_class)
            // Arguments may carry passwords that nothing marks as such.
            .field("args", &format_args!("{} hidden", self.args.len()))
            .field("parallelism", &self.parallelism)
            .field("job_id", &self.job_id)
            .field("savepoint_path", &self.savepoint_path)
            .field("allow_non_restored_state", &self.allow_non_restored_state)
            .field("claim_mode", &self.claim_mode)
            .field("flink_configuration", &configuration)
            .finish()
    }
}

impl RestClient {
    /// Runs an uploaded jar: its `main` runs in the JobManager, and this returns when it has
    /// submitted the job. Give [`RunJar::job_id`] always: it is what makes a lost answer harmless.
    ///
    /// # Errors
    /// - `Unsupported` where this version of Flink lacks something asked for; nothing was sent.
    /// - `AlreadyExists` where Flink has, or had, a job with this id.
    /// - `NotFound` where the jar, or the restore point, does not exist.
    /// - `Program` where the program is at fault: class absent, `main` threw or called
    ///   `System.exit`, no job in it. With status `Permanent` where no live job came of it, with
    ///   `Unknown` where that could not be found out (no job id given, cluster lost) or where the
    ///   job does run although `main` failed afterwards.
    /// - What Flink threw is the source of these, as a [`RemoteException`].
    /// - As [`overview`](Self::overview); `status` is `Unknown` where the answer was lost.
    pub async fn run_jar(&self, jar: &str, run: &RunJar) -> Result<FlinkJobId> {
        let told = |e: Error| {
            let e = e.with_operation(RUN).with_context("jar", jar);
            match &run.job_id {
                Some(id) => e.with_context("job", id),
                None => e,
            }
        };
        run.check_always().map_err(told)?;
        let version = if run.needs_version() { Some(self.version().await.map_err(told)?) } else { None };
        if let Some(version) = &version {
            run.check(version).map_err(told)?;
        }
        let path = ["jars", jar, "run"];
        let call =
            Call::new(RUN, Method::POST, &path).json(&run.body(version.as_ref()))?.timeout(self.options().run_timeout);
        match self.json_or_cause::<RunWire>(call).await {
            Ok(Ok(answer)) => Ok(answer.jobid),
            Ok(Err(failed)) => Err(told(self.explain_run(failed, run).await)),
            Err(error) => Err(told(error)),
        }
    }

    /// Turns a refused run into what it means for the caller, asking the cluster where that decides.
    async fn explain_run(&self, failed: error::Refused, run: &RunJar) -> Error {
        let error::Refused { error, cause } = failed;
        let Some(cause) = cause else { return error };
        let error = error.with_source(RemoteException(cause.clone()));
        if error.kind() == ErrorKind::AlreadyExists {
            return error;
        }
        let told_by = |kind: ErrorKind, message: String| {
            let mut told = Error::new(kind, message).with_status(ErrorStatus::Permanent);
            told = told.with_source(RemoteException(cause.clone()));
            for (key, value) in error.context() {
                told = told.with_context(key, value);
            }
            told
        };
        let line = cause.one_line();
        let has = |text: &str| cause.chain.iter().any(|link| link.message.contains(text));
        if has("Jar file ") && has(" does not exist") {
            return told_by(ErrorKind::NotFound, format!("{line}; upload it to this JobManager first"));
        }
        if has("was not found in the jar file") || has("neither a 'Main-Class'") {
            return told_by(ErrorKind::Program, format!("the program cannot be started: {line}"));
        }
        if cause.message.starts_with("No jobs included in application") {
            let message = "the program's main method ended without submitting a job; it must call execute()";
            return told_by(ErrorKind::Program, message.to_owned());
        }
        let ran_main = cause.mentions("ProgramInvocationException") || cause.mentions("UserSystemExitException");
        if !ran_main {
            return error;
        }
        let restore_missing = cause.message.starts_with("Cannot find checkpoint or savepoint");
        let kind = if restore_missing { ErrorKind::NotFound } else { ErrorKind::Program };
        let message = if cause.mentions("UserSystemExitException") {
            "the program called System.exit; let main return, or throw, instead".to_owned()
        } else if restore_missing {
            match &run.savepoint_path {
                Some(path) => {
                    format!("the restore point '{path}' does not exist; choose one that does, or start without state")
                }
                None => format!("the restore point does not exist: {line}"),
            }
        } else {
            format!("the program's main method failed: {line}")
        };
        let told = told_by(kind, message);
        // A program may fail after it has submitted its job, so that only the cluster knows.
        let Some(job) = &run.job_id else { return told.with_status(ErrorStatus::Unknown) };
        match self.job_status(job).await {
            Ok(state) if state.is_globally_terminal() => told.with_context("job_state", state),
            Ok(state) => told.with_status(ErrorStatus::Unknown).with_context("job_state", state),
            Err(asked) if asked.kind() == ErrorKind::NotFound => told,
            Err(_) => told.with_status(ErrorStatus::Unknown),
        }
    }
}

struct RunBody<'a> {
    run: &'a RunJar,
    claim_mode_field: &'static str,
}

impl Serialize for RunBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let run = self.run;
        let mut map = serializer.serialize_map(None)?;
        if let Some(class) = &run.entry_class {
            map.serialize_entry("entryClass", class)?;
        }
        if !run.args.is_empty() {
            map.serialize_entry("programArgsList", &run.args)?;
        }
        if let Some(parallelism) = run.parallelism {
            map.serialize_entry("parallelism", &parallelism)?;
        }
        if let Some(id) = &run.job_id {
            map.serialize_entry("jobId", id)?;
        }
        if let Some(path) = &run.savepoint_path {
            map.serialize_entry("savepointPath", path)?;
            map.serialize_entry("allowNonRestoredState", &run.allow_non_restored_state)?;
        }
        if let Some(mode) = &run.claim_mode {
            map.serialize_entry(self.claim_mode_field, mode)?;
        }
        if !run.flink_configuration.is_empty() {
            map.serialize_entry("flinkConfiguration", &run.flink_configuration)?;
        }
        map.end()
    }
}

#[derive(Deserialize)]
struct RunWire {
    jobid: FlinkJobId,
}
