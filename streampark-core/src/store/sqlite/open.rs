//! From a path to a connection that keeps the store's promises.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::SqliteOptions;
use super::failure::{Failure, storage};
use super::lock::FileLock;
use super::migrate;
use super::mounts::network_file_system;
use crate::{Error, ErrorKind, Result};

/// Statements that a connection keeps prepared; there are fewer kinds.
const CACHED_STATEMENTS: usize = 64;

/// What the first 16 bytes of a SQLite file say (sqlite.org/fileformat.html).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// An open file: its path, the writing connection, and the lock, which has to go last.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    pub(super) lock: FileLock,
}

/// Checks, locks, opens and migrates. Blocks; not for async threads.
pub(super) fn open(path: &Path, options: &SqliteOptions) -> Result<Opened> {
    let path = resolve(path)?;
    if !options.allow_network_file_system
        && let Some(kind) = network_file_system(&path)
    {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the store '{}' is on a network file system ({kind}), which can lose commits; \
                 name a file on a local disk",
                path.display()
            ),
        ));
    }
    check_folder(&path)?;
    // First the lock, then the file: on Unix, closing a second handle of the file would let go of the
    // locks that SQLite holds for a store of this process.
    let lock = FileLock::acquire(&path, options.lock_wait)?;
    check_file(&path)?;
    let connection = writer(&path, options).map_err(|failure| {
        // The header is right and SQLite still says that it is none.
        Error::from(failure).with_context("file", path.display())
    })?;
    Ok(Opened { path, connection, lock })
}

/// A connection that only reads.
pub(super) fn reader(path: &Path, options: &SqliteOptions) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(options.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    };
    open().map_err(|source| storage(source).with_context("file", path.display()))
}

/// `path` with `suffix` after its file name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn writer(path: &Path, options: &SqliteOptions) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    migrate::check_version(&connection, path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    // Without it, a sync on macOS stops at the drive's own cache.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A long read can let the log grow; it is cut back to this many bytes when it is reused.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    migrate::run(&connection, path, migrate::MIGRATIONS)?;
    if let Some(pages) = options.max_pages {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(connection)
}

/// The one name of the file, so that two paths to it meet in one lock.
fn resolve(path: &Path) -> Result<PathBuf> {
    let shown = path.display();
    if path == Path::new(":memory:") {
        return Err(Error::invalid("a SQLite store keeps a file; for a store in memory use MemoryStore"));
    }
    let Some(name) = path.file_name() else {
        return Err(Error::invalid(format!("'{shown}' does not name a file; name one such as jobs.db")));
    };
    if path.is_dir() {
        return Err(Error::invalid(format!("the store '{shown}' is a folder; name a file in it such as jobs.db")));
    }
    if let Ok(whole) = path.canonicalize() {
        return Ok(whole);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match folder.canonicalize() {
        Ok(folder) => Ok(folder.join(name)),
        Err(source) => Err(Error::new(
            ErrorKind::Storage,
            format!("the folder '{}' of the store does not exist; create it first", folder.display()),
        )
        .with_source(source)),
    }
}

/// Write bits are looked at first, because the superuser may write without them; nobody who
/// protected a file wants it written all the same.
fn check_folder(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let read_only = folder.metadata().is_ok_and(|metadata| metadata.permissions().readonly());
    match read_only {
        true => Err(Error::new(
            ErrorKind::Storage,
            format!(
                "the folder '{}' of the store is read-only; SQLite keeps its log beside the file, make the folder writable",
                folder.display()
            ),
        )),
        false => Ok(()),
    }
}

fn check_file(path: &Path) -> Result<()> {
    let shown = path.display();
    let read_only = |source: Option<std::io::Error>| {
        let error = Error::new(
            ErrorKind::Storage,
            format!("the store '{shown}' is read-only; make it writable, or name another file"),
        );
        match source {
            Some(source) => error.with_source(source),
            None => error,
        }
    };
    let mut file = match create_or_open(path) {
        Ok(file) => file,
        Err(source)
            if matches!(
                source.kind(),
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            return Err(read_only(Some(source)));
        }
        Err(source) => {
            return Err(
                Error::new(ErrorKind::Storage, format!("the store '{shown}' cannot be opened")).with_source(source)
            );
        }
    };
    let metadata = file.metadata()?;
    if metadata.permissions().readonly() {
        return Err(read_only(None));
    }
    let mut head = Vec::new();
    file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut head)?;
    if head.is_empty() || head == MAGIC {
        return Ok(());
    }
    Err(Error::invalid(format!("'{shown}' is not a SQLite database; name a store made by StreamPark, or a new file")))
}

/// A new file is for its owner only: arguments of jobs are nobody else's business.
fn create_or_open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
