//! A reverse proxy before a JobManager, as companies put there: path prefix, TLS, a required header.
//! It remembers every request that passed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// One request as it was passed on.
#[derive(Debug, Clone)]
pub struct Passed {
    /// The HTTP method.
    pub method: String,
    /// The path that the client asked for, prefix included.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Passed {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// How the gateway is.
#[derive(Debug, Clone, Default)]
pub struct GatewayOptions {
    /// The path below which Flink is found, `/` at its start and none at its end.
    pub prefix: String,
    /// Requests without this header are refused with 401.
    pub header: Option<(&'static str, String)>,
    /// Speaks TLS so.
    pub tls: Option<Arc<ServerConfig>>,
}

/// A gateway; clones share what passed.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Where to connect, the prefix included.
    pub address: String,
    target: String,
    options: Arc<GatewayOptions>,
    passed: Arc<Mutex<Vec<Passed>>>,
    http: reqwest::Client,
}

impl Gateway {
    /// Stands before `target`, an address that ends with `/`.
    pub async fn start(target: &str, options: GatewayOptions) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let gateway = Self {
            address: format!("{scheme}://{}{}/", listener.local_addr()?, options.prefix),
            target: target.trim_end_matches('/').to_owned(),
            options: Arc::new(options),
            passed: Arc::default(),
            http: reqwest::Client::builder().no_proxy().build().map_err(std::io::Error::other)?,
        };
        let router = Router::new().fallback(pass).with_state(gateway.clone());
        match gateway.options.tls.clone() {
            None => drop(tokio::spawn(async move { axum::serve(listener, router).await })),
            Some(config) => {
                let listener = TlsListener { listener, acceptor: TlsAcceptor::from(config) };
                drop(tokio::spawn(async move { axum::serve(listener, router).await }));
            }
        }
        Ok(gateway)
    }

    /// Every request that passed so far.
    pub fn passed(&self) -> Vec<Passed> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what passed.
    pub fn forget(&self) {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

async fn pass(State(gateway): State<Gateway>, request: Request) -> Response {
    gateway.pass(request).await.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}

impl Gateway {
    async fn pass(&self, request: Request) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
        if let Some((name, value)) = &self.options.header
            && request.headers().get(*name).is_none_or(|sent| sent.as_bytes() != value.as_bytes())
        {
            return Ok((StatusCode::UNAUTHORIZED, "who are you?").into_response());
        }
        let (parts, body) = request.into_parts();
        let asked = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let Some(path) = asked.strip_prefix(&self.options.prefix) else {
            return Ok((StatusCode::NOT_FOUND, "<html><title>Gateway</title></html>").into_response());
        };
        let body = to_bytes(body, 256 << 20).await?;
        let passed = Passed {
            method: parts.method.to_string(),
            path: asked.clone(),
            headers: parts.headers.clone(),
            body: body.clone(),
        };
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).push(passed);
        let mut onward = self.http.request(parts.method, format!("{}{path}", self.target)).body(body);
        for name in ["content-type", "accept"] {
            if let Some(value) = parts.headers.get(name) {
                onward = onward.header(name, value);
            }
        }
        let answer = onward.send().await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(kind) = answer.headers().get("content-type") {
            response = response.header("content-type", kind);
        }
        Ok(response.body(Body::from(answer.bytes().await?))?)
    }
}

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // A client that we do not trust, or that does not trust us, is its own business.
            if let Ok((stream, address)) = self.listener.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
