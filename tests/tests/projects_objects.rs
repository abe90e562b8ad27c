//! Artifacts in a real server that speaks S3.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use streampark_core::ErrorKind;
use streampark_core::build::{ArtifactFilter, ArtifactRetention, ArtifactStore, BuilderSpec, CommandSpec, ProjectSpec};
use streampark_core::platform::{Projects, ProjectsOptions};
use streampark_tests::s3::S3Server;

fn bucket_options(server: &S3Server) -> BTreeMap<String, String> {
    let named = [
        ("endpoint", server.endpoint.as_str()),
        ("region", "us-east-1"),
        ("access_key_id", "us"),
        ("secret_access_key", "ours"),
        ("allow_http", "true"),
        ("virtual_hosted_style_request", "false"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    named.into_iter().collect()
}

fn jar(comment: &str) -> Vec<u8> {
    let mut bytes = b"PK\x05\x06".to_vec();
    bytes.resize(20, 0);
    bytes.extend((comment.len() as u16).to_le_bytes());
    bytes.extend(comment.as_bytes());
    bytes
}

/// A jar with one entry of so many bytes.
fn stored_jar(bytes: usize) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("data.bin", stored).unwrap();
    std::io::Write::write_all(&mut zip, &vec![7; bytes]).unwrap();
    zip.finish().unwrap().into_inner()
}

#[tokio::test]
async fn builds_leave_their_artifacts_in_a_bucket_for_every_machine() {
    let server = S3Server::start("artifacts").await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let open =
        |cache: &str| ArtifactStore::from_url("s3://artifacts/team", &bucket_options(&server), at(cache)).unwrap();
    let projects = Projects::open(at("data"), ProjectsOptions::default().artifacts(open("one"))).await.unwrap();
    std::fs::create_dir(at("code")).unwrap();
    std::fs::write(at("code").join("orders.jar"), jar("orders")).unwrap();
    let builder = BuilderSpec::Command(CommandSpec::new(["true"]).output("", "*.jar"));
    let orders = projects.put(ProjectSpec::local("orders", at("code")).builder(builder)).await.unwrap();
    let build = orders.build().await.unwrap();
    build.wait().await.unwrap();
    let made = build.artifacts().await.unwrap().remove(0);
    let elsewhere = open("other");
    let found = elsewhere.get(&made.id).await.unwrap();
    assert_eq!(found, made);
    assert_eq!(std::fs::read(elsewhere.jar(&found).await.unwrap()).unwrap(), jar("orders"));
    assert!(orders.build().await.unwrap().wait().await.unwrap().reused.is_some(), "it is known to be there");

    // A file that is sent in parts.
    std::fs::create_dir(at("large")).unwrap();
    std::fs::write(at("large").join("large.jar"), stored_jar(20 << 20)).unwrap();
    let builder = BuilderSpec::Command(CommandSpec::new(["true"]).output("", "*.jar"));
    let large = projects.put(ProjectSpec::local("large", at("large")).builder(builder)).await.unwrap();
    let artifact = large.build().await.unwrap().artifacts().await.unwrap().remove(0);
    let size = artifact.job_jar.size;
    assert!(size > 20 << 20);
    assert_eq!(std::fs::metadata(open("third").jar(&artifact).await.unwrap()).unwrap().len(), size);
    let pruned = elsewhere.prune(&ArtifactRetention::default(), &[].into(), Timestamp::now()).await.unwrap();
    assert_eq!(pruned.artifacts, Vec::<String>::new(), "the newest ten of a module stay");
    let mut retention = ArtifactRetention::default();
    (retention.keep, retention.max_age) = (0, Duration::ZERO);
    let pruned = elsewhere.prune(&retention, &[made.id.clone()].into(), Timestamp::now()).await.unwrap();
    assert_eq!((pruned.artifacts, pruned.bytes), (vec![artifact.id.clone()], size));
    assert_eq!(elsewhere.list(&ArtifactFilter::default()).await.unwrap(), [made]);
    let error = open("fourth").jar(&artifact).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let nowhere = ArtifactStore::from_url("s3://no-such-bucket/x", &bucket_options(&server), at("fifth")).unwrap();
    let error = nowhere.put(&artifact, &at("large")).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Remote, Some("artifacts.put")));
    projects.close().await;
}

#[test]
fn an_address_and_its_options_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |url: &str, options: &[(&str, &str)]| {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let error = ArtifactStore::from_url(url, &options, folder.path()).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        refused("ftp://host/artifacts", &[]),
        "artifacts.open: the artifacts cannot be kept at ftp://; known are s3:// and file://; for HDFS, hand \
         over what YarnCluster::blobs gives, for others a BlobStore or a store of the crate object_store"
    );
    assert_eq!(
        refused("s3://me:pa55@bucket/x", &[]),
        "artifacts.open: the address of the artifacts holds credentials; give them as options"
    );
    assert_eq!(refused("artifacts", &[]), "artifacts.open: the address of the artifacts is no URL");
    assert!(refused("s3://bucket/x", &[("regoin", "x")]).starts_with("artifacts.open: 'regoin' is no option of S3; "));
    let error = refused("s3://bucket/x", &[("secret_access_key", "env:STREAMPARK_NO_SUCH_VARIABLE")]);
    assert!(error.contains("STREAMPARK_NO_SUCH_VARIABLE"), "{error}");
}
