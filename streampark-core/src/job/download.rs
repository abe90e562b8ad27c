//! Jars that lie behind an `http(s)` URL.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Response, StatusCode, redirect};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use super::archive;
use super::digest;
use super::launch::{Location, Resource};
use super::program::ProgramContext;
use super::resolve::{blocking, file_name};
use crate::{Error, ErrorKind, Result};

/// The bounds of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadOptions {
    /// The largest file, in bytes. Default 1 GiB.
    pub max_bytes: u64,
    /// How long a connection may take to be made. Default 10 s.
    pub connect_timeout: Duration,
    /// How long the server may be silent. Default 30 s.
    pub read_timeout: Duration,
    /// How long the whole download may take. Default 15 min.
    pub timeout: Duration,
}

impl Default for DownloadOptions {
    fn default() -> Self {
        Self {
            max_bytes: 1024 * 1024 * 1024,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            timeout: Duration::from_secs(15 * 60),
        }
    }
}

impl DownloadOptions {
    /// Sets the largest file, in bytes.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how long a connection may take to be made.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long the server may be silent.
    #[must_use]
    pub fn with_read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Sets how long the whole download may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// What is remembered of a URL: the answer it last gave, and the file that came with it.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    etag: Option<String>,
    last_modified: Option<String>,
    sha256: String,
    name: String,
}

/// The progress of a large download is told once for so many bytes.
const PROGRESS_BYTES: u64 = 16 * 1024 * 1024;

/// Fetches the file behind `url` into the context's cache, where it is kept by its content.
///
/// A file that the server says is unchanged is not sent again. A file fetched before also serves where the
/// server is away: a job that has to come back does not wait for an artifact server.
pub(super) async fn fetch(url: &Url, context: &ProgramContext) -> Result<Resource> {
    let folder = context.cache.join("downloads");
    let note = folder.join(format!("{}.json", digest::of_bytes(url.as_str().as_bytes())));
    let known = known(&folder, &note).await;
    let outcome = request(url, known.as_ref(), &folder, &note, context).await;
    let shown = without_secrets(url.as_str());
    match (outcome, known) {
        (Err(error), Some(known)) if error.is_retryable() => {
            tracing::warn!(url = shown, error = %error.chain(), "the server of a jar is away; the copy fetched before is used");
            Ok(known.resource(&folder))
        }
        (outcome, _) => outcome.map_err(|error| error.with_operation("jar.download").with_context("url", shown)),
    }
}

/// A URL as it may be shown: without user, password and query, which may hold a signature.
pub(super) fn without_secrets(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) if url.has_host() => {
            // Refused for URLs that cannot hold either.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_query(None);
            url.set_fragment(None);
            url.into()
        }
        _ => text.to_owned(),
    }
}

impl Known {
    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(&self.sha256).join(&self.name)
    }

    fn resource(&self, folder: &Path) -> Resource {
        Resource::new(&self.name, Location::Path(self.path(folder))).with_sha256(&self.sha256)
    }
}

async fn known(folder: &Path, note: &Path) -> Option<Known> {
    let note = tokio::fs::read(note).await.ok()?;
    let known: Known = serde_json::from_slice(&note).ok()?;
    tokio::fs::try_exists(known.path(folder)).await.ok()?.then_some(known)
}

async fn request(
    url: &Url,
    known: Option<&Known>,
    folder: &Path,
    note: &Path,
    context: &ProgramContext,
) -> Result<Resource> {
    let mut request = client(&context.downloads)?.get(url.clone());
    if let Some(known) = known {
        if let Some(etag) = &known.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(time) = &known.last_modified {
            request = request.header(IF_MODIFIED_SINCE, time);
        }
    }
    let response = request.send().await.map_err(not_answered)?;
    match (response.status(), known) {
        (StatusCode::NOT_MODIFIED, Some(known)) => Ok(known.resource(folder)),
        (status, _) if status.is_success() => {
            let name = file_name(&percent_decoded(response.url().path()));
            let shown = without_secrets(url.as_str());
            let known = receive(response, name, shown, folder, &context.downloads).await?;
            let resource = known.resource(folder);
            let note = note.to_owned();
            blocking(move || {
                let text = serde_json::to_vec(&known).unwrap_or_default();
                digest::replace(&note, &text).map_err(Error::from)
            })
            .await?;
            Ok(resource)
        }
        (status, _) => Err(refused(status)),
    }
}

fn client(options: &DownloadOptions) -> Result<reqwest::Client> {
    // What was asked for under TLS must not come without it.
    let redirects = redirect::Policy::custom(|attempt| {
        let from_tls = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        match (attempt.previous().len(), from_tls && attempt.url().scheme() != "https") {
            (0..=5, false) => attempt.follow(),
            (_, true) => attempt.error("a redirect leads from https to http"),
            _ => attempt.error("more than 5 redirects"),
        }
    });
    reqwest::Client::builder()
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.read_timeout)
        .timeout(options.timeout)
        .redirect(redirects)
        .build()
        .map_err(|source| {
            Error::new(ErrorKind::Internal, "an HTTP client cannot be made").with_source(source.without_url())
        })
}

/// Writes the body beside its final place, hashing as it comes, and moves it there when it is whole.
///
/// What is no jar, such as a login page, is not kept.
async fn receive(
    mut response: Response,
    name: String,
    shown: String,
    folder: &Path,
    options: &DownloadOptions,
) -> Result<Known> {
    let limit = options.max_bytes;
    let length = response.content_length();
    if length.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let header = |headers: &HeaderMap, name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let etag = header(response.headers(), ETAG);
    let last_modified = header(response.headers(), LAST_MODIFIED);
    let place = folder.to_owned();
    let mut file = blocking(move || {
        std::fs::create_dir_all(&place)?;
        Ok(tempfile::NamedTempFile::new_in(&place)?)
    })
    .await?;
    let mut hash = Sha256::new();
    let (mut received, mut told) = (0_u64, 0_u64);
    while let Some(chunk) = response.chunk().await.map_err(not_answered)? {
        received += chunk.len() as u64;
        if received > limit {
            return Err(too_large(limit));
        }
        hash.update(&chunk);
        file = blocking(move || {
            file.write_all(&chunk)?;
            Ok(file)
        })
        .await?;
        if received - told >= PROGRESS_BYTES {
            told = received;
            tracing::info!(file = name, received, total = length, "downloading a jar");
        }
    }
    if length.is_some_and(|length| received < length) {
        return Err(Error::new(ErrorKind::Unreachable, "the connection ended before the whole file had come"));
    }
    let known = Known { etag, last_modified, sha256: hex::encode(hash.finalize()), name };
    let path = known.path(folder);
    blocking(move || {
        archive::check(file.path(), &shown)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| Error::from(error.error))?;
        Ok(())
    })
    .await?;
    tracing::info!(file = known.name, bytes = received, sha256 = known.sha256, "downloaded a jar");
    Ok(known)
}

fn percent_decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let mut byte = [0];
                hex::decode_to_slice([*high, *low], &mut byte).ok().map(|()| (byte[0], after))
            }
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((*first, tail));
        decoded.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn too_large(limit: u64) -> Error {
    Error::invalid(format!(
        "the file is larger than {limit} bytes, which is the bound of a download; \
         raise max_bytes of the download options, or put it where the engine reads it by itself"
    ))
}

fn refused(status: StatusCode) -> Error {
    let (kind, remedy) = match status.as_u16() {
        401 => (ErrorKind::Unauthenticated, "; check the user and password in the URL"),
        403 => (ErrorKind::PermissionDenied, "; check the rights on the file, or whether a signed URL has run out"),
        404 | 410 => (ErrorKind::NotFound, "; check the URL"),
        408 | 429 | 500.. => (ErrorKind::Remote, ""),
        _ => (ErrorKind::InvalidInput, "; check the URL"),
    };
    Error::new(kind, format!("the server of the jar answered HTTP {}{remedy}", status.as_u16()))
}

fn not_answered(source: reqwest::Error) -> Error {
    let (kind, message) = match () {
        () if source.is_timeout() => (ErrorKind::Timeout, "the server of the jar did not answer in time"),
        () if source.is_redirect() => {
            (ErrorKind::InvalidInput, "the server of the jar sends us elsewhere, and we do not go")
        }
        () if source.is_connect() => (ErrorKind::Unreachable, "the server of the jar cannot be reached"),
        () => (ErrorKind::Unreachable, "the connection to the server of the jar broke"),
    };
    Error::new(kind, message).with_source(source.without_url())
}
