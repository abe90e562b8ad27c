//! A Hadoop with Flink 1.20 on it, and the questions that judge what happened there.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use streampark_core::job::{JarProgram, JobSpec, JobState};
use streampark_core::platform::Job;
use streampark_core::store::SqliteStore;
use streampark_core::supervisor::SupervisorOptions;
use streampark_core::{EventKind, StreamPark};
use streampark_yarn::{YarnCluster, YarnOptions};

use super::{Hadoop, small};
use crate::flink::variable;
use crate::output::{Element, elements, faults};

/// A supervisor that looks for the cause of a failure until it has it: what failed is asked, not how soon it is told.
pub fn patient() -> SupervisorOptions {
    let mut options = SupervisorOptions::default();
    options.rules.tell_within = Duration::from_secs(60);
    options.rules.fetch_attempts = 20;
    options
}

/// A Hadoop 3.4 for faults.
#[derive(Debug)]
pub struct Scene {
    /// The daemons.
    pub hadoop: Hadoop,
    /// Stores, caches and what jobs put out.
    pub folder: tempfile::TempDir,
}

#[allow(clippy::panic, clippy::unwrap_used)]
impl Scene {
    /// Starts the daemons, with more arguments for `hadoop.py`.
    pub fn start(arguments: &[&str]) -> Self {
        let hadoop = Hadoop::start(&variable("STREAMPARK_TEST_HADOOP_3_4"), arguments);
        Self { hadoop, folder: tempfile::tempdir().unwrap() }
    }

    /// Small processes, checkpoints on HDFS.
    pub fn options(&self) -> YarnOptions {
        small(YarnOptions::from_hadoop_conf(&self.hadoop.at.conf))
            .flink_home(variable("STREAMPARK_TEST_FLINK_1"))
            .flink("state.checkpoints.dir", format!("{}/flink/checkpoints", self.hadoop.at.fs))
            .flink("state.savepoints.dir", format!("{}/flink/savepoints", self.hadoop.at.fs))
    }

    /// A supervisor with this cluster.
    pub async fn platform(&self, cluster: YarnCluster) -> StreamPark {
        StreamPark::builder()
            .supervisor(patient())
            .store(SqliteStore::open(self.folder.path().join("jobs.db")).await.unwrap())
            .cluster("yarn", cluster)
            .cache(self.folder.path().join("cache"))
            .start()
            .await
            .unwrap()
    }

    /// A job that counts without an end.
    pub fn counting(&self, name: &str) -> JobSpec {
        let output = self.folder.path().join(name).to_string_lossy().into_owned();
        let jar = JarProgram::new(variable("STREAMPARK_TEST_JOBS_JAR"))
            .entry_class("streampark.testing.CountingJob")
            .args(["--rate", "50", "--restart", "none", "--name", name, "--output", &output]);
        JobSpec::new(name, jar).cluster("yarn")
    }

    /// What a job put out.
    pub fn output(&self, name: &str) -> Vec<Element> {
        elements(&self.folder.path().join(name))
    }

    /// Waits until a job runs and puts something out in this generation.
    pub async fn until_it_writes(&self, job: &Job, generation: u64) {
        let deadline = Instant::now() + Duration::from_secs(600);
        let flink_job = loop {
            let view = job.status().unwrap();
            if let Some(run) = view.run.filter(|run| run.run.key.generation == generation) {
                break run.run.flink_job.to_string();
            }
            assert!(Instant::now() < deadline, "{:#?}", job.history(60).await.unwrap());
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let works = || {
            let writes = self.output(job.name()).iter().any(|element| element.flink_job == flink_job);
            writes && job.status().unwrap().job.state == JobState::Running
        };
        while !works() {
            assert!(Instant::now() < deadline, "{:#?}", job.history(60).await.unwrap());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Nothing that a job put out is lost, twice, or of two copies.
    pub fn assert_whole(&self, name: &str) {
        let all = self.output(name);
        assert!(!all.is_empty(), "{name} wrote nothing");
        assert_eq!(faults(&all), Vec::<String>::new(), "{name}");
    }

    /// How often each kind of event stands in a job's history.
    pub async fn count(&self, job: &Job, kind: EventKind) -> usize {
        job.history(500).await.unwrap().iter().filter(|event| event.kind == kind).count()
    }

    /// Asks a ResourceManager that is active.
    pub async fn ask(&self, path: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            for base in &self.hadoop.at.resource_managers {
                let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
                let asked = client.get(format!("{base}/ws/v1/cluster/{path}")).timeout(Duration::from_secs(5)).send();
                if let Ok(answer) = asked.await
                    && answer.status().is_success()
                    && let Ok(value) = answer.json().await
                {
                    return value;
                }
            }
            assert!(Instant::now() < deadline, "no ResourceManager answers {path}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Applications that carry `tag`, by id, with their states.
    pub async fn applications(&self, tag: &str) -> Vec<(String, String)> {
        let answer = self.ask(&format!("apps?applicationTags={tag}")).await;
        let apps = answer.pointer("/apps/app").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |app: &Value, key: &str| app[key].as_str().unwrap_or_default().to_owned();
        let mut all: Vec<_> = apps.iter().map(|app| (text(app, "id"), text(app, "state"))).collect();
        all.sort();
        all
    }

    /// The state of one application.
    pub async fn state(&self, id: &str) -> String {
        self.ask(&format!("apps/{id}")).await["app"]["state"].as_str().unwrap_or_default().to_owned()
    }

    /// The names in the folder of staging folders.
    pub async fn staged(&self) -> Vec<String> {
        let at = &self.hadoop.at;
        let url =
            format!("{}/webhdfs/v1/user/{user}/.flink?op=LISTSTATUS&user.name={user}", at.web_hdfs, user = at.user);
        let answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        let files = answer.pointer("/FileStatuses/FileStatus").and_then(Value::as_array).cloned().unwrap_or_default();
        files.iter().filter_map(|file| file["pathSuffix"].as_str()).map(str::to_owned).collect()
    }

    /// The processes of an application's JobManager, or of its TaskManagers.
    pub fn processes(&self, id: &str, class: &str) -> Vec<i32> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command);
            let is_java = command.split('\0').next().is_some_and(|program| program.ends_with("/java"));
            let place = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            if is_java && command.contains(class) && place.components().any(|part| part.as_os_str() == Path::new(id)) {
                found.push(pid);
            }
        }
        found
    }

    /// Waits until `holds`.
    pub async fn until(&self, what: &str, seconds: u64, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        while !holds().await {
            assert!(Instant::now() < deadline, "{what}: not within {seconds} s");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
