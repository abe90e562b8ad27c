use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use super::migrate::{MIGRATIONS, Migration};
use super::*;
use crate::job::{JarProgram, JobSpec, JobState};
use crate::store::suite;
use crate::{Error, ErrorKind, ErrorStatus, EventKind};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn at() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn new_job(number: u128) -> Batch {
    let (id, name) = (JobId::from_u128(number), format!("job-{number:04}"));
    let program = JarProgram::new("orders.jar").entry_class("com.acme.Orders").args(["--env", "prod"]);
    let spec = JobSpec::new(&name, program).cluster("dev").flink("execution.checkpointing.interval", "10 s");
    Batch {
        job: Some(JobRecord::new(id, name, at())),
        spec: Some(SpecVersion::new(id, 1, spec, "ann", at())),
        events: vec![event(Some(id))],
        ..Batch::default()
    }
}

fn event(job: Option<JobId>) -> Event {
    let mut event = Event::new(EventKind::StateChanged, Event::SUPERVISOR, at(), "RUNNING to SUBMITTING");
    event.job = job;
    event
}

fn change(job: &JobRecord) -> Batch {
    Batch {
        job: Some(JobRecord { state: JobState::Submitting, ..job.clone() }),
        events: vec![event(Some(job.id))],
        ..Batch::default()
    }
}

async fn refused(path: &Path) -> Error {
    let options = SqliteOptions::default().with_lock_wait(Duration::ZERO);
    SqliteStore::open_with(path, options).await.expect_err("the store must not open")
}

#[tokio::test]
async fn it_does_what_every_store_does() {
    let folder = folder();
    let counter = std::sync::atomic::AtomicUsize::new(0);
    suite::run_all(|| async {
        let number = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        SqliteStore::open(folder.path().join(format!("{number}.db"))).await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    store.commit(new_job(1)).await.unwrap();
    let row = store.load().await.unwrap();
    store.close().await.unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name == "jobs.db" || name == "jobs.db.lock"), "closing leaves one file: {names:?}");

    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.load().await.unwrap(), row);
    drop(store);
    let store = SqliteStore::open(&path).await.expect("dropping frees the file");
    assert_eq!(store.load().await.unwrap(), row);
}

#[tokio::test]
async fn a_file_that_is_not_sqlite_is_refused_and_kept() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    std::fs::write(&path, "<html>not found</html>").unwrap();
    let error = refused(&path).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let shown = path.display();
    let expected = "is not a SQLite database; name a store made by StreamPark, or a new file";
    assert_eq!(error.to_string(), format!("store.open: '{shown}' {expected}"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "<html>not found</html>");

    std::fs::write(&path, b"SQLite format 3\0 and then rubbish, far too short for a header").unwrap();
    let error = refused(&path).await;
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(error.message(), "the store's file is damaged; put back a copy of it, with its -wal file");
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_kept() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE cookies (x)").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = refused(&path).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let shown = path.display();
    let expected = "is a SQLite database of another program; name a store made by StreamPark, or a new file";
    assert_eq!(error.message(), format!("'{shown}' {expected}"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_read_only_file_or_folder_is_refused() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    let protect = |path: &Path, read_only: bool| {
        let mut permissions = std::fs::metadata(path).unwrap().permissions();
        permissions.set_readonly(read_only);
        std::fs::set_permissions(path, permissions).unwrap();
    };
    protect(&path, true);
    let error = refused(&path).await;
    assert_eq!(error.kind(), ErrorKind::Storage);
    let expected = format!("the store '{}' is read-only; make it writable, or name another file", path.display());
    assert_eq!(error.message(), expected);

    protect(&path, false);
    protect(folder.path(), true);
    let error = refused(&path).await;
    protect(folder.path(), false);
    assert_eq!(error.kind(), ErrorKind::Storage);
    let shown = folder.path().display();
    assert_eq!(
        error.message(),
        format!(
            "the folder '{shown}' of the store is read-only; SQLite keeps its log beside the file, make the folder writable"
        )
    );
    SqliteStore::open(&path).await.expect("writable again");
}

#[tokio::test]
async fn paths_that_name_no_file_are_refused() {
    let folder = folder();
    let absent = folder.path().join("absent").join("jobs.db");
    let error = refused(&absent).await;
    let shown = absent.parent().unwrap().display();
    assert_eq!(error.message(), format!("the folder '{shown}' of the store does not exist; create it first"));
    let error = refused(folder.path()).await;
    let shown = folder.path().display();
    assert_eq!(error.message(), format!("the store '{shown}' is a folder; name a file in it such as jobs.db"));
    let error = refused(Path::new(":memory:")).await;
    assert_eq!(error.message(), "a SQLite store keeps a file; for a store in memory use MemoryStore");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_kept() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = refused(&path).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.message(),
        format!(
            "the store '{}' was written by a newer version of StreamPark: its schema is 99, this version knows {}; \
             install the newer version, or name another file",
            path.display(),
            MIGRATIONS.len()
        )
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn an_altered_step_of_the_schema_is_refused() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    Connection::open(&path).unwrap().execute("UPDATE migration SET checksum = 'x'", []).unwrap();
    let error = refused(&path).await;
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(
        error.message(),
        format!(
            "step 1 ('jobs') of the schema of the store '{}' is not the one that this version knows; \
             open it with the version that wrote it",
            path.display()
        )
    );
}

#[tokio::test]
async fn a_migration_copies_the_file_first_and_is_whole_or_not_at_all() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    store.commit(new_job(1)).await.unwrap();
    store.close().await.unwrap();

    let step = |sql| Migration { name: "more", sql };
    let broken = [MIGRATIONS, &[step("CREATE TABLE more (x); INSERT INTO absent VALUES (1);")]].concat();
    let connection = Connection::open(&path).unwrap();
    migrate::run(&connection, &path, &broken).unwrap_err();
    let copy = folder.path().join(format!("jobs.db.schema-{}.bak", MIGRATIONS.len()));
    assert!(copy.exists());
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'more'";
    assert_eq!(connection.query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap(), 0);

    let mended = [MIGRATIONS, &[step("CREATE TABLE more (x);")]].concat();
    migrate::run(&connection, &path, &mended).unwrap();
    migrate::run(&connection, &path, &mended).expect("a second run changes nothing");
    assert_eq!(connection.query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    drop(connection);
    assert_eq!(refused(&path).await.kind(), ErrorKind::Unsupported, "the file has moved on");
    let store = SqliteStore::open(&copy).await.expect("the copy is a store of the old version");
    assert_eq!(store.load().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_second_store_of_this_process_is_refused() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let message = format!("the store '{}' is open in this process already; share that store instead", path.display());
    let error = refused(&path).await;
    assert_eq!((error.kind(), error.message()), (ErrorKind::Conflict, message.as_str()));
    #[cfg(unix)]
    {
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(refused(&link).await.message(), message);
    }
    store.commit(new_job(1)).await.expect("the first store goes on");
    store.close().await.unwrap();
    SqliteStore::open(&path).await.expect("free again");
}

#[tokio::test]
async fn opening_waits_for_an_owner_that_is_leaving() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    let first = SqliteStore::open(&path).await.unwrap();
    let opening = SqliteStore::open_with(&path, SqliteOptions::default().with_lock_wait(Duration::from_secs(60)));
    let (second, closed) = tokio::join!(opening, first.close());
    closed.unwrap();
    second.unwrap();
}

/// In the child's environment: the file on which it works.
const CHILD: &str = "STREAMPARK_STORE_TEST_CHILD";

/// Starts this test binary again, to run one test alone as a child on `path`.
fn start_child(test: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("store::sqlite::tests::{test}"), "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn as_child() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Says something to the parent on a line of its own.
fn tell(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

/// The first commit of each child creates the job, the others change it; the number that is told is
/// the revision that was acknowledged.
async fn commit_for_ever(path: &Path) {
    let store = SqliteStore::open(path).await.expect("the file of a killed process opens");
    let mut job = match store.job(JobId::from_u128(1)).await.unwrap() {
        Some(row) => row.job,
        None => {
            store.commit(new_job(1)).await.unwrap();
            store.job(JobId::from_u128(1)).await.unwrap().unwrap().job
        }
    };
    loop {
        job.revision = store.commit(change(&job)).await.unwrap().revision;
        tell(&format!("acknowledged {}", job.revision));
    }
}

#[tokio::test]
async fn every_acknowledged_commit_survives_sigkill() {
    if let Some(path) = as_child() {
        return commit_for_ever(&path).await;
    }
    let folder = folder();
    let path = folder.path().join("jobs.db");
    let mut acknowledged = 0;
    for round in 0..12_u32 {
        let mut child = start_child("every_acknowledged_commit_survives_sigkill", &path);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = 1 + round * 37 % 101;
        let mut read = |count: u32| {
            let told = lines.by_ref().map_while(|line| line.ok());
            let revisions = told.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u64>().ok());
            revisions.take(count as usize).last()
        };
        let told = read(wanted).expect("the child commits");
        child.kill().unwrap();
        // What was told before the end counts as well.
        acknowledged = read(u32::MAX).unwrap_or(told);
        child.wait().unwrap();

        let store = SqliteStore::open(&path).await.expect("the file opens after a kill");
        let revision = store.job(JobId::from_u128(1)).await.unwrap().unwrap().job.revision;
        assert!(revision >= acknowledged, "round {round}: {acknowledged} was acknowledged, {revision} is stored");
        assert!(revision <= acknowledged + 1, "round {round}: one commit at most was under way");
        let filter = EventFilter { limit: Some(usize::MAX), ..EventFilter::default() };
        let events = store.events(&filter).await.unwrap();
        assert_eq!(events.len() as u64, revision, "round {round}: each commit has its one event");
        store.close().await.unwrap();
        acknowledged = revision;
    }
    assert!(acknowledged > 100);
}

#[tokio::test]
async fn a_second_process_is_refused() {
    if let Some(path) = as_child() {
        let _store = SqliteStore::open(&path).await.unwrap();
        tell("open");
        return std::future::pending().await;
    }
    let folder = folder();
    let path = folder.path().join("jobs.db");
    let mut child = start_child("a_second_process_is_refused", &path);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "open"));
    let error = refused(&path).await;
    let pid = child.id();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        format!(
            "store.open: the store '{}' is in use by process {pid}; stop that process, or name another file",
            path.display()
        )
    );
    SqliteStore::open(&path).await.expect("the lock of a killed process is free");
}

#[tokio::test]
async fn a_log_cut_anywhere_gives_a_prefix_of_the_commits() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    store.commit(new_job(1)).await.unwrap();
    for _ in 0..40 {
        let job = store.job(JobId::from_u128(1)).await.unwrap().unwrap().job;
        store.commit(change(&job)).await.unwrap();
    }
    let main = std::fs::read(&path).unwrap();
    let log = std::fs::read(folder.path().join("jobs.db-wal")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for step in 0..60 {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("jobs.db");
        let mut cut = log[..log.len() * step / 59].to_vec();
        if step % 3 == 1 {
            // The last bytes that reached the disk are rubbish.
            cut.iter_mut().rev().take(300).for_each(|byte| *byte ^= 0x5a);
        }
        std::fs::write(&path, &main).unwrap();
        std::fs::write(place.path().join("jobs.db-wal"), cut).unwrap();
        let store = SqliteStore::open(&path).await.unwrap();
        let events = store.events(&EventFilter::default()).await.unwrap().len() as u64;
        let revision = store.job(JobId::from_u128(1)).await.unwrap().map_or(0, |row| row.job.revision);
        assert_eq!(events, revision, "cut at step {step}");
        store.commit(Batch { events: vec![event(None)], ..Batch::default() }).await.unwrap();
        seen.insert(revision);
    }
    assert!(seen.len() > 10 && seen.contains(&41), "{seen:?}");
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_ends_with_the_shortage() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    let store = SqliteStore::open_with(&path, SqliteOptions::default().with_max_pages(80)).await.unwrap();
    store.commit(new_job(1)).await.unwrap();
    let mut large = event(None);
    large.message = "x".repeat(3_000);
    let fill = || Batch { events: vec![large.clone(); 3], ..Batch::default() };
    let mut kept = 1;
    let error = loop {
        match store.commit(fill()).await {
            Ok(_) => kept += 3,
            Err(error) => break error,
        }
    };
    assert!(kept > 10);
    assert_eq!((error.kind(), error.status()), (ErrorKind::Storage, ErrorStatus::Temporary));
    assert_eq!(
        error.to_string(),
        format!(
            "store.commit: the disk is full, nothing was written; free some space and try again (file: {})",
            path.display()
        )
    );
    // Of a group the large ones fail, each for itself; what still fits is kept.
    let mut batch = new_job(2);
    batch.events = vec![large.clone(); 3];
    let small = Batch { cluster: Some(ClusterRecord::new("dev")), ..Batch::default() };
    let (first, second, third) = tokio::join!(store.commit(batch), store.commit(small), store.commit(fill()));
    assert_eq!(first.unwrap_err().kind(), ErrorKind::Storage);
    second.expect("a small change still fits");
    assert_eq!(third.unwrap_err().kind(), ErrorKind::Storage);
    let all = EventFilter { limit: Some(usize::MAX), ..EventFilter::default() };
    assert_eq!(store.events(&all).await.unwrap().len(), kept, "nothing half-written");
    assert!(store.job(JobId::from_u128(2)).await.unwrap().is_none());

    let later = at().checked_add(jiff::SignedDuration::from_secs(1)).unwrap();
    assert!(store.prune(later, usize::MAX).await.unwrap() > 10, "what is old can be removed from a full store");
    store.commit(fill()).await.expect("there is room again");
    store.close().await.unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.events(&all).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_store_well() {
    let folder = folder();
    let store = Arc::new(SqliteStore::open(folder.path().join("jobs.db")).await.unwrap());
    for number in 0..50 {
        let commit = store.commit(new_job(number));
        let _ = tokio::time::timeout(Duration::from_micros(u64::try_from(number).unwrap() * 20), commit).await;
    }
    // Behind what was left in the queue, so that it is done before anything is read.
    store.commit(new_job(99)).await.unwrap();
    let rows = store.load().await.unwrap();
    let events = store.events(&EventFilter::default()).await.unwrap();
    assert_eq!(rows.len(), events.len(), "each job is stored with its event or not at all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_changes_at_once_share_few_syncs() {
    let folder = folder();
    let store = Arc::new(SqliteStore::open(folder.path().join("jobs.db")).await.unwrap());
    let create: Vec<_> = (0..1_000).map(|number| store.commit(new_job(number))).collect();
    for created in futures_util::future::join_all(create).await {
        created.unwrap();
    }
    let rows = store.load().await.unwrap();
    let started = Instant::now();
    for number in 1_000..1_100 {
        store.commit(new_job(number)).await.unwrap();
    }
    let alone = started.elapsed();
    let started = Instant::now();
    let tasks: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.commit(change(&row.job)).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap().revision, 2);
    }
    let took = started.elapsed();
    assert!(took < 6 * alone, "{took:?} for ten times as many as {alone:?} are enough for, one after the other");
}
