use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::ErrorKind;

fn project(script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("build.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn failure(builder: &CommandBuilder, folder: &Path) -> (BuildFailureKind, String) {
    let error = builder.build(&BuildRequest::new(folder)).await.unwrap_err();
    (BuildFailure::of(&error).unwrap().kind, error.message().to_owned())
}

#[tokio::test]
async fn a_script_of_the_project_makes_what_was_declared() {
    let folder = project("mkdir -p dist && echo \"$1\" > dist/a-1.jar && echo b > dist/b.jar");
    let builder = CommandBuilder::new(["./build.sh", "$(touch injected)"]).unwrap();
    let builder = builder.output("a", "dist/a-*.jar").unwrap().output("b", "dist/b.jar").unwrap();
    let request = BuildRequest::new(folder.path()).with_modules(["a"]);
    let output = builder.build(&request).await.unwrap();
    let root = folder.path().canonicalize().unwrap();
    assert_eq!(output.modules, [("a".to_owned(), vec![root.join("dist/a-1.jar")])]);
    assert_eq!(std::fs::read_to_string(root.join("dist/a-1.jar")).unwrap(), "$(touch injected)\n");
    assert!(!root.join("injected").exists());
    let error = builder.build(&BuildRequest::new(folder.path()).with_modules(["c"])).await.unwrap_err();
    assert_eq!(error.to_string(), "build: the project has no module 'c'; its modules are a, b (reason: module)");
}

#[tokio::test]
async fn each_way_to_fail_has_its_reason() {
    let folder = project("echo no luck >&2; exit 7");
    let builder = |argv: &[&str]| CommandBuilder::new(argv.iter().copied()).unwrap();
    let kind = BuildFailureKind::Other;
    assert_eq!(
        failure(&builder(&["./build.sh"]), folder.path()).await,
        (kind, "the command failed with exit code 7".into())
    );
    let kind = BuildFailureKind::Tool;
    assert_eq!(
        failure(&builder(&["./none.sh"]), folder.path()).await,
        (kind, "the project has no program './none.sh'".into())
    );
    let message = "there is no program 'no-such-program' on the PATH of builds";
    assert_eq!(failure(&builder(&["no-such-program"]), folder.path()).await, (kind, message.into()));
    let folder = project("kill -9 $$");
    let message = "the command was ended from outside by signal 9; did the machine run out of memory?";
    assert_eq!(failure(&builder(&["./build.sh"]), folder.path()).await, (BuildFailureKind::Killed, message.into()));
    let folder = project("echo 'java.lang.OutOfMemoryError: Java heap space'; exit 1");
    let message = "the command ran out of memory; give it a larger heap, or the machine more memory";
    assert_eq!(
        failure(&builder(&["./build.sh"]), folder.path()).await,
        (BuildFailureKind::OutOfMemory, message.into())
    );
    let folder = project("true");
    let message = "the project has no file *.jar, *.tar.gz, *.zip";
    assert_eq!(failure(&builder(&["./build.sh"]), folder.path()).await, (BuildFailureKind::Outputs, message.into()));
}

#[test]
fn commands_that_are_no_programs_are_refused() {
    let refusal = |argv: &[&str]| {
        let error = CommandBuilder::new(argv.iter().copied()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.to_string()
    };
    for argv in [&["sh", "-c", "make || rm -rf /"][..], &["/bin/bash", "-ec", "make"]] {
        let name = outputs::name(Path::new(argv[0]));
        assert_eq!(
            refusal(argv),
            format!(
                "build.options: the command is refused: '{name}' would run a text as commands; put them into a script of the project, or name the program itself"
            )
        );
    }
    assert_eq!(refusal(&[]), "build.options: the command is empty; name a program first, then its words");
    assert_eq!(refusal(&["a", "b\0"]), "build.options: a word of the command holds a zero byte");
    for path in ["../x.jar", "/etc/passwd", "a/../../x.jar", "-x.jar"] {
        let error = CommandBuilder::new(["make"]).unwrap().output("", path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("build.options: the output '{path}' is refused")), "{error}");
    }
}

#[tokio::test]
async fn files_that_are_there_already_need_no_command() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("orders.jar"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("out.jar")).unwrap();
    let output = NoBuilder::new().build(&BuildRequest::new(folder.path())).await.unwrap();
    assert_eq!(output.modules, [(String::new(), vec![folder.path().canonicalize().unwrap().join("orders.jar")])]);
    let error =
        NoBuilder::new().output("", "lib/*.jar").unwrap().build(&BuildRequest::new(folder.path())).await.unwrap_err();
    assert_eq!(error.to_string(), "build: the project has no file lib/*.jar (reason: outputs)");
}
