//! Clusters that live before and after the jobs in them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::cluster::Cluster;
use crate::Result;
use crate::flink::FlinkConfig;
use crate::job::DeploymentId;

/// What a session is started with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SessionSpec {
    /// The session's name; a running one of that name is used again.
    pub name: String,
    /// Flink configuration of the session.
    pub flink: FlinkConfig,
}

impl SessionSpec {
    /// A session named `name` with the engine's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// Where a session stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum SessionStatus {
    /// Asked for, not answering yet.
    Starting,
    /// Its JobManager answers.
    Running,
    /// It is over, with the engine's reason.
    Ended(String),
}

/// An engine that starts and stops Flink sessions.
#[async_trait]
pub trait SessionCluster: fmt::Debug + Send + Sync + 'static {
    /// Starts a session, or finds the running one of that name, and waits until it answers.
    async fn start(&self, spec: &SessionSpec) -> Result<Arc<dyn Cluster>>;

    /// Where the session named `name` stands; None where there is none.
    async fn status(&self, name: &str) -> Result<Option<(DeploymentId, SessionStatus)>>;

    /// Stops it: `DELETE /cluster` first, the engine's own kill where that does not end it.
    async fn stop(&self, name: &str) -> Result<()>;
}
