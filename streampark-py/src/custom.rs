//! Clusters whose methods are written in Python.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pyo3::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use streampark_core::cluster::{
    Accepted, Capability, Cluster, ClusterInfo, LogKind, LogOptions, LogStream, Lookup, Observation, Plan,
    SavepointOptions, Stop, Stopped, Submission,
};
use streampark_core::flink::FlinkVersion;
use streampark_core::job::{
    DeploymentId, Failure, Launch, Location, Resource, RestorePoint, RunKey, RunRef, Verification,
};
use streampark_core::{Error, ErrorKind, ErrorStatus, Result};
use url::Url;

use crate::callback::{AT_ONCE_MOST, Callback};
use crate::cluster::Cluster as NativeCluster;
use crate::convert::{Raise as _, duration, parse, text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomArgs {
    kind: String,
    location: String,
    flink_version: Option<FlinkVersion>,
    web_url: Option<Url>,
    orphan_timeout: f64,
    capability: Capability,
    timeout: f64,
    at_once: usize,
}

/// An engine behind methods of the user, each a call from JSON to JSON.
#[derive(Debug)]
struct CustomCluster {
    info: ClusterInfo,
    capability: Capability,
    ended: Arc<Mutex<Option<Failure>>>,
    methods: Callback,
    timeout: Duration,
}

impl CustomCluster {
    /// Asks; whatever goes wrong, nothing has happened.
    async fn ask<T: DeserializeOwned>(&self, method: &'static str, arguments: Value) -> Result<T> {
        self.call(method, arguments, self.timeout, ErrorStatus::Temporary).await
    }

    /// Changes something: where a failure does not say otherwise, it may have happened.
    async fn act<T: DeserializeOwned>(&self, method: &'static str, arguments: Value, extra: Duration) -> Result<T> {
        self.call(method, arguments, self.timeout.saturating_add(extra), ErrorStatus::Unknown).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        arguments: Value,
        timeout: Duration,
        otherwise: ErrorStatus,
    ) -> Result<T> {
        let named = |error: Error| {
            error.with_operation("cluster.custom").with_context("method", method).with_context("kind", &self.info.kind)
        };
        let question = text(&json!({"method": method, "arguments": arguments}))?;
        let answer = self.methods.call_within(question, timeout, otherwise).await.map_err(named)?;
        parse(answer.as_deref().unwrap_or("null"), &format!("what `{method}` of the cluster gave"))
            .map_err(|error| named(error.with_status(otherwise)))
    }
}

#[async_trait]
impl Cluster for CustomCluster {
    fn info(&self) -> ClusterInfo {
        self.info.clone()
    }

    fn capability(&self) -> Capability {
        self.capability
    }

    async fn observe(&self) -> Result<Vec<Observation>> {
        self.ask("observe", json!({})).await
    }

    async fn reserve(&self, run: &RunKey) -> Result<Option<DeploymentId>> {
        self.act("reserve", json!({"run": run}), Duration::ZERO).await
    }

    async fn plan(&self, submission: &Submission) -> Result<Plan> {
        self.ask("plan", json!({"submission": plain_submission(submission)?})).await
    }

    async fn submit(&self, submission: &Submission) -> Result<Accepted> {
        self.act("submit", json!({"submission": plain_submission(submission)?}), Duration::ZERO).await
    }

    async fn lookup(&self, run: &RunRef) -> Result<Lookup> {
        match self.ask::<Option<Observation>>("lookup", json!({"run": run})).await {
            Ok(Some(seen)) => Ok(Lookup::Found(Box::new(seen))),
            Ok(None) => Ok(Lookup::NeverArrived),
            Err(error) if error.status() != ErrorStatus::Permanent => Ok(Lookup::Unknown(error.chain())),
            Err(error) => Err(error),
        }
    }

    async fn stop(&self, run: &RunRef, how: Stop, savepoint: &SavepointOptions) -> Result<Stopped> {
        let extra = match how {
            Stop::Savepoint | Stop::Drain => savepoint.timeout,
            _ => Duration::ZERO,
        };
        self.act("stop", json!({"run": run, "how": how, "savepoint": plain_savepoint(savepoint)}), extra).await
    }

    async fn savepoint(&self, run: &RunRef, options: &SavepointOptions) -> Result<RestorePoint> {
        let arguments = json!({"run": run, "options": plain_savepoint(options)});
        self.act("savepoint", arguments, options.timeout).await
    }

    async fn restore_points(&self, run: &RunRef) -> Result<Vec<RestorePoint>> {
        self.ask("restore_points", json!({"run": run})).await
    }

    async fn newest_restore_point(&self, run: &RunRef) -> Result<Option<RestorePoint>> {
        self.ask("newest_restore_point", json!({"run": run})).await
    }

    async fn verify(&self, point: &RestorePoint) -> Result<Verification> {
        self.ask("verify", json!({"point": point})).await
    }

    async fn failure(&self, run: &RunRef) -> Result<Option<Failure>> {
        self.ask("failure", json!({"run": run})).await
    }

    async fn logs(&self, run: &RunRef, options: &LogOptions) -> Result<LogStream> {
        let (task_managers, task_manager) = match &options.kind {
            LogKind::TaskManager(id) => (true, id.as_deref()),
            _ => (false, None),
        };
        let arguments = json!({
            "run": run,
            "task_manager": task_manager.map_or(json!(task_managers), |id| json!(id)),
            "tail_bytes": options.tail_bytes,
        });
        Ok(LogStream::of_bytes(self.ask::<String>("logs", arguments).await?))
    }

    fn ended(&self) -> Option<Failure> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn release(&self, run: &RunRef) -> Result<()> {
        self.act("release", json!({"run": run}), Duration::ZERO).await
    }
}

fn plain_savepoint(options: &SavepointOptions) -> Value {
    json!({
        "directory": options.directory,
        "format": options.format,
        "timeout": options.timeout.as_secs_f64(),
        "trigger_id": options.trigger_id,
    })
}

fn plain_submission(submission: &Submission) -> Result<Value> {
    let Launch { runtime, jar, entry_class, args, jars, files, archives, notes, .. } = &submission.launch;
    Ok(json!({
        "run": submission.run,
        "name": submission.name,
        "runtime": runtime,
        "jar": jar.as_ref().map(plain_resource).transpose()?,
        "entry_class": entry_class,
        "args": args,
        "jars": plain_resources(jars)?,
        "files": plain_resources(files)?,
        "archives": plain_resources(archives)?,
        "notes": notes,
        "config": submission.config,
        "parallelism": submission.parallelism,
        "restore": submission.restore,
        "allow_non_restored_state": submission.allow_non_restored_state,
        "claim_mode": submission.claim_mode,
        "labels": submission.labels,
    }))
}

fn plain_resources(resources: &[Resource]) -> Result<Vec<Value>> {
    resources.iter().map(plain_resource).collect()
}

fn plain_resource(resource: &Resource) -> Result<Value> {
    let (mut path, mut url, mut data) = (None, None, None);
    match &resource.location {
        Location::Path(file) => path = Some(file),
        Location::Remote(place) => url = Some(place),
        Location::Bytes(bytes) => data = Some(hex(bytes)),
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the place of '{}' cannot be told to a cluster in Python: {other:?}", resource.name),
            ));
        }
    }
    Ok(json!({"name": resource.name, "path": path, "url": url, "data": data, "sha256": resource.sha256}))
}

/// JSON has no bytes; those in memory are few.
fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// What the Python half holds of a cluster of its own: all but the way back to it, so that neither keeps the other.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Custom {
    info: ClusterInfo,
    capability: Capability,
    timeout: Duration,
    at_once: usize,
    ended: Arc<Mutex<Option<Failure>>>,
}

#[pymethods]
impl Custom {
    #[new]
    fn new(options: &str) -> PyResult<Self> {
        let args: CustomArgs = parse(options, "the description of a cluster").or_raise()?;
        if args.at_once == 0 || args.at_once > AT_ONCE_MOST {
            let rule = format!("at_once is {}; it must be from 1 to {AT_ONCE_MOST}", args.at_once);
            return Err(Error::invalid(rule)).or_raise();
        }
        let mut info = ClusterInfo::new(args.kind, args.location);
        info.flink_version = args.flink_version;
        info.web_url = args.web_url;
        info.orphan_timeout = duration(args.orphan_timeout).or_raise()?;
        let timeout = duration(args.timeout).or_raise()?;
        Ok(Self { info, capability: args.capability, timeout, at_once: args.at_once, ended: Arc::default() })
    }

    /// `methods` is given the name and arguments of a method, and gives its answer.
    fn cluster(&self, methods: Py<PyAny>) -> NativeCluster {
        NativeCluster(Arc::new(CustomCluster {
            info: self.info.clone(),
            capability: self.capability,
            ended: Arc::clone(&self.ended),
            methods: Callback::several(methods, ErrorKind::Remote, self.at_once),
            timeout: self.timeout,
        }))
    }

    #[pyo3(signature = (failure))]
    fn set_ended(&self, failure: Option<&str>) -> PyResult<()> {
        let failure = failure.map(|failure| parse(failure, "the failure")).transpose().or_raise()?;
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        Ok(())
    }
}
