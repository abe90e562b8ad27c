use super::*;
use crate::build::process::Finished;
use crate::{Error, ErrorKind};

fn refusal(options: MavenOptions) -> String {
    let error = MavenBuilder::new(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    error.to_string()
}

fn words(options: MavenOptions, modules: &[&str]) -> Vec<String> {
    let request = BuildRequest::new("/work").with_modules(modules.iter().copied());
    let call = MavenBuilder::new(options).unwrap().call("/mvn".into(), Path::new("/work"), &request);
    call.args.iter().skip(3).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// CVE-2023-49898, CVE-2023-52291 and CVE-2024-29737: build arguments that a shell would run.
#[test]
fn arguments_for_a_shell_are_refused() {
    let property = |value: &str| MavenOptions::default().property("x", value);
    let with = |found: &str| format!("build.options: the value of the property 'x' is refused: it holds {found}");
    assert_eq!(refusal(property("$(touch /tmp/pwned)")), with("'$('"));
    assert_eq!(refusal(property("`touch /tmp/pwned`")), with("a backtick"));
    assert_eq!(refusal(property("1\ntouch /tmp/pwned")), with("a line break"));
    let profile = |text: &str| {
        format!(
            "build.options: the profile '{text}' is refused: use letters, digits, '.', '_' and '-', and begin with a letter, a digit or '_'"
        )
    };
    assert_eq!(refusal(MavenOptions::default().profile("prod || rm -rf /*")), profile("prod || rm -rf /*"));
    assert_eq!(refusal(MavenOptions::default().profile("-Dexec")), profile("-Dexec"));
    let parsed = |line: &str| MavenOptions::parse(line).unwrap_err().to_string();
    let word = |text: &str| {
        format!("build.options: the build argument '{text}' is refused: known are -Pprofile, -Dkey=value, -o and -U")
    };
    assert_eq!(parsed("-Pprod || rm -rf /*"), word("||"));
    assert_eq!(parsed("-Pprod && id"), word("&&"));
    assert_eq!(parsed("-f ../other/pom.xml"), word("-f"));
    assert_eq!(parsed("-Dx=`id`"), with("a backtick"));
    assert_eq!(parsed("-Dx=$(id)"), with("'$('"));
    assert_eq!(parsed("-Dx=1\nid"), with("a line break"));
}

/// CVE-2022-45802: files outside the place where they belong.
#[test]
fn paths_that_lead_out_are_refused() {
    for folder in ["../other", "/etc", "a/../../b"] {
        assert_eq!(
            refusal(MavenOptions::default().folder(folder)),
            format!(
                "build.options: the folder '{folder}' is refused: name a folder inside the project, such as jobs/orders, without '..' and with no part that begins with '-'"
            )
        );
    }
    let error = check_modules(&["../x".into()], &[]).unwrap_err().to_string();
    assert!(error.starts_with("build.options: the module '../x' is refused"), "{error}");
    assert_eq!(
        refusal(MavenOptions::default().settings("settings.xml")),
        "build.options: the option settings is refused: 'settings.xml' is a relative path; write it whole, since builds run in folders of their own"
    );
    assert_eq!(
        refusal(MavenOptions::default().property("maven.repo.local", "/x")),
        "build.options: the property 'maven.repo.local' is refused: use the option local_repository"
    );
}

#[test]
fn typed_options_become_separate_words() {
    let options = MavenOptions::parse("-Pprod,eu -Drevision=1.2 -Dflag -U").unwrap().settings("/etc/settings.xml");
    assert_eq!(
        words(options, &["jobs/a", "jobs/b"]),
        [
            "--settings",
            "/etc/settings.xml",
            "--update-snapshots",
            "--activate-profiles",
            "prod,eu",
            "-DskipTests",
            "-Dflag=true",
            "-Drevision=1.2",
            "--projects",
            "jobs/a,jobs/b",
            "--also-make",
            "clean",
            "package"
        ]
    );
    assert_eq!(
        words(MavenOptions::default().tests(true).property("a", "b c; d"), &[]),
        ["-Da=b c; d", "clean", "package"]
    );
    let (one, two) = (MavenOptions::default(), MavenOptions::default().profile("x"));
    let print = |options: &MavenOptions| MavenBuilder::new(options.clone()).unwrap().fingerprint();
    assert_eq!(print(&one), print(&one.clone()));
    assert_ne!(print(&one), print(&two));
    let read: MavenOptions = serde_json::from_str(&print(&two)).unwrap();
    assert_eq!(read, two);
    assert!(serde_json::from_str::<MavenOptions>("{\"goals\": [\"deploy\"]}").is_err());
}

#[test]
fn a_secret_property_is_hidden_in_the_log() {
    let options = MavenOptions::default().property("db.password", "pa55word").property("x", "y");
    let call = MavenBuilder::new(options).unwrap().call("/mvn".into(), Path::new("/w"), &BuildRequest::new("/w"));
    assert_eq!(call.hidden, [Secret::new("pa55word")]);
}

#[tokio::test]
async fn the_wrapper_comes_before_what_is_installed() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("pom.xml", "<project><artifactId>a</artifactId></project>");
    write("mvnw", "#!/bin/sh\nmkdir -p target && echo \"$@\" > target/a.jar && env > target/env\n");
    write(".mvn/wrapper/maven-wrapper.properties", "");
    let builder = MavenBuilder::new(MavenOptions::default()).unwrap();
    let output = builder.build(&BuildRequest::new(folder.path())).await.unwrap();
    assert_eq!(output.facts["tool"], "Maven of the wrapper");
    assert_eq!(output.modules.len(), 1);
    let words = std::fs::read_to_string(folder.path().join("target/a.jar")).unwrap();
    assert_eq!(words, "--batch-mode --no-transfer-progress -Dstyle.color=never -DskipTests clean package\n");
    let env = std::fs::read_to_string(folder.path().join("target/env")).unwrap();
    assert!(env.contains("MAVEN_SKIP_RC=1\n") && !env.contains("CARGO_PKG_NAME"), "{env}");
}

#[tokio::test]
async fn what_is_not_there_is_told_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let builder = MavenBuilder::new(MavenOptions::default()).unwrap();
    let error = builder.build(&BuildRequest::new(folder.path())).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "build: there is no pom.xml in the top folder of the project; name the folder that holds it with the option 'folder', or take another builder (reason: build_file)"
    );
    let elsewhere = MavenBuilder::new(MavenOptions::default().folder("java")).unwrap();
    let error = elsewhere.build(&BuildRequest::new(folder.path())).await.unwrap_err();
    assert_eq!(error.message(), "the project has no folder 'java', which should hold its pom.xml");
    std::fs::write(folder.path().join("pom.xml"), "<project><modules><module>a</module></modules></project>").unwrap();
    std::fs::create_dir(folder.path().join("a")).unwrap();
    std::fs::write(folder.path().join("a/pom.xml"), "<project/>").unwrap();
    let error = builder.build(&BuildRequest::new(folder.path()).with_modules(["b"])).await.unwrap_err();
    assert_eq!(error.to_string(), "build: the project has no module 'b'; its modules are a (reason: module)");
}

fn verdict(lines: &str) -> Error {
    let lines = lines.lines().map(str::to_owned).collect();
    let finished = Finished { code: Some(1), signal: None, lines, took: std::time::Duration::ZERO };
    verdict::of(&finished, Path::new("/tmp/x"))
}

#[test]
fn maven_is_read_as_it_speaks() {
    let error = verdict(
        "[INFO] Compiling 2 source files\n[ERROR] COMPILATION ERROR : \n\
         [ERROR] /tmp/x/jobs/a/src/main/java/A.java:[12,8] cannot find symbol\n\
         [ERROR]   symbol:   class Foo\n\
         [ERROR] Failed to execute goal org.apache.maven.plugins:maven-compiler-plugin:3.11.0:compile (default-compile) on project a: Compilation failure: Compilation failure: \n\
         [ERROR] /tmp/x/jobs/a/src/main/java/A.java:[12,8] cannot find symbol\n[ERROR] -> [Help 1]",
    );
    assert_eq!(
        error.chain(),
        "build: the code of module 'a' does not compile (reason: compile): jobs/a/src/main/java/A.java:12:8: cannot find symbol"
    );
    let error = verdict(
        "[ERROR] Failed to execute goal on project a: Could not resolve dependencies for project g:a:jar:1: Could not transfer artifact g:b:pom:1 from/to central (https://repo.example.com): Connect to repo.example.com:443 [x] failed: Connection refused",
    );
    assert_eq!(
        (BuildFailure::of(&error).unwrap().kind, error.kind()),
        (BuildFailureKind::Repository, ErrorKind::Unreachable)
    );
    assert!(error.is_retryable());
    let error = verdict("[ERROR] [ERROR] Could not find the selected project in the reactor: b");
    assert_eq!(BuildFailure::of(&error).unwrap().kind, BuildFailureKind::Module);
    let error = verdict("[INFO] x\n[ERROR] The goal is odd");
    assert_eq!(error.chain(), "build: Maven failed with exit code 1 (reason: other): The goal is odd");
}
