//! What may be at work after an application's end: containers that YARN has not ended yet, or cannot reach.
//!
//! An application that says goodbye has ended its tasks before. One whose JobManager died, or that was killed,
//! leaves its TaskManagers to YARN, which ends them by the next heartbeats of their nodes. A node that no
//! longer answers ends nobody: its tasks go on until they miss their JobManager.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use streampark_core::cluster::{Observation, RunStatus};
use streampark_core::{Error, ErrorKind, Result};
use tokio::time::timeout;
use url::Url;

use super::observe::Memory;
use crate::auth::Service;
use crate::failure::node_was_lost;
use crate::ground::Yarn;
use crate::http::Request;
use crate::wire::{App, AppState, Many, Node};

/// YARN ends the containers of an application that is over within a few heartbeats of their nodes: so long,
/// its end is not told yet.
const SETTLING: SignedDuration = SignedDuration::from_secs(10);

/// A node has this long to say what runs on it.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How many nodes are asked at the same time, and at most.
const PARALLEL: usize = 64;
const MOST_NODES: usize = 4_096;

/// A ResourceManager knows by minutes only when a lost node was last well.
const LOST_LATELY: i64 = 15 * 60_000;

/// Whether nobody but YARN ended the application's tasks.
pub(super) fn ended_by_yarn_alone(app: &App) -> bool {
    matches!(app.state, AppState::Failed | AppState::Killed)
}

impl Yarn {
    fn orphans_until(&self, app: &App) -> Timestamp {
        let finished = Timestamp::from_millisecond(app.finished_time).ok().filter(|_| app.finished_time > 0);
        let wait = SignedDuration::try_from(self.options.orphan_timeout).unwrap_or(SignedDuration::MAX);
        finished.unwrap_or_else(Timestamp::now).checked_add(wait).unwrap_or(Timestamp::MAX)
    }

    /// Adds to observations of ended applications what may still be at work of them.
    pub(super) async fn tell_leftovers(&self, apps: &[App], seen: &mut [Observation], memory: &Memory) {
        let now = Timestamp::now();
        let open = |app: &&App| ended_by_yarn_alone(app) && now < self.orphans_until(app) && !memory.is_gone(&app.id);
        let doubted: Vec<&App> = apps.iter().filter(open).collect();
        if doubted.is_empty() {
            return;
        }
        let busy = self.at_work(&doubted).await;
        for app in doubted {
            let own = |seen: &&mut Observation| seen.deployment.as_ref().is_some_and(|id| id.as_str() == app.id);
            let Some(seen) = seen.iter_mut().find(own) else { continue };
            if busy.as_ref().is_ok_and(|busy| !busy.contains(&app.id)) {
                memory.gone(&app.id);
                continue;
            }
            let until = self.orphans_until(app);
            let ended = Timestamp::from_millisecond(app.finished_time).unwrap_or(now);
            if !node_was_lost(app) && now.duration_since(ended) < SETTLING {
                seen.status = RunStatus::Cancelling;
                seen.note = Some("the application is over, and YARN ends its containers".to_owned());
                continue;
            }
            seen.tasks_until = Some(until);
        }
    }

    /// Whether every node says that nothing of the application is at work.
    pub(super) async fn is_at_rest(&self, app: &App) -> bool {
        self.at_work(&[app]).await.is_ok_and(|busy| busy.is_empty())
    }

    /// Those of `apps` of which containers are at work, or may be on a node that was lost since; an error
    /// where a node does not say.
    async fn at_work(&self, apps: &[&App]) -> Result<BTreeSet<String>> {
        let mut placed = Vec::new();
        for app in apps {
            // An application without a JobManager's node has no container, unless an attempt before had one.
            let unplaced = app.am_host_http_address.is_empty() || app.am_host_http_address == "N/A";
            if !unplaced || self.rm.attempts(&app.id).await?.len() > 1 {
                placed.push(*app);
            }
        }
        let apps = placed;
        if apps.is_empty() {
            return Ok(BTreeSet::new());
        }
        let nodes = self.rm.every_node().await?;
        let mut busy = BTreeSet::new();
        let mut asked: Vec<BoxFuture<'_, Result<BTreeSet<String>>>> = Vec::new();
        for node in &nodes {
            match node.state.as_str() {
                "RUNNING" | "UNHEALTHY" | "DECOMMISSIONING" => asked.push(Box::pin(self.applications_on(node))),
                _ => busy.extend(
                    apps.iter()
                        .filter(|app| node.last_health_update + LOST_LATELY >= app.started_time)
                        .map(|app| app.id.clone()),
                ),
            }
        }
        if asked.len() > MOST_NODES {
            return Err(Error::new(ErrorKind::Remote, "too many nodes to ask each of them"));
        }
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(PARALLEL);
        while let Some(answer) = answers.next().await {
            let there = answer?;
            busy.extend(apps.iter().filter(|app| there.contains(&app.id)).map(|app| app.id.clone()));
        }
        Ok(busy)
    }

    /// The applications of which a node runs containers.
    async fn applications_on(&self, node: &Node) -> Result<BTreeSet<String>> {
        let scheme = self.rm.base().scheme().to_owned();
        let url = Url::parse(&format!("{scheme}://{}/ws/v1/node/apps", self.reachable(&node.node_http_address)));
        let url = url.map_err(|source| {
            Error::new(ErrorKind::UnexpectedResponse, format!("'{}' is no address", node.node_http_address))
                .with_source(source)
        })?;
        let ask = async { self.http.send(Request::get(Service::NodeManager, url)).await?.json::<Value>() };
        let late = |_| Error::new(ErrorKind::Timeout, "the NodeManager did not answer");
        Ok(at_work_in(&timeout(PATIENCE, ask).await.map_err(late)??))
    }
}

/// The applications in a NodeManager's list that have containers (`ApplicationState`).
fn at_work_in(list: &Value) -> BTreeSet<String> {
    let apps = list.pointer("/apps/app").cloned().unwrap_or_default();
    let apps = serde_json::from_value::<Many<Value>>(apps).map(|many| many.0).unwrap_or_default();
    let text = |app: &Value, key: &str| app.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let over = |app: &Value| matches!(text(app, "state").as_str(), "FINISHED" | "APPLICATION_RESOURCES_CLEANINGUP");
    apps.iter().filter(|app| !over(app)).map(|app| text(app, "id")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_with_containers_is_told_from_one_that_has_cleaned_up() {
        for nothing in [r#"{"apps":null}"#, r#"{"apps":""}"#, "{}", r#"{"apps":{}}"#] {
            assert!(at_work_in(&serde_json::from_str(nothing).unwrap()).is_empty(), "{nothing}");
        }
        let list = serde_json::json!({"apps": {"app": [
            {"id": "application_1_0001", "state": "RUNNING"},
            {"id": "application_1_0002", "state": "FINISHING_CONTAINERS_WAIT"},
            {"id": "application_1_0003", "state": "APPLICATION_RESOURCES_CLEANINGUP"},
        ]}});
        let busy: Vec<String> = at_work_in(&list).into_iter().collect();
        assert_eq!(busy, ["application_1_0001", "application_1_0002"]);
    }
}
