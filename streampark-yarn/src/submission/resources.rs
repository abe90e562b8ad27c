//! Which files a container gets, under which names, and what of them stands on the class path
//! (`YarnApplicationFileUploader`).

use std::collections::BTreeSet;

use streampark_core::job::{Location, Resource};
use streampark_core::{Error, ErrorKind, Result};

use super::context::LocalResource;
use super::place::{base_name, check_name, parent};
use super::request::LocalTree;
use crate::facts::{RemoteFile, ResourceType, Visibility};

/// A file that must be written to the staging folder before the submission.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upload {
    /// The name below the container's working folder.
    pub key: String,
    /// Where the bytes are: a path of this machine, or in memory.
    pub source: Location,
    /// Where they go: whole path, not percent-encoded.
    pub target: String,
    /// Bytes, where known.
    pub size: Option<u64>,
    /// SHA-256 in lower-case hex, where known.
    pub sha256: Option<String>,
}

/// Where a file of a container comes from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// Written to this name below the staging folder.
    Staged { name: String, source: Location, size: Option<u64>, sha256: Option<String> },
    /// Used where it is.
    InPlace(RemoteFile),
}

/// A file with the name that it gets.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) key: String,
    pub(super) origin: Origin,
}

impl Item {
    /// A file that is staged under the name that the container sees.
    pub(super) fn staged(key: impl Into<String>, source: Location, size: Option<u64>) -> Self {
        let key = key.into();
        Self { origin: Origin::Staged { name: key.clone(), source, size, sha256: None }, key }
    }

    /// Bytes in memory.
    pub(super) fn bytes(key: impl Into<String>, bytes: impl Into<bytes::Bytes>) -> Self {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        Self::staged(key, Location::Bytes(bytes), Some(size))
    }

    /// A remote file.
    pub(super) fn in_place(key: impl Into<String>, file: &RemoteFile) -> Self {
        Self { key: key.into(), origin: Origin::InPlace(file.clone()) }
    }

    /// Every file of a tree; those of a folder lie below its own name.
    pub(super) fn of_tree(tree: &LocalTree) -> Vec<Self> {
        let prefix = if tree.is_folder { format!("{}/", tree.name()) } else { String::new() };
        tree.files
            .iter()
            .map(|file| {
                let source = Location::Path(tree.path_of(file));
                Self::staged(format!("{prefix}{}", file.relative), source, Some(file.size))
            })
            .collect()
    }

    /// A part of a program; `remote` finds the status of a file on the cluster.
    pub(super) fn of_resource(
        key: impl Into<String>,
        resource: &Resource,
        remote: impl FnOnce(&str) -> Result<RemoteFile>,
    ) -> Result<Self> {
        let mut item = match &resource.location {
            Location::Bytes(bytes) => Self::bytes(key, bytes.clone()),
            Location::Remote(url) => return Ok(Self::in_place(key, &remote(url.as_str())?)),
            source => Self::staged(key, source.clone(), None),
        };
        if let Origin::Staged { sha256, .. } = &mut item.origin {
            sha256.clone_from(&resource.sha256);
        }
        Ok(item)
    }
}

#[derive(Clone)]
struct Registered {
    resource: LocalResource,
    /// Told to the JobManager in `_CLIENT_SHIP_FILES`, which passes it on to TaskManagers.
    ship: bool,
    from: String,
}

/// The files of a container, as they are put together.
#[derive(Clone)]
pub(super) struct Resources {
    staging: String,
    registered: Vec<Registered>,
    uploads: Vec<Upload>,
}

impl Resources {
    pub(super) fn new(staging: String) -> Self {
        Self { staging, registered: Vec::new(), uploads: Vec::new() }
    }

    /// Takes one file in and returns its path on the cluster (`registerSingleLocalResource`).
    pub(super) fn add(&mut self, item: Item, resource_type: ResourceType, ship: bool) -> Result<String> {
        let Item { key, origin } = item;
        check_name(&key)?;
        let from = match &origin {
            Origin::Staged { source: Location::Path(path), .. } => path.display().to_string(),
            Origin::Staged { .. } => format!("the one written for '{key}'"),
            Origin::InPlace(file) => file.path.clone(),
        };
        self.check_free(&key, &from)?;
        let resource = match origin {
            Origin::InPlace(file) => LocalResource {
                key,
                path: file.path,
                size: file.size,
                modified_ms: file.modified_ms,
                visibility: file.visibility,
                resource_type,
            },
            Origin::Staged { name, source, size, sha256 } => {
                check_name(&name)?;
                let target = format!("{}/{name}", self.staging);
                if self.uploads.iter().any(|other| other.target == target) {
                    return Err(Error::invalid(format!(
                        "two different files would be '{name}' in the staging folder; rename {from}"
                    )));
                }
                self.uploads.push(Upload { key: key.clone(), source, target: target.clone(), size, sha256 });
                LocalResource {
                    key,
                    path: target,
                    size: size.unwrap_or_default(),
                    modified_ms: 0,
                    visibility: Visibility::Application,
                    resource_type,
                }
            }
        };
        let path = resource.path.clone();
        self.registered.push(Registered { resource, ship, from });
        Ok(path)
    }

    /// Takes files in and returns what of them belongs on the class path: jars by their names, other
    /// files by their folders. The jar `flink-dist` is left out (`registerMultipleLocalResources`).
    pub(super) fn add_all(&mut self, items: Vec<Item>, resource_type: ResourceType) -> Result<Vec<String>> {
        let (mut folders, mut jars) = (BTreeSet::new(), BTreeSet::new());
        for item in items {
            if is_dist_jar(base_name(&item.key)) {
                continue;
            }
            if item.key.ends_with("jar") {
                jars.insert(item.key.clone());
            } else {
                folders.insert(parent(&item.key).to_owned());
            }
            self.add(item, resource_type, true)?;
        }
        Ok(folders.into_iter().chain(jars).collect())
    }

    fn check_free(&self, key: &str, from: &str) -> Result<()> {
        let below = |folder: &str, key: &str| key.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        for other in &self.registered {
            let known = other.resource.key.as_str();
            if known == key {
                return Err(Error::invalid(format!(
                    "two files would be '{key}' in the container, {} and {from}; rename one of them",
                    other.from
                )));
            }
            if below(known, key) || below(key, known) {
                return Err(Error::invalid(format!(
                    "'{known}' and '{key}' cannot both be in the container: one is a file, and a folder for the other; \
                     rename one of them"
                )));
            }
        }
        Ok(())
    }

    /// The name of the jar in Flink's `lib/` that is called like `jar`.
    pub(super) fn library_called(&self, jar: &str) -> Option<&str> {
        let mut keys = self.registered.iter().map(|known| known.resource.key.as_str());
        keys.find(|key| key.starts_with("lib/") && base_name(key) == jar)
    }

    /// Whether anything lies in this folder of the container.
    pub(super) fn has_folder(&self, name: &str) -> bool {
        self.registered.iter().any(|known| known.resource.key.split('/').next() == Some(name))
    }

    pub(super) fn uploads(&self) -> &[Upload] {
        &self.uploads
    }

    /// The file of this name.
    pub(super) fn get(&self, key: &str) -> Option<&LocalResource> {
        self.all().find(|file| file.key == key)
    }

    /// Every file.
    pub(super) fn all(&self) -> impl Iterator<Item = &LocalResource> {
        self.registered.iter().map(|known| &known.resource)
    }

    /// Those that TaskManagers get as well.
    pub(super) fn shipped(&self) -> impl Iterator<Item = &LocalResource> {
        self.registered.iter().filter(|known| known.ship).map(|known| &known.resource)
    }

    /// The same files, with size and time of those that were written.
    pub(super) fn stamped(&self, written: &[RemoteFile]) -> Result<Self> {
        let mut registered = Vec::with_capacity(self.registered.len());
        for known in &self.registered {
            let mut resource = known.resource.clone();
            if let Some(upload) = self.uploads.iter().find(|upload| upload.target == resource.path) {
                let Some(file) = written.iter().find(|file| file.path == upload.target) else {
                    return Err(Error::new(
                        ErrorKind::Internal,
                        format!("'{}' is not among the files that were staged", upload.target),
                    ));
                };
                if upload.size.is_some_and(|size| size != file.size) {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        format!(
                            "'{}' has {} bytes after it was staged, and {} were to be written; was its source changed \
                             meanwhile?",
                            upload.target,
                            file.size,
                            upload.size.unwrap_or_default()
                        ),
                    ));
                }
                (resource.size, resource.modified_ms) = (file.size, file.modified_ms);
            }
            registered.push(Registered { resource, ship: known.ship, from: known.from.clone() });
        }
        Ok(Self { staging: self.staging.clone(), registered, uploads: self.uploads.clone() })
    }
}

/// `YarnApplicationFileUploader.isFlinkDistJar`.
pub(super) fn is_dist_jar(name: &str) -> bool {
    name.starts_with("flink-dist") && name.ends_with("jar")
}
