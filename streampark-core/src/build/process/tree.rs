//! All processes of a build, also those that turned away from it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// The variable by which the processes of a build are known.
pub(crate) const MARK: &str = "STREAMPARK_BUILD";

/// How often the processes are looked for until none is left.
const ROUNDS: u32 = 200;
const BETWEEN_ROUNDS: Duration = Duration::from_millis(10);

/// How to tell that a process belongs to a build.
///
/// A process belongs to it that descends from its first one, stands in its process group, carries its mark in
/// the environment, writes into its output, or works in its folder without a parent. A daemon that gives up all of these within
/// one look (a tenth of a second) is not found; whoever builds code that tries to hide needs a container.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) mark: String,
    pub(super) folder: Option<PathBuf>,
    /// The name of the output pipe, as `/proc/PID/fd` shows it.
    pub(super) output: Option<String>,
    /// The first process, which leads the group; None where it belonged to a process of ours that is gone.
    pub(super) root: Option<i32>,
    /// Whoever was seen: id and start, since ids are used again.
    pub(super) known: HashMap<i32, u64>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    pid: i32,
    parent: i32,
    group: i32,
    started: u64,
}

impl Tree {
    /// Whoever carries the mark of the build `id`.
    pub(super) fn of_mark(id: &str) -> Self {
        Self { mark: format!("{MARK}={id}"), folder: None, output: None, root: None, known: HashMap::new() }
    }

    /// Looks who is there, and remembers them. Blocks for some milliseconds.
    pub(super) fn look(&mut self) -> Vec<i32> {
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let all = processes();
        let first = self.root.and_then(|root| self.known.get(&root).copied());
        let mut found: HashMap<i32, u64> = HashMap::new();
        for seen in &all {
            let known = self.known.get(&seen.pid) == Some(&seen.started);
            let late = first.is_none_or(|first| seen.started >= first);
            if known || (late && seen.pid != own && self.claims(seen)) {
                found.insert(seen.pid, seen.started);
            }
        }
        // Children of those, and theirs; a parent that ended is still known by its id.
        loop {
            let before = found.len();
            for seen in &all {
                let of =
                    |set: &HashMap<i32, u64>| set.get(&seen.parent).is_some_and(|started| *started <= seen.started);
                if !found.contains_key(&seen.pid) && seen.pid != own && of(&found) {
                    found.insert(seen.pid, seen.started);
                }
            }
            if found.len() == before {
                break;
            }
        }
        self.known.extend(&found);
        found.into_keys().collect()
    }

    /// The bytes of memory that all who are there now hold. Blocks for some milliseconds.
    pub(super) fn held(&mut self) -> u64 {
        self.look().into_iter().filter_map(resident).sum()
    }

    fn claims(&self, seen: &Seen) -> bool {
        if self.root == Some(seen.group) {
            return true;
        }
        let at = PathBuf::from(format!("/proc/{}", seen.pid));
        let marked = std::fs::read(at.join("environ"))
            .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == self.mark.as_bytes()));
        // Somebody's shell may stand in the folder too; what has no parent left is nobody's.
        marked || self.writes(&at) || (seen.parent == 1 && self.works_in(&at))
    }

    fn writes(&self, process: &Path) -> bool {
        let Some(output) = &self.output else { return false };
        let files = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        files
            .filter_map(|file| std::fs::read_link(file.path()).ok())
            .any(|target| target.as_os_str() == output.as_str())
    }

    fn works_in(&self, process: &Path) -> bool {
        let Some(folder) = &self.folder else { return false };
        std::fs::read_link(process.join("cwd")).is_ok_and(|at| at.starts_with(folder))
    }

    /// Ends them all, whatever they start meanwhile; false where some are left after all. Blocks.
    pub(super) fn end(&mut self) -> bool {
        if let Some(root) = self.root.filter(|root| alive(*root, self.known.get(root).copied())) {
            // It may have ended just now.
            let _ended = killpg(Pid::from_raw(root), Signal::SIGKILL);
        }
        for round in 0..ROUNDS {
            let found = self.look();
            if found.is_empty() {
                return true;
            }
            for pid in found {
                let _ended = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            if round > 0 {
                std::thread::sleep(BETWEEN_ROUNDS);
            }
        }
        false
    }
}

/// When the process began; None for one that is gone or a zombie.
pub(super) fn started(pid: i32) -> Option<u64> {
    stat(pid).map(|seen| seen.started)
}

/// `VmRSS` of `proc(5)`, in bytes.
fn resident(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()?.saturating_mul(1024))
}

fn alive(pid: i32, known: Option<u64>) -> bool {
    known.is_some() && started(pid) == known
}

fn processes() -> Vec<Seen> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// `proc(5)`: state, parent and group are fields 3 to 5 of `stat`, the start is field 22. Zombies are gone.
fn stat(pid: i32) -> Option<Seen> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return None;
    }
    Some(Seen {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.trim().parse().ok()?,
    })
}
