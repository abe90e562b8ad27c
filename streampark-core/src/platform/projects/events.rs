//! What happens to projects and their builds, in the history.

use std::sync::{PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Inner, Projects};
use crate::build::{BuildRecord, BuildState, Told};
use crate::project::{Revision, SyncReport};
use crate::store::EventFilter;
use crate::supervisor::EventRecorder;
use crate::{Event, EventKind, Result, StreamPark};

/// How long a history that takes no events is left alone.
const PATIENCE: Duration = Duration::from_secs(5);
/// Events that are looked through for those of one project.
const LOOKED_THROUGH: usize = 10_000;
/// Events that are committed at once.
const PAGE: usize = 200;

/// The kinds of events that tell of projects.
const KINDS: [EventKind; 8] = [
    EventKind::ProjectChanged,
    EventKind::ProjectSynced,
    EventKind::BuildQueued,
    EventKind::BuildStarted,
    EventKind::BuildSucceeded,
    EventKind::BuildFailed,
    EventKind::BuildCancelled,
    EventKind::BuildInterrupted,
];

impl Projects {
    /// What happened to a project and its builds, newest first, at most `limit` of the newest 10,000 events of all
    /// projects; without an engine nothing is written down.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn history(&self, project: &str, limit: usize) -> Result<Vec<Event>> {
        let Some(store) = self.store() else { return Ok(Vec::new()) };
        let filter = EventFilter {
            kinds: KINDS.to_vec(),
            newest_first: true,
            limit: Some(LOOKED_THROUGH),
            ..EventFilter::default()
        };
        let own = |event: &Event| event.data.get("project").and_then(|name| name.as_str()) == Some(project);
        Ok(store.events(&filter).await?.into_iter().filter(own).take(limit).collect())
    }

    /// Begins to tell the history of builds: what it has not heard, then what happens.
    pub(super) fn tell(&self, recorder: &EventRecorder) {
        let ended = CancellationToken::new();
        let mut way = self.inner.recorder.write().unwrap_or_else(PoisonError::into_inner);
        let before = way.replace((recorder.clone(), ended.clone()));
        drop(way);
        if let Some((_, before)) = before {
            before.cancel();
        }
        let (inner, closing) = (std::sync::Arc::downgrade(&self.inner), recorder.closing());
        let teller = tell_builds(inner, recorder.clone(), self.builds().changes());
        recorder.beside(async move {
            tokio::select! {
                () = closing.cancelled() => {}
                () = ended.cancelled() => {}
                () = teller => {}
            }
        });
    }

    /// Writes one event down, where there is an engine; what happened has happened, whether or not that works.
    pub(super) async fn record(&self, event: Event) {
        let recorder = self.inner.recorder.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((recorder, _)) = recorder else { return };
        if let Err(error) = recorder.record(vec![event]).await {
            tracing::warn!(error = %error.chain(), "what happened to a project is not in the history");
        }
    }

    pub(super) async fn changed(&self, project: &str, what: &str) {
        let mut event = self.event(EventKind::ProjectChanged, format!("the project '{project}' was {what}"));
        event.data = json!({"project": project});
        self.record(event).await;
    }

    pub(super) async fn synced(&self, project: &str, result: &Result<SyncReport>) {
        let mut event = match result {
            Ok(report) => {
                let (commit, on) = spoken(&report.revision);
                self.event(EventKind::ProjectSynced, format!("'{project}' was synchronised: it stands at {commit}{on}"))
            }
            Err(_) => self.event(EventKind::ProjectSynced, format!("'{project}' could not be synchronised")),
        };
        event.data = json!({"project": project});
        match result {
            Ok(report) => {
                let bytes = report.received_bytes;
                let (commit, author) = (&report.revision.id, &report.revision.author);
                event.data = json!({"project": project, "commit": commit, "author": author,
                    "changed": report.changed, "received_bytes": bytes});
            }
            Err(error) => event.error = Some(error.message().to_owned()),
        }
        self.record(event).await;
    }

    fn event(&self, kind: EventKind, message: String) -> Event {
        Event::new(kind, self.actor.as_ref(), Timestamp::now(), message)
    }
}

/// Until the projects end: each change of a build goes into the history, and is marked as told after that.
async fn tell_builds(projects: Weak<Inner>, recorder: EventRecorder, mut changes: tokio::sync::watch::Receiver<u64>) {
    loop {
        changes.mark_unchanged();
        let Some(queue) = projects.upgrade().map(|inner| inner.queue.clone()) else { return };
        let untold = queue.untold();
        for some in untold.chunks(PAGE / 4) {
            let events = some.iter().flat_map(|(record, told)| events_of(record, *told)).collect();
            if let Err(error) = recorder.record(events).await {
                tracing::warn!(error = %error.chain(), "the history takes no news of builds; it is tried again");
                tokio::time::sleep(PATIENCE).await;
                break;
            }
            for (record, _) in some {
                if let Err(error) = queue.told(record).await {
                    tracing::warn!(error = %error.chain(), "the history may hear of a build twice");
                }
            }
        }
        let all_told = queue.untold().is_empty();
        drop(queue);
        if all_told && changes.changed().await.is_err() {
            return;
        }
    }
}

/// What the history has not heard of a build.
fn events_of(record: &BuildRecord, told: Told) -> Vec<Event> {
    let project = &record.order.project;
    let actor = match record.order.actor.as_str() {
        "" => StreamPark::DEFAULT_ACTOR,
        actor => actor,
    };
    let data = json!({"project": project, "build": record.id});
    let mut events = Vec::new();
    let mut add = |kind, actor: &str, at, message: String| {
        let mut event = Event::new(kind, actor, at, message);
        event.data.clone_from(&data);
        events.push(event);
    };
    if told < Told::Queued {
        let at = record.order.revision.as_ref().map(|commit| format!(" at {}", short(commit))).unwrap_or_default();
        add(EventKind::BuildQueued, actor, record.queued_at, format!("a build of '{project}'{at} was asked for"));
    }
    if let Some(at) = record.started_at.filter(|_| told < Told::Started) {
        add(EventKind::BuildStarted, Event::SUPERVISOR, at, format!("a build of '{project}' began"));
    }
    if record.state.is_over() {
        let mut event = end_of(record, project);
        event.at = record.ended_at.unwrap_or_else(Timestamp::now);
        events.push(event);
    }
    events
}

fn end_of(record: &BuildRecord, project: &str) -> Event {
    let event = |kind, message: String| Event::new(kind, Event::SUPERVISOR, Timestamp::UNIX_EPOCH, message);
    let revision = record.revision.as_ref();
    let mut ended = match record.state {
        BuildState::Succeeded => {
            let modules: Vec<&str> = record.artifacts.iter().map(|(module, _)| module.as_str()).collect();
            let modules = if modules == [""] { "its artifact".to_owned() } else { modules.join(", ") };
            let of = revision.map(spoken).map(|(commit, on)| format!(" of {commit}{on}")).unwrap_or_default();
            let how = match &record.reused {
                Some(earlier) => format!("took {modules}{of} from the build {earlier}"),
                None => format!("made {modules}{of}"),
            };
            event(EventKind::BuildSucceeded, format!("a build of '{project}' {how}"))
        }
        BuildState::Cancelled => event(EventKind::BuildCancelled, format!("a build of '{project}' was cancelled")),
        BuildState::Interrupted => {
            event(EventKind::BuildInterrupted, format!("a build of '{project}' was cut off: its process ended"))
        }
        _ => event(EventKind::BuildFailed, format!("a build of '{project}' failed")),
    };
    if let Some(by) = &record.ended_by {
        ended.actor.clone_from(by);
    }
    ended.error = record.problem.as_ref().map(|problem| problem.message.clone());
    let artifacts: std::collections::BTreeMap<_, _> = record.artifacts.iter().cloned().collect();
    ended.data = json!({
        "project": project,
        "build": record.id,
        "commit": revision.map(|revision| &revision.id),
        "branch": revision.and_then(|revision| revision.reference.as_ref()),
        "author": revision.and_then(|revision| revision.author.as_ref()),
        "artifacts": artifacts,
        "reused": record.reused,
        "reason": record.problem.as_ref().and_then(|problem| problem.reason),
    });
    ended
}

/// A commit in words, and where it stands.
fn spoken(revision: &Revision) -> (&str, String) {
    let on = revision.reference.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
    (short(&revision.id), on)
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
