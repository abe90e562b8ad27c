//! What SQLite refuses, told as the store's own errors.

use rusqlite::ErrorCode;

use crate::{Error, ErrorKind, ErrorStatus};

/// Why one piece of work on the file failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The work broke a rule of the store; the file is well.
    Rule(Error),
    /// SQLite could not do it.
    Sqlite(rusqlite::Error),
}

impl Failure {
    /// Whether the operating system failed to read or write.
    pub(super) fn is_io(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure))
    }

    /// The store's error, for each of several callers.
    pub(super) fn to_error(&self) -> Error {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(code, message)) => {
                storage(rusqlite::Error::SqliteFailure(*code, message.clone()))
            }
            _ => Error::new(ErrorKind::Storage, "the store's file could not be read or written"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Rule(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Rule(error) => error,
            Failure::Sqlite(source) => storage(source),
        }
    }
}

/// The store's error for one of SQLite's.
pub(super) fn storage(source: rusqlite::Error) -> Error {
    let (status, message) = match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            (ErrorStatus::Temporary, "the disk is full, nothing was written; free some space and try again")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            (ErrorStatus::Permanent, "the store's file or folder is read-only; make both writable for this user")
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            (ErrorStatus::Permanent, "the store's file is damaged; put back a copy of it, with its -wal file")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorStatus::Temporary, "another program holds the store's file; close it there and try again")
        }
        // A failed sync leaves open what reached the disk.
        Some(ErrorCode::SystemIoFailure) => {
            (ErrorStatus::Unknown, "the operating system failed to read or write the store's file; check the disk")
        }
        Some(ErrorCode::CannotOpen) => {
            (ErrorStatus::Permanent, "the store's file cannot be opened; check its path and the rights on its folder")
        }
        _ => (ErrorStatus::Permanent, "the store's file could not be read or written"),
    };
    Error::new(ErrorKind::Storage, message).with_status(status).with_source(source)
}
