//! A job on a real Flink that fails again and again: how soon that is noticed, and how soon it runs again.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use streampark_core::cluster::LocalCluster;
use streampark_core::job::{JarProgram, JobSpec, JobState, RestartPolicy, RestoreKind};
use streampark_core::platform::{Job, WaitOptions};
use streampark_core::store::{EventFilter, SqliteStore};
use streampark_core::{Event, EventKind, StreamPark};

use crate::figures::{Table, quantile};

pub(crate) async fn run(name: &str, home: &str, jar: &str, trials: usize) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let flink = LocalCluster::builder()
        .flink_home(home)
        .work_dir(folder.path().join("flink"))
        .start()
        .await
        .expect("Flink starts");
    let platform = StreamPark::builder()
        .store(SqliteStore::open(folder.path().join("jobs.db")).await.expect("a store"))
        .cluster("local", flink.clone())
        .cache(folder.path().join("cache"))
        .start()
        .await
        .expect("the engine starts");
    let trigger = folder.path().join("fail");
    let args = ["--rate", "100", "--restart", "none", "--fail-when-file-exists"].map(str::to_owned);
    let program = JarProgram::new(jar)
        .entry_class("streampark.testing.CountingJob")
        .args(args.into_iter().chain([trigger.display().to_string()]));
    let mut policy = RestartPolicy::default();
    policy.max_restarts = 10_000;
    policy.initial_backoff = Duration::ZERO;
    policy.max_backoff = Duration::ZERO;
    let spec = JobSpec::new("failing", program)
        .cluster("local")
        .restart(policy)
        .flink("execution.checkpointing.interval", "300 ms")
        .flink("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
    let job = platform.jobs().create(spec).await.expect("a job");
    job.start().await.expect("it starts");
    job.wait_for(JobState::Running).await.expect("it runs");
    for trial in 1..=trials {
        // At a random place of the watcher's second, with a checkpoint behind it.
        tokio::time::sleep(Duration::from_millis(1_500 + (trial as u64 * 617) % 1_000)).await;
        std::fs::write(&trigger, "").expect("a file");
        failed(&platform, &job, trial).await;
        std::fs::remove_file(&trigger).expect("a file");
        let wait = WaitOptions::at_most(Duration::from_secs(60));
        while job.status().expect("the job").job.generation as usize <= trial {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        job.wait_for_with(JobState::Running, wait).await.expect("it runs again");
    }
    report(name, &platform, &job, trials).await;
    job.cancel().await.expect("it is cancelled");
    job.wait_for(JobState::Canceled).await.expect("it ends");
    platform.shutdown().await.expect("the engine ends");
    flink.stop().await.expect("Flink ends");
}

async fn events(platform: &StreamPark, job: &Job, kinds: &[EventKind]) -> Vec<Event> {
    let mut filter = EventFilter::default();
    filter.job = Some(job.id());
    filter.kinds = kinds.to_vec();
    filter.limit = Some(100_000);
    platform.store().events(&filter).await.expect("the history")
}

async fn failed(platform: &StreamPark, job: &Job, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while events(platform, job, &[EventKind::RunFailed]).await.len() < count {
        assert!(Instant::now() < deadline, "failure {count} was not noticed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn report(name: &str, platform: &StreamPark, job: &Job, trials: usize) {
    let failures = events(platform, job, &[EventKind::RunFailed]).await;
    let running: Vec<Event> = events(platform, job, &[EventKind::StateChanged])
        .await
        .into_iter()
        .filter(|event| event.to == Some(JobState::Running))
        .collect();
    let milliseconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_millis() as f64;
    let (mut noticed, mut again) = (Vec::new(), Vec::new());
    for failure in &failures {
        let ended: Timestamp =
            failure.data["ended_at"].as_str().and_then(|at| at.parse().ok()).expect("Flink's end time");
        noticed.push(milliseconds(ended, failure.at));
        let next = running.iter().find(|event| event.at > failure.at).expect("it ran again");
        again.push(milliseconds(ended, next.at));
    }
    let runs = job.runs(trials + 1).await.expect("runs");
    let restored =
        runs.iter().filter(|run| run.restored_from.as_ref().is_some_and(|point| point.kind == RestoreKind::Checkpoint));
    let mut table = Table::new(format!("A job that fails {trials} times, Flink {name}"));
    table.row("started again from a checkpoint", format!("{} of {trials}", restored.count()), "all");
    table.row(
        "FAILED to noticed p50 / p99",
        format!("{:.2} / {:.2} s", quantile(&noticed, 0.5) / 1e3, quantile(&noticed, 0.99) / 1e3),
        "p99 1 s",
    );
    table.row(
        "FAILED to RUNNING again p50 / p99",
        format!("{:.2} / {:.2} s", quantile(&again, 0.5) / 1e3, quantile(&again, 0.99) / 1e3),
        "p99 5 s",
    );
    table.print();
}
