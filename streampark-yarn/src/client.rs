//! Requests to the ResourceManager, whichever of them is active.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use streampark_core::{Error, ErrorKind, ErrorStatus, Result};
use tokio::time::Instant;
use url::Url;

use crate::auth::Service;
use crate::http::{Answer, Http, Request};
use crate::wire::{
    App, AppList, Attempt, AttemptList, Container, ContainerList, Info, InfoAnswer, NewApplication, Node, NodeList,
    OneApp, Queue, queues,
};

/// What a list leaves out: the heavy part (YARN-6280) and what we do not read.
const DESELECTED: &str = "resourceRequests,timeouts,appNodeLabelExpression,amNodeLabelExpression,resourceInfo";

const ALL_STATES: &str = "NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING,FINISHED,FAILED,KILLED";

/// A client of one cluster's ResourceManagers.
///
/// Everything that it sends may be sent twice: questions, an id more than needed, the submission of a
/// known id, a kill. So a request whose answer was lost goes to the next active ResourceManager.
#[derive(Debug)]
pub(crate) struct ResourceManager {
    http: Http,
    places: RwLock<Places>,
    /// How long to look for an active one.
    patience: Duration,
}

#[derive(Debug)]
struct Places {
    first: Url,
    all: Vec<Url>,
    current: usize,
}

impl ResourceManager {
    pub(crate) fn new(http: Http, addresses: &[String], patience: Duration) -> Result<Self> {
        let all = addresses.iter().map(|address| parse_base(address)).collect::<Result<Vec<_>>>()?;
        let Some(first) = all.first().cloned() else {
            return Err(Error::invalid(
                "no ResourceManager is known; give its address, as http://rm:8088/, or a Hadoop configuration folder \
                 with yarn.resourcemanager.hostname",
            ));
        };
        Ok(Self { http, places: RwLock::new(Places { first, all, current: 0 }), patience })
    }

    /// The address that answered last.
    pub(crate) fn base(&self) -> Url {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.all.get(places.current).unwrap_or(&places.first).clone()
    }

    fn all(&self) -> Vec<Url> {
        self.places.read().unwrap_or_else(PoisonError::into_inner).all.clone()
    }

    fn use_from_now_on(&self, base: &Url) {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        match places.all.iter().position(|known| known == base) {
            Some(at) => places.current = at,
            None => {
                places.all.push(base.clone());
                places.current = places.all.len() - 1;
            }
        }
    }

    /// Asks the active ResourceManager, and finds it first where that is needed.
    async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let deadline = Instant::now() + self.patience;
        let mut pause = Duration::from_millis(100);
        let mut resent = 0;
        loop {
            let base = self.base();
            let mut url = endpoint(&base, path);
            if !query.is_empty() {
                url.query_pairs_mut().extend_pairs(query);
            }
            let mut request = Request::new(Service::ResourceManager, method.clone(), url);
            if let Some(body) = &body {
                request = request.json(body.clone());
            }
            let (failure, hint) = match self.http.send(request).await {
                Ok(answer) if answer.is_redirect() => {
                    let hint = answer.location.as_deref().and_then(|place| base.join(place).ok());
                    (no_active(&base), hint)
                }
                Ok(answer) => return Ok(answer),
                Err(error) if error.status() == ErrorStatus::Permanent => return Err(error),
                Err(error) => {
                    resent += 1;
                    (error, None)
                }
            };
            let alone = self.all().len() == 1 && hint.is_none();
            if resent > 2 || (alone && failure.kind() == ErrorKind::Unreachable && resent > 1) {
                return Err(failure);
            }
            match self.find_active(&base, hint.as_ref()).await {
                Some(found) => self.use_from_now_on(&found),
                None if Instant::now() + pause >= deadline => return Err(failure),
                None => {}
            }
            if Instant::now() >= deadline {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// The active one among those that are known and the one that a redirect named.
    async fn find_active(&self, asked: &Url, hint: Option<&Url>) -> Option<Url> {
        let mut all = self.all();
        if let Some(hint) = hint {
            let mut place = asked.clone();
            let moved = place.set_host(hint.host_str()).is_ok() && place.set_port(hint.port()).is_ok();
            if moved && place.set_scheme(hint.scheme()).is_ok() && !all.contains(&place) {
                all.push(place);
            }
        }
        let answers = futures_util::future::join_all(all.iter().map(|base| self.info_of(base))).await;
        all.into_iter().zip(answers).find(|(_, info)| info.as_ref().is_ok_and(Info::is_active)).map(|(base, _)| base)
    }

    async fn info_of(&self, base: &Url) -> Result<Info> {
        let answer = self.http.send(Request::get(Service::ResourceManager, endpoint(base, &["info"]))).await?;
        Ok(answer.json::<InfoAnswer>()?.cluster_info)
    }

    /// What the ResourceManager that is asked says of itself.
    pub(crate) async fn info(&self) -> Result<Info> {
        let answer = self.call(Method::GET, &["info"], &[], None).await?;
        let info = answer.json::<InfoAnswer>().map_err(|e| e.with_operation("yarn.info"))?.cluster_info;
        Ok(info)
    }

    /// As [`info`](Self::info), and refuses one that is starting or on standby: its lists are partial.
    pub(crate) async fn active_info(&self) -> Result<Info> {
        let info = self.info().await?;
        if info.is_active() {
            return Ok(info);
        }
        if let Some(found) = self.find_active(&self.base(), None).await {
            self.use_from_now_on(&found);
            let info = self.info_of(&found).await?;
            if info.is_active() {
                return Ok(info);
            }
        }
        Err(not_active(&info))
    }

    pub(crate) async fn new_application(&self) -> Result<NewApplication> {
        let answer = self.call(Method::POST, &["apps", "new-application"], &[], None).await;
        // An id that nobody uses costs nothing.
        let answer = answer.and_then(|answer| answer.json()).map_err(|error| match error.status() {
            ErrorStatus::Unknown => error.with_status(ErrorStatus::Temporary),
            _ => error,
        });
        answer.map_err(|error| error.with_operation("yarn.new_application"))
    }

    /// Submits; the same id sent twice is one application.
    pub(crate) async fn submit(&self, context: &Value) -> Result<()> {
        let answer = self.call(Method::POST, &["apps"], &[], Some(context)).await;
        answer.and_then(Answer::success).map(|_| ()).map_err(|error| error.with_operation("yarn.submit"))
    }

    /// One application; None where this ResourceManager does not know it.
    pub(crate) async fn app(&self, id: &str) -> Result<Option<App>> {
        let answer = self.call(Method::GET, &["apps", id], &[], None).await;
        match answer.and_then(|answer| answer.json::<OneApp>()) {
            Ok(one) => Ok(Some(one.app)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.with_operation("yarn.app").with_context("application", id)),
        }
    }

    /// Whether an application's last container is gone. `state` in a report says FINISHED already while
    /// the JobManager is still at work on its end (`RMAppState.FINISHING`).
    pub(crate) async fn is_gone(&self, id: &str) -> Result<bool> {
        #[derive(serde::Deserialize)]
        struct State {
            state: String,
        }
        let answer = self.call(Method::GET, &["apps", id, "state"], &[], None).await;
        match answer.and_then(|answer| answer.json::<State>()) {
            Ok(answer) => Ok(matches!(answer.state.as_str(), "FINISHED" | "FAILED" | "KILLED")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error.with_operation("yarn.state").with_context("application", id)),
        }
    }

    /// Every application that carries `tag`, in one request.
    pub(crate) async fn tagged(&self, tag: &str) -> Result<Vec<App>> {
        let query = [("applicationTags", tag), ("states", ALL_STATES), ("deSelects", DESELECTED)];
        let answer = self.call(Method::GET, &["apps"], &query, None).await;
        let list = answer.and_then(|answer| answer.json::<AppList>()).map_err(|e| e.with_operation("yarn.apps"))?;
        // A gateway that drops the query would show everybody's.
        Ok(list.into_apps().into_iter().filter(|app| app.has_tag(tag)).collect())
    }

    /// Asks for the end of an application; true where it is over.
    pub(crate) async fn kill(&self, id: &str, reason: &str) -> Result<bool> {
        let body = json!({"state": "KILLED", "diagnostics": reason});
        let answer = self.call(Method::PUT, &["apps", id, "state"], &[], Some(&body)).await;
        let answer = answer.and_then(Answer::success).map_err(|error| {
            // A kill may be repeated.
            let error = match error.status() {
                ErrorStatus::Unknown => error.with_status(ErrorStatus::Temporary),
                _ => error,
            };
            error.with_operation("yarn.kill").with_context("application", id)
        })?;
        Ok(answer.status == 200)
    }

    pub(crate) async fn attempts(&self, id: &str) -> Result<Vec<Attempt>> {
        let answer = self.call(Method::GET, &["apps", id, "appattempts"], &[], None).await;
        let list = answer.and_then(|answer| answer.json::<AttemptList>());
        list.map(AttemptList::into_attempts).map_err(|e| e.with_operation("yarn.attempts"))
    }

    /// The containers of an attempt that runs; afterwards there are none.
    pub(crate) async fn containers(&self, id: &str, attempt: &str) -> Result<Vec<Container>> {
        let path = ["apps", id, "appattempts", attempt, "containers"];
        let answer = self.call(Method::GET, &path, &[], None).await;
        let list = answer.and_then(|answer| answer.json::<ContainerList>());
        list.map(|list| list.container.0).map_err(|e| e.with_operation("yarn.containers"))
    }

    /// The nodes that take containers.
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>> {
        self.nodes_in("RUNNING").await
    }

    /// Those that are gone too, as far as the ResourceManager remembers them.
    pub(crate) async fn every_node(&self) -> Result<Vec<Node>> {
        self.nodes_in("RUNNING,UNHEALTHY,DECOMMISSIONING,DECOMMISSIONED,LOST,REBOOTED,SHUTDOWN").await
    }

    async fn nodes_in(&self, states: &str) -> Result<Vec<Node>> {
        let answer = self.call(Method::GET, &["nodes"], &[("states", states)], None).await;
        let list = answer.and_then(|answer| answer.json::<NodeList>());
        list.map(NodeList::into_nodes).map_err(|e| e.with_operation("yarn.nodes"))
    }

    pub(crate) async fn queues(&self) -> Result<Vec<Queue>> {
        let answer = self.call(Method::GET, &["scheduler"], &[], None).await;
        let value = answer.and_then(|answer| answer.json::<Value>()).map_err(|e| e.with_operation("yarn.scheduler"))?;
        Ok(queues(&value))
    }

    /// A property of the ResourceManager's own configuration; None where it does not say.
    pub(crate) async fn property(&self, name: &str) -> Result<Option<String>> {
        let base = self.base();
        let mut url = base.join("conf").unwrap_or(base);
        url.query_pairs_mut().append_pair("name", name).append_pair("format", "json");
        let answer = self.http.send(Request::get(Service::ResourceManager, url)).await?;
        if !answer.is_success() {
            return Ok(None);
        }
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(value.pointer("/property/value").and_then(Value::as_str).map(str::to_owned))
    }
}

fn no_active(asked: &Url) -> Error {
    Error::new(
        ErrorKind::Remote,
        "no ResourceManager is active: the one that was asked is on standby, and knows of none; wait, or give the \
         addresses of all of them",
    )
    .with_context("url", asked)
}

fn not_active(info: &Info) -> Error {
    Error::new(
        ErrorKind::Remote,
        format!("the ResourceManager is {}, not ACTIVE; what it lists now may be partial", info.ha_state),
    )
    .with_operation("yarn.info")
}

/// A ResourceManager's address; a path is kept as a prefix.
pub(crate) fn parse_base(text: &str) -> Result<Url> {
    let refuse = |why: &str| {
        Error::invalid(format!("'{text}' is no address of a Hadoop daemon: {why}; write it as http://host:port/"))
    };
    let mut url = Url::parse(text.trim()).map_err(|source| refuse("it is no URL").with_source(source))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("the scheme is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid(
            "a Hadoop daemon's address holds a user or password; give them by an authenticator instead",
        ));
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').trim_end_matches("/ws/v1/cluster").trim_end_matches("/cluster");
    let path = format!("{path}/");
    url.set_path(&path);
    Ok(url)
}

/// Knox serves `…/resourcemanager/v1/cluster`, the daemon itself `/ws/v1/cluster`.
fn endpoint(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    let knox = base.path().ends_with("/resourcemanager/");
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty();
        segments.extend(if knox { &["v1", "cluster"][..] } else { &["ws", "v1", "cluster"][..] });
        segments.extend(path);
    }
    url
}

#[cfg(test)]
mod tests;
