//! What every store refuses, in the same words.

use std::fmt::Display;

use super::records::JobRecord;
use crate::job::{JobId, RunKey};
use crate::{Error, ErrorKind};

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Conflict, "the store is closed; open it again")
}

pub(super) fn name_taken(name: &str) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        format!("a job named '{name}' exists already; choose another name, or change that job"),
    )
}

pub(super) fn changed_meanwhile(job: &JobRecord, stored: u64) -> Error {
    let message = match job.revision {
        0 => format!("job '{}' is stored already; read it and change what was read", job.name),
        read => format!(
            "job '{}' was changed by somebody else: revision {stored} is stored, this change was made from {read}; \
             read it again and repeat the change",
            job.name
        ),
    };
    Error::new(ErrorKind::Conflict, message)
}

pub(super) fn deleted_meanwhile(job: &JobRecord) -> Error {
    Error::new(ErrorKind::Conflict, format!("job '{}' was deleted by somebody else; nothing was changed", job.name))
}

pub(super) fn no_such_job(what: impl Display, job: JobId) -> Error {
    Error::not_found(format!("{what} belongs to job {job}, which is not stored; commit the job first"))
}

pub(super) fn run_name(run: RunKey) -> String {
    format!("run {}", run.generation)
}

/// A version of a spec that does not follow the newest one.
pub(super) fn spec_out_of_order(version: u32, newest: u32) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("version {version} of the spec cannot follow version {newest}; versions count by one and never change"),
    )
}

pub(super) fn no_such_spec(job: &JobRecord) -> Error {
    Error::invalid(format!(
        "job '{}' names version {} of its spec, which is not stored; put it into the same batch",
        job.name, job.spec_version
    ))
}
