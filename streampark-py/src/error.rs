//! Errors of the engine as Python exceptions.

use std::error::Error as _;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use streampark_core::Error;

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
    let make = py.import("streampark.exceptions")?.getattr("_from_native")?;
    let fields =
        (error.kind().as_str(), error.status().as_str(), error.operation(), error.to_string(), context, causes);
    Ok(PyErr::from_value(make.call1(fields)?))
}
