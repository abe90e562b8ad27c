//! The watcher of one cluster: asks for everything at once, and tells each keeper what changed for it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::machine::{Facts, Input};
use super::options::SupervisorOptions;
use super::shared::{Message, Shared, lock};
use super::view::ClusterView;
use crate::alert::{Alert, AlertId, AlertKind, Delivery, DeliveryId};
use crate::cluster::{Cluster, Observation};
use crate::job::{JobId, JobSpec, RunRef};
use crate::store::{Batch, ClusterRecord};
use crate::{Error, ErrorKind, Event, EventKind};

/// A cluster on which nothing runs is asked this much less often.
const IDLE: u32 = 10;

/// Into how many beats an interval is divided.
const BEATS: u32 = 20;

#[derive(Debug)]
pub(super) struct Watch {
    pub(super) name: String,
    pub(super) cluster: Arc<dyn Cluster>,
    pub(super) submissions: Semaphore,
    pub(super) calls: Semaphore,
    pub(super) ended: CancellationToken,
    runs: Mutex<HashMap<JobId, Watched>>,
    status: Mutex<Status>,
    /// Who hears of this cluster beside those who hear of its jobs.
    told: Mutex<Vec<String>>,
    nudged: Notify,
}

#[derive(Debug)]
struct Watched {
    run: RunRef,
    spec: Arc<JobSpec>,
    keeper: mpsc::Sender<Message>,
    /// Lists asked for before this say nothing of its absence.
    since: Instant,
    told: Option<Told>,
}

/// What a keeper was last told; unchanged, it is not told again.
#[derive(Debug, PartialEq)]
enum Told {
    Unreachable,
    Absent,
    Seen(u64),
}

#[derive(Debug)]
struct Status {
    record: ClusterRecord,
    answered_at: Option<Timestamp>,
    last_error: Option<String>,
    misses: u32,
    late_ticks: u64,
    nudged_at: Option<Instant>,
}

fn digest(seen: &Observation) -> u64 {
    let mut hash = DefaultHasher::new();
    (&seen.status, &seen.flink_job, &seen.deployment, &seen.note, &seen.copies).hash(&mut hash);
    hash.finish()
}

impl Watch {
    pub(super) fn new(
        name: String,
        cluster: Arc<dyn Cluster>,
        record: Option<ClusterRecord>,
        options: &SupervisorOptions,
    ) -> Self {
        let status = Status {
            record: record.unwrap_or_else(|| ClusterRecord::new(&name)),
            answered_at: None,
            last_error: None,
            misses: 0,
            late_ticks: 0,
            nudged_at: None,
        };
        Self {
            name,
            cluster,
            submissions: Semaphore::new(options.submissions_per_cluster.max(1)),
            calls: Semaphore::new(options.calls_per_cluster.max(1)),
            ended: CancellationToken::new(),
            runs: Mutex::default(),
            status: Mutex::new(status),
            told: Mutex::default(),
            nudged: Notify::new(),
        }
    }

    pub(super) fn facts(&self) -> Facts {
        let info = self.cluster.info();
        let mut facts = Facts::new(self.cluster.capability(), info.orphan_timeout);
        facts.incarnation = info.incarnation;
        facts.web_url = info.web_url;
        facts.reachable = lock(&self.status).record.unreachable_since.is_none();
        facts
    }

    pub(super) fn view(&self) -> ClusterView {
        let status = lock(&self.status);
        ClusterView {
            name: self.name.clone(),
            answered_at: status.answered_at,
            unreachable_since: status.record.unreachable_since,
            ended: status.record.ended.clone(),
            last_error: status.last_error.clone(),
            watched: lock(&self.runs).len(),
            late_ticks: status.late_ticks,
        }
    }

    pub(super) fn record(&self) -> ClusterRecord {
        lock(&self.status).record.clone()
    }

    /// Looks for `run` from now on, in place of the job's run before.
    pub(super) fn look_for(&self, run: RunRef, spec: Arc<JobSpec>, keeper: mpsc::Sender<Message>) {
        let job = run.key.job;
        let watched = Watched { run, spec, keeper, since: Instant::now(), told: None };
        let mut runs = lock(&self.runs);
        if runs.is_empty() {
            // Until now it was asked seldom.
            self.nudged.notify_one();
        }
        runs.insert(job, watched);
    }

    pub(super) fn forget(&self, job: JobId) {
        lock(&self.runs).remove(&job);
    }

    /// The keeper wants to hear of its run again, though nothing may have changed.
    pub(super) fn tell_anew(&self, job: JobId) {
        if let Some(watched) = lock(&self.runs).get_mut(&job) {
            watched.told = None;
        }
    }

    /// Something was changed on the cluster: it is asked at once, and more often for a while.
    pub(super) fn nudge(&self) {
        lock(&self.status).nudged_at = Some(Instant::now());
        self.nudged.notify_one();
    }

    pub(super) fn tell(&self, channels: Vec<String>) {
        *lock(&self.told) = channels;
    }

    pub(super) fn told(&self) -> Vec<String> {
        lock(&self.told).clone()
    }

    /// Who would hear of this cluster.
    fn channels(&self) -> Vec<String> {
        let mut all = self.told();
        let runs = lock(&self.runs);
        all.extend(runs.values().flat_map(|watched| watched.spec.alerts.iter().cloned()));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Notes an answer; gives what was known of a cluster that was unreachable until now.
    fn answered(&self, now: Timestamp) -> Option<ClusterRecord> {
        let mut status = lock(&self.status);
        status.misses = 0;
        status.answered_at = Some(now);
        status.last_error = None;
        status.record.unreachable_since.is_some().then(|| status.record.clone())
    }

    /// Whether the cluster has ended or is there again, and nobody was told.
    fn has_turned(&self) -> bool {
        self.cluster.ended().is_some() != lock(&self.status).record.ended.is_some()
    }

    fn pause(&self, options: &SupervisorOptions) -> Duration {
        let nudged = lock(&self.status).nudged_at;
        if nudged.is_some_and(|at| at.elapsed() < options.quick_for) {
            return options.quick_interval;
        }
        if lock(&self.runs).is_empty() { options.interval * IDLE } else { options.interval }
    }

    /// Tells each keeper what the list says of its run.
    fn distribute(&self, seen: &[Observation], asked: Instant) {
        let mut runs = lock(&self.runs);
        let by_job: HashMap<_, _> = match runs.len() {
            0..4 => HashMap::new(),
            _ => seen.iter().filter_map(|seen| Some((seen.flink_job?, seen))).collect(),
        };
        for watched in runs.values_mut() {
            let run = &watched.run;
            let found = by_job.get(&run.flink_job).copied().or_else(|| seen.iter().find(|seen| is(seen, run)));
            let told = match found {
                Some(seen) => Told::Seen(digest(seen)),
                None if asked < watched.since => continue,
                None => Told::Absent,
            };
            if watched.told.as_ref() == Some(&told) {
                continue;
            }
            let input = Input::Seen(run.key, found.map(|seen| Box::new(seen.clone())));
            // A keeper with a full mailbox hears of it with the next list.
            if watched.keeper.try_send(Message::Input(input)).is_ok() {
                watched.told = Some(told);
            }
        }
    }

    fn tell_unreachable(&self) {
        for watched in lock(&self.runs).values_mut() {
            if watched.told == Some(Told::Unreachable) {
                continue;
            }
            let input = Input::Unreachable(watched.run.key);
            if watched.keeper.try_send(Message::Input(input)).is_ok() {
                watched.told = Some(Told::Unreachable);
            }
        }
    }
}

/// Whether an observation is of this run. The tag counts only where the JobID is not known yet.
fn is(seen: &Observation, run: &RunRef) -> bool {
    if seen.flink_job == Some(run.flink_job) {
        return true;
    }
    let placed = run.deployment.is_some() && seen.deployment == run.deployment;
    placed || seen.key == Some(run.key)
}

/// The first beat from `at` on. Clusters that are asked on one beat share the cost of waking up; the beats of an
/// interval spread the load.
fn on_beat(at: Instant, origin: Instant, interval: Duration) -> Instant {
    let beat = (interval / BEATS).as_micros().max(1);
    let passed = at.saturating_duration_since(origin).as_micros();
    let beats = passed.div_ceil(beat);
    origin + Duration::from_micros(u64::try_from(beats.saturating_mul(beat)).unwrap_or(u64::MAX))
}

/// Asks `watch`'s cluster until it is taken out or the supervisor closes.
pub(super) async fn watch(shared: Arc<Shared>, watch: Arc<Watch>) {
    let options = &shared.options;
    let mut hash = DefaultHasher::new();
    watch.name.hash(&mut hash);
    let phase = (hash.finish() % 1_000) as f64 / 1_000.0;
    let origin = shared.began;
    let mut due = on_beat(Instant::now() + options.interval.mul_f64(phase), origin, options.interval);
    loop {
        tokio::select! {
            () = shared.closing.cancelled() => return,
            () = watch.ended.cancelled() => return,
            () = sleep_until(due) => {
                if due.elapsed() > options.interval / 4 {
                    lock(&watch.status).late_ticks += 1;
                }
            }
            () = watch.nudged.notified() => {}
        }
        let asked = Instant::now();
        let answer = tokio::select! {
            () = shared.closing.cancelled() => return,
            answer = timeout(options.observe_timeout, watch.cluster.observe()) => answer,
        };
        let answer = answer.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Timeout, format!("no answer within {:?}", options.observe_timeout)))
        });
        match answer {
            Ok(seen) => {
                // Boxed: what is rare makes no task larger, and there is one for each cluster.
                if let Some(record) = watch.answered(shared.clock.now()) {
                    Box::pin(recovered(&shared, &watch, record)).await;
                }
                if watch.has_turned() {
                    Box::pin(turned(&shared, &watch)).await;
                }
                watch.distribute(&seen, asked);
            }
            Err(error) => Box::pin(missed(&shared, &watch, &error)).await,
        }
        // A slow cluster is asked less often, and never twice at once.
        let kept = asked.checked_duration_since(due).is_some_and(|late| late < options.interval / 4);
        let next = if kept { due } else { asked } + watch.pause(options);
        due = on_beat(next.max(Instant::now()), origin, options.interval);
    }
}

async fn recovered(shared: &Arc<Shared>, watch: &Watch, record: ClusterRecord) {
    let now = shared.clock.now();
    let mut kept = ClusterRecord::new(&watch.name);
    kept.ended.clone_from(&record.ended);
    let since = record.unreachable_since.unwrap_or(now);
    let seconds = now.duration_since(since).as_secs();
    let message = format!("cluster '{}' answers again after {seconds} s", watch.name);
    if change(shared, watch, kept, AlertKind::ClusterRecovered, record.incident, message, None).await {
        for slot in shared.slots().by_id.values() {
            let view = slot.view();
            let here =
                view.spec.cluster == watch.name || view.run.as_ref().is_some_and(|run| run.cluster == watch.name);
            if here {
                // A keeper with a full mailbox tries again by its own waits.
                let _ = slot.mailbox.try_send(Message::Input(Input::Reachable));
            }
        }
    }
}

/// The cluster itself has ended, or another one stands in its place.
async fn turned(shared: &Arc<Shared>, watch: &Watch) {
    let now = shared.clock.now();
    let mut record = watch.record();
    match watch.cluster.ended() {
        Some(failure) => {
            let (incident, reason) = (format!("cluster {} {}", watch.name, now.as_millisecond()), failure.one_line());
            record.ended = Some(reason.clone());
            record.incident = Some(incident.clone());
            let message = format!("cluster '{}' has ended: {reason}", watch.name);
            change(shared, watch, record, AlertKind::ClusterEnded, Some(incident), message, Some(reason)).await;
        }
        None => {
            let incident = record.incident.take();
            record.ended = None;
            let message = format!("cluster '{}' is there again", watch.name);
            change(shared, watch, record, AlertKind::ClusterRecovered, incident, message, None).await;
        }
    }
}

async fn missed(shared: &Arc<Shared>, watch: &Watch, error: &Error) {
    let now = shared.clock.now();
    let own_fault = error.kind() == ErrorKind::Timeout && shared.was_starved();
    let newly = {
        let mut status = lock(&watch.status);
        status.misses = status.misses.saturating_add(u32::from(!own_fault));
        status.last_error = Some(error.chain());
        let known = status.record.unreachable_since.is_some();
        (status.misses >= shared.options.misses.max(1) && !known).then(|| status.record.clone())
    };
    if let Some(mut record) = newly {
        let incident = format!("cluster {} {}", watch.name, now.as_millisecond());
        record.unreachable_since = Some(now);
        record.incident = Some(incident.clone());
        let message = format!("cluster '{}' does not answer: {}", watch.name, error.message());
        change(shared, watch, record, AlertKind::ClusterUnreachable, Some(incident), message, Some(error.chain()))
            .await;
    }
    if lock(&watch.status).record.unreachable_since.is_some() {
        watch.tell_unreachable();
    }
}

/// Commits what is known of the cluster together with its event and its one message for each channel.
async fn change(
    shared: &Arc<Shared>,
    watch: &Watch,
    record: ClusterRecord,
    kind: AlertKind,
    incident: Option<String>,
    message: String,
    error: Option<String>,
) -> bool {
    let now = shared.clock.now();
    let mut batch = Batch { cluster: Some(record.clone()), ..Batch::default() };
    let event = |kind, message: &str| {
        let mut event = Event::new(kind, Event::SUPERVISOR, now, message);
        event.cluster = Some(watch.name.clone());
        event
    };
    let mut changed = event(EventKind::ClusterChanged, &message);
    changed.error = error;
    batch.events.push(changed);
    let channels = watch.channels();
    if let Some(incident) = incident.filter(|_| !channels.is_empty()) {
        let mut alert = Alert::new(AlertId::generate(), kind, incident, &message, now);
        alert.cluster = Some(watch.name.clone());
        let runs = lock(&watch.runs).len();
        alert.action = Some(match kind {
            AlertKind::ClusterUnreachable => {
                format!(
                    "{runs} jobs run there; none is restarted, since a cluster that cannot be seen may still run them"
                )
            }
            AlertKind::ClusterEnded => {
                format!("{runs} jobs ran there; start it again, or name another cluster in their specs")
            }
            _ => format!("{runs} jobs are watched there again"),
        });
        if let Some(url) = watch.cluster.info().web_url {
            alert.links.insert("flink".to_owned(), url.to_string());
        }
        let mut raised = event(EventKind::AlertRaised, &message);
        raised.data = serde_json::json!({"alert": alert.id, "kind": alert.kind, "incident": alert.incident, "channels": channels});
        batch.events.push(raised);
        batch.deliveries =
            channels.iter().map(|channel| Delivery::new(DeliveryId::generate(), channel, alert.clone())).collect();
    }
    match shared.commit(batch).await {
        Ok(committed) => {
            lock(&watch.status).record = record;
            shared.publish(&committed.events);
            true
        }
        // The next tick tries again.
        Err(error) => {
            tracing::warn!(cluster = %watch.name, error = %error.chain(), "a change of the cluster could not be stored");
            false
        }
    }
}
