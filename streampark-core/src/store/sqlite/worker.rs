//! The threads that touch the file: one writes, others read.
//!
//! A thread of its own, rather than the runtime's blocking pool, because the writer gains by seeing
//! everything that waits (one sync for all of it), because a connection with its prepared statements
//! stays where it is, and because a full blocking pool can then not delay an intent. Queues are
//! bounded; a caller waits for room without holding a thread.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::SqliteOptions;
use super::failure::{Failure, storage};
use super::open::{self, Opened};
use crate::store::rules;
use crate::{Error, ErrorKind, ErrorStatus, Result};

/// Calls that wait for a thread before further callers wait for room.
const QUEUE: usize = 1024;
/// Most batches that share one sync: bounds how long the first waits for the last.
const GROUP: usize = 512;

/// A piece of work and whoever waits for it. It may be run again where a shared commit failed.
trait Task: Send {
    fn run(&mut self, connection: &Connection) -> Result<(), Failure>;
    fn answer(self: Box<Self>, outcome: Result<()>);
    fn is_abandoned(&self) -> bool;
}

struct Call<T, F> {
    work: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Task for Call<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T, Failure> + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), Failure> {
        self.value = Some((self.work)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<()>) {
        let Self { value, reply, .. } = *self;
        // Nobody may be waiting any more; the work is done all the same.
        let _ = reply.send(outcome.and_then(|()| value.ok_or_else(thread_died)));
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

enum Message {
    Task(Box<dyn Task>),
    Stop,
}

type Queue = mpsc::Receiver<Message>;

/// The near end of one or several threads with one queue.
pub(super) struct Worker {
    queue: mpsc::Sender<Message>,
    closed: AtomicBool,
    /// Ends when the threads have ended.
    ended: watch::Receiver<()>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("waiting", &(QUEUE - self.queue.capacity()))
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl Worker {
    /// Runs `work` on a thread of this worker.
    pub(super) async fn call<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        if self.closed.load(Ordering::Acquire) {
            return Err(rules::closed());
        }
        let (reply, answer) = oneshot::channel();
        let task = Box::new(Call { work, value: None, reply });
        if self.queue.send(Message::Task(task)).await.is_err() {
            return Err(if self.closed.load(Ordering::Acquire) { rules::closed() } else { thread_died() });
        }
        answer.await.unwrap_or_else(|_| Err(thread_died()))
    }

    /// Refuses new calls, finishes those that wait, and returns when the threads have ended.
    pub(super) async fn stop(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            // Fails where the threads have ended already.
            let _ = self.queue.send(Message::Stop).await;
        }
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

/// Opens the file on the writing thread and starts the readers beside it.
pub(super) async fn start(path: PathBuf, options: SqliteOptions) -> Result<(PathBuf, Worker, Worker)> {
    let (writes, write_queue) = mpsc::channel(QUEUE);
    let (reads, read_queue) = mpsc::channel(QUEUE);
    let (write_end, write_ended) = watch::channel(());
    let (read_end, read_ended) = watch::channel(());
    let (ready, opened) = oneshot::channel();
    spawn("streampark-store", move || {
        let _end = write_end;
        let start = || {
            let opened = open::open(&path, &options)?;
            let readers = start_readers(&opened, &options, read_queue, read_end)?;
            Ok((opened, readers))
        };
        match start() {
            Ok((opened, readers)) => {
                if ready.send(Ok(opened.path.clone())).is_ok() {
                    write_loop(&opened.connection, write_queue);
                }
                end(opened, readers);
            }
            // Whoever opened the store may have gone.
            Err(error) => drop(ready.send(Err(error))),
        }
    })?;
    let path = opened.await.unwrap_or_else(|_| Err(thread_died()))?;
    let worker = |queue, ended| Worker { queue, closed: AtomicBool::new(false), ended };
    Ok((path, worker(writes, write_ended), worker(reads, read_ended)))
}

fn start_readers(
    opened: &Opened,
    options: &SqliteOptions,
    queue: Queue,
    end: watch::Sender<()>,
) -> Result<Vec<JoinHandle<()>>> {
    let queue = Arc::new(Mutex::new(queue));
    let end = Arc::new(end);
    let start = |number: usize| {
        let connection = open::reader(&opened.path, options)?;
        let (queue, end) = (Arc::clone(&queue), Arc::clone(&end));
        spawn(&format!("streampark-read-{number}"), move || {
            let _end = end;
            read_loop(&connection, &queue);
        })
    };
    (1..=options.readers.max(1)).map(start).collect()
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(body).map_err(|source| {
        Error::new(ErrorKind::Exhausted, "the store cannot start its threads; raise the limit of threads")
            .with_source(source)
    })
}

fn read_loop(connection: &Connection, queue: &Mutex<Queue>) {
    loop {
        // One reader waits in the queue, the others wait for its place.
        let message = {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            let message = queue.blocking_recv();
            if matches!(message, Some(Message::Stop)) {
                queue.close();
            }
            message
        };
        match message {
            Some(Message::Task(task)) if task.is_abandoned() => {}
            Some(Message::Task(mut task)) => {
                let outcome = task.run(connection).map_err(Error::from);
                task.answer(outcome);
            }
            Some(Message::Stop) => {}
            None => return,
        }
    }
}

fn write_loop(connection: &Connection, mut queue: Queue) {
    let mut group = Vec::new();
    let mut taken = Vec::new();
    while queue.blocking_recv_many(&mut taken, GROUP) > 0 {
        for message in taken.drain(..) {
            match message {
                Message::Task(task) if task.is_abandoned() => {}
                Message::Task(task) => group.push(task),
                Message::Stop => queue.close(),
            }
        }
        match group.len() {
            0 => {}
            1 => group.drain(..).for_each(|task| run_alone(connection, task)),
            _ => run_group(connection, &mut group),
        }
    }
}

fn run_alone(connection: &Connection, mut task: Box<dyn Task>) {
    let outcome = transaction(connection, |connection| task.run(connection));
    task.answer(outcome.map_err(Error::from));
}

/// Commits `tasks` with one sync. A task that breaks a rule takes back its own changes only. Where
/// the file itself fails, SQLite may have taken back more than one task: each is then run alone, so
/// that as many as can be are kept and each gets its own answer. A disk that fails is not asked again.
fn run_group(connection: &Connection, tasks: &mut Vec<Box<dyn Task>>) {
    let mut outcomes = Vec::with_capacity(tasks.len());
    let committed = transaction(connection, |connection| {
        for task in tasks.iter_mut() {
            outcomes.push(apart(connection, task.as_mut())?);
        }
        Ok(())
    });
    match committed {
        Ok(()) => tasks.drain(..).zip(outcomes).for_each(|(task, outcome)| task.answer(outcome)),
        Err(failure) if failure.is_io() => tasks.drain(..).for_each(|task| task.answer(Err(failure.to_error()))),
        Err(_) => tasks.drain(..).for_each(|task| run_alone(connection, task)),
    }
}

/// Runs one task of a group: Ok holds its answer, Err means that the whole group failed.
fn apart(connection: &Connection, task: &mut dyn Task) -> Result<Result<()>, Failure> {
    run_cached(connection, "SAVEPOINT batch")?;
    match task.run(connection) {
        Ok(()) => {
            run_cached(connection, "RELEASE batch")?;
            Ok(Ok(()))
        }
        Err(Failure::Rule(error)) => {
            run_cached(connection, "ROLLBACK TO batch")?;
            run_cached(connection, "RELEASE batch")?;
            Ok(Err(error))
        }
        Err(failure) => Err(failure),
    }
}

fn transaction(connection: &Connection, body: impl FnOnce(&Connection) -> Result<(), Failure>) -> Result<(), Failure> {
    run_cached(connection, "BEGIN IMMEDIATE")?;
    let outcome = body(connection).and_then(|()| Ok(run_cached(connection, "COMMIT")?));
    // SQLite rolls back by itself after some failures (a full disk, for one), but not after all.
    if outcome.is_err()
        && !connection.is_autocommit()
        && let Err(source) = run_cached(connection, "ROLLBACK")
    {
        tracing::error!(error = %source, "the store could not take back a failed change");
    }
    outcome
}

fn run_cached(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// Leaves one file behind: the log is written back and removed, then the lock goes.
fn end(opened: Opened, readers: Vec<JoinHandle<()>>) {
    for reader in readers {
        // A reader that panicked has been told of by its caller's error.
        let _ = reader.join();
    }
    let Opened { path, connection, lock } = opened;
    let truncated = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    if let Err(source) = truncated.and_then(|()| connection.close().map_err(|(_, source)| source)) {
        let error = storage(source);
        tracing::warn!(file = %path.display(), error = %error.chain(), "the store's log stays beside its file; nothing is lost");
    }
    drop(lock);
}

fn thread_died() -> Error {
    Error::new(ErrorKind::Internal, "a thread of the store ended early; open the store again")
        .with_status(ErrorStatus::Unknown)
}
