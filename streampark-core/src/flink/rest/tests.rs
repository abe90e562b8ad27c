//! Answers recorded from Flink 1.20.5 and 2.3.0 (stack traces shortened), and servers that misbehave.

mod line;
mod server;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use server::{Reply, Seen, Server};

use super::*;
use crate::flink::{FlinkJobId, FlinkVersion, RemoteException, TriggerId};
use crate::{Error, ErrorKind, ErrorStatus};

const VERSIONS: [(&str, &str); 2] =
    [("1.20.5", include_str!("recorded/1.20.5.json")), ("2.3.0", include_str!("recorded/2.3.0.json"))];

type Recorded = BTreeMap<String, Value>;

fn reply(recorded: &Recorded, name: &str) -> Reply {
    let answer = &recorded[name];
    Reply::Json(answer["status"].as_u64().unwrap() as u16, answer["body"].to_string())
}

fn recorded() -> impl Iterator<Item = (&'static str, Recorded)> {
    VERSIONS.into_iter().map(|(version, text)| (version, serde_json::from_str(text).unwrap()))
}

/// A client of a server that answers every request with what was recorded under the first matching name.
async fn flink(recorded: Recorded, routes: &'static [(&'static str, &'static str)]) -> (RestClient, Server) {
    let server = Server::start(move |seen| {
        let route = routes.iter().find(|(line, _)| *line == seen.line);
        let (_, name) = route.unwrap_or_else(|| panic!("no answer for {}", seen.line));
        reply(&recorded, name)
    })
    .await;
    (RestClient::connect_to(server.url()).unwrap(), server)
}

fn job() -> FlinkJobId {
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1".parse().unwrap()
}

/// Short enough to be waited out, long enough for a real answer on a busy machine.
const PATIENCE: Duration = Duration::from_millis(600);

/// Where nobody listens: a port that was free a moment ago may be another test's.
const NOBODY: &str = "127.0.0.1:1";

fn quick(url: String) -> RestClient {
    RestClient::new(RestOptions::new([url]).timeout(PATIENCE).run_timeout(PATIENCE)).unwrap()
}

fn facts(error: &Error) -> (ErrorKind, ErrorStatus) {
    (error.kind(), error.status())
}

#[tokio::test]
async fn the_answers_of_both_versions_are_read() {
    const ROUTES: &[(&str, &str)] = &[
        ("GET /overview", "overview"),
        ("GET /config", "config"),
        ("GET /jobs/overview", "jobs_overview"),
        ("GET /jobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1", "job"),
        ("GET /jobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1/config", "job_config"),
        ("GET /jobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1/exceptions", "exceptions_none"),
        ("GET /jobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1/checkpoints", "checkpoints"),
        ("GET /jobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1/checkpoints/config", "ckconfig"),
        ("GET /jobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1/metrics?get=numRestarts%2Cuptime", "metrics"),
        ("GET /jars", "jars"),
        ("GET /taskmanagers", "tms"),
        ("GET /jobmanager/logs", "jm_logs"),
        ("GET /jobmanager/config", "jm_config"),
    ];
    for (version, recorded) in recorded() {
        let (client, _server) = flink(recorded, ROUTES).await;
        let overview = client.overview().await.unwrap();
        assert_eq!((overview.flink_version.to_string().as_str(), overview.slots_total), (version, 4));
        let config = client.config().await.unwrap();
        assert!(config.features.web_submit && config.refresh_interval == 3000);
        assert_eq!(client.version().await.unwrap().to_string(), version);
        let jobs = client.jobs().await.unwrap();
        let running = jobs.iter().find(|found| found.jid == job()).unwrap();
        assert_eq!((&running.state, running.tasks.running, running.end_time), (&JobStatus::Running, 1, -1));
        assert!(jobs.iter().any(|job| job.state == JobStatus::Failed && job.tasks.failed == 1));
        let detail = client.job(&job()).await.unwrap();
        assert_eq!((detail.job_type.as_deref(), detail.vertices[0].tasks.running), (Some("STREAMING"), 1));
        assert_eq!(client.job_config(&job()).await.unwrap().execution_config.unwrap().job_parallelism, 1);
        assert_eq!(client.job_exceptions(&job()).await.unwrap(), JobExceptions::default());
        let checkpoints = client.checkpoints(&job()).await.unwrap();
        assert!(checkpoints.counts.completed > 1);
        let newest = checkpoints.latest.completed.unwrap();
        assert!(newest.usable_path().unwrap().contains("/chk-"), "{newest:?}");
        assert!(checkpoints.history.iter().any(|old| old.discarded && old.usable_path().is_none()));
        assert_eq!(client.checkpoint_config(&job()).await.unwrap().interval, 1000);
        let metrics = client.job_metrics(&job(), &["numRestarts", "uptime"]).await.unwrap();
        assert_eq!(metrics[0].number(), Some(0.0));
        assert_eq!(client.jars().await.unwrap()[0].entries[0].name, "ProbeJob");
        assert_eq!(client.taskmanagers().await.unwrap()[0].slots_number, 4);
        assert!(client.logs(&LogSource::JobManager).await.unwrap().iter().any(|log| log.name == "jm.log"));
        assert!(client.jobmanager_config().await.unwrap().windows(2).all(|pair| pair[0].key <= pair[1].key));
    }
}

#[tokio::test]
async fn the_reason_of_a_failure_is_found_in_both_forms() {
    const ROUTES: &[(&str, &str)] = &[("GET /jobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1/exceptions", "exceptions")];
    for (version, recorded) in recorded() {
        let (client, _server) = flink(recorded, ROUTES).await;
        let root = client.job_exceptions(&job()).await.unwrap().root.unwrap();
        assert_eq!(root.one_line(), "NumberFormatException: For input string: \"not-a-number\"", "{version}");
        assert!(root.task.as_deref().unwrap().contains("Parse orders"), "{:?}", root.task);
        assert!(root.taskmanager.as_deref().unwrap().starts_with("127.0.0.1:") && root.at.is_some());
    }
    let old = r#"{"root-exception":"a.b.FooException: x\n\tat a.B.c(B.java:1)","timestamp":1000,"all-exceptions":[]}"#;
    let root = serde_json::from_str::<JobExceptions>(old).unwrap().root.unwrap();
    assert_eq!((root.one_line().as_str(), root.at.unwrap().as_millisecond()), ("FooException: x", 1000));
}

#[tokio::test]
async fn a_refused_run_says_whose_fault_it_is() {
    let expected = [
        ("run_dup", ErrorKind::AlreadyExists, "Flink has, or had, a job with this id; look at it before sending again"),
        (
            "run_throw",
            ErrorKind::Program,
            "the program's main method failed: IllegalArgumentException: --env is missing",
        ),
        ("run_exit", ErrorKind::Program, "the program called System.exit; let main return, or throw, instead"),
        (
            "run_nojob",
            ErrorKind::Program,
            "the program's main method ended without submitting a job; it must call execute()",
        ),
        ("run_noclass", ErrorKind::Program, "the program cannot be started: ClassNotFoundException: Nope"),
        (
            "run_badsp",
            ErrorKind::NotFound,
            "the restore point does not exist: FileNotFoundException: Cannot find checkpoint or savepoint \
             file/directory 'file:///nope/sp' on file system 'file'.",
        ),
    ];
    for (version, recorded) in recorded() {
        for (name, kind, message) in expected {
            let answers = recorded.clone();
            let server = Server::start(move |seen| match seen.line.as_str() {
                "POST /jars/x.jar/run" => reply(&answers, name),
                _ => reply(&answers, "status_unknown"),
            })
            .await;
            let client = RestClient::connect_to(server.url()).unwrap();
            let error = client.run_jar("x.jar", &RunJar::new().job_id(job())).await.unwrap_err();
            assert_eq!((error.message(), error.kind()), (message, kind), "{version} {name}");
            assert_eq!(error.status(), ErrorStatus::Permanent, "{version} {name}");
            let source = std::error::Error::source(&error);
            let thrown = source.and_then(|source| source.downcast_ref::<RemoteException>()).expect(name);
            assert!(thrown.0.stacktrace.contains("\tat "), "{version} {name}: the whole trace is kept");
        }
    }
}

#[tokio::test]
async fn the_restore_point_that_is_missing_is_named() {
    for (_, recorded) in recorded() {
        let server = Server::start(move |seen| match seen.line.as_str() {
            "POST /jars/x.jar/run" => reply(&recorded, "run_badsp"),
            _ => reply(&recorded, "status_unknown"),
        })
        .await;
        let client = RestClient::connect_to(server.url()).unwrap();
        let run = RunJar::new().job_id(job()).savepoint_path("file:///nope/sp");
        let error = client.run_jar("x.jar", &run).await.unwrap_err();
        assert_eq!(
            error.message(),
            "the restore point 'file:///nope/sp' does not exist; choose one that does, or start without state"
        );
        assert_eq!(
            error.chain().rsplit(": ").next(),
            Some("Flink threw java.io.FileNotFoundException"),
            "the chain has no stack trace: {}",
            error.chain()
        );
    }
}

#[tokio::test]
async fn a_flink_that_fails_is_told_with_its_reason() {
    let body = r#"{"errors":["Internal server error.","<Exception on server side:\njava.lang.OutOfMemoryError: Java heap space\n\tat a.B.c(B.java:1)\nEnd of exception on server side>"]}"#;
    let server = Server::start(move |_| Reply::Json(500, body.into())).await;
    let error = quick(server.url()).jobs().await.unwrap_err();
    assert_eq!(facts(&error), (ErrorKind::Remote, ErrorStatus::Temporary));
    assert_eq!(
        error.to_string(),
        format!("flink.jobs: OutOfMemoryError: Java heap space (http_status: 500, url: {})", server.url())
    );
    let error = quick(server.url()).cancel(&job()).await.unwrap_err();
    assert_eq!(facts(&error), (ErrorKind::Remote, ErrorStatus::Unknown), "a change may have taken effect");
}

#[tokio::test]
async fn a_program_that_fails_after_its_job_has_started_is_not_called_harmless() {
    let (_, recorded) = recorded().next().unwrap();
    let alive = Arc::new(Mutex::new("RUNNING"));
    let state = alive.clone();
    let server = Server::start(move |seen| match seen.line.starts_with("POST") {
        true => reply(&recorded, "run_throw"),
        false => Reply::Json(200, format!("{{\"status\":\"{}\"}}", state.lock().unwrap())),
    })
    .await;
    let client = RestClient::connect_to(server.url()).unwrap();
    let run = RunJar::new().job_id(job());
    assert_eq!(facts(&client.run_jar("x.jar", &run).await.unwrap_err()), (ErrorKind::Program, ErrorStatus::Unknown));
    *alive.lock().unwrap() = "FAILED";
    assert_eq!(facts(&client.run_jar("x.jar", &run).await.unwrap_err()), (ErrorKind::Program, ErrorStatus::Permanent));
    let without_id = client.run_jar("x.jar", &RunJar::new()).await.unwrap_err();
    assert_eq!(facts(&without_id), (ErrorKind::Program, ErrorStatus::Unknown));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    const ROUTES: &[(&str, &str)] = &[
        ("GET /jobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1/status", "status_unknown"),
        ("GET /jobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1", "job_unknown"),
        ("PATCH /jobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1?mode=cancel", "cancel_finished"),
        (
            "GET /jobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1/savepoints/00000000000000000000000000000001",
            "sp_unknown_trigger",
        ),
        ("DELETE /jars/x.jar", "jar_delete_again"),
        ("POST /jars/x.jar/run", "run_nojar"),
        ("GET /overview", "nopath"),
    ];
    for (version, recorded) in recorded() {
        let (client, _server) = flink(recorded, ROUTES).await;
        let gone = (ErrorKind::NotFound, ErrorStatus::Permanent);
        let status = client.job_status(&job()).await.unwrap_err();
        assert_eq!(facts(&status), gone);
        assert!(
            status.message().starts_with("FlinkJobNotFoundException: Could not find Flink job"),
            "{version} {status}"
        );
        assert_eq!(facts(&client.job(&job()).await.unwrap_err()), gone);
        let trigger = TriggerId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(facts(&client.savepoint_status(&job(), &trigger).await.unwrap_err()), gone);
        let awaited = client.await_savepoint(&job(), &trigger, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(facts(&awaited), (ErrorKind::NotFound, ErrorStatus::Unknown));
        assert_eq!(facts(&client.delete_jar("x.jar").await.unwrap_err()), gone);
        assert_eq!(facts(&client.run_jar("x.jar", &RunJar::new()).await.unwrap_err()), gone);
        let ended = client.cancel(&job()).await.unwrap_err();
        assert_eq!(facts(&ended), (ErrorKind::Conflict, ErrorStatus::Permanent));
        assert_eq!(client.overview().await.unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

#[tokio::test]
async fn savepoints_are_triggered_with_our_id_and_awaited() {
    for (version, recorded) in recorded() {
        let asked = AtomicUsize::new(0);
        let server = Server::start(move |seen| match seen.line.as_str() {
            line if line.ends_with("/stop") => reply(&recorded, "stop"),
            line if line.starts_with("POST") => reply(&recorded, "sp"),
            line if line.ends_with("ff") => reply(&recorded, "sp_failed_poll"),
            _ if asked.fetch_add(1, Ordering::Relaxed) < 1 => reply(&recorded, "sp_poll0"),
            _ => reply(&recorded, "sp_poll"),
        })
        .await;
        let client = RestClient::connect_to(server.url()).unwrap();
        let trigger: TriggerId = "ccccccccccccccccccccccccccccccc1".parse().unwrap();
        let request = TriggerSavepoint::new(trigger).target_directory("s3://b/sp").format(SavepointFormat::Native);
        assert_eq!(client.trigger_savepoint(&job(), &request).await.unwrap(), trigger);
        let savepoint = client.await_savepoint(&job(), &trigger, Duration::from_secs(10)).await.unwrap();
        assert!(savepoint.location.contains("/savepoint-aaaaaa-"), "{version} {savepoint:?}");
        let body: Value = serde_json::from_str(&server.seen()[0].text()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"triggerId": trigger, "target-directory": "s3://b/sp", "formatType": "NATIVE", "cancel-job": false})
        );
        client.stop(&job(), &StopJob::new(trigger).drain(true).target_directory("s3://b/sp")).await.unwrap();
        let body: Value = serde_json::from_str(&server.seen().last().unwrap().text()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"triggerId": trigger, "targetDirectory": "s3://b/sp", "formatType": "CANONICAL", "drain": true})
        );
        let failing = TriggerId::from_bytes([255; 16]);
        let error = client.await_savepoint(&job(), &failing, Duration::from_secs(10)).await.unwrap_err();
        assert_eq!(facts(&error), (ErrorKind::Remote, ErrorStatus::Permanent));
        assert!(error.message().starts_with("the savepoint failed: IOException: "), "{error}");
    }
}

#[tokio::test]
async fn a_savepoint_that_takes_too_long_is_not_called_failed() {
    let server =
        Server::start(|_| Reply::Json(200, r#"{"status":{"id":"IN_PROGRESS"},"operation":null}"#.into())).await;
    let client = RestClient::connect_to(server.url()).unwrap();
    let trigger = TriggerId::from_bytes([1; 16]);
    let error = client.await_savepoint(&job(), &trigger, Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(facts(&error), (ErrorKind::Timeout, ErrorStatus::Unknown));
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_nothing_is_sent_twice() {
    let changes = |client: RestClient| async move {
        let trigger = TriggerId::from_bytes([1; 16]);
        vec![
            client.run_jar("x.jar", &RunJar::new().job_id(job())).await.map(|_| ()).unwrap_err(),
            client.cancel(&job()).await.unwrap_err(),
            client.stop(&job(), &StopJob::new(trigger)).await.map(|_| ()).unwrap_err(),
            client.trigger_savepoint(&job(), &TriggerSavepoint::new(trigger)).await.map(|_| ()).unwrap_err(),
            client.shut_down_cluster().await.unwrap_err(),
        ]
    };
    let silent = Server::start(|_| Reply::BreakOff).await;
    for error in changes(quick(silent.url())).await {
        assert_eq!(facts(&error), (ErrorKind::Unreachable, ErrorStatus::Unknown), "{error}");
    }
    assert_eq!(silent.lines().len(), 5, "{:?}", silent.lines());
    let frozen = Server::start(|_| Reply::Hang).await;
    for error in changes(quick(frozen.url())).await {
        assert_eq!(facts(&error), (ErrorKind::Timeout, ErrorStatus::Unknown), "{error}");
    }
    assert_eq!(frozen.lines().len(), 5);
    let sick = Server::start(|_| {
        Reply::Json(500, r#"{"errors":["Internal server error.","<Exception on server side:\njava.util.concurrent.CompletionException: akka.pattern.AskTimeoutException: Ask timed out\n\tat a.B.c(B.java:1)\nCaused by: akka.pattern.AskTimeoutException: Ask timed out\n\nEnd of exception on server side>"]}"#.into())
    })
    .await;
    for error in changes(quick(sick.url())).await {
        assert_eq!(facts(&error), (ErrorKind::Remote, ErrorStatus::Unknown), "{error}");
        assert_eq!(error.message(), "AskTimeoutException: Ask timed out");
    }
}

#[tokio::test]
async fn a_question_without_answer_is_temporary() {
    let frozen = Server::start(|_| Reply::Hang).await;
    let error = quick(frozen.url()).jobs().await.unwrap_err();
    assert_eq!(facts(&error), (ErrorKind::Timeout, ErrorStatus::Temporary));
    let silent = Server::start(|_| Reply::BreakOff).await;
    let error = quick(silent.url()).jobs().await.unwrap_err();
    assert_eq!(facts(&error), (ErrorKind::Unreachable, ErrorStatus::Temporary));
    assert_eq!(silent.lines().len(), 2, "a question is asked once more after a broken connection");
}

#[tokio::test]
async fn where_nobody_listens_nothing_has_happened() {
    let client = quick(format!("http://{NOBODY}/"));
    for error in [client.overview().await.map(|_| ()).unwrap_err(), client.cancel(&job()).await.unwrap_err()] {
        assert_eq!(facts(&error), (ErrorKind::Unreachable, ErrorStatus::Temporary));
        let message = format!("nobody listens at {NOBODY}; is the JobManager running, and is this its REST port?");
        assert_eq!(error.message(), message);
    }
}

#[tokio::test]
async fn what_is_not_flink_is_told_so() {
    let message = |reply: fn(&Seen) -> Reply| async move {
        let server = Server::start(reply).await;
        let error = quick(server.url()).overview().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
        error.message().replace(server.url().trim_start_matches("http://").trim_end_matches('/'), "host:1")
    };
    const REMEDY: &str =
        "check host, port and path prefix (default port 8081), and whether a proxy or a login page is in between";
    assert_eq!(
        message(|_| Reply::Typed(
            200,
            "text/html",
            "<!DOCTYPE html><html><head><title>Sign  in</title></head></html>".into()
        ))
        .await,
        format!("this is not Flink's REST interface, it answered 200 with an HTML page titled 'Sign in'; {REMEDY}")
    );
    assert_eq!(
        message(|_| Reply::Typed(502, "text/html", "<h1>Bad Gateway</h1>".into())).await,
        format!("this is not Flink's REST interface, it answered 502 with an HTML page; {REMEDY}")
    );
    assert_eq!(
        message(|_| Reply::Typed(302, "text/plain", String::new())).await,
        "the server sends us to http://login.example, which is not followed; if that is Flink, use its address, else \
         send the header that the server expects"
    );
    assert_eq!(
        message(|_| Reply::Json(200, r#"{"name":"elasticsearch"}"#.into())).await,
        "the answer is JSON but not what Flink 1.16 to 2.3 answers; is this Flink's REST interface?"
    );
    // A TLS server answers plain HTTP with an alert, an SSH server with its banner.
    for bytes in [&b"\x15\x03\x03\x00\x02\x02\x46"[..], b"SSH-2.0-OpenSSH_9.2\r\n"] {
        let server = Server::start(move |_| Reply::Raw(bytes.to_vec())).await;
        let error = quick(server.url()).overview().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{}", error.chain());
        assert!(
            error.message().ends_with("does not answer in HTTP; if it speaks TLS, write https:// instead of http://"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_plain_port_spoken_to_in_tls_is_told_so() {
    let server = Server::start(|_| Reply::BreakOff).await;
    let url = server.url().replace("http://", "https://");
    let error = RestClient::connect_to(url).unwrap().overview().await.unwrap_err();
    assert_eq!(facts(&error), (ErrorKind::Unreachable, ErrorStatus::Temporary));
    assert!(error.message().ends_with("does not speak TLS; write http:// instead of https://"), "{}", error.chain());
}

#[test]
fn a_redirect_to_tls_on_the_same_port_is_explained() {
    let base = "http://localhost:8081/".parse().unwrap();
    let moved = reqwest::StatusCode::MOVED_PERMANENTLY;
    let error = error::redirected(moved, Some("https://jm-1:8081/overview"), &base);
    assert_eq!(error.to_string(), "this port speaks TLS; write https:// instead of http:// (http_status: 301)");
    assert!(error::redirected(moved, None, &base).message().contains("without saying where"));
}

#[tokio::test]
async fn who_we_are_matters() {
    for (status, kind) in [(401, ErrorKind::Unauthenticated), (403, ErrorKind::PermissionDenied)] {
        let server = Server::start(move |_| Reply::Typed(status, "text/plain", "no".into())).await;
        assert_eq!(facts(&quick(server.url()).cancel(&job()).await.unwrap_err()), (kind, ErrorStatus::Permanent));
    }
}

#[tokio::test]
async fn the_jobmanager_that_answers_is_kept() {
    let (_, recorded) = recorded().next().unwrap();
    let dead = format!("http://{NOBODY}/");
    let leaderless = Server::start(|_| {
        Reply::Json(
            503,
            r#"{"errors":["Service temporarily unavailable due to an ongoing leader election. Please refresh."]}"#
                .into(),
        )
    })
    .await;
    let leader = Server::start(move |seen| match seen.line.starts_with("PATCH") {
        true => Reply::Json(202, "{}".into()),
        false => reply(&recorded, "overview"),
    })
    .await;
    let client = RestClient::new(RestOptions::new([dead.clone(), leaderless.url(), leader.url()])).unwrap();
    client.cancel(&job()).await.unwrap();
    client.overview().await.unwrap();
    assert_eq!(client.base_url().as_str(), leader.url());
    assert_eq!((leaderless.lines().len(), leader.lines().len()), (1, 2), "the leader is asked first from then on");

    let alone = RestClient::new(RestOptions::new([dead.clone(), leaderless.url()])).unwrap();
    let error = alone.cancel(&job()).await.unwrap_err();
    assert_eq!(error.status(), ErrorStatus::Temporary, "{error}");

    let breaking = Server::start(|_| Reply::BreakOff).await;
    let client = RestClient::new(RestOptions::new([breaking.url(), leader.url()])).unwrap();
    assert_eq!(client.cancel(&job()).await.unwrap_err().status(), ErrorStatus::Unknown);
    assert_eq!(leader.lines().len(), 2, "after a lost answer nobody else is told to cancel");
}

#[tokio::test]
async fn prefix_headers_and_agent_are_sent_and_secrets_are_not_shown() {
    let (_, recorded) = recorded().next().unwrap();
    let server = Server::start(move |_| reply(&recorded, "overview")).await;
    let options = RestOptions::new([format!("{}proxy/app_1", server.url())]).header("Authorization", "Bearer canary");
    assert!(!format!("{options:?}").contains("canary"));
    let client = RestClient::new(options).unwrap();
    client.overview().await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.line, "GET /proxy/app_1/overview");
    let head = seen.head.to_ascii_lowercase();
    assert!(head.contains("authorization: bearer canary"), "{head}");
    assert!(head.contains(concat!("user-agent: streampark-sdk/", env!("CARGO_PKG_VERSION"))), "{head}");
    assert!(!format!("{client:?}").contains("canary"));
}

#[test]
fn options_that_can_never_work_are_refused_at_once() {
    let message = |url: &str| RestClient::connect_to(url).unwrap_err().to_string();
    assert_eq!(
        message("jobmanager:8081"),
        "'jobmanager:8081' is no address of a JobManager: the scheme is neither http nor https; write it as http://host:8081/"
    );
    let secret = message("http://user:canary@host/");
    assert!(secret.contains("send them as a header") && !secret.contains("canary"), "{secret}");
    assert!(message("http://host/?a=b").contains("query"));
    assert!(RestClient::new(RestOptions::default()).unwrap_err().message().contains("no address"));
    let with = |options: RestOptions| RestClient::new(options).unwrap_err();
    let options = || RestOptions::new(["https://host/"]);
    assert!(with(options().tls_ca("nonsense")).message().contains("not in PEM form"));
    assert!(with(options().header("a b", "c")).message().contains("no name of an HTTP header"));
    let mut half = options();
    half.tls_certificate = Some(b"x".to_vec());
    assert!(with(half).message().contains("go together"));
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = Server::start(|_| Reply::Json(200, "x".repeat(5000))).await;
    let client = RestClient::new(RestOptions::new([server.url()]).max_answer(1000)).unwrap();
    let error = client.jobs().await.unwrap_err();
    assert_eq!(facts(&error), (ErrorKind::UnexpectedResponse, ErrorStatus::Permanent));
}

#[tokio::test]
async fn a_jar_is_streamed_and_its_progress_told() {
    let (_, recorded) = recorded().next().unwrap();
    let server = Server::start(move |_| reply(&recorded, "upload")).await;
    let client = RestClient::connect_to(server.url()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.jar");
    let content = vec![7_u8; 1_000_000];
    std::fs::write(&path, &content).unwrap();
    let last = Arc::new(AtomicU64::new(0));
    let (sink, calls) = (last.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = calls.clone();
    let progress: Progress = Arc::new(move |sent, total| {
        assert_eq!(total, 1_000_000);
        assert!(sent > sink.swap(sent, Ordering::Relaxed));
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let jar = client.upload_jar(&path, Some(progress)).await.unwrap();
    assert!(jar.id.ends_with("_probe.jar") && !jar.id.contains('/'), "{jar:?}");
    assert!(last.load(Ordering::Relaxed) == 1_000_000 && calls.load(Ordering::Relaxed) > 2);
    let seen = &server.seen()[0];
    let text = String::from_utf8_lossy(&seen.body[..200]).into_owned();
    assert!(text.contains("name=\"jarfile\"; filename=\"orders.jar\""), "{text}");
    assert!(seen.body.windows(content.len()).any(|window| window == content));

    for wrong in ["orders.zip", "missing.jar"] {
        assert!(client.upload_jar(folder.path().join(wrong), None).await.is_err());
    }
    assert!(client.upload_jar_bytes("a\"b.jar", "x").await.unwrap_err().message().contains("rename it"));
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn a_run_is_written_for_the_version_that_answers() {
    let run = RunJar::new()
        .entry_class("com.acme.Orders")
        .args(["--env", "a b"])
        .parallelism(4)
        .job_id(job())
        .savepoint_path("s3://b/chk-1")
        .claim_mode(ClaimMode::NoClaim)
        .flink_configuration([("pipeline.name", "orders")]);
    for (version, field) in [("1.17.2", "restoreMode"), ("1.20.5", "claimMode"), ("2.3.0", "claimMode")] {
        let server = Server::start(move |seen| match seen.line.as_str() {
            "GET /config" => Reply::Json(200, format!("{{\"flink-version\":\"{version}\"}}")),
            _ => Reply::Json(200, format!("{{\"jobid\":\"{}\"}}", job())),
        })
        .await;
        let client = RestClient::connect_to(server.url()).unwrap();
        assert_eq!(client.run_jar("x.jar", &run).await.unwrap(), job());
        let body: Value = serde_json::from_str(&server.seen()[1].text()).unwrap();
        let expected = serde_json::json!({
            "entryClass": "com.acme.Orders", "programArgsList": ["--env", "a b"], "parallelism": 4, "jobId": job(),
            "savepointPath": "s3://b/chk-1", "allowNonRestoredState": false, field: "NO_CLAIM",
            "flinkConfiguration": {"pipeline.name": "orders"},
        });
        assert_eq!(body, expected, "{version}");
    }
    let old = Server::start(|_| Reply::Json(200, r#"{"flink-version":"1.16.3"}"#.into())).await;
    let error = RestClient::connect_to(old.url()).unwrap().run_jar("x.jar", &run).await.unwrap_err();
    assert_eq!(facts(&error), (ErrorKind::Unsupported, ErrorStatus::Permanent));
    assert!(error.message().ends_with("needs Flink 1.17 or later, this is 1.16.3"), "{error}");
    assert_eq!(old.lines(), ["GET /config"], "a refused run is not sent");
    assert!(RunJar::new().claim_mode(ClaimMode::Claim).check(&FlinkVersion::new(2, 3)).is_err());
    assert!(!format!("{:?}", run.args(["--password", "canary"])).contains("canary"));
}

#[tokio::test]
async fn the_end_of_a_log_is_read() {
    let server = Server::start(|_| Reply::Typed(200, "text/plain", "first line\nsecond line\nthird\n".into())).await;
    let client = RestClient::connect_to(server.url()).unwrap();
    let tail = client.read_log(&LogSource::TaskManager("tm 1".into()), "a.log", 15).await.unwrap();
    assert_eq!(tail, "third\n");
    assert_eq!(client.read_log(&LogSource::JobManager, "a.log", 1000).await.unwrap().lines().count(), 3);
    assert_eq!(client.main_log_tail(&LogSource::JobManager, 15).await.unwrap(), "third\n");
    let pieces = client.main_log(&LogSource::TaskManager("tm-2".into())).await.unwrap();
    let whole: Vec<_> = futures_util::TryStreamExt::try_collect(pieces).await.unwrap();
    assert_eq!(whole.concat(), b"first line\nsecond line\nthird\n");
    let lines = server.lines();
    assert_eq!(lines[0], "GET /taskmanagers/tm%201/logs/a.log");
    assert_eq!(lines[2..], ["GET /jobmanager/log", "GET /taskmanagers/tm-2/log"]);
}

#[test]
fn unknown_states_and_ten_thousand_jobs_are_read() {
    let line = r#"{"jid":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1","name":"probe","state":"DREAMING","tasks":{"running":1}}"#;
    let text = format!("[{}]", vec![line; 10_000].join(","));
    let jobs: Vec<JobOverview> = serde_json::from_str(&text).unwrap();
    assert_eq!((jobs.len(), &jobs[9_999].state), (10_000, &JobStatus::Unknown("DREAMING".into())));
    assert!(!jobs[0].state.is_globally_terminal() && JobStatus::Canceled.is_globally_terminal());
    let checkpoint: Checkpoint = serde_json::from_str(r#"{"id":1,"status":"NEW_WORD"}"#).unwrap();
    assert_eq!(checkpoint.status, CheckpointStatus::Unknown("NEW_WORD".into()));
}

#[tokio::test]
async fn what_main_came_to() {
    let server = Server::start(|seen| match seen.line.as_str() {
        "GET /applications/overview" => Reply::Json(
            200,
            r#"{"applications":[{"id":"a1","name":"main","start-time":5,"end-time":-1,"duration":9,"status":"RUNNING","jobs":{}},
                {"id":"a2","name":"main","start-time":5,"end-time":7,"duration":2,"status":"FINISHED","jobs":{"FINISHED":0}}]}"#
                .into(),
        ),
        other => panic!("{other}"),
    })
    .await;
    let client = RestClient::connect_to(server.url()).unwrap();
    let applications = client.applications().await.unwrap();
    assert_eq!(applications.iter().map(ApplicationOverview::is_over).collect::<Vec<_>>(), [false, true]);
    assert_eq!((applications[1].id.as_str(), applications[1].end_time), ("a2", 7));
    let old = Server::start(|_| Reply::Json(404, r#"{"errors":["Not found: /applications/overview"]}"#.into())).await;
    let error = RestClient::connect_to(old.url()).unwrap().applications().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
