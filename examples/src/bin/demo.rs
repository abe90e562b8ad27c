//! The main job: a real Flink runs a SQL job and a JAR job; the JAR job fails on purpose, people are
//! told, and it comes back from its checkpoint. Every step is printed with its second.
//!
//! `make demo` sets up what it needs. By hand:
//!
//! ```sh
//! FLINK_HOME=… STREAMPARK_DEMO_JAR=tests/jobs/target/jobs.jar cargo run -p streampark-examples --bin demo
//! ```

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use streampark_core::alert::Webhook;
use streampark_core::cluster::LocalCluster;
use streampark_core::job::{JarProgram, JobSpec, JobState, SqlProgram};
use streampark_core::platform::{Job, WaitOptions};
use streampark_core::store::SqliteStore;
use streampark_core::{Error, Event, EventKind, Result, StreamPark};

/// The checkpoint after which the job throws.
const CHECKPOINT: u64 = 7;

#[tokio::main]
async fn main() -> Result<()> {
    let data =
        std::env::current_dir()?.join("demo-data").join(jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string());
    std::fs::create_dir_all(&data)?;
    let clock = Timeline::new();

    clock.say("starting a real Flink: one JobManager, one TaskManager");
    let flink = LocalCluster::builder()
        .flink_home(variable("FLINK_HOME")?)
        .task_managers(1)
        .slots(4)
        .work_dir(data.join("flink"))
        .start()
        .await?;
    clock.say(&format!("Flink answers at {}", flink.address()));

    let (receiver, told) = receive_webhooks().await?;
    let platform = StreamPark::builder()
        .store(SqliteStore::open(data.join("jobs.db")).await?)
        .shared_cluster("local", Arc::new(flink.clone()))
        .channel("oncall", Webhook::new(&receiver)?)
        .cache(data.join("cache"))
        .start()
        .await?
        .acting_as("demo");

    let result = story(&platform, &clock, &data, &told).await;
    platform.shutdown().await?;
    flink.stop().await?;
    clock.say("Flink is stopped");
    println!(
        "\nthe data are in {}\n  jobs.db  jobs, runs, history\n  flink/   Flink's logs\n  output/  what the job wrote",
        data.display()
    );
    result
}

async fn story(platform: &StreamPark, clock: &Timeline, data: &Path, told: &Told) -> Result<()> {
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
        JarProgram::new(variable("STREAMPARK_DEMO_JAR")?).entry_class("streampark.testing.CountingJob").args([
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

    let follower = follow(platform, clock.clone());
    let watcher = watch_checkpoint(clock.clone(), checkpoints);
    words.start().await?;
    words.wait_for_with(JobState::Running, WaitOptions::at_most(Duration::from_secs(120))).await?;
    counting.start().await?;
    for generation in [1, 2] {
        streampark_examples::wait_for_generation(&counting, generation).await?;
        counting.wait_for_with(JobState::Running, WaitOptions::at_most(Duration::from_secs(120))).await?;
    }
    told.wait("job_failed").await?;
    told.wait("job_recovered").await?;
    follower.abort();
    watcher.abort();

    history(&words).await?;
    history(&counting).await?;
    for job in [&words, &counting] {
        job.cancel().await?;
        job.wait_for(JobState::Canceled).await?;
    }
    Ok(())
}

async fn history(job: &Job) -> Result<()> {
    println!("\nhistory of {}", job.name());
    for event in job.history(200).await?.iter().rev() {
        println!("  {}  {:<11} {}", event.at.strftime("%H:%M:%S%.3f"), event.actor, event.message);
    }
    for run in job.runs(10).await?.iter().rev() {
        let from = run.restored_from.as_ref().map_or("empty".to_owned(), ToString::to_string);
        println!("  run {} as {} from {from}", run.run.key.generation, run.run.flink_job);
    }
    Ok(())
}

/// Prints what the engine commits, as it is committed.
fn follow(platform: &StreamPark, clock: Timeline) -> tokio::task::JoinHandle<()> {
    let mut events = platform.events();
    tokio::spawn(async move {
        while let Ok(Some(event)) = events.next_event().await {
            if let Some(line) = line_of(&event) {
                clock.say(&line);
            }
        }
    })
}

fn line_of(event: &Event) -> Option<String> {
    let job = event.job_name.as_deref().unwrap_or("-");
    let line = match event.kind {
        EventKind::SubmissionIntended => format!("{job}: submitted; {}", event.message),
        EventKind::StateChanged => format!("{job}: {}", event.to.as_ref()?),
        EventKind::RunFailed => format!("{job}: FAILED noticed; {}", event.error.as_deref().unwrap_or(&event.message)),
        EventKind::RestartDecided | EventKind::SubmissionInDoubt | EventKind::SubmissionRefused => {
            format!("{job}: {}", event.message)
        }
        _ => return None,
    };
    Some(line)
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

/// What the local receiver heard.
#[derive(Clone)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    async fn wait(&self, kind: &str) -> Result<()> {
        for _ in 0..600 {
            if self.0.lock().is_ok_and(|kinds| kinds.iter().any(|body| body.contains(kind))) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Error::new(streampark_core::ErrorKind::Timeout, format!("no alert '{kind}' was delivered")))
    }
}

async fn receive_webhooks() -> Result<(String, Told)> {
    let told = Told(Arc::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/alerts", listener.local_addr()?);
    let router = Router::new().route("/alerts", post(receive)).with_state(told.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((address, told))
}

async fn receive(State(told): State<Told>, body: Bytes) {
    let text = String::from_utf8_lossy(&body).into_owned();
    let alert: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    println!("          ✉ alert delivered: {}", title_of(&alert).unwrap_or("(no title)"));
    if let Ok(mut bodies) = told.0.lock() {
        bodies.push(text);
    }
}

fn title_of(value: &serde_json::Value) -> Option<&str> {
    match value {
        serde_json::Value::Object(map) => {
            map.get("title").and_then(serde_json::Value::as_str).or_else(|| map.values().find_map(title_of))
        }
        serde_json::Value::Array(list) => list.iter().find_map(title_of),
        _ => None,
    }
}

#[derive(Clone)]
struct Timeline(Instant);

impl Timeline {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn say(&self, line: &str) {
        println!("{:>7.2} s  {line}", self.0.elapsed().as_secs_f64());
    }
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| Error::invalid(format!("{name} is not set; run the demo with: make demo")))
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
