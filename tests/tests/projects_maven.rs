//! Real Maven builds of a Flink project with two modules, from a real ssh server to a real Flink.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use streampark_core::build::{
    BuildFailure, BuildFailureKind, BuildOrder, BuildRecord, BuildState, BuildUpdate, BuilderSpec, CredentialsSpec,
    MavenOptions, ModuleSpec, ProjectSpec,
};
use streampark_core::cluster::LocalCluster;
use streampark_core::job::{Dependency, JarProgram, JobSpec, JobState, ModuleRef};
use streampark_core::platform::{Project, Projects, ProjectsOptions, WaitOptions};
use streampark_core::project::git::GitOptions;
use streampark_core::store::MemoryStore;
use streampark_core::{Error, ErrorKind, StreamPark};
use streampark_tests::git_server::{Repositories, SshServer};
use streampark_tests::sources;

const JOB: &str = "jobs/orders";
const MAIN: &str = "jobs/orders/src/main/java/streampark/orders/OrdersJob.java";

struct Scene {
    folder: tempfile::TempDir,
    repositories: Repositories,
    server: SshServer,
    projects: Projects,
}

impl Scene {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (repositories, server) = (Repositories::new(), SshServer::start());
        repositories.create("orders");
        let mut git = GitOptions::default();
        git.known_hosts = vec![server.known_hosts()];
        let options = ProjectsOptions::default().git(git);
        let projects = Projects::open(folder.path().join("data"), options).await.unwrap();
        let scene = Self { folder, repositories, server, projects };
        let files = sources::project("two-modules");
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        scene.repositories.commit("orders", "main", "orders and their prices", &files);
        scene
    }

    fn spec(&self) -> ProjectSpec {
        ProjectSpec::git("orders", self.server.url(&self.repositories.path("orders")))
            .reference("main")
            .credentials(CredentialsSpec::Key { file: self.server.key("client"), passphrase: None })
            .module(ModuleSpec::new(JOB))
            .owner("team-orders")
            .environment("test")
    }

    async fn declare(&self, options: MavenOptions) -> Project {
        self.projects.put(self.spec().builder(BuilderSpec::Maven(options))).await.unwrap()
    }

    fn push(&self, message: &str, path: &str, change: impl FnOnce(&str) -> String) -> String {
        let files = sources::project("two-modules");
        let (_, text) = files.iter().find(|(file, _)| file == path).unwrap();
        self.repositories.commit("orders", "main", message, &[(path, &change(text))])
    }
}

async fn failure(project: &Project) -> (BuildFailure, Error) {
    let build = project.build().await.unwrap();
    let error = build.wait().await.unwrap_err();
    let Some(failure) = BuildFailure::of(&error) else {
        panic!("{}: {:#?}", error.chain(), build.tail(50).await.unwrap());
    };
    (failure.clone(), error)
}

async fn succeeded(project: &Project) -> BuildRecord {
    let build = project.build().await.unwrap();
    match build.wait().await {
        Ok(record) => record,
        Err(error) => panic!("{}: {:#?}", error.chain(), build.tail(50).await.unwrap()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_repository_to_a_running_job_and_back() {
    let scene = Scene::open().await;
    let commit = scene.repositories.git("orders", &["rev-parse", "main"]);
    // What a shell would run is a text like any other: allowed in a value, and without effect.
    let trap = scene.folder.path().join("trap");
    let value = format!("a; touch {0} | touch {0} & touch {0} || touch {0}", trap.display());
    let orders = scene.declare(MavenOptions::default().property("x", value)).await;
    let report = orders.sync().await.unwrap();
    assert_eq!((report.revision.id.as_str(), report.changed), (commit.as_str(), true));

    let build = orders.build_with(BuildOrder::new("").actor("ada")).await.unwrap();
    let mut follower = build.follow().unwrap();
    let mut steps = Vec::new();
    while let Some(update) = follower.next().await {
        if let BuildUpdate::Step(step) = update {
            steps.push(step);
        }
    }
    if let Err(error) = build.wait().await {
        panic!("{}: {:#?}", error.chain(), build.tail(50).await.unwrap());
    }
    assert!(!trap.exists());
    for part in ["Building orders-shared 1.0", "Building orders-job 1.0"] {
        assert!(steps.iter().any(|step| step.contains(part)), "{steps:#?}");
    }
    let log = build.log(0, 1 << 20).await.unwrap().text;
    assert!(log.contains("BUILD SUCCESS") && !log.contains('\u{1b}'), "{log}");
    let [artifact] = build.artifacts().await.unwrap().try_into().unwrap();
    assert_eq!((artifact.module.as_str(), artifact.job_jar.path.as_str()), (JOB, "orders-job-1.0.jar"));
    assert_eq!(artifact.rule, "the only jar that can run");
    assert_eq!(artifact.passed[0].0, "original-orders-job-1.0.jar");
    assert_eq!(artifact.revision.author.as_deref(), Some("Ada Lovelace <ada@example.com>"));
    assert!(artifact.facts["tool"].starts_with("Maven of the "));
    assert!(artifact.facts["jdk"].starts_with(|digit: char| digit.is_ascii_digit()), "{:?}", artifact.facts);

    // The same commit again: known. The same bytes from another commit: one artifact, another story.
    let again = orders.build().await.unwrap().wait().await.unwrap();
    assert_eq!(again.reused.as_deref(), Some(build.id()));
    assert!(orders.build_if_changed().await.unwrap().is_none());
    let second = scene.push("words only", "README.md", |text| format!("{text}More.\n"));
    let built = orders.build_if_changed().await.unwrap().unwrap().wait().await.unwrap();
    assert_eq!((built.revision.unwrap().id, built.reused), (second.clone(), None));
    assert_eq!(built.artifacts, [(JOB.to_owned(), artifact.id.clone())], "the same sources give the same bytes");

    let home =
        std::env::var("STREAMPARK_TEST_FLINK_1").expect("STREAMPARK_TEST_FLINK_1 is not set; run: make test-projects");
    let flink =
        LocalCluster::builder().flink_home(&home).work_dir(scene.folder.path().join("flink")).start().await.unwrap();
    let platform = StreamPark::builder()
        .store(MemoryStore::default())
        .cluster("local", flink.clone())
        .cache(scene.folder.path().join("cache"))
        .projects(scene.projects.clone())
        .start()
        .await
        .unwrap();
    let output = scene.folder.path().join("output");
    let module = ModuleRef::new("orders").module(JOB).commit(commit.clone());
    let program = JarProgram::new(Dependency::Module(module)).args([output.to_str().unwrap()]);
    let job = platform.jobs().create(JobSpec::new("orders", program).cluster("local")).await.unwrap();
    job.start().await.unwrap();
    let wait = WaitOptions::at_most(Duration::from_secs(90));
    if let Err(error) = job.wait_for_with(JobState::Finished, wait).await {
        panic!("{error}: {:#?}", job.history(30).await.unwrap());
    }
    let lines = std::fs::read_to_string(&output).unwrap();
    assert_eq!(lines.lines().collect::<Vec<_>>()[..2], ["1 599", "2 699"]);
    assert_eq!(lines.lines().count(), 10);

    let origin = platform.projects().unwrap().origin(&job).await.unwrap().unwrap();
    assert_eq!((origin.name.as_str(), origin.module.as_str()), ("orders", JOB));
    assert_eq!((origin.revision.id.as_str(), origin.revision.reference.as_deref()), (commit.as_str(), Some("main")));
    assert_eq!(origin.revision.summary.as_deref(), Some("orders and their prices"));
    let project = origin.project.unwrap();
    assert_eq!((project.owner.as_str(), project.environment.as_str()), ("team-orders", "test"));
    let made_by = origin.build.unwrap();
    assert_eq!((made_by.id.as_str(), made_by.order.actor.as_str()), (build.id(), "ada"));
    assert_eq!(origin.readme.unwrap().0, "README.md");
    let error = scene.projects.remove("orders").await.unwrap_err();
    assert!(error.message().contains("is used by the jobs orders"), "{error}");
    platform.shutdown().await.unwrap();
    flink.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_failure_of_maven_has_its_own_reason() {
    let scene = Scene::open().await;
    let orders = scene.declare(MavenOptions::default()).await;
    scene.push("broken", MAIN, |text| text.replace("env.setParallelism(1);", "env.setParallelism(one)"));
    let (failure_of, error) = failure(&orders).await;
    assert_eq!((failure_of.kind, error.kind()), (BuildFailureKind::Compile, ErrorKind::Program));
    assert_eq!(error.message(), "the code of module 'orders-job' does not compile");
    assert_eq!(failure_of.lines, [format!("{MAIN}:17:32: ';' expected")]);

    let pom = "jobs/orders/pom.xml";
    let missing = "<dependency><groupId>streampark.orders</groupId><artifactId>no-such-thing</artifactId><version>9</version></dependency>";
    scene.push("mended", MAIN, str::to_owned);
    scene.push("missing", pom, |text| text.replacen("<dependencies>", &format!("<dependencies>{missing}"), 1));
    let (failure_of, error) = failure(&orders).await;
    assert_eq!(failure_of.kind, BuildFailureKind::Dependency, "{}", error.chain());
    assert!(
        failure_of.lines.iter().any(|line| line.contains("streampark.orders:no-such-thing:jar:9")),
        "{failure_of:?}"
    );

    // A test of the project that fails: the class is run by surefire's own runner, which needs no framework.
    let pojo =
        "public class PriceTest { public void testPrice() { throw new AssertionError(\"the price is wrong\"); } }\n";
    scene.push("mended", pom, str::to_owned);
    scene.repositories.commit("orders", "main", "test", &[("jobs/orders/src/test/java/PriceTest.java", pojo)]);
    let orders = scene.declare(MavenOptions::default().tests(true)).await;
    let (failure_of, error) = failure(&orders).await;
    assert_eq!(failure_of.kind, BuildFailureKind::Tests, "{}", error.chain());
    assert!(failure_of.lines.iter().any(|line| line.contains("the price is wrong")), "{failure_of:?}");

    let mut small = MavenOptions::default();
    small.heap_mb = Some(16);
    let orders = scene.declare(small).await;
    let (failure_of, error) = failure(&orders).await;
    assert_eq!(failure_of.kind, BuildFailureKind::OutOfMemory, "{}", error.chain());
    assert_eq!(error.message(), "Maven ran out of memory; give it a larger heap, or the machine more memory");

    let orders = scene.declare(MavenOptions::default().folder("shared/src")).await;
    let (failure_of, error) = failure(&orders).await;
    assert_eq!(failure_of.kind, BuildFailureKind::BuildFile);
    assert_eq!(
        error.message(),
        "there is no pom.xml in the folder 'shared/src' of the project; name the folder that holds it with the option 'folder', or take another builder"
    );
    let orders = scene.declare(MavenOptions::default()).await;
    let build = orders.build_with(BuildOrder::new("").module("jobs/returns")).await.unwrap();
    let error = build.wait().await.unwrap_err();
    assert_eq!(error.message(), "the project has no module 'jobs/returns'; its modules are shared, jobs/orders");
    assert_eq!(BuildFailure::of(&error).unwrap().kind, BuildFailureKind::Module);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_and_a_cancelled_maven_are_told_apart() {
    let scene = Scene::open().await;
    let orders = scene.declare(MavenOptions::default()).await;
    let build = orders.build().await.unwrap();
    let java = maven_of(build.id()).await;
    kill(Pid::from_raw(java), Signal::SIGKILL).unwrap();
    let error = build.wait().await.unwrap_err();
    assert_eq!(error.message(), "Maven was ended from outside by signal 9; did the machine run out of memory?");
    assert_eq!(BuildFailure::of(&error).unwrap().kind, BuildFailureKind::Killed);

    let build = orders.build().await.unwrap();
    let java = maven_of(build.id()).await;
    build.cancel().await.unwrap();
    assert_eq!(build.record().unwrap().state, BuildState::Cancelled);
    let stat = std::fs::read_to_string(format!("/proc/{java}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "Maven is gone when the call returns: {stat}");
    assert_eq!(succeeded(&orders).await.state, BuildState::Succeeded);
}

/// The Java process of a build, seen from outside.
async fn maven_of(build: &str) -> i32 {
    let (mark, begun) = (format!("STREAMPARK_BUILD={build}"), Instant::now());
    loop {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let is_java = std::fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name.trim() == "java");
            if is_java && environment.split(|byte| *byte == 0).any(|one| one == mark.as_bytes()) {
                return pid;
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "no Maven came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
