//! Why applications end badly on real YARN, in the sentence that the user reads: the rows of the failure
//! matrix that one node can show. JobManagers do not stay here and archive nothing, except where a row says
//! so: YARN's word and the logs must be enough.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use streampark_core::cluster::{Cluster, Observation, RunStatus, SavepointOptions, Stop, Submission};
use streampark_core::job::{
    Failure, FailureClass, JobId, Launch, Location, Resource, RestoreKind, RestorePoint, RunKey, RunRef,
};
use streampark_tests::flink::turn;
use streampark_tests::hadoop::{Hadoop, reason};
use streampark_yarn::{YarnCluster, YarnOptions};

/// Applications that run at the same time.
const PARALLEL: usize = 3;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run: make test-yarn"))
}

/// What a row must come to.
#[derive(Clone, Copy)]
enum Told {
    /// Failed, with a sentence that begins so.
    Failed(&'static str, FailureClass),
    /// Failed, with a sentence that begins as one of these: which of two ends of the JVM comes first is chance.
    Exited([&'static str; 2]),
    /// Failed, with an exception whose message has this.
    Threw(&'static str),
    /// Not failed at all.
    Finished,
}

/// Flink ends a JVM that takes more than 5 s to end (`JvmShutdownSafeguard`), with a code of its own.
const SLOW: &str =
    "a thread of Flink's JobManager died of an exception, or its JVM took too long to end (exit code 239)";

struct Row {
    stays: bool,
    submission: Submission,
    told: Told,
}

struct Scene {
    hadoop: Hadoop,
    stays: YarnCluster,
    silent: YarnCluster,
    folder: tempfile::TempDir,
    major: u32,
}

impl Scene {
    fn start(home: &str, flink: &str, major: u32) -> Self {
        let hadoop = Hadoop::start(&variable(home), &[]);
        let mut options = YarnOptions::from_hadoop_conf(&hadoop.at.conf);
        // A machine with much to do.
        options.timeout = Duration::from_secs(60);
        let options = options
            .flink_home(variable(flink))
            .flink("jobmanager.memory.process.size", "768m")
            .flink("jobmanager.memory.jvm-metaspace.size", "160m")
            .flink("taskmanager.memory.process.size", "900m")
            .flink("taskmanager.memory.managed.size", "0m")
            .flink("taskmanager.memory.jvm-metaspace.size", "160m")
            .flink("yarn.heartbeat.interval", "1");
        let mut silent = options.clone().keep_job_manager(false);
        silent.job_archive = false;
        let (stays, silent) = (YarnCluster::new(options).unwrap(), YarnCluster::new(silent).unwrap());
        Self { hadoop, stays, silent, folder: tempfile::tempdir().unwrap(), major }
    }

    fn submission(&self, name: &str, more: &[&str]) -> Submission {
        let output = self.folder.path().join(name).to_string_lossy().into_owned();
        let base = ["--rate", "50", "--restart", "none", "--output", &output];
        let path = variable("STREAMPARK_TEST_JOBS_JAR").into();
        let mut launch = Launch::of_jar(Resource::new("jobs.jar", Location::Path(path)));
        launch.entry_class = Some("streampark.testing.CountingJob".to_owned());
        launch.args = base.iter().chain(more).map(|arg| (*arg).to_owned()).collect();
        Submission::new(RunRef::new(RunKey::new(JobId::generate(), 1)), name, launch)
    }

    fn rows(&self) -> Vec<Row> {
        let row = |submission, told| Row { stays: false, submission, told };
        let staying = |submission, told| Row { stays: true, submission, told };
        let mut absent = self.submission("absent", &[]);
        absent.launch.entry_class = Some("com.acme.Absent".to_owned());
        let mut unnamed = self.submission("unnamed", &[]);
        unnamed.launch.entry_class = None;
        let mut java = self.submission("java", &[]);
        java.config.set("containerized.master.env.JAVA_HOME", "/nowhere");
        let mut jvm = self.submission("jvm", &[]);
        jvm.config.set("env.java.opts.jobmanager", "-XX:+UseG1GC -XX:+UseSerialGC");
        let mut restore = self.submission("restore", &[]);
        let path = format!("{}/flink/none/chk-7", self.hadoop.at.fs);
        restore.restore = Some(RestorePoint::new(RestoreKind::Checkpoint, path, jiff::Timestamp::now()));
        // Flink 2 takes a main without a job for an application that went well.
        let without_job = match self.major {
            1 => Told::Failed(
                "the program's main ended without a call of execute(), so there is no job; ",
                FailureClass::Fatal,
            ),
            _ => Told::Finished,
        };
        vec![
            row(
                self.submission("operator", &["--fail-after-seconds", "1", "--fail-message", "the sink is full"]),
                Told::Threw("the sink is full"),
            ),
            row(self.submission("main", &["--throw-in-main", "no topic given"]), Told::Threw("no topic given")),
            row(self.submission("no-execute", &["--no-execute"]), without_job),
            staying(self.submission("no-execute-stays", &["--no-execute"]), without_job),
            staying(
                self.submission("exit-3", &["--slow-main-seconds", "10", "--exit", "3"]),
                Told::Exited([
                    "the JobManager ended by itself with exit code 3; does the program call System.exit?",
                    SLOW,
                ]),
            ),
            row(
                self.submission("exit-0", &["--slow-main-seconds", "10", "--exit", "0"]),
                Told::Exited([
                    "the JobManager ended by itself (exit code 0) without telling YARN; does the program call System.exit?",
                    SLOW,
                ]),
            ),
            row(
                absent,
                Told::Failed("the class 'com.acme.Absent' is not in the program's jars; ", FailureClass::Fatal),
            ),
            row(
                unnamed,
                Told::Failed(
                    "the program's jar names no main class in its manifest; set entry_class",
                    FailureClass::Fatal,
                ),
            ),
            row(
                java,
                Told::Failed(
                    "the JobManager's command could not be run: /nowhere/bin/java: No such file or directory; is JAVA_HOME set",
                    FailureClass::Fatal,
                ),
            ),
            row(
                jvm,
                Told::Failed(
                    "the JVM of the JobManager did not start: Multiple garbage collectors selected; ",
                    FailureClass::Fatal,
                ),
            ),
            staying(restore, Told::Threw("Cannot find checkpoint or savepoint file/directory")),
        ]
    }

    async fn submit(&self, cluster: &YarnCluster, submission: &mut Submission) {
        submission.run.deployment = cluster.submit(submission).await.unwrap().deployment;
    }

    /// Waits for the end.
    async fn over(&self, cluster: &YarnCluster, submission: &Submission) -> Observation {
        let deadline = Instant::now() + Duration::from_secs(150);
        loop {
            let all = cluster.observe().await.unwrap();
            let seen = all.into_iter().find(|seen| seen.key == Some(submission.run.key));
            match seen {
                Some(seen) if seen.status.is_terminal() => return seen,
                seen if Instant::now() >= deadline => panic!("{} never ended: {seen:#?}", submission.name),
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    async fn check(&self, cluster: &YarnCluster, submission: &Submission, told: Told) {
        let seen = self.over(cluster, submission).await;
        let failure = reason(cluster, &submission.run).await;
        let name = &submission.name;
        match told {
            Told::Finished => {
                assert_eq!((&seen.status, &failure), (&RunStatus::Finished, &None), "{name}: {:?}", seen.note);
            }
            Told::Failed(sentence, class) => {
                assert_eq!(seen.status, RunStatus::Failed, "{name}: {failure:#?}");
                let failure = failure.unwrap_or_else(|| panic!("{name}: no reason"));
                assert!(failure.message.starts_with(sentence), "{name}: {failure:#?}");
                assert_eq!((failure.class.as_str(), failure.class_of), ("", class), "{name}");
            }
            Told::Exited(sentences) => {
                assert_eq!(seen.status, RunStatus::Failed, "{name}: {failure:#?}");
                let failure = failure.unwrap_or_else(|| panic!("{name}: no reason"));
                let told = sentences.iter().any(|sentence| failure.message.starts_with(sentence));
                assert!(told, "{name}: {failure:#?}");
            }
            Told::Threw(message) => {
                assert_eq!(seen.status, RunStatus::Failed, "{name}: {failure:#?}");
                let failure = failure.unwrap_or_else(|| panic!("{name}: no reason"));
                assert!(failure.message.contains(message) && !failure.class.is_empty(), "{name}: {failure:#?}");
            }
        }
        cluster.release(&submission.run).await.unwrap();
    }

    async fn run(&self, row: Row) {
        let cluster = if row.stays { &self.stays } else { &self.silent };
        let mut submission = row.submission;
        self.submit(cluster, &mut submission).await;
        self.check(cluster, &submission, row.told).await;
    }

    /// Asks WebHDFS to change the jar in the staging folder.
    async fn change_jar(&self, submission: &Submission, method: reqwest::Method, operation: &str) {
        let user = &self.hadoop.at.user;
        let id = submission.run.deployment.as_ref().unwrap();
        let base = self.hadoop.at.web_hdfs.trim_end_matches('/');
        let url = format!("{base}/webhdfs/v1/user/{user}/.flink/{id}/jobs.jar?{operation}&user.name={user}");
        let answer = reqwest::Client::new().request(method, url).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
}

/// Files that change or vanish before a node fetches them.
async fn files_that_a_node_cannot_fetch(scene: &mut Scene) {
    scene.hadoop.order("pause nodemanager");
    let (mut gone, mut changed) = (scene.submission("gone", &[]), scene.submission("changed", &[]));
    scene.submit(&scene.silent, &mut gone).await;
    scene.submit(&scene.silent, &mut changed).await;
    scene.change_jar(&gone, reqwest::Method::DELETE, "op=DELETE").await;
    scene.change_jar(&changed, reqwest::Method::PUT, "op=SETTIMES&modificationtime=1000").await;
    scene.hadoop.order("resume nodemanager");
    let sentence = "a file of the application is no longer on the cluster: hdfs://";
    scene.check(&scene.silent, &gone, Told::Failed(sentence, FailureClass::Environment)).await;
    let sentence = "a file of the application was written again after it was submitted: Resource hdfs://";
    scene.check(&scene.silent, &changed, Told::Failed(sentence, FailureClass::Environment)).await;
}

fn job_manager_of(id: &str) -> Option<i32> {
    std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid = entry.file_name().to_string_lossy().parse().ok()?;
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command);
        let is_java = command.split('\0').next().is_some_and(|program| program.ends_with("/java"));
        (is_java && command.contains("YarnApplicationClusterEntryPoint") && command.contains(id)).then_some(pid)
    })
}

/// Ends that come from outside.
async fn ends_from_outside(scene: &mut Scene) {
    let mut killed = scene.submission("killed", &[]);
    scene.submit(&scene.silent, &mut killed).await;
    scene.silent.stop(&killed.run, Stop::Kill, &SavepointOptions::default()).await.unwrap();
    assert_eq!(scene.over(&scene.silent, &killed).await.status, RunStatus::Canceled);
    let failure: Failure = reason(&scene.silent, &killed.run).await.unwrap();
    let sentence = format!("the application was killed by {}: ended by StreamPark", scene.hadoop.at.user);
    assert_eq!(failure.message, sentence);

    let mut shot = scene.submission("shot", &[]);
    scene.submit(&scene.silent, &mut shot).await;
    let id = shot.run.deployment.as_ref().unwrap().to_string();
    let deadline = Instant::now() + Duration::from_secs(90);
    let pid = loop {
        match job_manager_of(&id) {
            Some(pid) => break pid,
            None if Instant::now() >= deadline => panic!("no JobManager of {id}"),
            None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    let sentence = "the JobManager was ended from outside (exit code 137, signal 9): ";
    scene.check(&scene.silent, &shot, Told::Failed(sentence, FailureClass::Environment)).await;

    let mut lost = scene.submission("lost", &[]);
    scene.submit(&scene.silent, &mut lost).await;
    let id = lost.run.deployment.as_ref().unwrap().to_string();
    let deadline = Instant::now() + Duration::from_secs(90);
    while job_manager_of(&id).is_none() {
        assert!(Instant::now() < deadline, "no JobManager of {id}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    scene.hadoop.order("term nodemanager");
    let sentence = "the node that ran the JobManager was lost";
    scene.check(&scene.silent, &lost, Told::Failed(sentence, FailureClass::Environment)).await;
}

async fn all(hadoop: &str, flink: &'static str, major: u32) {
    let _turn = turn().await;
    let mut scene = Scene::start(hadoop, flink, major);
    let began = Instant::now();
    let step = |name: &str| println!("{:6.1} s {name}", began.elapsed().as_secs_f32());
    scene.silent.install(None).await.unwrap();
    step("Flink is on the cluster");
    let rows = scene.rows();
    let running = futures_util::stream::iter(rows.into_iter().map(|row| scene.run(row)));
    running.buffer_unordered(PARALLEL).collect::<Vec<()>>().await;
    step("programs, classes and JVMs");
    files_that_a_node_cannot_fetch(&mut scene).await;
    step("files that a node cannot fetch");
    ends_from_outside(&mut scene).await;
    step("ends from outside");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_on_hadoop_3_4_with_flink_1() {
    all("STREAMPARK_TEST_HADOOP_3_4", "STREAMPARK_TEST_FLINK_1", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_on_hadoop_3_5_with_flink_2() {
    all("STREAMPARK_TEST_HADOOP_3_5", "STREAMPARK_TEST_FLINK_2", 2).await;
}
