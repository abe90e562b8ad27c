//! The client of Flink's REST interface: one call by its name, arguments and answer as JSON.

use std::sync::Arc;

use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use streampark_core::Result;
use streampark_core::flink::rest::{
    ClaimMode, LogSource, Progress, RunJar, SavepointFormat, SavepointStatus, StopJob, TriggerSavepoint,
};
use streampark_core::flink::{FlinkJobId, RestClient, TriggerId};
use tokio::sync::watch;

use crate::convert::{Raise as _, duration, parse, text};
use crate::interpreter;
use crate::options::rest_options;
use crate::runtime::Pending;

/// A client of one cluster's JobManagers.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Rest(RestClient);

impl Rest {
    pub(crate) fn new(client: RestClient) -> Self {
        Self(client)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunArgs {
    entry_class: Option<String>,
    args: Vec<String>,
    parallelism: Option<u32>,
    job_id: Option<FlinkJobId>,
    savepoint_path: Option<String>,
    allow_non_restored_state: bool,
    claim_mode: Option<ClaimMode>,
    flink_configuration: Vec<(String, String)>,
}

impl RunArgs {
    fn request(self) -> RunJar {
        let mut run = RunJar::new()
            .args(self.args)
            .allow_non_restored_state(self.allow_non_restored_state)
            .flink_configuration(self.flink_configuration);
        run.entry_class = self.entry_class;
        run.parallelism = self.parallelism;
        run.job_id = self.job_id;
        run.savepoint_path = self.savepoint_path;
        run.claim_mode = self.claim_mode;
        run
    }
}

#[derive(Deserialize)]
#[serde(tag = "call", rename_all = "snake_case", deny_unknown_fields)]
enum Call {
    Version,
    Overview,
    Config,
    JobmanagerConfig,
    Taskmanagers,
    Logs { task_manager: Option<String> },
    ReadLog { task_manager: Option<String>, name: String, tail: usize },
    ShutDownCluster,
    Applications,
    Jobs,
    Job { job: FlinkJobId },
    JobStatus { job: FlinkJobId },
    JobConfig { job: FlinkJobId },
    JobExceptions { job: FlinkJobId },
    Checkpoints { job: FlinkJobId },
    CheckpointConfig { job: FlinkJobId },
    Cancel { job: FlinkJobId },
    JobMetrics { job: FlinkJobId, names: Vec<String> },
    JobmanagerMetrics { names: Vec<String> },
    TaskmanagerMetrics { task_manager: String, names: Vec<String> },
    VertexMetrics { job: FlinkJobId, vertex: String, names: Vec<String> },
    Jars,
    DeleteJar { jar: String },
    RunJar { jar: String, run: RunArgs },
    TriggerSavepoint { job: FlinkJobId, trigger: TriggerId, target_directory: Option<String>, format: SavepointFormat },
    Stop { job: FlinkJobId, trigger: TriggerId, target_directory: Option<String>, format: SavepointFormat, drain: bool },
    SavepointStatus { job: FlinkJobId, trigger: TriggerId },
    AwaitSavepoint { job: FlinkJobId, trigger: TriggerId, patience: f64 },
}

fn source_of(task_manager: Option<String>) -> LogSource {
    task_manager.map_or(LogSource::JobManager, LogSource::TaskManager)
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

async fn make(rest: RestClient, call: Call) -> Result<String> {
    match call {
        Call::Version => text(&rest.version().await?),
        Call::Overview => text(&rest.overview().await?),
        Call::Config => text(&rest.config().await?),
        Call::JobmanagerConfig => text(&rest.jobmanager_config().await?),
        Call::Taskmanagers => text(&rest.taskmanagers().await?),
        Call::Logs { task_manager } => text(&rest.logs(&source_of(task_manager)).await?),
        Call::ReadLog { task_manager, name, tail } => {
            text(&rest.read_log(&source_of(task_manager), &name, tail).await?)
        }
        Call::ShutDownCluster => text(&rest.shut_down_cluster().await?),
        Call::Applications => text(&rest.applications().await?),
        Call::Jobs => text(&rest.jobs().await?),
        Call::Job { job } => text(&rest.job(&job).await?),
        Call::JobStatus { job } => text(&rest.job_status(&job).await?),
        Call::JobConfig { job } => text(&rest.job_config(&job).await?),
        Call::JobExceptions { job } => {
            let answer = rest.job_exceptions(&job).await?;
            let history: Vec<Value> = answer
                .history
                .iter()
                .map(|entry| json!({"cause": entry.cause, "concurrent": entry.concurrent}))
                .collect();
            text(&json!({"root": answer.root, "history": history, "truncated": answer.truncated}))
        }
        Call::Checkpoints { job } => text(&rest.checkpoints(&job).await?),
        Call::CheckpointConfig { job } => text(&rest.checkpoint_config(&job).await?),
        Call::Cancel { job } => text(&rest.cancel(&job).await?),
        Call::JobMetrics { job, names: wanted } => text(&rest.job_metrics(&job, &strs(&wanted)).await?),
        Call::JobmanagerMetrics { names: wanted } => text(&rest.jobmanager_metrics(&strs(&wanted)).await?),
        Call::TaskmanagerMetrics { task_manager, names: wanted } => {
            text(&rest.taskmanager_metrics(&task_manager, &strs(&wanted)).await?)
        }
        Call::VertexMetrics { job, vertex, names: wanted } => {
            text(&rest.vertex_metrics(&job, &vertex, &strs(&wanted)).await?)
        }
        Call::Jars => text(&rest.jars().await?),
        Call::DeleteJar { jar } => text(&rest.delete_jar(&jar).await?),
        Call::RunJar { jar, run } => text(&rest.run_jar(&jar, &run.request()).await?),
        Call::TriggerSavepoint { job, trigger, target_directory, format } => {
            let mut request = TriggerSavepoint::new(trigger).format(format);
            request.target_directory = target_directory;
            text(&rest.trigger_savepoint(&job, &request).await?)
        }
        Call::Stop { job, trigger, target_directory, format, drain } => {
            let mut request = StopJob::new(trigger).format(format).drain(drain);
            request.target_directory = target_directory;
            text(&rest.stop(&job, &request).await?)
        }
        Call::SavepointStatus { job, trigger } => {
            let status = match rest.savepoint_status(&job, &trigger).await? {
                SavepointStatus::Completed(savepoint) => json!({"location": savepoint.location}),
                SavepointStatus::Failed(cause) => json!({"failure": cause}),
                _ => json!({}),
            };
            text(&status)
        }
        Call::AwaitSavepoint { job, trigger, patience } => {
            text(&rest.await_savepoint(&job, &trigger, duration(patience)?).await?)
        }
    }
}

/// Tells the newest progress whenever the function is done with the one before: the upload never
/// waits for it.
async fn tell(function: Py<PyAny>, mut progress: watch::Receiver<(u64, u64)>) {
    let function = Arc::new(function);
    while progress.changed().await.is_ok() {
        let (sent, total) = *progress.borrow_and_update();
        let function = Arc::clone(&function);
        // What the function throws does not end the upload.
        let _told = tokio::task::spawn_blocking(move || {
            interpreter::attach(|py| function.call1(py, (sent, total)).map(drop).is_ok())
        })
        .await;
    }
}

#[pymethods]
impl Rest {
    #[new]
    fn create(options: &str) -> PyResult<Self> {
        rest_options(options).and_then(RestClient::new).map(Self).or_raise()
    }

    fn base_url(&self) -> String {
        self.0.base_url().to_string()
    }

    fn call(&self, call: &str) -> PyResult<Pending> {
        let call: Call = parse(call, "the call").or_raise()?;
        let rest = self.0.clone();
        Ok(Pending::new(make(rest, call)))
    }

    /// Uploads a file; `progress` is told the bytes sent and the bytes in all.
    #[pyo3(signature = (path, progress))]
    fn upload_jar(&self, path: String, progress: Option<Py<PyAny>>) -> Pending {
        let rest = self.0.clone();
        Pending::new(async move {
            let Some(function) = progress else { return text(&rest.upload_jar(path, None).await?) };
            let (sender, receiver) = watch::channel((0, 0));
            let progress: Progress = Arc::new(move |sent, total| {
                sender.send_replace((sent, total));
            });
            let (uploaded, ()) = tokio::join!(rest.upload_jar(path, Some(progress)), tell(function, receiver));
            text(&uploaded?)
        })
    }
}
