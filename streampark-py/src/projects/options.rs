//! How projects are opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use streampark_core::build::{ArtifactStore, BlobStore, BuildQueueOptions, MavenOptions};
use streampark_core::platform::ProjectsOptions;
use streampark_core::project::git::GitOptions;
use streampark_core::{Error, Result, Secret};

use crate::convert::{duration, parse};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    concurrency: Option<usize>,
    capacity: Option<usize>,
    timeout: Option<f64>,
    max_output: Option<u64>,
    max_memory: Option<u64>,
    keep: Option<usize>,
    pass_environment: Option<Vec<String>>,
    known_hosts: Option<Vec<PathBuf>>,
    ca_file: Option<PathBuf>,
    proxy: Option<String>,
    proxy_password: Option<Secret>,
    maven: Option<MavenOptions>,
    artifacts: Option<String>,
    artifact_options: Option<BTreeMap<String, String>>,
}

/// `blobs` keeps the artifacts where that is no address.
pub(super) fn read(folder: &str, json: &str, blobs: Option<Arc<dyn BlobStore>>) -> Result<ProjectsOptions> {
    let given: Options = parse(json, "the options of projects")?;
    let mut builds = BuildQueueOptions::default();
    builds.concurrency = given.concurrency.unwrap_or(builds.concurrency);
    builds.capacity = given.capacity.unwrap_or(builds.capacity);
    builds.keep = given.keep.unwrap_or(builds.keep);
    builds.max_output = given.max_output.unwrap_or(builds.max_output);
    builds.max_memory = given.max_memory;
    if let Some(seconds) = given.timeout {
        builds.timeout = duration(seconds)?;
    }
    if let Some(names) = given.pass_environment {
        builds.env.pass.extend(names);
    }
    let mut git = GitOptions::default();
    git.ca_file = given.ca_file;
    git.proxy_password = given.proxy_password.map(|password| password.resolve()).transpose()?;
    if let Some(proxy) = given.proxy {
        let parsed = proxy.parse();
        git.proxy = Some(parsed.map_err(|_| Error::invalid("the proxy is no URL; write http://host:port"))?);
    }
    if let Some(files) = given.known_hosts {
        git.known_hosts = files;
    }
    let options = ProjectsOptions::default().builds(builds).git(git).maven(given.maven.unwrap_or_default());
    let cache = Path::new(folder).join("artifacts");
    Ok(match (blobs, given.artifacts) {
        (Some(_), _) if given.artifact_options.is_some() => {
            return Err(Error::invalid("artifact_options belong to an address; a BlobStore has its own"));
        }
        (Some(blobs), _) => options.artifacts(ArtifactStore::of_blobs(blobs, cache)),
        (None, Some(url)) => {
            let settings = given.artifact_options.unwrap_or_default();
            options.artifacts(ArtifactStore::from_url(&url, &settings, cache)?)
        }
        (None, None) => options,
    })
}
