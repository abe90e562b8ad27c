//! Requests with a proof, a bound and no redirects of their own accord.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, SET_COOKIE, WWW_AUTHENTICATE,
};
use reqwest::{Body, Method, StatusCode, redirect};
use serde::de::DeserializeOwned;
use streampark_core::{Error, ErrorKind, Result};
use url::Url;

use crate::auth::{Authenticator, Challenge, Service, Target};
use crate::error::{Refusal, from_transport, is_stale, not_hadoop};

/// The longest answer that is kept in memory.
const MAX_ANSWER: usize = 256 << 20;

/// How to speak HTTP.
#[derive(Debug, Clone)]
pub(crate) struct HttpOptions {
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) transfer_timeout: Duration,
    pub(crate) tls_ca: Option<Vec<u8>>,
}

/// One request.
pub(crate) struct Request {
    pub(crate) service: Service,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Payload,
    pub(crate) accept: &'static str,
    pub(crate) timeout: Option<Duration>,
}

/// What a request carries.
pub(crate) enum Payload {
    Nothing,
    Json(Bytes),
    /// Can be sent once only.
    Stream(Body, u64),
}

impl Request {
    pub(crate) fn new(service: Service, method: Method, url: Url) -> Self {
        Self { service, method, url, body: Payload::Nothing, accept: "application/json", timeout: None }
    }

    pub(crate) fn get(service: Service, url: Url) -> Self {
        Self::new(service, Method::GET, url)
    }

    pub(crate) fn json(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Payload::Json(body.into());
        self
    }

    pub(crate) fn stream(mut self, body: Body, length: u64, timeout: Duration) -> Self {
        self.body = Payload::Stream(body, length);
        self.timeout = Some(timeout);
        self
    }

    /// Takes anything, not JSON only.
    pub(crate) fn any(mut self) -> Self {
        self.accept = "*/*";
        self
    }

    fn changes_something(&self) -> bool {
        self.method != Method::GET
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) service: Service,
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) changes_something: bool,
    /// Whether a Kerberos ticket was asked for.
    pub(crate) negotiates: bool,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn is_redirect(&self) -> bool {
        (300..400).contains(&self.status)
    }

    /// The error that an unsuccessful answer means.
    pub(crate) fn error(&self) -> Error {
        Refusal {
            service: self.service,
            status: self.status,
            content_type: self.content_type.as_deref(),
            body: &self.body,
            changes_something: self.changes_something,
            negotiates: self.negotiates,
        }
        .into_error()
    }

    pub(crate) fn success(self) -> Result<Self> {
        if self.is_success() { Ok(self) } else { Err(self.error()) }
    }

    /// The answer's JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        if !self.is_success() {
            return Err(self.error());
        }
        serde_json::from_slice(&self.body).map_err(|source| {
            let first = self.body.iter().find(|byte| !byte.is_ascii_whitespace());
            if matches!(first, Some(b'{' | b'[')) {
                Error::new(ErrorKind::UnexpectedResponse, "the answer is JSON, but not what Hadoop 2.8 to 3.5 answers")
                    .with_status(streampark_core::ErrorStatus::Permanent)
                    .with_source(source)
            } else {
                not_hadoop(self.service, self.status, first == Some(&b'<'))
            }
        })
    }
}

/// The pool of connections of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    /// The user in whose name we ask.
    proxy_user: Option<String>,
    pub(crate) options: HttpOptions,
}

impl Http {
    pub(crate) fn new(
        options: HttpOptions,
        authenticator: Arc<dyn Authenticator>,
        proxy_user: Option<String>,
    ) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("streampark-sdk/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .tcp_nodelay(true)
            .no_proxy()
            .pool_max_idle_per_host(8)
            .pool_idle_timeout(Duration::from_secs(20));
        if let Some(pem) = &options.tls_ca {
            let authorities = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|source| Error::invalid("the option tls_ca holds no PEM certificate").with_source(source))?;
            if authorities.is_empty() {
                return Err(Error::invalid("the option tls_ca holds no PEM certificate"));
            }
            builder = builder.tls_certs_merge(authorities);
        }
        let client = builder
            .build()
            .map_err(|source| Error::new(ErrorKind::Internal, "no HTTP client can be made").with_source(source))?;
        Ok(Self { client, authenticator, proxy_user, options })
    }

    /// Who owns what we make.
    pub(crate) fn user(&self) -> &str {
        self.proxy_user.as_deref().unwrap_or_else(|| self.authenticator.user())
    }

    /// Who we are: in our own name, or in another's.
    pub(crate) fn identity(&self) -> String {
        match &self.proxy_user {
            Some(user) => format!("{user} by {}", self.authenticator.user()),
            None => self.authenticator.user().to_owned(),
        }
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer> {
        let told = |error: Error| error.with_context("url", without_query(&request.url));
        let changes_something = request.changes_something();
        let mut body = request.body;
        let repeatable = !matches!(body, Payload::Stream(..));
        let mut stale_left = if changes_something { 0 } else { 1 };
        let mut attempt = 0;
        let begun = std::time::Instant::now();
        loop {
            let target = Target::new(request.service, request.method.as_str(), request.url.clone());
            let mut built = self
                .prepare(&target, &request.method)
                .await
                .map_err(told)?
                .header(ACCEPT, request.accept)
                .timeout(request.timeout.unwrap_or(self.options.timeout));
            built = match &mut body {
                Payload::Nothing if changes_something => built.header(CONTENT_LENGTH, 0),
                Payload::Nothing => built,
                Payload::Json(json) => built.header(CONTENT_TYPE, "application/json").body(json.clone()),
                Payload::Stream(stream, length) => built
                    .header(CONTENT_TYPE, "application/octet-stream")
                    .header(CONTENT_LENGTH, *length)
                    .body(std::mem::take(stream)),
            };
            let response = match built.send().await {
                Ok(response) => response,
                // A kept connection that the server closed meanwhile: a question may be asked again.
                Err(failure) if stale_left > 0 && is_stale(&failure) => {
                    stale_left -= 1;
                    continue;
                }
                Err(failure) => return Err(told(from_transport(failure, &request.url, changes_something))),
            };
            let status = response.status();
            let cookies = texts(response.headers(), SET_COOKIE);
            if !cookies.is_empty() {
                self.authenticator.cookies(&target, &cookies);
            }
            let schemes = texts(response.headers(), WWW_AUTHENTICATE);
            let negotiates = schemes.iter().any(|scheme| scheme.to_ascii_lowercase().starts_with("negotiate"));
            if status == StatusCode::UNAUTHORIZED && attempt < 3 && repeatable {
                let challenge = Challenge { status: status.as_u16(), schemes, attempt };
                if self.authenticator.refused(&target, &challenge).await.map_err(told)? {
                    attempt += 1;
                    continue;
                }
            }
            let head = response.headers();
            let text = |name| head.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
            let (content_type, location) = (text(CONTENT_TYPE), text(LOCATION));
            let body = read(response, &request.url, changes_something).await.map_err(told)?;
            let status = status.as_u16();
            let (method, url, micros) = (&request.method, without_query(&request.url), begun.elapsed().as_micros());
            tracing::trace!(%method, url, status, micros = micros as u64, "answered");
            let service = request.service;
            return Ok(Answer { service, status, content_type, location, body, changes_something, negotiates });
        }
    }

    async fn prepare(&self, target: &Target, method: &Method) -> Result<reqwest::RequestBuilder> {
        let proof = self.authenticator.prove(target).await?;
        let mut url = target.url.clone();
        if let Some(user) = &self.proxy_user {
            // `DelegationTokenAuthenticatedURL.DO_AS` and WebHDFS's `DoAsParam`; a DataNode's address names the user.
            let name = match target.service {
                Service::ResourceManager | Service::NodeManager => Some("doAs"),
                Service::FileSystem => Some("doas"),
                Service::DataNode => None,
            };
            if let Some(name) = name {
                url.query_pairs_mut().append_pair(name, user);
            }
        }
        for (name, value) in &proof.query {
            url.query_pairs_mut().append_pair(name, value.resolve()?.expose());
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &proof.headers {
            let key = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Error::invalid(format!("'{name}' is no name of an HTTP header")))?;
            let mut value = HeaderValue::from_str(value.resolve()?.expose()).map_err(|_| {
                Error::invalid(format!("the value of header '{name}' has a character that a header cannot carry"))
            })?;
            value.set_sensitive(true);
            headers.append(key, value);
        }
        Ok(self.client.request(method.clone(), url).headers(headers))
    }
}

fn texts(headers: &HeaderMap, name: HeaderName) -> Vec<String> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
}

async fn read(mut response: reqwest::Response, url: &Url, changes_something: bool) -> Result<Bytes> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_ANSWER => {
                return Err(Error::new(
                    ErrorKind::UnexpectedResponse,
                    format!("the answer is longer than {MAX_ANSWER} bytes"),
                )
                .with_status(streampark_core::ErrorStatus::Permanent));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(Bytes::from(body)),
            Err(failure) => return Err(from_transport(failure, url, changes_something)),
        }
    }
}

/// An address for messages: its query may carry a token.
pub(crate) fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}
