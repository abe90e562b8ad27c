//! The child processes: started, remembered in a file, and ended, also by the next process.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::{Error, ErrorKind, Result};

/// How long a process may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// How long a process that was killed may take to be gone.
const KILLED: Duration = Duration::from_secs(2);

/// A process by its id and by when it began: ids are used again, pairs are not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: i32,
    pub(super) started: u64,
}

impl Identity {
    fn of(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        Some(Self { pid, started: start_time(pid)? })
    }

    pub(super) fn is_alive(&self) -> bool {
        start_time(self.pid) == Some(self.started)
    }

    pub(super) fn signal(&self, signal: Signal) {
        if self.is_alive() {
            // It may have ended just now.
            let _ended = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Asks it to end, and makes it end after a while.
    pub(super) async fn end(&self) {
        self.signal(Signal::SIGTERM);
        self.gone_within(GRACE).await;
        self.signal(Signal::SIGKILL);
        self.gone_within(KILLED).await;
    }

    async fn gone_within(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.is_alive() && Instant::now() < deadline {
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// When a process began, in clock ticks since the machine did (`proc(5)`, field 22 of `stat`); None
/// for one that is not there, or is a zombie.
fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    if matches!(fields.next(), Some("Z" | "X")) {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// What is written down so that a later process finds what this one started.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Roster {
    pub(super) address: String,
    /// What was asked of it: a Flink that was started differently is not used again.
    #[serde(default)]
    pub(super) settings: String,
    pub(super) job_manager: Option<Identity>,
    pub(super) task_managers: Vec<Identity>,
}

impl Roster {
    fn file(work: &Path) -> PathBuf {
        work.join("processes.json")
    }

    pub(super) fn read(work: &Path) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(Self::file(work)).ok()?).ok()
    }

    /// Replaces the file in one step.
    pub(super) fn write(&self, work: &Path) -> Result<()> {
        let draft = work.join("processes.json.new");
        let text = serde_json::to_string(self)
            .map_err(|source| Error::new(ErrorKind::Internal, "the roster cannot be written").with_source(source))?;
        std::fs::write(&draft, text)?;
        std::fs::rename(draft, Self::file(work))?;
        Ok(())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Identity> {
        self.task_managers.iter().chain(&self.job_manager)
    }

    /// Ends all that is still alive, TaskManagers first.
    pub(super) async fn end(&self) {
        for process in self.all() {
            process.end().await;
        }
    }
}

/// Takes `work` for this process alone; the kernel lets go of it when the process ends, however it does.
pub(super) fn claim(work: &Path) -> Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(work.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::Conflict,
            "a living process runs a Flink in this folder; stop it or choose another work_dir",
        )
        .with_operation("local.start")
        .with_context("work_dir", work.display())),
        Err(TryLockError::Error(source)) => Err(source.into()),
    }
}

/// The line of a log that says most about an end: the innermost cause of the last error, or else the last
/// exception; what is logged as information names exceptions that matter to nobody.
fn reason(log: &str) -> Option<&str> {
    let names = |line: &&str| line.contains("Exception") || line.contains("Error");
    let last_error = log.rmatch_indices(" ERROR ").next().or_else(|| log.rmatch_indices(" FATAL ").next());
    let line = match last_error {
        Some((at, _)) => {
            let after = log.get(at..).unwrap_or_default();
            let cause = after.lines().rfind(|line| line.starts_with("Caused by: "));
            cause.or_else(|| after.lines().skip(1).find(names)).or_else(|| after.lines().next())
        }
        None => log.lines().filter(|line| !line.contains(" INFO ") && !line.contains(" WARN ")).rfind(names),
    };
    line.map(|line| line.trim_start_matches("Caused by: ").trim())
}

/// One Java process of Flink.
#[derive(Debug)]
pub(super) struct Java {
    child: Child,
    pub(super) identity: Option<Identity>,
    log: PathBuf,
    /// Where the log of this process begins: an earlier one may have written to the same file.
    begin: usize,
}

impl Java {
    /// Starts `command`; what it prints goes to `log` with the ending `.out`.
    pub(super) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let out = File::create(log.with_extension("out"))?;
        let err = out.try_clone()?;
        command.stdin(Stdio::null()).stdout(out).stderr(err).kill_on_drop(true);
        let begin = std::fs::metadata(log).map_or(0, |file| usize::try_from(file.len()).unwrap_or(usize::MAX));
        let child = command.spawn().map_err(|source| {
            Error::new(ErrorKind::Io, "java cannot be started").with_operation("local.start").with_source(source)
        })?;
        let identity = child.id().and_then(Identity::of);
        Ok(Self { child, identity, log: log.to_owned(), begin })
    }

    /// The error of a process that ended by itself; None while it runs.
    pub(super) fn death(&mut self) -> Option<Error> {
        let status = self.child.try_wait().ok().flatten()?;
        let printed = std::fs::read_to_string(self.log.with_extension("out")).unwrap_or_default();
        let logged = std::fs::read_to_string(&self.log).unwrap_or_default();
        let logged = logged.get(self.begin..).unwrap_or_default();
        let line = reason(logged).or_else(|| reason(&printed)).unwrap_or("no reason was printed");
        Some(
            Error::new(ErrorKind::Io, format!("Flink ended while it was starting ({status}): {line}"))
                .with_operation("local.start")
                .with_context("log", self.log.display()),
        )
    }

    /// Ends it: asked first, made to after a while.
    pub(super) async fn end(&mut self) {
        if let Some(identity) = &self.identity {
            identity.signal(Signal::SIGTERM);
        }
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            let _ended = self.child.kill().await;
        }
    }

    /// Ends it at once, as `kill -9` does.
    pub(super) async fn kill(&mut self) {
        let _ended = self.child.kill().await;
    }
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn the_reason_is_the_innermost_cause_of_the_last_error() {
        let log = "1 INFO  a.B [] - Hadoop FS is not available: NoClassDefFoundError : \"o/a/h/Configuration\".\n\
                   2 ERROR a.C [] - Could not start cluster entrypoint.\n\
                   o.a.f.ClusterEntrypointException: Failed to initialize.\n\tat a.B.c(B.java:1)\n\
                   Caused by: java.net.BindException: Could not start rest endpoint on any port in port range 8081\n\
                   \tat a.D.e(D.java:1)\n";
        assert_eq!(
            reason(log),
            Some("java.net.BindException: Could not start rest endpoint on any port in port range 8081")
        );
        assert_eq!(reason("Error: could not find Java"), Some("Error: could not find Java"));
        assert_eq!(reason("1 INFO a [] - NoClassDefFoundError"), None);
    }
}
