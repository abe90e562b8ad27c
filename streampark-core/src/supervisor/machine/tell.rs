//! Events and alerts: what the history keeps and what people hear.

use sha2::{Digest as _, Sha256};

use super::memory::Machine;
use super::step::Work;
use crate::alert::{Alert, AlertId, AlertKind, Delivery, DeliveryId};
use crate::job::Failure;
use crate::{Event, EventKind};

impl Machine {
    /// An event about this job and its newest run.
    pub(super) fn event(&self, kind: EventKind, message: impl Into<String>, work: &Work<'_>) -> Event {
        let mut event = Event::new(kind, &work.actor, work.now(), message);
        event.job = Some(self.job.id);
        event.job_name = Some(self.job.name.clone());
        event.run = self.job.run_key();
        event.cluster = Some(self.cluster().to_owned());
        event
    }

    pub(super) fn record(&self, kind: EventKind, message: impl Into<String>, work: &mut Work<'_>) {
        let event = self.event(kind, message, work);
        work.step.batch.events.push(event);
    }

    /// Writes an alert of this job to the outbox of each of its channels.
    pub(super) fn tell(&self, about: Telling, work: &mut Work<'_>) {
        if self.spec.alerts.is_empty() {
            return;
        }
        let (run, now) = (self.job.run_key(), work.now());
        let id = |part: &str| {
            // The same change makes the same identity, so that nothing is told twice.
            let hash = Sha256::new()
                .chain_update(self.job.id.to_string())
                .chain_update(self.job.revision.to_be_bytes())
                .chain_update(about.kind.as_str())
                .chain_update(part)
                .finalize();
            let mut random = [0; 10];
            random.copy_from_slice(&hash[..10]);
            let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
            uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().as_u128()
        };
        let incident = about.incident.clone();
        let title = format!("{}: {}", self.job.name, about.title);
        let mut alert = Alert::new(AlertId::from_u128(id("")), about.kind, incident, title, now);
        alert.job = Some(self.job.id);
        alert.job_name = Some(self.job.name.clone());
        alert.run = run;
        alert.cluster = Some(self.cluster().to_owned());
        alert.owner = self.spec.owner.clone();
        alert.cause = about.cause;
        alert.action = about.action;
        alert.links = self.spec.links.clone();
        if let Some(url) = (work.setting.clusters)(self.cluster()).and_then(|facts| facts.web_url) {
            alert.links.entry("flink".to_owned()).or_insert_with(|| url.to_string());
        }
        let mut event = self.event(EventKind::AlertRaised, alert.title.clone(), work);
        event.data = serde_json::json!({
            "alert": alert.id, "kind": alert.kind, "incident": alert.incident, "channels": self.spec.alerts,
        });
        work.step.batch.events.push(event);
        for channel in &self.spec.alerts {
            let delivery = Delivery::new(DeliveryId::from_u128(id(channel)), channel, alert.clone());
            work.step.batch.deliveries.push(delivery);
        }
    }

    /// The incident that is open, or a new one named after the newest run.
    pub(super) fn open_incident(&mut self, work: &mut Work<'_>) -> String {
        let name = || match self.job.run_key() {
            Some(run) => run.to_string(),
            None => self.job.id.to_string(),
        };
        let incident = self.job.incident.clone().unwrap_or_else(name);
        self.job.incident = Some(incident.clone());
        work.job_changed = true;
        incident
    }

    /// Tells that the open incident is over, where there is one.
    pub(super) fn close_incident(&mut self, title: impl Into<String>, work: &mut Work<'_>) {
        let Some(incident) = self.job.incident.take() else { return };
        work.job_changed = true;
        self.tell(Telling::new(AlertKind::JobRecovered, incident, title), work);
    }
}

/// An alert without what every alert of the job carries.
pub(super) struct Telling {
    kind: AlertKind,
    incident: String,
    title: String,
    cause: Option<Failure>,
    action: Option<String>,
}

impl Telling {
    pub(super) fn new(kind: AlertKind, incident: impl Into<String>, title: impl Into<String>) -> Self {
        Self { kind, incident: incident.into(), title: title.into(), cause: None, action: None }
    }

    pub(super) fn cause(mut self, cause: Option<Failure>) -> Self {
        self.cause = cause;
        self
    }

    pub(super) fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }
}
