//! How fast the SQLite store keeps what must not be lost.
//!
//! `cargo bench -p streampark-core --bench store [FOLDER]`: the file is made in FOLDER, or where
//! temporary files go. The disk decides, so name one like the one that is to be used.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::Timestamp;
use streampark_core::alert::{Alert, AlertId, AlertKind, Delivery, DeliveryId, Outbox};
use streampark_core::job::{JarProgram, JobId, JobSpec, JobState, RunKey, RunRef};
use streampark_core::store::{Batch, EventFilter, JobRecord, RunRecord, SpecVersion, SqliteStore, Store};
use streampark_core::{Event, EventKind};

const JOBS: u32 = 1_000;

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let folder = match folder {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(folder.path()));
}

async fn measure(folder: &Path) {
    let path = folder.join("jobs.db");
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let started = Instant::now();
    for created in join_all((0..JOBS).map(|number| store.commit(new_job(number)))).await {
        created.unwrap();
    }
    row("1,000 jobs created together", started.elapsed());
    store.close().await.unwrap();
    println!("{:50} {:>10.0} bytes", "file, of each job", size(&path) / f64::from(JOBS));

    let started = Instant::now();
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let mut rows = store.load().await.unwrap();
    row("opened and loaded again", started.elapsed());

    let mut together = Vec::new();
    for generation in 1..=10 {
        let started = Instant::now();
        let tasks = rows.iter().map(|row| {
            let (store, batch) = (Arc::clone(&store), change(&row.job, generation));
            tokio::spawn(async move { store.commit(batch).await })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap().unwrap();
        }
        together.push(started.elapsed());
        rows = store.load().await.unwrap();
    }
    percentiles("1,000 jobs change state together (10 times)", together);

    let mut apart = Vec::new();
    let all = Instant::now();
    for row in &rows {
        let started = Instant::now();
        store.commit(change(&row.job, 11)).await.unwrap();
        apart.push(started.elapsed());
    }
    println!("{:50} {:>10.0} /s", "changes one after another", f64::from(JOBS) / all.elapsed().as_secs_f64());
    percentiles("one change", apart);

    let started = Instant::now();
    assert_eq!(store.pending("oncall", 100).await.unwrap().len(), 100);
    row("100 pending deliveries of 11,000", started.elapsed());
    let started = Instant::now();
    let mut filter = EventFilter::default();
    (filter.job, filter.newest_first, filter.limit) = (rows.first().map(|row| row.job.id), true, Some(50));
    assert!(!store.events(&filter).await.unwrap().is_empty());
    row("the newest events of one job", started.elapsed());
    store.close().await.unwrap();
    let changes = f64::from(JOBS) * 11.0;
    println!("{:50} {:>10.0} bytes", "file, of each change with its history", size(&path) / changes);
}

fn new_job(number: u32) -> Batch {
    let (id, name) = (JobId::from_u128(u128::from(number)), format!("job-{number:04}"));
    let program = JarProgram::new("orders.jar").entry_class("com.acme.Orders").args(["--env", "prod"]);
    let spec = JobSpec::new(&name, program).cluster("dev").flink("execution.checkpointing.interval", "10 s");
    let mut batch = Batch::default();
    batch.job = Some(JobRecord::new(id, name, Timestamp::now()));
    batch.spec = Some(SpecVersion::new(id, 1, spec, "ann", Timestamp::now()));
    batch.events = vec![event(EventKind::JobCreated, id)];
    batch
}

/// A job's row, a run, two events and a message: what a failure writes.
fn change(job: &JobRecord, generation: u64) -> Batch {
    let mut next = job.clone();
    (next.state, next.generation) = (JobState::Submitting, generation);
    let alert = Alert::new(AlertId::generate(), AlertKind::JobFailed, "incident", "orders failed", Timestamp::now());
    let mut batch = Batch::default();
    batch.job = Some(next);
    batch.runs = vec![RunRecord::intended(RunRef::new(RunKey::new(job.id, generation)), "dev", 1, Timestamp::now())];
    batch.events = vec![event(EventKind::RunFailed, job.id), event(EventKind::SubmissionIntended, job.id)];
    batch.deliveries = vec![Delivery::new(DeliveryId::generate(), "oncall", alert)];
    batch
}

fn event(kind: EventKind, job: JobId) -> Event {
    let mut event = Event::new(kind, Event::SUPERVISOR, Timestamp::now(), "what happened, in one line for people");
    event.job = Some(job);
    event
}

fn size(path: &Path) -> f64 {
    std::fs::metadata(path).unwrap().len() as f64
}

fn row(what: &str, took: Duration) {
    println!("{what:50} {:>10.2} ms", took.as_secs_f64() * 1e3);
}

fn percentiles(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!("{what:50} p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", at(50), at(99), at(100));
}
