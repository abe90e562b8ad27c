//! The whole road, on both major versions of Flink: a repository behind ssh, a Maven build, an application on real
//! YARN, a failure that is told and survived, a new commit that takes over with a savepoint, and the history of it all.

use std::path::Path;
use std::time::{Duration, Instant};

use streampark_core::alert::Webhook;
use streampark_core::build::{ArtifactFilter, ArtifactStore, CredentialsSpec, ProjectSpec};
use streampark_core::job::{Dependency, JarProgram, JobSpec, JobState, ModuleRef, RestoreKind};
use streampark_core::platform::{Job, Project, Projects, ProjectsOptions, WaitOptions};
use streampark_core::project::git::GitOptions;
use streampark_core::store::{RunRecord, SqliteStore};
use streampark_core::{EventKind, StreamPark};
use streampark_tests::git_host::GitHost;
use streampark_tests::hadoop::{Hadoop, patient, small};
use streampark_tests::output::{Element, elements, faults};
use streampark_tests::webhook::Receiver;
use streampark_yarn::{YarnCluster, YarnOptions};

/// On HDFS.
const ARTIFACTS: &str = "/streampark/artifacts";
const MODULE: &str = "jobs/orders";
const PRICE: &str = "shared/src/main/java/streampark/orders/shared/Price.java";
const THROWN: &str = "java.lang.IllegalStateException: no price for order ";

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run: make test-yarn"))
}

fn yarn(hadoop: &Hadoop, flink: &str) -> YarnCluster {
    let options = small(YarnOptions::from_hadoop_conf(&hadoop.at.conf))
        .flink_home(variable(flink))
        .flink("state.checkpoints.dir", format!("{}/flink/checkpoints", hadoop.at.fs))
        .flink("state.savepoints.dir", format!("{}/flink/savepoints", hadoop.at.fs));
    YarnCluster::new(options).unwrap()
}

struct Road {
    folder: tempfile::TempDir,
    host: GitHost,
    hadoop: Hadoop,
    orders: Project,
    platform: StreamPark,
    receiver: Receiver,
}

impl Road {
    async fn open() -> Self {
        let hadoop = variable("STREAMPARK_TEST_HADOOP_3_5");
        let hadoop = tokio::task::spawn_blocking(move || Hadoop::start(&hadoop, &[]));
        let host = tokio::task::spawn_blocking(|| GitHost::start("streaming")).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut git = GitOptions::default();
        git.known_hosts = vec![host.at.known_hosts.clone()];
        let hadoop = hadoop.await.unwrap();
        let blobs = yarn(&hadoop, "STREAMPARK_TEST_FLINK_2").blobs(ARTIFACTS);
        let artifacts = ArtifactStore::of_blobs(blobs, folder.path().join("artifacts"));
        let options = ProjectsOptions::default().git(git).artifacts(artifacts);
        let projects = Projects::open(folder.path().join("projects"), options).await.unwrap();
        let spec = ProjectSpec::git("orders", &host.at.url)
            .reference("main")
            .credentials(CredentialsSpec::Key { file: host.at.key.clone(), passphrase: None })
            .module(MODULE)
            .owner("team-orders")
            .environment("prod");
        let orders = projects.put(spec).await.unwrap();
        let receiver = Receiver::start().await.unwrap();
        let platform = StreamPark::builder()
            .supervisor(patient())
            .store(SqliteStore::open(folder.path().join("jobs.db")).await.unwrap())
            .cluster("yarn-flink-1", yarn(&hadoop, "STREAMPARK_TEST_FLINK_1"))
            .cluster("yarn-flink-2", yarn(&hadoop, "STREAMPARK_TEST_FLINK_2"))
            .channel("oncall", Webhook::new(&receiver.address).unwrap())
            .cache(folder.path().join("cache"))
            .projects(projects)
            .start()
            .await
            .unwrap()
            .acting_as("ada");
        Self { folder, host, hadoop, orders, platform, receiver }
    }

    /// Synchronises and builds what was pushed last; gives the commit and the build that made its artifact, which is
    /// an earlier one where the commit was built before.
    async fn build(&self) -> (String, String) {
        let commit = self.orders.sync().await.unwrap().revision.id;
        let build = self.orders.build().await.unwrap();
        if let Err(error) = build.wait().await {
            panic!("{}: {:#?}", error.chain(), build.tail(50).await.unwrap());
        }
        let artifact = build.artifacts().await.unwrap().remove(0);
        assert_eq!(artifact.revision.id, commit);
        (commit, artifact.build.unwrap())
    }
}

/// Waits until what the job has written pleases; Flink says RUNNING before the tasks have their containers.
async fn written(job: &Job, output: &str, wanted: impl Fn(&[Element]) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(600);
    loop {
        let all = elements(Path::new(output));
        if wanted(&all) {
            return;
        }
        assert!(Instant::now() < deadline, "{:?} {:#?}", all.last(), job.history(50).await.unwrap());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn walk(road: &Road, cluster: &str) {
    let began = Instant::now();
    let step = |what: &str| println!("{:6.1} s {cluster}: {what}", began.elapsed().as_secs_f32());
    let told = road.receiver.alerts().len();
    let output = road.folder.path().join(cluster).to_string_lossy().into_owned();
    let (commit, first_build) = road.build().await;
    step("built");

    let module = ModuleRef::new("orders").module(MODULE);
    let program = JarProgram::new(Dependency::Module(module)).args([output.as_str(), "3"]);
    let spec = JobSpec::new(cluster, program)
        .cluster(cluster)
        .owner("ada")
        .alert("oncall")
        // Flink's own restarts would hide the failure.
        .flink("restart-strategy.type", "none");
    let job = road.platform.jobs().create(spec).await.unwrap();
    job.start().await.unwrap();
    written(&job, &output, |all| all.last().is_some_and(|element| element.restored)).await;
    step("failed and came back");
    let second = job.status().unwrap().run.unwrap();
    assert_eq!(second.run.key.generation, 2);
    let failed = job.failure().await.unwrap().unwrap().one_line();
    assert!(failed.starts_with(THROWN) && failed.ends_with(": the price list is empty"), "{failed}");
    let from = second.restored_from.unwrap();
    assert!(from.kind == RestoreKind::Checkpoint && from.checkpoint_id >= Some(3), "{from:?}");
    assert!(from.path.starts_with(&format!("{}/flink/checkpoints/", road.hadoop.at.fs)), "{from:?}");
    let deadline = Instant::now() + Duration::from_secs(60);
    let alert = loop {
        let alerts = road.receiver.alerts();
        match alerts.into_iter().skip(told).find(|alert| alert["kind"] == "job_failed") {
            Some(alert) => break alert,
            None => assert!(Instant::now() < deadline, "nobody was told"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((alert["job_name"].as_str(), alert["owner"].as_str()), (Some(cluster), Some("ada")));
    assert!(alert["cause"]["message"].as_str().unwrap().starts_with("no price for order "), "{alert}");

    // A higher postage: a commit, pushed over ssh, built, and put in the place of what runs.
    let raised = |text: &str| text.replace("+ 599", "+ 699").replace("+ 499", "+ 599");
    let pushed = road.host.push("A higher postage", PRICE, raised);
    let (newer, second_build) = road.build().await;
    assert_eq!(newer, pushed);
    step("the new commit is built");
    // Somebody else asks for the new code: the history says who.
    road.platform.acting_as("bob").jobs().get(cluster).unwrap().restart().await.unwrap();
    written(&job, &output, |all| {
        all.iter().map(|element| &element.flink_job).collect::<std::collections::BTreeSet<_>>().len() == 3
    })
    .await;
    step("upgraded");

    let runs = job.runs(10).await.unwrap();
    let [third, second, first] = runs.as_slice() else { panic!("{runs:#?}") };
    let savepoint = third.restored_from.clone().unwrap();
    assert_eq!((savepoint.kind, savepoint.run), (RestoreKind::Savepoint, Some(second.run.key)));
    assert!(savepoint.path.starts_with(&format!("{}/flink/savepoints/", road.hadoop.at.fs)), "{savepoint:?}");
    assert_eq!((&first.outcome, &second.outcome), (&Some(JobState::Failed), &Some(JobState::Suspended)));
    let applications =
        runs.iter().map(|run| run.run.deployment.clone().unwrap()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(applications.len(), 3, "{applications:?}");
    assert!(applications.iter().all(|id| id.to_string().starts_with("application_")), "{applications:?}");
    let origin = road.platform.projects().unwrap().origin(&job).await.unwrap().unwrap();
    assert_eq!(
        (&origin.revision.id, origin.revision.author.as_deref()),
        (&newer, Some("Ada Lovelace <ada@example.com>"))
    );
    assert_eq!(
        (origin.build.unwrap().id, origin.project.unwrap().owner.as_str()),
        (second_build.clone(), "team-orders")
    );
    let builds: Vec<String> = road.orders.builds().into_iter().map(|build| build.id).collect();
    assert!(builds.contains(&first_build) && builds.contains(&second_build), "{builds:?}");
    // Each run says what it was made of: the restart after the failure ran what had failed.
    let made = |run: &RunRecord| ["commit", "build"].map(|fact| run.pins[0].facts[fact].clone());
    assert_eq!(
        [first, second, third].map(made),
        [[commit.clone(), first_build.clone()], [commit, first_build], [newer, second_build]]
    );
    let history = job.history(200).await.unwrap();
    for (kind, actor) in [
        (EventKind::JobCreated, "ada"),
        (EventKind::Requested, "bob"),
        (EventKind::RunFailed, "supervisor"),
        (EventKind::RestartDecided, "supervisor"),
    ] {
        assert!(history.iter().any(|event| event.kind == kind && event.actor == actor), "{kind:?}: {history:#?}");
    }

    job.cancel().await.unwrap();
    job.wait_for_with(JobState::Canceled, WaitOptions::at_most(Duration::from_secs(120))).await.unwrap();
    assert_eq!(faults(&elements(Path::new(&output))), Vec::<String>::new());
    step("cancelled");
}

/// The artifacts of the builds are on HDFS and nowhere else.
async fn another_machine_sees_the_artifacts(road: &Road) {
    let cluster = yarn(&road.hadoop, "STREAMPARK_TEST_FLINK_2");
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::of_blobs(cluster.blobs(format!("{}{ARTIFACTS}", road.hadoop.at.fs)), folder.path());
    let own = road.platform.projects().unwrap().artifacts().list(&ArtifactFilter::default()).await.unwrap();
    let seen = store.list(&ArtifactFilter::default()).await.unwrap();
    assert_eq!(seen, own);
    assert!(seen.len() >= 2, "{seen:#?}");
    for artifact in &seen {
        let jar = store.jar(artifact).await.unwrap();
        assert!(std::fs::read(&jar).unwrap().starts_with(b"PK"), "{}", jar.display());
    }
    streampark_tests::blobs::keeps(cluster.blobs("/streampark/other")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_repository_to_an_application_that_is_upgraded() {
    let road = Road::open().await;
    walk(&road, "yarn-flink-1").await;
    walk(&road, "yarn-flink-2").await;
    another_machine_sees_the_artifacts(&road).await;
    road.platform.shutdown().await.unwrap();
}
