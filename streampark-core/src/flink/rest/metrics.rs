//! Metrics by name.

use serde::{Deserialize, Serialize};

use super::client::{Call, RestClient};
use crate::Result;
use crate::flink::FlinkJobId;

/// One metric; Flink writes every value as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub id: String,
    /// Its value; none where only names were asked for.
    #[serde(default)]
    pub value: Option<String>,
}

impl Metric {
    /// The value as a number; none where it is none, or is `NaN`.
    pub fn number(&self) -> Option<f64> {
        self.value.as_deref()?.parse().ok().filter(|number: &f64| !number.is_nan())
    }
}

/// One metric taken over all subtasks of a vertex.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AggregatedMetric {
    /// Its name.
    pub id: String,
    /// The smallest value.
    #[serde(default)]
    pub min: Option<f64>,
    /// The largest value.
    #[serde(default)]
    pub max: Option<f64>,
    /// The mean.
    #[serde(default)]
    pub avg: Option<f64>,
    /// The sum.
    #[serde(default)]
    pub sum: Option<f64>,
}

impl RestClient {
    /// Metrics of one job, for example `numRestarts`, `uptime`, `lastCheckpointSize`. With no names
    /// the names that exist. A name that is unknown is left out of the answer.
    ///
    /// # Errors
    /// As [`overview`](Self::overview). For an unknown job Flink answers with an empty list.
    pub async fn job_metrics(&self, job: &FlinkJobId, names: &[&str]) -> Result<Vec<Metric>> {
        let id = job.to_string();
        self.metrics("flink.metrics.job", &["jobs", &id, "metrics"], names)
            .await
            .map_err(|e| e.with_context("job", job))
    }

    /// Metrics of the JobManager, for example `numRunningJobs`, `Status.JVM.Memory.Heap.Used`.
    ///
    /// # Errors
    /// As [`overview`](Self::overview).
    pub async fn jobmanager_metrics(&self, names: &[&str]) -> Result<Vec<Metric>> {
        self.metrics("flink.metrics.jobmanager", &["jobmanager", "metrics"], names).await
    }

    /// Metrics of one TaskManager.
    ///
    /// # Errors
    /// As [`overview`](Self::overview).
    pub async fn taskmanager_metrics(&self, taskmanager: &str, names: &[&str]) -> Result<Vec<Metric>> {
        self.metrics("flink.metrics.taskmanager", &["taskmanagers", taskmanager, "metrics"], names).await
    }

    /// Metrics of one vertex over all its subtasks, for example `numRecordsOut`.
    ///
    /// # Errors
    /// As [`overview`](Self::overview).
    pub async fn vertex_metrics(
        &self,
        job: &FlinkJobId,
        vertex: &str,
        names: &[&str],
    ) -> Result<Vec<AggregatedMetric>> {
        let id = job.to_string();
        let path = ["jobs", id.as_str(), "vertices", vertex, "subtasks", "metrics"];
        let list = names.join(",");
        let query = [("get", list.as_str())];
        let call = Call::get("flink.metrics.vertex", &path);
        let call = if names.is_empty() { call } else { call.query(&query) };
        self.json(call).await.map_err(|e| e.with_context("job", job))
    }

    async fn metrics(&self, operation: &'static str, path: &[&str], names: &[&str]) -> Result<Vec<Metric>> {
        let list = names.join(",");
        let query = [("get", list.as_str())];
        let call = Call::get(operation, path);
        self.json(if names.is_empty() { call } else { call.query(&query) }).await
    }
}
