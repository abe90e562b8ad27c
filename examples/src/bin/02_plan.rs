//! Reads what a submission would send before anything is sent.
//!
//! ```sh
//! cargo run -p streampark-examples --bin 02_plan -- orders.jar com.acme.Orders
//! ```

use streampark_core::cluster::StandaloneCluster;
use streampark_core::job::{JarProgram, JobSpec};
use streampark_core::store::MemoryStore;
use streampark_core::{Result, StreamPark};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(jar), Some(class)) = (arguments.next(), arguments.next()) else {
        println!("usage: 02_plan JAR ENTRY-CLASS [ADDRESS]");
        return Ok(());
    };
    let address = arguments.next().unwrap_or_else(|| "http://localhost:8081/".to_owned());
    let platform = StreamPark::builder()
        .store(MemoryStore::default())
        .cluster("dev", StandaloneCluster::new(&address)?)
        .start()
        .await?;
    let spec = JobSpec::new("orders", JarProgram::new(jar).entry_class(class).args(["--env", "prod"]))
        .cluster("dev")
        .parallelism(2)
        .flink("execution.checkpointing.interval", "10 s")
        .flink("s3.secret-key", "never shown");
    println!("{}", platform.jobs().plan(&spec).await?);
    platform.shutdown().await
}
