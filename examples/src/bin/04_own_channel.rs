//! Tells people over a channel of the embedder's own, and breaks a cluster to have something to tell.
//!
//! ```sh
//! cargo run -p streampark-examples --bin 04_own_channel
//! ```

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streampark_core::alert::{Channel, ChannelLimits, Message, Receipt};
use streampark_core::cluster::{Fault, MemoryCluster};
use streampark_core::job::{JobSpec, JobState};
use streampark_core::store::MemoryStore;
use streampark_core::{Result, StreamPark};
use streampark_examples::Nothing;

#[derive(Debug)]
struct Terminal;

#[async_trait]
impl Channel for Terminal {
    fn kind(&self) -> &str {
        "terminal"
    }

    fn limits(&self) -> ChannelLimits {
        ChannelLimits::default()
    }

    async fn send(&self, message: &Message) -> Result<Receipt> {
        for alert in &message.alerts {
            println!("[{}] {}", alert.severity.as_str(), alert.title);
        }
        Ok(Receipt::default())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let cluster = MemoryCluster::new();
    let platform = StreamPark::builder()
        .store(MemoryStore::default())
        .cluster("dev", cluster.clone())
        .channel("terminal", Terminal)
        .program("nothing", Arc::new(|_| Ok(Arc::new(Nothing))))
        .start()
        .await?;
    let spec = JobSpec::new("orders", Nothing::spec()).cluster("dev").alert("terminal");
    let orders = platform.jobs().create(spec).await?;
    orders.start().await?;
    orders.wait_for(JobState::Running).await?;

    cluster.break_down(None, Fault::Refused);
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("the cluster does not answer; orders is still {}", orders.status()?.job.state);
    cluster.heal();
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("copies that ever ran: {}", cluster.log().of(orders.id()).count());
    platform.shutdown().await
}
