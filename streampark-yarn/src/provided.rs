//! Flink's own files on the cluster: what is there, and who may read it.

use futures_util::future::try_join_all;
use streampark_core::flink::FlinkVersion;
use streampark_core::{Error, Result};

use crate::facts::{RemoteFile, ResourceType, Visibility};
use crate::fs::{FileStatus, FileSystem, location_of, path_of};

/// Folders of Flink nest this deep at most: `plugins/<name>/<jar>` and some room.
const MAX_DEPTH: usize = 8;

/// Flink's files on the cluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Provided {
    /// The folders, with scheme.
    pub(crate) folders: Vec<String>,
    /// Every file below them.
    pub(crate) files: Vec<RemoteFile>,
    /// The version that the name of `flink-dist-*.jar` tells.
    pub(crate) version: Option<FlinkVersion>,
    /// Whether every node keeps one copy for all users.
    pub(crate) public: bool,
}

/// Looks at the folders that hold Flink.
pub(crate) async fn look(fs: &dyn FileSystem, folders: &[String]) -> Result<Provided> {
    let mut provided = Provided { folders: Vec::new(), files: Vec::new(), version: None, public: true };
    for folder in folders {
        let told = |error: Error| error.with_operation("yarn.provided_lib_dirs").with_context("folder", folder);
        let path = path_of(fs, folder).ok_or_else(|| {
            told(Error::invalid(format!("the folder is not on the cluster's file system, {}", fs.scheme())))
        })?;
        let found = walk(fs, &path).await.map_err(told)?.ok_or_else(|| {
            told(Error::not_found(
                "a folder with Flink's files is not on the cluster; put it there, or give flink_home and let it be put there",
            ))
        })?;
        provided.public &= is_public(fs, &path, &found).await?;
        provided.folders.push(location_of(fs, &path));
        for (relative, file) in found.into_iter().filter(|(_, file)| !file.folder) {
            let name = relative.rsplit('/').next().unwrap_or_default();
            if let Some(version) = dist_version(name) {
                provided.version = Some(version?);
            }
            provided.files.push(RemoteFile {
                path: location_of(fs, &format!("{path}/{relative}")),
                size: file.size,
                modified_ms: file.modified_ms,
                resource_type: ResourceType::File,
                visibility: Visibility::Public,
            });
        }
    }
    if !provided.public {
        // A NodeManager refuses a public file that not everybody may read.
        provided.files.iter_mut().for_each(|file| file.visibility = Visibility::Private);
    }
    Ok(provided)
}

/// The version in the name of Flink's main jar; None for another file.
pub(crate) fn dist_version(name: &str) -> Option<Result<FlinkVersion>> {
    let rest = name.strip_prefix("flink-dist")?.strip_suffix(".jar")?;
    let rest = rest.strip_prefix("_2.12").or_else(|| rest.strip_prefix("_2.11")).unwrap_or(rest);
    let version = rest.trim_start_matches('-').parse::<FlinkVersion>();
    Some(version.map_err(|source| {
        Error::invalid(format!("the version of Flink cannot be read from the name '{name}'; give it by flink_version"))
            .with_source(source)
    }))
}

/// Every file and folder below `path` with its relative path; None where it is not there.
pub(crate) async fn walk(fs: &dyn FileSystem, path: &str) -> Result<Option<Vec<(String, FileStatus)>>> {
    let Some(first) = fs.list(path).await? else { return Ok(None) };
    let mut all: Vec<(String, FileStatus)> = first.into_iter().map(|file| (file.name.clone(), file)).collect();
    let mut open: Vec<String> = all.iter().filter(|(_, file)| file.folder).map(|(name, _)| name.clone()).collect();
    for _ in 0..MAX_DEPTH {
        if open.is_empty() {
            break;
        }
        let places: Vec<String> = open.iter().map(|relative| format!("{path}/{relative}")).collect();
        let lists = try_join_all(places.iter().map(|place| fs.list(place))).await?;
        let mut next = Vec::new();
        for (above, list) in open.iter().zip(lists) {
            for file in list.unwrap_or_default() {
                let relative = format!("{above}/{}", file.name);
                if file.folder {
                    next.push(relative.clone());
                }
                all.push((relative, file));
            }
        }
        open = next;
    }
    Ok(Some(all))
}

/// Whether everybody may read the files and pass the folders above them (`FSDownload.isPublic`).
async fn is_public(fs: &dyn FileSystem, path: &str, files: &[(String, FileStatus)]) -> Result<bool> {
    let readable =
        files.iter().all(|(_, file)| if file.folder { file.mode & 0o5 == 0o5 } else { file.mode & 0o4 != 0 });
    if !readable {
        return Ok(false);
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let above: Vec<String> =
        (0..=parts.len()).map(|count| format!("/{}", parts.get(..count).unwrap_or_default().join("/"))).collect();
    let states = try_join_all(above.iter().map(|folder| fs.status(folder))).await?;
    Ok(states.iter().flatten().all(|folder| folder.mode & 0o1 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Content, SharedFolder};

    async fn flink(fs: &SharedFolder) {
        for (name, mode) in
            [("/dist/lib/flink-dist-1.20.5.jar", 0o644), ("/dist/lib/a.jar", 0o644), ("/dist/plugins/m/m.jar", 0o644)]
        {
            fs.write(name, Content::Bytes("x".into()), mode, None).await.unwrap();
        }
        for folder in ["/", "/dist", "/dist/lib", "/dist/plugins", "/dist/plugins/m"] {
            fs.set_mode(folder, 0o755).await.unwrap();
        }
    }

    #[tokio::test]
    async fn version_and_visibility_follow_from_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let fs = SharedFolder::new(folder.path(), "hdfs://nn:8020", "alice");
        flink(&fs).await;
        let folders = ["/dist/lib".to_owned(), "hdfs://nn:8020/dist/plugins".to_owned()];
        let provided = look(&fs, &folders).await.unwrap();
        assert_eq!(provided.version.unwrap().to_string(), "1.20.5");
        assert_eq!(provided.folders, ["hdfs://nn:8020/dist/lib", "hdfs://nn:8020/dist/plugins"]);
        let plugin = provided.files.iter().find(|file| file.path.ends_with("m.jar")).unwrap();
        assert_eq!(plugin.path, "hdfs://nn:8020/dist/plugins/m/m.jar");
        assert_eq!(plugin.visibility, Visibility::Public);
        fs.set_mode("/dist", 0o700).await.unwrap();
        let private = look(&fs, &folders).await.unwrap();
        assert!(!private.public && private.files.iter().all(|file| file.visibility == Visibility::Private));
    }

    #[tokio::test]
    async fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let fs = SharedFolder::new(folder.path(), "hdfs://nn:8020", "alice");
        let error = look(&fs, &["/flink/lib".to_owned()]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "yarn.provided_lib_dirs: a folder with Flink's files is not on the cluster; put it there, or give flink_home \
             and let it be put there (folder: /flink/lib)"
        );
    }
}
