//! The builds' records and logs: one folder for each build, with `build.json` and `log.txt`.
//!
//! They are files of their own, and no rows of the store of jobs: a log is no row, builds are few, and whoever
//! uses projects without the engine has no store.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::follow::STEP;
use super::record::BuildRecord;
use super::told::Told;
use crate::build::outputs::lock;
use crate::{Error, ErrorKind, Result};

/// The folder of all builds, held by one process at a time.
#[derive(Debug)]
pub(super) struct Ledger {
    folder: PathBuf,
    _lock: File,
}

/// A part of a build's log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LogPage {
    /// The text.
    pub text: String,
    /// Where the next part begins; equal to what was asked for where nothing has come since.
    pub next: u64,
}

impl Ledger {
    /// Opens the folder and reads every record. Blocks.
    pub(super) fn open(folder: &Path) -> Result<(Self, Vec<(BuildRecord, Told)>)> {
        let named = |source: std::io::Error| {
            Error::from(source).with_operation("builds.open").with_context("path", folder.display())
        };
        fs::create_dir_all(folder).map_err(named)?;
        let Some(lock) = lock(&folder.join("lock"))? else {
            return Err(Error::new(
                ErrorKind::Conflict,
                "another process builds in this folder; give each process a folder of its own, or end the other",
            )
            .with_operation("builds.open")
            .with_context("path", folder.display()));
        };
        let mut records = Vec::new();
        for entry in fs::read_dir(folder).map_err(named)? {
            let folder = entry.map_err(named)?.path();
            let path = folder.join("build.json");
            let Ok(bytes) = fs::read(&path) else { continue };
            let told = fs::read_to_string(folder.join("told")).map(|text| Told::read(&text)).unwrap_or_default();
            match serde_json::from_slice::<BuildRecord>(&bytes) {
                Ok(record) => records.push((record, told)),
                Err(error) => tracing::warn!(path = %path.display(), %error, "the record of a build cannot be read"),
            }
        }
        records.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
        Ok((Self { folder: folder.to_owned(), _lock: lock }, records))
    }

    /// Keeps a record. Blocks.
    pub(super) fn keep(&self, record: &BuildRecord) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(record).map_err(|source| {
            Error::new(ErrorKind::Internal, "the record of a build is no JSON").with_source(source)
        })?;
        let folder = self.folder.join(&record.id);
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(&folder)?;
            let mut file = tempfile::NamedTempFile::new_in(&folder)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(folder.join("build.json"))?;
            Ok(())
        };
        write().map_err(|source| {
            Error::new(ErrorKind::Storage, "the record of a build cannot be kept")
                .with_operation("builds.keep")
                .with_context("path", folder.display())
                .with_source(source)
        })
    }

    /// Keeps how far the history has heard of a build; where that is lost, it hears it twice. Blocks.
    pub(super) fn told(&self, id: &str, told: Told) -> Result<()> {
        fs::write(self.folder.join(id).join("told"), told.as_str()).or_else(|source| match source.kind() {
            // Forgotten meanwhile.
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(Error::from(source).with_operation("builds.keep").with_context("build", id)),
        })
    }

    /// Removes a build with its log. Blocks.
    pub(super) fn forget(&self, id: &str) -> Result<()> {
        match fs::remove_dir_all(self.folder.join(id)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(source.into()),
            _ => Ok(()),
        }
    }

    fn log_path(&self, id: &str) -> PathBuf {
        self.folder.join(id).join("log.txt")
    }

    /// The log of a build that begins. Blocks.
    pub(super) fn log(&self, id: &str) -> Result<Log> {
        let path = self.log_path(id);
        let open = || {
            let file = File::options().create(true).append(true).open(&path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let opened = open().map_err(|source: std::io::Error| Error::from(source).with_context("path", path.display()));
        Ok(Log(Mutex::new(opened?)))
    }

    /// A part of a log. Blocks.
    pub(super) fn page(&self, id: &str, from: u64, limit: usize) -> Result<LogPage> {
        let Ok(mut file) = File::open(self.log_path(id)) else {
            return Ok(LogPage { text: String::new(), next: from });
        };
        let size = file.metadata()?.len();
        let from = from.min(size);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(limit as u64).read_to_end(&mut bytes)?;
        // A character that is cut in two is left for the next part.
        let whole = match std::str::from_utf8(&bytes) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => bytes.len(),
        };
        bytes.truncate(whole);
        Ok(LogPage { text: String::from_utf8_lossy(&bytes).into_owned(), next: from + whole as u64 })
    }

    /// The last lines of a log. Blocks.
    pub(super) fn tail(&self, id: &str, lines: usize) -> Result<Vec<String>> {
        let Ok(file) = File::open(self.log_path(id)) else { return Ok(Vec::new()) };
        let size = file.metadata()?.len();
        // No line is longer than 8 KiB; whole files are not read for a few of them.
        let from = size.saturating_sub((lines as u64).saturating_mul(8 * 1024).min(1 << 20));
        let page = self.page(id, from, 1 << 20)?;
        let all: Vec<&str> = page.text.lines().collect();
        Ok(all.iter().skip(all.len().saturating_sub(lines)).map(|line| (*line).to_owned()).collect())
    }
}

/// A log that grows.
#[derive(Debug)]
pub(super) struct Log(Mutex<(File, u64)>);

impl Log {
    /// Writes a line of output; gives the length of the log then, or None where it cannot be written.
    pub(super) fn line(&self, text: &str) -> Option<u64> {
        // What a build prints must not look like a step.
        let mark = if text.starts_with(STEP) { " " } else { "" };
        self.write(&format!("{mark}{text}\n"))
    }

    /// Writes a step; otherwise as [`line`](Self::line).
    pub(super) fn step(&self, text: &str) -> Option<u64> {
        self.write(&format!("{STEP}{text}\n"))
    }

    fn write(&self, text: &str) -> Option<u64> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, length) = &mut *log;
        match file.write_all(text.as_bytes()) {
            Ok(()) => {
                *length += text.len() as u64;
                Some(*length)
            }
            Err(error) => {
                // A full disk must not end a build that could still fail with its own reason.
                tracing::warn!(%error, "a line of a build's log is lost");
                // Nor may a part of it become the begin of the next.
                let _whole = file.set_len(*length);
                None
            }
        }
    }
}
