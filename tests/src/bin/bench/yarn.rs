//! Applications on a real YARN: submitting one beside Flink's own client, and coming back from a failure; and the list
//! of a ResourceManager that knows a thousand.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use jiff::Timestamp;
use serde_json::{Value, json};
use streampark_core::cluster::{Cluster as _, RunStatus, Submission};
use streampark_core::job::{
    JarProgram, JobId, JobSpec, JobState, Program as _, ProgramContext, RestartPolicy, RunKey, RunRef,
};
use streampark_core::platform::Job;
use streampark_core::store::{EventFilter, SqliteStore};
use streampark_core::{EventKind, StreamPark};
use streampark_tests::hadoop::{Addresses, Hadoop};
use streampark_yarn::{YarnCluster, YarnOptions};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::figures::{Table, quantile};
use crate::yarn_client::{Theirs, theirs};

const CLASS: &str = "streampark.testing.CountingJob";
const ARGS: [&str; 4] = ["--rate", "1", "--restart", "none"];

/// Small processes, as Flink's own client is told them too.
pub(crate) const SMALL: [(&str, &str); 5] = [
    ("jobmanager.memory.process.size", "768m"),
    ("jobmanager.memory.jvm-metaspace.size", "160m"),
    ("taskmanager.memory.process.size", "900m"),
    ("taskmanager.memory.managed.size", "0m"),
    ("taskmanager.memory.jvm-metaspace.size", "160m"),
];

pub(crate) fn options(conf: &Path) -> YarnOptions {
    SMALL.iter().fold(YarnOptions::from_hadoop_conf(conf), |options, (key, value)| options.flink(*key, *value))
}

/// When requests were under way, in microseconds since the first instant.
#[derive(Clone)]
struct Answers(Instant, Arc<Mutex<Vec<Answered>>>);

struct Answered {
    post: bool,
    from: u64,
    to: u64,
}

impl<S: tracing::Subscriber> Layer<S> for Answers {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        #[derive(Default)]
        struct Fields(u64, bool, bool);
        impl tracing::field::Visit for Fields {
            fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
                if field.name() == "micros" {
                    (self.0, self.2) = (value, true);
                }
            }
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "method" {
                    self.1 = format!("{value:?}") == "POST";
                }
            }
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        if fields.2 {
            let to = self.0.elapsed().as_micros() as u64;
            let answered = Answered { post: fields.1, from: to.saturating_sub(fields.0), to };
            self.1.lock().unwrap_or_else(PoisonError::into_inner).push(answered);
        }
    }
}

/// The program under measure: `bench yarn-submit-once CONF LIB PLUGINS JAR`. Says as JSON what it took.
#[allow(clippy::print_stdout)]
pub(crate) async fn once(conf: &str, folders: [&str; 2], jar: &str) {
    let answers = Answers(Instant::now(), Arc::default());
    let subscriber = tracing_subscriber::registry().with(answers.clone());
    tracing::subscriber::set_global_default(subscriber).expect("the first subscriber");
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let cluster = YarnCluster::new(options(Path::new(conf)).provided_lib_dirs(folders)).expect("a cluster");
    let program = JarProgram::new(jar).entry_class(CLASS).args(ARGS);
    let launch = program.prepare(&ProgramContext::new(folder.path())).await.expect("the jar");
    let run = RunRef::new(RunKey::new(JobId::generate(), 1));
    let began = answers.0.elapsed().as_micros() as u64;
    let accepted = cluster.submit(&Submission::new(run, "bench", launch)).await.expect("taken");
    let took = answers.0.elapsed().as_micros() as u64 - began;
    let answered = answers.1.lock().unwrap_or_else(PoisonError::into_inner);
    // Our own share ends with the submission: what follows waits for YARN's word.
    let sent = answered.iter().filter(|one| one.post).map(|one| one.to).max().expect("a submission");
    let mut spans: Vec<(u64, u64)> =
        answered.iter().map(|one| (one.from, one.to)).filter(|span| span.1 <= sent).collect();
    spans.sort_unstable();
    let (mut own, mut until) = (0, began);
    for (from, to) in spans {
        own += from.saturating_sub(until);
        until = until.max(to);
    }
    let cpu: u64 = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    let id = accepted.deployment.expect("an application").to_string();
    println!(
        "{}",
        json!({"id": id, "accepted_us": took, "own_us": own, "cpu_us": cpu / 1000, "requests": answered.len()})
    );
}

/// Ours: one process.
struct Ours {
    accepted: f64,
    own: f64,
    cpu: f64,
    peak_mib: f64,
    running: f64,
}

pub(crate) async fn submit(name: &str, jars: &str, home: &str, jar: &str, pairs: usize) {
    let hadoop = Hadoop::start(jars, &[]);
    let class_path = format!("{}:{jars}/client/*", hadoop.at.conf.display());
    let installer = YarnCluster::new(options(&hadoop.at.conf).flink_home(home)).expect("a cluster");
    installer.install(None).await.expect("Flink is on the cluster");
    let folders = distribution(&hadoop).await;
    let (mut ours, mut their) = (Vec::new(), Vec::new());
    // The first pair warms page cache and daemons up, and is not counted.
    for pair in 0..=pairs {
        for turn in [pair % 2, (pair + 1) % 2] {
            if turn == 0 {
                let took = our_client(&hadoop, &folders, jar).await;
                if pair > 0 {
                    ours.push(took);
                }
            } else {
                let took = theirs(&hadoop, &class_path, home, &folders, jar, CLASS, &ARGS).await;
                if pair > 0 {
                    their.push(took);
                }
            }
        }
    }
    report(name, &ours, &their);
}

/// The folders `lib` and `plugins` of the Flink that lies on the cluster.
async fn distribution(hadoop: &Hadoop) -> [String; 2] {
    let dist = format!("/user/{}/.streampark/dist", hadoop.at.user);
    let url = format!("{}/webhdfs/v1{dist}?op=LISTSTATUS&user.name={}", hadoop.at.web_hdfs, hadoop.at.user);
    let answer: Value = reqwest::get(url).await.expect("an answer").json().await.expect("JSON");
    let files = answer.pointer("/FileStatuses/FileStatus").and_then(Value::as_array).expect("a list");
    let found = files.iter().filter_map(|file| file["pathSuffix"].as_str()).find(|name| name.starts_with("flink-"));
    let found = found.expect("a distribution");
    ["lib", "plugins"].map(|part| format!("{}{dist}/{found}/{part}", hadoop.at.fs))
}

async fn our_client(hadoop: &Hadoop, [lib, plugins]: &[String; 2], jar: &str) -> Ours {
    let begin = Instant::now();
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["yarn-submit-once", &hadoop.at.conf.display().to_string(), lib, plugins, jar])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0_f64;
    let exit = loop {
        peak = peak.max(high_water(&status));
        match child.try_wait().expect("the client ends") {
            Some(exit) => break exit,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    assert!(exit.success(), "our client ended with {exit}");
    let told: Value = serde_json::from_reader(child.stdout.take().expect("its output")).expect("JSON");
    let micros = |key: &str| told[key].as_f64().unwrap_or(f64::NAN);
    let id = told["id"].as_str().expect("an id");
    let running = until_running(hadoop.at.clone(), id.to_owned(), begin).await;
    kill(&hadoop.at, id).await;
    Ours {
        accepted: micros("accepted_us") / 1e6,
        own: micros("own_us") / 1e3,
        cpu: micros("cpu_us") / 1e6,
        peak_mib: peak,
        running,
    }
}

/// The kernel's own high-water mark of resident memory.
pub(crate) fn high_water(status: &str) -> f64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let kib = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

async fn state(at: &Addresses, id: &str) -> String {
    let url = format!("{}/ws/v1/cluster/apps/{id}/state", at.resource_manager);
    let answer: Value = reqwest::get(url).await.expect("an answer").json().await.expect("JSON");
    answer["state"].as_str().unwrap_or_default().to_owned()
}

/// Waits until YARN says RUNNING; seconds since `begin`.
pub(crate) async fn until_running(at: Addresses, id: String, begin: Instant) -> f64 {
    while state(&at, &id).await != "RUNNING" {
        assert!(begin.elapsed() < Duration::from_secs(300), "{id} does not run");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begin.elapsed().as_secs_f64()
}

/// Ends an application, so that the next one meets the same cluster.
pub(crate) async fn kill(at: &Addresses, id: &str) {
    let url = format!("{}/ws/v1/cluster/apps/{id}/state?user.name={}", at.resource_manager, at.user);
    let request = reqwest::Client::new().put(url).header(header::CONTENT_TYPE, "application/json");
    request.body(r#"{"state":"KILLED"}"#).send().await.expect("an answer");
    while !matches!(state(at, id).await.as_str(), "KILLED" | "FINISHED" | "FAILED") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn report(name: &str, ours: &[Ours], their: &[Theirs]) {
    let mut table =
        Table::new(format!("An application on YARN, Flink on the cluster already, {} pairs, Flink {name}", ours.len()));
    let mut row = |what: &str, unit: &str, target: &str, our: fn(&Ours) -> f64, them: fn(&Theirs) -> f64| {
        let (our, them): (Vec<f64>, Vec<f64>) = (ours.iter().map(our).collect(), their.iter().map(them).collect());
        let ratios: Vec<f64> = our.iter().zip(&them).map(|(our, them)| our / them).collect();
        table.row(
            format!("{what}: ours / theirs, medians"),
            format!("{:.3} / {:.3} {unit}", quantile(&our, 0.5), quantile(&them, 0.5)),
            "",
        );
        table.row(format!("{what}: median of the pairs' ratios"), format!("{:.3}", quantile(&ratios, 0.5)), target);
    };
    row("processor time", "s", "0.05", |our| our.cpu, |them| them.cpu);
    row("peak memory", "MiB", "0.10", |our| our.peak_mib, |them| them.peak_mib);
    row("call to accepted / to \"Submitted application\"", "s", "0.25", |our| our.accepted, |them| them.submitted);
    row("start of the client to RUNNING", "s", "1", |our| our.running, |them| them.running);
    let own: Vec<f64> = ours.iter().map(|our| our.own).collect();
    table.row("our own share, outside the servers' answers", format!("{:.0} ms", quantile(&own, 0.5)), "50 ms");
    table.print();
}

/// One list of a thousand applications.
pub(crate) async fn list(count: usize) {
    let requests = Arc::new(AtomicUsize::new(0));
    let apps: Vec<Value> = (1..=count).map(application).collect();
    let list = json!({"apps": {"app": apps}}).to_string();
    let size = list.len();
    let router = Router::new().fallback(answer).with_state((Arc::clone(&requests), list));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}/", listener.local_addr().expect("its address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let options =
        YarnOptions::new(&address).user("bench").default_fs("hdfs://localhost:1").web_hdfs(["http://localhost:1"]);
    let cluster = YarnCluster::new(options).expect("a cluster");
    assert_eq!(cluster.observe().await.expect("a list").len(), count);
    let before = requests.load(Ordering::SeqCst);
    let mut took = Vec::new();
    for _ in 0..100 {
        let begin = Instant::now();
        let all = cluster.observe().await.expect("a list");
        took.push(begin.elapsed().as_secs_f64() * 1e3);
        assert!(all.len() == count && all.iter().all(|seen| seen.status != RunStatus::Failed));
    }
    let per_tick = (requests.load(Ordering::SeqCst) - before) as f64 / 100.0;
    let mut table = Table::new(format!("A ResourceManager that lists {count} applications ({} KiB)", size / 1024));
    table.row(
        "asked, transferred and read, p50 / p99",
        format!("{:.1} / {:.1} ms", quantile(&took, 0.5), quantile(&took, 0.99)),
        "20 ms",
    );
    table.row("requests of one tick", format!("{per_tick}"), "1");
    table.print();
}

async fn answer(
    State((requests, list)): State<(Arc<AtomicUsize>, String)>,
    uri: axum::http::Uri,
) -> impl axum::response::IntoResponse {
    requests.fetch_add(1, Ordering::SeqCst);
    let body = match uri.path().ends_with("/apps") {
        true => list,
        false => json!({"clusterInfo": {"id": 1, "startedOn": 1, "state": "STARTED", "haState": "ACTIVE"}}).to_string(),
    };
    ([(header::CONTENT_TYPE, "application/json")], body)
}

/// An application as Hadoop 3.5 tells it, waiting for its first container.
fn application(number: usize) -> Value {
    let id = format!("application_1795901614908_{number:04}");
    json!({
        "id": id, "user": "bench", "name": format!("orders-{number}"), "queue": "root.default", "state": "ACCEPTED",
        "finalStatus": "UNDEFINED", "progress": 0.0, "trackingUI": "UNASSIGNED",
        "trackingUrl": format!("http://localhost:8088/cluster/app/{id}"),
        "diagnostics": "waiting for AM container to be allocated, launched and register with RM.",
        "clusterId": 1_795_901_614_908_u64, "applicationType": "Apache Flink",
        "applicationTags": format!("streampark,streampark-{number:032x}-1,streampark-dist-4d5000369dcf"),
        "priority": 0, "startedTime": jiff::Timestamp::now().as_millisecond(), "launchTime": 0, "finishedTime": 0,
        "elapsedTime": 64_835, "amContainerLogs": "http://localhost:8042/node/containerlogs/container_1_0001_01_000001/bench",
        "amHostHttpAddress": "localhost:8042", "masterNodeId": "localhost:45454", "allocatedMB": 768,
        "allocatedVCores": 1, "reservedMB": 0, "reservedVCores": 0, "runningContainers": 1, "memorySeconds": 72_475,
        "vcoreSeconds": 86, "queueUsagePercentage": 0.0, "clusterUsagePercentage": 0.0,
        "resourceSecondsMap": {"entry": [{"key": "memory-mb", "value": 72_475}, {"key": "vcores", "value": 86}]},
        "preemptedResourceMB": 0, "preemptedResourceVCores": 0, "numNonAMContainerPreempted": 0,
        "numAMContainerPreempted": 0, "preemptedMemorySeconds": 0, "preemptedVcoreSeconds": 0,
        "logAggregationStatus": "DISABLED", "unmanagedApplication": false, "appNodeLabelExpression": "",
        "amNodeLabelExpression": "",
        "timeouts": {"timeout": [{"type": "LIFETIME", "expiryTime": "UNLIMITED", "remainingTimeInSeconds": -1}]},
    })
}

/// A job that fails again and again, and comes back from HDFS in another application each time.
pub(crate) async fn again(name: &str, jars: &str, home: &str, jar: &str, trials: usize) {
    let hadoop = Hadoop::start(jars, &[]);
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let trigger = folder.path().join("fail");
    let options = options(&hadoop.at.conf)
        .flink_home(home)
        .flink("execution.checkpointing.interval", "500 ms")
        .flink("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION")
        .flink("state.checkpoints.dir", format!("{}/flink/checkpoints", hadoop.at.fs));
    let platform = StreamPark::builder()
        .store(SqliteStore::open(folder.path().join("jobs.db")).await.expect("a store"))
        .cluster("yarn", YarnCluster::new(options).expect("a cluster"))
        .cache(folder.path().join("cache"))
        .start()
        .await
        .expect("the engine starts");
    let output = folder.path().join("output");
    let words = ["--rate", "20", "--restart", "none"].map(str::to_owned);
    let paths = [("--fail-when-file-exists", &trigger), ("--output", &output)];
    let paths = paths.into_iter().flat_map(|(word, path)| [word.to_owned(), path.display().to_string()]);
    let program = JarProgram::new(jar).entry_class(CLASS).args(words.into_iter().chain(paths));
    let mut policy = RestartPolicy::default();
    policy.max_restarts = 10_000;
    policy.initial_backoff = Duration::ZERO;
    policy.max_backoff = Duration::ZERO;
    let job =
        platform.jobs().create(JobSpec::new("failing", program).cluster("yarn").restart(policy)).await.expect("a job");
    job.start().await.expect("it starts");
    for trial in 0..=trials {
        // Each run writes a file of its own once its tasks work; then a checkpoint completes.
        let begin = Instant::now();
        while std::fs::read_dir(&output).map_or(0, Iterator::count) <= trial {
            assert!(
                begin.elapsed() < Duration::from_secs(300),
                "run {trial} does not work: {:#?}",
                job.history(20).await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if trial == trials {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2_000 + (trial as u64 * 617) % 1_000)).await;
        std::fs::write(&trigger, "").expect("a file");
        while (job.status().expect("the job").job.generation as usize) < trial + 2 {
            assert!(begin.elapsed() < Duration::from_secs(300), "failure {trial} was not noticed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::fs::remove_file(&trigger).expect("a file");
    }
    // Its tasks work a moment before the watcher sees that they do.
    job.wait_for(JobState::Running).await.expect("the last run is seen");
    came_back(name, &platform, &job, trials).await;
    job.cancel().await.expect("it is cancelled");
    job.wait_for(JobState::Canceled).await.expect("it ends");
    platform.shutdown().await.expect("the engine ends");
}

async fn came_back(name: &str, platform: &StreamPark, job: &Job, trials: usize) {
    let mut filter = EventFilter::default();
    filter.job = Some(job.id());
    filter.kinds = vec![EventKind::RunFailed];
    filter.limit = Some(100_000);
    let failures = platform.store().events(&filter).await.expect("the history");
    let mut runs = job.runs(trials + 1).await.expect("runs");
    runs.reverse();
    let milliseconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_millis() as f64;
    let (mut noticed, mut ours, mut clusters, mut all) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (failure, next) in failures.iter().zip(runs.iter().skip(1)) {
        let ended: Timestamp =
            failure.data["ended_at"].as_str().and_then(|at| at.parse().ok()).expect("Flink's end time");
        let (accepted, running) = (next.accepted_at.expect("accepted"), next.running_at.expect("running"));
        noticed.push(milliseconds(ended, failure.at));
        ours.push(milliseconds(failure.at, accepted));
        clusters.push(milliseconds(accepted, running));
        all.push(milliseconds(ended, running));
    }
    let restored = runs.iter().filter(|run| run.restored_from.is_some()).count();
    let seconds = |values: &[f64]| format!("{:.2} / {:.2} s", quantile(values, 0.5) / 1e3, quantile(values, 1.0) / 1e3);
    let mut table = Table::new(format!("An application that fails {trials} times, Flink {name}, p50 / max"));
    table.row("started again from a checkpoint on HDFS", format!("{restored} of {trials}"), "all");
    table.row("FAILED to noticed", seconds(&noticed), "");
    table.row("noticed to accepted by YARN again", seconds(&ours), "");
    table.row("accepted to RUNNING: the cluster's", seconds(&clusters), "");
    table.row("FAILED to RUNNING again", seconds(&all), "");
    table.print();
}
