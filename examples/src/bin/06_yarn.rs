//! A job on YARN, from the table of checks to the plan: reads only what a submission would need.
//!
//! `HADOOP_CONF_DIR` names the configuration folder, `FLINK_HOME` a Flink, and the first argument a jar.

use std::path::PathBuf;

use streampark_core::cluster::{Cluster, Submission};
use streampark_core::job::{JarProgram, JobId, JobSpec, ProgramContext, ProgramRegistry, RunKey, RunRef, prepare};
use streampark_core::{Error, Result};
use streampark_yarn::{YarnCluster, YarnOptions};

#[tokio::main]
async fn main() -> Result<()> {
    let variable = |name: &str| {
        std::env::var(name).map(PathBuf::from).map_err(|_| Error::invalid(format!("set {name}, then try again")))
    };
    let jar = std::env::args().nth(1).ok_or_else(|| Error::invalid("give the path of a jar"))?;
    let options = YarnOptions::from_hadoop_conf(variable("HADOOP_CONF_DIR")?)
        .flink_home(variable("FLINK_HOME")?)
        .flink("jobmanager.memory.process.size", "1g")
        .flink("taskmanager.memory.process.size", "1g");
    let cluster = YarnCluster::new(options)?;
    print(&cluster.diagnose().await.to_string());

    let spec = JobSpec::new("planned", JarProgram::new(jar)).parallelism(2);
    let context = ProgramContext::new(std::env::temp_dir()).with_flink_version(cluster.info().flink_version);
    let launch = prepare(&spec, &ProgramRegistry::new(), &context).await?;
    let run = RunRef::new(RunKey::new(JobId::generate(), 1));
    print(&cluster.plan(&Submission::of_spec(run, &spec, launch)).await?.to_string());
    Ok(())
}

#[allow(clippy::print_stdout)]
fn print(text: &str) {
    println!("{text}");
}
