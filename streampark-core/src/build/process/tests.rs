use std::sync::atomic::AtomicUsize;

use super::*;
use crate::build::BuildEnvironment;

fn script(folder: &Path, text: &str) -> Call {
    std::fs::write(folder.join("script"), text).unwrap();
    Call::new("/bin/sh", "").arg("script")
}

fn request(folder: &Path) -> BuildRequest {
    BuildRequest::new(folder)
}

fn number(path: &Path) -> i32 {
    let begun = Instant::now();
    loop {
        if let Some(pid) = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()) {
            return pid;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{} was not written", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn gone(pid: i32) -> bool {
    let begun = Instant::now();
    while tree::started(pid).is_some() {
        if begun.elapsed() > Duration::from_secs(5) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

#[tokio::test]
async fn words_reach_the_program_as_they_are_and_the_environment_is_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let call = script(folder.path(), "printf '%s\\n' \"$@\"; pwd; env; exit 3")
        .arg("$(touch injected)")
        .arg("`touch injected`")
        .arg("a b|| rm -rf .");
    let mut request = request(folder.path());
    request.env = BuildEnvironment::empty().pass("PATH").set("TOKEN", Secret::new("s3cr3t-value"));
    let finished = run(call, &request).await.unwrap();
    assert_eq!((finished.code, finished.signal, finished.succeeded()), (Some(3), None, false));
    let root = folder.path().canonicalize().unwrap();
    assert_eq!(
        finished.lines[..4],
        ["$(touch injected)", "`touch injected`", "a b|| rm -rf .", root.to_str().unwrap()]
    );
    assert!(!folder.path().join("injected").exists());
    let mut names: Vec<&str> = finished.lines[4..].iter().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    assert_eq!(names, ["PATH", "PWD", "STREAMPARK_BUILD", "TMPDIR", "TOKEN"]);
    assert!(finished.lines.contains(&"TOKEN=******".to_owned()));
}

#[tokio::test]
async fn a_program_outside_is_told_apart_from_one_that_cannot_start() {
    let folder = tempfile::tempdir().unwrap();
    let error = run(Call::new("/no/such/program", ""), &request(folder.path())).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "build: '/no/such/program' cannot be started: the file, or the program in its first line, is not there (reason: tool)"
    );
    let error = run(Call::new("/bin/true", ".."), &request(folder.path())).await.unwrap_err();
    assert_eq!(error.to_string(), "build: '..' leads out of the project's folder");
    let killed = run(script(folder.path(), "kill -9 $$"), &request(folder.path())).await.unwrap();
    assert_eq!((killed.code, killed.signal), (None, Some(9)));
}

#[tokio::test]
async fn a_build_that_never_ends_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let call = script(folder.path(), "echo begun; sleep 600 & echo $! > child; wait");
    let mut request = request(folder.path());
    request.timeout = Duration::from_secs(2);
    let begun = Instant::now();
    let error = run(call, &request).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(
        error.to_string(),
        "build: the build did not end within 2 s; allow it more time, or look where it hangs (reason: timed_out)"
    );
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(BuildFailure::of(&error).unwrap().lines, ["begun"]);
    assert!(gone(number(&folder.path().join("child"))));
}

#[tokio::test]
async fn daemons_do_not_outlive_the_build() {
    let folder = tempfile::tempdir().unwrap();
    // In its own session, its parent gone: one keeps the environment, one the output, one the folder, one nothing
    // but is seen while it leaves.
    let daemons = "\
        setsid sh -c 'cd /; exec sleep 600' >/dev/null 2>&1 & echo $! > marked\n\
        env -i /usr/bin/setsid /bin/sh -c 'cd /; exec /bin/sleep 600' & echo $! > writing\n\
        env -i /usr/bin/setsid /bin/sleep 600 >/dev/null 2>&1 & echo $! > working\n\
        env -i /bin/sh -c 'cd /; /bin/sleep 0.5; exec /usr/bin/setsid /bin/sleep 600' >/dev/null 2>&1 & echo $! > leaving\n\
        sleep 1; echo done\n";
    let begun = Instant::now();
    let finished = run(script(folder.path(), daemons), &request(folder.path())).await.unwrap();
    assert!(finished.succeeded() && begun.elapsed() < Duration::from_secs(10), "{finished:?}");
    for name in ["marked", "writing", "working", "leaving"] {
        let pid = number(&folder.path().join(name));
        assert!(gone(pid), "the daemon '{name}' ({pid}) is still there");
    }
}

#[tokio::test]
async fn a_dropped_build_leaves_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let call = script(folder.path(), "setsid sleep 600 & echo $! > child; echo $$ > root; wait");
    let request = request(folder.path());
    let build = tokio::spawn(async move { run(call, &request).await });
    let (child, root) = tokio::task::spawn_blocking({
        let folder = folder.path().to_owned();
        move || (number(&folder.join("child")), number(&folder.join("root")))
    })
    .await
    .unwrap();
    build.abort();
    assert!(build.await.unwrap_err().is_cancelled());
    assert!(gone(root) && gone(child));
}

#[tokio::test]
async fn a_gigabyte_of_output_is_stopped_at_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let lines = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lines);
    let mut request = request(folder.path()).with_log(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    request.max_output = 8 << 20;
    let call = script(folder.path(), "yes 'a line of a build that talks too much' | head -c 1073741824; echo end");
    let error = run(call, &request).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "build: the build printed more than 8388608 bytes, which is its bound; make it quieter, or raise max_output (reason: output_limit)"
    );
    assert!(!error.is_retryable());
    let seen = lines.load(Ordering::Relaxed);
    assert!((200_000..230_000).contains(&seen), "{seen} lines for 8 MiB");
}

#[tokio::test]
async fn leftovers_of_a_process_that_is_gone_are_found_by_their_mark() {
    let lost = format!("lost-build-{}", std::process::id());
    let mut child = std::process::Command::new("/bin/sleep").arg("600").env(MARK, &lost).spawn().unwrap();
    assert!(!end_leftovers("another-build").await);
    assert!(end_leftovers(&lost).await);
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[tokio::test]
async fn processes_that_hold_too_much_together_are_ended() {
    let folder = tempfile::tempdir().unwrap();
    // Two processes, neither of which is too large by itself.
    let hold = "head -c 60000000 /dev/zero | tail > /dev/null; ";
    let text = format!("echo begun; (while true; do {hold} done) & echo $! > pid; while true; do {hold} done");
    let mut request = request(folder.path());
    request.max_memory = Some(80 << 20);
    let error = run(script(folder.path(), &text), &request).await.unwrap_err();
    let failure = BuildFailure::of(&error).unwrap();
    assert_eq!((failure.kind, error.kind()), (BuildFailureKind::OutOfMemory, ErrorKind::Exhausted));
    assert_eq!(
        error.message(),
        "the build's processes held more than 83886080 bytes of memory, which is their bound; make its heap smaller, \
         or raise max_memory"
    );
    assert_eq!(failure.lines, ["begun"]);
    assert!(gone(number(&folder.path().join("pid"))));
}
