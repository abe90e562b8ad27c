use super::*;
use crate::ErrorKind;
use crate::job::JarProgram;

fn spec() -> JobSpec {
    JobSpec::new("orders", JarProgram::new("orders.jar").entry_class("com.acme.Orders").args(["--env", "prod"]))
        .cluster("dev")
        .parallelism(4)
        .flink("execution.checkpointing.interval", "10 s")
        .alert("oncall")
}

#[test]
fn yaml_and_json_round_trip() {
    let spec = spec();
    assert_eq!(JobSpec::from_yaml(&spec.to_yaml().unwrap()).unwrap(), spec);
    assert_eq!(JobSpec::from_json(&spec.to_json().unwrap()).unwrap(), spec);
}

#[test]
fn the_documented_yaml_is_read() {
    let text = "name: orders\nprogram: {jar: orders.jar, entry_class: com.acme.Orders, args: [--env, prod]}\ncluster: dev\nparallelism: 4\nflink: {execution.checkpointing.interval: 10 s}\nalerts: [oncall]\n";
    assert_eq!(JobSpec::from_yaml(text).unwrap(), spec());
}

#[test]
fn an_unknown_field_is_refused_with_the_one_that_was_meant() {
    let error = JobSpec::from_yaml("name: a\nprogram: {jar: a.jar}\nparallelizm: 2\n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        error.message(),
        "the job spec is not valid YAML: line 3 column 1: unknown field `parallelizm`, expected one of name, program, \
         cluster, parallelism, flink, dependencies, alerts, restart, restore, upgrade, owner, description, labels, \
         links; did you mean 'parallelism'?"
    );
    let error = JobSpec::from_json(r#"{"name":"a","program":{"jar":"a.jar","entryClass":"x"}}"#).unwrap_err();
    assert_eq!(
        error.message(),
        "the job spec is not valid JSON: unknown field `entryClass`, expected one of `jar`, `entry_class`, `args` at \
         line 1 column 55; did you mean 'entry_class'?"
    );
    let error = JobSpec::from_json(r#"{"name":"a","program":{"jar":"a.jar"},"zzz":"x"}"#).unwrap_err();
    assert!(error.message().ends_with(" at line 1 column 43"), "nothing like it is known: {error}");
}

#[test]
fn parallelism_zero_is_refused() {
    let error = spec().parallelism(0).validate().unwrap_err();
    assert_eq!(error.message(), "parallelism is 0, it must be 1 to 32768; leave it out for the cluster's default");
}

#[test]
fn a_program_without_a_kind_is_refused() {
    let error = JobSpec::from_json(r#"{"name":"a","program":{"jars":"a.jar"}}"#).unwrap_err();
    assert!(error.message().contains("one of the keys jar, sql, sql_file, custom"), "{error}");
}
