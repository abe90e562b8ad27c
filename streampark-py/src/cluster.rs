//! Clusters.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::json;
use streampark_core::Result;
use streampark_core::cluster::{
    Call, Capability, Cluster as CoreCluster, Fault, LocalCluster, MemoryCluster, MemoryOptions, StandaloneCluster,
};
use streampark_core::flink::FlinkJobId;
use streampark_core::job::Failure;

use crate::convert::{Raise as _, duration, parse, text};
use crate::options::rest_options;
use crate::rest::Rest;
use crate::runtime::{Pending, is_forked};

/// A place that accepts runs.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Cluster(pub(crate) Arc<dyn CoreCluster>);

#[pymethods]
impl Cluster {
    fn info(&self) -> PyResult<String> {
        let info = self.0.info();
        let answer = json!({
            "kind": info.kind,
            "flink_version": info.flink_version,
            "web_url": info.web_url,
            "location": info.location,
            "orphan_timeout": info.orphan_timeout.as_secs_f64(),
        });
        text(&answer).or_raise()
    }

    fn capability(&self) -> PyResult<String> {
        text(&self.0.capability()).or_raise()
    }

    fn observe(&self) -> Pending {
        let cluster = Arc::clone(&self.0);
        Pending::new(async move { text(&cluster.observe().await?) })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if is_forked() {
            std::mem::forget(Arc::clone(&self.0));
        }
    }
}

/// A session by its address, and the client below it.
#[pyfunction]
pub(crate) fn standalone(options: &str) -> PyResult<(Cluster, Rest)> {
    let cluster = rest_options(options).and_then(StandaloneCluster::with_options).or_raise()?;
    let rest = Rest::new(cluster.rest().clone());
    Ok((Cluster(Arc::new(cluster)), rest))
}

/// The simulated engine.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Memory(MemoryCluster);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemoryArgs {
    latency: f64,
    start_delay: f64,
    checkpoint_interval: Option<f64>,
    orphan_timeout: f64,
    capability: Option<Capability>,
}

#[derive(Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
enum FaultArgs {
    Refused,
    Hang { seconds: f64 },
    AnswerLost { seconds: f64 },
    ArrivesLate { lost_after: f64, effect_after: f64 },
    ServerError,
    Rejected { reason: String },
}

fn fault_of(json: &str) -> Result<Fault> {
    Ok(match parse(json, "the fault")? {
        FaultArgs::Refused => Fault::Refused,
        FaultArgs::Hang { seconds } => Fault::Hang(duration(seconds)?),
        FaultArgs::AnswerLost { seconds } => Fault::AnswerLost(duration(seconds)?),
        FaultArgs::ArrivesLate { lost_after, effect_after } => {
            Fault::ArrivesLate(duration(lost_after)?, duration(effect_after)?)
        }
        FaultArgs::ServerError => Fault::ServerError,
        FaultArgs::Rejected { reason } => Fault::Rejected(reason),
    })
}

fn call_of(name: &str) -> Result<Call> {
    let calls = [
        ("observe", Call::Observe),
        ("reserve", Call::Reserve),
        ("submit", Call::Submit),
        ("lookup", Call::Lookup),
        ("stop", Call::Stop),
        ("savepoint", Call::Savepoint),
        ("restore_points", Call::RestorePoints),
        ("failure", Call::Failure),
        ("release", Call::Release),
    ];
    calls.iter().find(|(known, _)| *known == name).map(|(_, call)| *call).ok_or_else(|| {
        let names: Vec<&str> = calls.iter().map(|(name, _)| *name).collect();
        streampark_core::Error::invalid(format!(
            "there is no call '{name}' of a cluster; the calls are {}",
            names.join(", ")
        ))
    })
}

fn flink_job_of(text: &str) -> Result<FlinkJobId> {
    text.parse()
}

#[pymethods]
impl Memory {
    #[new]
    fn new(options: &str) -> PyResult<Self> {
        let args: MemoryArgs = parse(options, "the options of a simulated cluster").or_raise()?;
        let mut options = MemoryOptions::default();
        options.latency = duration(args.latency).or_raise()?;
        options.start_delay = duration(args.start_delay).or_raise()?;
        options.checkpoint_interval = args.checkpoint_interval.map(duration).transpose().or_raise()?;
        options.orphan_timeout = duration(args.orphan_timeout).or_raise()?;
        if let Some(capability) = args.capability {
            options.capability = capability;
        }
        Ok(Self(MemoryCluster::with_options(options)))
    }

    fn cluster(&self) -> Cluster {
        Cluster(Arc::new(self.0.clone()))
    }

    fn inject(&self, call: &str, fault: &str, times: usize) -> PyResult<()> {
        self.0.inject(call_of(call).or_raise()?, fault_of(fault).or_raise()?, times);
        Ok(())
    }

    #[pyo3(signature = (call, fault))]
    fn break_down(&self, call: Option<&str>, fault: &str) -> PyResult<()> {
        self.0.break_down(call.map(call_of).transpose().or_raise()?, fault_of(fault).or_raise()?);
        Ok(())
    }

    fn heal(&self) {
        self.0.heal();
    }

    fn log(&self) -> PyResult<String> {
        let copies: Vec<_> = self
            .0
            .log()
            .0
            .into_iter()
            .map(|copy| {
                json!({
                    "job": copy.key.job,
                    "generation": copy.key.generation,
                    "flink_job": copy.flink_job,
                    "restored_from": copy.restored_from,
                    "started_at": copy.started_at,
                    "ended_at": copy.ended_at,
                    "ended_as": copy.ended_as,
                })
            })
            .collect();
        text(&copies).or_raise()
    }

    fn flink_job(&self, job: &str) -> PyResult<Option<String>> {
        let job = job.parse().or_raise()?;
        Ok(self.0.flink_job(job).map(|flink_job| flink_job.to_string()))
    }

    fn fail(&self, flink_job: &str, failure: &str) -> PyResult<()> {
        let failure: Failure = parse(failure, "the failure").or_raise()?;
        flink_job_of(flink_job).and_then(|flink_job| self.0.fail(flink_job, failure)).or_raise()
    }

    fn finish(&self, flink_job: &str) -> PyResult<()> {
        flink_job_of(flink_job).and_then(|flink_job| self.0.finish(flink_job)).or_raise()
    }

    fn set_restarting(&self, flink_job: &str, restarting: bool) -> PyResult<()> {
        flink_job_of(flink_job).and_then(|flink_job| self.0.set_restarting(flink_job, restarting)).or_raise()
    }

    fn complete_checkpoint(&self, flink_job: &str) -> PyResult<String> {
        let point = flink_job_of(flink_job).and_then(|flink_job| self.0.complete_checkpoint(flink_job)).or_raise()?;
        text(&point).or_raise()
    }

    fn delete_restore_point(&self, path: &str) -> bool {
        self.0.delete_restore_point(path)
    }

    fn end(&self, reason: &str) {
        self.0.end(Failure::new(reason));
    }

    fn crash_job_manager(&self) {
        self.0.crash_job_manager();
    }

    fn forget(&self, flink_job: &str) -> PyResult<()> {
        flink_job_of(flink_job).or_raise().map(|flink_job| self.0.forget(flink_job))
    }
}

/// A real Flink on this machine.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Local(LocalCluster);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LocalArgs {
    flink_home: Option<String>,
    work_dir: Option<String>,
    task_managers: usize,
    slots: u32,
    config: Vec<(String, String)>,
    timeout: f64,
    adopt: bool,
}

#[pymethods]
impl Local {
    #[staticmethod]
    fn start(options: &str) -> PyResult<Pending> {
        let args: LocalArgs = parse(options, "the options of a local Flink").or_raise()?;
        let timeout: Duration = duration(args.timeout).or_raise()?;
        let mut builder = LocalCluster::builder()
            .task_managers(args.task_managers)
            .slots(args.slots)
            .timeout(timeout)
            .adopt(args.adopt);
        if let Some(folder) = args.flink_home {
            builder = builder.flink_home(folder);
        }
        if let Some(folder) = args.work_dir {
            builder = builder.work_dir(folder);
        }
        for (key, value) in args.config {
            builder = builder.config(key, value);
        }
        Ok(Pending::new(async move { builder.start().await.map(Local) }))
    }

    fn cluster(&self) -> Cluster {
        Cluster(Arc::new(self.0.clone()))
    }

    fn rest(&self) -> Rest {
        Rest::new(self.0.rest().clone())
    }

    fn address(&self) -> String {
        self.0.address().to_owned()
    }

    fn work_dir(&self) -> String {
        self.0.work_dir().to_string_lossy().into_owned()
    }

    fn version(&self) -> String {
        self.0.version().to_string()
    }

    fn process_ids(&self) -> (Option<i32>, Vec<i32>) {
        self.0.process_ids()
    }

    fn kill_job_manager(&self) -> Pending {
        let cluster = self.0.clone();
        Pending::new(async move { cluster.kill_job_manager().await })
    }

    fn stop(&self) -> Pending {
        let cluster = self.0.clone();
        Pending::new(async move { cluster.stop().await })
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if is_forked() {
            std::mem::forget(self.0.clone());
        }
    }
}
