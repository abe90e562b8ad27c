use super::*;
use crate::EventKind;
use crate::build::{BuildState, BuilderSpec, CommandSpec};
use crate::cluster::MemoryCluster;
use crate::job::{Dependency, Failure, JarProgram, JobSpec, JobState, ModuleRef, ProgramSpec};
use crate::store::MemoryStore;

/// The end record of an empty zip archive, which is a jar; the comment makes each one its own.
fn jar(comment: &str) -> Vec<u8> {
    let mut bytes = vec![b'P', b'K', 5, 6];
    bytes.resize(20, 0);
    bytes.extend((comment.len() as u16).to_le_bytes());
    bytes.extend(comment.as_bytes());
    bytes
}

struct Scene {
    folder: tempfile::TempDir,
    projects: Projects,
}

impl Scene {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let projects = Projects::open(folder.path().join("data"), ProjectsOptions::default()).await.unwrap();
        Self { folder, projects }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.path().join("orders").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn spec(&self) -> ProjectSpec {
        self.built_by(["true"])
    }

    fn built_by<const N: usize>(&self, command: [&str; N]) -> ProjectSpec {
        let outputs = [("a", "a/*.jar"), ("b", "b/*.jar")];
        let command =
            outputs.into_iter().fold(CommandSpec::new(command), |spec, (module, path)| spec.output(module, path));
        let builder = BuilderSpec::Command(command);
        ProjectSpec::local("orders", self.folder.path().join("orders")).builder(builder).owner("ada")
    }

    async fn engine(&self) -> StreamPark {
        self.engine_on(MemoryCluster::new(), Arc::new(MemoryStore::default())).await
    }

    async fn engine_on(&self, cluster: MemoryCluster, store: Arc<dyn Store>) -> StreamPark {
        StreamPark::builder()
            .shared_store(store)
            .cluster("dev", cluster)
            .cache(self.folder.path().join("cache"))
            .projects(self.projects.clone())
            .start()
            .await
            .unwrap()
    }
}

fn job(module: ModuleRef) -> JobSpec {
    JobSpec::new("job", JarProgram::new(Dependency::Module(module)).entry_class("a.B")).cluster("dev")
}

#[tokio::test]
async fn a_job_names_a_module_and_leads_back_to_its_code() {
    let scene = Scene::open().await;
    scene.write("README.md", b"# Orders");
    scene.write("a/a.jar", &jar("one"));
    scene.write("b/b.jar", &jar("two"));
    let orders = scene.projects.create(scene.spec()).await.unwrap();
    let error = scene.projects.create(scene.spec()).await.unwrap_err();
    assert_eq!(error.to_string(), "projects.create: there is a project named 'orders'");
    let engine = scene.engine().await;
    let spec = job(ModuleRef::new("orders").module("a"));
    let error = engine.jobs().plan(&spec).await.unwrap_err();
    assert_eq!(error.message(), "the module 'a' of the project 'orders' has no successful build; build it first");
    let build = orders.build().await.unwrap();
    let record = build.wait().await.unwrap();
    assert_eq!(record.artifacts.len(), 2);

    let origin = engine.projects().unwrap().origin_of(&spec).await.unwrap().unwrap();
    assert_eq!((origin.name.as_str(), origin.module.as_str()), ("orders", "a"));
    assert_eq!(origin.revision.id, orders.check().await.unwrap().id);
    assert_eq!(origin.project.unwrap().owner, "ada");
    assert_eq!(origin.build.unwrap().id, build.id());
    assert_eq!(origin.readme.unwrap(), ("README.md".to_owned(), "# Orders".to_owned()));
    assert_eq!(origin.artifact.job_jar.path, "a.jar");

    let error = engine.jobs().plan(&job(ModuleRef::new("orders"))).await.unwrap_err();
    assert_eq!(error.message(), "the project 'orders' has more than one module; name one of a, b");
    let error = engine.jobs().plan(&job(ModuleRef::new("returns").module("a"))).await.unwrap_err();
    assert_eq!(error.message(), "there is no project named 'returns'; declared are orders");

    // A job that names the module protects the project, and its artifact.
    engine.jobs().create(spec.clone()).await.unwrap();
    let error = scene.projects.remove("orders").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "projects.remove: the project 'orders' is used by the jobs job; change or delete them first"
    );
    let mut retention = ArtifactRetention::default();
    (retention.keep, retention.max_age) = (0, std::time::Duration::ZERO);
    let pruned = scene.projects.prune(&retention).await.unwrap();
    assert_eq!(pruned.artifacts, [record.artifact("b").unwrap()]);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_change_is_built_and_no_change_is_not() {
    let scene = Scene::open().await;
    scene.write("a/a.jar", &jar("one"));
    scene.write("b/b.jar", &jar("two"));
    let orders = scene.projects.put(scene.spec()).await.unwrap();
    let first = orders.build_if_changed().await.unwrap().unwrap().wait().await.unwrap();
    assert!(orders.build_if_changed().await.unwrap().is_none());
    scene.write("a/a.jar", &jar("other"));
    let second = orders.build_if_changed().await.unwrap().unwrap().wait().await.unwrap();
    assert_ne!(second.artifact("a"), first.artifact("a"));
    assert_eq!(second.artifact("b"), first.artifact("b"));
    // A commit stays what it was, and the newest is what runs without one.
    let resolver = ProjectResolver { projects: scene.projects.clone(), others: None };
    let hash = async |module: ModuleRef| {
        let found = resolver.resolve(&Dependency::Module(module)).await.unwrap();
        found[0].sha256.clone()
    };
    let module = ModuleRef::new("orders").module("a");
    assert_eq!(hash(module.clone()).await.as_deref(), second.artifact("a"));
    let pinned = module.commit(first.revision.clone().unwrap().id);
    assert_eq!(hash(pinned).await.as_deref(), first.artifact("a"));
    assert_eq!(orders.builds().len(), 2);
    assert_eq!(orders.artifacts(10).await.unwrap().len(), 4);
}

#[tokio::test]
async fn projects_survive_the_process_and_bad_ones_are_refused() {
    let scene = Scene::open().await;
    scene.write("a/a.jar", &jar("one"));
    scene.write("b/b.jar", &jar("one"));
    let orders = scene.projects.put(scene.spec()).await.unwrap();
    let error = orders.build().await.unwrap().wait().await.unwrap_err();
    assert_eq!(error.message(), "the modules 'a' and 'b' claim the same jar 'a.jar'; declare it for one of them");
    assert_eq!(orders.builds()[0].state, BuildState::Failed);
    let error = scene.projects.put(ProjectSpec::local("x", "relative")).await.unwrap_err();
    assert!(error.message().contains("is a relative path"), "{error}");
    #[cfg(feature = "git")]
    for (url, part) in
        [("ext::id", "ext"), ("file:///etc", "file"), ("https://me:pa55@git.example.com/a", "credentials")]
    {
        let error = scene.projects.put(ProjectSpec::git("x", url)).await.unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("pa55"), "{error}");
    }
    let names = |projects: &Projects| projects.list().into_iter().map(|spec| spec.name).collect::<Vec<_>>();
    assert_eq!(names(&scene.projects), ["orders"]);
    let data = scene.folder.path().join("data");
    let error = Projects::open(&data, ProjectsOptions::default()).await.unwrap_err();
    assert_eq!(
        error.message(),
        "another process has these projects open; give each process a folder of its own, or end the other"
    );
    scene.projects.close().await;
    drop((orders, scene.projects));
    let left = data.join("checkouts/checkout-of-a-killed-process");
    std::fs::create_dir_all(&left).unwrap();
    let again = Projects::open(scene.folder.path().join("data"), ProjectsOptions::default()).await.unwrap();
    assert_eq!(names(&again), ["orders"]);
    assert!(!left.exists());
    assert_eq!(again.get("orders").unwrap().builds().len(), 1);
    again.remove("orders").await.unwrap();
    assert_eq!(again.get("orders").unwrap_err().message(), "there is no project named 'orders'; none is declared");
}

/// A jar with one empty class.
fn program(comment: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("a/B.class", zip::write::SimpleFileOptions::default()).unwrap();
    zip.set_comment(comment).unwrap();
    zip.finish().unwrap().into_inner()
}

async fn kinds(engine: &StreamPark, count: usize) -> Vec<(EventKind, String, String, String)> {
    let orders = engine.projects().unwrap().get("orders").unwrap();
    for _ in 0..1_000 {
        let history = orders.history(100).await.unwrap();
        if history.len() >= count {
            let told = history.into_iter().rev();
            return told.map(|e| (e.kind, e.actor, e.message, e.error.unwrap_or_default())).collect();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the history has no {count} events: {:#?}", orders.history(100).await);
}

#[tokio::test]
async fn a_run_that_failed_comes_back_as_what_it_was_and_an_older_one_is_gone_back_to() {
    let scene = Scene::open().await;
    scene.write("b/b.jar", &jar("two"));
    let orders = scene.projects.create(scene.spec()).await.unwrap();
    let cluster = MemoryCluster::new();
    let engine = scene.engine_on(cluster.clone(), Arc::new(MemoryStore::default())).await;
    let projects = engine.projects().unwrap();
    let build = async |text: &str| {
        scene.write("a/a.jar", &program(text));
        orders.build().await.unwrap().wait().await.unwrap()
    };
    let first = build("one").await;
    let handle = engine.jobs().create(job(ModuleRef::new("orders").module("a"))).await.unwrap();
    let running = async |generation: u64| {
        for _ in 0..2_000 {
            let view = handle.status().unwrap();
            if view.job.generation == generation && view.job.state == JobState::Running {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("no run {generation}: {:#?}", handle.history(50).await);
    };
    let origin = async || projects.origin(&handle).await.unwrap().unwrap();
    handle.start().await.unwrap();
    running(1).await;
    let second = build("other").await;
    assert_ne!(first.artifact("a"), second.artifact("a"));
    assert_eq!(Some(origin().await.artifact.id.as_str()), first.artifact("a"));

    cluster.fail(cluster.flink_job(handle.id()).unwrap(), Failure::new("boom")).unwrap();
    running(2).await;
    assert_eq!(Some(origin().await.artifact.id.as_str()), first.artifact("a"), "nobody asked for new code");
    assert_eq!(origin().await.build.unwrap().id, first.id);
    handle.restart().await.unwrap();
    running(3).await;
    assert_eq!(Some(origin().await.artifact.id.as_str()), second.artifact("a"));
    let resolver = ProjectResolver { projects: scene.projects.clone(), others: None };
    for (module, message) in [
        (
            ModuleRef::new("orders").module("a").artifact("../../etc"),
            "the artifact '../../etc' is no id: it has 64 digits of 0-9 and a-f, as builds and artifacts show it"
                .into(),
        ),
        (
            ModuleRef::new("orders").module("b").artifact(first.artifact("a").unwrap()),
            format!(
                "the module 'b' of the project 'orders' is not kept as the artifact {}; build it again, or name another",
                first.artifact("a").unwrap()
            ),
        ),
        (
            ModuleRef::new("orders").module("a").build("none"),
            "the module 'a' of the project 'orders' is not kept by the build none; build it again, or name another"
                .into(),
        ),
        (
            ModuleRef::new("orders").build(&first.id),
            "the project 'orders' has more than one module; name one of a, b".to_owned(),
        ),
    ] {
        let error = resolver.resolve(&Dependency::Module(module)).await.unwrap_err();
        assert_eq!(error.message(), message);
    }
    // Nothing but the runs names the first artifact now, and they may be gone back to.
    let mut retention = ArtifactRetention::default();
    (retention.keep, retention.max_age) = (0, std::time::Duration::ZERO);
    scene.projects.prune(&retention).await.unwrap();
    let error = handle.roll_back(9).await.unwrap_err();
    assert_eq!(error.message(), "no run 9 of the job is remembered; there are 3, 2, 1");
    handle.roll_back(1).await.unwrap();
    running(4).await;
    let went_back = origin().await;
    assert_eq!(Some(went_back.artifact.id.as_str()), first.artifact("a"));
    let spec = handle.spec().unwrap();
    let ProgramSpec::Jar(program) = &spec.program else { panic!("{spec:?}") };
    let Dependency::Module(module) = &program.jar else { panic!("{program:?}") };
    assert_eq!((module.artifact.as_deref(), module.build.as_deref()), (first.artifact("a"), Some(first.id.as_str())));
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_history_tells_of_projects_syncs_and_builds_once() {
    let scene = Scene::open().await;
    scene.write("a/a.jar", &jar("one"));
    scene.write("b/b.jar", &jar("two"));
    // Before there is an engine: told when there is one.
    let orders = scene.projects.put(scene.spec()).await.unwrap();
    let first = orders.build_with(BuildOrder::new("orders").actor("ada")).await.unwrap().wait().await.unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let engine = scene.engine_on(MemoryCluster::new(), Arc::clone(&store)).await;
    let mut stream = engine.events();
    assert_eq!(kinds(&engine, 3).await.len(), 3);
    let bob = engine.acting_as("bob").projects().unwrap().get("orders").unwrap();
    bob.sync().await.unwrap();
    bob.build().await.unwrap().wait().await.unwrap();
    kinds(&engine, 7).await;
    scene.projects.acting_as("bob").put(scene.built_by(["false"])).await.unwrap();
    bob.build().await.unwrap().wait().await.unwrap_err();
    kinds(&engine, 11).await;
    scene.projects.put(scene.built_by(["sleep", "600"])).await.unwrap();
    let slow = bob.build().await.unwrap();
    kinds(&engine, 14).await;
    slow.cancel_as("cleo").await.unwrap();
    let commit = &first.revision.as_ref().unwrap().id[..12];
    let told = kinds(&engine, 15).await;
    let told: Vec<_> = told.iter().map(|(k, who, what, why)| (*k, who.as_str(), what.as_str(), why.as_str())).collect();
    let made = format!("a build of 'orders' made a, b of {commit}");
    let took = format!("a build of 'orders' took a, b of {commit} from the build {}", first.id);
    let synced = format!("'orders' was synchronised: it stands at {commit}");
    let (began, asked) = ("a build of 'orders' began", "a build of 'orders' was asked for");
    let changed = "the project 'orders' was changed";
    let expected = [
        (EventKind::BuildQueued, "ada", asked, ""),
        (EventKind::BuildStarted, "supervisor", began, ""),
        (EventKind::BuildSucceeded, "supervisor", made.as_str(), ""),
        (EventKind::ProjectSynced, "bob", synced.as_str(), ""),
        (EventKind::BuildQueued, "bob", asked, ""),
        (EventKind::BuildStarted, "supervisor", began, ""),
        (EventKind::BuildSucceeded, "supervisor", took.as_str(), ""),
        (EventKind::ProjectChanged, "bob", changed, ""),
        (EventKind::BuildQueued, "bob", asked, ""),
        (EventKind::BuildStarted, "supervisor", began, ""),
        (EventKind::BuildFailed, "supervisor", "a build of 'orders' failed", "the command failed with exit code 1"),
        (EventKind::ProjectChanged, "embedder", changed, ""),
        (EventKind::BuildQueued, "bob", asked, ""),
        (EventKind::BuildStarted, "supervisor", began, ""),
        (EventKind::BuildCancelled, "cleo", "a build of 'orders' was cancelled", ""),
    ];
    assert_eq!(told, expected);
    let newest = bob.history(1).await.unwrap().remove(0);
    assert_eq!(newest.data["build"], slow.id());
    while let Some(event) = stream.next_event().await.unwrap() {
        if event.kind == EventKind::BuildCancelled {
            break;
        }
    }

    // One that runs when the process ends is told of as cut off by the next, and nothing is told twice.
    let last = bob.build().await.unwrap();
    kinds(&engine, 17).await;
    engine.shutdown().await.unwrap();
    let data = scene.folder.path().join("data");
    scene.projects.close().await;
    let (cut_off, folder) = (last.id().to_owned(), scene.folder);
    // Each handle holds the folder.
    drop((orders, bob, slow, last, scene.projects, engine, stream));
    let begun = std::time::Instant::now();
    let projects = loop {
        match Projects::open(&data, ProjectsOptions::default()).await {
            Ok(projects) => break projects,
            // The task of the build that was cut off holds the folder for a moment longer.
            Err(error) => assert!(begun.elapsed().as_secs() < 30, "{}", error.chain()),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let scene = Scene { folder, projects };
    let engine = scene.engine_on(MemoryCluster::new(), Arc::new(MemoryStore::default())).await;
    let told = kinds(&engine, 1).await;
    let cut = "a build of 'orders' was cut off: its process ended";
    assert_eq!(told, [(EventKind::BuildInterrupted, "supervisor".to_owned(), cut.to_owned(), String::new())]);
    assert_eq!(scene.projects.builds().get(&cut_off).unwrap().record().unwrap().state, BuildState::Interrupted);
    engine.shutdown().await.unwrap();
}
