//! A real Flink for the tests, and the jobs that run on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use streampark_core::cluster::suite::{Behaviour, Stage};
use streampark_core::cluster::{Cluster, LocalCluster, LocalClusterBuilder, Submission};
use streampark_core::job::{JarProgram, JobId, Launch, Program, ProgramContext, RunRef};
use tokio::sync::{Mutex, MutexGuard};

use crate::output::{elements, faults};

/// The value of a variable that the Makefile sets.
///
/// # Panics
/// Where it is not set: the test cannot run.
#[allow(clippy::panic)]
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run: make test-flink"))
}

/// The folders of both major versions of Flink.
pub fn homes() -> [String; 2] {
    ["STREAMPARK_TEST_FLINK_1", "STREAMPARK_TEST_FLINK_2"].map(variable)
}

/// A turn to start Flink: tests of one program wait for each other, because two cores carry one at a time.
pub async fn turn() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// Describes a small Flink in `work` whose tasks without a JobManager end soon.
pub fn small_flink(home: &str, work: &Path, slots: u32) -> LocalClusterBuilder {
    LocalCluster::builder()
        .flink_home(home)
        .work_dir(work)
        .slots(slots)
        .timeout(Duration::from_secs(180))
        .config("jobmanager.memory.process.size", "1024m")
        .config("taskmanager.memory.process.size", "1536m")
        .config("taskmanager.memory.managed.size", "64m")
        .config("heartbeat.timeout", "10000")
        .config("heartbeat.interval", "2000")
}

/// The test jobs' jar, made ready.
///
/// # Panics
/// Where there is no such jar.
pub async fn counting(cache: &Path) -> Launch {
    let program = JarProgram::new(variable("STREAMPARK_TEST_JOBS_JAR")).entry_class("streampark.testing.CountingJob");
    #[allow(clippy::expect_used)]
    program.prepare(&ProgramContext::new(cache)).await.expect("the jar of the test jobs")
}

/// A cluster on which the conformance suite runs with the test jobs.
#[derive(Debug)]
pub struct FlinkStage<C> {
    cluster: C,
    launch: Launch,
    folder: PathBuf,
}

impl<C: Cluster> FlinkStage<C> {
    /// Runs the test jobs on `cluster`; they write below `folder`.
    pub async fn new(cluster: C, folder: &Path) -> Self {
        let launch = counting(&folder.join("cache")).await;
        Self { cluster, launch, folder: folder.to_owned() }
    }

    fn output(&self, job: JobId) -> PathBuf {
        self.folder.join("output").join(job.to_string())
    }
}

/// The submission of `launch` with `args`, that completes checkpoints often and keeps them.
pub fn submission(run: RunRef, name: &str, launch: &Launch, args: &[String]) -> Submission {
    let mut launch = launch.clone();
    launch.args = args.to_vec();
    let mut submission = Submission::new(run, name, launch);
    submission.config.set("execution.checkpointing.interval", "300 ms");
    submission.config.set("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
    submission
}

#[async_trait]
impl<C: Cluster> Stage for FlinkStage<C> {
    fn cluster(&self) -> &dyn Cluster {
        &self.cluster
    }

    fn submission(&self, run: RunRef, behaviour: Behaviour) -> Submission {
        let output = self.output(run.key.job).to_string_lossy().into_owned();
        let mut args = vec!["--name", "conformance", "--rate", "50", "--restart", "none", "--output", &output];
        match &behaviour {
            Behaviour::FailsWith(message) => args.extend(["--fail-at-checkpoint", "2", "--fail-message", message]),
            Behaviour::Finite => args.extend(["--count", "50"]),
            Behaviour::CannotStart(message) => args.extend(["--throw-in-main", message]),
            _ => {}
        }
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        submission(run, "conformance", &self.launch, &args)
    }

    #[allow(clippy::panic)]
    fn assert_nothing_lost(&self, job: JobId) {
        let all = elements(&self.output(job));
        assert!(!all.is_empty(), "the job wrote nothing");
        assert_eq!(faults(&all), Vec::<String>::new());
    }

    fn has_worked(&self, job: JobId) -> bool {
        !elements(&self.output(job)).is_empty()
    }

    fn missing_savepoint(&self) -> String {
        format!("file://{}/no-such-savepoint", self.folder.display())
    }
}
