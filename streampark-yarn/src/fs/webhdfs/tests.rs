use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::put;

use super::*;
use crate::auth::Simple;
use crate::http::HttpOptions;

async fn serve(router: Router) -> (String, u16) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://127.0.0.1:{port}/"), port)
}

fn client(addresses: Vec<String>, http_fs: bool, host_map: BTreeMap<String, String>) -> WebHdfs {
    let options = HttpOptions {
        timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(1),
        transfer_timeout: Duration::from_secs(5),
        tls_ca: None,
    };
    let http = Http::new(options, Arc::new(Simple::new("alice")), None).unwrap();
    let options =
        WebHdfsOptions { addresses, scheme: "hdfs://prod".to_owned(), http_fs, host_map, replication: Some(2) };
    WebHdfs::new(http, options).unwrap()
}

const STANDBY: &str = r#"{"RemoteException":{"exception":"StandbyException","javaClassName":"org.apache.hadoop.ipc.StandbyException","message":"Operation category WRITE is not supported in state standby"}}"#;

#[tokio::test]
async fn an_upload_goes_by_the_active_name_node_to_a_data_node_under_a_reachable_name() {
    let written: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = Arc::clone(&written);
    let (_, port) = serve(Router::new().fallback(put(move |uri: Uri, body: String| async move {
        sink.lock().unwrap().push(format!("{uri} {body}"));
        StatusCode::CREATED
    })))
    .await;
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = Arc::clone(&asked);
    let (active, _) = serve(Router::new().fallback(move |uri: Uri| async move {
        sink.lock().unwrap().push(uri.to_string());
        format!(r#"{{"Location":"http://datanode.internal:{port}/webhdfs/v1/a?op=CREATE"}}"#)
    }))
    .await;
    let (standby, _) =
        serve(Router::new().fallback(|| async { (StatusCode::FORBIDDEN, STANDBY).into_response() })).await;
    let map = BTreeMap::from([("datanode.internal".to_owned(), "127.0.0.1".to_owned())]);
    let fs = client(vec![standby, active], false, map);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "x".repeat(600_000)).unwrap();
    let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
    let sink = Arc::clone(&seen);
    let progress: Progress = Arc::new(move |sent| sink.lock().unwrap().push(sent));
    fs.write("/a b/ü", Content::File(file.path().to_owned()), 0o644, Some(progress)).await.unwrap();
    assert_eq!(
        *asked.lock().unwrap(),
        [
            "/webhdfs/v1/a%20b/%C3%BC?op=CREATE&overwrite=true&permission=644&replication=2&noredirect=true&user.name=alice"
        ]
    );
    let written = written.lock().unwrap();
    assert!(written[0].starts_with("/webhdfs/v1/a?op=CREATE xxx") && written[0].len() > 600_000);
    let seen = seen.lock().unwrap();
    assert!(seen.len() >= 3 && seen.last() == Some(&600_000), "{seen:?}");
}

#[tokio::test]
async fn http_fs_takes_the_bytes_itself() {
    let written: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = Arc::clone(&written);
    let (address, _) = serve(Router::new().fallback(put(move |uri: Uri, body: String| async move {
        sink.lock().unwrap().push(format!("{} {body}", uri.query().unwrap_or_default()));
        StatusCode::CREATED
    })))
    .await;
    let fs = client(vec![address], true, BTreeMap::new());
    fs.write("/a", Content::Bytes("hello".into()), 0o600, None).await.unwrap();
    assert_eq!(
        *written.lock().unwrap(),
        ["op=CREATE&overwrite=true&permission=600&replication=2&data=true&user.name=alice hello"]
    );
}

#[tokio::test]
async fn absence_is_none_and_refusal_an_error_with_the_path() {
    let (address, _) = serve(Router::new().fallback(|uri: Uri| async move {
        if uri.path().ends_with("/absent") {
            let body = r#"{"RemoteException":{"exception":"FileNotFoundException","javaClassName":"java.io.FileNotFoundException","message":"File does not exist: /absent"}}"#;
            return (StatusCode::NOT_FOUND, body);
        }
        let body = r#"{"RemoteException":{"exception":"AccessControlException","javaClassName":"x","message":"Permission denied: user=alice, access=WRITE, inode=\"/\":root:supergroup:drwxr-xr-x"}}"#;
        (StatusCode::FORBIDDEN, body)
    }))
    .await;
    let fs = client(vec![address], false, BTreeMap::new());
    assert_eq!(fs.status("/absent").await.unwrap(), None);
    let error = fs.make_folder("/locked", 0o700).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().starts_with("hdfs.mkdirs: Permission denied: user=alice, access=WRITE"), "{error}");
    assert!(error.to_string().contains("path: /locked"), "{error}");
}
