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

/// The Gradle on the PATH as a distribution that a wrapper can fetch: with its files in place of Debian's links.
fn distribution(to: &Path) {
    let gradle = std::process::Command::new("readlink").args(["-f", "/usr/bin/gradle"]).output().unwrap();
    let gradle = String::from_utf8(gradle.stdout).unwrap();
    let home = Path::new(gradle.trim()).parent().unwrap().parent().unwrap();
    assert!(home.join("lib/plugins").is_dir(), "{} is no Gradle: run tests/servers/system.sh projects", home.display());
    let mut zip = zip::ZipWriter::new(std::fs::File::create(to).unwrap());
    let mut folders = vec![home.to_owned()];
    while let Some(folder) = folders.pop() {
        let below = |path: &Path| format!("gradle-4.4.1/{}", path.strip_prefix(home).unwrap().display());
        zip.add_directory(below(&folder), zip::write::SimpleFileOptions::default()).unwrap();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            // A link to what a package did not bring.
            let Ok(found) = std::fs::metadata(&path) else { continue };
            if found.is_dir() {
                folders.push(path);
                continue;
            }
            let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            zip.start_file(below(&path), stored).unwrap();
            std::io::copy(&mut std::fs::File::open(&path).unwrap(), &mut zip).unwrap();
        }
    }
    zip.finish().unwrap();
}

/// Gradle writes its wrapper, script and jar; that fetches a distribution by the address in its properties and runs it.
#[tokio::test]
async fn the_projects_own_wrapper_fetches_its_gradle_and_builds() {
    let folder = checkout();
    let place = tempfile::tempdir().unwrap();
    let zip = place.path().join("gradle-4.4.1-bin.zip");
    distribution(&zip);
    let mut gradle = std::process::Command::new("gradle");
    gradle.args(["--no-daemon", "--offline", "--quiet", "wrapper"]).current_dir(folder.path());
    assert!(gradle.output().unwrap().status.success());
    let properties = "gradle/wrapper/gradle-wrapper.properties";
    let text = std::fs::read_to_string(folder.path().join(properties)).unwrap();
    assert!(text.contains("services.gradle.org"), "{text}");
    let lines = text.lines().map(|line| match line.starts_with("distributionUrl=") {
        true => format!("distributionUrl=file\\:{}\n", zip.display()),
        false => format!("{line}\n"),
    });
    write(folder.path(), properties, &lines.collect::<String>());
    let mut options = GradleOptions::default();
    (options.offline, options.user_home) = (true, Some(place.path().join("home")));
    let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&lines);
    let request = BuildRequest::new(folder.path()).with_modules([MODULE]).with_log(move |event| {
        seen.lock().unwrap().push(format!("{event:?}"));
    });
    let output = GradleBuilder::new(options).unwrap().build(&request).await.unwrap();
    let root = folder.path().canonicalize().unwrap();
    assert_eq!(output.modules, [(MODULE.to_owned(), vec![root.join("jobs/greeting/build/libs/greeting.jar")])]);
    let log = lines.lock().unwrap().join("\n");
    assert!(log.contains(&format!("Downloading file:{}", zip.display())), "{log}");
    let found = std::fs::read_dir(place.path().join("home/wrapper/dists/gradle-4.4.1-bin")).unwrap().count();
    assert_eq!(found, 1);
}
