use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::*;
use crate::auth::Simple;
use crate::http::HttpOptions;

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn client(addresses: &[String]) -> ResourceManager {
    let options = HttpOptions {
        timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(1),
        transfer_timeout: Duration::from_secs(5),
        tls_ca: None,
    };
    let http = Http::new(options, Arc::new(Simple::new("alice")), None).unwrap();
    ResourceManager::new(http, addresses, Duration::from_secs(2)).unwrap()
}

fn info(state: &'static str) -> impl Fn() -> std::future::Ready<String> + Clone {
    move || std::future::ready(format!(r#"{{"clusterInfo":{{"haState":"{state}","state":"STARTED"}}}}"#))
}

#[tokio::test]
async fn a_post_follows_the_active_one_with_its_body_and_user() {
    let seen: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let sink = Arc::clone(&seen);
    let active = serve(Router::new().route("/ws/v1/cluster/info", get(info("ACTIVE"))).route(
        "/ws/v1/cluster/apps",
        post(move |uri: axum::http::Uri, body: String| async move {
            sink.lock().unwrap().push(format!("{} {body}", uri.query().unwrap_or_default()));
            StatusCode::ACCEPTED
        }),
    ))
    .await;
    let to = format!("{active}ws/v1/cluster/apps");
    let standby = serve(Router::new().route("/ws/v1/cluster/info", get(info("STANDBY"))).route(
        "/ws/v1/cluster/apps",
        post(move || async move {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)], "This is standby RM.").into_response()
        }),
    ))
    .await;
    // Only the standby is known: the redirect names the other.
    let rm = client(&[standby]);
    rm.submit(&json!({"application-id": "application_1_0001"})).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["user.name=alice {\"application-id\":\"application_1_0001\"}"]);
    assert_eq!(rm.base().as_str(), active);
}

#[tokio::test]
async fn without_an_active_one_the_call_ends_with_the_reason() {
    let standby = serve(Router::new().route("/ws/v1/cluster/info", get(info("STANDBY"))).fallback(|| async {
        (StatusCode::TEMPORARY_REDIRECT, [(header::REFRESH, "1;url=http://same/")], "Can not find any active RM.")
    }))
    .await;
    let error = client(&[standby]).tagged("streampark").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Remote, ErrorStatus::Temporary));
    assert!(error.message().starts_with("no ResourceManager is active"), "{error}");
}

#[tokio::test]
async fn one_that_starts_waits_until_another_or_itself_is_active() {
    let ready = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let (state, count) = (Arc::clone(&ready), Arc::clone(&asked));
    let answer = move || {
        let (state, count) = (Arc::clone(&state), Arc::clone(&count));
        async move {
            if count.fetch_add(1, Ordering::SeqCst) > 1 {
                state.store(true, Ordering::SeqCst);
            }
            let word = if state.load(Ordering::SeqCst) { "ACTIVE" } else { "INITIALIZING" };
            format!(r#"{{"clusterInfo":{{"haState":"{word}","state":"STARTED"}}}}"#)
        }
    };
    let rm = client(&[serve(Router::new().route("/ws/v1/cluster/info", get(answer))).await]);
    let error = rm.active_info().await.unwrap_err();
    assert_eq!(error.message(), "the ResourceManager is INITIALIZING, not ACTIVE; what it lists now may be partial");
    assert!(rm.active_info().await.unwrap().is_active());
    drop(ready);
}

#[tokio::test]
async fn a_wrong_port_is_told_and_not_asked_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let page = Router::new().fallback(move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/html")], "<html></html>") }
    });
    let error = client(&[serve(page).await]).new_application().await.unwrap_err();
    assert!(
        error.message().starts_with("the server answers with a web page, so this is not the ResourceManager"),
        "{error}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn addresses_of_daemons_and_gateways() {
    for (given, list) in [
        ("http://rm:8088", "http://rm:8088/ws/v1/cluster/apps"),
        ("http://rm:8088/cluster", "http://rm:8088/ws/v1/cluster/apps"),
        (
            "https://knox:8443/gateway/prod/resourcemanager/",
            "https://knox:8443/gateway/prod/resourcemanager/v1/cluster/apps",
        ),
    ] {
        assert_eq!(endpoint(&parse_base(given).unwrap(), &["apps"]).as_str(), list);
    }
    assert_eq!(
        parse_base("rm:8088").unwrap_err().message(),
        "'rm:8088' is no address of a Hadoop daemon: the scheme is neither http nor https; write it as http://host:port/"
    );
}
