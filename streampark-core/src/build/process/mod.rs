//! Child processes of builds: no shell, a cleared environment, one folder, bounds of time and output, and an
//! end for the whole tree.

mod line;
mod tree;

use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

use self::line::Lines;
use self::tree::{MARK, Tree};
use super::builder::{BuildEvent, BuildRequest};
use super::failure::{BuildFailure, BuildFailureKind};
use crate::{Error, ErrorKind, Result, Secret};

#[cfg(test)]
mod tests;

/// How often the processes of a build are looked for while it runs.
const LOOK: Duration = Duration::from_millis(100);
/// How long the output of processes that were ended is still read.
const DRAIN: Duration = Duration::from_secs(2);
/// How many of the last lines are kept for the verdict on a failure.
const KEPT_LINES: usize = 2_000;
/// How often a program whose file is busy is tried again, and after what time.
const BUSY_TRIES: usize = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// A program to run inside a build's folder; its words are handed over one by one, never through a shell.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    /// Set over the build's environment.
    pub(super) env: Vec<(&'static str, OsString)>,
    /// Texts that are hidden in the log.
    pub(super) hidden: Vec<Secret>,
    /// The folder to start in, below the request's folder.
    pub(super) folder: PathBuf,
}

impl Call {
    pub(super) fn new(program: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: Vec::new(), hidden: Vec::new(), folder: folder.into() }
    }

    pub(super) fn arg(mut self, word: impl Into<OsString>) -> Self {
        self.args.push(word.into());
        self
    }
}

/// How a program came to its end by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finished {
    /// Its exit code; None where a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    /// The last lines that it printed.
    pub(super) lines: Vec<String>,
    pub(super) took: Duration,
}

impl Finished {
    pub(super) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// Runs a program to its end. Dropping the future ends the whole process tree.
///
/// When it returns, whatever way, no process of the call is left: a build is over when its tool is, and a
/// daemon that stays behind would hold memory and files that nobody accounts for.
///
/// # Errors
/// A [`BuildFailure`] of the kinds `tool`, `timed_out` and `output_limit`.
pub(super) async fn run(call: Call, request: &BuildRequest) -> Result<Finished> {
    let begun = Instant::now();
    let folder = inside(&request.folder, &call.folder)?;
    let home = request.folder.canonicalize()?;
    let scratch = tempfile::Builder::new().prefix("streampark-build-").tempdir()?;
    let mut hidden = request.env.hidden()?;
    hidden.extend(call.hidden.iter().cloned());
    let (reader, writer) = std::io::pipe()?;
    let mut command = Command::new(&call.program);
    command
        .args(&call.args)
        .current_dir(&folder)
        .env_clear()
        .envs(request.env.resolve()?)
        .envs(call.env.iter().map(|(name, value)| (name, value)))
        .env("TMPDIR", scratch.path())
        .env(MARK, &request.id)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true);
    let output = std::fs::read_link(format!("/proc/self/fd/{}", reader.as_raw_fd())).ok();
    let child = spawn(&mut command).await.map_err(|source| not_started(&call.program, source))?;
    // The command holds the write ends of the pipe; while it lives, the reader would never see an end.
    drop(command);
    let mut tree = Tree::of_mark(&request.id);
    tree.folder = Some(home);
    tree.output = output.map(|path| path.to_string_lossy().into_owned());
    tree.root = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some((pid, started)) = tree.root.and_then(|pid| Some((pid, tree::started(pid)?))) {
        tree.known.insert(pid, started);
    }
    let guard = Guard { tree: Arc::new(Mutex::new(tree)), ended: AtomicBool::new(false) };
    let reader = Receiver::from_owned_fd(reader.into())?;
    let lines = Lines::new(Arc::clone(&request.log), hidden, KEPT_LINES);
    let ended = watch(child, reader, lines, request, &guard).await;
    guard.end().await;
    let (status, lines) = ended?;
    use std::os::unix::process::ExitStatusExt;
    Ok(Finished { code: status.code(), signal: status.signal(), lines, took: begun.elapsed() })
}

/// Starts the command. A script that was just written can still be open in a process that another thread is about to
/// start, and then its file is busy for a moment.
async fn spawn(command: &mut Command) -> std::io::Result<Child> {
    for _ in 0..BUSY_TRIES {
        match command.spawn() {
            Err(busy) if busy.kind() == std::io::ErrorKind::ExecutableFileBusy => tokio::time::sleep(BUSY_PAUSE).await,
            other => return other,
        }
    }
    command.spawn()
}

/// Ends whoever is left of the build `id`, which a process that is gone had started. Says whether any was found.
pub(crate) async fn end_leftovers(id: &str) -> bool {
    let mut tree = Tree::of_mark(id);
    let work = move || {
        let found = !tree.look().is_empty();
        if found {
            tree.end();
        }
        found
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

async fn watch(
    mut child: Child,
    mut reader: Receiver,
    mut lines: Lines,
    request: &BuildRequest,
    guard: &Guard,
) -> Result<(std::process::ExitStatus, Vec<String>)> {
    let deadline = tokio::time::sleep(request.timeout);
    tokio::pin!(deadline);
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut buffer = vec![0; 64 * 1024];
    let mut open = true;
    let status = loop {
        tokio::select! {
            read = reader.read(&mut buffer), if open => {
                let read = read?;
                open = read > 0;
                lines.take(buffer.get(..read).unwrap_or_default());
                if lines.bytes() > request.max_output {
                    lines.finish();
                    return Err(printed_too_much(request.max_output));
                }
            }
            status = child.wait() => break status?,
            () = &mut deadline => {
                lines.finish();
                return Err(BuildFailure::new(BuildFailureKind::TimedOut).with_lines(lines.last(20)).into_error(format!(
                    "the build did not end within {}; allow it more time, or look where it hangs",
                    crate::flink::format_duration(request.timeout)
                )));
            }
            _ = looks.tick() => {
                let held = guard.look(request.max_memory.is_some()).await;
                if let Some(limit) = request.max_memory.filter(|limit| held > *limit) {
                    lines.finish();
                    return Err(held_too_much(limit, lines.last(20)));
                }
            }
        }
    };
    // Whoever is left may hold the output open for ever.
    guard.end().await;
    let drained = tokio::time::timeout(DRAIN, async {
        if !open {
            return true;
        }
        loop {
            let Ok(read @ 1..) = reader.read(&mut buffer).await else { return true };
            lines.take(buffer.get(..read).unwrap_or_default());
            if lines.bytes() > request.max_output {
                return false;
            }
        }
    });
    let within = drained.await.unwrap_or(true);
    lines.finish();
    if !within {
        return Err(printed_too_much(request.max_output));
    }
    Ok((status, lines.kept()))
}

/// Ends the tree when it goes out of scope while it is still in charge.
#[derive(Debug)]
struct Guard {
    tree: Arc<Mutex<Tree>>,
    ended: AtomicBool,
}

impl Guard {
    /// Looks who is there; gives the memory that they hold where somebody wants to know it.
    async fn look(&self, weigh: bool) -> u64 {
        let tree = Arc::clone(&self.tree);
        let look = move || {
            let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
            if weigh {
                return tree.held();
            }
            tree.look();
            0
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    async fn end(&self) {
        let tree = Arc::clone(&self.tree);
        let end = move || tree.lock().unwrap_or_else(PoisonError::into_inner).end();
        let all = tokio::task::spawn_blocking(end).await.unwrap_or_default();
        self.ended.store(all, Ordering::Relaxed);
        if !all {
            tracing::warn!("some processes of a build could not be ended");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        let tree = Arc::clone(&self.tree);
        let end = move || {
            tree.lock().unwrap_or_else(PoisonError::into_inner).end();
        };
        // Dropped in the middle of an await: no async work can be waited for here.
        if std::thread::Builder::new().name("streampark-build-end".to_owned()).spawn(end).is_err() {
            self.tree.lock().unwrap_or_else(PoisonError::into_inner).end();
        }
    }
}

/// `path` below `folder`, links followed; refused where it leads out.
pub(super) fn inside(folder: &Path, path: &Path) -> Result<PathBuf> {
    let named = |error: std::io::Error| Error::from(error).with_context("path", path.display());
    let root = folder.canonicalize().map_err(named)?;
    let whole = root.join(path).canonicalize().map_err(named)?;
    if whole.starts_with(&root) {
        return Ok(whole);
    }
    Err(Error::invalid(format!("'{}' leads out of the project's folder", path.display())).with_operation("build"))
}

/// The program `name` on the PATH that builds get; None where there is none.
pub(super) fn on_path(name: &str, request: &BuildRequest) -> Result<Option<PathBuf>> {
    let env = request.env.resolve()?;
    let Some(path) = env.get("PATH") else { return Ok(None) };
    Ok(std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|at| is_program(at)))
}

/// Whether the file is there and may be run.
pub(super) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The lines' last step in a build's log.
pub(super) fn step(request: &BuildRequest, text: impl Into<String>) {
    (request.log)(BuildEvent::Step(text.into()));
}

fn printed_too_much(limit: u64) -> Error {
    BuildFailure::new(BuildFailureKind::OutputLimit).into_error(format!(
        "the build printed more than {limit} bytes, which is its bound; make it quieter, or raise max_output"
    ))
}

fn held_too_much(limit: u64, lines: Vec<String>) -> Error {
    BuildFailure::new(BuildFailureKind::OutOfMemory).with_lines(lines).into_error(format!(
        "the build's processes held more than {limit} bytes of memory, which is their bound; make its heap smaller, or \
         raise max_memory"
    ))
}

fn not_started(program: &Path, source: std::io::Error) -> Error {
    let shown = program.display();
    match source.kind() {
        std::io::ErrorKind::NotFound => BuildFailure::new(BuildFailureKind::Tool).into_error(format!(
            "'{shown}' cannot be started: the file, or the program in its first line, is not there"
        )),
        std::io::ErrorKind::PermissionDenied => BuildFailure::new(BuildFailureKind::Tool)
            .into_error(format!("'{shown}' cannot be started: it is no program; make it executable")),
        _ => Error::new(ErrorKind::Io, format!("'{shown}' cannot be started"))
            .with_operation("build")
            .with_source(source),
    }
}
