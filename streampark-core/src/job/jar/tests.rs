use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::job::Location;

/// Writes a jar with these entries.
pub(in crate::job) fn write_jar(path: &Path, entries: &[(&str, &str)]) -> PathBuf {
    let mut jar = ZipWriter::new(File::create(path).unwrap());
    for (name, content) in entries {
        jar.start_file(*name, SimpleFileOptions::default()).unwrap();
        jar.write_all(content.as_bytes()).unwrap();
    }
    jar.finish().unwrap();
    path.to_owned()
}

const MANIFEST: &str = "META-INF/MANIFEST.MF";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn jar(&self, entries: &[(&str, &str)]) {
        write_jar(&self.path("orders.jar"), entries);
    }

    async fn prepare(&self, program: JarProgram) -> Result<Launch> {
        let context = ProgramContext::new(self.path("cache")).with_base(self.folder.path());
        program.prepare(&context).await
    }

    /// Prepares `orders.jar` with this class and expects a refusal.
    async fn refused(&self, class: Option<&str>) -> Error {
        let mut program = JarProgram::new("orders.jar");
        program.entry_class = class.map(str::to_owned);
        let error = self.prepare(program).await.expect_err("the program must be refused");
        assert_eq!(error.operation(), Some("jar.prepare"));
        error
    }
}

const CLASSES: &[(&str, &str)] = &[
    ("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nMain-Class: com.acme.Orders\r\n"),
    ("META-INF/versions/11/com/acme/Newer.class", ""),
    ("com/acme/Orders.class", ""),
    ("com/acme/Orders$Inner.class", ""),
    ("com/acme/Orders$1.class", ""),
    ("com/acme/package-info.class", ""),
    ("com/acme/util/Clock.class", ""),
];

#[tokio::test]
async fn a_good_jar_becomes_a_launch() {
    let place = Place::new();
    place.jar(CLASSES);
    let program = JarProgram::new("orders.jar").entry_class("com.acme.Orders").args(["--env", "a b"]);
    let launch = place.prepare(program.clone()).await.unwrap();
    let jar = launch.jar.clone().unwrap();
    assert_eq!(jar.name, "orders.jar");
    assert_eq!(jar.location, Location::Path(place.path("orders.jar")));
    assert_eq!(jar.sha256.as_deref(), Some(sha256(&place.path("orders.jar")).as_str()));
    assert_eq!(launch.entry_class.as_deref(), Some("com.acme.Orders"));
    assert_eq!(launch.args, ["--env", "a b"]);
    assert_eq!(place.prepare(program).await.unwrap(), launch, "the same again");

    let nested = JarProgram::new("orders.jar").entry_class("com.acme.Orders$Inner");
    assert_eq!(place.prepare(nested).await.unwrap().entry_class.as_deref(), Some("com.acme.Orders$Inner"));
}

fn sha256(path: &Path) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(std::fs::read(path).unwrap()))
}

#[tokio::test]
async fn the_manifest_names_the_class_where_nobody_else_does() {
    let place = Place::new();
    place.jar(CLASSES);
    let launch = place.prepare(JarProgram::new("orders.jar")).await.unwrap();
    assert_eq!(launch.entry_class.as_deref(), Some("com.acme.Orders"));

    // Flink looks at its own attribute first.
    place.jar(&[(MANIFEST, "Main-Class: a.A\nprogram-class: b.B\n"), ("a/A.class", ""), ("b/B.class", "")]);
    let launch = place.prepare(JarProgram::new("orders.jar")).await.unwrap();
    assert_eq!(launch.entry_class.as_deref(), Some("b.B"));

    for manifest in [&[("a/A.class", "")][..], &[(MANIFEST, "Manifest-Version: 1.0\n"), ("a/A.class", "")]] {
        place.jar(manifest);
        let error = place.refused(None).await;
        assert_eq!(error.kind(), ErrorKind::Program);
        assert_eq!(
            error.message(),
            "the jar 'orders.jar' names no Main-Class in its manifest; set entry_class to the class with main"
        );
    }
    place.jar(&[(MANIFEST, "Main-Class: com.acme.Oders\n"), ("com/acme/Orders.class", "")]);
    assert_eq!(
        place.refused(None).await.message(),
        "class 'com.acme.Oders', which the manifest names, is not in the jar 'orders.jar'; \
         did you mean 'com.acme.Orders'?"
    );
}

#[tokio::test]
async fn a_missing_class_is_named_with_the_one_that_was_meant() {
    let place = Place::new();
    place.jar(CLASSES);
    let meant = [
        ("com.acme.Order", "com.acme.Orders"),
        ("com.acme.orders", "com.acme.Orders"),
        ("com/acme/Orders", "com.acme.Orders"),
        ("com.acme.Orders.Inner", "com.acme.Orders$Inner"),
        ("org.example.of.another.team.Clock", "com.acme.util.Clock"),
        ("Clock", "com.acme.util.Clock"),
    ];
    for (class, meant) in meant {
        let error = place.refused(Some(class)).await;
        assert_eq!(error.kind(), ErrorKind::Program);
        let expected = format!("class '{class}' is not in the jar 'orders.jar'; did you mean '{meant}'?");
        assert_eq!(error.message(), expected);
    }
    assert_eq!(
        place.refused(Some("net.nowhere.Pipeline")).await.to_string(),
        "jar.prepare: class 'net.nowhere.Pipeline' is not in the jar 'orders.jar'; its 3 classes have no similar name"
    );
    assert_eq!(
        place.refused(Some(" ")).await.message(),
        "entry_class is empty; name a class, or leave it out for the manifest's"
    );
}

#[tokio::test]
async fn classes_in_inner_jars_are_flinks_to_find() {
    let place = Place::new();
    place.jar(&[("lib/core.jar", "not looked into")]);
    let launch = place.prepare(JarProgram::new("orders.jar").entry_class("com.acme.Orders")).await.unwrap();
    assert_eq!(launch.entry_class.as_deref(), Some("com.acme.Orders"));

    place.jar(&[("BOOT-INF/classes/com/acme/Orders.class", ""), ("BOOT-INF/lib/core.jar", "")]);
    assert_eq!(
        place.refused(Some("com.acme.Orders")).await.message(),
        "class 'com.acme.Orders' is in the jar 'orders.jar' where only Spring Boot finds it; \
         build a plain jar with all classes"
    );
}

#[tokio::test]
async fn what_is_not_a_jar_is_told_for_what_it_is() {
    let place = Place::new();
    let path = place.path("orders.jar");
    let instead: [(&[u8], &str); 9] = [
        (b"", "it is empty; build or copy it again"),
        (
            b"\xef\xbb\xbf\n <!DOCTYPE html><html>Sign in</html>",
            "it is an HTML page; an error or login page was probably saved in its place",
        ),
        (b"<HTML>", "it is an HTML page; an error or login page was probably saved in its place"),
        (b"print('hello')\n", "it is a text file; name the jar itself"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "it is a pointer of Git LFS; fetch the file itself with git lfs pull",
        ),
        (b"\x1f\x8b\x08\x00", "it is a gzip archive; unpack it and name the jar in it"),
        (b"\xca\xfe\xba\xbe\x00\x00\x00\x37", "it is a single class; pack it into a jar"),
        (b"\x7fELF\x00", "it is not a zip archive; name the jar itself"),
        (b"PK\x03\x04 and no more", "it is cut off or damaged; build or copy it again"),
    ];
    for (content, instead) in instead {
        std::fs::write(&path, content).unwrap();
        let error = place.refused(Some("com.acme.Orders")).await;
        assert_eq!(error.kind(), ErrorKind::Program);
        assert_eq!(error.message(), format!("'{}' is not a jar: {instead}", path.display()));
    }
    place.jar(CLASSES);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = place.refused(Some("com.acme.Orders")).await;
    assert!(error.message().ends_with("it is cut off or damaged; build or copy it again"), "{error}");
}

#[tokio::test]
async fn a_script_in_front_of_a_jar_does_no_harm() {
    let place = Place::new();
    place.jar(CLASSES);
    let jar = std::fs::read(place.path("orders.jar")).unwrap();
    std::fs::write(place.path("orders.jar"), [b"#!/bin/sh\nexec java -jar $0\n", jar.as_slice()].concat()).unwrap();
    place.prepare(JarProgram::new("orders.jar")).await.unwrap();
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_told() {
    let place = Place::new();
    let error = place.refused(None).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        error.message(),
        format!(
            "the jar '{}' does not exist; check its path (relative paths start at '{}')",
            place.path("orders.jar").display(),
            place.folder.path().display()
        )
    );
    std::fs::create_dir(place.path("orders.jar")).unwrap();
    let error = place.refused(None).await;
    assert_eq!(error.message(), format!("'{}' is a folder; name the jar in it", place.path("orders.jar").display()));
}

#[tokio::test]
async fn a_jar_that_only_the_engine_sees_is_left_to_it() {
    let place = Place::new();
    for url in ["hdfs://nn:8020/jobs/orders-1.jar", "s3://bucket/a/orders-1.jar", "local:///opt/orders-1.jar"] {
        let launch = place.prepare(JarProgram::new(url)).await.unwrap();
        let jar = launch.jar.unwrap();
        assert_eq!((jar.name.as_str(), jar.sha256), ("orders-1.jar", None));
        assert_eq!(jar.location, Location::Remote(url.parse().unwrap()));
        assert_eq!(launch.entry_class, None);
    }
}
