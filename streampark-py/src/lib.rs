//! The native half of the Python package `streampark`.

mod error;
mod runtime;
mod spec;

use pyo3::prelude::*;

#[pymodule]
mod _streampark {
    #[pymodule_export]
    use super::spec::{spec_from_yaml, spec_to_json, spec_to_yaml};
}
