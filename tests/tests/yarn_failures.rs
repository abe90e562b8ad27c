//! Why applications end badly on real YARN, in the sentence that the user reads: each row of the failure matrix.

use std::time::{Duration, Instant};

use streampark_core::cluster::{Cluster, RunStatus, SavepointOptions, Stop, Submission};
use streampark_core::job::{
    Failure, FailureClass, JobId, Launch, Location, Resource, RestoreKind, RestorePoint, RunKey, RunRef,
};
use streampark_tests::hadoop::Hadoop;
use streampark_yarn::{YarnCluster, YarnOptions};

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run: make test-yarn"))
}

struct Scene {
    hadoop: Hadoop,
    options: YarnOptions,
    folder: tempfile::TempDir,
}

impl Scene {
    fn start(home: &str, flink: &str) -> Self {
        let hadoop = Hadoop::start(&variable(home), &[]);
        let options = YarnOptions::from_hadoop_conf(&hadoop.at.conf)
            .flink_home(variable(flink))
            .flink("jobmanager.memory.process.size", "768m")
            .flink("jobmanager.memory.jvm-metaspace.size", "160m")
            .flink("taskmanager.memory.process.size", "900m")
            .flink("taskmanager.memory.managed.size", "0m")
            .flink("taskmanager.memory.jvm-metaspace.size", "160m")
            .flink("yarn.heartbeat.interval", "1");
        Self { hadoop, options, folder: tempfile::tempdir().unwrap() }
    }

    /// A cluster whose JobManagers do not stay and archive nothing: only YARN and the logs tell.
    fn silent(&self) -> YarnCluster {
        let mut options = self.options.clone().keep_job_manager(false);
        options.job_archive = false;
        YarnCluster::new(options).unwrap()
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

    async fn report(&self, run: &RunRef) -> serde_json::Value {
        let id = run.deployment.as_ref().unwrap();
        let url = format!("{}/ws/v1/cluster/apps/{id}", self.hadoop.at.resource_manager.trim_end_matches('/'));
        let answer: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        answer["app"].clone()
    }

    async fn start_run(&self, cluster: &YarnCluster, submission: &mut Submission) {
        submission.run.deployment = cluster.submit(submission).await.unwrap().deployment;
    }

    /// Waits for the end, and says why it came.
    async fn failed(&self, cluster: &YarnCluster, run: &RunRef) -> Failure {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let seen = cluster.observe().await.unwrap().into_iter().find(|seen| seen.key == Some(run.key));
            if seen.as_ref().is_some_and(|seen| seen.status.is_terminal()) || Instant::now() >= deadline {
                let report = self.report(run).await;
                println!("STATUS {:?}", seen.map(|seen| (seen.status, seen.note)));
                println!("REPORT {} {} {}", report["state"], report["finalStatus"], report["diagnostics"]);
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let failure = cluster.failure(run).await.unwrap();
        println!("FAILURE {failure:#?}");
        failure.unwrap_or_else(|| Failure::new("none"))
    }

    async fn row(&self, cluster: &YarnCluster, name: &str, mut submission: Submission) -> Failure {
        println!("=== {name}");
        self.start_run(cluster, &mut submission).await;
        let failure = self.failed(cluster, &submission.run).await;
        let _ = cluster.release(&submission.run).await;
        failure
    }
}

async fn all(hadoop: &str, flink: &'static str) {
    let mut scene = Scene::start(hadoop, flink);
    let keeping = YarnCluster::new(scene.options.clone()).unwrap();
    let silent = scene.silent();
    keeping.install(None).await.unwrap();
    let failing = ["--fail-after-seconds", "1", "--fail-message", "the sink is full"];
    scene.row(&silent, "operator, silent", scene.submission("operator", &failing)).await;
    scene.row(&silent, "main, silent", scene.submission("main", &["--throw-in-main", "no topic given"])).await;
    scene.row(&silent, "no execute, silent", scene.submission("noexec", &["--no-execute"])).await;
    scene.row(&keeping, "no execute, keeping", scene.submission("noexec2", &["--no-execute"])).await;
    scene.row(&keeping, "exit 3, keeping", scene.submission("exit", &["--exit", "3"])).await;
    scene.row(&silent, "exit 0, silent", scene.submission("exit0", &["--exit", "0"])).await;
    let mut absent = scene.submission("absent", &[]);
    absent.launch.entry_class = Some("com.acme.Absent".to_owned());
    scene.row(&silent, "class absent", absent).await;
    let mut unnamed = scene.submission("unnamed", &[]);
    unnamed.launch.entry_class = None;
    scene.row(&silent, "no class named", unnamed).await;
    let mut java = scene.submission("java", &[]);
    java.config.set("containerized.master.env.JAVA_HOME", "/nowhere");
    scene.row(&silent, "no java", java).await;
    let mut jvm = scene.submission("jvm", &[]);
    jvm.config.set("env.java.opts.jobmanager", "-XX:+UseG1GC -XX:+UseSerialGC");
    scene.row(&silent, "jvm refuses", jvm).await;
    let mut restore = scene.submission("restore", &[]);
    let at = jiff::Timestamp::now();
    let path = format!("{}/flink/none/chk-7", scene.hadoop.at.fs);
    restore.restore = Some(RestorePoint::new(RestoreKind::Checkpoint, path, at));
    scene.row(&keeping, "restore point missing", restore).await;

    println!("=== killed");
    let mut killed = scene.submission("killed", &[]);
    scene.start_run(&silent, &mut killed).await;
    silent.stop(&killed.run, Stop::Kill, &SavepointOptions::default()).await.unwrap();
    scene.failed(&silent, &killed.run).await;

    println!("=== jar gone before it was fetched");
    scene.hadoop.order("pause nodemanager");
    let mut gone = scene.submission("gone", &[]);
    scene.start_run(&silent, &mut gone).await;
    let staging = format!(
        "{}/webhdfs/v1/user/{user}/.flink/{}/jobs.jar?op=DELETE&user.name={user}",
        scene.hadoop.at.web_hdfs,
        gone.run.deployment.as_ref().unwrap(),
        user = scene.hadoop.at.user
    );
    reqwest::Client::new().delete(staging).send().await.unwrap();
    scene.hadoop.order("resume nodemanager");
    scene.failed(&silent, &gone.run).await;

    println!("=== AM killed -9");
    let mut shot = scene.submission("shot", &[]);
    scene.start_run(&silent, &mut shot).await;
    let id = shot.run.deployment.as_ref().unwrap().to_string();
    let deadline = Instant::now() + Duration::from_secs(60);
    'wait: while Instant::now() < deadline {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            let cmdline = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let cmdline = String::from_utf8_lossy(&cmdline).into_owned();
            if cmdline.contains("YarnApplicationClusterEntryPoint")
                && cmdline.contains(&id)
                && !cmdline.contains("bash")
            {
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
                break 'wait;
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    scene.failed(&silent, &shot.run).await;

    println!("=== NodeManager terminated");
    let mut lost = scene.submission("lost", &[]);
    scene.start_run(&silent, &mut lost).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    scene.hadoop.order("term nodemanager");
    scene.failed(&silent, &lost.run).await;
    let _ = (FailureClass::Fatal, RunStatus::Failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_on_hadoop_3_4_with_flink_1() {
    all("STREAMPARK_TEST_HADOOP_3_4", "STREAMPARK_TEST_FLINK_1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_on_hadoop_3_5_with_flink_2() {
    all("STREAMPARK_TEST_HADOOP_3_5", "STREAMPARK_TEST_FLINK_2").await;
}
