//! Against a real HTTP server that speaks as DingTalk does.

use super::*;
use crate::alert::testing::{Server, message, say};

const OK: &str = r#"{"errcode":0,"errmsg":"ok"}"#;

async fn send(answer: &'static str, attempt: u32) -> Result<Receipt> {
    let server = Server::start(say(200, answer)).await;
    let mut message = message(1, 0);
    message.attempt = attempt;
    DingTalk::new("t0ken", "SECcanary").base_url(&server.url)?.send(&message).await
}

#[test]
fn signs_as_dingtalk_does() {
    let signature = sign("SECtest", 1_700_000_000_000).unwrap();
    let encoded: String = url::form_urlencoded::byte_serialize(signature.as_bytes()).collect();
    assert_eq!(encoded, "aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g%3D");
}

#[tokio::test]
async fn a_message_is_signed_markdown() {
    let server = Server::start(say(200, OK)).await;
    let robot = DingTalk::new("t0ken", "SECtest").base_url(&server.url).unwrap().keyword("flink").mention(["138 0000"]);
    robot.send(&message(1, 0)).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].uri.path(), "/robot/send");
    let query: std::collections::HashMap<String, String> =
        url::form_urlencoded::parse(asked[0].uri.query().unwrap().as_bytes()).into_owned().collect();
    assert_eq!(query["access_token"], "t0ken");
    let millis: i64 = query["timestamp"].parse().unwrap();
    assert!((Timestamp::now().as_millisecond() - millis).abs() < 60_000);
    assert_eq!(query["sign"], sign("SECtest", millis).unwrap(), "encoded once");
    assert!(asked[0].headers["content-type"].to_str().unwrap().starts_with("application/json"));
    let body: serde_json::Value = serde_json::from_str(&asked[0].body).unwrap();
    assert_eq!(body["msgtype"], "markdown");
    assert_eq!(body["markdown"]["title"], "job 'job-0000' failed");
    assert_eq!(
        body["markdown"]["text"],
        "#### [ERROR] job 'job-0000' failed\n\n- **job**: job-0000\n- **cause**: java.io.IOException: the broker is away\n\
         - **time**: 2023-11-14T22:13:20Z\n\nflink @1380000"
    );
    assert_eq!(body["at"], serde_json::json!({"atMobiles": ["1380000"], "isAtAll": false}));
}

#[tokio::test]
async fn a_success_status_with_an_error_code_is_an_error() {
    let error =
        send(r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#, 1).await.unwrap_err();
    assert_eq!(error.status(), ErrorStatus::Temporary);
    assert!(error.context().contains(&("retry_after", "60".to_owned())), "{error}");
    let error = send(r#"{"errcode":130101,"errmsg":"send too fast"}"#, 3).await.unwrap_err();
    assert!(error.context().contains(&("retry_after", "240".to_owned())), "{error}");
    let error = send(r#"{"errcode":310000,"errmsg":"sign not match for SECcanary and t0ken"}"#, 1).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthenticated, ErrorStatus::Permanent));
    assert!(error.to_string().contains("sign not match for ****** and ******"), "{error}");
    let error = send(r#"{"errcode":-1,"errmsg":"busy"}"#, 1).await.unwrap_err();
    assert_eq!(error.status(), ErrorStatus::Temporary);
    let error = send("<html>welcome</html>", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
    send(OK, 1).await.unwrap();
}

#[tokio::test]
async fn neither_token_nor_secret_leaves_through_an_error() {
    for port in [1, 0] {
        let url = if port == 0 { "http://host.invalid/".to_owned() } else { format!("http://127.0.0.1:{port}/") };
        let robot = DingTalk::new("t0ken", "SECcanary").base_url(url).unwrap();
        let error = robot.send(&message(1, 0)).await.unwrap_err();
        let text = format!("{error} {} {error:?} {robot:?}", error.chain());
        assert!(!text.contains("t0ken") && !text.contains("SECcanary") && !text.contains("sign="), "{text}");
        assert_eq!(error.kind(), ErrorKind::Unreachable);
    }
}

#[test]
fn what_people_named_a_job_is_no_markup_and_calls_nobody() {
    let mut message = message(1, 0);
    let alert = &mut message.alerts[0];
    alert.job_name = Some("a](http://evil.test) @all\n# big ![x](y) <b>\u{202e}".to_owned());
    alert.title = "job @all failed".to_owned();
    alert.cause = Some(crate::job::Failure::new("`code` **bold** @13800000000\r\n> quote"));
    let body = DingTalk::unsigned("t").body(&message);
    let text = body["markdown"]["text"].as_str().unwrap();
    assert!(!text.contains('@') && !body["markdown"]["title"].as_str().unwrap().contains('@'), "{text}");
    assert!(text.contains(r"**job**: a\](http://evil.test) ＠all \# big \!\[x\](y) \<b\>"), "{text}");
    assert!(text.contains(r"**cause**: \`code\` \*\*bold\*\* ＠13800000000 \> quote"), "{text}");
    assert_eq!(text.lines().count(), 5, "{text}");
}

#[test]
fn a_digest_of_hundreds_stays_within_the_limit() {
    let mut many = message(1_000, 100);
    assert!(DingTalk::unsigned("t").body(&many).to_string().contains("and 940 more"));
    for alert in &mut many.alerts {
        alert.job_name = alert.job_name.as_ref().map(|name| format!("{name}-{}", "\"𠀀\"".repeat(40)));
    }
    let body = DingTalk::unsigned("t").body(&many).to_string();
    assert!(body.len() < 20_000, "{}", body.len());
    assert!(body.contains("more"), "{body}");
}
