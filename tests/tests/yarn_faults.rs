//! What goes wrong around a run on real YARN, under the supervisor: daemons and processes that are killed,
//! requests that are cut, copies made by others. One Hadoop for all of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use streampark_core::cluster::{Cluster as _, LogOptions, RunStatus, SavepointOptions};
use streampark_core::job::{JarProgram, JobSpec, JobState, RestoreKind, RunKey};
use streampark_core::platform::{Job, WaitOptions};
use streampark_core::supervisor::Knowledge;
use streampark_core::{ErrorKind, ErrorStatus, EventKind};
use streampark_tests::flink::variable;
use streampark_tests::hadoop::{Moment, Scene, Tripwire};
use streampark_tests::process::Program;
use streampark_yarn::{YarnCluster, YarnOptions};

/// Long enough for tasks without a JobManager, by what is measured below.
const ORPHANS: Duration = Duration::from_secs(60);

fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

fn id_of(job: &Job) -> String {
    job.status().unwrap().run.unwrap().run.deployment.unwrap().to_string()
}

/// A supervisor is killed before each request of a submission in turn, and another one takes over: one
/// application, and nothing stays on HDFS. No node is there, so nothing is started.
async fn killed_between_every_two_requests(scene: &Scene) {
    let at = &scene.hadoop.at;
    let targets = [at.resource_manager.clone(), at.web_hdfs.clone(), at.data_node.clone()];
    let wire = Tripwire::start(&targets).await.unwrap();
    let mut options = scene.options();
    options.resource_managers = vec![wire.addresses[0].clone()];
    options.web_hdfs = vec![wire.addresses[1].clone()];
    let data_node = wire.addresses[2].trim_start_matches("http://").to_owned();
    options.host_map.insert("127.0.0.1".to_owned(), data_node);
    let options = serde_json::to_string(&options).unwrap();
    let cache = scene.folder.path().join("cache").to_string_lossy().into_owned();
    let start = |name: &str| {
        let store = scene.folder.path().join(format!("{name}.db")).to_string_lossy().into_owned();
        let spec = serde_json::to_string(&scene.counting(name)).unwrap();
        Program::start("submits_yarn", &[store, options.clone(), cache.clone(), spec])
    };
    let (mut cuts, mut sent) = (0, BTreeSet::new());
    loop {
        let name = format!("cut-{cuts}");
        let mut first = start(&name);
        let pid = i32::try_from(first.id()).unwrap();
        let before = wire.requests().len();
        wire.arm(of_a_submission, cuts, Moment::Before, move || end(pid));
        let whole: Option<String> = tokio::task::block_in_place(|| first.try_ask("accepted"));
        wire.disarm();
        let killed = wire.tripped();
        assert!(killed || whole.is_some(), "it is killed by the wire, or not at all");
        // The wire can kill it after its answer.
        let (mut last, id) = match &whole {
            Some(id) if !killed => (first, id.clone()),
            _ => {
                let mut second = start(&name);
                let id = tokio::task::block_in_place(|| second.ask("accepted"));
                (second, id)
            }
        };
        let path = |line: &String| line.split(['?', ' ']).take(2).collect::<Vec<_>>().join(" ");
        sent.extend(wire.requests()[before..].iter().filter(|line| of_a_submission(line)).map(path));
        let live = scene.applications("streampark").await;
        let over = |state: &str| ["FINISHED", "FAILED", "KILLED"].contains(&state);
        let live: Vec<_> = live.into_iter().filter(|(_, state)| !over(state)).map(|(id, _)| id).collect();
        assert_eq!(live, [id], "after {cuts} requests");
        assert!(tokio::task::block_in_place(|| last.ask::<bool>("cancel")));
        assert_eq!(scene.staged().await, Vec::<String>::new(), "after {cuts} requests");
        if !killed {
            break;
        }
        cuts += 1;
    }
    println!("        killed before each of {cuts} requests");
    let sent: Vec<String> = sent.into_iter().collect();
    for part in ["apps/new-application", "POST /ws/v1/cluster/apps", "/config.yaml", "/jobs.jar"] {
        assert!(sent.iter().any(|line| line.contains(part)), "{part}: {sent:#?}");
    }
    assert!(cuts > 10, "{sent:#?}");
}

/// Whether a request is of a submission: not the watch over the cluster, nor the look at Flink's own files.
fn of_a_submission(line: &str) -> bool {
    let submits = line.contains("applicationTags=streampark-") || line.starts_with("POST ");
    let of_one = line.contains("/apps/application_") && !line.contains("appattempts") && !line.starts_with("PUT ");
    let files = line.contains("/webhdfs/") && !line.contains("/.streampark/dist");
    submits || of_one || files
}

/// Queues that refuse, with the words of the refusal.
async fn queues_that_are_full(scene: &Scene) {
    let cluster = YarnCluster::new(scene.options().queue("full")).unwrap();
    let platform = scene.platform(cluster).await;
    let job = platform.jobs().create(scene.counting("full")).await.unwrap();
    job.start().await.unwrap();
    job.wait_for(JobState::Failed).await.unwrap();
    let reason = job.status().unwrap().job.reason.unwrap();
    assert!(reason.contains("the queue 'root.full' takes no more applications"), "{reason}");
    assert_eq!(scene.staged().await, Vec::<String>::new());
    job.delete().await.unwrap();
    platform.shutdown().await.unwrap();
}

/// What is wrong before anything is sent, and a file of Flink's that somebody removed.
async fn refusals_and_a_mended_distribution(scene: &Scene) {
    let platform = scene.platform(YarnCluster::new(scene.options()).unwrap()).await;
    let refused = async |name: &str, change: &dyn Fn(&mut YarnOptions), jar: &Path| {
        let mut options = scene.options();
        change(&mut options);
        platform.clusters().add("bad", YarnCluster::new(options).unwrap());
        let program = JarProgram::new(jar.to_string_lossy()).entry_class("streampark.testing.CountingJob");
        let job = platform.jobs().create(JobSpec::new(name, program).cluster("bad")).await.unwrap();
        job.start().await.unwrap();
        job.wait_for(JobState::Failed).await.unwrap();
        platform.clusters().remove("bad").unwrap();
        job.status().unwrap().job.reason.unwrap()
    };
    let right = PathBuf::from(variable("STREAMPARK_TEST_JOBS_JAR"));
    let user = &scene.hadoop.at.user;
    let closed = |options: &mut YarnOptions| {
        options.user = Some("mallory".to_owned());
        options.distribution_folder = Some(format!("/user/{user}/.streampark/dist"));
    };
    let reason = refused("closed", &closed, &right).await;
    let told = "the staging folder cannot be made: Permission denied: user=mallory, access=WRITE, \
         inode=\"/user\":root:supergroup:drwxr-xr-x; give a folder that the user may write to by the option staging"
        .replace(":root:", &format!(":{user}:"));
    assert!(reason.contains(&told), "{reason}");
    let lib = std::fs::read_dir(Path::new(&variable("STREAMPARK_TEST_FLINK_1")).join("lib")).unwrap().flatten();
    let names: Vec<String> = lib.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let csv = names.iter().find(|name| name.starts_with("flink-csv-")).unwrap();
    let like_a_lib = scene.folder.path().join(csv);
    std::fs::copy(&right, &like_a_lib).unwrap();
    let reason = refused("like-a-lib", &|_| {}, &like_a_lib).await;
    let told = format!(
        "the program's jar '{csv}' has the name of Flink's own 'lib/{csv}': one of both would hide the other; leave it \
         out where it is the same library, else rename it"
    );
    assert!(reason.contains(&told), "{reason}");
    assert_eq!(scene.staged().await, Vec::<String>::new());
    platform.shutdown().await.unwrap();

    let at = &scene.hadoop.at;
    let base = format!("{}/webhdfs/v1/user/{user}/.streampark/dist", at.web_hdfs);
    let dist: serde_json::Value =
        reqwest::get(format!("{base}?op=LISTSTATUS&user.name={user}")).await.unwrap().json().await.unwrap();
    let dist = dist["FileStatuses"]["FileStatus"][0]["pathSuffix"].as_str().unwrap().to_owned();
    let jar = format!("{base}/{dist}/lib/{csv}");
    let client = reqwest::Client::new();
    let gone = client.delete(format!("{jar}?op=DELETE&user.name={user}")).send().await.unwrap();
    assert!(gone.text().await.unwrap().contains("true"));
    YarnCluster::new(scene.options()).unwrap().install(None).await.unwrap();
    let back = reqwest::get(format!("{jar}?op=GETFILESTATUS&user.name={user}")).await.unwrap();
    assert!(back.status().is_success(), "{back:?}");
}

/// Posts an application as nobody of ours would.
async fn post_by_hand(scene: &Scene, tags: &[String]) -> String {
    let base = format!("{}/ws/v1/cluster/apps", scene.hadoop.at.resource_manager);
    let user = [("user.name", &scene.hadoop.at.user)];
    let client = reqwest::Client::new();
    let new = client.post(format!("{base}/new-application")).query(&user).send().await.unwrap();
    let new: serde_json::Value = new.json().await.unwrap();
    let id = new["application-id"].as_str().unwrap().to_owned();
    let context = json!({
        "application-id": id, "application-name": "by hand", "application-type": "by hand", "max-app-attempts": 1,
        "application-tags": {"tag": tags}, "resource": {"memory": 128, "vCores": 1},
        "am-container-spec": {"commands": {"command": "sleep 600"}},
    });
    let answer = client.post(&base).query(&user).json(&context).send().await.unwrap();
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    id
}

/// Somebody submits with the tags of a run that lives: the later id is killed and told of, the run goes on.
async fn a_copy_is_ended_by_rule(scene: &Scene, job: &Job) {
    let (id, run) = (id_of(job), job.status().unwrap().run.unwrap().run.key);
    let other = RunKey::new(run.job, run.generation + 7);
    let stranger = post_by_hand(scene, &[run.tag()]).await;
    let copy = post_by_hand(scene, &["streampark".to_owned(), run.tag()]).await;
    scene.until("the copy is killed", 30, async || scene.state(&copy).await == "KILLED").await;
    scene.until("it is told", 30, async || scene.count(job, EventKind::CopyEnded).await == 1).await;
    let history = job.history(50).await.unwrap();
    let told = history.iter().find(|event| event.kind == EventKind::CopyEnded).unwrap();
    assert_eq!(told.message, format!("{copy} carried the tag of this run too and was ended; one copy goes on"));
    let why = scene.ask(&format!("apps/{copy}")).await;
    let why = why["app"]["diagnostics"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains(&format!("ended by StreamPark: a copy of {id}, which is the same run")), "{why}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(["ACCEPTED", "RUNNING"].contains(&scene.state(&stranger).await.as_str()), "it does not carry our tag");
    assert_eq!((job.status().unwrap().job.state, id_of(job)), (JobState::Running, id));
    assert!(scene.applications(&other.tag()).await.is_empty());
    let url = format!("{}/ws/v1/cluster/apps/{stranger}/state", scene.hadoop.at.resource_manager);
    let user = [("user.name", &scene.hadoop.at.user)];
    let killed = reqwest::Client::new().put(url).query(&user).json(&json!({"state": "KILLED"})).send().await.unwrap();
    assert!(killed.status().is_success(), "{killed:?}");
}

/// The nodes' ports are closed to us: YARN's proxy reads, and what it cannot do is told by kind and remedy.
async fn reads_go_by_the_proxy(scene: &Scene, job: &Job) {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = scene.options();
    options.host_map.insert("localhost".to_owned(), closed.to_string());
    let cluster = YarnCluster::new(options).unwrap();
    let run = job.status().unwrap().run.unwrap().run;
    let read = async || {
        let all = cluster.observe().await.unwrap();
        let seen = all.iter().find(|seen| seen.key == Some(run.key)).unwrap();
        seen.status == RunStatus::Running && seen.tasks.is_some_and(|(on, of)| on == of)
    };
    scene.until("it is read by the proxy", 120, read).await;
    assert!(!cluster.restore_points(&run).await.unwrap().is_empty());
    let error = cluster.savepoint(&run, &SavepointOptions::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unsupported, ErrorStatus::Temporary), "{error:?}");
    let answer = scene.ask(&format!("apps/{}", id_of(job))).await;
    let address = answer["app"]["amRPCAddress"].as_str().unwrap().to_owned();
    let told = format!(
        "only YARN's proxy reaches this JobManager, and it passes reads on, no writes; open {address} to us (a fixed \
         range by rest.bind-port), or map its host by the option host_map"
    );
    assert_eq!(error.message(), told);
}

/// The ResourceManager is killed and comes back: the job is neither lost nor failed, and not started again.
async fn a_resource_manager_comes_back(scene: &mut Scene, job: &Job) {
    let (id, generation) = (id_of(job), job.status().unwrap().job.generation);
    let written = scene.output(job.name()).len();
    scene.hadoop.order("kill resourcemanager");
    let client = reqwest::Client::new();
    let url = format!("{}/ws/v1/cluster/apps/{id}", scene.hadoop.at.resource_manager);
    let watched = job.clone();
    let watching = tokio::spawn(async move {
        let (mut words, mut states, mut known) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let deadline = Instant::now() + Duration::from_secs(200);
        loop {
            let word = match client.get(&url).send().await {
                Err(_) => "no answer".to_owned(),
                Ok(answer) if !answer.status().is_success() => answer.status().as_u16().to_string(),
                Ok(answer) => {
                    let value: serde_json::Value = answer.json().await.unwrap_or_default();
                    value["app"]["state"].as_str().unwrap_or("?").to_owned()
                }
            };
            if words.last() != Some(&word) {
                words.push(word);
            }
            let view = watched.status().unwrap();
            states.insert(view.job.state.to_string());
            known.insert(view.knowledge.as_str());
            if words.len() > 1 && words.last().is_some_and(|word| word == "RUNNING") {
                return (words, states, known);
            }
            assert!(Instant::now() < deadline, "{words:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    // Long enough to be noticed by the supervisor.
    tokio::time::sleep(Duration::from_secs(6)).await;
    scene.hadoop.order("start resourcemanager");
    let (words, states, known) = watching.await.unwrap();
    println!("        the ResourceManager said {words:?}, the supervisor {states:?} and {known:?}");
    assert!(words.contains(&"no answer".to_owned()) && words.contains(&"ACCEPTED".to_owned()), "{words:?}");
    assert_eq!(states, BTreeSet::from(["RUNNING".to_owned()]));
    assert!(known.contains("unreachable") && !known.contains("absent"), "{known:?}");
    let seen = async || matches!(job.status().unwrap().knowledge, Knowledge::Observed(_));
    scene.until("observed again", 60, seen).await;
    unharmed(scene, job, generation, &id, written).await;
}

/// A NodeManager that keeps its state is killed and comes back in time: nothing happens.
async fn a_node_manager_comes_back(scene: &mut Scene, job: &Job) {
    let (id, generation) = (id_of(job), job.status().unwrap().job.generation);
    let written = scene.output(job.name()).len();
    let before = scene.processes(&id, "org.apache.flink.yarn.");
    scene.hadoop.order("kill nodemanager");
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.hadoop.order("start nodemanager");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(scene.processes(&id, "org.apache.flink.yarn."), before);
    unharmed(scene, job, generation, &id, written).await;
}

async fn unharmed(scene: &Scene, job: &Job, generation: u64, id: &str, written: usize) {
    let view = job.status().unwrap();
    assert_eq!((view.job.state, view.job.generation, id_of(job).as_str()), (JobState::Running, generation, id));
    let intents = usize::try_from(generation).unwrap();
    assert_eq!(scene.count(job, EventKind::SubmissionIntended).await, intents);
    assert_eq!(scene.count(job, EventKind::RunFailed).await, intents - 1);
    scene.until("it writes on", 60, async || scene.output(job.name()).len() > written + 10).await;
    scene.assert_whole(job.name());
}

/// Without high availability a killed JobManager is the end of its application: told with its reason, and
/// the job goes on from its newest checkpoint on HDFS. The log is read where YARN collected it.
async fn a_job_manager_is_killed(scene: &Scene, cluster: &YarnCluster, job: &Job) {
    let before = job.status().unwrap().run.unwrap().run;
    let id = id_of(job);
    let [pid] = scene.processes(&id, "YarnApplicationClusterEntryPoint")[..] else { panic!("no JobManager") };
    end(pid);
    scene.until_it_writes(job, 2).await;
    let runs = job.runs(2).await.unwrap();
    let failure = runs[1].failure.clone().unwrap();
    assert!(
        failure.message.starts_with("the JobManager was ended from outside (exit code 137, signal 9): "),
        "{failure:#?}"
    );
    let restored = runs[0].restored_from.clone().unwrap();
    assert!(restored.kind == RestoreKind::Checkpoint && restored.run == Some(before.key), "{restored:#?}");
    assert!(restored.path.starts_with(&format!("{}/flink/checkpoints/", scene.hadoop.at.fs)), "{restored:#?}");
    scene.assert_whole(job.name());
    assert_eq!(scene.applications(&runs[0].run.key.tag()).await.len(), 1);

    let answer = scene.ask(&format!("apps/{id}/appattempts")).await;
    let attempt = &answer["appAttempts"]["appAttempt"][0];
    let container = attempt["containerId"].as_str().unwrap();
    let url = format!("{}/ws/v1/node/containers/{container}/logs", scene.hadoop.at.node_manager);
    let gone = async || !reqwest::get(&url).await.unwrap().status().is_success();
    scene.until("the node forgets the container", 60, gone).await;
    let aggregated = async || scene.ask(&format!("apps/{id}")).await["app"]["logAggregationStatus"] == "SUCCEEDED";
    scene.until("the logs are aggregated", 60, aggregated).await;
    let log = cluster.logs(&before, &LogOptions::default()).await.unwrap().read_to_string(8 << 20).await.unwrap();
    assert!(log.contains("YarnApplicationClusterEntryPoint") && log.contains("Completed checkpoint"), "{log}");
}

/// A node is lost, and its JobManager with it, while a TaskManager lives on and writes: nothing is submitted before
/// YARN says that the node is lost, nor before its tasks can no longer write.
async fn a_node_is_lost(scene: &mut Scene, job: &Job) {
    let before = job.status().unwrap().run.unwrap().run;
    let id = id_of(job);
    let job_manager = scene.processes(&id, "YarnApplicationClusterEntryPoint");
    let task_managers = scene.processes(&id, "YarnTaskExecutorRunner");
    assert_eq!((job_manager.len(), task_managers.len()), (1, 1));
    let killed = Instant::now();
    scene.hadoop.order("kill nodemanager");
    end(job_manager[0]);
    let gone_at_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
    let lost = async || scene.ask("nodes?states=LOST").await.pointer("/nodes/node/0").is_some();
    loop {
        let failed = scene.count(job, EventKind::RunFailed).await;
        if lost().await {
            break;
        }
        assert!(killed.elapsed() < Duration::from_secs(300), "YARN never gives the node up");
        assert_eq!(failed, 1, "before YARN gave the node up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let lost_after = killed.elapsed();
    scene.hadoop.order("start nodemanager2");
    let history = async || job.history(500).await.unwrap();
    scene.until("it failed", 60, async || scene.count(job, EventKind::RunFailed).await == 2).await;
    let failed = history().await.into_iter().find(|event| event.kind == EventKind::RunFailed).unwrap();
    assert_eq!(failed.error.as_deref(), Some("the node that ran the JobManager was lost"));
    let run = job.runs(1).await.unwrap().remove(0);
    assert_eq!(run.run.key, before.key);
    let until = run.tasks_until.unwrap();
    let decided = history().await.into_iter().find(|event| event.kind == EventKind::RestartDecided).unwrap();
    assert!(decided.message.ends_with("when its tasks can no longer be at work"), "{}", decided.message);
    scene.until_it_writes(job, 3).await;
    let sent = job.runs(1).await.unwrap().remove(0).intended_at;
    assert!(sent >= until, "submitted at {sent}, tasks until {until}");

    let own = before.flink_job.to_string();
    let last = scene.output(job.name()).into_iter().rfind(|element| element.flink_job == own).unwrap();
    let late = last.at_ms.saturating_sub(gone_at_ms);
    println!(
        "        lost {:.1} s after its NodeManager was killed; its tasks wrote for {:.1} s more after their JobManager was gone",
        lost_after.as_secs_f32(),
        f64::from(u32::try_from(late).unwrap()) / 1_000.0
    );
    assert!(late > 0, "the JobManager died first");
    let last_at = jiff::Timestamp::from_millisecond(i64::try_from(last.at_ms).unwrap()).unwrap();
    assert!(last_at < until, "it wrote until {last_at}, and was waited for until {until}");
    scene.assert_whole(job.name());
}

/// A ResourceManager that takes no submissions by REST.
async fn submissions_are_switched_off(scene: &mut Scene) {
    scene.hadoop.order("set yarn yarn.webapp.enable-rest-app-submissions=false");
    scene.hadoop.order("kill resourcemanager");
    scene.hadoop.order("start resourcemanager");
    let cluster = YarnCluster::new(scene.options()).unwrap();
    let error = cluster.reserve(&RunKey::new(streampark_core::job::JobId::generate(), 1)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::Unsupported,
            "this ResourceManager takes no submissions by REST; set yarn.webapp.enable-rest-app-submissions=true there"
        )
    );
    let active = async || scene.ask("info").await["clusterInfo"]["haState"] == "ACTIVE";
    scene.until("the ResourceManager is active", 60, active).await;
    let diagnosis = cluster.diagnose().await;
    assert!(diagnosis.to_string().contains("takes no submissions by REST"), "{diagnosis}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn faults_on_hadoop_3_4() {
    let mut scene = Scene::start(&[
        "--rm-recovery",
        "--nm-recovery",
        "--nm-expiry=60",
        "--yarn=yarn.log-aggregation-enable=true",
        "--hdfs=dfs.datanode.hostname=127.0.0.1",
        "--scheduler=yarn.scheduler.capacity.root.queues=default,flink,full",
        "--scheduler=yarn.scheduler.capacity.root.full.capacity=0",
        "--scheduler=yarn.scheduler.capacity.root.full.maximum-capacity=100",
        "--scheduler=yarn.scheduler.capacity.root.full.maximum-applications=0",
    ]);
    let began = Instant::now();
    let step = |name: &str| println!("{:6.1} s {name}", began.elapsed().as_secs_f32());
    let mut options = scene.options();
    options.orphan_timeout = ORPHANS;
    let cluster = YarnCluster::new(options).unwrap();
    cluster.install(None).await.unwrap();
    step("Flink is on the cluster");
    let platform = scene.platform(cluster.clone()).await;
    let job = platform.jobs().create(scene.counting("steady")).await.unwrap();
    job.start().await.unwrap();
    scene.until_it_writes(&job, 1).await;
    step("a job runs");
    a_copy_is_ended_by_rule(&scene, &job).await;
    step("a copy");
    reads_go_by_the_proxy(&scene, &job).await;
    step("the proxy");
    a_resource_manager_comes_back(&mut scene, &job).await;
    step("the ResourceManager");
    a_node_manager_comes_back(&mut scene, &job).await;
    step("the NodeManager");
    a_job_manager_is_killed(&scene, &cluster, &job).await;
    step("the JobManager");
    a_node_is_lost(&mut scene, &job).await;
    step("the node");
    job.cancel().await.unwrap();
    job.wait_for_with(JobState::Canceled, WaitOptions::at_most(Duration::from_secs(120))).await.unwrap();
    scene.until("nothing stays on HDFS", 60, async || scene.staged().await.is_empty()).await;
    platform.shutdown().await.unwrap();
    step("cancelled");
    // Without a node, applications are accepted and nothing is started.
    scene.hadoop.order("kill nodemanager2");
    killed_between_every_two_requests(&scene).await;
    step("killed between every two requests");
    queues_that_are_full(&scene).await;
    step("full queues");
    refusals_and_a_mended_distribution(&scene).await;
    step("refusals");
    submissions_are_switched_off(&mut scene).await;
    step("submissions by REST");
}
