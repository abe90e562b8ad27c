//! A job on YARN, before it is started: what the cluster lacks, and what a submission would send.
//!
//! ```sh
//! HADOOP_CONF_DIR=/etc/hadoop/conf FLINK_HOME=/opt/flink cargo run -p streampark-examples --bin 06_yarn -- orders.jar
//! ```

use streampark_core::job::{JarProgram, JobSpec};
use streampark_core::store::MemoryStore;
use streampark_core::{Result, StreamPark};
use streampark_yarn::{YarnCluster, YarnOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let folder = |name: &str| std::env::var(name).ok();
    let (Some(conf), Some(flink), Some(jar)) =
        (folder("HADOOP_CONF_DIR"), folder("FLINK_HOME"), std::env::args().nth(1))
    else {
        println!("usage: HADOOP_CONF_DIR=FOLDER FLINK_HOME=FOLDER 06_yarn JAR");
        return Ok(());
    };
    let yarn = YarnCluster::new(YarnOptions::from_hadoop_conf(conf).flink_home(flink))?;
    println!("{}", yarn.diagnose().await);

    let platform = StreamPark::builder().store(MemoryStore::default()).cluster("yarn", yarn).start().await?;
    let spec = JobSpec::new("orders", JarProgram::new(jar)).cluster("yarn").parallelism(2);
    println!("{}", platform.jobs().plan(&spec).await?);
    platform.shutdown().await
}
