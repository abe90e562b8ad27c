//! The relay's way to an HTTP server: each request of libgit2 is sent on by the `reqwest` client.

use std::convert::Infallible;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

use super::credentials::GitCredentials;
use super::verdict::{self, Verdict};
use crate::{Error, ErrorKind, Result};

/// What libgit2 asks for is a list of commits: never this much.
const MAX_REQUEST: usize = 64 << 20;
/// The headers that Git's HTTP protocol needs (gitprotocol-http).
const PASSED: [header::HeaderName; 3] = [header::CONTENT_TYPE, header::ACCEPT, header::CONTENT_ENCODING];

type Body = BoxBody<Bytes, std::io::Error>;

/// A way to one repository.
#[derive(Debug, Clone)]
pub(super) struct Web {
    pub(super) client: reqwest::Client,
    /// The repository's own address.
    pub(super) url: Url,
    /// The first part of every path that we answer: other processes of this machine do not know it.
    pub(super) token: String,
    pub(super) credentials: GitCredentials,
}

impl Web {
    pub(super) async fn serve(self, client: TcpStream, verdict: Verdict, received: Arc<AtomicU64>) {
        let service = service_fn(|request| {
            let (web, verdict, received) = (self.clone(), verdict.clone(), received.clone());
            async move {
                let answer = web.pass(request, &verdict, &received).await;
                Ok::<_, Infallible>(answer.unwrap_or_else(|error| {
                    verdict.set(error);
                    empty(StatusCode::BAD_GATEWAY)
                }))
            }
        });
        if let Err(error) =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service).await
        {
            tracing::debug!(%error, "a Git relay connection ended early");
        }
    }

    async fn pass(
        &self,
        request: Request<Incoming>,
        verdict: &Verdict,
        received: &Arc<AtomicU64>,
    ) -> Result<Response<Body>> {
        let Some(rest) = request.uri().path().strip_prefix('/').and_then(|path| path.strip_prefix(self.token.as_str()))
        else {
            return Ok(empty(StatusCode::FORBIDDEN));
        };
        let mut url = self.url.clone();
        url.set_path(&format!("{}{rest}", self.url.path().trim_end_matches('/')));
        url.set_query(request.uri().query());
        let mut outgoing = self.client.request(request.method().clone(), url);
        for name in PASSED {
            if let Some(value) = request.headers().get(&name) {
                outgoing = outgoing.header(name, value);
            }
        }
        if let GitCredentials::Password { user, password } = &self.credentials {
            outgoing = outgoing.basic_auth(user, Some(password.expose()));
        }
        let body = Limited::new(request.into_body(), MAX_REQUEST).collect().await.map_err(|source| {
            Error::new(ErrorKind::Internal, "a request of the Git library could not be read").with_source(source)
        })?;
        let answer = outgoing.body(body.to_bytes()).send().await.map_err(|error| self.explain(error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(verdict::of_status(status.as_u16(), &self.credentials));
        }
        let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
        let (received, verdict, web) = (received.clone(), verdict.clone(), self.clone());
        let frames = answer.bytes_stream().map(move |piece| match piece {
            Ok(piece) => {
                received.fetch_add(piece.len() as u64, Ordering::Relaxed);
                Ok(Frame::data(piece))
            }
            Err(error) => {
                verdict.set(web.explain(error));
                Err(std::io::Error::other("the Git server's answer broke"))
            }
        });
        let mut response = Response::new(BodyExt::boxed(StreamBody::new(frames)));
        *response.status_mut() = status;
        if let Some(kind) = kind {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        Ok(response)
    }

    fn explain(&self, error: reqwest::Error) -> Error {
        let host =
            format!("{}:{}", self.url.host_str().unwrap_or_default(), self.url.port_or_known_default().unwrap_or(0));
        let error = error.without_url();
        let mut told = String::new();
        let mut refused = false;
        let mut next = error.source();
        while let Some(source) = next {
            told.push_str(&source.to_string());
            refused |= source
                .downcast_ref::<std::io::Error>()
                .is_some_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused);
            next = source.source();
        }
        let unreachable =
            |why: &str| Error::new(ErrorKind::Unreachable, format!("the Git server cannot be reached: {why}"));
        let explained = if error.is_redirect() {
            Error::new(
                ErrorKind::PermissionDenied,
                "the Git server redirects to another host or scheme, which is refused; use the address it redirects to",
            )
        } else if told.contains("certificate") {
            Error::new(ErrorKind::Unauthenticated, verdict::CERTIFICATE)
        } else if error.is_timeout() && error.is_connect() {
            unreachable("no answer in time")
        } else if error.is_timeout() {
            Error::new(ErrorKind::Timeout, "the Git server was silent for too long")
        } else if refused {
            unreachable("the connection was refused")
        } else if told.contains("dns error") {
            unreachable("its name was not found")
        } else if error.is_connect() {
            unreachable("there is no way to it")
        } else {
            Error::new(ErrorKind::Unreachable, "the connection to the Git server broke")
        };
        explained.with_context("host", host).with_source(error)
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::new()).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response
}
