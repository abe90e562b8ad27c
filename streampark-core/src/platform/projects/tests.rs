use super::*;
use crate::StreamPark;
use crate::build::{BuildState, BuilderSpec, CommandSpec};
use crate::cluster::MemoryCluster;
use crate::job::{Dependency, JarProgram, JobSpec, ModuleRef};
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
        let outputs = [("a", "a/*.jar"), ("b", "b/*.jar")];
        let none =
            outputs.into_iter().fold(CommandSpec::new(["true"]), |spec, (module, path)| spec.output(module, path));
        ProjectSpec::local("orders", self.folder.path().join("orders")).builder(BuilderSpec::Command(none)).owner("ada")
    }

    async fn engine(&self) -> StreamPark {
        StreamPark::builder()
            .store(MemoryStore::default())
            .cluster("dev", MemoryCluster::new())
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

    let origin = engine.projects().unwrap().origin_of(&spec, None).await.unwrap().unwrap();
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
