//! Helper programs of the tests, run as child processes that end with the test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;

use crate::fleet::FleetRun;

/// The folder in which cargo puts the programs of this package, seen from a test or another program.
fn programs() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let folder = own.parent().map(PathBuf::from).unwrap_or_default();
    if folder.ends_with("deps") { folder.parent().map(PathBuf::from).unwrap_or_default() } else { folder }
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
