//! Maven coordinates and the resource centre, with real Maven and real jars.

use std::time::Instant;

use streampark_core::build::{BuildFailure, BuildFailureKind, MavenLock, MavenOptions, ResourceKind, UploadOptions};
use streampark_core::cluster::MemoryCluster;
use streampark_core::job::{Dependency, JarProgram, JobSpec, MavenRef, ResourceRef};
use streampark_core::platform::{Projects, ProjectsOptions};
use streampark_core::store::MemoryStore;
use streampark_core::{ErrorKind, StreamPark};

const TEXT: &str = "org.apache.commons:commons-text:1.12.0";

fn jobs_jar() -> String {
    std::env::var("STREAMPARK_TEST_JOBS_JAR").expect("STREAMPARK_TEST_JOBS_JAR is not set; run: make test-projects")
}

fn names(lock: &MavenLock) -> Vec<&str> {
    lock.jars.iter().map(|jar| jar.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coordinates_become_jars_that_are_locked() {
    let folder = tempfile::tempdir().unwrap();
    let projects = Projects::open(folder.path(), ProjectsOptions::default()).await.unwrap();
    let maven = projects.maven();
    let begun = Instant::now();
    let lock = maven.resolve(TEXT, &[]).await.unwrap();
    let by_maven = begun.elapsed();
    assert_eq!(names(&lock), ["commons-text-1.12.0.jar", "commons-lang3-3.14.0.jar"]);
    assert!(lock.jars.iter().all(|jar| jar.path.starts_with(folder.path()) && jar.path.is_file()));

    let begun = Instant::now();
    assert_eq!(maven.resolve(TEXT, &[]).await.unwrap(), lock);
    assert!(begun.elapsed() < by_maven / 4, "the lock is enough, and Maven is not started: {:?}", begun.elapsed());
    let alone = maven.resolve(TEXT, &["org.apache.commons:commons-lang3".to_owned()]).await.unwrap();
    assert_eq!(names(&alone), ["commons-text-1.12.0.jar"]);

    let other = MavenRef::new("org.apache.commons:commons-lang3:3.13.0");
    let spec = JobSpec::new("orders", JarProgram::new("orders.jar"))
        .dependency(Dependency::Maven(MavenRef::new(TEXT)))
        .dependency(Dependency::Maven(other));
    let conflicts = projects.conflicts(&spec).await.unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].artifact, "org.apache.commons:commons-lang3");
    let versions: Vec<&str> = conflicts[0].versions.iter().map(|(version, _)| version.as_str()).collect();
    assert_eq!(versions, ["3.14.0", "3.13.0"]);

    std::fs::write(&lock.jars[1].path, "other").unwrap();
    let error = maven.resolve(TEXT, &[]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::Conflict,
            "the jar commons-lang3-3.14.0.jar is not the one of the lock file; refresh the lock, or remove the jar"
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_no_repository_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = MavenOptions::default();
    options.offline = true;
    let projects = Projects::open(folder.path(), ProjectsOptions::default().maven(options)).await.unwrap();
    let error = projects.maven().resolve("streampark:no-such-thing:9", &[]).await.unwrap_err();
    assert_eq!(BuildFailure::of(&error).unwrap().kind, BuildFailureKind::Dependency, "{}", error.chain());
    let error = projects.maven().resolve("streampark:$(id):9", &[]).await.unwrap_err();
    assert!(error.message().contains("is refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_is_used_by_jobs_and_then_protected() {
    let folder = tempfile::tempdir().unwrap();
    let projects = Projects::open(folder.path().join("data"), ProjectsOptions::default()).await.unwrap();
    let jar = jobs_jar();
    let entry = projects
        .resources()
        .upload("shout", "1.0", jar.as_ref(), UploadOptions::default().team("text").actor("ada"))
        .await
        .unwrap();
    assert_eq!((entry.kind, entry.functions.len()), (ResourceKind::Function, 1));
    assert_eq!(
        projects.resources().create_functions("shout", None).unwrap(),
        ["CREATE TEMPORARY FUNCTION IF NOT EXISTS `shout` AS 'streampark.testing.Shout' LANGUAGE JAVA"]
    );
    let platform = StreamPark::builder()
        .store(MemoryStore::default())
        .cluster("dev", MemoryCluster::new())
        .cache(folder.path().join("cache"))
        .projects(projects.clone())
        .start()
        .await
        .unwrap();
    let program = JarProgram::new(Dependency::Resource(ResourceRef::new("shout")));
    let spec = JobSpec::new("loud", program.entry_class("streampark.testing.FiniteJob")).cluster("dev");
    platform.jobs().plan(&spec).await.unwrap();
    let mut wrong = spec.clone();
    let program = JarProgram::new(Dependency::Resource(ResourceRef::new("shout")));
    wrong.program = program.entry_class("streampark.testing.Nobody").into();
    let error = platform.jobs().plan(&wrong).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Program, "the jar of the resource was looked into: {error}");
    platform.jobs().create(spec).await.unwrap();
    let error = projects.remove_resource("shout", Some("1.0")).await.unwrap_err();
    assert_eq!(error.to_string(), "resources.remove: it is used by job loud; change them first (resource: shout)");
    platform.jobs().get("loud").unwrap().delete().await.unwrap();
    projects.remove_resource("shout", None).await.unwrap();
    platform.shutdown().await.unwrap();
}
