//! Creates a job on a simulated cluster, starts it, lets it fail, and reads its history.
//!
//! ```sh
//! cargo run -p streampark-examples --bin 01_quick_start
//! ```

use std::sync::Arc;

use streampark_core::cluster::MemoryCluster;
use streampark_core::job::{Failure, JobSpec, JobState};
use streampark_core::store::MemoryStore;
use streampark_core::{Result, StreamPark};
use streampark_examples::Nothing;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let cluster = MemoryCluster::new();
    let platform = StreamPark::builder()
        .store(MemoryStore::default())
        .cluster("dev", cluster.clone())
        .program("nothing", Arc::new(|_| Ok(Arc::new(Nothing))))
        .start()
        .await?;

    let spec = JobSpec::new("orders", Nothing::spec()).cluster("dev").owner("ann");
    let orders = platform.jobs().create(spec).await?;
    orders.start().await?;
    let running = orders.wait_for(JobState::Running).await?;
    println!("orders is {} as run {}", running.job.state, running.job.generation);

    if let Some(flink_job) = cluster.flink_job(orders.id()) {
        cluster.complete_checkpoint(flink_job)?;
        cluster.fail(flink_job, Failure::new("the sink is full").with_class("java.io.IOException"))?;
    }
    streampark_examples::wait_for_generation(&orders, 2).await?;
    orders.wait_for(JobState::Running).await?;

    for event in orders.history(100).await?.iter().rev() {
        println!("{:>3}  {:<12}  {}", event.sequence, event.actor, event.message);
    }
    platform.shutdown().await
}
