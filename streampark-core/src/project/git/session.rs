//! One call to a Git server: a thread of its own, our checks in libgit2's callbacks, an end that always comes.

use std::sync::atomic::{AtomicU32, Ordering};

use git2::{CertificateCheckStatus, Direction, FetchOptions, Remote, RemoteCallbacks, RemoteRedirect};

use super::cache::{GitCache, GitOptions};
use super::credentials::GitCredentials;
use super::known_hosts::{self, HostKey};
use super::relay::{Relay, Route};
use super::tunnel::Tunnel;
use super::verdict::Verdict;
use super::web::Web;
use crate::project::{GitScheme, GitUrl, ProgressSink, SyncOptions, SyncProgress};
use crate::{Error, ErrorKind, Result};

/// What a blocking Git call may use.
pub(super) struct Session {
    pub(super) cache: GitCache,
    pub(super) url: GitUrl,
    pub(super) credentials: GitCredentials,
    pub(super) verdict: Verdict,
    progress: Option<ProgressSink>,
    /// The address that libgit2 is given.
    address: String,
}

/// Tells the thread of a dropped call to end.
struct CancelOnDrop(Verdict);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs `work` on a blocking thread with a way to the server; returns its result and the bytes received.
pub(super) async fn call<T: Send + 'static>(
    cache: &GitCache,
    url: &GitUrl,
    credentials: &GitCredentials,
    options: &SyncOptions,
    work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
) -> Result<(T, u64)> {
    let rules = cache.options().clone();
    let permit = cache
        .calls()
        .acquire_owned()
        .await
        .map_err(|source| Error::new(ErrorKind::Cancelled, "Git calls have been shut down").with_source(source))?;
    let credentials = credentials.resolve()?;
    let verdict = Verdict::default();
    let token = uuid::Uuid::new_v4().simple().to_string();
    let relay = match url.scheme() {
        GitScheme::File => None,
        _ => Some(Relay::start(route(cache, url, &credentials, &token)?, verdict.clone()).await?),
    };
    let address = address(url, relay.as_ref(), &token);
    let session = Session {
        cache: cache.clone(),
        url: url.clone(),
        credentials,
        verdict: verdict.clone(),
        progress: options.progress.clone(),
        address,
    };
    let _cancel = CancelOnDrop(verdict);
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work(&session)
    });
    let result = tokio::time::timeout(rules.timeout, task).await.map_err(|_| {
        Error::new(ErrorKind::Timeout, format!("the Git call did not end within {} s", rules.timeout.as_secs()))
            .with_context("url", url)
    })?;
    let result = result.map_err(|source| Error::new(ErrorKind::Internal, "a Git call panicked").with_source(source))?;
    Ok((result?, relay.map_or(0, |relay| relay.received())))
}

impl Session {
    fn rules(&self) -> &GitOptions {
        self.cache.options()
    }

    /// Connects `remote` and hands it to `work`.
    pub(super) fn connected<T>(
        &self,
        mut remote: Remote<'_>,
        work: impl FnOnce(&mut Remote<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut connection =
            remote.connect_auth(Direction::Fetch, Some(self.callbacks()), None).map_err(|error| self.explain(error))?;
        work(connection.remote())
    }

    /// The address that libgit2 is given.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn explain(&self, error: git2::Error) -> Error {
        self.verdict.explain(&self.url, &self.credentials, error)
    }

    pub(super) fn fetch_options(&self, depth: Option<u32>) -> FetchOptions<'_> {
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(self.callbacks())
            .follow_redirects(RemoteRedirect::None)
            .update_fetchhead(false)
            .download_tags(git2::AutotagOption::None);
        if let Some(depth) = depth.filter(|_| self.url.scheme() != GitScheme::File) {
            options.depth(i32::try_from(depth).unwrap_or(i32::MAX));
        }
        options
    }

    fn callbacks(&self) -> RemoteCallbacks<'_> {
        let asked = AtomicU32::new(0);
        let mut callbacks = RemoteCallbacks::new();
        callbacks.credentials(move |_, user, wanted| {
            if !wanted.contains(git2::CredentialType::USERNAME) && asked.fetch_add(1, Ordering::Relaxed) > 0 {
                return Err(git2::Error::new(git2::ErrorCode::Auth, git2::ErrorClass::Callback, "refused"));
            }
            let user = user.or(self.url.user()).unwrap_or("git");
            self.credentials.answer(user, wanted).unwrap_or_else(|| {
                Err(git2::Error::new(git2::ErrorCode::Auth, git2::ErrorClass::Callback, "no fitting credentials"))
            })
        });
        callbacks.certificate_check(|certificate, _| match self.check_certificate(certificate) {
            Ok(status) => Ok(status),
            Err(error) => Err(self.verdict.refuse(error)),
        });
        callbacks.transfer_progress(|stats| {
            let received = stats.received_bytes() as u64;
            if received > self.rules().max_received {
                self.verdict.set(Error::new(
                    ErrorKind::Exhausted,
                    format!("the Git server sent more than {} bytes, the limit of one call", self.rules().max_received),
                ));
                return false;
            }
            if let Some(progress) = &self.progress {
                progress(SyncProgress::new(stats.received_objects() as u64, stats.total_objects() as u64, received));
            }
            !self.verdict.is_cancelled()
        });
        callbacks.sideband_progress(|_| !self.verdict.is_cancelled());
        callbacks
    }

    fn check_certificate(&self, certificate: &git2::cert::Cert<'_>) -> Result<CertificateCheckStatus> {
        let key = certificate.as_hostkey();
        match key.and_then(|key| Some((key.hostkey_type()?, key.hostkey()?))) {
            Some((kind, bytes)) => self.check_host_key(kind.name(), bytes),
            None => {
                Err(Error::new(ErrorKind::Unauthenticated, "the SSH server showed no host key that can be checked"))
            }
        }
    }

    fn check_host_key(&self, kind: &str, key: &[u8]) -> Result<CertificateCheckStatus> {
        let mut file = String::new();
        for path in &self.rules().known_hosts {
            file.push_str(&std::fs::read_to_string(path).unwrap_or_default());
            file.push('\n');
        }
        let (host, port) = (self.url.host(), self.url.port());
        let told = |text: String| {
            Err(Error::new(ErrorKind::Unauthenticated, text)
                .with_context("host", format!("{host}:{port}"))
                .with_context("fingerprint", known_hosts::fingerprint(key)))
        };
        match known_hosts::look_up(&file, host, port, kind, key) {
            HostKey::Known => Ok(CertificateCheckStatus::CertificateOk),
            HostKey::Unknown => told(format!(
                "host key unknown: the server's {kind} key is in no known_hosts file; compare the fingerprint with the server's owner, then add the key"
            )),
            HostKey::OtherTypes(types) => told(format!(
                "host key unknown: the server showed its {kind} key, and known_hosts holds only its {}; add this one after comparing the fingerprint",
                types.join(", ")
            )),
            HostKey::Changed => told(format!(
                "host key changed: the server's {kind} key is not the one in known_hosts; somebody may be listening, so ask the server's owner before replacing it"
            )),
            HostKey::Revoked => told(format!("host key revoked: known_hosts marks this {kind} key as revoked")),
        }
    }
}

fn route(cache: &GitCache, url: &GitUrl, credentials: &GitCredentials, token: &str) -> Result<Route> {
    if url.scheme() != GitScheme::Ssh {
        let (client, url) = (cache.client().clone(), url.as_url().clone());
        return Ok(Route::Web(Web { client, url, token: token.to_owned(), credentials: credentials.clone() }));
    }
    let rules = cache.options();
    let password = rules.proxy_password.as_ref().map(crate::Secret::resolve).transpose()?;
    Ok(Route::Tunnel(Tunnel {
        host: url.host().to_owned(),
        port: url.port(),
        proxy: rules.proxy.clone().map(|proxy| (proxy, password)),
        connect_timeout: rules.connect_timeout,
        idle_timeout: rules.idle_timeout,
    }))
}

/// The address that libgit2 is given.
fn address(url: &GitUrl, relay: Option<&Relay>, token: &str) -> String {
    match relay {
        None => url.to_string(),
        Some(relay) if url.scheme() == GitScheme::Ssh => {
            format!("ssh://{}@{}{}", url.user().unwrap_or("git"), relay.address(), url.as_url().path())
        }
        Some(relay) => format!("http://{}/{token}", relay.address()),
    }
}
