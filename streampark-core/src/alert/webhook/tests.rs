//! Against a real HTTP server.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;
use crate::alert::testing::{Say, Server, message, say};
use crate::{ErrorKind, ErrorStatus};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn signs_as_the_specification_shows() {
    let body = r#"{"test": 2432232314}"#;
    let signature = sign(&Secret::new(KEY), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body).unwrap();
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    for bad in ["MfKQ9r8G", "whsec_", "whsec_***"] {
        let error = sign(&Secret::new(bad), "a", 1, "{}").unwrap_err();
        assert!(error.message().starts_with("the secret of a webhook is written whsec_"), "{error}");
        assert!(bad == "whsec_" || !error.to_string().contains(bad), "{error}");
    }
}

#[tokio::test]
async fn a_message_is_signed_json_with_a_stable_identity() {
    let server = Server::start(say(202, "")).await;
    let hook =
        Webhook::new(format!("{}/hook", server.url)).unwrap().secret(KEY).header("authorization", "Bearer c4nary");
    hook.send(&message(1, 100)).await.unwrap();
    let mut again = message(1, 100);
    again.attempt = 2;
    hook.send(&again).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].uri.path(), "/hook");
    let header = |n: usize, name: &str| asked[n].headers[name].to_str().unwrap().to_owned();
    assert_eq!(header(0, "webhook-id"), "00000000-0000-0000-0000-000000000007");
    assert_eq!(header(0, "authorization"), "Bearer c4nary");
    assert_eq!(header(0, "content-type"), "application/json");
    let at: i64 = header(0, "webhook-timestamp").parse().unwrap();
    assert!((Timestamp::now().as_second() - at).abs() < 60);
    let expected = sign(&Secret::new(KEY), &header(0, "webhook-id"), at, &asked[0].body).unwrap();
    assert_eq!(header(0, "webhook-signature"), expected);
    assert_eq!((header(0, "webhook-id"), &asked[0].body), (header(1, "webhook-id"), &asked[1].body));
    let body: Value = serde_json::from_str(&asked[0].body).unwrap();
    assert_eq!(body["type"], "job_failed");
    assert_eq!(body["timestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(body["data"]["alerts"][0]["job_name"], "job-0000");
    assert_eq!(body["data"]["left_out"], 0);
}

#[test]
fn a_body_stays_small_and_names_or_counts_everything() {
    for (count, detail) in [(1, 0), (1, 60_000), (3, 60_000), (40, 5_000), (256, 0), (1_000, 60_000)] {
        let text = body(&message(count, detail));
        assert!(text.len() < BODY, "{} bytes for {count} alerts of {detail}", text.len());
        let data = &serde_json::from_str::<Value>(&text).unwrap()["data"];
        let (whole, also) = (data["alerts"].as_array().unwrap().len(), data["also"].as_array().unwrap().len());
        assert_eq!(whole as u64 + data["left_out"].as_u64().unwrap(), count as u64);
        assert!(whole + also == count || also > 50, "{whole} whole and {also} named of {count}");
        assert!(whole > 0);
    }
    let mut wild = message(1, 0);
    wild.alerts[0].title = "\u{1}\"".repeat(50_000);
    wild.alerts[0].action = Some("\u{1}".repeat(50_000));
    assert!(body(&wild).len() < BODY);
}

#[tokio::test]
async fn answers_decide_whether_it_is_tried_again() {
    for (status, kind, permanent) in [
        (301, ErrorKind::InvalidInput, true),
        (400, ErrorKind::InvalidInput, true),
        (401, ErrorKind::Unauthenticated, true),
        (404, ErrorKind::NotFound, true),
        (408, ErrorKind::Remote, false),
        (429, ErrorKind::Remote, false),
        (500, ErrorKind::Remote, false),
        (503, ErrorKind::Remote, false),
    ] {
        let mut answer = say(status, "no");
        answer.headers = vec![("retry-after", "17"), ("location", "/elsewhere")];
        let server = Server::start(answer).await;
        let error = Webhook::new(&server.url).unwrap().send(&message(1, 0)).await.unwrap_err();
        assert_eq!((error.kind(), error.status() == ErrorStatus::Permanent), (kind, permanent), "{error}");
        assert!(error.context().contains(&("retry_after", "17".to_owned())));
        assert_eq!(server.asked().len(), 1, "no redirect is followed");
    }
}

#[tokio::test]
async fn a_server_that_hangs_or_is_away_is_an_error_without_the_address() {
    let hang = Say { delay: Duration::from_secs(60), ..say(200, "") };
    let server = Server::start(hang).await;
    let url = format!("{}/services/T0KEN?key=c4nary", server.url);
    let hook = Webhook::new(&url).unwrap().header("x-api-key", "h3ader").timeout(Duration::from_millis(200));
    let error = hook.send(&message(1, 0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    drop(server);
    let gone = Webhook::new("http://127.0.0.1:1/services/T0KEN?key=c4nary").unwrap();
    let away = gone.send(&message(1, 0)).await.unwrap_err();
    assert_eq!((away.kind(), away.is_retryable()), (ErrorKind::Unreachable, true), "{away}");
    for text in [error.chain(), away.chain(), format!("{error:?} {away:?} {hook:?} {gone:?}")] {
        for secret in ["T0KEN", "c4nary", "h3ader"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn wrong_settings_are_told_before_anything_is_sent() {
    let server = Server::start(say(200, "")).await;
    let hook = Webhook::new(&server.url).unwrap().header("bad name", "x");
    let error = hook.send(&message(1, 0)).await.unwrap_err();
    assert_eq!(error.message(), "'bad name' is no name of an HTTP header");
    let hook = Webhook::new(&server.url).unwrap().secret("env:STREAMPARK_NO_SUCH_VARIABLE");
    assert_eq!(hook.send(&message(1, 0)).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(Webhook::new(&server.url).unwrap().ca_certificate("not a certificate").is_err());
    assert!(server.asked().is_empty());
}

/// An HTTPS server with a certificate of its own; gives its address and that certificate.
async fn https() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/c4nary", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    (url, made.cert.pem())
}

#[tokio::test]
async fn a_certificate_is_checked_and_an_own_authority_can_be_trusted() {
    let (url, pem) = https().await;
    let error = Webhook::new(&url).unwrap().send(&message(1, 0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!(error.message(), "its certificate is not trusted; name its authority with ca_certificate");
    assert!(!error.chain().contains("c4nary"), "{}", error.chain());
    let (_, other) = https().await;
    let wrong = Webhook::new(&url).unwrap().ca_certificate(other).unwrap();
    assert!(wrong.send(&message(1, 0)).await.is_err());
    Webhook::new(&url).unwrap().ca_certificate(pem).unwrap().send(&message(1, 0)).await.unwrap();
}
