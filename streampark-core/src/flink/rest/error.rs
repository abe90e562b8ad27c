//! What an HTTP failure means: which kind, and whether the call may have taken effect.

use std::error::Error as StdError;
use std::io;

use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::flink::RootCause;
use crate::{Error, ErrorKind, ErrorStatus, Result};

/// The body of every error of Flink (`org.apache.flink.runtime.rest.messages.ErrorResponseBody`).
#[derive(Deserialize)]
struct ErrorBody {
    errors: Vec<String>,
}

/// An answer that refuses, with Flink's own exceptions where it told them.
pub(super) struct Refused {
    pub(super) error: Error,
    pub(super) cause: Option<RootCause>,
}

/// Reads an answer: a value where it succeeded, else the error that it means.
pub(super) fn parse<T: DeserializeOwned>(
    status: StatusCode,
    content_type: Option<&str>,
    body: &[u8],
    changes_something: bool,
) -> Result<T> {
    if !status.is_success() {
        return Err(from_answer(status, content_type, body, changes_something));
    }
    serde_json::from_slice(body).map_err(|source| {
        let error = if looks_like_json(body) {
            Error::new(
                ErrorKind::UnexpectedResponse,
                "the answer is JSON but not what Flink 1.16 to 2.3 answers; is this Flink's REST interface?",
            )
            .with_source(source)
        } else {
            not_flink(status, content_type, body)
        };
        mark(error, changes_something)
    })
}

/// The error that an unsuccessful answer means.
pub(super) fn from_answer(
    status: StatusCode,
    content_type: Option<&str>,
    body: &[u8],
    changes_something: bool,
) -> Error {
    let Ok(ErrorBody { errors }) = serde_json::from_slice(body) else {
        let error = match status {
            StatusCode::UNAUTHORIZED => unauthenticated(),
            StatusCode::FORBIDDEN => permission_denied(),
            _ => not_flink(status, content_type, body),
        };
        // Whoever answered in Flink's place with a client error did not pass the request on.
        return mark(error, changes_something && status.is_server_error()).with_context("http_status", status.as_u16());
    };
    let text = errors.iter().max_by_key(|text| text.len()).map(String::as_str).unwrap_or_default();
    let cause = RootCause::from_stacktrace(text);
    let line = cause.one_line();
    let (kind, message) = match status {
        _ if cause.mentions("DuplicateJobSubmissionException")
            || cause.mentions("DuplicateApplicationSubmissionException") =>
        {
            (
                ErrorKind::AlreadyExists,
                "Flink has, or had, a job with this id; look at it before sending again".to_owned(),
            )
        }
        _ if cause.mentions("FlinkJobNotFoundException") => (ErrorKind::NotFound, line),
        // A TaskManager's log that is absent comes as an internal error.
        _ if cause.class == "java.io.FileNotFoundException"
            && cause.message.ends_with("does not exist on the TaskExecutor.") =>
        {
            (ErrorKind::NotFound, line)
        }
        StatusCode::UNAUTHORIZED => return unauthenticated(),
        StatusCode::FORBIDDEN => return permission_denied(),
        StatusCode::NOT_FOUND if text.starts_with("Unable to load requested file") => (
            ErrorKind::Unsupported,
            "this Flink does not offer the call: its version lacks it, web.submit.enable or web.cancel.enable is \
             false, or the URL has a wrong path"
                .to_owned(),
        ),
        StatusCode::NOT_FOUND => (ErrorKind::NotFound, line),
        StatusCode::CONFLICT => (ErrorKind::Conflict, line),
        StatusCode::PAYLOAD_TOO_LARGE => (
            ErrorKind::InvalidInput,
            "the upload is larger than the server's rest.server.max-content-length; raise it there".to_owned(),
        ),
        _ if status.is_client_error() => (ErrorKind::InvalidInput, line),
        _ => (ErrorKind::Remote, line),
    };
    let error = Error::new(kind, message).with_context("http_status", status.as_u16());
    // The JobManager that refuses for lack of a leader has done nothing; after any other failure of
    // its own (a lost answer of the Dispatcher, say) it may have.
    mark(error, changes_something && kind == ErrorKind::Remote && !has_no_leader(status, body))
}

/// Flink's own exceptions of an error answer, if that is what the body holds.
pub(super) fn cause_of(body: &[u8]) -> Option<RootCause> {
    let ErrorBody { errors } = serde_json::from_slice(body).ok()?;
    errors.iter().max_by_key(|text| text.len()).map(|text| RootCause::from_stacktrace(text))
}

/// Whether a JobManager said that it knows no leader: `LeaderRetrievalHandler` answers 503.
pub(super) fn has_no_leader(status: StatusCode, body: &[u8]) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE && serde_json::from_slice::<ErrorBody>(body).is_ok()
}

/// Whether a kept connection turned out to be closed, so that nothing was read from it.
pub(super) fn is_stale_connection(failure: &reqwest::Error) -> bool {
    if failure.is_timeout() || failure.is_connect() {
        return false;
    }
    let text = chain_text(failure);
    text.contains("connection closed before message completed")
        || find_io(failure).is_some_and(|kind| {
            matches!(
                kind,
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted
            )
        })
}

/// The error that a request without an answer means.
pub(super) fn from_transport(failure: reqwest::Error, base: &Url, changes_something: bool) -> Error {
    // The URL is told as context; reqwest would repeat it in every message.
    let failure = failure.without_url();
    if failure.is_connect() {
        return from_connect(failure, base);
    }
    let error = if failure.is_timeout() {
        no_answer()
    } else if chain_text(&failure).contains("invalid HTTP") {
        Error::new(ErrorKind::UnexpectedResponse, not_http(base))
    } else if failure.is_body() || failure.is_decode() || failure.is_request() {
        Error::new(ErrorKind::Unreachable, "the connection broke before the answer was complete")
    } else {
        Error::new(ErrorKind::Unreachable, "the request failed on its way")
    };
    mark(error.with_source(failure), changes_something)
}

/// A JobManager that accepts and says nothing.
pub(super) fn no_answer() -> Error {
    Error::new(ErrorKind::Timeout, "the JobManager took the request but did not answer in time")
}

/// An answer longer than the bound.
pub(super) fn too_long(limit: usize) -> Error {
    Error::new(
        ErrorKind::UnexpectedResponse,
        format!("the answer is longer than {limit} bytes; raise RestOptions::max_answer if that is meant"),
    )
    .with_status(ErrorStatus::Permanent)
}

fn mark(error: Error, may_have_happened: bool) -> Error {
    if may_have_happened { error.with_status(ErrorStatus::Unknown) } else { error }
}

fn from_connect(failure: reqwest::Error, base: &Url) -> Error {
    let place = match (base.host_str(), base.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => base.to_string(),
    };
    let text = chain_text(&failure);
    let lower = text.to_ascii_lowercase();
    let message = if lower.contains("invalidcontenttype") || lower.contains("corrupt message") {
        format!("{place} does not speak TLS; write http:// instead of https://")
    } else if lower.contains("unknownissuer") || lower.contains("unknown issuer") {
        format!("{place} shows a certificate that no known authority signed; give its CA by RestOptions::tls_ca")
    } else if lower.contains("causedasendentity") {
        format!(
            "{place} shows a certificate of an authority as its own; sign one for the server (basicConstraints CA:FALSE)"
        )
    } else if lower.contains("notvalidforname") || lower.contains("not valid for name") {
        format!("{place} shows a certificate of another name; use the name that is in it")
    } else if lower.contains("expired") {
        format!("{place} shows a certificate that has expired; renew it")
    } else if lower.contains("fatal alert: badcertificate") || lower.contains("fatal alert: certificate") {
        format!(
            "{place} asks for a client certificate, or does not trust ours; give one that it trusts by RestOptions::tls_identity"
        )
    } else if lower.contains("certificate") || lower.contains("handshake") || lower.contains("tls") {
        format!("no TLS connection to {place}; check its certificate and whether it speaks TLS at all")
    } else if failure.is_timeout() {
        format!("no connection to {place} in time; is the machine up and the port open to us?")
    } else if find_io(&failure) == Some(io::ErrorKind::ConnectionRefused) {
        format!("nobody listens at {place}; is the JobManager running, and is this its REST port?")
    } else if failure.is_dns() || lower.contains("dns error") {
        format!("the host name of {place} is unknown here; check its spelling and the name service")
    } else {
        format!("no connection to {place}")
    };
    Error::new(ErrorKind::Unreachable, message).with_source(failure)
}

fn not_http(base: &Url) -> String {
    let place = base.host_str().unwrap_or_default();
    let port = base.port_or_known_default().unwrap_or_default();
    if base.scheme() == "http" {
        format!("{place}:{port} does not answer in HTTP; if it speaks TLS, write https:// instead of http://")
    } else {
        format!("{place}:{port} does not answer in HTTP; is this Flink's REST port?")
    }
}

fn not_flink(status: StatusCode, content_type: Option<&str>, body: &[u8]) -> Error {
    const REMEDY: &str =
        "check host, port and path prefix (default port 8081), and whether a proxy or a login page is in between";
    let what = if body.is_empty() {
        "an empty answer".to_owned()
    } else if looks_like_html(content_type, body) {
        match title(body) {
            Some(title) => format!("an HTML page titled '{title}'"),
            None => "an HTML page".to_owned(),
        }
    } else {
        format!("no JSON ({})", content_type.unwrap_or("no content type"))
    };
    Error::new(
        ErrorKind::UnexpectedResponse,
        format!("this is not Flink's REST interface, it answered {} with {what}; {REMEDY}", status.as_u16()),
    )
}

/// A redirect that is not followed. Flink with `security.ssl.rest.enabled` sends plain HTTP to https
/// (`RedirectingSslHandler`); a gateway sends strangers to its login page.
pub(super) fn redirected(status: StatusCode, target: Option<&str>, base: &Url) -> Error {
    let target = target.and_then(|target| base.join(target).ok());
    let message = match &target {
        Some(url) if base.scheme() == "http" && url.scheme() == "https" && url.port() == base.port() => {
            "this port speaks TLS; write https:// instead of http://".to_owned()
        }
        Some(url) => format!(
            "the server sends us to {}, which is not followed; if that is Flink, use its address, else send the \
             header that the server expects",
            url.origin().ascii_serialization()
        ),
        None => "the server sends us somewhere else without saying where".to_owned(),
    };
    Error::new(ErrorKind::UnexpectedResponse, message)
        .with_status(ErrorStatus::Permanent)
        .with_context("http_status", status.as_u16())
}

fn unauthenticated() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "the server, or a proxy before it, wants to know who we are; send the header it expects by RestOptions::header",
    )
}

fn permission_denied() -> Error {
    Error::new(ErrorKind::PermissionDenied, "the server, or a proxy before it, refuses this call to us")
}

fn looks_like_json(body: &[u8]) -> bool {
    matches!(body.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{' | b'['))
}

fn looks_like_html(content_type: Option<&str>, body: &[u8]) -> bool {
    content_type.is_some_and(|kind| kind.starts_with("text/html"))
        || body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

fn title(body: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(body.get(..body.len().min(4096))?).into_owned();
    let lower = head.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = lower.get(start..)?.find("</title>")?;
    let text = head.get(start..start + end)?.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| text.chars().take(80).collect())
}

fn chain_text(failure: &(dyn StdError + 'static)) -> String {
    let mut text = failure.to_string();
    let mut next = failure.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

fn find_io(failure: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(failure);
    let mut found = None;
    while let Some(source) = next {
        if let Some(io) = source.downcast_ref::<io::Error>() {
            found = Some(io.kind());
        }
        next = source.source();
    }
    found
}
