//! What a jar tells about Flink: the version that it was made for, and classes of the cluster's own that it holds.

use super::{Clash, FlinkHint};
use crate::build::pom::Pom;

/// Classes that Flink 2.0 took away or moved (release notes of 2.0, "Removed APIs"): who mentions them needs 1.x.
const ONLY_1: [&str; 7] = [
    "org/apache/flink/api/java/DataSet",
    "org/apache/flink/api/java/ExecutionEnvironment",
    "org/apache/flink/streaming/api/functions/source/SourceFunction",
    "org/apache/flink/streaming/api/functions/source/RichSourceFunction",
    "org/apache/flink/streaming/api/functions/sink/SinkFunction",
    "org/apache/flink/streaming/api/functions/sink/RichSinkFunction",
    "org/apache/flink/streaming/api/windowing/time/Time",
];
/// Where 2.0 moved them: who mentions these needs 2.x.
const ONLY_2: [&str; 2] = [
    "org/apache/flink/streaming/api/functions/source/legacy/",
    "org/apache/flink/streaming/api/functions/sink/legacy/",
];
/// Artifacts whose version is Flink's own.
const CORE: [&str; 9] = [
    "flink-streaming-java",
    "flink-core",
    "flink-java",
    "flink-clients",
    "flink-runtime",
    "flink-table-api-java",
    "flink-table-api-java-bridge",
    "flink-table-common",
    "flink-table-planner-loader",
];

/// Prefixes of classes, whose they are, and what to do. Connectors, formats and state backends of Flink are meant to
/// be in jars; what is listed is in `flink-dist` and the other jars of every cluster's `lib`.
const CLASHING: [(&str, &str); 18] = [
    ("org/apache/flink/api/common/", "flink"),
    ("org/apache/flink/api/java/", "flink"),
    ("org/apache/flink/client/", "flink"),
    ("org/apache/flink/configuration/", "flink"),
    ("org/apache/flink/core/", "flink"),
    ("org/apache/flink/runtime/", "flink"),
    ("org/apache/flink/streaming/api/", "flink"),
    ("org/apache/flink/streaming/runtime/", "flink"),
    ("org/apache/flink/table/api/", "flink"),
    ("org/apache/flink/table/catalog/", "flink"),
    ("org/apache/flink/table/planner/", "flink"),
    ("org/apache/flink/table/runtime/", "flink"),
    ("org/apache/flink/table/types/", "flink"),
    ("org/apache/logging/log4j/", "logging"),
    ("org/apache/log4j/", "logging"),
    ("org/slf4j/", "logging"),
    ("ch/qos/logback/", "logging"),
    ("org/apache/hadoop/", "hadoop"),
];

/// Whose class it is, where the cluster has it too.
pub(super) fn clash(class: &str) -> Option<&'static str> {
    if !class.starts_with("org/") && !class.starts_with("ch/") {
        return None;
    }
    CLASHING.iter().find(|(prefix, _)| class.starts_with(prefix)).map(|(_, library)| *library)
}

pub(super) fn clash_of(library: &str, classes: u64, example: String) -> Clash {
    let remedy = match library {
        "flink" => "give Flink's own dependencies the scope provided",
        "logging" => "exclude the logging libraries: the cluster brings its own, and two of them lose the log",
        _ => "exclude Hadoop: the cluster brings the one that fits its own Hadoop",
    };
    Clash { library: library.to_owned(), classes, example, remedy: remedy.to_owned() }
}

/// The line of Flink that a mentioned class belongs to alone.
pub(super) fn line_of(mentioned: &str) -> Option<u16> {
    if !mentioned.starts_with("org/apache/flink/") {
        return None;
    }
    if ONLY_2.iter().any(|prefix| mentioned.starts_with(prefix)) {
        return Some(2);
    }
    ONLY_1.contains(&mentioned).then_some(1)
}

/// The version that a `pom.xml` inside the jar asks for.
pub(super) fn hint_of_pom(text: &str, from: &str) -> Option<FlinkHint> {
    let pom = Pom::parse(text).ok()?;
    let named = pom.dependencies.iter().find_map(|(artifact, version)| {
        let artifact = artifact.strip_prefix("org.apache.flink:")?;
        let artifact = artifact.trim_end_matches("_2.12").trim_end_matches("_2.11");
        CORE.contains(&artifact).then_some(())?;
        pom.resolved(version.as_deref()?)
    });
    let version = named.or_else(|| pom.properties.get("flink.version").and_then(|version| pom.resolved(version)))?;
    line(&version).map(|_| FlinkHint { version, from: from.to_owned() })
}

/// The version of a part of Flink that is in the jar itself: of its core, or `3.4.0-1.20` of a connector.
pub(super) fn hint_of_properties(text: &str, from: &str) -> Option<FlinkHint> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=').map(str::trim));
    if value("groupId") != Some("org.apache.flink") {
        return None;
    }
    let (artifact, version) = (value("artifactId")?, value("version")?);
    let version = match (CORE.contains(&artifact), version.split_once('-')) {
        (true, _) => version,
        (false, Some((_, line))) if line.starts_with(|c: char| c.is_ascii_digit()) => line,
        _ => return None,
    };
    line(version).map(|_| FlinkHint { version: version.to_owned(), from: format!("{artifact} in {from}") })
}

/// The first number of a version.
pub(super) fn line(version: &str) -> Option<u64> {
    version.split(['.', '-']).next()?.parse().ok().filter(|major| (1..=9).contains(major))
}
