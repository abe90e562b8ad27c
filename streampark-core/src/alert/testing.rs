//! A real HTTP server on this machine that answers as a test says and keeps what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, Uri};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Alert, AlertId, AlertKind, DeliveryId, Message};
use crate::job::Failure;

#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

pub(super) struct Server {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

/// What the server answers.
#[derive(Clone)]
pub(super) struct Say {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) body: &'static str,
    pub(super) delay: Duration,
}

pub(super) fn say(status: u16, body: &'static str) -> Say {
    Say { status, headers: Vec::new(), body, delay: Duration::ZERO }
}

impl Server {
    pub(super) async fn start(say: Say) -> Self {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let kept = asked.clone();
        let answer = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let (say, kept) = (say.clone(), kept.clone());
            async move {
                let body = String::from_utf8(body.to_vec()).unwrap();
                kept.lock().unwrap().push(Asked { uri, headers, body });
                tokio::time::sleep(say.delay).await;
                let mut response = Response::builder().status(say.status);
                for (name, value) in say.headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(say.body)).unwrap()
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, asked, task }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A message of `count` alerts with causes of `detail` bytes.
pub(super) fn message(count: usize, detail: usize) -> Message {
    let alert = |number: usize| {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let name = format!("job-{number:04}");
        let mut alert = Alert::new(
            AlertId::from_u128(number as u128),
            AlertKind::JobFailed,
            &name,
            format!("job '{name}' failed"),
            at,
        );
        alert.job_name = Some(name);
        let mut cause = Failure::new("the broker is away").with_class("java.io.IOException");
        cause.detail = Some("at com.acme.Orders.run\n".repeat(detail / 23));
        alert.cause = Some(cause);
        alert
    };
    Message::new(DeliveryId::from_u128(7), (0..count).map(alert).collect())
}
