use std::path::Path;

use streampark_core::ErrorKind;

use super::*;

fn write(folder: &Path, name: &str, properties: &str) {
    std::fs::write(
        folder.join(name),
        format!("<?xml version=\"1.0\"?>\n<configuration>\n{properties}</configuration>\n"),
    )
    .unwrap();
}

fn property(name: &str, value: &str) -> String {
    format!("<property><name>{name}</name><value>{value}</value></property>\n")
}

#[test]
fn later_files_win_except_over_what_is_final() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "core-site.xml",
        "<property><name>a</name><value>1</value><final>true</final></property>\
         <property><name> b </name><value> 1 </value></property><property name=\"c\" value=\"in attributes\"/>",
    );
    write(folder.path(), "yarn-site.xml", &(property("a", "2") + &property("b", "2") + &property("d", "")));
    let conf = HadoopConf::load(folder.path()).unwrap();
    let read = |name| conf.get(name);
    assert_eq!(read("a").as_deref(), Some("1"));
    assert_eq!(read("b").as_deref(), Some("2"));
    assert_eq!(read("c").as_deref(), Some("in attributes"));
    assert_eq!(read("d"), None);
}

#[test]
fn variables_are_resolved_when_read() {
    let folder = tempfile::tempdir().unwrap();
    let text = property("ns", "prod")
        + &property("fs.defaultFS", "hdfs://${ns}")
        + &property("which", "ns")
        + &property("nested", "${${which}}")
        + &property("unknown", "${nobody.knows} ${ns}")
        + &property("env", "${env.STREAMPARK_NOT_SET:-fallback}")
        + &property("circle", "${circle}")
        + &property("cdata", "<![CDATA[a<b]]>&amp;c");
    write(folder.path(), "yarn-site.xml", &text);
    let conf = HadoopConf::load(folder.path()).unwrap();
    for (name, value) in [
        ("fs.defaultFS", "hdfs://prod"),
        ("nested", "prod"),
        ("unknown", "${nobody.knows} ${ns}"),
        ("env", "fallback"),
        ("circle", "${circle}"),
        ("cdata", "a<b&c"),
    ] {
        assert_eq!(conf.get(name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn includes_are_read_where_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "shared.xml", &property("from", "shared"));
    let include = "<xi:include href=\"shared.xml\" xmlns:xi=\"http://www.w3.org/2001/XInclude\"/>\n\
                   <xi:include href=\"absent.xml\"><xi:fallback><property><name>fell</name><value>back</value></property>\
                   </xi:fallback></xi:include>\n";
    write(folder.path(), "yarn-site.xml", include);
    let conf = HadoopConf::load(folder.path()).unwrap();
    assert_eq!((conf.get("from").as_deref(), conf.get("fell").as_deref()), (Some("shared"), Some("back")));
    write(folder.path(), "shared.xml", "<xi:include href=\"yarn-site.xml\"/>");
    let error = HadoopConf::load(folder.path()).unwrap_err();
    assert_eq!(error.message(), "the file includes itself, or includes nest deeper than 16");
}

#[test]
fn a_folder_or_file_that_cannot_serve_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "core-site.xml", "");
    let error = HadoopConf::load(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        error.message(),
        "the Hadoop configuration folder has no yarn-site.xml; copy that of the cluster into it, or give the \
         ResourceManager's address"
    );
    std::fs::write(folder.path().join("yarn-site.xml"), "<html><body></body></html>").unwrap();
    let error = HadoopConf::load(folder.path()).unwrap_err();
    assert_eq!(error.message(), "the file is no Hadoop configuration: it begins with <html>, not with <configuration>");
    write(folder.path(), "yarn-site.xml", "<property>\n<name>a</wrong>");
    let error = HadoopConf::load(folder.path()).unwrap_err();
    assert!(error.message().starts_with("the file is no well-formed XML near line 4: "), "{error}");
    let error = HadoopConf::load("/nowhere/at/all").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn secrets_are_not_printed() {
    let mut conf = HadoopConf::new();
    conf.set("fs.s3a.secret.key", "canary");
    assert!(!format!("{conf:?}").contains("canary"));
}
