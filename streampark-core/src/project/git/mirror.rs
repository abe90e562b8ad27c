//! The bare mirror of one address: what is new is brought, what is here is not asked for again.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use git2::{Commit, ErrorClass, Oid, Repository};
use jiff::Timestamp;

use super::session::Session;
use crate::project::{GitRef, Revision};
use crate::{Error, Result};

/// One line of what a server lists.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) id: Oid,
    pub(super) target: Option<String>,
}

/// Where a wanted reference stands, and whether it moved.
pub(super) struct Fetched {
    pub(super) commit: Oid,
    /// The full name; None for a commit.
    pub(super) name: Option<String>,
    pub(super) changed: bool,
}

/// Lists what the server has; brings nothing.
pub(super) fn list(session: &Session) -> Result<Vec<Head>> {
    let remote = git2::Remote::create_detached(session.address()).map_err(|error| session.explain(error))?;
    session.connected(remote, |remote| heads(session, remote))
}

/// Brings what `wanted` needs. `whole` brings the history too.
pub(super) fn fetch(session: &Session, folder: &Path, wanted: &GitRef, whole: bool) -> Result<Fetched> {
    let _lock = lock(session, folder)?;
    match fetch_once(session, folder, wanted, whole) {
        Err((error, true)) => {
            tracing::warn!(mirror = %folder.display(), %error, "a damaged Git mirror is made anew");
            std::fs::remove_dir_all(folder)?;
            fetch_once(session, folder, wanted, whole).map_err(|(error, _)| error)
        }
        other => other.map_err(|(error, _)| error),
    }
}

/// Opens a mirror that a fetch has made.
pub(super) fn open(folder: &Path) -> Result<Repository> {
    Repository::open_bare(folder).map_err(|source| {
        Error::not_found("the project has not been synchronised yet; call sync first")
            .with_context("mirror", folder.display())
            .with_source(source)
    })
}

/// Where the mirror says that `wanted` stands.
pub(super) fn local(repository: &Repository, wanted: &GitRef) -> Option<(Oid, Option<String>)> {
    if let GitRef::Commit(id) = wanted {
        let id = Oid::from_str(id).ok()?;
        return repository.find_commit(id).is_ok().then_some((id, None));
    }
    let mut names = wanted.candidates();
    if *wanted == GitRef::Default {
        let head = repository.find_reference("HEAD").ok()?;
        names = vec![head.symbolic_target().ok()??.to_owned()];
    }
    names.into_iter().find_map(|name| {
        let commit = repository.find_reference(&name).ok()?.peel_to_commit().ok()?;
        Some((commit.id(), Some(name)))
    })
}

/// What is known of a commit.
pub(super) fn revision(commit: &Commit<'_>, name: Option<String>) -> Revision {
    let author = commit.author();
    let mut revision = Revision::new(commit.id().to_string());
    revision.reference = name.map(|name| {
        let short = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/"));
        short.unwrap_or(&name).to_owned()
    });
    let (name, mail) = (String::from_utf8_lossy(author.name_bytes()), String::from_utf8_lossy(author.email_bytes()));
    revision.author = Some(format!("{name} <{mail}>"));
    revision.summary = commit.summary_bytes().map(|text| String::from_utf8_lossy(text).into_owned());
    revision.at = Timestamp::from_second(author.when().seconds()).ok();
    revision
}

pub(super) fn no_such_ref(wanted: &GitRef, heads: &[Head]) -> Error {
    if heads.is_empty() {
        return Error::not_found("no such ref: the repository has no commits yet");
    }
    let text = wanted.to_string();
    let short = text.rsplit('/').next().unwrap_or_default();
    let near = heads
        .iter()
        .filter(|head| !head.name.ends_with("^{}") && head.name != "HEAD")
        .map(|head| head.name.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/"))
        .map(|name| (strsim::jaro(name, short), name))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    Error::not_found(match near {
        Some((_, near)) => format!("no such ref: the repository has no '{text}'; the nearest name is '{near}'"),
        None => format!("no such ref: the repository has no '{text}'"),
    })
}

/// The line of the server's list that `wanted` means.
pub(super) fn pick(wanted: &GitRef, heads: &[Head]) -> Option<Head> {
    if let GitRef::Commit(id) = wanted {
        return heads.iter().find(|head| head.name.starts_with("refs/") && head.id.to_string() == *id).cloned();
    }
    let found = wanted.candidates().iter().find_map(|name| heads.iter().find(|head| head.name == *name).cloned())?;
    if found.name != "HEAD" {
        return Some(found);
    }
    let branch = found.target.clone().or_else(|| {
        heads
            .iter()
            .find(|head| head.id == found.id && head.name.starts_with("refs/heads/"))
            .map(|head| head.name.clone())
    })?;
    Some(Head { name: branch, ..found })
}

/// The commit behind a line: annotated tags are listed a second time with `^{}`.
pub(super) fn peeled(head: &Head, heads: &[Head]) -> Oid {
    let name = format!("{}^{{}}", head.name);
    heads.iter().find(|other| other.name == name).map_or(head.id, |other| other.id)
}

fn heads(session: &Session, remote: &git2::Remote<'_>) -> Result<Vec<Head>> {
    let heads = remote.list().map_err(|error| session.explain(error))?;
    let head = |head: &git2::RemoteHead<'_>| Head {
        name: head.name().to_owned(),
        id: head.oid(),
        target: head.symref_target().map(str::to_owned),
    };
    Ok(heads.iter().map(head).collect())
}

/// The flag says whether the mirror itself is at fault.
fn fetch_once(session: &Session, folder: &Path, wanted: &GitRef, whole: bool) -> Result<Fetched, (Error, bool)> {
    let damaged = |error: git2::Error| (local_error(folder, error), true);
    let ours = |error: Error| (error, false);
    let repository = if folder.join("HEAD").exists() {
        Repository::open_bare(folder).map_err(damaged)?
    } else {
        std::fs::create_dir_all(folder).map_err(|error| ours(error.into()))?;
        Repository::init_bare(folder).map_err(damaged)?
    };
    let enough = !whole || !repository.is_shallow();
    if let (GitRef::Commit(_), Some((commit, name)), true) = (wanted, local(&repository, wanted), enough) {
        return Ok(Fetched { commit, name, changed: false });
    }
    let remote = repository.remote_anonymous(session.address()).map_err(damaged)?;
    if remote.url().ok() != Some(session.address()) {
        return Err(ours(Error::invalid(
            "the Git configuration of this user rewrites the project's URL (url.*.insteadOf); remove that rule",
        )));
    }
    session
        .connected(remote, |remote| {
            let heads = heads(session, remote)?;
            let picked = pick(wanted, &heads);
            let (specs, tip) = match (&picked, wanted) {
                (Some(head), _) => (vec![format!("+{0}:{0}", head.name)], Some(head)),
                // A commit that no ref points at is somewhere in the history.
                (None, GitRef::Commit(_)) => {
                    (vec!["+refs/heads/*:refs/heads/*".to_owned(), "+refs/tags/*:refs/tags/*".to_owned()], None)
                }
                (None, _) => return Err(no_such_ref(wanted, &heads)),
            };
            let before =
                tip.and_then(|head| repository.find_reference(&head.name).ok()?.peel_to_commit().ok()).map(|c| c.id());
            let here =
                tip.is_some_and(|head| repository.refname_to_id(&head.name).ok() == Some(head.id) && before.is_some());
            if !(here && enough) {
                let deepen = repository.is_shallow() && (whole || tip.is_none());
                let depth = match session.cache.options().depth {
                    _ if deepen => Some(i32::MAX as u32),
                    Some(depth) if !whole && tip.is_some() && (before.is_none() || repository.is_shallow()) => {
                        Some(depth)
                    }
                    _ => None,
                };
                let mut options = session.fetch_options(depth);
                remote.fetch(&specs, Some(&mut options), None).map_err(|error| session.explain(error))?;
            }
            if let (Some(head), GitRef::Default) = (tip, wanted) {
                repository.set_head(&head.name).map_err(|error| local_error(folder, error))?;
            }
            let exact = tip.map_or_else(|| wanted.clone(), |head| full(&head.name));
            let wanted = if matches!(wanted, GitRef::Commit(_)) { wanted } else { &exact };
            let (commit, name) = local(&repository, wanted).ok_or_else(|| no_such_ref(wanted, &heads))?;
            Ok(Fetched { commit, name, changed: before != Some(commit) })
        })
        .map_err(|error| {
            let class = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<git2::Error>());
            let damaged = class.is_some_and(|error| {
                matches!(error.class(), ErrorClass::Odb | ErrorClass::Zlib | ErrorClass::Reference | ErrorClass::Object)
            });
            (error, damaged)
        })
}

fn full(name: &str) -> GitRef {
    match (name.strip_prefix("refs/heads/"), name.strip_prefix("refs/tags/")) {
        (Some(branch), _) => GitRef::Branch(branch.to_owned()),
        (_, Some(tag)) => GitRef::Tag(tag.to_owned()),
        _ => GitRef::Name(name.to_owned()),
    }
}

/// Waits for other processes that write this mirror, as long as the call lasts.
fn lock(session: &Session, folder: &Path) -> Result<File> {
    let path = folder.with_extension("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if session.verdict.is_cancelled() => {
                return Err(Error::new(
                    crate::ErrorKind::Cancelled,
                    "the Git call was cancelled while it waited for its mirror",
                ));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::Error(source)) => {
                return Err(Error::from(source).with_context("path", path.display()));
            }
        }
    }
}

fn local_error(folder: &Path, source: git2::Error) -> Error {
    Error::new(crate::ErrorKind::Storage, "the Git mirror could not be read or written")
        .with_context("mirror", folder.display())
        .with_source(source)
}
