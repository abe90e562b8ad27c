//! A supervisor that submits one job to YARN, as a process of its own, to be killed in the middle of it.
//!
//! Arguments: store file, options of the cluster as JSON, cache folder, job spec as JSON. Commands on stdin,
//! one a line: `accepted` says the application's id once YARN has it, `cancel` says `true` once the job is
//! cancelled and what was kept of it removed.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use streampark_core::job::{JobSpec, JobState};
use streampark_core::platform::Job;
use streampark_core::store::SqliteStore;
use streampark_core::{Error, ErrorKind, Result, StreamPark};
use streampark_yarn::{YarnCluster, YarnOptions};
use tokio::io::{AsyncBufReadExt as _, BufReader};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, options, cache, spec] = arguments.as_slice() else {
        return Err(Error::invalid("usage: submits_yarn STORE OPTIONS CACHE SPEC"));
    };
    let options: YarnOptions = serde_json::from_str(options)
        .map_err(|source| Error::invalid("the options are no options of a YARN cluster").with_source(source))?;
    let platform = StreamPark::builder()
        .store(SqliteStore::open(store).await?)
        .cluster("yarn", YarnCluster::new(options)?)
        .cache(cache)
        .start()
        .await?;
    let spec = JobSpec::from_json(spec)?;
    let job = match platform.jobs().get(&spec.name) {
        Ok(job) => job,
        Err(error) if error.kind() == ErrorKind::NotFound => platform.jobs().create(spec).await?,
        Err(error) => return Err(error),
    };
    if job.status()?.job.state == JobState::New {
        job.start().await?;
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match line.as_str() {
            "accepted" => accepted(&job).await?,
            "cancel" => cancelled(&job).await?,
            _ => Value::Null,
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

async fn accepted(job: &Job) -> Result<Value> {
    loop {
        if let Some(run) = job.status()?.run.filter(|run| run.accepted_at.is_some()) {
            return Ok(json!(run.run.deployment));
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn cancelled(job: &Job) -> Result<Value> {
    job.cancel().await?;
    job.wait_for(JobState::Canceled).await?;
    while !job.status()?.run.is_none_or(|run| run.released) {
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    Ok(json!(true))
}
