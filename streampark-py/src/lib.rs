//! The native half of the Python package `streampark`; its Python half is in `python/streampark`.

mod blobs;
mod builder;
mod callback;
mod channel;
mod cluster;
mod convert;
mod custom;
mod engine;
mod error;
mod flink;
mod interpreter;
mod logging;
mod options;
mod projects;
mod rest;
mod runtime;
mod spec;
mod yarn;

use pyo3::prelude::*;

#[pymodule]
mod _streampark {
    use super::*;

    #[pymodule_export]
    use super::blobs::BlobStore;
    #[pymodule_export]
    use super::builder::{Builder, Store};
    #[pymodule_export]
    use super::channel::Channel;
    #[pymodule_export]
    use super::cluster::{Cluster, Local, Memory, standalone};
    #[pymodule_export]
    use super::custom::Custom;
    #[pymodule_export]
    use super::engine::{Engine, Events};
    #[pymodule_export]
    use super::flink::{
        config_from_config_yaml, config_from_flink_conf_yaml, config_to_config_yaml, config_to_file,
        config_to_flink_conf_yaml, duration_from_text, duration_to_text, is_sensitive_key, job_manager_memory,
        list_from_text, list_to_text, memory_from_text, memory_to_text, root_cause, task_manager_memory, version,
    };
    #[pymodule_export]
    use super::projects::{BuildUpdates, Projects, inspect_jar, jar_problems, maven_arguments, project_from_yaml};
    #[pymodule_export]
    use super::rest::Rest;
    #[pymodule_export]
    use super::runtime::Pending;
    #[pymodule_export]
    use super::spec::{spec_from_yaml, spec_to_json, spec_to_yaml};
    #[pymodule_export]
    use super::yarn::Yarn;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        logging::install();
        // Registered before anything of the package, so that it runs after all of it.
        let close = wrap_pyfunction!(super::interpreter::close, module)?;
        module.py().import("atexit")?.call_method1("register", (close,))?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
