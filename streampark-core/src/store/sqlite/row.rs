//! Between values and columns.

use jiff::Timestamp;
use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use crate::{Error, ErrorKind};

/// Nanoseconds since 1970, the form in which times are compared; beyond the years 1677 to 2262 the
/// nearest that fits.
pub(super) fn nanos(at: Timestamp) -> i64 {
    let nanos = at.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

pub(super) fn timestamp(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// SQLite counts to 2^63 - 1; no counter of ours comes near it.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A limit as SQL wants it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|source| {
        Error::new(ErrorKind::Internal, "a row of the store cannot be written as JSON").with_source(source).into()
    })
}

/// The name that serde gives a value without fields.
pub(super) fn word<T: Serialize>(value: T) -> Result<String, Failure> {
    Ok(json(&value)?.trim_matches('"').to_owned())
}

/// Reads the JSON in column `index` of a row of `table`.
pub(super) fn parse<T: DeserializeOwned>(row: &Row<'_>, index: usize, table: &'static str) -> Result<T, Failure> {
    let text = row.get_ref(index)?.as_str().map_err(|source| unreadable(table, source))?;
    serde_json::from_str(text).map_err(|source| unreadable(table, source).into())
}

fn unreadable(table: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(
        ErrorKind::Storage,
        format!("a row of table '{table}' cannot be read; it is damaged or was written by a newer version"),
    )
    .with_source(source)
}
