//! The resource centre: jars, functions and connectors, uploaded once and used by any job.

mod entry;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

pub use self::entry::{ResourceEntry, ResourceKind, UploadOptions};
use super::artifacts::describe;
use super::inspect::Inspection;
use super::outputs::{blocking, lock};
use super::unpack::{self, UnpackLimits};
use super::words;
use crate::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// How deep groups may hold groups.
const MAX_DEPTH: usize = 8;

/// Named and versioned jars, and groups of them, in a folder; cheap to clone.
///
/// A version is never changed: upload a new one. What is inside a jar decides whether it is a connector, holds
/// functions, or is a plain jar.
#[derive(Debug, Clone)]
pub struct ResourceCentre(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    entries: Mutex<BTreeMap<String, Vec<ResourceEntry>>>,
    _lock: File,
}

impl ResourceCentre {
    /// Opens the folder, which is made where it does not exist. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where another process has it open, [`ErrorKind::Storage`] where it cannot be read.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = std::path::absolute(folder.into())?;
        let named = |error: Error| error.with_operation("resources.open").with_context("path", folder.display());
        std::fs::create_dir_all(folder.join("entries")).map_err(|source| named(source.into()))?;
        let Some(lock) = lock(&folder.join("lock"))? else {
            return Err(named(Error::new(ErrorKind::Conflict, "another process has this resource centre open")));
        };
        let mut entries: BTreeMap<String, Vec<ResourceEntry>> = BTreeMap::new();
        for file in std::fs::read_dir(folder.join("entries"))? {
            let path = file?.path();
            let entry: ResourceEntry = serde_json::from_slice(&std::fs::read(&path)?).map_err(|source| {
                named(
                    Error::new(ErrorKind::Storage, "the file of a resource cannot be read; mend or remove it")
                        .with_source(source),
                )
            })?;
            entries.entry(entry.name.clone()).or_default().push(entry);
        }
        for versions in entries.values_mut() {
            versions.sort_by_key(|entry| entry.created_at);
        }
        Ok(Self(Arc::new(Inner { folder, entries: Mutex::new(entries), _lock: lock })))
    }

    /// Keeps the jar at `path` as a version of a resource, and says what it is.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where the version exists with another content; [`ErrorKind::Program`] where it is
    /// no jar; [`ErrorKind::InvalidInput`] where the name breaks a rule, or belongs to another team.
    pub async fn upload(
        &self,
        name: &str,
        version: &str,
        path: &Path,
        options: UploadOptions,
    ) -> Result<ResourceEntry> {
        let named = |error: Error| error.with_operation("resources.upload").with_context("resource", name);
        words::name("resource name", name).and_then(|()| words::name("version", version)).map_err(named)?;
        let file = describe(&super::outputs::name(path), path).await.map_err(named)?;
        if let Some(known) = self.find(name, Some(version)) {
            return match known.sha256.as_deref() == Some(file.sha256.as_str()) {
                true => Ok(known),
                false => Err(named(Error::new(
                    ErrorKind::AlreadyExists,
                    format!(
                        "version {version} exists with another content; a version never changes, so upload a new one"
                    ),
                ))),
            };
        }
        self.check_team(name, options.team.as_deref()).map_err(named)?;
        let (at, target) = (path.to_owned(), self.0.folder.join("jars").join(&file.sha256).join(&file.path));
        let inspection = blocking(move || {
            unpack::check_jar(&at, UnpackLimits::default())?;
            let inspection = Inspection::of_jar(&at)?;
            keep(&at, &target)?;
            Ok(inspection)
        })
        .await
        .map_err(named)?;
        let mut entry = ResourceEntry::new(name, version, ResourceKind::of(&inspection), Timestamp::now());
        (entry.file, entry.sha256, entry.size) = (Some(file.path), Some(file.sha256), file.size);
        entry.functions = inspection.functions;
        entry.connectors = inspection.connectors.into_iter().filter_map(|connector| connector.identifier).collect();
        entry.take(options);
        self.add(entry).map_err(named)
    }

    /// Keeps a group: its members, `name` or `name:version`, are used together.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where a member does not exist, [`ErrorKind::AlreadyExists`] where the version does.
    pub fn group(&self, name: &str, version: &str, members: &[&str], options: UploadOptions) -> Result<ResourceEntry> {
        let named = |error: Error| error.with_operation("resources.group").with_context("resource", name);
        words::name("resource name", name).and_then(|()| words::name("version", version)).map_err(named)?;
        if members.is_empty() {
            return Err(named(Error::invalid("a group has at least one member")));
        }
        for member in members {
            let (member, wanted) = split(member);
            self.get(member, wanted).map_err(named)?;
        }
        if self.find(name, Some(version)).is_some() {
            return Err(named(Error::new(ErrorKind::AlreadyExists, format!("version {version} of the group exists"))));
        }
        self.check_team(name, options.team.as_deref()).map_err(named)?;
        let mut entry = ResourceEntry::new(name, version, ResourceKind::Group, Timestamp::now());
        entry.members = members.iter().map(|member| (*member).to_owned()).collect();
        entry.take(options);
        self.add(entry).map_err(named)
    }

    /// A version of a resource; None is the newest.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] listing the names, or the versions, that there are.
    pub fn get(&self, name: &str, version: Option<&str>) -> Result<ResourceEntry> {
        if let Some(entry) = self.find(name, version) {
            return Ok(entry);
        }
        let entries = self.entries();
        let message = match (entries.get(name), version) {
            (Some(versions), Some(version)) => {
                let known: Vec<&str> = versions.iter().map(|entry| entry.version.as_str()).collect();
                format!("the resource '{name}' has no version {version}; there are {}", known.join(", "))
            }
            _ => {
                let known: Vec<&str> = entries.keys().map(String::as_str).collect();
                let known = if known.is_empty() {
                    "there is none".to_owned()
                } else {
                    format!("there are {}", known.join(", "))
                };
                format!("there is no resource named '{name}'; {known}")
            }
        };
        Err(Error::not_found(message).with_operation("resources.get"))
    }

    /// Every version of every resource, in order of names, the newest version first; of one team and of nobody's where
    /// a team is named.
    pub fn list(&self, team: Option<&str>) -> Vec<ResourceEntry> {
        let entries = self.entries();
        let all = entries.values().flat_map(|versions| versions.iter().rev());
        let seen = |entry: &&ResourceEntry| team.is_none() || entry.team.is_none() || entry.team.as_deref() == team;
        all.filter(seen).cloned().collect()
    }

    /// The files of a resource, a group's members in their order: name, SHA-256, where it is.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn files(&self, name: &str, version: Option<&str>) -> Result<Vec<(String, String, PathBuf)>> {
        let place = |entry: ResourceEntry| {
            let (file, sha256) = entry.file.zip(entry.sha256)?;
            let path = self.0.folder.join("jars").join(&sha256).join(&file);
            Some((file, sha256, path))
        };
        Ok(self.members(name, version)?.into_iter().filter_map(place).collect())
    }

    /// The entries with files that a resource stands for now: itself, or a group's members in their order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn members(&self, name: &str, version: Option<&str>) -> Result<Vec<ResourceEntry>> {
        let mut found = Vec::new();
        self.collect(name, version, 0, &mut found)?;
        Ok(found)
    }

    fn collect(&self, name: &str, version: Option<&str>, depth: usize, found: &mut Vec<ResourceEntry>) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::invalid(format!(
                "the group '{name}' holds groups more than {MAX_DEPTH} deep, or itself"
            )));
        }
        let entry = self.get(name, version)?;
        if entry.sha256.is_some() && found.iter().all(|known| known.sha256 != entry.sha256) {
            found.push(entry.clone());
        }
        for member in &entry.members {
            let (member, wanted) = split(member);
            self.collect(member, wanted, depth + 1, found)?;
        }
        Ok(())
    }

    /// The statements that make the functions of a resource known to SQL, named after their classes:
    /// `com.acme.ToUpper` becomes `to_upper`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn create_functions(&self, name: &str, version: Option<&str>) -> Result<Vec<String>> {
        Ok(self.get(name, version)?.create_functions())
    }

    /// Removes a version; None removes all. `used_by` names the jobs that use it.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] naming the jobs or groups that use it; as [`get`](Self::get).
    pub fn remove(&self, name: &str, version: Option<&str>, used_by: &[String]) -> Result<()> {
        let named = |error: Error| error.with_operation("resources.remove").with_context("resource", name);
        self.get(name, version).map_err(named)?;
        let groups: Vec<String> = self
            .list(None)
            .into_iter()
            .filter(|entry| entry.name != name && entry.members.iter().any(|member| split(member).0 == name))
            .map(|entry| format!("group {}", entry.name))
            .collect();
        let users: Vec<String> = used_by.iter().map(|job| format!("job {job}")).chain(groups).collect();
        if !users.is_empty() {
            return Err(named(Error::new(
                ErrorKind::Conflict,
                format!("it is used by {}; change them first", users.join(", ")),
            )));
        }
        let mut entries = self.entries();
        let gone: Vec<ResourceEntry> = match entries.get_mut(name) {
            Some(versions) => {
                versions.extract_if(.., |entry| version.is_none_or(|version| entry.version == version)).collect()
            }
            None => Vec::new(),
        };
        entries.retain(|_, versions| !versions.is_empty());
        for entry in &gone {
            std::fs::remove_file(self.place(entry)).map_err(|source| named(source.into()))?;
            let Some(sha256) = &entry.sha256 else { continue };
            let needed = entries.values().flatten().any(|other| other.sha256.as_ref() == Some(sha256));
            if !needed {
                std::fs::remove_dir_all(self.0.folder.join("jars").join(sha256))
                    .map_err(|source| named(source.into()))?;
            }
        }
        Ok(())
    }

    fn add(&self, entry: ResourceEntry) -> Result<ResourceEntry> {
        let text = serde_json::to_vec_pretty(&entry)
            .map_err(|source| Error::new(ErrorKind::Internal, "a resource is no JSON").with_source(source))?;
        let mut entries = self.entries();
        let mut file = tempfile::NamedTempFile::new_in(&self.0.folder)?;
        std::io::Write::write_all(&mut file, &text)?;
        file.persist(self.place(&entry)).map_err(|error| Error::from(error.error))?;
        entries.entry(entry.name.clone()).or_default().push(entry.clone());
        Ok(entry)
    }

    fn place(&self, entry: &ResourceEntry) -> PathBuf {
        self.0.folder.join("entries").join(format!("{}@{}.json", entry.name, entry.version))
    }

    fn find(&self, name: &str, version: Option<&str>) -> Option<ResourceEntry> {
        let entries = self.entries();
        let versions = entries.get(name)?;
        match version {
            Some(version) => versions.iter().find(|entry| entry.version == version).cloned(),
            None => versions.last().cloned(),
        }
    }

    fn check_team(&self, name: &str, team: Option<&str>) -> Result<()> {
        match self.find(name, None) {
            Some(known) if known.team.as_deref() != team => Err(Error::invalid(format!(
                "the name belongs to {}; take another name",
                known.team.map_or("everybody".to_owned(), |team| format!("team '{team}'"))
            ))),
            _ => Ok(()),
        }
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<ResourceEntry>>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `name:version`, or `name`.
fn split(member: &str) -> (&str, Option<&str>) {
    match member.split_once(':') {
        Some((name, version)) => (name, Some(version)),
        None => (member, None),
    }
}

fn keep(from: &Path, to: &Path) -> Result<()> {
    if to.is_file() {
        return Ok(());
    }
    let folder = to.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::copy(&mut File::open(from)?, &mut file)?;
    file.as_file().sync_all()?;
    file.persist(to).map_err(|error| Error::from(error.error))?;
    Ok(())
}
