//! Programs that come as a script of Flink SQL statements.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::launch::Launch;
use super::program::{Program, ProgramContext};
use crate::Result;

/// A script of Flink SQL statements that runs as one job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SqlProgram {
    /// The script itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// A file that holds the script, instead of `sql`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql_file: Option<String>,
}

impl SqlProgram {
    /// The script `sql`.
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: Some(sql.into()), sql_file: None }
    }

    /// The script in the file at `path`, read when the job is prepared.
    pub fn from_file(path: impl Into<String>) -> Self {
        Self { sql: None, sql_file: Some(path.into()) }
    }
}

#[async_trait]
impl Program for SqlProgram {
    fn kind(&self) -> &str {
        "sql"
    }

    async fn prepare(&self, _context: &ProgramContext) -> Result<Launch> {
        Err(crate::Error::new(crate::ErrorKind::Unsupported, "sql programs are not made ready yet"))
    }
}
