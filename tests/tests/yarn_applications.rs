//! Applications on real YARN and HDFS, both lines of Hadoop, each with another major version of Flink.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use streampark_core::alert::Webhook;
use streampark_core::cluster::{
    Cluster, LogOptions, Lookup, Observation, RunStatus, SavepointOptions, SessionCluster as _, SessionSpec,
    SessionStatus, Stop, Submission,
};
use streampark_core::job::{
    JarProgram, JobId, JobSpec, JobState, Launch, Location, ProgramContext, ProgramRegistry, Resource, RestoreKind,
    RunKey, RunRef, SqlProgram, Verification, prepare,
};
use streampark_core::platform::{Job, WaitOptions};
use streampark_core::store::{MemoryStore, SqliteStore};
use streampark_core::{ErrorKind, ErrorStatus, StreamPark};
use streampark_tests::flink::turn;
use streampark_tests::hadoop::{Hadoop, reason, small};
use streampark_tests::output::{elements, faults};
use streampark_tests::proxy::Proxy;
use streampark_tests::webhook::Receiver;
use streampark_yarn::{YarnCluster, YarnOptions};

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run: make test-yarn"))
}

/// Small processes: several applications share 4 GB.
fn options(hadoop: &Hadoop, flink: &str) -> YarnOptions {
    small(YarnOptions::from_hadoop_conf(&hadoop.at.conf))
        .flink_home(variable(flink))
        .flink("state.checkpoints.dir", format!("{}/flink/checkpoints", hadoop.at.fs))
        .flink("state.savepoints.dir", format!("{}/flink/savepoints", hadoop.at.fs))
}

struct Scene {
    hadoop: Hadoop,
    cluster: YarnCluster,
    folder: tempfile::TempDir,
    flink: &'static str,
}

impl Scene {
    fn start(home: &str, flink: &'static str) -> Self {
        let hadoop = Hadoop::start(&variable(home), &["--rm-recovery"]);
        let cluster = YarnCluster::new(options(&hadoop, flink)).unwrap();
        Self { hadoop, cluster, folder: tempfile::tempdir().unwrap(), flink }
    }

    fn output(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn counting(&self, job: JobId, generation: u64, name: &str, more: &[&str]) -> Submission {
        let output = self.output(name);
        let base = ["--rate", "50", "--restart", "none", "--name", name, "--output", &output];
        let path = variable("STREAMPARK_TEST_JOBS_JAR").into();
        let mut launch = Launch::of_jar(Resource::new("jobs.jar", Location::Path(path)));
        launch.entry_class = Some("streampark.testing.CountingJob".to_owned());
        launch.args = base.iter().chain(more).map(|arg| (*arg).to_owned()).collect();
        Submission::new(RunRef::new(RunKey::new(job, generation)), name, launch)
    }

    async fn seen(&self, run: &RunRef) -> Option<Observation> {
        let all = self.cluster.observe().await.unwrap();
        all.into_iter().find(|seen| seen.key == Some(run.key))
    }

    async fn until(&self, run: &RunRef, wanted: &RunStatus) -> Observation {
        let deadline = Instant::now() + Duration::from_secs(240);
        loop {
            let seen = self.seen(run).await;
            match seen {
                Some(seen)
                    if seen.status == *wanted
                        && (wanted.is_terminal() || seen.tasks.is_some_and(|(on, all)| on == all)) =>
                {
                    return seen;
                }
                seen if Instant::now() >= deadline => panic!("never {wanted:?}: {seen:#?}"),
                Some(seen) if seen.status.is_terminal() => {
                    panic!("{:?}, not {wanted:?}: {seen:#?} {:#?}", seen.status, self.cluster.failure(run).await)
                }
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Waits until the run has a checkpoint.
    async fn until_it_has_a_checkpoint(&self, run: &RunRef) {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let points = self.cluster.restore_points(run).await.unwrap();
            if points.iter().any(|point| point.kind == RestoreKind::Checkpoint) {
                return;
            }
            assert!(Instant::now() < deadline, "no checkpoint in time: {points:#?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Files left in the staging folders.
    async fn staged(&self) -> Vec<String> {
        let url = format!(
            "{}/webhdfs/v1/user/{user}/.flink?op=LISTSTATUS&user.name={user}",
            self.hadoop.at.web_hdfs,
            user = self.hadoop.at.user
        );
        let answer: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        let files = answer.pointer("/FileStatuses/FileStatus").and_then(|files| files.as_array()).cloned();
        files.unwrap_or_default().iter().map(|file| file["pathSuffix"].as_str().unwrap().to_owned()).collect()
    }

    /// Applications that carry the run's tag, by the ResourceManager itself.
    async fn applications(&self, run: &RunRef) -> usize {
        let url = format!("{}/ws/v1/cluster/apps?applicationTags={}", self.hadoop.at.resource_manager, run.key.tag());
        let answer: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        answer.pointer("/apps/app").and_then(|apps| apps.as_array()).map_or(0, Vec::len)
    }

    fn assert_whole(&self, name: &str) {
        let all = elements(Path::new(&self.output(name)));
        assert!(!all.is_empty(), "{name} wrote nothing");
        assert_eq!(faults(&all), Vec::<String>::new(), "{name}");
    }
}

/// Runs, is savepointed, stopped with a savepoint and goes on in another application.
async fn lives_and_moves_to_another_application(scene: &Scene) {
    let cluster = &scene.cluster;
    let job = JobId::generate();
    let mut first = scene.counting(job, 1, "moves", &[]);
    first.run.deployment = cluster.reserve(&first.run.key).await.unwrap();
    assert!(matches!(cluster.lookup(&first.run).await.unwrap(), Lookup::NeverArrived));
    let began = Instant::now();
    let accepted = cluster.submit(&first).await.unwrap();
    println!("{:6} ms from the call to YARN's word that it accepted the application", began.elapsed().as_millis());
    assert_eq!((accepted.deployment.clone(), accepted.already_there), (first.run.deployment.clone(), false));
    let again = cluster.submit(&first).await.unwrap();
    assert_eq!((again.deployment, again.already_there), (accepted.deployment, true));
    let seen = scene.until(&first.run, &RunStatus::Running).await;
    assert_eq!((seen.flink_job, seen.name.as_str()), (Some(first.run.flink_job), "moves"));
    assert!(
        matches!(cluster.lookup(&first.run).await.unwrap(), Lookup::Found(found) if found.status == RunStatus::Running)
    );
    let log = cluster.logs(&first.run, &LogOptions::default()).await.unwrap().read_to_string(8 << 20).await.unwrap();
    assert!(log.contains("YarnApplicationClusterEntryPoint"), "{log}");
    scene.until_it_has_a_checkpoint(&first.run).await;
    let taken = cluster.savepoint(&first.run, &SavepointOptions::default()).await.unwrap();
    assert_eq!((taken.kind, taken.verification), (RestoreKind::Savepoint, Verification::Present));
    assert!(taken.path.starts_with(&format!("{}/flink/savepoints/", scene.hadoop.at.fs)), "{taken:?}");
    let points = cluster.restore_points(&first.run).await.unwrap();
    assert!(points.iter().any(|point| point.kind == RestoreKind::Checkpoint), "{points:#?}");
    assert!(points.iter().all(|point| point.verification == Verification::Present), "{points:#?}");
    let stopped = cluster.stop(&first.run, Stop::Savepoint, &SavepointOptions::default()).await.unwrap();
    let point = stopped.savepoint.unwrap();
    assert_eq!(cluster.verify(&point).await.unwrap(), Verification::Present);
    scene.until(&first.run, &RunStatus::Finished).await;
    cluster.release(&first.run).await.unwrap();
    cluster.release(&first.run).await.unwrap();
    assert_eq!(scene.staged().await, Vec::<String>::new());

    let mut second = scene.counting(job, 2, "moves", &[]);
    second.restore = Some(point);
    second.run.deployment = cluster.submit(&second).await.unwrap().deployment;
    scene.until(&second.run, &RunStatus::Running).await;
    scene.until_it_has_a_checkpoint(&second.run).await;
    cluster.stop(&second.run, Stop::Kill, &SavepointOptions::default()).await.unwrap();
    scene.until(&second.run, &RunStatus::Canceled).await;
    let points = cluster.restore_points(&second.run).await.unwrap();
    assert!(points.first().is_some_and(|point| point.kind == RestoreKind::Checkpoint), "{points:#?}");
    assert!(cluster.stop(&second.run, Stop::Cancel, &SavepointOptions::default()).await.unwrap().complete);
    scene.assert_whole("moves");
    assert!(elements(Path::new(&scene.output("moves"))).last().unwrap().restored);
    // A JobManager that is killed may still write its archive.
    cluster.release(&second.run).await.unwrap();
    assert_eq!(scene.staged().await, Vec::<String>::new());
}

/// An operator throws: the reason comes from the JobManager that stayed, the way back from HDFS.
async fn fails_with_its_reason(scene: &Scene) {
    let cluster = &scene.cluster;
    let more = ["--fail-at-checkpoint", "3", "--fail-message", "the sink is full"];
    let mut failing = scene.counting(JobId::generate(), 1, "fails", &more);
    failing.run.deployment = cluster.submit(&failing).await.unwrap().deployment;
    scene.until(&failing.run, &RunStatus::Failed).await;
    let failure = reason(cluster, &failing.run).await.unwrap();
    assert!(failure.message.contains("the sink is full"), "{failure:?}");
    let points = cluster.restore_points(&failing.run).await.unwrap();
    assert!(points.first().is_some_and(|point| point.checkpoint_id >= Some(3)), "{points:#?}");
    cluster.release(&failing.run).await.unwrap();
    assert_eq!(scene.staged().await, Vec::<String>::new());
    // What was seen before the end outlives YARN's own word, which is SUCCEEDED now.
    scene.until(&failing.run, &RunStatus::Failed).await;
}

/// Nobody reads in time: the archive has the reason.
async fn fails_unobserved(scene: &Scene) {
    let options = options(&scene.hadoop, scene.flink).keep_job_manager(false);
    let cluster = YarnCluster::new(options).unwrap();
    let more = ["--fail-at-checkpoint", "2", "--fail-message", "nobody watched"];
    let mut failing = scene.counting(JobId::generate(), 1, "unobserved", &more);
    failing.run.deployment = cluster.submit(&failing).await.unwrap().deployment;
    scene.until(&failing.run, &RunStatus::Failed).await;
    let late = YarnCluster::new(options_again(scene)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    // While the JobManager ends, it may be asked in vain.
    let (failure, points) = loop {
        match (late.failure(&failing.run).await, late.restore_points(&failing.run).await) {
            (Ok(failure), Ok(points)) => break (failure.unwrap(), points),
            told if Instant::now() >= deadline => panic!("{told:?}"),
            (failure, points) => {
                assert!(failure.as_ref().err().is_none_or(streampark_core::Error::is_retryable), "{failure:?}");
                assert!(points.as_ref().err().is_none_or(streampark_core::Error::is_retryable), "{points:?}");
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
    };
    assert!(failure.message.contains("nobody watched"), "{failure:?}");
    assert!(points.first().is_some_and(|point| point.checkpoint_id >= Some(2)), "{points:#?}");
    late.release(&failing.run).await.unwrap();
}

fn options_again(scene: &Scene) -> YarnOptions {
    options(&scene.hadoop, scene.flink)
}

/// What `main` threw, a class that is absent: sentences that name them.
async fn programs_that_do_not_start(scene: &Scene) {
    let cluster = &scene.cluster;
    let throwing = scene.counting(JobId::generate(), 1, "throws", &["--throw-in-main", "no topic given"]);
    let mut absent = scene.counting(JobId::generate(), 1, "absent", &[]);
    absent.launch.entry_class = Some("com.acme.Absent".to_owned());
    cluster.submit(&throwing).await.unwrap();
    cluster.submit(&absent).await.unwrap();
    scene.until(&throwing.run, &RunStatus::Failed).await;
    let failure = reason(cluster, &throwing.run).await.unwrap();
    assert!(failure.message.contains("no topic given"), "{failure:#?}");
    scene.until(&absent.run, &RunStatus::Failed).await;
    let failure = reason(cluster, &absent.run).await.unwrap();
    assert!(failure.one_line().contains("com.acme.Absent"), "{failure:#?}");
    cluster.release(&throwing.run).await.unwrap();
    cluster.release(&absent.run).await.unwrap();
    assert_eq!(scene.staged().await, Vec::<String>::new());
}

async fn sql(scene: &Scene, script: &str) -> Submission {
    let spec = JobSpec::new("sql", SqlProgram::new(script));
    let context = ProgramContext::new(scene.folder.path().join("cache"));
    let launch = prepare(&spec, &ProgramRegistry::new(), &context).await.unwrap();
    Submission::of_spec(RunRef::new(RunKey::new(JobId::generate(), 1)), &spec, launch)
}

async fn sql_succeeds_and_tells_the_statement_at_fault(scene: &Scene) {
    let cluster = &scene.cluster;
    let good = "SET 'my.token' = 'canary';\n\
                CREATE TABLE words (word STRING) WITH ('connector' = 'datagen', 'number-of-rows' = '20');\n\
                CREATE TABLE nowhere (word STRING) WITH ('connector' = 'blackhole');\n\
                INSERT INTO nowhere SELECT UPPER(word) FROM words;";
    let right = sql(scene, good).await;
    cluster.submit(&right).await.unwrap();
    let wrong = sql(scene, &good.replace("SELECT UPPER", "SELEC UPPER")).await;
    cluster.submit(&wrong).await.unwrap();
    scene.until(&right.run, &RunStatus::Finished).await;
    // A script has secrets: Flink logs its configuration and a program's arguments, so it is in neither.
    let log = cluster.logs(&right.run, &LogOptions::default()).await.unwrap().read_to_string(8 << 20).await.unwrap();
    let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode("SET 'my.token' = 'canary'");
    assert!(log.contains("--script-file") && !log.contains("canary") && !log.contains(&encoded), "{log}");
    scene.until(&wrong.run, &RunStatus::Failed).await;
    let failure = reason(cluster, &wrong.run).await.unwrap();
    assert!(
        failure.message.contains("statement 4 at line 4: INSERT INTO nowhere SELEC UPPER(word) FROM words"),
        "{failure:#?}"
    );
    cluster.release(&right.run).await.unwrap();
    cluster.release(&wrong.run).await.unwrap();
}

/// The answer to the submission is lost on its way: one application, whatever is done next.
async fn a_lost_answer_is_one_application(scene: &Scene) {
    let target = scene.hadoop.at.resource_manager.trim_start_matches("http://").to_owned();
    let proxy = Proxy::start(target, "/cluster/apps?").await.unwrap();
    let mut options = options_again(scene);
    options.resource_managers = vec![proxy.address.clone()];
    let cluster = YarnCluster::new(options).unwrap();
    let mut lost = scene.counting(JobId::generate(), 1, "lost", &[]);
    lost.run.deployment = cluster.reserve(&lost.run.key).await.unwrap();
    proxy.lose(1);
    let accepted = cluster.submit(&lost).await.unwrap();
    assert_eq!((proxy.lost(), accepted.deployment), (1, lost.run.deployment.clone()));
    scene.until(&lost.run, &RunStatus::Running).await;
    assert_eq!(scene.applications(&lost.run).await, 1);
    // Every answer is lost: the caller is told that it may have happened, and asks.
    let mut other = scene.counting(JobId::generate(), 1, "lost-for-good", &[]);
    other.run.deployment = cluster.reserve(&other.run.key).await.unwrap();
    proxy.lose(100);
    let error = cluster.submit(&other).await.unwrap_err();
    assert_eq!(error.status(), ErrorStatus::Unknown, "{error:?}");
    proxy.lose(0);
    assert!(matches!(cluster.lookup(&other.run).await.unwrap(), Lookup::Found(_)));
    assert!(cluster.submit(&other).await.unwrap().already_there);
    assert_eq!(scene.applications(&other.run).await, 1);
    for run in [&lost.run, &other.run] {
        cluster.stop(run, Stop::Kill, &SavepointOptions::default()).await.unwrap();
        cluster.release(run).await.unwrap();
    }
}

/// The ResourceManager dies and comes back: nobody is reported lost or failed meanwhile.
async fn a_resource_manager_restarts(scene: &mut Scene) {
    let mut steady = scene.counting(JobId::generate(), 1, "steady", &[]);
    steady.run.deployment = scene.cluster.submit(&steady).await.unwrap().deployment;
    scene.until(&steady.run, &RunStatus::Running).await;
    let cluster = scene.cluster.clone();
    let run = steady.run.clone();
    let watching = tokio::spawn(async move {
        let (mut errors, mut seen) = (0, Vec::new());
        let end = Instant::now() + Duration::from_secs(25);
        while Instant::now() < end {
            match cluster.observe().await {
                Err(error) => {
                    assert!(error.is_retryable(), "{error:?}");
                    errors += 1;
                }
                Ok(all) => match all.into_iter().find(|seen| seen.key == Some(run.key)) {
                    Some(found) => seen.push(found.status),
                    None => panic!("a list without the run"),
                },
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        (errors, seen)
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.hadoop.order("kill resourcemanager");
    scene.hadoop.order("start resourcemanager");
    let (errors, seen) = watching.await.unwrap();
    assert!(errors > 0, "the restart was not noticed");
    assert!(seen.iter().all(|status| *status == RunStatus::Running), "{seen:?}");
    assert!(matches!(scene.cluster.lookup(&steady.run).await.unwrap(), Lookup::Found(_)));
    scene.cluster.stop(&steady.run, Stop::Cancel, &SavepointOptions::default()).await.unwrap();
    scene.until(&steady.run, &RunStatus::Canceled).await;
    scene.cluster.release(&steady.run).await.unwrap();
    scene.assert_whole("steady");
}

async fn bad_input(scene: &Scene) {
    let kind = |error: &streampark_core::Error| error.kind();
    let refused = async |options: YarnOptions| {
        let submission = scene.counting(JobId::generate(), 1, "bad", &[]);
        YarnCluster::new(options).unwrap().submit(&submission).await.unwrap_err()
    };

    let error = refused(options_again(scene).queue("nosuch")).await;
    assert_eq!(
        (kind(&error), error.message()),
        (
            ErrorKind::InvalidInput,
            "the queue 'nosuch' does not exist; choose one of the cluster's by yarn.application.queue"
        )
    );
    let error = refused(options_again(scene).flink("jobmanager.memory.process.size", "9g")).await;
    assert_eq!(kind(&error), ErrorKind::InvalidInput);
    assert_eq!(
        error.message(),
        "the JobManager needs a container of 9 gb, and the largest that YARN gives here has 4 gb; lower \
         jobmanager.memory.process.size, or raise yarn.scheduler.maximum-allocation-mb"
    );
    let mut wrong = options_again(scene);
    wrong.resource_managers = vec![scene.hadoop.at.web_hdfs.clone()];
    let error = refused(wrong.clone()).await;
    assert_eq!(kind(&error), ErrorKind::UnexpectedResponse);
    assert!(
        error.message().contains("so this is not the ResourceManager's REST interface; check host and port"),
        "{error}"
    );
    wrong.resource_managers = vec![scene.hadoop.at.node_manager.clone()];
    let error = refused(wrong).await;
    assert!(error.message().contains("not the NodeManager's 8042"), "{error}");
    let error = refused(options_again(scene).default_fs("file:///")).await;
    assert_eq!(
        error.message(),
        "fs.defaultFS is 'file:///', and the nodes of a cluster do not share their disks; set fs.defaultFS to the \
         cluster's HDFS in core-site.xml or by the option default_fs, or give shared_folder where they do"
    );
    let mut gone = options_again(scene).provided_lib_dirs(["/flink/lib-1.20.5"]);
    gone.flink_home = None;
    let error = refused(gone).await;
    assert!(error.to_string().contains("a folder with Flink's files is not on the cluster"), "{error}");
    let error = refused(options_again(scene).user("mallory").staging(format!("/user/{}", scene.hadoop.at.user))).await;
    assert_eq!(kind(&error), ErrorKind::PermissionDenied, "{error:?}");
    assert_eq!(scene.staged().await, Vec::<String>::new());
}

async fn plan_and_diagnosis(scene: &Scene) {
    let diagnosis = scene.cluster.diagnose().await;
    assert!(diagnosis.is_good(), "{diagnosis}");
    let bad = YarnCluster::new(options_again(scene).queue("root")).unwrap().diagnose().await;
    assert!(bad.to_string().contains("'root' has queues below it; choose one of root.default, root.flink"), "{bad}");
    let submission = scene.counting(JobId::generate(), 1, "planned", &[]);
    let plan = scene.cluster.plan(&submission).await.unwrap().to_json().unwrap();
    assert!(plan.contains("YarnApplicationClusterEntryPoint") && plan.contains(&submission.run.key.tag()), "{plan}");
    assert_eq!(scene.applications(&submission.run).await, 0);
    let kept = scene.cluster.collect_distributions().await.unwrap();
    assert_eq!((kept.removed.len(), kept.kept.len()), (0, 1));
}

/// Two jobs in one session, which is found by its name, and gone when it was stopped.
async fn a_session_with_two_jobs(scene: &Scene) {
    let sessions = scene.cluster.sessions();
    assert_eq!(sessions.status("reports").await.unwrap(), None);
    let mut spec = SessionSpec::new("reports");
    spec.flink.set("taskmanager.numberOfTaskSlots", "2");
    let session = sessions.start(&spec).await.unwrap();
    let again = sessions.start(&spec).await.unwrap();
    assert_eq!(session.info().location, again.info().location);
    let (one, two) =
        (scene.counting(JobId::generate(), 1, "one", &[]), scene.counting(JobId::generate(), 1, "two", &[]));
    session.submit(&one).await.unwrap();
    session.submit(&two).await.unwrap();
    assert!(session.submit(&two).await.unwrap().already_there);
    let deadline = Instant::now() + Duration::from_secs(240);
    loop {
        let all = match session.observe().await {
            Err(error) if error.is_retryable() && Instant::now() < deadline => Vec::new(),
            all => all.unwrap(),
        };
        if all.len() == 2
            && all.iter().all(|seen| seen.status == RunStatus::Running && seen.tasks.is_some_and(|(on, of)| on == of))
        {
            break;
        }
        assert!(Instant::now() < deadline, "{all:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(scene.cluster.observe().await.unwrap().iter().all(|seen| seen.name != "reports"), "a session is no run");
    let point = session.savepoint(&one.run, &SavepointOptions::default()).await.unwrap();
    assert_eq!(point.verification, Verification::Present);
    // A JobManager that is slow to answer the first time is not RUNNING yet.
    let deadline = Instant::now() + Duration::from_secs(60);
    while sessions.status("reports").await.unwrap().unwrap().1 != SessionStatus::Running {
        assert!(Instant::now() < deadline, "{:?}", sessions.status("reports").await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    the_end_of_a_session_is_told(scene, &session).await;
    sessions.stop("reports").await.unwrap();
    let (_, status) = sessions.status("reports").await.unwrap().unwrap();
    assert!(matches!(status, SessionStatus::Ended(_)), "{status:?}");
    assert_eq!(session.observe().await.unwrap(), Vec::new());
    assert!(matches!(session.lookup(&one.run).await.unwrap(), Lookup::NeverArrived));
    scene.assert_whole("one");
    assert_eq!(scene.staged().await, Vec::<String>::new());
}

/// Two sessions of one name, one after the other: people hear of the end of each, and that there is another.
async fn the_end_of_a_session_is_told(scene: &Scene, session: &Arc<dyn Cluster>) {
    let receiver = Receiver::start().await.unwrap();
    let platform = StreamPark::builder()
        .store(MemoryStore::default())
        .shared_cluster("reports", Arc::clone(session))
        .channel("oncall", Webhook::new(&receiver.address).unwrap())
        .start()
        .await
        .unwrap();
    let error = platform.clusters().alert("reports", ["nobody"]).unwrap_err();
    assert_eq!(error.message(), "there is no channel named 'nobody'; registered are oncall");
    platform.clusters().alert("reports", ["oncall"]).unwrap();
    let told = async |kind: &str, count: usize| -> String {
        let deadline = Instant::now() + Duration::from_secs(120);
        while receiver.count(kind) < count {
            assert!(Instant::now() < deadline, "no {count} {kind}: {:#?}", receiver.alerts());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut all = receiver.alerts().into_iter().filter(|alert| alert["kind"] == kind);
        all.next_back().unwrap()["title"].as_str().unwrap().to_owned()
    };
    let sessions = scene.cluster.sessions();
    sessions.kill("reports").await.unwrap();
    sessions.kill("reports").await.unwrap();
    let title = told("cluster_ended", 1).await;
    assert!(title.starts_with("cluster 'reports' has ended: "), "{title}");
    assert!(title.contains("killed") && title.contains("the session is killed by StreamPark"), "{title}");
    assert!(platform.clusters().views()[0].ended.is_some());
    let next = sessions.start(&SessionSpec::new("reports")).await.unwrap();
    platform.clusters().add_shared("reports", next);
    assert_eq!(told("cluster_recovered", 1).await, "cluster 'reports' is there again");
    sessions.stop("reports").await.unwrap();
    let title = told("cluster_ended", 2).await;
    // A JobManager that takes too long to end is killed.
    let ways = ["the session 'reports' was stopped", "the session is stopped by StreamPark"];
    assert!(
        title.starts_with("cluster 'reports' has ended: ") && ways.iter().any(|way| title.contains(way)),
        "{title}"
    );
    platform.shutdown().await.unwrap();
}

/// The same job as on any other cluster: it fails, comes back in a new application from HDFS, is upgraded.
async fn the_supervisor_brings_it_back(scene: &Scene) {
    let platform = StreamPark::builder()
        .store(SqliteStore::open(scene.folder.path().join("jobs.db")).await.unwrap())
        .cluster("yarn", scene.cluster.clone())
        .cache(scene.folder.path().join("cache"))
        .start()
        .await
        .unwrap();
    let output = scene.output("kept");
    let args = ["--rate", "50", "--restart", "none", "--output", &output, "--fail-once", "--fail-at-checkpoint", "3"];
    let jar =
        JarProgram::new(variable("STREAMPARK_TEST_JOBS_JAR")).entry_class("streampark.testing.CountingJob").args(args);
    let job = platform.jobs().create(JobSpec::new("kept", jar).cluster("yarn")).await.unwrap();
    job.start().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(400);
    let came_back = |job: &Job| {
        let job = job.status().unwrap().job;
        (job.generation, job.state) == (2, JobState::Running)
    };
    while !came_back(&job) {
        assert!(Instant::now() < deadline, "{:#?}", job.history(50).await.unwrap());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Flink says RUNNING before a TaskManager has its container.
    while !elements(Path::new(&output)).last().is_some_and(|element| element.restored) {
        assert!(Instant::now() < deadline, "{:#?}", job.history(50).await.unwrap());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    job.suspend().await.unwrap();
    let wait = WaitOptions::at_most(Duration::from_secs(240));
    job.wait_for_with(JobState::Suspended, wait).await.unwrap();
    let runs = job.runs(10).await.unwrap();
    let restored = runs[0].restored_from.clone().unwrap();
    assert!(restored.kind == RestoreKind::Checkpoint && restored.checkpoint_id >= Some(3), "{restored:?}");
    assert!(runs[1].failure.is_some() && runs[0].run.deployment != runs[1].run.deployment, "{runs:#?}");
    scene.assert_whole("kept");
    for run in &runs {
        assert_eq!(scene.applications(&run.run).await, 1);
    }
    // Ended applications are let go: nothing lingers, nothing is left on HDFS.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !scene.staged().await.is_empty() {
        assert!(Instant::now() < deadline, "{:?}", scene.staged().await);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    platform.shutdown().await.unwrap();
}

async fn all(hadoop: &str, flink: &'static str, outages: bool) {
    let _turn = turn().await;
    let mut scene = Scene::start(hadoop, flink);
    let began = Instant::now();
    let step = |name: &str| println!("{:6.1} s {name}", began.elapsed().as_secs_f32());
    scene.cluster.install(None).await.unwrap();
    step("Flink is on the cluster");
    plan_and_diagnosis(&scene).await;
    step("plan and diagnosis");
    bad_input(&scene).await;
    step("bad input");
    programs_that_do_not_start(&scene).await;
    step("programs that do not start");
    sql_succeeds_and_tells_the_statement_at_fault(&scene).await;
    step("sql");
    a_session_with_two_jobs(&scene).await;
    step("a session");
    the_supervisor_brings_it_back(&scene).await;
    step("the supervisor");
    lives_and_moves_to_another_application(&scene).await;
    step("lives and moves");
    fails_with_its_reason(&scene).await;
    step("fails with its reason");
    fails_unobserved(&scene).await;
    step("fails unobserved");
    if outages {
        a_lost_answer_is_one_application(&scene).await;
        step("a lost answer");
        a_resource_manager_restarts(&mut scene).await;
        step("a ResourceManager restarts");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applications_on_hadoop_3_4_with_flink_1() {
    all("STREAMPARK_TEST_HADOOP_3_4", "STREAMPARK_TEST_FLINK_1", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applications_on_hadoop_3_5_with_flink_2() {
    all("STREAMPARK_TEST_HADOOP_3_5", "STREAMPARK_TEST_FLINK_2", false).await;
}
