//! What needs no projects: jars, specs, build arguments.

use std::path::PathBuf;

use pyo3::prelude::*;
use streampark_core::build::{Inspection, MavenOptions, ProjectSpec};

use crate::convert::{Raise as _, parse, text};
use crate::runtime::{Pending, blocking};

/// What is in a jar, as JSON.
#[pyfunction]
pub(crate) fn inspect_jar(path: PathBuf) -> Pending {
    Pending::new(async move {
        let inspection = blocking(move || Inspection::of_jar(&path)).await?;
        text(&inspection)
    })
}

/// Why a jar would not run well, given what `inspect` told.
#[pyfunction]
#[pyo3(signature = (inspection, java, flink))]
pub(crate) fn jar_problems(inspection: &str, java: Option<u16>, flink: Option<&str>) -> PyResult<Vec<String>> {
    let inspection: Inspection = parse(inspection, "the inspection").or_raise()?;
    let flink = flink.map(str::parse).transpose().or_raise()?;
    Ok(inspection.problems(java, flink.as_ref()))
}

/// A project out of YAML, as JSON.
#[pyfunction]
pub(crate) fn project_from_yaml(yaml: &str) -> PyResult<String> {
    ProjectSpec::from_yaml(yaml).and_then(|spec| text(&spec)).or_raise()
}

/// A line of build arguments of Apache StreamPark as options, as JSON.
#[pyfunction]
pub(crate) fn maven_arguments(line: &str) -> PyResult<String> {
    MavenOptions::parse(line).and_then(|options| text(&options)).or_raise()
}
