//! What the numbered programs and the demos share.

pub mod timeline;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Map;
use streampark_core::job::{Launch, Program, ProgramContext, ProgramSpec};
use streampark_core::platform::Job;
use streampark_core::{Error, ErrorKind, Result};

/// A program that runs nothing, for simulated clusters.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Nothing {
    /// How a spec names it.
    pub fn spec() -> ProgramSpec {
        ProgramSpec::Custom { kind: "nothing".to_owned(), options: Map::new() }
    }
}

#[async_trait]
impl Program for Nothing {
    fn kind(&self) -> &str {
        "nothing"
    }

    async fn prepare(&self, _context: &ProgramContext) -> Result<Launch> {
        Ok(Launch::default())
    }
}

/// Waits until a job has come to its run `generation`, at most a minute.
///
/// # Errors
/// [`ErrorKind::Timeout`].
pub async fn wait_for_generation(job: &Job, generation: u64) -> Result<()> {
    for _ in 0..600 {
        if job.status()?.job.generation >= generation {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Error::new(ErrorKind::Timeout, format!("the job did not come to run {generation}")))
}
