//! What Maven found, with hashes: the same coordinates give the same jars tomorrow.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, ErrorKind, Result};

/// One jar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LockedJar {
    /// `group:artifact`.
    pub artifact: String,
    /// Its version.
    pub version: String,
    /// The name of its file.
    pub name: String,
    /// SHA-256 of its content.
    pub sha256: String,
    /// Where it is on this machine; not to be changed.
    pub path: PathBuf,
}

/// The jars of some coordinates; their own first, then what they need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MavenLock {
    /// What was asked for.
    pub coordinates: String,
    /// What was left out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The jars.
    pub jars: Vec<LockedJar>,
}

/// One artifact in several versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DependencyConflict {
    /// `group:artifact`.
    pub artifact: String,
    /// The versions, each with the coordinates that bring it.
    pub versions: Vec<(String, String)>,
}

impl MavenLock {
    /// Artifacts that several locks bring in different versions: on one class path the order decides which is used.
    pub fn conflicts(locks: &[Self]) -> Vec<DependencyConflict> {
        let mut seen: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
        for lock in locks {
            for jar in &lock.jars {
                let versions = seen.entry(&jar.artifact).or_default();
                if !versions.iter().any(|(version, _)| *version == jar.version) {
                    versions.push((jar.version.clone(), lock.coordinates.clone()));
                }
            }
        }
        seen.into_iter()
            .filter(|(_, versions)| versions.len() > 1)
            .map(|(artifact, versions)| DependencyConflict { artifact: artifact.to_owned(), versions })
            .collect()
    }

    /// A lock that was written before; None where there is none, or a jar of it was removed. Blocks.
    pub(super) fn read(place: &Path) -> Result<Option<Self>> {
        let Ok(bytes) = fs::read(place) else { return Ok(None) };
        let Ok(lock) = serde_json::from_slice::<Self>(&bytes) else { return Ok(None) };
        for jar in &lock.jars {
            let Ok(content) = fs::File::open(&jar.path) else { return Ok(None) };
            let found = hash(content)?;
            if found != jar.sha256 {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "the jar {} is not the one of the lock file; refresh the lock, or remove the jar",
                        jar.name
                    ),
                )
                .with_context("path", jar.path.display()));
            }
        }
        Ok(Some(lock))
    }

    /// Writes it whole, or not at all. Blocks.
    pub(super) fn write(&self, place: &Path) -> Result<()> {
        let folder = place.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let text = serde_json::to_vec_pretty(self)
            .map_err(|source| Error::new(ErrorKind::Internal, "a lock file is no JSON").with_source(source))?;
        std::io::Write::write_all(&mut file, &text)?;
        file.persist(place).map_err(|error| Error::from(error.error))?;
        Ok(())
    }

    /// Reads what `dependency:list` wrote, `   group:artifact:jar[:classifier]:version:scope:PATH`, and copies each jar
    /// to a place of its own below `jars`. Blocks.
    pub(super) fn of_list(coordinates: &str, exclude: &[String], list: &str, jars: &Path) -> Result<Self> {
        let mut found = Vec::new();
        for line in list.lines().map(str::trim) {
            let Some((head, path)) = line.split_once(":/") else { continue };
            // Java's module system adds its own remark after the path.
            let path = PathBuf::from(format!("/{}", path.split(" -- module").next().unwrap_or_default().trim()));
            let parts: Vec<&str> = head.split(':').collect();
            let (group, artifact, version) = match parts.as_slice() {
                [group, artifact, "jar", version, _scope] | [group, artifact, "jar", _, version, _scope] => {
                    (*group, *artifact, *version)
                }
                _ => continue,
            };
            let sha256 =
                hash(fs::File::open(&path).map_err(|source| Error::from(source).with_context("jar", path.display()))?)?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let kept = jars.join(&sha256).join(&name);
            if !kept.is_file() {
                keep(&path, &kept)?;
            }
            found.push(LockedJar {
                artifact: format!("{group}:{artifact}"),
                version: version.to_owned(),
                name,
                sha256,
                path: kept,
            });
        }
        let own: Vec<&str> = coordinates.split(':').take(2).collect();
        let own = own.join(":");
        found.sort_by(|one, other| (one.artifact != own, &one.artifact).cmp(&(other.artifact != own, &other.artifact)));
        if found.is_empty() {
            return Err(Error::not_found("Maven found no jar of these coordinates; are they those of a jar?"));
        }
        Ok(Self { coordinates: coordinates.to_owned(), exclude: exclude.to_vec(), jars: found })
    }
}

fn keep(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::copy(&mut fs::File::open(from)?, &mut file)?;
    file.persist(to).map_err(|error| Error::from(error.error))?;
    Ok(())
}

fn hash(mut file: fs::File) -> Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match std::io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}
