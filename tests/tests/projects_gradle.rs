//! Real Gradle builds.

use std::path::Path;

use streampark_core::build::{BuildFailure, BuildFailureKind, BuildRequest, Builder, GradleBuilder, GradleOptions};
use streampark_tests::sources;

const MODULE: &str = "jobs/greeting";

fn checkout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in sources::project("gradle") {
        write(folder.path(), &path, &text);
    }
    folder
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn builder() -> GradleBuilder {
    let mut options = GradleOptions::default();
    options.offline = true;
    GradleBuilder::new(options).unwrap()
}

async fn failure(folder: &Path) -> (BuildFailure, String) {
    let error = builder().build(&BuildRequest::new(folder).with_modules([MODULE])).await.unwrap_err();
    (BuildFailure::of(&error).unwrap_or_else(|| panic!("{}", error.chain())).clone(), error.message().to_owned())
}

#[tokio::test]
async fn a_module_becomes_a_jar_and_no_daemon_stays() {
    let folder = checkout();
    let root = folder.path().canonicalize().unwrap();
    for modules in [&[MODULE][..], &[]] {
        let request = BuildRequest::new(folder.path()).with_modules(modules.iter().copied());
        let output = builder().build(&request).await.unwrap();
        assert_eq!(output.modules, [(MODULE.to_owned(), vec![root.join("jobs/greeting/build/libs/greeting.jar")])]);
        let mark = format!("STREAMPARK_BUILD={}", request.id);
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            assert!(!environment.split(|byte| *byte == 0).any(|one| one == mark.as_bytes()), "{process:?} is left");
        }
    }
}

#[tokio::test]
async fn each_failure_has_its_own_reason() {
    let folder = checkout();
    let main = "jobs/greeting/src/main/java/streampark/greeting/Greeting.java";
    let good = std::fs::read_to_string(folder.path().join(main)).unwrap();
    write(folder.path(), main, &good.replace("\"hello\");", "\"hello\")"));
    let (failure_of, message) = failure(folder.path()).await;
    assert_eq!((failure_of.kind, message.as_str()), (BuildFailureKind::Compile, "the code does not compile"));
    assert_eq!(failure_of.lines, [format!("{main}:9: error: ';' expected")]);

    write(folder.path(), main, &good);
    let script = std::fs::read_to_string(folder.path().join("jobs/greeting/build.gradle")).unwrap();
    let missing = "repositories { mavenCentral() }\ndependencies { compile 'streampark:no-such-thing:9' }\n";
    write(folder.path(), "jobs/greeting/build.gradle", &format!("{script}{missing}"));
    let (failure_of, message) = failure(folder.path()).await;
    assert_eq!(failure_of.kind, BuildFailureKind::Dependency, "{failure_of:?}");
    assert_eq!(message, "a dependency is in no repository; check its coordinates, or declare its repository");

    let error = builder().build(&BuildRequest::new(folder.path()).with_modules(["jobs/none"])).await.unwrap_err();
    assert_eq!(error.message(), "the project has no module 'jobs/none'; the project has no modules");
}
