//! A webhook receiver that remembers what it was told.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::Value;

/// A receiver on a free loopback port; clones share it.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Where to post.
    pub address: String,
    told: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Receiver {
    /// Starts to listen.
    pub async fn start() -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let receiver = Self { address: format!("http://{}/", listener.local_addr()?), told: Arc::default() };
        let router = Router::new().route("/", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(receiver)
    }

    /// Every message so far: its `webhook-id`, and its body.
    pub fn messages(&self) -> Vec<(String, Value)> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every alert so far, out of messages told once or more often: each message id counts once.
    pub fn alerts(&self) -> Vec<Value> {
        let mut seen = std::collections::BTreeSet::new();
        let first = self.messages().into_iter().filter(|(id, _)| seen.insert(id.clone()));
        first.flat_map(|(_, body)| body["data"]["alerts"].as_array().cloned().unwrap_or_default()).collect()
    }

    /// How many alerts are of `kind`.
    pub fn count(&self, kind: &str) -> usize {
        self.alerts().iter().filter(|alert| alert["kind"] == kind).count()
    }
}

async fn take(State(receiver): State<Receiver>, headers: axum::http::HeaderMap, body: axum::body::Bytes) {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    receiver.told.lock().unwrap_or_else(PoisonError::into_inner).push((id, body));
}
