//! The main job on real Flink, both major versions: it fails, is told of, and comes back.

use std::path::Path;
use std::time::{Duration, Instant};

use streampark_core::alert::Webhook;
use streampark_core::cluster::{Cluster as _, LocalCluster, StandaloneCluster};
use streampark_core::flink::JobStatus;
use streampark_core::job::{JarProgram, JobSpec, JobState, RestoreKind, SqlProgram};
use streampark_core::platform::{Job, WaitOptions};
use streampark_core::store::SqliteStore;
use streampark_core::supervisor::SupervisorOptions;
use streampark_core::{EventKind, StreamPark};
use streampark_tests::flink::{turn, variable};
use streampark_tests::output::{elements, faults};
use streampark_tests::process::{Program, freeze, thaw};
use streampark_tests::proxy::Proxy;
use streampark_tests::webhook::Receiver;

struct Scene {
    folder: tempfile::TempDir,
    flink: LocalCluster,
    platform: StreamPark,
    receiver: Receiver,
}

impl Scene {
    async fn start(home: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flink = LocalCluster::builder()
            .flink_home(variable(home))
            .work_dir(folder.path().join("flink"))
            .slots(8)
            .timeout(Duration::from_secs(180))
            .config("heartbeat.timeout", "10 s")
            .config("heartbeat.interval", "2 s")
            .start()
            .await
            .unwrap();
        let receiver = Receiver::start().await.unwrap();
        // What failed is asked here, not how soon it is told.
        let mut options = SupervisorOptions::default();
        options.rules.tell_within = Duration::from_secs(60);
        let platform = StreamPark::builder()
            .store(SqliteStore::open(folder.path().join("jobs.db")).await.unwrap())
            .cluster("local", flink.clone())
            .channel("people", Webhook::new(&receiver.address).unwrap())
            .cache(folder.path().join("cache"))
            .supervisor(options)
            .start()
            .await
            .unwrap();
        Self { folder, flink, platform, receiver }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn counting(&self, name: &str, more: &[&str]) -> JobSpec {
        let output = self.path(name);
        let base = ["--rate", "50", "--restart", "none", "--output", &output];
        let args = base.iter().chain(more).map(|arg| (*arg).to_owned());
        let jar = JarProgram::new(variable("STREAMPARK_TEST_JOBS_JAR"))
            .entry_class("streampark.testing.CountingJob")
            .args(args);
        JobSpec::new(name, jar)
            .cluster("local")
            .alert("people")
            .flink("execution.checkpointing.interval", "500 ms")
            .flink("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION")
    }

    async fn begin(&self, spec: JobSpec) -> Job {
        let job = self.platform.jobs().create(spec).await.unwrap();
        job.start().await.unwrap();
        running(&job).await;
        job
    }

    /// Waits until that many alerts of a kind have arrived.
    async fn told(&self, kind: &str, wanted: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.receiver.count(kind) < wanted {
            assert!(Instant::now() < deadline, "no {wanted} {kind}: {:#?}", self.receiver.alerts());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the tasks of a job work: Flink calls it RUNNING before, and refuses savepoints.
    async fn at_work(&self, job: &Job) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let run = job.runs(1).await.unwrap().remove(0).run.flink_job;
            let all = self.flink.observe().await.unwrap_or_default();
            let seen = all.iter().find(|seen| seen.flink_job == Some(run));
            if seen.is_some_and(|seen| seen.tasks.is_some_and(|(working, all)| working == all)) {
                return;
            }
            assert!(Instant::now() < deadline, "not at work: {seen:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until a job has written something.
    async fn wrote(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while elements(Path::new(&self.path(name))).is_empty() {
            assert!(Instant::now() < deadline, "{name} wrote nothing");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn finish(self) {
        self.platform.shutdown().await.unwrap();
        self.flink.stop().await.unwrap();
    }

    fn assert_whole(&self, name: &str) {
        let all = elements(Path::new(&self.path(name)));
        assert!(!all.is_empty(), "{name} wrote nothing");
        assert_eq!(faults(&all), Vec::<String>::new(), "{name}");
    }
}

async fn running(job: &Job) {
    let wait = WaitOptions::at_most(Duration::from_secs(90));
    let result = job.wait_for_with(JobState::Running, wait).await;
    if let Err(error) = result {
        panic!("{error}: {:#?}", job.history(30).await.unwrap());
    }
}

async fn generation(job: &Job, wanted: u64) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while job.status().unwrap().job.generation < wanted {
        assert!(Instant::now() < deadline, "no run {wanted}: {:#?}", job.history(30).await.unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running(job).await;
}

async fn canceled(job: &Job) {
    job.cancel().await.unwrap();
    job.wait_for(JobState::Canceled).await.unwrap();
}

async fn fails_and_comes_back(scene: &Scene) {
    let job = scene
        .begin(
            scene
                .counting("fails", &["--fail-once", "--fail-at-checkpoint", "3", "--fail-message", "the sink is full"]),
        )
        .await;
    generation(&job, 2).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let runs = job.runs(10).await.unwrap();
    let failure = runs[1].failure.clone().unwrap();
    assert!(failure.message.contains("the sink is full"), "{failure:?}");
    let from = runs[0].restored_from.clone().unwrap();
    assert!(from.kind == RestoreKind::Checkpoint && from.checkpoint_id >= Some(3), "{from:?}");
    scene.told("job_recovered", 1).await;
    canceled(&job).await;
    scene.assert_whole("fails");
    assert_eq!((scene.receiver.count("job_failed"), scene.receiver.count("job_recovered")), (1, 1));
    let history = job.history(100).await.unwrap();
    for kind in [EventKind::SubmissionIntended, EventKind::RunFailed, EventKind::RestartDecided, EventKind::AlertRaised]
    {
        assert!(history.iter().any(|event| event.kind == kind), "{kind:?} is not in the history");
    }
}

async fn suspend_resume_and_upgrade(scene: &Scene) {
    let job = scene.begin(scene.counting("upgrades", &[])).await;
    scene.at_work(&job).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let point = job.savepoint(None, WaitOptions::at_most(Duration::from_secs(60))).await.unwrap();
    assert_eq!(point.kind, RestoreKind::Savepoint);
    job.suspend().await.unwrap();
    job.wait_for(JobState::Suspended).await.unwrap();
    job.start().await.unwrap();
    generation(&job, 2).await;
    scene.at_work(&job).await;
    let mut spec = job.spec().unwrap();
    spec.description = Some("counts".to_owned());
    spec = spec.flink("pipeline.max-parallelism", "128");
    job.update(spec).await.unwrap();
    generation(&job, 3).await;
    scene.at_work(&job).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let runs = job.runs(10).await.unwrap();
    for run in &runs[..2] {
        assert_eq!(run.restored_from.as_ref().map(|point| point.kind), Some(RestoreKind::Savepoint));
    }
    assert_eq!(runs[0].spec_version, 2);
    assert_eq!(job.versions().await.unwrap().len(), 2);
    job.drain().await.unwrap();
    job.wait_for(JobState::Suspended).await.unwrap();
    scene.assert_whole("upgrades");
}

async fn sql_runs_and_tells_the_statement_at_fault(scene: &Scene) {
    let good = "CREATE TABLE words (word STRING) WITH ('connector' = 'datagen', 'rows-per-second' = '5');\n\
                CREATE TABLE nowhere (word STRING) WITH ('connector' = 'blackhole');\n\
                INSERT INTO nowhere SELECT UPPER(word) FROM words;";
    let job = scene.begin(JobSpec::new("sql", SqlProgram::new(good)).cluster("local")).await;
    let copy = job.copy("sql-copy", |spec| spec.parallelism = Some(2)).await.unwrap();
    copy.start().await.unwrap();
    running(&copy).await;
    canceled(&job).await;
    canceled(&copy).await;
    let bad = good.replace("SELECT UPPER", "SELEC UPPER");
    let job = scene
        .platform
        .jobs()
        .create(JobSpec::new("bad-sql", SqlProgram::new(bad)).cluster("local").alert("people"))
        .await
        .unwrap();
    job.start().await.unwrap();
    let error = job.wait_for(JobState::Running).await.unwrap_err();
    assert!(
        error.message().contains("statement 3 at line 3: INSERT INTO nowhere SELEC UPPER(word) FROM words"),
        "{error}"
    );
    assert!(!error.message().contains("\tat "), "no Java stack: {error}");
}

async fn a_lost_answer_runs_once(scene: &Scene) {
    let target = scene.flink.address().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let proxy = Proxy::start(target, "/run").await.unwrap();
    let cluster = StandaloneCluster::new(proxy.address.clone()).unwrap();
    scene.platform.clusters().add("lossy", cluster);
    proxy.lose(1);
    let job = scene.begin(scene.counting("lost", &[]).cluster("lossy")).await;
    // Flink answers some time after it lists the run.
    let deadline = Instant::now() + Duration::from_secs(60);
    while proxy.lost() < 1 {
        assert!(Instant::now() < deadline, "no answer was lost");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    scene.wrote("lost").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(job.status().unwrap().job.generation, 1);
    let jobs = scene.flink.rest().jobs().await.unwrap();
    let mine = job.runs(1).await.unwrap()[0].run.flink_job;
    assert_eq!(jobs.iter().filter(|seen| seen.jid == mine).count(), 1);
    canceled(&job).await;
    scene.assert_whole("lost");
}

async fn a_frozen_cluster_is_told_and_nothing_restarts(scene: &Scene) {
    let job = scene.begin(scene.counting("frozen", &[])).await;
    let pid = scene.flink.process_ids().0.unwrap();
    freeze(pid);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let seen = job.status().unwrap();
    assert_eq!((seen.job.state, seen.job.generation), (JobState::Running, 1), "unreachable is not failed");
    thaw(pid);
    scene.told("cluster_recovered", 1).await;
    assert_eq!((scene.receiver.count("cluster_unreachable"), scene.receiver.count("cluster_recovered")), (1, 1));
    canceled(&job).await;
}

async fn killed_while_it_submits_it_runs_once(scene: &Scene) {
    for (round, millis) in [20_u64, 120, 250, 400, 700].into_iter().enumerate() {
        let name = format!("killed-{round}");
        let mut spec = scene.counting(&name, &[]).cluster("flink");
        spec.alerts.clear();
        let arguments = [
            scene.path(&format!("{name}.db")),
            scene.flink.address().to_owned(),
            scene.path("cache"),
            spec.to_json().unwrap(),
        ];
        let mut first = Program::start("submits", &arguments);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        first.kill();
        let mut second = Program::start("submits", &arguments);
        assert!(second.hear::<bool>());
        scene.wrote(&name).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let jobs = scene.flink.rest().jobs().await.unwrap();
        let mine: Vec<_> = jobs.iter().filter(|job| job.state == JobStatus::Running).collect();
        assert_eq!(mine.len(), 1, "killed after {millis} ms: {mine:?}");
        scene.flink.rest().cancel(&mine[0].jid).await.unwrap();
        second.kill();
        scene.assert_whole(&name);
    }
}

/// A process of the same arguments, environment and folder as `pid`.
fn twin(pid: i32) -> std::process::Command {
    use std::os::unix::ffi::OsStringExt as _;
    let read = |what: &str| {
        let all = std::fs::read(format!("/proc/{pid}/{what}")).unwrap();
        let parts = all.split(|byte| *byte == 0).filter(|part| !part.is_empty());
        parts.map(|part| std::ffi::OsString::from_vec(part.to_vec())).collect::<Vec<_>>()
    };
    let line = read("cmdline");
    let mut command = std::process::Command::new(&line[0]);
    command.args(&line[1..]).current_dir(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap());
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    for variable in read("environ") {
        let text = variable.to_string_lossy().into_owned();
        if let Some((key, value)) = text.split_once('=') {
            command.env(key, value);
        }
    }
    command
}

async fn a_killed_job_manager_is_no_second_copy(scene: &Scene) {
    let job = scene.begin(scene.counting("orphaned", &[])).await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let mut next = twin(scene.flink.process_ids().0.unwrap());
    scene.flink.kill_job_manager().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut job_manager = next.spawn().unwrap();
    generation(&job, 2).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let runs = job.runs(2).await.unwrap();
    assert!(runs[0].restored_from.as_ref().is_some_and(|point| point.kind == RestoreKind::Checkpoint), "{runs:#?}");
    canceled(&job).await;
    scene.assert_whole("orphaned");
    scene.told("job_vanished", 1).await;
    job_manager.kill().unwrap();
    job_manager.wait().unwrap();
}

async fn all(home: &str) {
    let scene = {
        let _turn = turn().await;
        Scene::start(home).await
    };
    fails_and_comes_back(&scene).await;
    suspend_resume_and_upgrade(&scene).await;
    sql_runs_and_tells_the_statement_at_fault(&scene).await;
    a_lost_answer_runs_once(&scene).await;
    a_frozen_cluster_is_told_and_nothing_restarts(&scene).await;
    killed_while_it_submits_it_runs_once(&scene).await;
    a_killed_job_manager_is_no_second_copy(&scene).await;
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_main_job_on_flink_1() {
    all("STREAMPARK_TEST_FLINK_1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_main_job_on_flink_2() {
    all("STREAMPARK_TEST_FLINK_2").await;
}
