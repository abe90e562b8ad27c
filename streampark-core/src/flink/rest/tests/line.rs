//! Questions over the connection that stays open, and what may go wrong with it.

use super::*;

const NONE: &str = r#"{"jobs":[]}"#;

/// By which connection each request came.
fn connections(server: &Server) -> Vec<usize> {
    server.seen().iter().map(|seen| seen.connection).collect()
}

#[tokio::test]
async fn questions_share_one_connection_and_say_who_we_are() {
    let server = Server::start(|_| Reply::Json(200, NONE.into())).await;
    let options = RestOptions::new([format!("{}prefix", server.url())]).header("Authorization", "Bearer canary");
    let client = RestClient::new(options).unwrap();
    for _ in 0..4 {
        assert_eq!(client.jobs().await.unwrap(), []);
    }
    assert_eq!(connections(&server), [0, 1, 1, 1]);
    for seen in server.seen() {
        assert_eq!(seen.line, "GET /prefix/jobs/overview");
        let head = seen.head.to_ascii_lowercase();
        for header in ["authorization: bearer canary", "accept: application/json", "user-agent: streampark-sdk/"] {
            assert!(head.contains(header), "{head}");
        }
        assert!(head.contains(&format!("host: {}", server.url().trim_matches('/').trim_start_matches("http://"))));
    }
    // What changes something goes its own way.
    let _refused = client.cancel(&job()).await;
    assert_eq!(connections(&server)[4..], [2]);
}

#[tokio::test]
async fn headers_of_ours_come_once() {
    let server = Server::start(|_| Reply::Json(200, NONE.into())).await;
    let options = RestOptions::new([server.url()]).header("Host", "flink.example").header("User-Agent", "probe");
    let client = RestClient::new(options).unwrap();
    for _ in 0..2 {
        client.jobs().await.unwrap();
    }
    for seen in server.seen() {
        let head = seen.head.to_ascii_lowercase();
        let count = |start: &str| head.lines().filter(|line| line.starts_with(start)).count();
        assert_eq!((count("host: "), count("user-agent: ")), (1, 1), "{head}");
        assert!(head.contains("host: flink.example") && head.contains("user-agent: probe"), "{head}");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_is_no_error() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        2 | 4 => Reply::BreakOff,
        _ => Reply::Json(200, NONE.into()),
    })
    .await;
    let client = RestClient::connect_to(server.url()).unwrap();
    for _ in 0..6 {
        client.jobs().await.unwrap();
    }
    // The usual way, the line, the line that breaks and the usual way again, a line that breaks, …
    assert_eq!(connections(&server), [0, 1, 1, 2, 3, 4, 5, 5]);
}

#[tokio::test]
async fn an_answer_may_be_long_and_end_the_connection() {
    let long = format!(r#"{{"jobs":[]{}}}"#, " ".repeat(100_000));
    let text = long.clone();
    let server = Server::start(move |seen| match seen.connection {
        2 => Reply::Raw(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{text}").into_bytes()),
        1 => Reply::Raw(
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}", text.len())
                .into_bytes(),
        ),
        _ => Reply::Json(200, text.clone()),
    })
    .await;
    let client = RestClient::connect_to(server.url()).unwrap();
    for _ in 0..5 {
        client.jobs().await.unwrap();
    }
    assert_eq!(connections(&server), [0, 1, 2, 3, 4, 4], "asked twice only where no length was told");
    let bounded = RestClient::new(RestOptions::new([server.url()]).max_answer(long.len() - 1)).unwrap();
    for _ in 0..2 {
        assert_eq!(bounded.jobs().await.unwrap_err().kind(), ErrorKind::UnexpectedResponse);
    }
}

#[tokio::test]
async fn who_says_nothing_on_it_is_told_of_in_time() {
    let server = Server::start(|seen| match seen.connection {
        1 => Reply::Hang,
        _ => Reply::Json(200, NONE.into()),
    })
    .await;
    let client = quick(server.url());
    client.jobs().await.unwrap();
    let began = std::time::Instant::now();
    let error = client.jobs().await.unwrap_err();
    assert_eq!(facts(&error), (ErrorKind::Timeout, ErrorStatus::Temporary));
    assert_eq!(error.message(), "the JobManager took the request but did not answer in time");
    assert!(began.elapsed() < 2 * PATIENCE, "not in time twice: {:?}", began.elapsed());
    client.jobs().await.unwrap();
    assert_eq!(connections(&server), [0, 1, 2]);
}

#[tokio::test]
async fn what_does_not_suit_is_not_tried_for_ever() {
    let head = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 11\r\n\r\n{NONE}", "x".repeat(20_000));
    let server = Server::start(move |_| Reply::Raw(head.clone().into_bytes())).await;
    let client = RestClient::connect_to(server.url()).unwrap();
    for _ in 0..8 {
        client.jobs().await.unwrap();
    }
    assert_eq!(server.lines().len(), 8 + 3, "three are asked twice");
}

#[tokio::test]
async fn an_answer_that_is_not_plain_goes_the_usual_way() {
    let answers = [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"jobs\":[]}\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n{\"jobs\":[]}",
        "HTTP/1.1 307 X\r\nLocation: /jobs/elsewhere\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"jobs\":[]}",
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Length: 11\r\n\r\n{\"jobs\":[]}",
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"jobs\":[]}HTTP/1.1 200 OK\r\n",
    ];
    for answer in answers {
        let server = Server::start(move |seen| match seen.line.as_str() {
            "GET /jobs/overview" => Reply::Raw(answer.as_bytes().to_vec()),
            _ => Reply::Json(200, NONE.into()),
        })
        .await;
        let client = RestClient::connect_to(server.url()).unwrap();
        for _ in 0..3 {
            assert_eq!(client.jobs().await.unwrap(), [], "{answer}");
        }
    }
}

#[tokio::test]
async fn a_question_that_is_given_up_leaves_nothing_behind() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |seen| match (seen.line.as_str(), count.fetch_add(1, Ordering::Relaxed)) {
        (_, 1) => Reply::Hang,
        ("GET /jobs/overview", _) => Reply::Json(200, NONE.into()),
        _ => Reply::Json(200, r#"{"flink-version":"2.3.0"}"#.into()),
    })
    .await;
    let client = RestClient::connect_to(server.url()).unwrap();
    client.jobs().await.unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(50), client.jobs()).await;
    assert!(given_up.is_err());
    for _ in 0..3 {
        assert_eq!(client.config().await.unwrap().flink_version.to_string(), "2.3.0");
    }
    let many = futures_util::future::join_all((0..8).map(|_| client.jobs())).await;
    assert!(many.into_iter().all(|jobs| jobs.is_ok()), "asked at the same time");
}
