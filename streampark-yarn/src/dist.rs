//! Flink's own files, put on the cluster once for each content.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use sha2::{Digest as _, Sha256};
use streampark_core::flink::FlinkVersion;
use streampark_core::{Error, ErrorKind, Result};

use crate::facts::{RemoteFile, ResourceType, Visibility};
use crate::fs::{Content, FileSystem, check_name, location_of};
use crate::provided::{Provided, dist_version, look, walk};

/// The parts of a Flink that its containers need.
const PARTS: [&str; 2] = ["lib", "plugins"];

/// How many files are sent at the same time.
const PARALLEL: usize = 3;

/// A folder without files would vanish, and Flink expects it.
const MAX_FILES: usize = 4_000;

/// How far the files of a distribution have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Installing {
    /// Bytes sent so far.
    pub sent: u64,
    /// Bytes to send in all.
    pub total: u64,
}

/// Told how far the files of a distribution have come.
pub type OnInstalling = Arc<dyn Fn(Installing) + Send + Sync>;

/// A Flink on this machine: its files, and the name that their content gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Local {
    home: PathBuf,
    pub(crate) version: FlinkVersion,
    /// `lib/flink-dist-1.20.5.jar` and so on, with size and time.
    files: BTreeMap<String, (u64, u64)>,
    /// The first 12 hex digits of a SHA-256 over names and contents.
    pub(crate) hash: String,
}

impl Local {
    /// The name of its folder on the cluster.
    fn name(&self) -> String {
        format!("flink-{}-{}", self.version, self.hash)
    }
}

/// Hashes that were computed in this process: a distribution has 200 to 300 MB.
#[derive(Debug, Default)]
pub(crate) struct Hashes(Mutex<Option<Local>>);

impl Hashes {
    /// Looks at a `FLINK_HOME`; its content is read again only where sizes or times changed.
    pub(crate) async fn local(self: &Arc<Self>, home: &Path) -> Result<Local> {
        let (own, home) = (Arc::clone(self), home.to_owned());
        let read = tokio::task::spawn_blocking(move || own.read(&home)).await;
        read.map_err(|source| {
            Error::new(ErrorKind::Internal, "the reading of a distribution ended early").with_source(source)
        })?
        .map_err(|error| error.with_operation("yarn.distribution"))
    }

    fn read(&self, home: &Path) -> Result<Local> {
        let mut files = BTreeMap::new();
        let mut version = None;
        for part in PARTS {
            collect(&home.join(part), part, 0, &mut files)?;
        }
        for name in files.keys().filter_map(|path| path.strip_prefix("lib/")) {
            if let Some(found) = dist_version(name) {
                version = Some(found?);
            }
        }
        let version = version.ok_or_else(|| {
            Error::not_found("no lib/flink-dist-*.jar lies there; give the FLINK_HOME of an unpacked Flink")
                .with_context("flink_home", home.display())
        })?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| known.home == home && known.files == files) {
            return Ok(known);
        }
        let mut all = Sha256::new();
        for path in files.keys() {
            all.update(path.as_bytes());
            all.update([0]);
            all.update(hash(&home.join(path))?);
        }
        let hash = hex::encode(all.finalize()).get(..12).unwrap_or_default().to_owned();
        let local = Local { home: home.to_owned(), version, files, hash };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(local.clone());
        Ok(local)
    }
}

fn collect(folder: &Path, prefix: &str, depth: usize, files: &mut BTreeMap<String, (u64, u64)>) -> Result<()> {
    let told = |source: std::io::Error| Error::from(source).with_context("folder", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && depth == 0 => return Ok(()),
        Err(error) => return Err(told(error)),
    };
    for entry in entries {
        let entry = entry.map_err(told)?;
        let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        check_name(&name)?;
        let metadata = std::fs::metadata(entry.path()).map_err(told)?;
        if metadata.is_dir() {
            if depth > 8 {
                return Err(Error::invalid(
                    "a distribution of Flink nests folders deeper than 8; does a link lead back?",
                )
                .with_context("folder", folder.display()));
            }
            collect(&entry.path(), &name, depth + 1, files)?;
            continue;
        }
        if files.len() >= MAX_FILES {
            return Err(Error::invalid(format!(
                "lib and plugins hold more than {MAX_FILES} files; is that a FLINK_HOME?"
            )));
        }
        let time = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let time = time.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        files.insert(name, (metadata.len(), time));
    }
    Ok(())
}

fn hash(path: &Path) -> Result<Vec<u8>> {
    let told = |source: std::io::Error| Error::from(source).with_context("file", path.display());
    let mut file = std::fs::File::open(path).map_err(told)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer).map_err(told)?;
        if read == 0 {
            return Ok(digest.finalize().to_vec());
        }
        digest.update(buffer.get(..read).unwrap_or_default());
    }
}

/// The distributions below one folder of the cluster.
#[derive(Debug)]
pub(crate) struct Cache<'a> {
    pub(crate) fs: &'a dyn FileSystem,
    /// The folder, without scheme.
    pub(crate) folder: String,
}

impl Cache<'_> {
    /// The distribution on the cluster, put there or mended where that is needed.
    pub(crate) async fn ensure(&self, local: &Local, told: Option<&OnInstalling>) -> Result<Provided> {
        let place = format!("{}/{}", self.folder, local.name());
        let there = walk(self.fs, &place).await?;
        let missing: Vec<&String> = match &there {
            None => local.files.keys().collect(),
            Some(found) => {
                let right = |path: &&String, size: u64| {
                    found.iter().any(|(relative, file)| relative == *path && !file.folder && file.size == size)
                };
                local.files.iter().filter(|(path, (size, _))| !right(path, *size)).map(|(path, _)| path).collect()
            }
        };
        match (&there, missing.is_empty()) {
            (Some(_), true) => {}
            (Some(_), false) => {
                tracing::warn!(folder = place, files = missing.len(), "a distribution of Flink is mended");
                self.send(local, &missing, &place, true, told).await?;
            }
            (None, _) => self.install(local, &missing, &place, told).await?,
        }
        look(self.fs, &self.folders(local, &place)).await
    }

    /// The distribution as it is, or would be, on the cluster; nothing is written. With a note where
    /// files are still to be sent.
    pub(crate) async fn expect(&self, local: &Local) -> Result<(Provided, Option<String>)> {
        let place = format!("{}/{}", self.folder, local.name());
        let there = walk(self.fs, &place).await?.unwrap_or_default();
        let mut provided =
            Provided { folders: self.folders(local, &place), files: Vec::new(), version: None, public: true };
        let (mut count, mut bytes) = (0, 0);
        for (path, (size, _)) in &local.files {
            let found = there.iter().find(|(relative, file)| relative == path && file.size == *size);
            if found.is_none() {
                (count, bytes) = (count + 1, bytes + size);
            }
            provided.files.push(RemoteFile {
                path: location_of(self.fs, &format!("{place}/{path}")),
                size: *size,
                modified_ms: found.map_or(0, |(_, file)| file.modified_ms),
                resource_type: ResourceType::File,
                visibility: Visibility::Public,
            });
        }
        provided.version = Some(local.version.clone());
        let note = (count > 0).then(|| {
            format!("{count} files of Flink {} ({} MiB) are put into {place} first, once", local.version, bytes >> 20)
        });
        Ok((provided, note))
    }

    fn folders(&self, local: &Local, place: &str) -> Vec<String> {
        let parts = PARTS.iter().filter(|part| local.files.keys().any(|path| path.starts_with(&format!("{part}/"))));
        parts.map(|part| location_of(self.fs, &format!("{place}/{part}"))).collect()
    }

    /// Writes to a folder of its own, which takes its name in one step: nobody sees half of it.
    async fn install(&self, local: &Local, files: &[&String], place: &str, told: Option<&OnInstalling>) -> Result<()> {
        let unique = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos();
        let draft = format!("{}/.{}-{:x}-{unique:x}", self.folder, local.name(), std::process::id());
        tracing::info!(folder = place, files = files.len(), "a distribution of Flink is put on the cluster");
        self.fs.make_folder(&self.folder, 0o755).await?;
        let sent = self.send(local, files, &draft, false, told).await;
        let renamed = match sent {
            // Another process was quicker, if somebody has the name now.
            Ok(()) if self.fs.status(place).await?.is_some() => Ok(false),
            Ok(()) => self.fs.rename(&draft, place).await,
            Err(error) => Err(error),
        };
        match renamed {
            Ok(true) => Ok(()),
            other => {
                self.fs.remove(&draft).await?;
                if self.fs.status(place).await?.is_some() {
                    return Ok(());
                }
                other.and_then(|_| {
                    Err(Error::new(
                        ErrorKind::Conflict,
                        "a distribution of Flink could not be given its name on the cluster",
                    )
                    .with_operation("yarn.distribution")
                    .with_context("folder", place))
                })
            }
        }
    }

    async fn send(
        &self,
        local: &Local,
        files: &[&String],
        to: &str,
        by_rename: bool,
        told: Option<&OnInstalling>,
    ) -> Result<()> {
        let mut folders: Vec<String> = vec![to.to_owned()];
        for path in files {
            let parts: Vec<&str> = path.split('/').collect();
            folders.extend(
                (1..parts.len()).map(|count| format!("{to}/{}", parts.get(..count).unwrap_or_default().join("/"))),
            );
        }
        folders.sort();
        folders.dedup();
        for folder in &folders {
            self.fs.make_folder(folder, 0o755).await?;
        }
        let total = files.iter().filter_map(|path| local.files.get(*path)).map(|(size, _)| size).sum();
        let so_far: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
        let jobs: Vec<BoxFuture<'_, Result<()>>> = files
            .iter()
            .map(|path| {
                let progress = told.map(|told| {
                    let (told, so_far, path) = (Arc::clone(told), Arc::clone(&so_far), (*path).clone());
                    let progress: crate::fs::Progress = Arc::new(move |sent| {
                        let mut all = so_far.lock().unwrap_or_else(PoisonError::into_inner);
                        all.insert(path.clone(), sent);
                        let sent = all.values().sum();
                        drop(all);
                        told(Installing { sent, total });
                    });
                    progress
                });
                let target = format!("{to}/{path}");
                let job = async move {
                    let content = Content::File(local.home.join(path));
                    if !by_rename {
                        return self.fs.write(&target, content, 0o644, progress).await;
                    }
                    let draft = format!("{target}.{:x}.new", std::process::id());
                    self.fs.write(&draft, content, 0o644, progress).await?;
                    self.fs.remove(&target).await?;
                    self.fs.rename(&draft, &target).await.map(|_| ())
                };
                job.boxed()
            })
            .collect();
        let mut jobs = futures_util::stream::iter(jobs).buffer_unordered(PARALLEL);
        while let Some(done) = jobs.next().await {
            done?;
        }
        Ok(())
    }

    /// The names of the distributions, and of drafts that nobody finished within a day.
    pub(crate) async fn list(&self) -> Result<(Vec<String>, Vec<String>)> {
        let all = self.fs.list(&self.folder).await?.unwrap_or_default();
        let day_ago = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis();
        let day_ago = i64::try_from(day_ago).unwrap_or(i64::MAX) - 86_400_000;
        let folders = all.into_iter().filter(|entry| entry.folder);
        let (whole, drafts): (Vec<_>, Vec<_>) = folders.partition(|entry| entry.name.starts_with("flink-"));
        let drafts =
            drafts.into_iter().filter(|entry| entry.name.starts_with(".flink-") && entry.modified_ms < day_ago);
        Ok((whole.into_iter().map(|entry| entry.name).collect(), drafts.map(|entry| entry.name).collect()))
    }
}

/// The tag of applications that use a distribution, by the name of its folder.
pub(crate) fn dist_tag(folder: &str) -> Option<String> {
    let hash =
        folder.rsplit('-').next().filter(|hash| hash.len() == 12 && hash.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some(format!("streampark-dist-{hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::SharedFolder;

    fn home(folder: &Path) -> PathBuf {
        let home = folder.join("flink");
        for (name, text) in [("lib/flink-dist-1.20.5.jar", "dist"), ("lib/a.jar", "a"), ("plugins/m/m.jar", "m")] {
            std::fs::create_dir_all(home.join(name).parent().unwrap()).unwrap();
            std::fs::write(home.join(name), text).unwrap();
        }
        home
    }

    #[tokio::test]
    async fn put_once_then_found_then_mended() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path());
        let fs = SharedFolder::new(folder.path().join("fs"), "hdfs://nn:8020", "alice");
        let hashes = Arc::new(Hashes::default());
        let local = hashes.local(&home).await.unwrap();
        let cache = Cache { fs: &fs, folder: "/dist".to_owned() };
        let seen: Arc<Mutex<Vec<Installing>>> = Arc::default();
        let sink = Arc::clone(&seen);
        let told: OnInstalling = Arc::new(move |now| sink.lock().unwrap().push(now));
        let provided = cache.ensure(&local, Some(&told)).await.unwrap();
        assert_eq!(provided.files.len(), 3);
        assert_eq!(seen.lock().unwrap().last(), Some(&Installing { sent: 6, total: 6 }));
        let count = seen.lock().unwrap().len();
        assert_eq!(cache.ensure(&local, Some(&told)).await.unwrap(), provided);
        assert_eq!(seen.lock().unwrap().len(), count, "nothing is sent twice");
        let jar = format!("/dist/{}/lib/a.jar", local.name());
        fs.remove(&jar).await.unwrap();
        assert_eq!(cache.ensure(&local, None).await.unwrap().files.len(), 3);
        assert_eq!(fs.read(&jar, 0, 10).await.unwrap(), "a");
        assert_eq!(cache.list().await.unwrap().0, [local.name()]);
        assert_eq!(dist_tag(&local.name()).unwrap(), format!("streampark-dist-{}", local.hash));
    }

    #[tokio::test]
    async fn the_hash_follows_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path());
        let hashes = Arc::new(Hashes::default());
        let first = hashes.local(&home).await.unwrap();
        assert_eq!(hashes.local(&home).await.unwrap(), first);
        std::fs::write(home.join("lib/a.jar"), "bb").unwrap();
        assert_ne!(hashes.local(&home).await.unwrap().hash, first.hash);
        std::fs::remove_file(home.join("lib/flink-dist-1.20.5.jar")).unwrap();
        let error = hashes.local(&home).await.unwrap_err();
        assert_eq!(error.message(), "no lib/flink-dist-*.jar lies there; give the FLINK_HOME of an unpacked Flink");
    }
}
