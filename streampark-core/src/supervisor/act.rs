//! Calls to clusters: bounded in number and time, each answered once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use super::machine::{Answer, Call, Machine, Points, Trouble};
use super::shared::Shared;
use super::watch::Watch;
use crate::cluster::{Cluster, Submission, siblings};
use crate::job::{JobId, JobSpec, Pin, RestoreKind, RestorePoint, RunRef, Verification, pin, prepare};
use crate::store::RunRecord;
use crate::{Error, ErrorKind, ErrorStatus, Result};

/// Restore points of a job that are read, and of these how many are looked for.
const READ: usize = 50;
const VERIFIED: usize = 10;

/// A call with what it needs of its job.
pub(super) struct Errand {
    pub(super) call: Call,
    job: JobId,
    cluster: String,
    spec: Arc<JobSpec>,
    spec_version: u32,
    run: Option<RunRecord>,
}

impl Errand {
    pub(super) fn new(machine: &Machine, call: Call) -> Self {
        let run = machine.run.clone();
        Self {
            cluster: run.as_ref().map_or(&machine.spec.cluster, |run| &run.cluster).clone(),
            call,
            job: machine.job.id,
            spec: Arc::clone(&machine.spec),
            spec_version: machine.job.spec_version,
            run,
        }
    }
}

/// Makes the call and gives what it gave, whatever happens.
pub(super) async fn carry_out(shared: &Shared, errand: Errand) -> Answer {
    match &errand.call {
        Call::Pin(_) => Answer::Pinned(told(pins(shared, &errand).await)),
        Call::Reserve(run) => {
            let answer = with(shared, &errand, shared.options.call_timeout, |watch| async move {
                watch.cluster.reserve(&run.key).await
            });
            Answer::Reserved(told(answer.await))
        }
        Call::Submit(run) => Answer::Submitted(told(submit(shared, &errand, run).await)),
        Call::Lookup(run) => {
            let answer =
                with(
                    shared,
                    &errand,
                    shared.options.call_timeout,
                    |watch| async move { watch.cluster.lookup(run).await },
                );
            Answer::LookedUp(told(answer.await))
        }
        Call::Stop(run, how, savepoint) => {
            let limit = match how {
                crate::cluster::Stop::Cancel | crate::cluster::Stop::Kill => shared.options.call_timeout,
                _ => shared.options.savepoint_timeout,
            };
            let mut savepoint = savepoint.clone();
            savepoint.timeout = limit;
            let savepoint = &savepoint;
            let answer = with(shared, &errand, limit + shared.options.call_timeout, |watch| async move {
                watch.cluster.stop(run, *how, savepoint).await
            });
            Answer::Stopped(told(answer.await))
        }
        Call::Savepoint(run, options) => {
            let limit = shared.options.savepoint_timeout;
            let mut options = options.clone();
            options.timeout = limit;
            let options = &options;
            let answer = with(shared, &errand, limit + shared.options.call_timeout, |watch| async move {
                watch.cluster.savepoint(run, options).await
            });
            Answer::Saved(told(answer.await))
        }
        Call::Failure(run) => {
            let answer =
                with(
                    shared,
                    &errand,
                    shared.options.call_timeout,
                    |watch| async move { watch.cluster.failure(run).await },
                );
            Answer::Failure(told(answer.await))
        }
        Call::Points(_) => Answer::Points(told(points(shared, &errand).await)),
        Call::Look(run) => {
            let answer = with(shared, &errand, shared.options.call_timeout, |watch| async move {
                watch.cluster.newest_restore_point(run).await
            });
            Answer::Looked(told(answer.await))
        }
        Call::Release(run) => {
            let answer =
                with(
                    shared,
                    &errand,
                    shared.options.call_timeout,
                    |watch| async move { watch.cluster.release(run).await },
                );
            Answer::Released(told(answer.await))
        }
    }
}

fn told<T>(answer: Result<T>) -> Result<T, Trouble> {
    answer.map_err(|error| Trouble::from(&error))
}

fn no_cluster(name: &str) -> Error {
    Error::not_found(format!("no cluster is registered under the name '{name}'"))
        .with_status(ErrorStatus::Temporary)
        .with_operation("supervisor.call")
}

fn overdue(limit: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("the cluster did not answer within {limit:?}"))
        .with_status(ErrorStatus::Unknown)
}

fn overdue_here(limit: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("the jars of the job were not found within {limit:?}"))
        .with_status(ErrorStatus::Temporary)
}

async fn permits<'a>(
    own: &'a tokio::sync::Semaphore,
    all: &'a tokio::sync::Semaphore,
) -> Result<(SemaphorePermit<'a>, SemaphorePermit<'a>)> {
    let closed = |_| Error::new(ErrorKind::Cancelled, "the engine is shut down").with_status(ErrorStatus::Temporary);
    // The cluster's own first: those that wait for a slow cluster take no place from others.
    let own = own.acquire().await.map_err(closed)?;
    Ok((own, all.acquire().await.map_err(closed)?))
}

async fn with<T, F>(shared: &Shared, errand: &Errand, limit: Duration, call: impl FnOnce(Arc<Watch>) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let watch = shared.watch(&errand.cluster).ok_or_else(|| no_cluster(&errand.cluster))?;
    let bounds = Arc::clone(&watch);
    let _permits = permits(&bounds.calls, &shared.calls).await?;
    timeout(limit, call(watch)).await.unwrap_or_else(|_| Err(overdue(limit)))
}

async fn submit(shared: &Shared, errand: &Errand, run: &RunRef) -> Result<crate::cluster::Accepted> {
    let watch = shared.watch(&errand.cluster).ok_or_else(|| no_cluster(&errand.cluster))?;
    let _permits = permits(&watch.submissions, &shared.submissions).await?;
    let limit = shared.options.submit_timeout;
    // Until the program is ready nothing has left: a limit here leaves no doubt.
    let submission = timeout(limit, submission(shared, errand, run, watch.cluster.as_ref()))
        .await
        .unwrap_or_else(|_| Err(overdue(limit).with_status(ErrorStatus::Temporary)))?;
    same_engine(shared, errand, run, &watch).await?;
    timeout(limit, watch.cluster.submit(&submission)).await.unwrap_or_else(|_| Err(overdue(limit)))
}

/// A run that is sent again goes only to the process that was asked about it: another one has no fence
/// against a copy that the one before took and left behind.
async fn same_engine(shared: &Shared, errand: &Errand, run: &RunRef, watch: &Watch) -> Result<()> {
    let Some(record) = errand.run.as_ref().filter(|record| record.attempts > 1) else { return Ok(()) };
    let limit = shared.options.call_timeout;
    let found = timeout(limit, watch.cluster.lookup(run)).await.unwrap_or_else(|_| Err(overdue(limit)));
    let now = watch.cluster.info().incarnation;
    match found {
        Ok(crate::cluster::Lookup::NeverArrived) if now == record.incarnation => Ok(()),
        Ok(_) => Err(Error::new(ErrorKind::Conflict, "the engine's process was replaced, or has the run by now")
            .with_status(ErrorStatus::Unknown)),
        Err(error) => Err(error.with_status(ErrorStatus::Unknown)),
    }
}

/// The run of an errand, and the spec that it was intended with.
async fn intended<'a>(shared: &Shared, errand: &'a Errand) -> Result<(&'a RunRecord, Arc<JobSpec>)> {
    let record = errand.run.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "a submission without a run"))?;
    if record.spec_version == errand.spec_version {
        return Ok((record, Arc::clone(&errand.spec)));
    }
    let version = record.spec_version;
    let kept = shared.store.spec(errand.job, version).await?;
    let kept = kept.ok_or_else(|| Error::not_found(format!("version {version} of the spec is not stored")))?;
    Ok((record, Arc::new(kept.spec)))
}

async fn pins(shared: &Shared, errand: &Errand) -> Result<Vec<Pin>> {
    let (_, spec) = intended(shared, errand).await?;
    let _permit = shared.submissions.acquire().await;
    let limit = shared.options.submit_timeout;
    // Nothing has left: what takes too long is asked again.
    timeout(limit, pin(&spec, &shared.context))
        .await
        .unwrap_or_else(|_| Err(overdue_here(limit)))
        .map_err(|error| error.with_operation("supervisor.pin"))
}

async fn submission(shared: &Shared, errand: &Errand, run: &RunRef, cluster: &dyn Cluster) -> Result<Submission> {
    let (record, spec) = intended(shared, errand).await?;
    let spec = JobSpec::clone(&spec).pinned(&record.pins);
    let context = shared.context.clone().with_flink_version(cluster.info().flink_version);
    let launch = prepare(&spec, &shared.programs, &context).await?;
    let mut submission = Submission::of_spec(run.clone(), &spec, launch);
    submission.restore = record.restored_from.clone();
    Ok(submission)
}

/// The restore points from which the job can go on: those of its newest run that a cluster took, the one
/// that this run started from, and what is written down of it.
async fn points(shared: &Shared, errand: &Errand) -> Result<Points> {
    let runs = shared.store.runs(errand.job, READ).await?;
    let Some(last) = runs.into_iter().find(|run| run.accepted_at.is_some()) else { return Ok(Points::default()) };
    let watch = shared.watch(&last.cluster);
    let limit = shared.options.call_timeout;
    let listed = match &watch {
        None => Vec::new(),
        Some(watch) => {
            let _permits = permits(&watch.calls, &shared.calls).await?;
            match timeout(limit, watch.cluster.restore_points(&last.run)).await.unwrap_or_else(|_| Err(overdue(limit)))
            {
                Ok(points) => points,
                // The job was moved: it need not wait for the cluster that it left.
                Err(_) if errand.spec.cluster != last.cluster => Vec::new(),
                Err(error) => return Err(error),
            }
        }
    };
    let stored = shared.store.restore_points(errand.job, READ).await?;
    let stored = stored.into_iter().filter(|point| point.run == Some(last.run.key));
    let answered = !listed.is_empty();
    let mut all: Vec<RestorePoint> = listed.into_iter().chain(stored).collect();
    let had_state = last.checkpointed || last.restored_from.is_some() || !all.is_empty();
    let sees = watch.as_ref().is_some_and(|watch| watch.cluster.capability().verify_restore_points);
    if let Some(point) = all.iter().find(|point| !answered && sees && point.kind == RestoreKind::Checkpoint) {
        // A JobManager that forgot the run cannot tell what was completed after the last look.
        let beside = siblings(point).await;
        all.extend(beside);
    }
    all.extend(last.restored_from);
    let mut usable = super::machine::newest_first(all);
    let target = shared.watch(&errand.spec.cluster).or(watch);
    if let Some(target) = target {
        let _permits = permits(&target.calls, &shared.calls).await?;
        for point in usable.iter_mut().take(VERIFIED) {
            let seen = timeout(limit, target.cluster.verify(point)).await.unwrap_or_else(|_| Err(overdue(limit)));
            point.verification = seen.unwrap_or(Verification::Unchecked);
            if point.is_usable() {
                break;
            }
        }
    }
    usable.retain(RestorePoint::is_usable);
    Ok(Points { usable, had_state })
}
