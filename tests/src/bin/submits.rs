//! A supervisor that submits one job, as a process of its own, to be killed in the middle of it.
//!
//! Arguments: store file, Flink's address, cache folder, job spec as JSON. Says `true` once the job runs.

use std::io::Write as _;

use streampark_core::cluster::StandaloneCluster;
use streampark_core::job::{JobSpec, JobState};
use streampark_core::store::SqliteStore;
use streampark_core::{Error, ErrorKind, Result, StreamPark};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, address, cache, spec] = arguments.as_slice() else {
        return Err(Error::invalid("usage: submits STORE ADDRESS CACHE SPEC"));
    };
    let platform = StreamPark::builder()
        .store(SqliteStore::open(store).await?)
        .cluster("flink", StandaloneCluster::new(address)?)
        .cache(cache)
        .start()
        .await?;
    let spec = JobSpec::from_json(spec)?;
    let job = match platform.jobs().get(&spec.name) {
        Ok(job) => job,
        Err(error) if error.kind() == ErrorKind::NotFound => platform.jobs().create(spec).await?,
        Err(error) => return Err(error),
    };
    job.start().await?;
    job.wait_for(JobState::Running).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "true")?;
    out.flush()?;
    std::thread::park();
    Ok(())
}
