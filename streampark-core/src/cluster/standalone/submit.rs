//! From a submission to the requests that carry it: what plans show is what is sent.

use std::error::Error as _;

use serde_json::Value;
use url::Url;

use crate::cluster::plan::{Plan, PlanBody, PlanStep};
use crate::cluster::submission::Submission;
use crate::flink::rest::{ClaimMode as Claim, RunJar};
use crate::flink::{FlinkVersion, RemoteException, RestClient};
use crate::job::{ClaimMode, Location, Resource, Runtime, SqlFailure};
use crate::{Error, ErrorKind, REDACTED, Result, is_sensitive_key};

/// Refuses what a session cluster cannot start, before anything is sent.
pub(super) fn check(submission: &Submission) -> Result<()> {
    let launch = &submission.launch;
    let refused = match launch.runtime {
        Runtime::Java if launch.files.is_empty() && launch.archives.is_empty() => None,
        Runtime::Java => Some(
            "a session cluster cannot bring files and archives to a program; put them into its jar or on storage that \
             Flink reads",
        ),
        Runtime::Python => Some("a session cluster starts programs of the JVM only; run a Python program elsewhere"),
    };
    match refused {
        Some(message) => Err(Error::new(ErrorKind::Unsupported, message).with_operation("standalone.submit")),
        None => run_of(submission, None).check_always().map_err(|error| error.with_operation("standalone.submit")),
    }
}

/// The jar that is sent: the packed one where there are others beside it.
pub(super) fn jar_of<'a>(submission: &'a Submission, packed: Option<&'a Resource>) -> Result<&'a Resource> {
    packed.or(submission.launch.jar.as_ref()).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "a session cluster runs programs that come as a jar, and this one has none")
            .with_operation("standalone.submit")
    })
}

/// The name that the JobManager sees. The hash in it lets another process, or the next one, find the
/// jar again.
pub(super) fn name_there(jar: &Resource) -> String {
    match &jar.sha256 {
        Some(hash) => format!("{}-{}", hash.get(..16).unwrap_or(hash), jar.name),
        None => jar.name.clone(),
    }
}

/// The error for a jar that only the engine could read.
pub(super) fn not_here(url: &Url) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("a session cluster takes jars from this machine only, and '{url}' is not on it; download it first"),
    )
}

/// The request for a version of Flink; None takes it for a new one. Before 1.17 a request carries no
/// configuration, and so no name: the program's own is what shows.
pub(super) fn run_of(submission: &Submission, version: Option<&FlinkVersion>) -> RunJar {
    let launch = &submission.launch;
    let mut config = submission.config.clone();
    if version.is_none_or(FlinkVersion::run_jar_accepts_configuration) {
        config.set_default("pipeline.name", &submission.name);
    }
    let mut run = RunJar::new().args(launch.args.clone()).job_id(submission.run.flink_job);
    if let Some(class) = &launch.entry_class {
        run = run.entry_class(class);
    }
    if let Some(parallelism) = submission.parallelism {
        run = run.parallelism(parallelism);
    }
    if let Some(point) = &submission.restore {
        let mode = match submission.claim_mode {
            ClaimMode::Claim => Claim::Claim,
            ClaimMode::NoClaim => Claim::NoClaim,
        };
        run = run.savepoint_path(&point.path).claim_mode(mode);
        run = run.allow_non_restored_state(submission.allow_non_restored_state);
    }
    run.flink_configuration(config.iter().map(|(key, value)| (key.to_owned(), value.to_owned())))
}

/// Every request that `submit` would make now, in order.
pub(super) async fn plan(rest: &RestClient, submission: &Submission, jar: &Resource) -> Result<Plan> {
    let address = rest.base_url();
    let mut plan = Plan::new(format!("standalone {address}"), &submission.name);
    let size = match &jar.location {
        Location::Bytes(bytes) => Some(bytes.len() as u64),
        Location::Path(path) => Some(tokio::fs::metadata(path).await?.len()),
        Location::Remote(url) => return Err(not_here(url).with_operation("standalone.plan")),
    };
    let version = rest.known_version();
    let run = run_of(submission, version.as_ref());
    match &version {
        Some(version) => run.check(version).map_err(|error| error.with_operation("standalone.plan"))?,
        None => {
            plan.push(PlanStep::new("ask for Flink's version", "GET", format!("{address}config")));
            plan.notes
                .push("the version of Flink is not known yet; the last request is that of 1.20 or newer".to_owned());
        }
    }
    let sha256 = jar.sha256.clone();
    if sha256.is_some() {
        plan.push(PlanStep::new("look whether the JobManager has the jar", "GET", format!("{address}jars")));
    }
    plan.push(
        PlanStep::new("upload the jar, unless the JobManager has it", "POST", format!("{address}jars/upload"))
            .with_body(PlanBody::File { name: name_there(jar), size, sha256 }),
    );
    let body = serde_json::to_value(run.body(version.as_ref())).map_err(|source| {
        Error::new(ErrorKind::Internal, "the request cannot be written as JSON").with_source(source)
    })?;
    plan.push(
        PlanStep::new("run it under the JobID that was written down", "POST", format!("{address}jars/{{jar-id}}/run"))
            .with_body(PlanBody::Json(masked(body, submission))),
    );
    plan.notes.extend_from_slice(&submission.launch.notes);
    Ok(plan)
}

/// A statement at fault is told by number, line and text instead of a Java stack.
pub(super) fn in_user_words(error: Error) -> Error {
    let thrown = error.source().and_then(|source| source.downcast_ref::<RemoteException>());
    let Some(failure) = thrown.and_then(|thrown| SqlFailure::find(&thrown.0.stacktrace)) else { return error };
    let mut told = failure.to_error().with_status(error.status());
    if let Some(operation) = error.operation() {
        told = told.with_operation(operation);
    }
    error.context().iter().fold(told, |told, (key, value)| told.with_context(key, value))
}

fn masked(mut body: Value, submission: &Submission) -> Value {
    if let Some(config) = body.get_mut("flinkConfiguration").and_then(Value::as_object_mut) {
        config.iter_mut().filter(|(key, _)| is_sensitive_key(key)).for_each(|(_, value)| *value = REDACTED.into());
    }
    if let Some(args) = body.get_mut("programArgsList") {
        *args = submission.launch.shown_args().into();
    }
    body
}
