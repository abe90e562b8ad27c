//! Helper programs of the tests, run as child processes that end with the test.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::fleet::FleetRun;

/// The folder in which cargo puts the programs of this package, seen from a test or another program.
fn programs() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let folder = own.parent().map(PathBuf::from).unwrap_or_default();
    if folder.ends_with("deps") { folder.parent().map(PathBuf::from).unwrap_or_default() } else { folder }
}

/// The state of each thread of a process, in the letters of `proc_pid_stat(5)`.
fn thread_states(pid: i32) -> Vec<char> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
    // The name of a thread stands in parentheses and may hold any of them.
    stats.filter_map(|stat| stat.rsplit_once(") ")?.1.chars().next()).collect()
}

/// Stops a process as `kill -STOP` does, and returns when all its threads stand still: the signal is only a wish, and
/// on a busy machine a thread can go on for a moment and answer.
///
/// # Panics
/// Where it does not stand still within 30 s, or is not there.
#[allow(clippy::panic)]
pub fn freeze(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap_or_else(|error| panic!("cannot stop {pid}: {error}"));
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let states = thread_states(pid);
        assert!(!states.is_empty(), "{pid} has ended");
        if states.iter().all(|state| *state == 'T') {
            return;
        }
        assert!(Instant::now() < deadline, "{pid} does not stand still: {states:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Lets a frozen process go on.
///
/// # Panics
/// Where it is not there.
#[allow(clippy::panic)]
pub fn thaw(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap_or_else(|error| panic!("cannot wake {pid}: {error}"));
}

/// A program of this package that answers each line on its stdin with one line on its stdout.
#[derive(Debug)]
pub struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts the program `name`.
    ///
    /// # Panics
    /// Where it cannot be started: the test cannot go on.
    #[allow(clippy::panic)]
    pub fn start(name: &str, arguments: &[String]) -> Self {
        let path = programs().join(name);
        let spawned = Command::new(&path).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("cannot start {}: {error}", path.display()));
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Self { child, input, output: BufReader::new(output) },
            _ => panic!("{} has no pipes", path.display()),
        }
    }

    /// The next line that it says.
    ///
    /// # Panics
    /// Where it ended or says something else.
    #[allow(clippy::panic)]
    pub fn hear<T: DeserializeOwned>(&mut self) -> T {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("heard {line:?} ({read:?}): {error}"))
    }

    /// Says a line and hears the answer.
    ///
    /// # Panics
    /// As [`hear`](Self::hear).
    #[allow(clippy::panic)]
    pub fn ask<T: DeserializeOwned>(&mut self, line: &str) -> T {
        writeln!(self.input, "{line}").unwrap_or_else(|error| panic!("cannot say {line:?}: {error}"));
        self.hear()
    }

    /// Says a line and hears the answer; None where it ends before that.
    ///
    /// # Panics
    /// Where it says something else.
    #[allow(clippy::panic)]
    pub fn try_ask<T: DeserializeOwned>(&mut self, line: &str) -> Option<T> {
        writeln!(self.input, "{line}").ok()?;
        let mut said = String::new();
        self.output.read_line(&mut said).ok().filter(|read| *read > 0)?;
        Some(serde_json::from_str(&said).unwrap_or_else(|error| panic!("heard {said:?}: {error}")))
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Real servers of a script in `tests/servers`: it says in one line where they are, obeys, and ends them with its stdin.
#[derive(Debug)]
pub struct Servers<A> {
    child: Child,
    talk: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
    /// Where they are.
    pub at: A,
    pub(crate) work: tempfile::TempDir,
}

impl<A: DeserializeOwned> Servers<A> {
    /// Runs `script` with a folder of its own as `--work`.
    ///
    /// # Panics
    /// Where the servers do not come up: the test cannot go on.
    #[allow(clippy::panic, clippy::unwrap_used)]
    pub(crate) fn run(script: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers").join(script);
        let work = tempfile::Builder::new().prefix("streampark-servers-").tempdir().unwrap();
        let mut child = Command::new("python3")
            .arg(path)
            .arg("--work")
            .arg(work.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let at = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{script} said {line:?}: {error}"));
        Self { child, talk: Mutex::new(Some((input, output))), at, work }
    }
}

impl<A> Servers<A> {
    /// Gives the script an order, as its own text lists them: `kill` with the name of a daemon.
    ///
    /// # Panics
    /// Where it is not obeyed.
    #[allow(clippy::panic, clippy::unwrap_used)]
    pub fn order(&self, order: &str) {
        let mut talk = self.talk.lock().unwrap();
        let (input, output) = talk.as_mut().unwrap();
        writeln!(input, "{order}").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["ok"], true, "{order}: {answer}");
    }
}

impl<A> Drop for Servers<A> {
    fn drop(&mut self) {
        drop(self.talk.lock().map(|mut talk| talk.take()));
        drop(self.child.wait());
    }
}

/// A fleet in a process of its own, which outlives a supervisor that is killed.
#[derive(Debug)]
pub struct FleetProcess {
    program: Program,
    /// The address of each JobManager.
    pub addresses: Vec<String>,
}

impl FleetProcess {
    /// Starts `count` JobManagers.
    pub fn start(count: usize) -> Self {
        let mut program = Program::start("fleet", &[count.to_string()]);
        let addresses = program.hear();
        Self { program, addresses }
    }

    /// Makes the live jobs of these JobManagers FAILED; gives the time in milliseconds since 1970.
    pub fn fail(&mut self, first: usize, last: usize) -> u64 {
        self.program.ask(&format!("fail {first} {last}"))
    }

    /// Accepts and never answers, or answers again.
    pub fn hang(&mut self, index: usize, hanging: bool) {
        let _done: bool = self.program.ask(&format!("hang {index} {}", if hanging { "on" } else { "off" }));
    }

    /// Refuses connections, or listens again.
    pub fn refuse(&mut self, index: usize, refusing: bool) {
        let _done: bool = self.program.ask(&format!("refuse {index} {}", if refusing { "on" } else { "off" }));
    }

    /// What truly ran.
    pub fn log(&mut self) -> Vec<FleetRun> {
        self.program.ask("log")
    }

    /// Runs alive now, by JobManager.
    pub fn alive(&mut self) -> Vec<usize> {
        self.program.ask("alive")
    }

    /// Requests answered so far.
    pub fn requests(&mut self) -> u64 {
        self.program.ask("requests")
    }
}
