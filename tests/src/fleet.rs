//! A fleet of simulated JobManagers over real HTTP: for faults and scale, beside the real Flink.
//!
//! Each JobManager has a port of its own and answers the calls that the SDK makes of a session
//! cluster. What truly ran is kept in a log that the SDK never sees.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How often a simulated job completes a checkpoint.
const CHECKPOINT_EVERY_MS: u64 = 1_000;

fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One run that a JobManager of the fleet took.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct FleetRun {
    /// Which JobManager.
    pub endpoint: usize,
    /// Flink's JobID.
    pub flink_job: String,
    /// The savepoint path of the submission.
    pub restored_from: Option<String>,
    /// When it was taken, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// The newest checkpoint that it had completed when it ended.
    pub last_checkpoint: Option<String>,
}

#[derive(Debug)]
struct Simulated {
    id: String,
    status: &'static str,
    started_ms: u64,
    ended_ms: Option<u64>,
    log: usize,
}

impl Simulated {
    fn newest_checkpoint(&self) -> Option<(u64, u64)> {
        let until = self.ended_ms.unwrap_or_else(now_ms);
        let number = until.saturating_sub(self.started_ms) / CHECKPOINT_EVERY_MS;
        (number > 0).then(|| (number, self.started_ms + number * CHECKPOINT_EVERY_MS))
    }

    fn path(&self, number: u64) -> String {
        format!("fleet:///checkpoints/{}/chk-{number}", self.id)
    }
}

#[derive(Debug, Default)]
struct JobManager {
    index: usize,
    jobs: Mutex<HashMap<String, Simulated>>,
    hanging: AtomicBool,
    refusing: AtomicBool,
    requests: AtomicU64,
    server: Mutex<Option<JoinHandle<()>>>,
    port: Mutex<u16>,
    log: Arc<Mutex<Vec<FleetRun>>>,
}

/// The whole fleet.
#[derive(Debug, Clone)]
pub struct Fleet {
    managers: Arc<Vec<Arc<JobManager>>>,
    log: Arc<Mutex<Vec<FleetRun>>>,
}

impl Fleet {
    /// Starts `count` JobManagers on free loopback ports.
    pub async fn start(count: usize) -> std::io::Result<Self> {
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut managers = Vec::with_capacity(count);
        for index in 0..count {
            let manager = Arc::new(JobManager { index, log: Arc::clone(&log), ..JobManager::default() });
            serve(&manager, 0).await?;
            managers.push(manager);
        }
        Ok(Self { managers: Arc::new(managers), log })
    }

    /// The addresses, one for each JobManager.
    pub fn addresses(&self) -> Vec<String> {
        self.managers.iter().map(|manager| format!("http://127.0.0.1:{}/", *lock(&manager.port))).collect()
    }

    /// What truly ran, in the order of starts.
    pub fn log(&self) -> Vec<FleetRun> {
        lock(&self.log).clone()
    }

    /// Requests answered by all.
    pub fn requests(&self) -> u64 {
        self.managers.iter().map(|manager| manager.requests.load(Ordering::Relaxed)).sum()
    }

    /// Makes the live job of each of these JobManagers FAILED; gives the time in milliseconds.
    pub fn fail(&self, endpoints: impl IntoIterator<Item = usize>) -> u64 {
        let now = now_ms();
        for manager in endpoints.into_iter().filter_map(|index| self.managers.get(index)) {
            let mut jobs = lock(&manager.jobs);
            for job in jobs.values_mut().filter(|job| job.ended_ms.is_none()) {
                end(job, "FAILED", now, &manager.log);
            }
        }
        now
    }

    /// Accepts and never answers, or answers again.
    pub fn hang(&self, endpoint: usize, hanging: bool) {
        if let Some(manager) = self.managers.get(endpoint) {
            manager.hanging.store(hanging, Ordering::SeqCst);
        }
    }

    /// Refuses connections, or listens again on the same port.
    pub async fn refuse(&self, endpoint: usize, refusing: bool) -> std::io::Result<()> {
        let Some(manager) = self.managers.get(endpoint) else { return Ok(()) };
        manager.refusing.store(refusing, Ordering::SeqCst);
        if refusing {
            if let Some(server) = lock(&manager.server).take() {
                server.abort();
            }
            return Ok(());
        }
        let port = *lock(&manager.port);
        serve(manager, port).await
    }

    /// The most copies of the job of one JobManager that were alive at once.
    pub fn most_at_once(&self, endpoint: usize) -> usize {
        let log = self.log();
        let runs: Vec<_> = log.iter().filter(|run| run.endpoint == endpoint).collect();
        let alive =
            |at: u64| runs.iter().filter(|run| run.started_ms <= at && run.ended_ms.is_none_or(|end| at < end)).count();
        runs.iter().map(|run| alive(run.started_ms)).max().unwrap_or(0)
    }

    /// Runs alive now, by JobManager.
    pub fn alive(&self) -> Vec<usize> {
        let count =
            |manager: &Arc<JobManager>| lock(&manager.jobs).values().filter(|job| job.ended_ms.is_none()).count();
        self.managers.iter().map(count).collect()
    }
}

fn end(job: &mut Simulated, status: &'static str, now: u64, log: &Mutex<Vec<FleetRun>>) {
    job.status = status;
    job.ended_ms = Some(now);
    let newest = job.newest_checkpoint().map(|(number, _)| job.path(number));
    if let Some(run) = lock(log).get_mut(job.log) {
        run.ended_ms = Some(now);
        run.last_checkpoint = newest;
    }
}

async fn serve(manager: &Arc<JobManager>, port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    *lock(&manager.port) = listener.local_addr()?.port();
    let router = Router::new()
        .route("/config", get(config))
        .route("/overview", get(overview))
        .route("/jobmanager/config", get(manager_config))
        .route("/jobs/overview", get(jobs))
        .route("/jobs/{id}", patch(cancel).get(detail))
        .route("/jobs/{id}/status", get(status))
        .route("/jobs/{id}/exceptions", get(exceptions))
        .route("/jobs/{id}/checkpoints", get(checkpoints))
        .route("/jars", get(jars))
        .route("/jars/upload", post(upload))
        .route("/jars/{id}/run", post(run))
        .layer(middleware::from_fn_with_state(Arc::clone(manager), gate))
        .with_state(Arc::clone(manager));
    let versioned = Router::new().nest("/v1", router.clone()).merge(router);
    let task = tokio::spawn(async move {
        let _ended = axum::serve(listener, versioned).await;
    });
    *lock(&manager.server) = Some(task);
    Ok(())
}

type Manager = State<Arc<JobManager>>;

async fn gate(State(manager): Manager, request: Request, next: Next) -> Response {
    while manager.hanging.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if manager.refusing.load(Ordering::SeqCst) {
        // Connections that were open before the listener closed.
        return (StatusCode::SERVICE_UNAVAILABLE, [("connection", "close")]).into_response();
    }
    manager.requests.fetch_add(1, Ordering::Relaxed);
    next.run(request).await
}

async fn config() -> Json<Value> {
    Json(json!({"refresh-interval": 3000, "timezone-name": "UTC", "flink-version": "1.20.5", "flink-revision": "0",
        "features": {"web-submit": true, "web-cancel": true}}))
}

async fn manager_config(State(manager): Manager) -> Json<Value> {
    // ClusterEntrypoint names this folder anew at each start; a JobManager of the fleet never dies.
    let folder = format!("/tmp/flink-web-{}", manager.index);
    Json(json!([{"key": "heartbeat.timeout", "value": "50 s"}, {"key": "web.tmpdir", "value": folder}]))
}

async fn overview(State(manager): Manager) -> Json<Value> {
    let jobs = lock(&manager.jobs);
    let running = jobs.values().filter(|job| job.ended_ms.is_none()).count();
    Json(json!({"taskmanagers": 1, "slots-total": 4, "slots-available": 4 - running.min(4), "jobs-running": running,
        "jobs-finished": 0, "jobs-cancelled": 0, "jobs-failed": jobs.len() - running,
        "flink-version": "1.20.5", "flink-commit": "0"}))
}

fn line(job: &Simulated) -> Value {
    let ended = job.ended_ms.map_or(-1, |end| i64::try_from(end).unwrap_or(-1));
    let running = u8::from(job.ended_ms.is_none());
    json!({"jid": job.id, "name": "simulated", "state": job.status, "start-time": job.started_ms, "end-time": ended,
        "duration": job.ended_ms.unwrap_or_else(now_ms).saturating_sub(job.started_ms),
        "last-modification": job.ended_ms.unwrap_or(job.started_ms),
        "tasks": {"running": running, "canceling": 0, "canceled": 0, "total": 1, "created": 0, "scheduled": 0,
            "deploying": 0, "reconciling": 0, "finished": 0, "initializing": 0, "failed": 1 - running}})
}

async fn jobs(State(manager): Manager) -> Json<Value> {
    let lines: Vec<Value> = lock(&manager.jobs).values().map(line).collect();
    Json(json!({"jobs": lines}))
}

fn missing(id: &str) -> Response {
    let message =
        format!("org.apache.flink.runtime.messages.FlinkJobNotFoundException: Could not find Flink job ({id})");
    (StatusCode::NOT_FOUND, Json(json!({"errors": [message]}))).into_response()
}

fn with_job(manager: &JobManager, id: &str, answer: impl FnOnce(&mut Simulated) -> Value) -> Response {
    match lock(&manager.jobs).get_mut(id) {
        Some(job) => Json(answer(job)).into_response(),
        None => missing(id),
    }
}

async fn detail(State(manager): Manager, Path(id): Path<String>) -> Response {
    with_job(&manager, &id, |job| line(job))
}

async fn status(State(manager): Manager, Path(id): Path<String>) -> Response {
    with_job(&manager, &id, |job| json!({"status": job.status}))
}

async fn exceptions(State(manager): Manager, Path(id): Path<String>) -> Response {
    with_job(&manager, &id, |job| match job.status {
        "FAILED" => {
            json!({"root-exception": "java.lang.IllegalStateException: simulated failure\n\tat simulated.Job.run(Job.java:1)",
            "timestamp": job.ended_ms, "all-exceptions": [], "truncated": false,
            "exceptionHistory": {"entries": [], "truncated": false}})
        }
        _ => json!({"root-exception": null, "timestamp": null, "all-exceptions": [], "truncated": false,
            "exceptionHistory": {"entries": [], "truncated": false}}),
    })
}

async fn checkpoints(State(manager): Manager, Path(id): Path<String>) -> Response {
    with_job(&manager, &id, |job| {
        let Some((number, at)) = job.newest_checkpoint() else {
            return json!({"counts": {"restored": 0, "total": 0, "in_progress": 0, "completed": 0, "failed": 0},
                "latest": {"completed": null, "savepoint": null, "failed": null, "restored": null}, "history": []});
        };
        let newest = json!({"@class": "completed", "className": "completed", "id": number, "status": "COMPLETED", "is_savepoint": false,
            "savepointFormat": null, "trigger_timestamp": at - 5, "latest_ack_timestamp": at, "state_size": 1000,
            "end_to_end_duration": 5, "checkpoint_type": "CHECKPOINT", "external_path": job.path(number), "discarded": false});
        json!({"counts": {"restored": 0, "total": number, "in_progress": 0, "completed": number, "failed": 0},
            "latest": {"completed": newest, "savepoint": null, "failed": null, "restored": null}, "history": [newest]})
    })
}

async fn cancel(State(manager): Manager, Path(id): Path<String>) -> Response {
    let log = Arc::clone(&manager.log);
    match lock(&manager.jobs).get_mut(&id) {
        Some(job) => {
            if job.ended_ms.is_none() {
                end(job, "CANCELED", now_ms(), &log);
            }
            (StatusCode::ACCEPTED, Json(json!({}))).into_response()
        }
        None => missing(&id),
    }
}

const JAR: &str = "00000000-0000-0000-0000-000000000000_simulated.jar";

async fn jars(State(manager): Manager) -> Json<Value> {
    Json(json!({"address": format!("http://127.0.0.1:{}", *lock(&manager.port)), "files": []}))
}

async fn upload(headers: HeaderMap, body: axum::body::Body) -> Response {
    let _read = axum::body::to_bytes(body, 512 << 20).await;
    let name = if headers.contains_key("content-type") { JAR } else { "none" };
    Json(json!({"filename": format!("/tmp/flink-web-upload/{name}"), "status": "success"})).into_response()
}

async fn run(State(manager): Manager, body: axum::body::Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(id) = request.get("jobId").and_then(Value::as_str).map(str::to_owned) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"errors": ["the fleet wants a jobId"]}))).into_response();
    };
    let mut jobs = lock(&manager.jobs);
    if jobs.contains_key(&id) {
        let message =
            "org.apache.flink.runtime.client.DuplicateJobSubmissionException: Job has already been submitted.";
        return (StatusCode::BAD_REQUEST, Json(json!({"errors": [message]}))).into_response();
    }
    let restored_from = request.get("savepointPath").and_then(Value::as_str).map(str::to_owned);
    let started_ms = now_ms();
    let number = {
        let mut log = lock(&manager.log);
        log.push(FleetRun {
            endpoint: manager.index,
            flink_job: id.clone(),
            restored_from,
            started_ms,
            ended_ms: None,
            last_checkpoint: None,
        });
        log.len() - 1
    };
    jobs.insert(id.clone(), Simulated { id: id.clone(), status: "RUNNING", started_ms, ended_ms: None, log: number });
    Json(json!({"jobid": id})).into_response()
}
