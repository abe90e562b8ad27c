//! What goes wrong between us and a real Flink: lost answers, a killed and a frozen JobManager, an owner
//! that is killed.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use streampark_core::cluster::suite::{Behaviour, Stage as _};
use streampark_core::cluster::{
    Cluster as _, LocalCluster, LogOptions, Lookup, RunStatus, SavepointOptions, StandaloneCluster, Stop,
};
use streampark_core::flink::RestOptions;
use streampark_core::job::{JobId, RunKey, RunRef};
use streampark_core::{Error, ErrorKind, ErrorStatus};
use streampark_tests::flink::{FlinkStage, small_flink, turn, variable};
use streampark_tests::output::{elements, faults};
use streampark_tests::process::{Program, freeze, thaw};
use streampark_tests::proxy::Proxy;

fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn pids(flink: &LocalCluster) -> Vec<i32> {
    let (job_manager, task_managers) = flink.process_ids();
    job_manager.into_iter().chain(task_managers).collect()
}

fn a_run() -> RunRef {
    RunRef::new(RunKey::new(JobId::generate(), 1))
}

fn facts(error: &Error) -> (ErrorKind, ErrorStatus) {
    (error.kind(), error.status())
}

struct Scene {
    folder: tempfile::TempDir,
    flink: LocalCluster,
    stage: FlinkStage<LocalCluster>,
}

impl Scene {
    async fn start(home: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A JobManager that stands still for a few seconds keeps its TaskManager.
        let flink = small_flink(&variable(home), &folder.path().join("flink"), 8);
        let flink = flink.config("heartbeat.timeout", "30000").start().await.unwrap();
        let stage = FlinkStage::new(flink.clone(), folder.path()).await;
        Self { folder, flink, stage }
    }

    async fn wait_for(&self, run: &RunRef, wanted: RunStatus) {
        wait_until(&format!("{wanted:?}"), async || {
            let Ok(all) = self.flink.observe().await else { return false };
            let seen = all.iter().find(|seen| seen.flink_job == Some(run.flink_job));
            seen.is_some_and(|seen| seen.status == wanted && seen.tasks.is_none_or(|(now, all)| now == all))
        })
        .await;
    }

    fn written(&self, run: &RunRef) -> Vec<streampark_tests::output::Element> {
        elements(&self.folder.path().join("output").join(run.key.job.to_string()))
    }

    async fn cancel(&self, run: &RunRef) {
        self.stage.cluster().stop(run, Stop::Cancel, &SavepointOptions::default()).await.unwrap();
        wait_until("cancelled", async || {
            let Ok(all) = self.flink.observe().await else { return false };
            all.iter().any(|seen| seen.flink_job == Some(run.flink_job) && seen.status == RunStatus::Canceled)
        })
        .await;
    }
}

async fn a_lost_answer_is_found_and_nothing_starts_twice(scene: &Scene) {
    let target = scene.flink.address().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let proxy = Proxy::start(target, "/run").await.unwrap();
    let cluster = StandaloneCluster::new(&proxy.address).unwrap();
    let submission = scene.stage.submission(a_run(), Behaviour::Endless);
    let run = submission.run.clone();
    proxy.lose(1);
    let error = cluster.submit(&submission).await.unwrap_err();
    assert_eq!(facts(&error), (ErrorKind::Unreachable, ErrorStatus::Unknown), "{error}");
    assert_eq!(error.message(), "the connection broke before the answer was complete");
    assert_eq!(proxy.lost(), 1);
    let Lookup::Found(found) = cluster.lookup(&run).await.unwrap() else { panic!("the run has arrived") };
    assert_eq!(found.flink_job, Some(run.flink_job));
    assert!(cluster.submit(&submission).await.unwrap().already_there);
    scene.wait_for(&run, RunStatus::Running).await;
    wait_until("output", async || scene.written(&run).len() > 20).await;
    let jobs = scene.flink.rest().jobs().await.unwrap();
    assert_eq!(jobs.iter().filter(|job| job.jid == run.flink_job).count(), 1);
    scene.cancel(&run).await;
    let written = scene.written(&run);
    assert_eq!(faults(&written), Vec::<String>::new());
    assert!(written.windows(2).all(|pair| pair[0].sequence < pair[1].sequence), "one copy counted");

    // A savepoint whose answer is lost is there when it is asked for under the same name.
    let proxy = Proxy::start(scene.flink.address()[7..].trim_end_matches('/').to_owned(), "/savepoints").await.unwrap();
    let cluster = StandaloneCluster::new(&proxy.address).unwrap();
    let submission = scene.stage.submission(a_run(), Behaviour::Endless);
    let run = submission.run.clone();
    cluster.submit(&submission).await.unwrap();
    scene.wait_for(&run, RunStatus::Running).await;
    proxy.lose(1);
    let mut options = SavepointOptions::default();
    options.trigger_id = Some(run.flink_job);
    let point = cluster.savepoint(&run, &options).await.unwrap();
    assert_eq!(proxy.lost(), 1);
    assert_eq!(cluster.savepoint(&run, &options).await.unwrap().path, point.path);
    scene.cancel(&run).await;
}

/// A `main` that works longer than we wait is not taken for a submission that never arrived.
async fn a_slow_main_is_waited_for(scene: &Scene) {
    let options = RestOptions::new([scene.flink.address()]).run_timeout(Duration::from_secs(8));
    let cluster = StandaloneCluster::with_options(options).unwrap();
    let mut submission = scene.stage.submission(a_run(), Behaviour::Endless);
    submission.launch.args.extend(["--slow-main-seconds".to_owned(), "10".to_owned()]);
    let run = submission.run.clone();
    let error = cluster.submit(&submission).await.unwrap_err();
    assert_eq!(facts(&error), (ErrorKind::Timeout, ErrorStatus::Unknown), "{error}");
    let mut answers = Vec::new();
    wait_until("found", async || {
        let answer = cluster.lookup(&run).await.unwrap();
        assert_ne!(answer, Lookup::NeverArrived, "its main is at work");
        answers.push(matches!(answer, Lookup::Found(_)));
        answers.last() == Some(&true)
    })
    .await;
    assert!(!answers[0], "the first question came too early for the run");
    assert!(cluster.submit(&submission).await.unwrap_err().status() == ErrorStatus::Unknown, "its main works again");
    scene.wait_for(&run, RunStatus::Running).await;
    scene.cancel(&run).await;
}

async fn ends_in_time<T>(what: &str, call: impl Future<Output = Result<T, Error>>) -> Error {
    let begin = Instant::now();
    let error = match tokio::time::timeout(Duration::from_secs(15), call).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) => panic!("{what}: answered by a frozen JobManager"),
        Err(_) => panic!("{what}: no end"),
    };
    assert_eq!(error.kind(), ErrorKind::Timeout, "{what}: {error}");
    assert!(begin.elapsed() < Duration::from_secs(8), "{what} took {:?}", begin.elapsed());
    error
}

async fn a_frozen_job_manager_delays_no_call_beyond_its_bound(scene: &Scene) {
    let submission = scene.stage.submission(a_run(), Behaviour::Endless);
    let run = submission.run.clone();
    scene.flink.submit(&submission).await.unwrap();
    scene.wait_for(&run, RunStatus::Running).await;
    let other = scene.stage.submission(a_run(), Behaviour::Endless);
    let (flink, none) = (scene.stage.cluster(), SavepointOptions::default());
    let pid = scene.flink.process_ids().0.unwrap();
    freeze(pid);
    let errors = tokio::join!(
        ends_in_time("observe", flink.observe()),
        ends_in_time("lookup", flink.lookup(&run)),
        ends_in_time("failure", flink.failure(&run)),
        ends_in_time("restore points", flink.restore_points(&run)),
        ends_in_time("stop", flink.stop(&run, Stop::Savepoint, &none)),
        ends_in_time("cancel", flink.stop(&run, Stop::Cancel, &none)),
        ends_in_time("savepoint", flink.savepoint(&run, &none)),
        ends_in_time("logs", async { flink.logs(&run, &LogOptions::default()).await?.read_to_string(1 << 26).await }),
        ends_in_time("submit", flink.submit(&other)),
    );
    thaw(pid);
    let (observe, lookup, _, _, stop, cancel, savepoint, _, submit) = errors;
    for error in [observe, lookup, stop, cancel, submit] {
        assert_eq!(error.status(), ErrorStatus::Temporary, "nothing was changed: {error}");
    }
    assert_eq!(savepoint.status(), ErrorStatus::Unknown, "it may still be taken: {savepoint}");
    let written = scene.written(&run).len();
    wait_until("the run goes on", async || scene.written(&run).len() > written).await;
    scene.wait_for(&run, RunStatus::Running).await;
    assert_eq!(flink.lookup(&other.run).await.unwrap(), Lookup::NeverArrived);
    scene.cancel(&run).await;
    assert_eq!(faults(&scene.written(&run)), Vec::<String>::new());
}

async fn a_killed_job_manager_is_told(scene: &Scene) {
    let submission = scene.stage.submission(a_run(), Behaviour::Endless);
    scene.flink.submit(&submission).await.unwrap();
    scene.wait_for(&submission.run, RunStatus::Running).await;
    let all = pids(&scene.flink);
    scene.flink.kill_job_manager().await.unwrap();
    assert!(!is_alive(all[0]) && is_alive(all[1]), "its TaskManager lives on");
    let error = scene.flink.observe().await.unwrap_err();
    assert_eq!(facts(&error), (ErrorKind::Unreachable, ErrorStatus::Temporary));
    assert_eq!(
        error.message(),
        "the JobManager of the local Flink has ended; read its log, and start it again in the same work_dir"
    );
    assert!(error.to_string().contains("log/jobmanager.log"), "{error}");
    assert!(error.chain().contains("nobody listens at 127.0.0.1:"), "{}", error.chain());
    scene.flink.lookup(&submission.run).await.unwrap_err();
    scene.flink.submit(&submission).await.unwrap_err();
    scene.flink.stop().await.unwrap();
    assert!(!all.iter().any(|pid| is_alive(*pid)), "nothing is left");
    // The same folder can be used again, with what the jobs left there.
    let again = small_flink(&variable("STREAMPARK_TEST_FLINK_1"), &scene.folder.path().join("flink"), 8);
    let again = again.start().await.unwrap();
    assert!(again.observe().await.unwrap().is_empty());
    let all = pids(&again);
    drop(again);
    wait_until("children end with the last handle", async || !all.iter().any(|pid| is_alive(*pid))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_between_us_and_flink_1() {
    let _turn = turn().await;
    let scene = Scene::start("STREAMPARK_TEST_FLINK_1").await;
    a_lost_answer_is_found_and_nothing_starts_twice(&scene).await;
    a_slow_main_is_waited_for(&scene).await;
    a_frozen_job_manager_delays_no_call_beyond_its_bound(&scene).await;
    a_killed_job_manager_is_told(&scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_between_us_and_flink_2() {
    let _turn = turn().await;
    let scene = Scene::start("STREAMPARK_TEST_FLINK_2").await;
    a_lost_answer_is_found_and_nothing_starts_twice(&scene).await;
    a_slow_main_is_waited_for(&scene).await;
    a_frozen_job_manager_delays_no_call_beyond_its_bound(&scene).await;
    scene.flink.stop().await.unwrap();
}

#[derive(Debug, Deserialize)]
struct Owned {
    address: String,
    pids: Vec<i32>,
}

fn owner(work: &Path) -> (Program, Owned) {
    let arguments = [variable("STREAMPARK_TEST_FLINK_2"), work.to_string_lossy().into_owned(), "4".to_owned()];
    let mut owner = Program::start("local_flink", &arguments);
    let owned = owner.hear();
    (owner, owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flink_whose_owner_was_killed_is_found() {
    let _turn = turn().await;
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("flink");
    let home = variable("STREAMPARK_TEST_FLINK_2");
    let (mut first, owned) = owner(&work);
    let error = small_flink(&home, &work, 4).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.message(), "a living process runs a Flink in this folder; stop it or choose another work_dir");
    assert!(owned.pids.iter().all(|pid| is_alive(*pid)), "what the other one runs is left alone");
    let stage = FlinkStage::new(StandaloneCluster::new(&owned.address).unwrap(), folder.path()).await;
    let submission = stage.submission(a_run(), Behaviour::Endless);
    stage.cluster().submit(&submission).await.unwrap();
    wait_until("its job works", async || {
        let Ok(all) = stage.cluster().observe().await else { return false };
        all.iter().any(|seen| seen.status == RunStatus::Running && seen.tasks.is_some_and(|(now, all)| now == all))
    })
    .await;
    first.kill();
    assert!(owned.pids.iter().all(|pid| is_alive(*pid)), "Flink outlives its owner");

    let adopted = small_flink(&home, &work, 4).start().await.unwrap();
    assert_eq!((adopted.address(), pids(&adopted)), (owned.address.as_str(), owned.pids.clone()));
    let seen = adopted.observe().await.unwrap();
    assert_eq!(seen.len(), 1, "its jobs went on");
    assert_eq!(seen[0].status, RunStatus::Running);
    let error = small_flink(&home, &work, 4).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "this process has it already: {error}");
    drop(adopted);
    wait_until("what was adopted ends with us", async || !owned.pids.iter().any(|pid| is_alive(*pid))).await;

    let (mut second, owned) = owner(&work);
    second.kill();
    // Started differently: it is ended, and another one started.
    let fresh = small_flink(&home, &work, 5).start().await.unwrap();
    assert!(!owned.pids.iter().any(|pid| is_alive(*pid)), "the old one is ended");
    assert_eq!(fresh.rest().overview().await.unwrap().slots_total, 5);
    let all = pids(&fresh);
    fresh.stop().await.unwrap();
    assert!(!all.iter().any(|pid| is_alive(*pid)));
}
