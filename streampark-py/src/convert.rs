//! JSON at the border between the two halves.

use std::time::Duration;

use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use streampark_core::{Error, ErrorKind, Result};

use crate::error::raise;

/// An answer as JSON.
pub(crate) fn text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|source| Error::new(ErrorKind::Internal, "an answer cannot be written as JSON").with_source(source))
}

/// Arguments out of JSON; the Python half has checked their names.
pub(crate) fn parse<T: DeserializeOwned>(json: &str, what: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|source| Error::invalid(format!("{what} cannot be read: {source}")))
}

/// A time in seconds.
pub(crate) fn duration(seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| Error::invalid(format!("{seconds} is no time in seconds; it must be 0 or more")))
}

/// A result whose error becomes an exception.
pub(crate) trait Raise<T> {
    fn or_raise(self) -> PyResult<T>;
}

impl<T> Raise<T> for Result<T> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| raise(&error))
    }
}
