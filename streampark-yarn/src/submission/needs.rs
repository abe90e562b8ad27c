//! What must be looked at before a submission can be built.

use std::path::PathBuf;

use streampark_core::Result;
use streampark_core::job::{Location, Resource};

use super::config::merged;
use super::place::{Place, list, place, qualified};
use super::request::{Deploy, Request};
use super::wares::provided_dirs;

/// Files and folders whose content [`build`](super::build) must know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    /// Of this machine: read them with [`LocalTree::read`](super::LocalTree::read), pass them as
    /// [`Request::local`].
    pub local: Vec<PathBuf>,
    /// Of the cluster's file system, with scheme: all files at or below them belong into
    /// [`ClusterFacts::files`](crate::ClusterFacts::files).
    pub remote: Vec<String>,
}

/// What must be looked at for this request; its `local` and its facts' `files` may still be empty.
///
/// # Errors
/// [`ErrorKind::InvalidInput`](streampark_core::ErrorKind::InvalidInput) for a list that is none.
pub fn needs(request: &Request<'_>) -> Result<Needs> {
    let config = merged(request);
    let mut needs = Needs { local: Vec::new(), remote: provided_dirs(&config, request.facts)? };
    let mut paths = list(&config, "yarn.ship-files", Some("yarn.ship-directories"))?;
    paths.extend(list(&config, "yarn.ship-archives", None)?);
    for path in paths {
        match place(&path, &request.facts.default_fs) {
            Place::Local(path) => needs.local.push(path),
            Place::Remote(path) => needs.remote.push(path),
        }
    }
    if let Some(path) = config.get("yarn.provided.usrlib.dir") {
        needs.remote.push(qualified(path, &request.facts.default_fs));
    }
    let launch = match request.deploy {
        Deploy::Application(submission) => Some(&submission.launch),
        Deploy::Session(_) => None,
    };
    let options = request.options;
    let parts: Vec<&Resource> = launch
        .into_iter()
        .flat_map(|launch| launch.jar.iter().chain(&launch.jars).chain(&launch.files).chain(&launch.archives))
        .chain(&options.python_jar)
        .chain(&options.sql_gateway_jar)
        .collect();
    for part in parts {
        if let Location::Remote(url) = &part.location {
            needs.remote.push(qualified(url.as_str(), &request.facts.default_fs));
        }
    }
    Ok(needs)
}
