//! Errors of the engine as Python exceptions, and exceptions of user code as errors.

use std::error::Error as _;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use streampark_core::{Error, ErrorKind, ErrorStatus};

/// The exception that `streampark.exceptions` has for `error`, with its causes chained.
pub(crate) fn raise(error: &Error) -> PyErr {
    Python::attach(|py| exception(py, error).unwrap_or_else(|failed| failed))
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let context = PyDict::new(py);
    for (key, value) in error.context() {
        context.set_item(key, value)?;
    }
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let make = py.import("streampark.exceptions")?.getattr("from_native")?;
    let fields =
        (error.kind().as_str(), error.status().as_str(), error.operation(), error.to_string(), context, causes);
    Ok(PyErr::from_value(make.call1(fields)?))
}

/// Kinds that code of the user can name; all others mean a failure in passing.
const KINDS: [ErrorKind; 13] = [
    ErrorKind::InvalidInput,
    ErrorKind::NotFound,
    ErrorKind::AlreadyExists,
    ErrorKind::Conflict,
    ErrorKind::Exhausted,
    ErrorKind::Unsupported,
    ErrorKind::Unauthenticated,
    ErrorKind::PermissionDenied,
    ErrorKind::Unreachable,
    ErrorKind::Timeout,
    ErrorKind::UnexpectedResponse,
    ErrorKind::Remote,
    ErrorKind::Program,
];

/// An exception out of code of the user: one of ours keeps kind and status, any other is a failure
/// of kind `otherwise`, and of status `unless_told` where the kind's usual one is not meant.
pub(crate) fn of_exception(
    py: Python<'_>,
    exception: &PyErr,
    otherwise: ErrorKind,
    unless_told: Option<ErrorStatus>,
) -> Error {
    let value = exception.value(py);
    let word = |name: &str| value.getattr(name).and_then(|word| word.extract::<String>()).unwrap_or_default();
    let (kind, status) = (word("kind"), word("status"));
    let known = KINDS.into_iter().find(|known| known.as_str() == kind);
    let text = value.str().map(|text| text.to_string()).unwrap_or_default();
    let name = exception.get_type(py).name().map(|name| name.to_string()).unwrap_or_default();
    // What a class says of its errors in general is no word about whether this one had an effect.
    let told = || value.getattr("__dict__").and_then(|own| own.contains("status")).unwrap_or_default();
    match known {
        Some(kind) if status == ErrorStatus::Temporary.as_str() && unless_told.is_some() && !told() => {
            Error::new(kind, text).with_status(unless_told.unwrap_or(ErrorStatus::Unknown))
        }
        Some(kind) => {
            let statuses = [ErrorStatus::Permanent, ErrorStatus::Temporary, ErrorStatus::Unknown];
            let status = statuses.into_iter().find(|known| known.as_str() == status);
            let error = Error::new(kind, text);
            match status {
                Some(status) => error.with_status(status),
                None => error,
            }
        }
        None => {
            let error = Error::new(otherwise, if text.is_empty() { name } else { format!("{name}: {text}") });
            match unless_told {
                Some(status) => error.with_status(status),
                None => error,
            }
        }
    }
}
