//! The folder of mirrors, and the rules that every Git call of a process keeps.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use url::Url;

use crate::project::{GitScheme, GitUrl};
use crate::{Error, Result, Secret};

/// The rules of Git calls.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GitOptions {
    /// Which schemes URLs may have, submodules' too: https and ssh.
    pub schemes: Vec<GitScheme>,
    /// An HTTP proxy for https and ssh alike: `http://user@host:port`, its password in `proxy_password`.
    pub proxy: Option<Url>,
    /// The proxy's password.
    pub proxy_password: Option<Secret>,
    /// A PEM file with the certificate authorities to trust instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// Files in OpenSSH's `known_hosts` form. A server whose key is in none of them is refused.
    pub known_hosts: Vec<PathBuf>,
    /// How long to wait for a connection: 15 s.
    pub connect_timeout: Duration,
    /// How long a server may be silent: 60 s.
    pub idle_timeout: Duration,
    /// How long one call may last: 30 min.
    pub timeout: Duration,
    /// How many bytes one call may bring: 4 GiB.
    pub max_received: u64,
    /// How large one file of a checkout may be: 512 MiB.
    pub max_file: u64,
    /// How large a checkout may be: 8 GiB.
    pub max_checkout: u64,
    /// How many files a checkout may have: 500,000.
    pub max_files: u64,
    /// How many commits of a branch the first synchronisation brings; None brings all. History is
    /// brought later where somebody asks for it.
    pub depth: Option<u32>,
    /// How many calls go on at once: 4.
    pub concurrency: usize,
}

impl Default for GitOptions {
    fn default() -> Self {
        let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".ssh/known_hosts"));
        Self {
            schemes: GitScheme::DEFAULT.to_vec(),
            proxy: None,
            proxy_password: None,
            ca_file: None,
            known_hosts: home.into_iter().chain([PathBuf::from("/etc/ssh/ssh_known_hosts")]).collect(),
            connect_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(60),
            timeout: Duration::from_secs(30 * 60),
            max_received: 4 << 30,
            max_file: 512 << 20,
            max_checkout: 8 << 30,
            max_files: 500_000,
            depth: Some(1),
            concurrency: 4,
        }
    }
}

/// The mirrors of one process, or of several that share the folder: a lock file guards each mirror.
///
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct GitCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    options: GitOptions,
    client: reqwest::Client,
    calls: Arc<Semaphore>,
    mirrors: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

impl GitCache {
    /// Mirrors live in `folder`, which is made where it does not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the folder cannot be made,
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) where a proxy's URL holds a password.
    pub fn open(folder: impl Into<PathBuf>, options: GitOptions) -> Result<Self> {
        if options.proxy.as_ref().is_some_and(|proxy| proxy.password().is_some() || proxy.scheme() != "http") {
            return Err(Error::invalid(
                "a Git proxy is written http://host:port or http://user@host:port; its password goes into proxy_password",
            ));
        }
        let folder = folder.into();
        std::fs::create_dir_all(folder.join("mirrors"))
            .map_err(|source| Error::from(source).with_context("path", folder.display()))?;
        let client = client(&options)?;
        let calls = Arc::new(Semaphore::new(options.concurrency.max(1)));
        Ok(Self(Arc::new(Inner { folder, options, client, calls, mirrors: Mutex::default() })))
    }

    /// The rules.
    pub fn options(&self) -> &GitOptions {
        &self.0.options
    }

    /// Checks an address against the schemes allowed here.
    ///
    /// # Errors
    /// As [`GitUrl::parse`].
    pub fn url(&self, text: &str) -> Result<GitUrl> {
        GitUrl::parse(text, &self.0.options.schemes)
    }

    /// Where the mirror of `url` is, whether or not it exists yet.
    pub fn mirror(&self, url: &GitUrl) -> PathBuf {
        let hash = hex::encode(Sha256::digest(url.to_string()));
        let name: String =
            url.name().chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(40).collect();
        self.0.folder.join("mirrors").join(format!("{name}-{}.git", hash.get(..16).unwrap_or_default()))
    }

    /// Where checkouts are written.
    pub(super) fn checkouts(&self) -> PathBuf {
        self.0.folder.join("checkouts")
    }

    pub(super) fn client(&self) -> &reqwest::Client {
        &self.0.client
    }

    pub(super) fn calls(&self) -> Arc<Semaphore> {
        self.0.calls.clone()
    }

    /// The lock under which one mirror is written: one synchronisation serves all who wait for it.
    pub(super) fn lock(&self, mirror: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(mirror.to_owned()).or_default().clone()
    }
}

fn client(options: &GitOptions) -> Result<reqwest::Client> {
    let same_place = reqwest::redirect::Policy::custom(|attempt| {
        let place =
            |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
        match attempt.previous().first().map(place) {
            Some(first) if first == place(attempt.url()) && attempt.previous().len() < 5 => attempt.follow(),
            _ => attempt.error("another host or scheme"),
        }
    });
    let mut builder = reqwest::Client::builder()
        .redirect(same_place)
        .no_proxy()
        .user_agent(concat!("git/2.0 (streampark-sdk ", env!("CARGO_PKG_VERSION"), ")"))
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.idle_timeout)
        .tcp_nodelay(true);
    if let Some(file) = &options.ca_file {
        let broken = |text: &str| Error::invalid(text.to_owned()).with_context("path", file.display());
        let pem = std::fs::read(file)
            .map_err(|source| broken("the file of certificate authorities cannot be read").with_source(source))?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|source| broken("the file of certificate authorities is not PEM").with_source(source))?;
        builder = builder.tls_certs_only(authorities);
    }
    if let Some(proxy) = &options.proxy {
        let mut through = reqwest::Proxy::all(proxy.clone())
            .map_err(|source| Error::invalid("the Git proxy cannot be used").with_source(source))?;
        if let Some(password) = &options.proxy_password {
            through = through.basic_auth(proxy.username(), password.resolve()?.expose());
        }
        builder = builder.proxy(through);
    }
    builder.build().map_err(|source| Error::invalid("the HTTP client of Git calls cannot be made").with_source(source))
}
