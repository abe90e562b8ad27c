//! Archives that a build or a user hands over: unpacked without leaving the folder, and without filling the disk.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;

use crate::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// Below this size no ratio is a danger.
const SMALL: u64 = 64 << 20;

/// What an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnpackLimits {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    /// How many times larger than the archive its content may be, once that is more than 64 MiB.
    pub(super) ratio: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self { entries: 100_000, bytes: 4 << 30, ratio: 100 }
    }
}

/// Unpacks a `tar.gz` or `zip` below `target`, an empty folder. Blocks.
pub(super) fn unpack(archive: &Path, target: &Path, limits: UnpackLimits) -> Result<()> {
    let size = std::fs::metadata(archive)?.len();
    let mut budget = Budget { limits, entries: 0, bytes: 0, packed: size };
    let name = super::outputs::name(archive);
    let named = |error: Error| error.with_operation("build.unpack").with_context("archive", &name);
    match name.ends_with(".zip") {
        true => zip(archive, target, &mut budget).map_err(named),
        false => tar(archive, target, &mut budget).map_err(named),
    }
}

/// Refuses a jar whose entries would leave the folder in which somebody unpacks it, or fill its disk. Reads the
/// table of contents only. Blocks.
pub(super) fn check_jar(jar: &Path, limits: UnpackLimits) -> Result<()> {
    let name = super::outputs::name(jar);
    let named = |error: Error| error.with_operation("build.unpack").with_context("archive", &name);
    let packed = std::fs::metadata(jar)?.len();
    let mut budget = Budget { limits, entries: 0, bytes: 0, packed };
    let mut archive = opened(jar).map_err(named)?;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|source| named(damaged(source)))?;
        let (path, size) = (entry.name().map(|name| name.into_owned()).unwrap_or_default(), entry.size());
        place(&path).and_then(|_| budget.entry()).and_then(|()| budget.take(size)).map_err(named)?;
    }
    Ok(())
}

struct Budget {
    limits: UnpackLimits,
    entries: u64,
    bytes: u64,
    packed: u64,
}

impl Budget {
    fn entry(&mut self) -> Result<()> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Error::invalid(format!("the archive has more than {} entries", self.limits.entries)));
        }
        Ok(())
    }

    fn take(&mut self, bytes: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.bytes {
            return Err(Error::invalid(format!("the archive holds more than {} bytes", self.limits.bytes)));
        }
        if self.bytes > SMALL && self.bytes / self.packed.max(1) > self.limits.ratio {
            return Err(Error::invalid(format!(
                "the archive holds more than {} times its own size; that is how archives that fill a disk are made",
                self.limits.ratio
            )));
        }
        Ok(())
    }

    /// Writes one file, counting what comes and not what the archive says.
    fn write(&mut self, mut from: impl Read, to: &Path) -> Result<()> {
        let mut file = File::options().write(true).create_new(true).open(to).map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => Error::invalid(format!("the archive holds '{}' twice", to.display())),
            _ => Error::from(source),
        })?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from.read(&mut buffer).map_err(damaged)?;
            if read == 0 {
                return Ok(());
            }
            self.take(read as u64)?;
            file.write_all(buffer.get(..read).unwrap_or_default())?;
        }
    }
}

fn tar(archive: &Path, target: &Path, budget: &mut Budget) -> Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(File::open(archive)?)));
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        budget.entry()?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        let path = target.join(place(&name)?);
        if kind.is_dir() {
            std::fs::create_dir_all(path)?;
        } else if kind.is_file() {
            prepare(&path)?;
            let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
            budget.write(&mut entry, &path)?;
            finish(&path, executable)?;
        } else if kind.is_symlink() || kind.is_hard_link() {
            let to = entry.link_name_bytes().map(|to| String::from_utf8_lossy(&to).into_owned()).unwrap_or_default();
            return Err(Error::invalid(format!(
                "the archive holds the link '{}' to '{}'; files and folders only are unpacked",
                shown(&name),
                shown(&to)
            )));
        } else if !kind.is_pax_global_extensions() {
            return Err(Error::invalid(format!(
                "the archive holds '{}', which is neither a file nor a folder",
                shown(&name)
            )));
        }
    }
    Ok(())
}

fn zip(archive: &Path, target: &Path, budget: &mut Budget) -> Result<()> {
    let mut archive = opened(archive)?;
    for index in 0..archive.len() {
        budget.entry()?;
        let entry = archive.by_index(index).map_err(damaged)?;
        let name = entry.name().map(|name| name.into_owned()).map_err(damaged)?;
        let path = target.join(place(&name)?);
        let mode = entry.unix_mode();
        if mode.is_some_and(|mode| mode & 0o170_000 == 0o120_000) {
            return Err(Error::invalid(format!(
                "the archive holds the link '{}'; files and folders only are unpacked",
                shown(&name)
            )));
        }
        if name.ends_with('/') {
            std::fs::create_dir_all(path)?;
            continue;
        }
        prepare(&path)?;
        budget.write(entry, &path)?;
        finish(&path, mode.is_some_and(|mode| mode & 0o100 != 0))?;
    }
    Ok(())
}

/// Where an entry goes below the target.
fn place(name: &str) -> Result<PathBuf> {
    let out = |why: &str| Err(Error::invalid(format!("the archive's entry '{}' is refused: it {why}", shown(name))));
    if name.contains(['\0', '\\']) {
        return out("has a character that no path has");
    }
    let mut place = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => place.push(part),
            Component::CurDir => {}
            Component::ParentDir => return out("leads out of the folder"),
            Component::RootDir | Component::Prefix(_) => return out("is an absolute path"),
        }
    }
    Ok(place)
}

fn prepare(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) => std::fs::create_dir_all(parent).map_err(Error::from),
        None => Ok(()),
    }
}

fn finish(path: &Path, executable: bool) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = if executable { 0o755 } else { 0o644 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(Error::from)
}

fn opened(path: &Path) -> Result<zip::ZipArchive<BufReader<File>>> {
    zip::ZipArchive::new(BufReader::new(File::open(path)?)).map_err(damaged)
}

fn damaged(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Program, "the archive is damaged; build it again").with_source(source)
}

fn shown(name: &str) -> String {
    super::words::shown(name)
}
