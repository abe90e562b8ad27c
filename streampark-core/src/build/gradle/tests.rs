use super::*;
use crate::ErrorKind;

#[test]
fn options_are_checked_as_those_of_maven_are() {
    let refusal = |options: GradleOptions| {
        let error = GradleBuilder::new(options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.to_string()
    };
    assert_eq!(
        refusal(GradleOptions::default().property("x", "$(id)")),
        "build.options: the value of the property 'x' is refused: it holds '$('"
    );
    assert_eq!(
        refusal(GradleOptions::default().task("assemble --init-script=x")),
        "build.options: the task 'assemble --init-script=x' is refused: use letters, digits, '.', '_' and '-', and begin with a letter, a digit or '_'"
    );
    let builder = GradleBuilder::new(GradleOptions::default().property("a", "1").tests(true)).unwrap();
    let call = builder.call("/gradle".into(), &BuildRequest::new("/w").with_modules(["jobs/a"]));
    let words: Vec<&str> = call.args.iter().filter_map(|word| word.to_str()).collect();
    assert_eq!(words, ["--no-daemon", "--console=plain", "-Pa=1", ":jobs:a:clean", ":jobs:a:assemble", ":jobs:a:test"]);
}

fn verdict(text: &str) -> (BuildFailureKind, String) {
    let lines = text.lines().map(str::to_owned).collect();
    let finished = Finished { code: Some(1), signal: None, lines, took: std::time::Duration::ZERO };
    let error = verdict_of(&finished, Path::new("/tmp/x"));
    (BuildFailure::of(&error).unwrap().kind, error.chain())
}

#[test]
fn gradle_is_read_as_it_speaks() {
    let (kind, chain) = verdict(
        ":compileJava/tmp/x/src/main/java/A.java:3: error: ';' expected\n> Task :compileJava FAILED\n* What went wrong:\n> Compilation failed; see the compiler error output for details.",
    );
    assert_eq!(kind, BuildFailureKind::Compile);
    assert_eq!(
        chain,
        "build: the code does not compile (reason: compile): src/main/java/A.java:3: error: ';' expected"
    );
    assert_eq!(verdict("> Could not find g:a:1.\n  Required by:").0, BuildFailureKind::Dependency);
    assert_eq!(
        verdict("> There were failing tests. See the report at: x\nATest > b FAILED").0,
        BuildFailureKind::Tests
    );
    assert_eq!(verdict("Project 'b' not found in root project 'x'.").0, BuildFailureKind::Module);
    let (kind, chain) =
        verdict("* What went wrong:\nCould not compile settings file '/tmp/x/settings.gradle'.\n* Try:\nRun");
    assert_eq!(
        (kind, chain.as_str()),
        (
            BuildFailureKind::Other,
            "build: Gradle failed with exit code 1 (reason: other): Could not compile settings file 'settings.gradle'."
        )
    );
}
