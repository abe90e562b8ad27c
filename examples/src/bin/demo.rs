//! The main job: a real Flink runs a SQL job and a JAR job; the JAR job fails on purpose, people are
//! told, and it comes back from its checkpoint. Every step is printed with its second.
//!
//! `make demo` sets up what it needs. By hand:
//!
//! ```sh
//! FLINK_HOME=… STREAMPARK_DEMO_JAR=tests/jobs/target/jobs.jar cargo run -p streampark-examples --bin demo
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use streampark_core::alert::Webhook;
use streampark_core::cluster::LocalCluster;
use streampark_core::job::{JarProgram, JobSpec, JobState, SqlProgram};
use streampark_core::platform::{Job, WaitOptions};
use streampark_core::store::SqliteStore;
use streampark_core::{Result, StreamPark};
use streampark_examples::timeline::{People, Timeline, data_folder, history, variable};

/// The checkpoint after which the job throws.
const CHECKPOINT: u64 = 7;

#[tokio::main]
async fn main() -> Result<()> {
    let data = data_folder()?;
    let clock = Timeline::default();

    clock.say("starting a real Flink: one JobManager, one TaskManager");
    let flink = LocalCluster::builder()
        .flink_home(variable("FLINK_HOME", "demo")?)
        .task_managers(1)
        .slots(4)
        .work_dir(data.join("flink"))
        .start()
        .await?;
    clock.say(&format!("Flink answers at {}", flink.address()));

    let people = People::listen().await?;
    let platform = StreamPark::builder()
        .store(SqliteStore::open(data.join("jobs.db")).await?)
        .shared_cluster("local", Arc::new(flink.clone()))
        .channel("oncall", Webhook::new(&people.address)?)
        .cache(data.join("cache"))
        .start()
        .await?
        .acting_as("demo");

    let result = story(&platform, &clock, &data, &people).await;
    platform.shutdown().await?;
    flink.stop().await?;
    clock.say("Flink is stopped");
    println!(
        "\nthe data are in {}\n  jobs.db  jobs, runs, history\n  flink/   Flink's logs\n  output/  what the job wrote",
        data.display()
    );
    result
}

async fn story(platform: &StreamPark, clock: &Timeline, data: &Path, people: &People) -> Result<()> {
    let sql = JobSpec::new(
        "words",
        SqlProgram::new(
            "CREATE TABLE words (word STRING) WITH ('connector' = 'datagen', 'rows-per-second' = '5');\n\
             CREATE TABLE nowhere (word STRING) WITH ('connector' = 'blackhole');\n\
             INSERT INTO nowhere SELECT UPPER(word) FROM words;",
        ),
    )
    .cluster("local");
    let words = platform.jobs().create(sql).await?;

    let checkpoints = data.join("checkpoints");
    let spec = JobSpec::new(
        "counting",
        JarProgram::new(variable("STREAMPARK_DEMO_JAR", "demo")?).entry_class("streampark.testing.CountingJob").args([
            "--rate",
            "50",
            "--restart",
            "none",
            "--fail-once",
            "--fail-message",
            "the sink is full",
            "--fail-at-checkpoint",
            &CHECKPOINT.to_string(),
            "--output",
            &path(&data.join("output")),
        ]),
    )
    .cluster("local")
    .owner("ann")
    .alert("oncall")
    .flink("execution.checkpointing.interval", "1 s")
    .flink("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION")
    .flink("execution.checkpointing.dir", format!("file://{}", checkpoints.display()))
    .flink("state.checkpoints.dir", format!("file://{}", checkpoints.display()));
    let counting = platform.jobs().create(spec).await?;
    println!("\n{}", counting.plan().await?);

    let follower = clock.follow(platform);
    let watcher = watch_checkpoint(*clock, checkpoints);
    words.start().await?;
    words.wait_for_with(JobState::Running, WaitOptions::at_most(Duration::from_secs(120))).await?;
    counting.start().await?;
    for generation in [1, 2] {
        streampark_examples::wait_for_generation(&counting, generation).await?;
        counting.wait_for_with(JobState::Running, WaitOptions::at_most(Duration::from_secs(120))).await?;
    }
    people.wait("job_failed", 1).await?;
    people.wait("job_recovered", 1).await?;
    follower.abort();
    watcher.abort();

    tell(&words).await?;
    tell(&counting).await?;
    for job in [&words, &counting] {
        job.cancel().await?;
        job.wait_for(JobState::Canceled).await?;
    }
    Ok(())
}

async fn tell(job: &Job) -> Result<()> {
    history(job).await?;
    for run in job.runs(10).await?.iter().rev() {
        let from = run.restored_from.as_ref().map_or("empty".to_owned(), ToString::to_string);
        println!("  run {} as {} from {from}", run.run.key.generation, run.run.flink_job);
    }
    Ok(())
}

/// Says when Flink has completed the checkpoint: its `_metadata` is the last file of it.
fn watch_checkpoint(clock: Timeline, folder: PathBuf) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let jobs = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            let done = jobs.map(|job| job.path().join(format!("chk-{CHECKPOINT}/_metadata"))).any(|file| file.exists());
            if done {
                clock.say(&format!("counting: checkpoint {CHECKPOINT} completed"));
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
