//! What the tasks of one supervisor share.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::command::Command;
use super::machine::{Facts, Input};
use super::options::SupervisorOptions;
use super::view::JobView;
use super::watch::Watch;
use crate::job::{JobId, ProgramContext, ProgramRegistry};
use crate::store::{Batch, Committed, Store};
use crate::{ErrorKind, ErrorStatus, Event, Result, SharedClock};

/// What reaches a job's keeper.
pub(super) enum Message {
    Input(Input),
    Command(Box<Command>, oneshot::Sender<Result<JobView>>),
}

/// A job's place: its newest view, and the way to its keeper.
#[derive(Debug)]
pub(super) struct Slot {
    view: Mutex<Arc<JobView>>,
    pub(super) mailbox: mpsc::Sender<Message>,
}

impl Slot {
    pub(super) fn new(view: JobView, mailbox: mpsc::Sender<Message>) -> Self {
        Self { view: Mutex::new(Arc::new(view)), mailbox }
    }

    pub(super) fn view(&self) -> Arc<JobView> {
        Arc::clone(&lock(&self.view))
    }

    pub(super) fn show(&self, view: JobView) {
        *lock(&self.view) = Arc::new(view);
    }
}

#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) by_id: BTreeMap<JobId, Arc<Slot>>,
    pub(super) by_name: HashMap<String, JobId>,
}

pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) programs: ProgramRegistry,
    pub(super) context: ProgramContext,
    pub(super) clock: SharedClock,
    pub(super) options: SupervisorOptions,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) submissions: Semaphore,
    pub(super) calls: Semaphore,
    /// No new work is begun.
    pub(super) closing: CancellationToken,
    /// A shutdown has ended: nothing more is committed.
    pub(super) over: CancellationToken,
    /// What is under way is given up.
    pub(super) killed: CancellationToken,
    pub(super) tasks: tokio_util::task::TaskTracker,
    pub(super) finished: AtomicUsize,
    pub(super) given_up: AtomicUsize,
    slots: RwLock<Slots>,
    clusters: RwLock<BTreeMap<String, Arc<Watch>>>,
    trouble: Mutex<Option<String>>,
    /// From when the beats of the watchers are counted.
    pub(super) began: Instant,
    /// When this process was last seen to get no time.
    starved: Mutex<Option<Instant>>,
}

/// How often the pulse of this process is felt, and how late it may be.
const PULSE: Duration = Duration::from_millis(250);
const LATE: Duration = Duration::from_millis(750);

pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(parts: super::SupervisorParts) -> Self {
        let options = parts.options;
        Self {
            store: parts.store,
            programs: parts.programs,
            context: parts.context,
            clock: parts.clock,
            events: broadcast::Sender::new(options.events.max(1)),
            submissions: Semaphore::new(options.submissions.max(1)),
            calls: Semaphore::new(options.calls.max(1)),
            closing: CancellationToken::new(),
            killed: CancellationToken::new(),
            over: CancellationToken::new(),
            tasks: tokio_util::task::TaskTracker::new(),
            finished: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
            slots: RwLock::default(),
            clusters: RwLock::default(),
            trouble: Mutex::default(),
            began: Instant::now(),
            starved: Mutex::default(),
            options,
        }
    }

    pub(super) fn slots(&self) -> RwLockReadGuard<'_, Slots> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn slots_mut(&self) -> RwLockWriteGuard<'_, Slots> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn slot(&self, job: JobId) -> Option<Arc<Slot>> {
        self.slots().by_id.get(&job).cloned()
    }

    pub(super) fn clusters(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Watch>>> {
        self.clusters.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clusters_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<Watch>>> {
        self.clusters.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watch(&self, name: &str) -> Option<Arc<Watch>> {
        self.clusters().get(name).cloned()
    }

    pub(super) fn facts(&self, name: &str) -> Option<Facts> {
        self.watch(name).map(|watch| watch.facts())
    }

    /// Feels whether this process gets its time: one that does not takes every cluster for silent.
    pub(super) async fn feel_pulse(self: Arc<Self>) {
        loop {
            let began = Instant::now();
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = tokio::time::sleep(PULSE) => {}
            }
            if began.elapsed() > PULSE + LATE {
                tracing::warn!(late = ?(began.elapsed() - PULSE), "this process got no time; silence of clusters is not counted");
                *lock(&self.starved) = Some(Instant::now());
            }
        }
    }

    /// Whether this process got no time lately, so that a cluster that seems silent may have answered.
    pub(super) fn was_starved(&self) -> bool {
        let window = self.options.observe_timeout + self.options.interval;
        lock(&self.starved).is_some_and(|at| at.elapsed() < window)
    }

    pub(super) fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// Commits, and tells followers. Storage that fails for the moment is tried again until the
    /// supervisor is given up; meanwhile the caller waits, and nothing is sent anywhere.
    pub(super) async fn commit_patiently(&self, batch: &Batch) -> Result<Committed> {
        let mut wait = self.options.storage_backoff;
        loop {
            match self.commit(batch.clone()).await {
                Err(error) if may_pass(&error) => {
                    tracing::warn!(error = %error.chain(), "the store refuses a commit; it is tried again");
                }
                other => return other,
            }
            tokio::select! {
                () = self.killed.cancelled() => {
                    return Err(crate::Error::new(ErrorKind::Cancelled, "the supervisor was shut down while the store refused"));
                }
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(self.options.storage_backoff_max),
            }
        }
    }

    /// Commits once.
    pub(super) async fn commit(&self, batch: Batch) -> Result<Committed> {
        let result = self.store.commit(batch).await;
        match &result {
            Ok(_) => *lock(&self.trouble) = None,
            Err(error) if may_pass(error) => *lock(&self.trouble) = Some(error.chain()),
            Err(_) => {}
        }
        result
    }

    pub(super) fn publish(&self, events: &[Event]) {
        for event in events {
            tracing::info!(
                kind = event.kind.as_str(),
                job = event.job_name.as_deref(),
                run = event.run.map(tracing::field::display),
                cluster = event.cluster.as_deref(),
                actor = %event.actor,
                error = event.error.as_deref(),
                "{}", event.message
            );
            // Nobody may be following.
            let _ = self.events.send(event.clone());
        }
    }

    pub(super) fn count(&self, counter: &AtomicUsize) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether the store may take the same batch later.
pub(super) fn may_pass(error: &crate::Error) -> bool {
    error.kind() == ErrorKind::Storage || error.status() != ErrorStatus::Permanent
}
