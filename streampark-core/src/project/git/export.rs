//! One commit's files, written into an empty folder by us: no filter, no hook, no link that leads out.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use git2::{FileMode, ObjectType, Oid, Repository, Tree};

use super::cache::GitOptions;
use crate::{Error, ErrorKind, Result};

/// How deep folders may be nested.
const MAX_DEPTH: usize = 128;
/// The first line of every Git LFS pointer (git-lfs, `docs/spec.md`).
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// An LFS pointer is always shorter than this.
const LFS_MAX: usize = 1024;

/// A submodule met on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Submodule {
    /// Its folder, relative to the checkout.
    pub(super) path: PathBuf,
    pub(super) commit: Oid,
}

/// What an export still may write, shared by a repository and its submodules.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) bytes: u64,
    pub(super) files: u64,
    pub(super) max_file: u64,
    pub(super) keep_lfs_pointers: bool,
}

impl Budget {
    pub(super) fn new(options: &GitOptions, keep_lfs_pointers: bool) -> Self {
        Self { bytes: options.max_checkout, files: options.max_files, max_file: options.max_file, keep_lfs_pointers }
    }
}

/// Writes the files of `commit` below `root`; returns the submodules, whose folders are left empty.
pub(super) fn export(repository: &Repository, commit: Oid, root: &Path, budget: &mut Budget) -> Result<Vec<Submodule>> {
    let tree = repository.find_commit(commit).and_then(|commit| commit.tree()).map_err(unreadable)?;
    let mut export = Export { repository, root, budget, submodules: Vec::new() };
    export.folder(&tree, Path::new(""), 0)?;
    Ok(export.submodules)
}

struct Export<'a> {
    repository: &'a Repository,
    root: &'a Path,
    budget: &'a mut Budget,
    submodules: Vec<Submodule>,
}

impl Export<'_> {
    fn folder(&mut self, tree: &Tree<'_>, folder: &Path, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(refused(folder, "its folders are nested more than 128 deep"));
        }
        for entry in tree {
            let name = entry_name(entry.name_bytes(), folder)?;
            let path = folder.join(name);
            let mode = entry.filemode();
            if mode == i32::from(FileMode::Commit) {
                fs::create_dir(self.root.join(&path))?;
                self.submodules.push(Submodule { path, commit: entry.id() });
            } else if entry.kind() == Some(ObjectType::Tree) {
                fs::create_dir(self.root.join(&path)).map_err(|error| failed(error, &path))?;
                let below = self.repository.find_tree(entry.id()).map_err(unreadable)?;
                self.folder(&below, &path, depth + 1)?;
            } else {
                self.file(entry.id(), mode, &path)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, id: Oid, mode: i32, path: &Path) -> Result<()> {
        let odb = self.repository.odb().map_err(unreadable)?;
        let (size, _) = odb.read_header(id).map_err(unreadable)?;
        let size = size as u64;
        if size > self.budget.max_file {
            return Err(refused(path, &format!("it has {size} bytes; a file may have {}", self.budget.max_file)));
        }
        let left = self.budget.bytes.checked_sub(size).zip(self.budget.files.checked_sub(1));
        let Some((bytes, files)) = left else {
            return Err(Error::new(ErrorKind::Exhausted, "the checkout is larger than its limit of bytes or files"));
        };
        (self.budget.bytes, self.budget.files) = (bytes, files);
        let blob = odb.read(id).map_err(unreadable)?;
        let target = self.root.join(path);
        if mode == i32::from(FileMode::Link) {
            return link(blob.data(), path, &target);
        }
        if !self.budget.keep_lfs_pointers && blob.data().len() < LFS_MAX && blob.data().starts_with(LFS) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the repository keeps this file in Git LFS, which is not fetched; keep it in Git or in the resource centre, or allow LFS pointers to stay as they are",
            )
            .with_context("file", path.display()));
        }
        let permissions = if mode == i32::from(FileMode::BlobExecutable) { 0o755 } else { 0o644 };
        let mut file: File = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(permissions)
            .open(&target)
            .map_err(|error| failed(error, path))?;
        file.write_all(blob.data()).map_err(|error| failed(error, path))
    }
}

/// A link may climb first and descend then: such links stay inside whatever other links they meet.
fn link(target: &[u8], path: &Path, at: &Path) -> Result<()> {
    let out = || refused(path, "it is a symbolic link that leads out of the repository");
    let target = std::str::from_utf8(target).map_err(|_| out())?;
    let mut room = path.components().count() - 1;
    let mut descended = false;
    for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            room = room.checked_sub(1).filter(|_| !descended).ok_or_else(out)?;
        } else {
            descended = true;
        }
    }
    if target.is_empty() || target.starts_with('/') || target.contains('\0') {
        return Err(out());
    }
    symlink(target, at).map_err(|error| failed(error, path))
}

fn entry_name<'a>(name: &'a [u8], folder: &Path) -> Result<&'a str> {
    let bad = || refused(folder, "it holds a file name that no checkout may have");
    let name = std::str::from_utf8(name).map_err(|_| bad())?;
    let git = name.trim_end_matches(['.', ' ']).eq_ignore_ascii_case(".git");
    if name.is_empty() || name == "." || name == ".." || git || name.contains(['/', '\0']) {
        return Err(bad());
    }
    Ok(name)
}

fn refused(path: &Path, why: &str) -> Error {
    Error::invalid(format!("'{}' of the repository is refused: {why}", path.display()))
}

fn failed(error: std::io::Error, path: &Path) -> Error {
    Error::from(error).with_context("file", path.display())
}

fn unreadable(source: git2::Error) -> Error {
    Error::new(ErrorKind::Storage, "an object of the Git mirror cannot be read").with_source(source)
}
