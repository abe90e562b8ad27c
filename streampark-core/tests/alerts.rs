//! From a commit of a store to an endpoint of another process, over real HTTP and in real time.

// The lints know tests by their attribute; here the helpers are tests too.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use streampark_core::alert::{
    Alert, AlertId, AlertKind, Delivery, DeliveryId, DingTalk, Dispatcher, DispatcherOptions, Outbox, Raise, Webhook,
};
#[cfg(feature = "sqlite")]
use streampark_core::store::SqliteStore;
use streampark_core::store::{Batch, MemoryStore, Store};
use streampark_core::{Result, SystemClock};

/// Long enough that what did not wait for it is told from what did.
const GATHER: Duration = Duration::from_secs(4);

#[derive(Debug)]
struct Commit(Arc<dyn Store>);

#[async_trait]
impl Raise for Commit {
    async fn raise(&self, delivery: Delivery) -> Result<()> {
        let mut batch = Batch::default();
        batch.deliveries.push(delivery);
        self.0.commit(batch).await.map(drop)
    }
}

type Asked = Arc<Mutex<Vec<(Instant, String, String)>>>;

/// A server that answers 500 to its first `failures` requests, then as DingTalk does.
async fn server(failures: usize) -> (String, Asked) {
    let asked = Asked::default();
    let kept = asked.clone();
    let answer = move |headers: HeaderMap, body: String| {
        let id = headers.get("webhook-id").map(|id| id.to_str().unwrap().to_owned()).unwrap_or_default();
        let mut asked = kept.lock().unwrap();
        asked.push((Instant::now(), id, body));
        let status = if asked.len() <= failures { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
        async move { (status, r#"{"errcode":0,"errmsg":"ok"}"#) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
    (url, asked)
}

fn alerts(channel: &str, range: std::ops::Range<u128>) -> Batch {
    let mut batch = Batch::default();
    for number in range {
        let (name, at) = (format!("job-{number:03}"), Timestamp::now());
        let title = format!("job '{name}' failed");
        let mut alert = Alert::new(AlertId::from_u128(number), AlertKind::JobFailed, &name, title, at);
        alert.job_name = Some(name);
        batch.deliveries.push(Delivery::new(DeliveryId::generate(), channel, alert));
    }
    batch
}

fn dispatcher(store: &Arc<dyn Store>, options: DispatcherOptions) -> Dispatcher {
    let outbox: Arc<dyn Outbox> = store.clone();
    Dispatcher::new(outbox, Some(Arc::new(Commit(store.clone()))), Arc::new(SystemClock), options)
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not happen within 20 s");
}

async fn survives_a_failing_endpoint(store: Arc<dyn Store>) {
    let (url, asked) = server(2).await;
    let mut options = DispatcherOptions::default();
    options.backoff = Duration::from_millis(50);
    options.gather = GATHER;
    let dispatcher = dispatcher(&store, options);
    dispatcher.add("hook", Arc::new(Webhook::new(url).unwrap())).unwrap();
    let batch = alerts("hook", 1..2);
    let id = batch.deliveries[0].id.to_string();
    let start = Instant::now();
    store.commit(batch).await.unwrap();
    dispatcher.notify();
    until("the delivery", async || store.pending_count("hook").await.unwrap() == 0).await;
    let asked = asked.lock().unwrap().clone();
    assert!(asked[0].0 - start < GATHER, "a first alert is not gathered");
    assert_eq!(asked.iter().map(|(_, id, _)| id.as_str()).collect::<Vec<_>>(), [id.as_str(); 3]);
    assert!(asked.iter().all(|(_, _, body)| *body == asked[0].2));
    dispatcher.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_failing_endpoint_hears_of_it_again_from_memory() {
    survives_a_failing_endpoint(Arc::new(MemoryStore::default())).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_failing_endpoint_hears_of_it_again_from_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("jobs.db")).await.unwrap();
    survives_a_failing_endpoint(Arc::new(store)).await;
}

#[tokio::test]
async fn hundreds_of_failures_in_a_second_are_few_messages_of_a_chat_robot() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let (url, asked) = server(0).await;
    let mut options = DispatcherOptions::default();
    options.gather = GATHER;
    let dispatcher = dispatcher(&store, options);
    let robot = DingTalk::new("token", "SECret").base_url(url).unwrap();
    dispatcher.add("robot", Arc::new(robot)).unwrap();
    let start = Instant::now();
    for part in 0..8 {
        store.commit(alerts("robot", part * 25..part * 25 + 25)).await.unwrap();
        dispatcher.notify();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    until("the delivery", async || store.pending_count("robot").await.unwrap() == 0).await;
    let asked = asked.lock().unwrap().clone();
    assert!(asked[0].0 - start < GATHER, "the first after {:?}", asked[0].0 - start);
    assert!(asked.len() <= 8, "{} messages", asked.len());
    let counted: usize = asked.iter().map(|(_, _, body)| names_and_count(body)).sum();
    assert_eq!(counted, 200, "every job is named or counted, once");
    dispatcher.shutdown(Duration::from_secs(1)).await;
}

/// The jobs that a message names, and those that it counts as `N more`.
fn names_and_count(body: &str) -> usize {
    let text =
        serde_json::from_str::<serde_json::Value>(body).unwrap()["markdown"]["text"].as_str().unwrap().to_owned();
    let named: BTreeSet<&str> = text.match_indices("job-").filter_map(|(at, _)| text.get(at..at + 7)).collect();
    let more = text.split_once(" more").and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok());
    named.len() + more.unwrap_or(0)
}
