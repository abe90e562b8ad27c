//! Why a Git call failed: what our own checks said counts more than what libgit2 made of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use git2::{ErrorClass, ErrorCode};

use super::GitCredentials;
use crate::project::GitUrl;
use crate::{Error, ErrorKind};

/// Shared by the callbacks, the relay and the caller of one Git call.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict {
    error: Arc<Mutex<Option<Error>>>,
    cancelled: Arc<AtomicBool>,
}

impl Verdict {
    /// Keeps the first error.
    pub(super) fn set(&self, error: Error) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(super) fn take(&self) -> Option<Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Keeps `error` and makes the one that libgit2 carries through its own frames.
    pub(super) fn refuse(&self, error: Error) -> git2::Error {
        let code = if error.kind() == ErrorKind::Unauthenticated { ErrorCode::Auth } else { ErrorCode::User };
        let shown = git2::Error::new(code, ErrorClass::Callback, error.message());
        self.set(error);
        shown
    }

    /// Turns libgit2's error into ours.
    pub(super) fn explain(&self, url: &GitUrl, credentials: &GitCredentials, error: git2::Error) -> Error {
        if let Some(known) = self.take() {
            return known.with_context("url", url);
        }
        if self.is_cancelled() {
            return Error::new(ErrorKind::Cancelled, "the Git call was cancelled").with_context("url", url);
        }
        classify(credentials, &error).with_context("url", url).with_source(error)
    }
}

fn classify(credentials: &GitCredentials, error: &git2::Error) -> Error {
    let text = error.message();
    match (error.class(), error.code()) {
        (_, ErrorCode::Auth) => refused(credentials),
        (ErrorClass::Ssh, _) if text.contains("uthenticat") || text.contains("publickey") => refused(credentials),
        (ErrorClass::Http, _) => {
            Error::new(ErrorKind::UnexpectedResponse, "the server did not answer as a Git server does; check the URL")
        }
        (_, ErrorCode::NotFound) | (ErrorClass::Repository, _) => no_repository(),
        (ErrorClass::Ssh, ErrorCode::Eof) => no_repository(),
        (_, _) if text.contains("does not appear to be a git repository") || text.contains("not found") => {
            no_repository()
        }
        (ErrorClass::Net, _) if text.contains("early EOF") || text.contains("unexpected EOF") => no_repository(),
        (ErrorClass::Net | ErrorClass::Ssh | ErrorClass::Os, _) => {
            Error::new(ErrorKind::Unreachable, "the connection to the Git server broke")
        }
        _ => Error::new(ErrorKind::UnexpectedResponse, "the Git call failed"),
    }
}

fn refused(credentials: &GitCredentials) -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        match credentials {
            GitCredentials::Anonymous => {
                "authentication refused: the Git server wants credentials and the project has none".to_owned()
            }
            other => format!(
                "authentication refused: the Git server does not accept {}; check them and their rights on this repository",
                other.kind()
            ),
        },
    )
}

fn no_repository() -> Error {
    Error::not_found(
        "no such repository: check the path and that these credentials may read it, since servers hide what they refuse",
    )
}

/// What a certificate that nobody vouches for comes to.
pub(super) const CERTIFICATE: &str =
    "the Git server's TLS certificate is not trusted; give the certificate authority that signed it";

/// What an HTTP status other than success means.
pub(super) fn of_status(status: u16, credentials: &GitCredentials) -> Error {
    match status {
        401 | 403 => refused(credentials),
        404 | 410 => no_repository(),
        429 => Error::new(ErrorKind::Exhausted, "the Git server asks for fewer calls (HTTP status 429)"),
        500.. => Error::new(ErrorKind::Remote, format!("the Git server failed with HTTP status {status}")),
        _ => Error::new(ErrorKind::UnexpectedResponse, format!("the Git server answered with HTTP status {status}")),
    }
}
