//! Two ResourceManagers and a ZooKeeper on real YARN: the active one dies in the middle of submissions, and
//! nobody is active while ZooKeeper stands still.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streampark_core::cluster::Cluster as _;
use streampark_core::job::JobState;
use streampark_core::platform::Job;
use streampark_core::supervisor::Knowledge;
use streampark_core::{ErrorKind, EventKind, StreamPark};
use streampark_tests::hadoop::{Moment, Scene, Tripwire};
use streampark_yarn::YarnCluster;

/// The name of the daemon that is active.
async fn active(addresses: &[String]) -> &'static str {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        for (name, base) in ["resourcemanager", "resourcemanager2"].into_iter().zip(addresses) {
            let asked =
                reqwest::Client::new().get(format!("{base}/ws/v1/cluster/info")).timeout(Duration::from_secs(5));
            if let Ok(answer) = asked.send().await
                && let Ok(value) = answer.json::<serde_json::Value>().await
                && value["clusterInfo"]["haState"] == "ACTIVE"
            {
                return name;
            }
        }
        assert!(Instant::now() < deadline, "no ResourceManager is active");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The active ResourceManager is killed at the POST of a submission: one application, whichever takes over.
async fn the_active_one_is_killed_at(
    moment: Moment,
    name: &str,
    scene: &Arc<Scene>,
    wire: &Tripwire,
    platform: &StreamPark,
) -> Job {
    let dying = active(&scene.hadoop.at.resource_managers).await;
    let shared = Arc::clone(scene);
    wire.arm(
        |line| line.starts_with("POST /ws/v1/cluster/apps?"),
        0,
        moment,
        move || {
            shared.hadoop.order(&format!("kill {dying}"));
        },
    );
    let job = platform.jobs().create(scene.counting(name)).await.unwrap();
    job.start().await.unwrap();
    let began = Instant::now();
    while job.status().unwrap().job.state != JobState::Running {
        assert!(began.elapsed() < Duration::from_secs(600), "{:#?}", job.history(50).await.unwrap());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    scene.until_it_writes(&job, 1).await;
    assert!(wire.tripped());
    assert_ne!(active(&scene.hadoop.at.resource_managers).await, dying);
    let run = job.status().unwrap().run.unwrap();
    assert_eq!(run.run.key.generation, 1);
    println!("        {moment:?}: {} attempts, running after {:.1} s", run.attempts, began.elapsed().as_secs_f32());
    scene.hadoop.order(&format!("start {dying}"));
    job
}

/// ZooKeeper stands still: both ResourceManagers go on standby, which is told; the jobs run on, and nothing
/// is done about them.
async fn zookeeper_is_frozen(scene: &Arc<Scene>, platform: &StreamPark, jobs: &[&Job]) {
    let direct = YarnCluster::new(scene.options()).unwrap();
    let written: Vec<usize> = jobs.iter().map(|job| scene.output(job.name()).len()).collect();
    scene.hadoop.order("pause zookeeper");
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut told = BTreeSet::new();
    let message = "no ResourceManager is active: the one that was asked is on standby, and knows of none; wait, or give \
                   the addresses of all of them";
    loop {
        if let Err(error) = direct.observe().await {
            assert!(error.is_retryable(), "{error:?}");
            told.insert(error.message().to_owned());
            if error.message() == message {
                assert_eq!(error.kind(), ErrorKind::Remote);
                break;
            }
        }
        assert!(Instant::now() < deadline, "{told:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let unreachable = || jobs.iter().all(|job| matches!(job.status().unwrap().knowledge, Knowledge::Unreachable(_)));
    while !unreachable() {
        assert!(Instant::now() < deadline, "the supervisor does not notice");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let view = platform.clusters().views().remove(0);
    println!("        while both were on standby: {told:#?}, {:?}", view.last_error);
    scene.hadoop.order("resume zookeeper");
    active(&scene.hadoop.at.resource_managers).await;
    let deadline = Instant::now() + Duration::from_secs(240);
    while !jobs.iter().all(|job| matches!(job.status().unwrap().knowledge, Knowledge::Observed(_))) {
        assert!(Instant::now() < deadline, "{:?}", platform.clusters().views());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for (job, written) in jobs.iter().zip(written) {
        let writes = || scene.output(job.name()).len() > written + 10;
        while !writes() {
            assert!(Instant::now() < deadline, "{} does not write on", job.name());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_resource_managers_on_hadoop_3_4() {
    let scene = Scene::start(&["--ha"]);
    let began = Instant::now();
    let step = |name: &str| println!("{:6.1} s {name}", began.elapsed().as_secs_f32());
    let wire = Tripwire::start(&scene.hadoop.at.resource_managers).await.unwrap();
    let mut options = scene.options();
    options.resource_managers = wire.addresses.clone();
    let cluster = YarnCluster::new(options).unwrap();
    let platform = scene.platform(cluster.clone()).await;
    let scene = Arc::new(scene);
    active(&scene.hadoop.at.resource_managers).await;
    cluster.install(None).await.unwrap();
    step("Flink is on the cluster");
    let first = the_active_one_is_killed_at(Moment::Before, "before", &scene, &wire, &platform).await;
    step("killed before the POST arrived");
    let second = the_active_one_is_killed_at(Moment::Answered, "answered", &scene, &wire, &platform).await;
    step("killed when it had answered");
    zookeeper_is_frozen(&scene, &platform, &[&first, &second]).await;
    step("a frozen ZooKeeper");
    for job in [&first, &second] {
        let view = job.status().unwrap();
        assert_eq!((view.job.generation, &view.job.state), (1, &JobState::Running), "{}", job.name());
        let history = job.history(500).await.unwrap();
        assert!(history.iter().all(|event| event.kind != EventKind::RunFailed), "{history:#?}");
        let tag = view.run.unwrap().run.key.tag();
        let applications = scene.applications(&tag).await;
        assert_eq!(applications.len(), 1, "{applications:?}");
        scene.assert_whole(job.name());
        job.cancel().await.unwrap();
        job.wait_for(JobState::Canceled).await.unwrap();
    }
    scene.until("nothing stays on HDFS", 60, async || scene.staged().await.is_empty()).await;
    platform.shutdown().await.unwrap();
}
