//! Files that a build left behind.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Error, ErrorKind, Result};

/// How deep modules are looked for where nobody named them.
const MAX_DEPTH: usize = 8;
/// Folders in which no module is.
const SKIPPED: [&str; 6] = ["target", "build", "src", "node_modules", ".git", ".gradle"];

/// The jars and archives in `folder`, in order of their names; none where there is no such folder. Links are left
/// out, and so is a folder that a link leads out of `root`.
pub(super) fn in_folder(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(folder) = folder.canonicalize() else { return Ok(Vec::new()) };
    if !folder.starts_with(root.canonicalize()?) {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder)?.flatten();
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .filter(|path| is_output(path))
        .collect();
    files.sort();
    Ok(files)
}

fn is_output(path: &Path) -> bool {
    let name = name(path);
    is_archive(&name) || name.ends_with(".jar")
}

/// Whether the file is an archive that a distribution comes in.
pub(super) fn is_archive(name: &str) -> bool {
    [".tar.gz", ".tgz", ".zip"].iter().any(|ending| name.ends_with(ending))
}

/// The last part of a path.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The folders below `root` that hold the folder `below`, `root` itself as the empty text. Blocks.
pub(super) fn folders_with(root: &Path, below: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![(String::new(), 0)];
    while let Some((folder, depth)) = todo.pop() {
        let at = root.join(&folder);
        if at.join(below).is_dir() {
            found.push(folder.clone());
        }
        if depth == MAX_DEPTH {
            continue;
        }
        for entry in std::fs::read_dir(at).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !SKIPPED.contains(&name.as_str()) {
                todo.push((if folder.is_empty() { name } else { format!("{folder}/{name}") }, depth + 1));
            }
        }
    }
    found.sort();
    found
}

/// Locks a file for this process, made where it does not exist; None where somebody else holds it for longer than the
/// moment that letting go of it takes. Blocks.
pub(crate) fn lock(path: &Path) -> Result<Option<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    for _ in 0..20 {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
            Err(TryLockError::Error(source)) => return Err(source.into()),
        }
    }
    Ok(None)
}

/// Runs file work away from the async threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|source| {
        Err(Error::new(ErrorKind::Internal, "reading files of a build ended early").with_source(source))
    })
}
