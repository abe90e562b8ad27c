//! The schema: numbered steps, forward only.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::failure::Failure;
use super::open::with_suffix;
use crate::{Error, ErrorKind};

/// One step of the schema; its text never changes once released.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

/// Every step, in order; the number of a step is its position from 1.
pub(super) const MIGRATIONS: &[Migration] = &[Migration { name: "jobs", sql: include_str!("0001_jobs.sql") }];

/// Marks the file as one of ours (`PRAGMA application_id`): "SPrk".
const APPLICATION_ID: i32 = 0x5350_726b;

/// Refuses files of other programs and of newer versions before anything in them is touched.
pub(super) fn check_version(connection: &Connection, path: &Path) -> Result<(), Failure> {
    let schema = schema_version(connection)?;
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(Error::invalid(format!(
            "'{}' is a SQLite database of another program; name a store made by StreamPark, or a new file",
            path.display()
        ))
        .into());
    }
    if schema > MIGRATIONS.len() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the store '{}' was written by a newer version of StreamPark: its schema is {schema}, this version \
                 knows {}; install the newer version, or name another file",
                path.display(),
                MIGRATIONS.len()
            ),
        )
        .into());
    }
    Ok(())
}

/// Brings the file to the newest schema, each step in a transaction of its own.
///
/// A file that holds something is copied first. Killed in between, it goes on with the step that was lost.
pub(super) fn run(connection: &Connection, path: &Path, migrations: &[Migration]) -> Result<(), Failure> {
    let schema = schema_version(connection)?;
    if schema > 0 {
        check_history(connection, path, migrations)?;
        if schema < migrations.len() {
            back_up(connection, path, schema)?;
        }
    }
    for (number, migration) in (1..).zip(migrations).skip(schema) {
        apply(connection, number, migration).map_err(|source| {
            // Dropping the connection would roll back as well; the caller may go on using it.
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
            Failure::from(source)
        })?;
    }
    Ok(())
}

fn schema_version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).map(|version| version as usize)
}

fn apply(connection: &Connection, number: u32, migration: &Migration) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    if number == 1 {
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.execute_batch(
            "CREATE TABLE migration (
                 number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TEXT NOT NULL
             ) STRICT",
        )?;
    }
    connection.execute_batch(migration.sql)?;
    connection.execute(
        "INSERT INTO migration VALUES (?1, ?2, ?3, ?4)",
        params![number, migration.name, checksum(migration), Timestamp::now().to_string()],
    )?;
    connection.pragma_update(None, "user_version", number)?;
    connection.execute_batch("COMMIT")
}

fn checksum(migration: &Migration) -> String {
    hex::encode(Sha256::digest(migration.sql))
}

/// The steps that were applied must be the steps that this version knows.
fn check_history(connection: &Connection, path: &Path, migrations: &[Migration]) -> Result<(), Failure> {
    let schema = schema_version(connection)?;
    for (number, migration) in (1_u32..).zip(migrations).take(schema) {
        let applied: Option<String> = connection
            .query_row("SELECT checksum FROM migration WHERE number = ?1", [number], |row| row.get(0))
            .optional()?;
        if applied.as_deref() != Some(checksum(migration).as_str()) {
            return Err(Error::new(
                ErrorKind::Storage,
                format!(
                    "step {number} ('{}') of the schema of the store '{}' is not the one that this version knows; \
                     open it with the version that wrote it",
                    migration.name,
                    path.display()
                ),
            )
            .into());
        }
    }
    Ok(())
}

/// Copies the file as it is, log included; the copy gets its name only when it is whole.
fn back_up(connection: &Connection, path: &Path, schema: usize) -> Result<PathBuf, Failure> {
    let copy = with_suffix(path, &format!(".schema-{schema}.bak"));
    let partial = with_suffix(&copy, ".partial");
    let failed = |source: std::io::Error| {
        Error::new(ErrorKind::Storage, "the store could not be copied before its schema is changed; free some space")
            .with_context("copy", copy.display())
            .with_source(source)
    };
    match std::fs::remove_file(&partial) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(failed(source).into()),
        _ => {}
    }
    connection.execute("VACUUM INTO ?1", [partial.to_string_lossy()])?;
    let permissions = std::fs::metadata(path).map_err(failed)?.permissions();
    std::fs::set_permissions(&partial, permissions).map_err(failed)?;
    std::fs::File::open(&partial).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&partial, &copy).map_err(failed)?;
    tracing::info!(copy = %copy.display(), schema, "the store was copied before its schema is changed");
    Ok(copy)
}
