//! The conformance suite of clusters on real Flink, both major versions: locally, and the same Flink
//! as somebody else's session behind a path prefix and behind TLS.

use std::path::Path;
use std::time::Duration;

use streampark_core::ErrorKind;
use streampark_core::cluster::suite::{self, Stage as _};
use streampark_core::cluster::{Cluster as _, LocalCluster, StandaloneCluster};
use streampark_core::flink::RestOptions;
use streampark_tests::certificates::Certificates;
use streampark_tests::flink::{FlinkStage, small_flink, turn, variable};
use streampark_tests::gateway::{Gateway, GatewayOptions};

const TOKEN: &str = "Bearer t0ken";

/// An address at which nobody listens.
const DEAD: &str = "http://127.0.0.1:1/";

async fn behind_a_prefix(flink: &LocalCluster, folder: &Path) {
    let options = GatewayOptions { prefix: "/team/flink".to_owned(), ..GatewayOptions::default() };
    let gateway = Gateway::start(flink.address(), options).await.unwrap();
    let addresses = [DEAD.to_owned(), gateway.address.clone()];
    let cluster = StandaloneCluster::with_options(RestOptions::new(addresses)).unwrap();
    assert!(!cluster.capability().verify_restore_points, "another machine's files are not ours to judge");
    let stage = FlinkStage::new(cluster, folder).await;
    suite::run_all(&stage).await;
    assert_eq!(stage.cluster().info().location, gateway.address, "the address that answers is kept");
    let passed = gateway.passed();
    assert!(passed.len() > 100 && passed.iter().all(|request| request.path.starts_with("/team/flink/")));
}

async fn behind_tls(flink: &LocalCluster, folder: &Path) {
    let certificates = Certificates::new().unwrap();
    let options = GatewayOptions {
        header: Some(("authorization", TOKEN.to_owned())),
        tls: Some(certificates.server.clone()),
        ..GatewayOptions::default()
    };
    let gateway = Gateway::start(flink.address(), options).await.unwrap();
    // A handshake takes a while where the machine is busy.
    let patient = RestOptions::new([&gateway.address]).connect_timeout(Duration::from_secs(10));
    let trusting = patient.timeout(Duration::from_secs(15)).tls_ca(certificates.authority.clone());
    let known = trusting.clone().tls_identity(certificates.client.clone(), certificates.client_key.clone());
    for (options, kind) in [
        (RestOptions::new([&gateway.address]), ErrorKind::Unreachable),
        (trusting.header("Authorization", TOKEN), ErrorKind::Unreachable),
        (known.clone(), ErrorKind::Unauthenticated),
    ] {
        let error = StandaloneCluster::with_options(options).unwrap().observe().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    let cluster = StandaloneCluster::with_options(known.header("Authorization", TOKEN)).unwrap();
    let stage = FlinkStage::new(cluster.sharing_files(true), folder).await;
    suite::run_all(&stage).await;
}

async fn all(home: &str) {
    let _turn = turn().await;
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("flink");
    let flink = small_flink(&variable(home), &work, 16).start().await.unwrap();
    let stage = FlinkStage::new(flink.clone(), folder.path()).await;
    suite::run_all(&stage).await;
    let info = stage.cluster().info();
    assert_eq!((info.kind.as_str(), info.flink_version.as_ref()), ("local", Some(flink.version())));
    assert_eq!(info.orphan_timeout.as_secs(), 20, "heartbeat.timeout and 10 s");
    behind_a_prefix(&flink, folder.path()).await;
    behind_tls(&flink, folder.path()).await;
    flink.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flink_1_keeps_the_contract_of_clusters() {
    all("STREAMPARK_TEST_FLINK_1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flink_2_keeps_the_contract_of_clusters() {
    all("STREAMPARK_TEST_FLINK_2").await;
}
