//! Rows to play with.

use std::time::Duration;

use jiff::Timestamp;

use crate::alert::{Alert, AlertId, AlertKind, Delivery, DeliveryId};
use crate::job::{
    Failure, Generation, JarProgram, JobId, JobSpec, JobState, RestartPolicy, RestoreKind, RestorePoint, RunKey, RunRef,
};
use crate::store::{Batch, JobRecord, JobRow, RunPhase, RunRecord, SpecVersion, Store};
use crate::{Event, EventKind};

/// `seconds` after a moment in the past.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanosecond((1_700_000_000 + i128::from(seconds)) * 1_000_000_000 + 123_456_789).unwrap()
}

pub(super) fn id(number: u128) -> JobId {
    JobId::from_u128(number)
}

pub(super) fn spec(name: &str) -> JobSpec {
    JobSpec::new(name, JarProgram::new("orders.jar").args(["--env", "prod", "it's \"quoted\" \u{1F600}\n"]))
        .cluster("dev")
        .flink("execution.checkpointing.interval", "10 s")
        .restart(RestartPolicy { max_restarts: 3, max_backoff: Duration::from_millis(1_500), ..Default::default() })
        .label("team", "data")
}

/// The batch that creates a job.
pub(super) fn new_job(number: u128, name: &str) -> Batch {
    new_job_with(number, spec(name))
}

pub(super) fn new_job_with(number: u128, spec: JobSpec) -> Batch {
    let mut created = event(EventKind::JobCreated, 0);
    created.job = Some(id(number));
    created.job_name = Some(spec.name.clone());
    Batch {
        job: Some(JobRecord::new(id(number), &spec.name, at(0))),
        spec: Some(SpecVersion::new(id(number), 1, spec, "ann", at(0))),
        events: vec![created],
        ..Batch::default()
    }
}

pub(super) async fn create(store: &dyn Store, number: u128, name: &str) -> JobRecord {
    store.commit(new_job(number, name)).await.expect("create a job");
    stored(store, number).await.job
}

pub(super) async fn stored(store: &dyn Store, number: u128) -> JobRow {
    store.job(id(number)).await.expect("read a job").expect("the job is stored")
}

/// The batch that changes the state of a job.
pub(super) fn change(job: &JobRecord, state: JobState) -> Batch {
    let mut next = job.clone();
    next.state = state.clone();
    let mut changed = event(EventKind::StateChanged, 1);
    changed.job = Some(job.id);
    changed.from = Some(job.state.clone());
    changed.to = Some(state);
    Batch { job: Some(next), events: vec![changed], ..Batch::default() }
}

pub(super) fn event(kind: EventKind, seconds: i64) -> Event {
    Event::new(kind, Event::SUPERVISOR, at(seconds), "something happened")
}

pub(super) fn run(number: u128, generation: Generation) -> RunRecord {
    RunRecord::intended(RunRef::new(RunKey::new(id(number), generation)), "dev", 1, at(0))
}

pub(super) fn ended_run(number: u128, generation: Generation, seconds: i64) -> RunRecord {
    let mut run = run(number, generation);
    run.phase = RunPhase::Ended;
    run.ended_at = Some(at(seconds));
    run.outcome = Some(JobState::Failed);
    run.failure = Some(Failure::new("disk on fire").with_class("java.io.IOException"));
    run
}

pub(super) fn checkpoint(number: u64, seconds: i64) -> RestorePoint {
    let mut point = RestorePoint::new(RestoreKind::Checkpoint, format!("file:/chk-{number}"), at(seconds));
    point.checkpoint_id = Some(number);
    point
}

pub(super) fn savepoint(name: &str, seconds: i64) -> RestorePoint {
    RestorePoint::new(RestoreKind::Savepoint, format!("file:/{name}"), at(seconds))
}

pub(super) fn delivery(number: u128, channel: &str) -> Delivery {
    let mut alert = Alert::new(AlertId::from_u128(number), AlertKind::JobFailed, "i-1", "orders failed", at(0));
    alert.cause = Some(Failure::new("boom"));
    Delivery::new(DeliveryId::from_u128(number), channel, alert)
}
