//! One store per file: a lock that the operating system frees when its owner dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::open::with_suffix;
use crate::{Error, ErrorKind, Result};

/// How often a lock that is held is tried again.
const STEP: Duration = Duration::from_millis(20);

/// The lock on `<file>.lock`, held as long as this lives. The lock file stays: removing it would let
/// two owners lock two files of the same name.
#[derive(Debug)]
pub(super) struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock of the store at `store`, waiting up to `wait`. Blocks; not for async threads.
    pub(super) fn acquire(store: &Path, wait: Duration) -> Result<Self> {
        let path = lock_path(store);
        let unusable = |source: std::io::Error| {
            let remedy = match source.kind() {
                std::io::ErrorKind::StorageFull => "the disk is full, free some space",
                _ => "make its folder writable",
            };
            let message = format!("the lock file of the store '{}' cannot be made; {remedy}", store.display());
            Error::new(ErrorKind::Storage, message).with_context("lock", path.display()).with_source(source)
        };
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(unusable)?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if started.elapsed() < wait => std::thread::sleep(STEP),
                Err(TryLockError::WouldBlock) => return Err(held(store, file)),
                Err(TryLockError::Error(source)) => return Err(unusable(source)),
            }
        }
        let mut lock = Self { file };
        lock.write_owner(&std::process::id().to_string()).map_err(unusable)?;
        Ok(lock)
    }

    fn write_owner(&mut self, owner: &str) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(owner.as_bytes())
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // The lock itself goes with the file; a stale process id would only mislead.
        let _ = self.write_owner("");
    }
}

fn lock_path(store: &Path) -> PathBuf {
    with_suffix(store, ".lock")
}

fn held(store: &Path, mut file: File) -> Error {
    let mut owner = String::new();
    let owner = match file.read_to_string(&mut owner) {
        Ok(_) => owner.trim().parse::<u32>().ok(),
        Err(_) => None,
    };
    let store = store.display();
    let message = match owner {
        Some(pid) if pid == std::process::id() => {
            format!("the store '{store}' is open in this process already; share that store instead")
        }
        Some(pid) => format!("the store '{store}' is in use by process {pid}; stop that process, or name another file"),
        None => format!("the store '{store}' is in use by another process; stop that process, or name another file"),
    };
    Error::new(ErrorKind::Conflict, message)
}
