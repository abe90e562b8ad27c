//! What is told of real jars: Flink's own, and the test jobs.

use std::path::{Path, PathBuf};

use streampark_core::build::Inspection;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run: make test-projects"))
}

fn flink_jar(home: &str, name: &str) -> PathBuf {
    let folder = Path::new(&variable(home)).join("lib");
    let mut found = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    found
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(name))
        .unwrap_or_else(|| panic!("no {name} in {}", folder.display()))
}

#[test]
fn the_test_jobs_have_mains_and_a_function() {
    let found = Inspection::of_jar(Path::new(&variable("STREAMPARK_TEST_JOBS_JAR"))).unwrap();
    let mains: Vec<&str> = found.main_classes.iter().map(|main| main.class.as_str()).collect();
    for class in ["streampark.testing.CountingJob", "streampark.testing.FiniteJob"] {
        assert!(mains.contains(&class), "{mains:?}");
    }
    let functions: Vec<(&str, &str)> =
        found.functions.iter().map(|function| (function.class.as_str(), function.kind.as_str())).collect();
    assert_eq!(functions, [("streampark.testing.Shout", "ScalarFunction")]);
    assert_eq!((found.java, found.clashes.len()), (Some(11), 0));
}

#[test]
fn connectors_are_read_without_running_them() {
    let found = Inspection::of_jar(&flink_jar("STREAMPARK_TEST_FLINK_1", "flink-connector-files")).unwrap();
    let files = found.connectors.iter().find(|one| one.identifier.as_deref() == Some("filesystem")).unwrap();
    assert_eq!(files.class, "org.apache.flink.connector.file.table.FileSystemTableFactory");
    let keys = |options: &[streampark_core::build::ConnectorOption]| -> Vec<String> {
        options.iter().map(|option| option.key.clone().unwrap_or_else(|| option.constant.clone())).collect()
    };
    assert_eq!(keys(&files.required), ["path", "format"]);
    let optional = keys(&files.optional);
    for key in ["partition.default-name", "sink.rolling-policy.file-size", "auto-compaction", "source.monitor-interval"]
    {
        assert!(optional.contains(&key.to_owned()), "{optional:?}");
    }
    let found = Inspection::of_jar(&flink_jar("STREAMPARK_TEST_FLINK_1", "flink-json")).unwrap();
    let names: Vec<&str> = found.connectors.iter().filter_map(|one| one.identifier.as_deref()).collect();
    for format in ["json", "debezium-json", "canal-json", "maxwell-json", "ogg-json"] {
        assert!(names.contains(&format), "{names:?}");
    }
    let json = found.connectors.iter().find(|one| one.identifier.as_deref() == Some("json")).unwrap();
    assert!(
        keys(&json.optional).contains(&"json.ignore-parse-errors".to_owned())
            || keys(&json.optional).contains(&"ignore-parse-errors".to_owned()),
        "{json:?}"
    );
}

#[test]
fn a_jar_that_bundles_flink_is_found_out() {
    let found = Inspection::of_jar(&flink_jar("STREAMPARK_TEST_FLINK_2", "flink-dist")).unwrap();
    let flink = found.clashes.iter().find(|clash| clash.library == "flink").unwrap();
    assert!(flink.classes > 5_000, "{flink:?}");
}
