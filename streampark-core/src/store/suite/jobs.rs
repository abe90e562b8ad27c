use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::fixtures::*;
use crate::job::{JobState, RestoreKind, Verification};
use crate::store::{Batch, ClusterRecord, JobFilter, RunPhase, SpecVersion, Store};
use crate::{ErrorKind, EventKind};

/// Whatever is wrong in a batch, nothing of it is stored; what is right is stored together.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn a_batch_is_whole_or_not_at_all(store: &dyn Store) {
    let job = create(store, 1, "orders").await;
    let full = || {
        let mut batch = change(&job, JobState::Submitting);
        batch.spec = Some(SpecVersion::new(job.id, 2, spec("orders").parallelism(2), "ann", at(1)));
        batch.runs = vec![run(1, 1)];
        batch.restore_points = vec![(job.id, checkpoint(1, 1))];
        batch.cluster = Some(ClusterRecord::new("dev"));
        batch.deliveries = vec![delivery(1, "oncall")];
        batch
    };
    let broken: [(&str, ErrorKind, Batch); 5] = [
        ("revision", ErrorKind::Conflict, {
            let mut batch = full();
            batch.job.as_mut().unwrap().revision = 9;
            batch
        }),
        ("spec", ErrorKind::Conflict, {
            let mut batch = full();
            batch.spec.as_mut().unwrap().version = 3;
            batch
        }),
        ("spec version", ErrorKind::InvalidInput, {
            let mut batch = full();
            batch.job.as_mut().unwrap().spec_version = 3;
            batch
        }),
        ("run", ErrorKind::NotFound, {
            let mut batch = full();
            batch.runs.push(run(2, 1));
            batch
        }),
        ("restore point", ErrorKind::NotFound, {
            let mut batch = full();
            batch.restore_points.push((id(2), checkpoint(2, 2)));
            batch
        }),
    ];
    for (what, kind, batch) in broken {
        let error = store.commit(batch).await.expect_err(what);
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert_eq!(stored(store, 1).await.job, job, "{what}");
        assert_eq!(store.specs(job.id).await.unwrap().len(), 1, "{what}");
        assert!(store.runs(job.id, 10).await.unwrap().is_empty(), "{what}");
        assert!(store.restore_points(job.id, 10).await.unwrap().is_empty(), "{what}");
        assert!(store.clusters().await.unwrap().is_empty(), "{what}");
        assert_eq!(store.pending_count("oncall").await.unwrap(), 0, "{what}");
        assert_eq!(store.events(&Default::default()).await.unwrap().len(), 1, "{what}");
    }
    let committed = store.commit(full()).await.expect("the whole batch");
    assert_eq!(committed.revision, 2);
    assert_eq!(committed.events.len(), 1);
    assert_eq!(store.events(&Default::default()).await.unwrap().last(), committed.events.last());
    let row = stored(store, 1).await;
    assert_eq!((row.job.revision, row.job.state), (2, JobState::Submitting));
    assert_eq!(row.run, Some(run(1, 1)));
    assert_eq!(store.pending("oncall", 10).await.unwrap(), [delivery(1, "oncall")]);
    let nothing = store.commit(Batch::default()).await.expect("an empty batch");
    assert_eq!((nothing.revision, nothing.events.len()), (0, 0));
}

/// Of two changes made from one revision the second is refused, and says why.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn a_stale_revision_is_refused(store: &dyn Store) {
    let read = create(store, 1, "orders").await;
    assert_eq!(read.revision, 1);
    assert_eq!(store.commit(change(&read, JobState::Submitting)).await.unwrap().revision, 2);
    let error = store.commit(change(&read, JobState::Parked)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.message(),
        "job 'orders' was changed by somebody else: revision 2 is stored, this change was made from 1; \
         read it again and repeat the change"
    );
    let error = store.commit(new_job(1, "orders")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.message(), "job 'orders' is stored already; read it and change what was read");
    assert_eq!(stored(store, 1).await.job.state, JobState::Submitting);
}

/// A name is taken until its job is renamed or deleted.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn a_name_belongs_to_one_job(store: &dyn Store) {
    let mut job = create(store, 1, "orders").await;
    let error = store.commit(new_job(2, "orders")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(error.message(), "a job named 'orders' exists already; choose another name, or change that job");
    create(store, 3, "Orders").await;
    job.name = "Orders".to_owned();
    let error = store.commit(change(&job, JobState::New)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    job.name = "sales".to_owned();
    store.commit(change(&job, JobState::New)).await.expect("a free name");
    assert!(store.job_by_name("orders").await.unwrap().is_none());
    assert_eq!(store.job_by_name("sales").await.unwrap().unwrap().job.id, job.id);
    create(store, 2, "orders").await;
}

/// Versions count by one, come newest first, and the job uses the one it names.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn spec_versions_are_kept(store: &dyn Store) {
    let job = create(store, 1, "orders").await;
    let newer = SpecVersion::new(job.id, 2, spec("orders").parallelism(8), "ben", at(5));
    let mut batch = change(&job, JobState::New);
    batch.spec = Some(newer.clone());
    store.commit(batch.clone()).await.expect("version 2");
    assert_eq!(stored(store, 1).await.spec, spec("orders"), "the job still names version 1");
    let mut job = stored(store, 1).await.job;
    job.spec_version = 2;
    store.commit(change(&job, JobState::New)).await.expect("use version 2");
    assert_eq!(stored(store, 1).await.spec, newer.spec);
    let versions: Vec<u32> = store.specs(job.id).await.unwrap().iter().map(|spec| spec.version).collect();
    assert_eq!(versions, [2, 1]);
    assert_eq!(store.spec(job.id, 2).await.unwrap(), Some(newer));
    assert_eq!(store.spec(job.id, 3).await.unwrap(), None);
    assert!(store.specs(id(9)).await.unwrap().is_empty());
    let alone = Batch { spec: Some(SpecVersion::new(id(9), 1, spec("x"), "ann", at(0))), ..Batch::default() };
    assert_eq!(store.commit(alone).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// Runs are replaced by generation and come newest first; a job is loaded with its newest.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn runs_are_newest_first(store: &dyn Store) {
    create(store, 1, "orders").await;
    assert_eq!(stored(store, 1).await.run, None);
    let runs = vec![run(1, 2), run(1, 10), ended_run(1, 1, 5)];
    store.commit(Batch { runs, ..Batch::default() }).await.unwrap();
    let mut running = run(1, 10);
    running.phase = RunPhase::Running;
    running.restored_from = Some(checkpoint(7, 3));
    running.facts = serde_json::json!({"commit": "abc"});
    store.commit(Batch { runs: vec![running.clone()], ..Batch::default() }).await.unwrap();
    assert_eq!(store.runs(id(1), 10).await.unwrap(), [running.clone(), run(1, 2), ended_run(1, 1, 5)]);
    assert_eq!(store.runs(id(1), 1).await.unwrap().len(), 1);
    assert_eq!(stored(store, 1).await.run, Some(running));
}

/// Restore points come newest first; one of a known path is replaced.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn restore_points_are_newest_first(store: &dyn Store) {
    create(store, 1, "orders").await;
    create(store, 2, "payments").await;
    let points = [checkpoint(9, 10), savepoint("sp", 30), checkpoint(11, 20), checkpoint(10, 20), savepoint("b", 20)];
    let mut restore_points: Vec<_> = points.into_iter().map(|point| (id(1), point)).collect();
    restore_points.push((id(2), checkpoint(9, 99)));
    store.commit(Batch { restore_points, ..Batch::default() }).await.unwrap();
    let mut missing = checkpoint(11, 20);
    missing.verification = Verification::Missing;
    store.commit(Batch { restore_points: vec![(id(1), missing.clone())], ..Batch::default() }).await.unwrap();
    let found = store.restore_points(id(1), 10).await.unwrap();
    assert_eq!(found, [savepoint("sp", 30), missing, checkpoint(10, 20), savepoint("b", 20), checkpoint(9, 10)]);
    assert_eq!(store.restore_points(id(1), 1).await.unwrap()[0].kind, RestoreKind::Savepoint);
    assert_eq!(store.restore_points(id(2), 10).await.unwrap(), [checkpoint(9, 99)]);
}

/// The newest word on each cluster is kept.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn clusters_are_remembered(store: &dyn Store) {
    let mut away = ClusterRecord::new("dev");
    away.unreachable_since = Some(at(1));
    for cluster in [ClusterRecord::new("yarn"), ClusterRecord::new("dev"), away.clone()] {
        store.commit(Batch { cluster: Some(cluster), ..Batch::default() }).await.unwrap();
    }
    assert_eq!(store.clusters().await.unwrap(), [away, ClusterRecord::new("yarn")]);
}

/// A start sees every job, in order of names, as it was committed.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn load_gives_every_job_by_name(store: &dyn Store) {
    for (number, name) in [(3, "b"), (1, "c"), (2, "a"), (4, "B"), (5, "ä")] {
        create(store, number, name).await;
    }
    store.commit(Batch { runs: vec![run(1, 1)], ..Batch::default() }).await.unwrap();
    let rows = store.load().await.unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.job.name.as_str()).collect();
    assert_eq!(names, ["B", "a", "b", "c", "ä"]);
    assert_eq!(rows[3], stored(store, 1).await);
    assert_eq!(rows[3].run, Some(run(1, 1)));
}

/// Every field of the filter, alone and together, and pages that miss nothing.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn jobs_are_filtered_and_paged(store: &dyn Store) {
    for number in 0..25 {
        let cluster = if number % 2 == 0 { "dev" } else { "yarn" };
        let spec = spec(&format!("Job-Ü-{number:02}")).cluster(cluster).label("n'", (number % 5).to_string());
        store.commit(new_job_with(number, spec)).await.unwrap();
    }
    let job = stored(store, 4).await.job;
    store.commit(change(&job, JobState::Unknown("HIBERNATING".into()))).await.unwrap();
    let count = async |filter: JobFilter| store.jobs(&filter).await.unwrap().len();

    assert_eq!(count(JobFilter::default()).await, 25);
    assert_eq!(count(JobFilter { cluster: Some("yarn".into()), ..Default::default() }).await, 12);
    assert_eq!(count(JobFilter { name_contains: Some("job-ü-1".into()), ..Default::default() }).await, 10);
    assert_eq!(count(JobFilter { name_contains: Some("%".into()), ..Default::default() }).await, 0);
    assert_eq!(count(JobFilter { states: vec![JobState::New], ..Default::default() }).await, 24);
    let hibernating = vec![JobState::Unknown("HIBERNATING".into()), JobState::Running];
    assert_eq!(count(JobFilter { states: hibernating, ..Default::default() }).await, 1);
    let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let both: BTreeMap<String, String> = labels(&[("n'", "3"), ("team", "data")]);
    assert_eq!(count(JobFilter { labels: both.clone(), ..Default::default() }).await, 5);
    let other = labels(&[("n'", "3"), ("team", "web")]);
    assert_eq!(count(JobFilter { labels: other, ..Default::default() }).await, 0);
    let together = JobFilter {
        cluster: Some("yarn".into()),
        labels: both,
        name_contains: Some("JOB".into()),
        ..Default::default()
    };
    assert_eq!(count(together).await, 3);

    let mut filter = JobFilter { limit: Some(10), ..Default::default() };
    let mut names = Vec::new();
    loop {
        let page = store.jobs(&filter).await.unwrap();
        names.extend(page.into_iter().map(|row| row.job.name));
        if filter.after.as_ref() == names.last() {
            break;
        }
        filter.after = names.last().cloned();
    }
    let all: Vec<String> = (0..25).map(|number| format!("Job-Ü-{number:02}")).collect();
    assert_eq!(names, all);
}

/// A deleted job leaves its events, and messages that are still to be said.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn deleting_takes_all_but_the_history(store: &dyn Store) {
    let job = create(store, 1, "orders").await;
    let mut batch = change(&job, JobState::Submitting);
    batch.runs = vec![run(1, 1)];
    batch.restore_points = vec![(id(1), checkpoint(1, 1))];
    batch.deliveries = vec![delivery(1, "oncall")];
    store.commit(batch).await.unwrap();
    let mut deleted = event(EventKind::JobDeleted, 9);
    deleted.job = Some(job.id);
    let error = store.delete_job(&job, deleted.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let job = stored(store, 1).await.job;
    let committed = store.delete_job(&job, deleted.clone()).await.unwrap();
    assert_eq!(committed.events[0].kind, EventKind::JobDeleted);

    assert!(store.job(job.id).await.unwrap().is_none());
    assert!(store.specs(job.id).await.unwrap().is_empty());
    assert!(store.runs(job.id, 10).await.unwrap().is_empty());
    assert!(store.restore_points(job.id, 10).await.unwrap().is_empty());
    assert_eq!(store.events(&Default::default()).await.unwrap().len(), 3);
    assert_eq!(store.pending_count("oncall").await.unwrap(), 1);
    let message = "job 'orders' was deleted by somebody else; nothing was changed";
    let error = store.delete_job(&job, deleted).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Conflict, message));
    let error = store.commit(change(&job, JobState::Running)).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Conflict, message));
    create(store, 2, "orders").await;
}

/// Many at once: every commit that was accepted is there and nothing of those that were refused,
/// every sequence number is given once, and of those that change one job from one revision exactly one wins.
///
/// # Panics
/// Where the store breaks its contract.
pub async fn concurrent_commits_lose_nothing(store: &dyn Store) {
    let created = join_all((0..200).map(|n| store.commit(new_job(n, &format!("job-{n:03}"))))).await;
    let mut sequences: Vec<u64> = created.into_iter().map(|commit| commit.unwrap().events[0].sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!(sequences.len(), 200);
    assert_eq!(store.load().await.unwrap().len(), 200);

    let job = stored(store, 7).await.job;
    let raced = join_all((0..50).map(|_| store.commit(change(&job, JobState::Submitting)))).await;
    let (won, lost): (Vec<_>, Vec<_>) = raced.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.into_iter().all(|refused| refused.unwrap_err().kind() == ErrorKind::Conflict));
    assert_eq!(stored(store, 7).await.job.revision, 2);
    assert_eq!(store.events(&Default::default()).await.unwrap().len(), 201);

    // Each second one breaks a rule at its last part, after most of it was written.
    let mixed = join_all((300..400).map(|n| {
        let mut batch = new_job(n, &format!("job-{n:03}"));
        batch.runs = vec![run(n, 1), run(if n % 2 == 0 { n } else { 999 }, 1)];
        store.commit(batch)
    }))
    .await;
    for (n, outcome) in (300..).zip(mixed) {
        assert_eq!(outcome.is_ok(), n % 2 == 0, "{n}");
        assert_eq!(store.job(id(n)).await.unwrap().is_some(), n % 2 == 0, "{n}");
        assert_eq!(store.runs(id(n), 9).await.unwrap().len(), usize::from(n % 2 == 0), "{n}");
    }
    assert_eq!(store.events(&Default::default()).await.unwrap().len(), 251);
}
