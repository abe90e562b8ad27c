use std::io::Write;

use super::archive::{Archive, Buffers};
use super::*;
use crate::ErrorKind;

fn runner() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runner/sql-runner.jar")
}

fn jar(folder: &Path, entries: &[(&str, &[u8])]) -> std::path::PathBuf {
    let path = folder.join("x.jar");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, content) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
    path
}

#[test]
fn a_real_jar_is_read() {
    let found = Inspection::of_jar(&runner()).unwrap();
    assert_eq!(found.manifest_class.as_deref(), Some("org.streampark.sdk.runner.SqlRunner"));
    let main = MainClass { class: "org.streampark.sdk.runner.SqlRunner".into(), manifest: true };
    assert_eq!(found.main_classes, [main]);
    assert_eq!((found.java, found.warnings.len(), found.clashes.len()), (Some(8), 0, 0));
    assert!(found.problems(Some(11), None).is_empty());
    assert_eq!(
        found.problems(Some(7), None),
        [format!(
            "{} needs Java 8, and the cluster runs Java 7; compile with --release 7, or give the cluster a newer Java",
            found.java_class.as_deref().unwrap()
        )]
    );
}

#[test]
fn clashes_and_versions_are_told_by_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let pom = b"<project><properties><flink.version>1.20.5</flink.version></properties><dependencies><dependency>\
        <groupId>org.apache.flink</groupId><artifactId>flink-streaming-java</artifactId><version>${flink.version}</version>\
        </dependency></dependencies></project>";
    let properties = b"version=3.4.0-1.20\ngroupId=org.apache.flink\nartifactId=flink-connector-kafka\n";
    let path = jar(
        folder.path(),
        &[
            ("META-INF/maven/com.acme/orders/pom.xml", pom),
            ("META-INF/maven/org.apache.flink/flink-connector-kafka/pom.properties", properties),
            ("org/apache/flink/runtime/A.class", b"x"),
            ("org/apache/flink/runtime/B.class", b"x"),
            ("org/apache/flink/connector/kafka/C.class", b"no class"),
            ("org/apache/logging/log4j/D.class", b"x"),
            ("org/apache/hadoop/E.class", b"x"),
            ("META-INF/services/org.apache.flink.table.factories.Factory", b"# a comment\ncom.acme.Gone # gone\n"),
        ],
    );
    let found = Inspection::of_jar(&path).unwrap();
    assert_eq!((found.entries, found.classes), (8, 5));
    let versions: Vec<(&str, &str)> =
        found.flink.iter().map(|hint| (hint.version.as_str(), hint.from.as_str())).collect();
    assert_eq!(
        versions,
        [
            ("1.20.5", "META-INF/maven/com.acme/orders/pom.xml"),
            ("1.20", "flink-connector-kafka in META-INF/maven/org.apache.flink/flink-connector-kafka/pom.properties")
        ]
    );
    assert_eq!(
        found.warnings,
        ["1 classes could not be read", "the factory com.acme.Gone is declared, and its class is not in the jar"]
            .iter()
            .rev()
            .copied()
            .collect::<Vec<_>>()
    );
    assert_eq!(
        found.problems(None, Some(&"2.3.0".parse().unwrap())),
        [
            "the code was compiled against Flink 1.20.5 (META-INF/maven/com.acme/orders/pom.xml), and the cluster runs 2.3.0; compile it against 2.3",
            "2 classes of flink are in the jar, such as org.apache.flink.runtime.A; give Flink's own dependencies the scope provided",
            "1 classes of hadoop are in the jar, such as org.apache.hadoop.E; exclude Hadoop: the cluster brings the one that fits its own Hadoop",
            "1 classes of logging are in the jar, such as org.apache.logging.log4j.D; exclude the logging libraries: the cluster brings its own, and two of them lose the log",
        ]
    );
    assert_eq!(found.problems(None, Some(&"1.20.5".parse().unwrap())).len(), 3);
}

#[test]
fn what_is_cut_off_or_wrong_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(runner()).unwrap();
    let path = folder.path().join("cut.jar");
    for length in [0, 3, 21, 22, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = Inspection::of_jar(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Program, "{length}: {error}");
        assert_eq!(error.message(), "the jar is cut off or damaged; build or copy it again");
    }
    // One wrong byte anywhere: an answer or an error.
    for at in (0..whole.len()).step_by(37) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5a;
        std::fs::write(&path, &bytes).unwrap();
        let _answer = Inspection::of_jar(&path);
    }
}

#[test]
fn an_entry_that_grows_is_read_up_to_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = jar(folder.path(), &[("big", &vec![7; 10 << 20])]);
    let archive = Archive::open(&path).unwrap();
    let entries = archive.entries(|_, _| true).unwrap();
    let mut buffers = Buffers::default();
    let read = archive.read(&entries[0], 1 << 20, &mut buffers).unwrap();
    assert!(read.len() >= 1 << 20 && read.len() < 3 << 20 && read.iter().all(|byte| *byte == 7), "{}", read.len());
}
