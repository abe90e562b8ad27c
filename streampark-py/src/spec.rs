//! Specs cross the border as JSON; Rust checks them, so both languages have the same rules.

use pyo3::prelude::*;
use streampark_core::job::JobSpec;

use crate::error::raise;

pub(crate) fn spec_of(json: &str) -> PyResult<JobSpec> {
    JobSpec::from_json(json).map_err(|error| raise(&error))
}

/// Checks a spec in JSON and writes it as JSON.
#[pyfunction]
pub(crate) fn spec_to_json(json: &str) -> PyResult<String> {
    spec_of(json)?.to_json().map_err(|error| raise(&error))
}

/// Checks a spec in JSON and writes it as YAML.
#[pyfunction]
pub(crate) fn spec_to_yaml(json: &str) -> PyResult<String> {
    spec_of(json)?.to_yaml().map_err(|error| raise(&error))
}

/// Checks a spec in YAML and writes it as JSON.
#[pyfunction]
pub(crate) fn spec_from_yaml(yaml: &str) -> PyResult<String> {
    let spec = JobSpec::from_yaml(yaml).map_err(|error| raise(&error))?;
    spec.to_json().map_err(|error| raise(&error))
}
