use super::*;
use crate::build::inspect::SqlFunction;

fn runner() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runner/sql-runner.jar")
}

#[tokio::test]
async fn resources_are_named_versioned_and_protected() {
    let folder = tempfile::tempdir().unwrap();
    let centre = ResourceCentre::open(folder.path()).unwrap();
    let team = || UploadOptions::default().team("orders").actor("ada").description("runs SQL");
    let entry = centre.upload("runner", "1.0", &runner(), team()).await.unwrap();
    assert_eq!((entry.kind, entry.team.as_deref(), entry.actor.as_str()), (ResourceKind::Jar, Some("orders"), "ada"));
    assert_eq!(centre.upload("runner", "1.0", &runner(), team()).await.unwrap(), entry, "the same again is the same");
    let changed = folder.path().join("changed.jar");
    let mut bytes = std::fs::read(runner()).unwrap();
    let end = bytes.len() - 2;
    bytes[end] = 1;
    bytes.push(b'x');
    std::fs::write(&changed, bytes).unwrap();
    let message = |error: Error| error.to_string();
    assert_eq!(
        message(centre.upload("runner", "1.0", &changed, team()).await.unwrap_err()),
        "resources.upload: version 1.0 exists with another content; a version never changes, so upload a new one (resource: runner)"
    );
    assert_eq!(
        message(centre.upload("runner", "1.1", &changed, UploadOptions::default()).await.unwrap_err()),
        "resources.upload: the name belongs to team 'orders'; take another name (resource: runner)"
    );
    centre.upload("runner", "1.1", &changed, team()).await.unwrap();
    assert_eq!(centre.get("runner", None).unwrap().version, "1.1");
    assert_eq!(
        message(centre.get("runner", Some("2")).unwrap_err()),
        "resources.get: the resource 'runner' has no version 2; there are 1.0, 1.1"
    );
    assert_eq!(
        message(centre.get("x", None).unwrap_err()),
        "resources.get: there is no resource named 'x'; there are runner"
    );
    let text = folder.path().join("a.txt");
    std::fs::write(&text, "no jar").unwrap();
    assert_eq!(centre.upload("text", "1", &text, team()).await.unwrap_err().kind(), ErrorKind::Program);
    assert!(centre.upload("../x", "1", &runner(), team()).await.is_err());

    centre.group("all", "1", &["runner:1.0", "runner"], UploadOptions::default()).unwrap();
    let files = centre.files("all", None).unwrap();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|(_, _, path)| path.is_file()));
    assert_eq!(centre.list(Some("orders")).len(), 3);
    assert_eq!(centre.list(Some("others")).len(), 1);
    assert_eq!(
        message(centre.remove("runner", None, &["nightly".to_owned()]).unwrap_err()),
        "resources.remove: it is used by job nightly, group all; change them first (resource: runner)"
    );
    assert_eq!(
        message(ResourceCentre::open(folder.path()).unwrap_err()).split(" (").next(),
        Some("resources.open: another process has this resource centre open")
    );
    drop(centre);
    let centre = ResourceCentre::open(folder.path()).unwrap();
    assert_eq!(centre.list(None).len(), 3);
    centre.remove("all", None, &[]).unwrap();
    centre.remove("runner", Some("1.0"), &[]).unwrap();
    assert!(!files[0].2.exists() && files[1].2.exists());
    assert_eq!(centre.list(None).len(), 1);
}

#[test]
fn functions_become_statements() {
    let mut entry = ResourceEntry::new("text", "1", ResourceKind::Function, Timestamp::UNIX_EPOCH);
    let function = |class: &str| SqlFunction { class: class.into(), kind: "ScalarFunction".into() };
    entry.functions = ["a.ToUpper", "b.ToUpper", "a.Outer$MD5Hash"].map(function).to_vec();
    assert_eq!(
        entry.create_functions(),
        [
            "CREATE TEMPORARY FUNCTION IF NOT EXISTS `to_upper` AS 'a.ToUpper' LANGUAGE JAVA",
            "CREATE TEMPORARY FUNCTION IF NOT EXISTS `to_upper_2` AS 'b.ToUpper' LANGUAGE JAVA",
            "CREATE TEMPORARY FUNCTION IF NOT EXISTS `md5_hash` AS 'a.Outer$MD5Hash' LANGUAGE JAVA",
        ]
    );
}
