//! Applications: what a `main` came to, beside its jobs; since Flink 2.3.

use serde::{Deserialize, Serialize};

use super::client::{Call, RestClient};
use crate::Result;

/// One run of a `main` (`org.apache.flink.runtime.messages.webmonitor.ApplicationDetails`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ApplicationOverview {
    /// Its id, 32 hex digits.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its state in Flink's words (`ApplicationState`): `CREATED`, `RUNNING`, `FAILING`, `CANCELING`,
    /// `FAILED`, `CANCELED`, `FINISHED`.
    pub status: String,
    /// When it began, in milliseconds.
    #[serde(default)]
    pub start_time: i64,
    /// When it ended, in milliseconds; -1 while it runs.
    #[serde(default)]
    pub end_time: i64,
}

impl ApplicationOverview {
    /// Whether its `main` is over, and every job of it.
    pub fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "FAILED" | "CANCELED" | "FINISHED")
    }
}

#[derive(Deserialize)]
struct Applications {
    applications: Vec<ApplicationOverview>,
}

impl RestClient {
    /// Every application that the cluster knows. Flink before 2.3 has no such request.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `NotFound` before Flink 2.3.
    pub async fn applications(&self) -> Result<Vec<ApplicationOverview>> {
        let answer: Applications = self.json(Call::get("flink.applications", &["applications", "overview"])).await?;
        Ok(answer.applications)
    }
}
