//! How to reach a JobManager.

use std::time::Duration;

use url::Url;

use crate::{Error, Result, Secret};

/// How to reach one Flink cluster's REST interface.
///
/// ```
/// use streampark_core::flink::rest::{RestClient, RestOptions};
///
/// let options = RestOptions::new(["https://jm-1:8081/flink/", "https://jm-2:8081/flink/"])
///     .header("Authorization", "Bearer t0ken");
/// let client = RestClient::new(options)?;
/// assert_eq!(client.base_url().as_str(), "https://jm-1:8081/flink/");
/// # Ok::<(), streampark_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RestOptions {
    /// The addresses of one cluster's JobManagers, path prefix included. With high availability all
    /// of them: the first that answers is kept until it stops answering.
    pub urls: Vec<String>,
    /// Certificates (PEM, one or many) trusted besides those of the machine.
    pub tls_ca: Option<Vec<u8>>,
    /// Our own certificate chain (PEM), where the server asks for one.
    pub tls_certificate: Option<Vec<u8>>,
    /// The key of [`tls_certificate`](Self::tls_certificate) (PEM).
    pub tls_key: Option<Secret>,
    /// Headers sent with every request.
    pub headers: Vec<(String, Secret)>,
    /// How long one question may take in all. Default 3 s.
    pub timeout: Duration,
    /// How long to wait for a connection. Default 1 s.
    pub connect_timeout: Duration,
    /// How long a jar may take to upload, or a log to read. Default 5 min.
    pub transfer_timeout: Duration,
    /// How long `/jars/:id/run` may take: the program's `main` runs meanwhile. Default 60 s.
    pub run_timeout: Duration,
    /// Whether the proxy named by `HTTP_PROXY` and its kin is used. Default false.
    pub proxy_from_env: bool,
    /// The longest answer that is read, in bytes; logs are not counted. Default 64 MiB.
    pub max_answer: usize,
}

impl RestOptions {
    /// Options for one cluster; more than one URL where it has several JobManagers.
    pub fn new<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Self {
        Self { urls: urls.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Trusts these certificates (PEM) besides those of the machine.
    #[must_use]
    pub fn tls_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls_ca = Some(pem.into());
        self
    }

    /// Shows this certificate chain and key (both PEM) to a server that asks.
    #[must_use]
    pub fn tls_identity(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Secret>) -> Self {
        self.tls_certificate = Some(certificate.into());
        self.tls_key = Some(key.into());
        self
    }

    /// Sends this header with every request; `env:NAME` and `file:/path` are followed.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets how long one question may take in all.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long to wait for a connection.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long a jar may take to upload, or a log to read.
    #[must_use]
    pub fn transfer_timeout(mut self, timeout: Duration) -> Self {
        self.transfer_timeout = timeout;
        self
    }

    /// Sets how long `/jars/:id/run` may take.
    #[must_use]
    pub fn run_timeout(mut self, timeout: Duration) -> Self {
        self.run_timeout = timeout;
        self
    }

    /// Uses the proxy named by the environment.
    #[must_use]
    pub fn proxy_from_env(mut self, yes: bool) -> Self {
        self.proxy_from_env = yes;
        self
    }

    /// Sets the longest answer that is read, in bytes.
    #[must_use]
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }
}

impl Default for RestOptions {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            tls_ca: None,
            tls_certificate: None,
            tls_key: None,
            headers: Vec::new(),
            timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(1),
            transfer_timeout: Duration::from_secs(300),
            run_timeout: Duration::from_secs(60),
            proxy_from_env: false,
            max_answer: 64 << 20,
        }
    }
}

/// Reads a base URL: the path prefix is kept and ends with `/`.
pub(super) fn parse_base(text: &str) -> Result<Url> {
    let refuse = |why: &str| {
        Error::invalid(format!(
            "'{}' is no address of a JobManager: {why}; write it as http://host:8081/",
            without_user(text)
        ))
    };
    let mut url = Url::parse(text.trim()).map_err(|source| refuse("it is no URL").with_source(source))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("the scheme is neither http nor https"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(refuse("it names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("user and password do not belong into it, send them as a header"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it has a query or a fragment"));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn without_user(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            let (head, tail) = (text.get(..scheme + 3), text.get(at + 1..));
            format!("{}{}", head.unwrap_or_default(), tail.unwrap_or_default())
        }
        _ => text.to_owned(),
    }
}
