//! Flink's configuration, units, memory and versions, for use without an engine.

use pyo3::prelude::*;
use serde_json::{Value, json};
use streampark_core::flink::{
    FlinkConfig, FlinkVersion, JobManagerMemory, MemorySize, RootCause, TaskManagerMemory, decode_list,
    encode_list_json, encode_list_legacy, format_duration, parse_duration,
};

use crate::convert::{Raise as _, duration, text};

type Entries = Vec<(String, String)>;

fn config_of(entries: Entries) -> FlinkConfig {
    FlinkConfig::from_iter(entries)
}

fn version_of(text: &str) -> PyResult<FlinkVersion> {
    text.parse().or_raise()
}

#[pyfunction]
pub(crate) fn duration_from_text(text: &str) -> PyResult<f64> {
    parse_duration(text).map(|time| time.as_secs_f64()).or_raise()
}

#[pyfunction]
pub(crate) fn duration_to_text(seconds: f64) -> PyResult<String> {
    duration(seconds).map(format_duration).or_raise()
}

#[pyfunction]
pub(crate) fn memory_from_text(text: &str) -> PyResult<u64> {
    text.parse::<MemorySize>().map(MemorySize::bytes).or_raise()
}

#[pyfunction]
pub(crate) fn memory_to_text(bytes: u64) -> String {
    MemorySize::from_bytes(bytes).to_string()
}

#[pyfunction]
pub(crate) fn list_from_text(text: &str) -> PyResult<Vec<String>> {
    decode_list(text).or_raise()
}

#[pyfunction]
pub(crate) fn list_to_text(items: Vec<String>, legacy: bool) -> String {
    if legacy { encode_list_legacy(&items) } else { encode_list_json(&items) }
}

#[pyfunction]
pub(crate) fn is_sensitive_key(key: &str) -> bool {
    streampark_core::is_sensitive_key(key)
}

#[pyfunction]
pub(crate) fn config_from_config_yaml(text: &str) -> PyResult<Entries> {
    FlinkConfig::from_config_yaml(text).map(|config| config.into_iter().collect()).or_raise()
}

#[pyfunction]
pub(crate) fn config_from_flink_conf_yaml(text: &str) -> Entries {
    FlinkConfig::from_flink_conf_yaml(text).into_iter().collect()
}

#[pyfunction]
pub(crate) fn config_to_config_yaml(entries: Entries) -> String {
    config_of(entries).to_config_yaml()
}

#[pyfunction]
pub(crate) fn config_to_flink_conf_yaml(entries: Entries) -> PyResult<String> {
    config_of(entries).to_flink_conf_yaml().or_raise()
}

#[pyfunction]
pub(crate) fn config_to_file(entries: Entries, version: &str) -> PyResult<(String, String)> {
    let (name, content) = config_of(entries).to_file(&version_of(version)?).or_raise()?;
    Ok((name.to_owned(), content))
}

/// The parts of a version, and its rules, as JSON.
#[pyfunction]
pub(crate) fn version(text_of_it: &str) -> PyResult<String> {
    let version = version_of(text_of_it)?;
    text(&json!({
        "major": version.major(),
        "minor": version.minor(),
        "patch": version.patch(),
        "suffix": version.suffix(),
        "run_jar_accepts_configuration": version.run_jar_accepts_configuration(),
        "run_jar_claim_mode_field": version.run_jar_claim_mode_field(),
        "has_legacy_claim_mode": version.has_legacy_claim_mode(),
        "supports_config_yaml": version.supports_config_yaml(),
        "supports_flink_conf_yaml": version.supports_flink_conf_yaml(),
        "checkpoint_restore_key": version.checkpoint_restore_key(),
        "claim_mode_key": version.claim_mode_key(),
        "ignore_unclaimed_state_key": version.ignore_unclaimed_state_key(),
        "checkpoint_directory_key": version.checkpoint_directory_key(),
        "savepoint_directory_key": version.savepoint_directory_key(),
        "high_availability_key": version.high_availability_key(),
        "jvm_options_key": version.jvm_options_key(),
        "restart_strategy_key": version.restart_strategy_key(),
    }))
    .or_raise()
}

fn properties<K: AsRef<str>>(pairs: Vec<(K, String)>) -> Value {
    pairs.into_iter().map(|(key, value)| json!([key.as_ref(), value])).collect()
}

#[pyfunction]
pub(crate) fn job_manager_memory(entries: Entries, version: &str) -> PyResult<String> {
    let memory = JobManagerMemory::from_config(&config_of(entries), &version_of(version)?).or_raise()?;
    text(&json!({
        "process": memory.process.bytes(),
        "heap": memory.heap.bytes(),
        "off_heap": memory.off_heap.bytes(),
        "metaspace": memory.metaspace.bytes(),
        "overhead": memory.overhead.bytes(),
        "limits_direct_memory": memory.limits_direct_memory,
        "jvm_args": memory.jvm_args(),
        "dynamic_properties": properties(memory.dynamic_properties()),
    }))
    .or_raise()
}

#[pyfunction]
pub(crate) fn task_manager_memory(entries: Entries, version: &str) -> PyResult<String> {
    let memory = TaskManagerMemory::from_config(&config_of(entries), &version_of(version)?).or_raise()?;
    text(&json!({
        "process": memory.process.bytes(),
        "task_heap": memory.task_heap.bytes(),
        "task_off_heap": memory.task_off_heap.bytes(),
        "framework_heap": memory.framework_heap.bytes(),
        "framework_off_heap": memory.framework_off_heap.bytes(),
        "network": memory.network.bytes(),
        "managed": memory.managed.bytes(),
        "metaspace": memory.metaspace.bytes(),
        "overhead": memory.overhead.bytes(),
        "cpu_cores": memory.cpu_cores,
        "slots": memory.slots,
        "jvm_args": memory.jvm_args(),
        "dynamic_properties": properties(memory.dynamic_properties()),
    }))
    .or_raise()
}

/// What a stack trace really says, as JSON.
#[pyfunction]
pub(crate) fn root_cause(stacktrace: &str) -> PyResult<String> {
    text(&RootCause::from_stacktrace(stacktrace)).or_raise()
}
