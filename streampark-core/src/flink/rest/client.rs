//! One connection pool to one cluster's JobManagers.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use reqwest::{Body, Method, Response, StatusCode, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::error;
use super::line::{Line, Silent};
use super::options::{RestOptions, parse_base};
use crate::flink::FlinkVersion;
use crate::{Error, ErrorKind, Result};

/// A client of the REST interface of one Flink cluster, 1.16 to 2.3.
///
/// Cloning is cheap and shares the connections. Nothing is sent before the first call.
///
/// # Guarantees
/// - Every request has a timeout and the size of every answer a bound.
/// - What changes the cluster is never sent twice: another JobManager is tried only where the
///   connection was never made, or where the JobManager said that it has no leader.
/// - An error whose [`status`](crate::Error::status) is `Unknown` left this process and may have
///   taken effect.
/// - Redirects are followed within the same host and port only, and only those that keep the method (307, 308).
#[derive(Clone)]
pub struct RestClient {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    /// For questions in plain HTTP, which need no proxy.
    line: Option<Line>,
    first: Url,
    others: Vec<Url>,
    /// Which address answered last, counted from `first`.
    current: AtomicUsize,
    version: Mutex<Option<FlinkVersion>>,
    options: RestOptions,
}

impl Inner {
    fn address(&self, index: usize) -> &Url {
        index.checked_sub(1).and_then(|index| self.others.get(index)).unwrap_or(&self.first)
    }
}

/// One request, not yet bound to a base URL.
pub(super) struct Call<'a> {
    pub(super) operation: &'static str,
    method: Method,
    path: Vec<&'a str>,
    query: &'a [(&'a str, &'a str)],
    body: Option<Bytes>,
    timeout: Option<Duration>,
}

impl<'a> Call<'a> {
    pub(super) fn new(operation: &'static str, method: Method, path: &[&'a str]) -> Self {
        Self { operation, method, path: path.to_vec(), query: &[], body: None, timeout: None }
    }

    pub(super) fn get(operation: &'static str, path: &[&'a str]) -> Self {
        Self::new(operation, Method::GET, path)
    }

    pub(super) fn query(mut self, query: &'a [(&'a str, &'a str)]) -> Self {
        self.query = query;
        self
    }

    pub(super) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(super) fn json(mut self, body: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(body).map_err(|source| {
            Error::new(ErrorKind::Internal, "the request cannot be written as JSON")
                .with_operation(self.operation)
                .with_source(source)
        })?;
        self.body = Some(Bytes::from(bytes));
        Ok(self)
    }

    fn changes_something(&self) -> bool {
        self.method != Method::GET
    }
}

impl RestClient {
    /// A client with these options; nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an address, certificate, key or header that can never work.
    pub fn new(options: RestOptions) -> Result<Self> {
        let mut bases = options.urls.iter().map(|url| parse_base(url)).collect::<Result<Vec<_>>>()?.into_iter();
        let first = bases.next().ok_or_else(|| {
            Error::invalid("no address of a JobManager is given; give at least one, as http://host:8081/")
        })?;
        let headers = headers(&options)?;
        let line = (!options.proxy_from_env).then(|| Line::new(&headers, options.connect_timeout));
        let http = build_http(&options, headers)?;
        let inner = Inner {
            http,
            line,
            first,
            others: bases.collect(),
            current: AtomicUsize::new(0),
            version: Mutex::new(None),
            options,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A client of the JobManager at `url` with default options.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where `url` is no http or https address.
    pub fn connect_to(url: impl Into<String>) -> Result<Self> {
        Self::new(RestOptions::new([url.into()]))
    }

    /// The address that answered last; the first one before any call.
    pub fn base_url(&self) -> &Url {
        self.inner.address(self.inner.current.load(Ordering::Relaxed))
    }

    /// The options this client was made with.
    pub fn options(&self) -> &RestOptions {
        &self.inner.options
    }

    /// Flink's version, asked once and kept until another JobManager answers.
    ///
    /// # Errors
    /// As [`config`](Self::config).
    pub async fn version(&self) -> Result<FlinkVersion> {
        match self.known_version() {
            Some(version) => Ok(version),
            None => Ok(self.config().await?.flink_version),
        }
    }

    /// Flink's version as it was last told; None before the first answer that holds it.
    pub fn known_version(&self) -> Option<FlinkVersion> {
        self.inner.version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn remember_version(&self, version: &FlinkVersion) {
        *self.inner.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(version.clone());
    }

    pub(super) async fn json<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T> {
        let operation = call.operation;
        let changes = call.changes_something();
        let (base, status, content_type, body) = self.exchange(call).await?;
        error::parse(status, content_type.as_deref(), &body, changes)
            .map_err(|e| e.with_operation(operation).with_context("url", base))
    }

    /// As [`json`](Self::json), but an answer that refuses comes with Flink's own exceptions.
    pub(super) async fn json_or_cause<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<Result<T, error::Refused>> {
        let operation = call.operation;
        let changes = call.changes_something();
        let (base, status, content_type, body) = self.exchange(call).await?;
        let parsed = error::parse(status, content_type.as_deref(), &body, changes);
        let told = |e: Error| e.with_operation(operation).with_context("url", base);
        Ok(parsed.map_err(|e| error::Refused { error: told(e), cause: error::cause_of(&body) }))
    }

    /// Sends to the JobManager that answered last, then to the others as far as that is safe.
    async fn exchange(&self, call: Call<'_>) -> Result<(Url, StatusCode, Option<String>, Bytes)> {
        let count = 1 + self.inner.others.len();
        let start = self.inner.current.load(Ordering::Relaxed);
        let mut first_error = None;
        for index in (0..count).map(|step| (start + step) % count) {
            let base = self.inner.address(index);
            let failure = match self.once(base, &call).await {
                Ok((status, content_type, body)) if count > 1 && error::has_no_leader(status, &body) => {
                    error::from_answer(status, content_type.as_deref(), &body, false)
                }
                Ok((status, content_type, body)) => {
                    if self.inner.current.swap(index, Ordering::Relaxed) != index {
                        *self.inner.version.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    }
                    return Ok((base.clone(), status, content_type, body));
                }
                Err(failure) => failure,
            };
            let failure = failure.with_operation(call.operation).with_context("url", base);
            let may_go_on = failure.is_retryable();
            if first_error.is_none() || !may_go_on {
                first_error = Some(failure);
            }
            if !may_go_on {
                break;
            }
        }
        Err(first_error.unwrap_or_else(|| Error::new(ErrorKind::Internal, "no JobManager was asked")))
    }

    async fn once(&self, base: &Url, call: &Call<'_>) -> Result<(StatusCode, Option<String>, Bytes)> {
        let mut url = resolve(base, &call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let patience = call.timeout.unwrap_or(self.inner.options.timeout);
        let line = self.inner.line.as_ref().filter(|_| !call.changes_something() && url.scheme() == "http");
        if let Some(line) = line {
            match line.ask(&url, self.inner.options.max_answer, patience).await {
                Some(Ok(said)) => return Ok((said.status, said.content_type, said.body)),
                Some(Err(Silent)) => return Err(error::no_answer()),
                None => {}
            }
        }
        // Boxed: what is rare makes the answer to each question no larger.
        Box::pin(self.usual(base, call, &url, patience, line)).await
    }

    async fn usual(
        &self,
        base: &Url,
        call: &Call<'_>,
        url: &Url,
        patience: Duration,
        line: Option<&Line>,
    ) -> Result<(StatusCode, Option<String>, Bytes)> {
        let mut attempts_left = if call.changes_something() { 1 } else { 2 };
        loop {
            attempts_left -= 1;
            let mut request = self.inner.http.request(call.method.clone(), url.clone()).timeout(patience);
            if let Some(body) = &call.body {
                request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
            }
            let sent = async {
                let response = request.send().await?;
                let (status, content_type) = (response.status(), content_type(&response));
                Ok::<_, reqwest::Error>((status, content_type, response))
            };
            match sent.await {
                Ok((status, _, response)) if status.is_redirection() => {
                    let target = response.headers().get(LOCATION).and_then(|place| place.to_str().ok());
                    return Err(error::redirected(status, target, base));
                }
                Ok((status, content_type, response)) => {
                    let body = self.read(response, call).await?;
                    line.inspect(|line| line.trust());
                    return Ok((status, content_type, body));
                }
                // A kept connection that the server closed meanwhile: a question may be asked again.
                Err(failure) if attempts_left > 0 && error::is_stale_connection(&failure) => {}
                Err(failure) => return Err(error::from_transport(failure, base, call.changes_something())),
            }
        }
    }

    async fn read(&self, mut response: Response, call: &Call<'_>) -> Result<Bytes> {
        let limit = self.inner.options.max_answer;
        let mut body = Vec::with_capacity(response.content_length().unwrap_or(0).min(limit as u64) as usize);
        let base = response.url().clone();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > limit => return Err(error::too_long(limit)),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(Bytes::from(body)),
                Err(failure) => return Err(error::from_transport(failure, &base, call.changes_something())),
            }
        }
    }

    /// Sends a body that can be sent only once, to the JobManager that answered last.
    pub(super) async fn send_stream<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        content_type_header: String,
        length: u64,
        body: Body,
    ) -> Result<T> {
        let base = self.base_url().clone();
        let told = |e: Error| e.with_operation(call.operation).with_context("url", &base);
        let request = self
            .inner
            .http
            .request(call.method.clone(), resolve(&base, &call.path))
            .timeout(self.inner.options.transfer_timeout)
            .header(CONTENT_TYPE, content_type_header)
            .header(reqwest::header::CONTENT_LENGTH, length)
            .body(body);
        // A jar that arrived twice is two files and no running job: safe to send again.
        let response = request.send().await.map_err(|e| told(error::from_transport(e, &base, false)))?;
        let (status, kind) = (response.status(), content_type(&response));
        let body = self.read(response, &call).await.map_err(told)?;
        error::parse(status, kind.as_deref(), &body, false).map_err(told)
    }

    /// Asks for a long text; the caller reads it piece by piece. The answer must begin within the
    /// timeout of the call.
    pub(super) async fn open_stream(&self, call: Call<'_>) -> Result<Response> {
        let base = self.base_url().clone();
        let told = |e: Error| e.with_operation(call.operation).with_context("url", &base);
        let request = self
            .inner
            .http
            .request(call.method.clone(), resolve(&base, &call.path))
            .timeout(self.inner.options.transfer_timeout);
        let begin = call.timeout.unwrap_or(self.inner.options.timeout);
        let response = tokio::time::timeout(begin, request.send()).await.map_err(|_| told(error::no_answer()))?;
        let response = response.map_err(|e| told(error::from_transport(e, &base, false)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let kind = content_type(&response);
        let body = self.read(response, &call).await.map_err(told)?;
        Err(told(error::from_answer(status, kind.as_deref(), &body, false)))
    }
}

impl fmt::Debug for RestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestClient").field("url", &self.base_url().as_str()).finish_non_exhaustive()
    }
}

/// What is sent with every request.
fn headers(options: &RestOptions) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("streampark-sdk/", env!("CARGO_PKG_VERSION"))));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in &options.headers {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::invalid(format!("'{name}' is no name of an HTTP header")))?;
        let mut value = HeaderValue::from_str(value.resolve()?.expose()).map_err(|_| {
            Error::invalid(format!("the value of header '{name}' has a character that a header cannot carry"))
        })?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

fn build_http(options: &RestOptions, headers: HeaderMap) -> Result<reqwest::Client> {
    // 301 to 303 turn a POST into a GET, so that only the two that do not are followed.
    let same_place = redirect::Policy::custom(|attempt| {
        let same = attempt.previous().first().is_some_and(|from| from.origin() == attempt.url().origin());
        let faithful = matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        if same && faithful && attempt.previous().len() < 4 { attempt.follow() } else { attempt.stop() }
    });
    let mut builder = reqwest::Client::builder()
        .default_headers(headers)
        .connect_timeout(options.connect_timeout)
        .timeout(options.transfer_timeout.max(options.run_timeout))
        .redirect(same_place)
        .retry(reqwest::retry::never())
        .http1_only()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(usize::from(options.proxy_from_env || !plain(options)))
        .pool_idle_timeout(Duration::from_secs(60));
    if !options.proxy_from_env {
        builder = builder.no_proxy();
    }
    if plain(options) && !options.proxy_from_env && options.tls_ca.is_none() {
        // The roots of the system and a cache of TLS sessions take 160 KB in each client, and neither is ever
        // asked for.
        builder = builder.tls_backend_preconfigured(no_tls()?);
    }
    if let Some(pem) = &options.tls_ca {
        let bad = "the CA certificate is not in PEM form; it begins with -----BEGIN CERTIFICATE-----";
        let certificates =
            reqwest::Certificate::from_pem_bundle(pem).map_err(|source| Error::invalid(bad).with_source(source))?;
        if certificates.is_empty() {
            return Err(Error::invalid(bad));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    match (&options.tls_certificate, &options.tls_key) {
        (Some(certificate), Some(key)) => {
            let mut pem = certificate.clone();
            pem.push(b'\n');
            pem.extend_from_slice(key.expose().as_bytes());
            let identity = reqwest::Identity::from_pem(&pem).map_err(|source| {
                Error::invalid("the client certificate or its key is not in PEM form, or they do not belong together")
                    .with_source(source)
            })?;
            builder = builder.identity(identity);
        }
        (None, None) => {}
        _ => return Err(Error::invalid("a client certificate and its key go together; give both or none")),
    }
    builder.build().map_err(|source| {
        Error::invalid("the TLS settings cannot be used; check the certificates and the key").with_source(source)
    })
}

fn plain(options: &RestOptions) -> bool {
    options.urls.iter().all(|url| url.trim_start().to_ascii_lowercase().starts_with("http:"))
}

/// What a client needs that speaks TLS to nobody: it trusts no authority and keeps no sessions.
fn no_tls() -> Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|source| {
        Error::new(ErrorKind::Internal, "the TLS library offers no version of TLS").with_source(source)
    })?;
    let mut config = versions.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn resolve(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

fn content_type(response: &Response) -> Option<String> {
    response.headers().get(CONTENT_TYPE)?.to_str().ok().map(str::to_owned)
}
