//! What a mirror tells of the past, and one file of it.

use std::path::Path;

use git2::{Commit, Oid, Repository, Sort};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::mirror::Head;
use crate::{Error, ErrorKind, Result};

/// What a reference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum GitRefKind {
    /// A branch.
    Branch,
    /// A tag.
    Tag,
}

/// A branch or tag that the server has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GitRemoteRef {
    /// Its short name.
    pub name: String,
    /// Branch or tag.
    pub kind: GitRefKind,
    /// The commit that it stands on.
    pub commit: String,
    /// Whether it is the repository's default branch.
    pub default: bool,
}

/// One commit of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GitCommit {
    /// Its id.
    pub id: String,
    /// Who wrote it, with the mail address.
    pub author: String,
    /// The first line of its message.
    pub summary: String,
    /// The whole message.
    pub message: String,
    /// When it was written.
    pub at: Option<Timestamp>,
}

pub(super) fn remote_refs(heads: &[Head]) -> Vec<GitRemoteRef> {
    let default = heads.iter().find(|head| head.name == "HEAD").and_then(|head| head.target.clone());
    let refs = heads.iter().filter_map(|head| {
        let (name, kind) = match (head.name.strip_prefix("refs/heads/"), head.name.strip_prefix("refs/tags/")) {
            (Some(name), _) => (name, GitRefKind::Branch),
            (_, Some(name)) if !name.ends_with("^{}") => (name, GitRefKind::Tag),
            _ => return None,
        };
        Some(GitRemoteRef {
            name: name.to_owned(),
            kind,
            commit: super::mirror::peeled(head, heads).to_string(),
            default: default.as_deref() == Some(head.name.as_str()),
        })
    });
    refs.collect()
}

/// The commits up to `from` that changed `path`, newest first; an empty path is the whole repository.
pub(super) fn log(repository: &Repository, from: Oid, path: &str, limit: usize) -> Result<Vec<GitCommit>> {
    let mut walk = repository.revwalk().map_err(unreadable)?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME).map_err(unreadable)?;
    walk.push(from).map_err(unreadable)?;
    let mut found = Vec::new();
    for id in walk {
        if found.len() >= limit {
            break;
        }
        let commit = id.and_then(|id| repository.find_commit(id)).map_err(unreadable)?;
        if path.is_empty() || changed(&commit, Path::new(path)) {
            found.push(describe(&commit));
        }
    }
    Ok(found)
}

/// One file of a commit.
pub(super) fn file(repository: &Repository, commit: Oid, path: &str, limit: u64) -> Result<Vec<u8>> {
    let nowhere = || Error::not_found(format!("there is no file '{path}' in commit {commit}"));
    let tree = repository.find_commit(commit).and_then(|commit| commit.tree()).map_err(unreadable)?;
    let entry = tree.get_path(Path::new(path)).map_err(|_| nowhere())?;
    let blob = repository.find_blob(entry.id()).map_err(|_| nowhere())?;
    if blob.size() as u64 > limit {
        return Err(Error::new(
            ErrorKind::Exhausted,
            format!("the file '{path}' has {} bytes; at most {limit} are read", blob.size()),
        ));
    }
    Ok(blob.content().to_vec())
}

/// The README nearest to a module: in its folder, or in one above it.
pub(super) fn readme(repository: &Repository, commit: Oid, module: &str) -> Result<Option<(String, String)>> {
    let root = repository.find_commit(commit).and_then(|commit| commit.tree()).map_err(unreadable)?;
    let mut folder = Some(Path::new(module.trim_matches('/')));
    while let Some(here) = folder {
        let tree = if here.as_os_str().is_empty() {
            Some(root.clone())
        } else {
            root.get_path(here).ok().and_then(|entry| repository.find_tree(entry.id()).ok())
        };
        let names: Vec<String> =
            tree.iter().flatten().filter_map(|entry| entry.name().ok().map(str::to_owned)).collect();
        for wanted in ["readme.md", "readme.rst", "readme.adoc", "readme.txt", "readme"] {
            if let Some(name) = names.iter().find(|name| name.eq_ignore_ascii_case(wanted)) {
                let path = here.join(name).to_string_lossy().into_owned();
                let text = file(repository, commit, &path, 4 << 20)?;
                return Ok(Some((path, String::from_utf8_lossy(&text).into_owned())));
            }
        }
        folder = here.parent();
    }
    Ok(None)
}

fn changed(commit: &Commit<'_>, path: &Path) -> bool {
    let at = |commit: &Commit<'_>| commit.tree().ok()?.get_path(path).ok().map(|entry| entry.id());
    let here = at(commit);
    if commit.parent_count() == 0 {
        return here.is_some();
    }
    commit.parents().all(|parent| at(&parent) != here)
}

fn describe(commit: &Commit<'_>) -> GitCommit {
    let revision = super::mirror::revision(commit, None);
    GitCommit {
        id: revision.id,
        author: revision.author.unwrap_or_default(),
        summary: revision.summary.unwrap_or_default(),
        message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
        at: revision.at,
    }
}

fn unreadable(source: git2::Error) -> Error {
    Error::new(ErrorKind::Storage, "the history in the Git mirror cannot be read").with_source(source)
}
