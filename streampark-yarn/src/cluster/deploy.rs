//! From a submission to an application that YARN took.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use streampark_core::flink::FlinkVersion;
use streampark_core::job::Location;
use streampark_core::{Error, ErrorKind, ErrorStatus, Result};
use tokio::time::{Instant, sleep};

use crate::facts::{ClusterFacts, RemoteFile, ResourceType, Visibility};
use crate::failure::explain;
use crate::fs::{Content, FileStatus, FileSystem, location_of, path_of};
use crate::ground::{Ground, Yarn};
use crate::provided::walk;
use crate::submission::{Built, Deploy, LocalTree, Request, SubmissionOptions, Upload, build, needs};
use crate::wire::{App, AppState};

/// How many files of one submission are sent at the same time.
const PARALLEL: usize = 4;

/// How long to wait for YARN's first word after a submission: a refusal comes within milliseconds.
const FIRST_WORD: Duration = Duration::from_secs(3);

/// A submission that is built, and the folders that were made for it.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) built: Built,
    folders: Vec<String>,
}

impl Yarn {
    /// Builds a submission after a look at all that it names.
    pub(crate) async fn build(
        &self,
        deploy: Deploy<'_>,
        version: &FlinkVersion,
        options: &SubmissionOptions,
        mut facts: ClusterFacts,
        ground: &Ground,
    ) -> Result<Built> {
        let needs = needs(&Request::new(deploy, version, options, &facts))?;
        let known: BTreeSet<String> = facts.provided_lib_dirs.iter().cloned().collect();
        for place in needs.remote.iter().filter(|place| !known.contains(*place)) {
            facts.files.extend(remote_files(ground.fs.as_ref(), place).await?);
        }
        let mut trees = Vec::new();
        for path in needs.local {
            let read = tokio::task::spawn_blocking(move || LocalTree::read(&path)).await;
            trees.push(read.map_err(|source| {
                Error::new(ErrorKind::Internal, "the reading of a folder ended early").with_source(source)
            })??);
        }
        build(&Request::new(deploy, version, options, &facts).local(&trees))
    }

    /// Writes the files of a submission.
    pub(crate) async fn stage(&self, built: Built, ground: &Ground) -> Result<(Staged, Vec<RemoteFile>)> {
        let fs = ground.fs.as_ref();
        let path = |location: &str| {
            path_of(fs, location).ok_or_else(|| {
                Error::invalid(format!("'{location}' is not on the cluster's file system, {}", fs.scheme()))
            })
        };
        let staging = path(&built.staging)?;
        let mut folders = vec![staging.clone()];
        if let Some(archive) = built.archive.as_deref().filter(|archive| archive.starts_with(&built.staging)) {
            folders.push(path(archive)?);
        }
        let mut below: BTreeSet<String> = BTreeSet::new();
        for upload in &built.uploads {
            if let Some((folder, _)) = path(&upload.target)?.rsplit_once('/') {
                below.insert(folder.to_owned());
            }
        }
        let made = async {
            // The folder above the others comes first: a NameNode gives its rights to those between.
            for folder in &folders {
                fs.make_folder(folder, 0o700).await.map_err(not_writable)?;
            }
            for folder in below.iter().filter(|folder| !folders.contains(folder)) {
                fs.make_folder(folder, 0o700).await?;
            }
            let jobs: Vec<BoxFuture<'_, Result<()>>> =
                built.uploads.iter().map(|upload| send(fs, upload).boxed()).collect();
            let mut sending = futures_util::stream::iter(jobs).buffer_unordered(PARALLEL);
            while let Some(sent) = sending.next().await {
                sent?;
            }
            drop(sending);
            files_below(fs, &staging).await
        };
        match made.await {
            Ok(written) => Ok((Staged { built, folders }, written)),
            Err(error) => {
                remove_all(fs, &folders).await;
                Err(error.with_operation("yarn.stage").with_context("staging", &built.staging))
            }
        }
    }

    /// Submits what was staged, and waits for YARN's first word.
    pub(crate) async fn land(&self, staged: &Staged, written: &[RemoteFile], ground: &Ground) -> Result<()> {
        let fs = ground.fs.as_ref();
        let prepared = match staged.built.staged(written) {
            Ok(context) => self.application_tokens(ground).await.map(|tokens| (context, tokens)),
            Err(error) => Err(error),
        };
        let (mut context, tokens) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                remove_all(fs, &staged.folders).await;
                return Err(error);
            }
        };
        context.tokens.clone_from(&tokens.given);
        let id = context.application_id.clone();
        if let Err(error) = self.rm.submit(&context.to_json()).await {
            if error.status() == ErrorStatus::Unknown {
                return Err(error.with_context("application", &id));
            }
            self.give_back(&tokens, ground).await;
            remove_all(fs, &staged.folders).await;
            return Err(error.with_context("application", &id));
        }
        let app = self.first_word(&id).await;
        match &app {
            Some(app) if app.state == AppState::Failed => {
                remove_all(fs, &staged.folders).await;
                let failure = explain(app);
                let told =
                    failure.map_or_else(|| "YARN refused the application without a reason".to_owned(), |f| f.message);
                Err(Error::invalid(told).with_operation("yarn.submit").with_context("application", &id))
            }
            _ => Ok(()),
        }
    }

    async fn first_word(&self, id: &str) -> Option<App> {
        let deadline = Instant::now() + FIRST_WORD;
        let mut pause = Duration::from_millis(10);
        loop {
            // The submission was taken: what fails from here on is seen by the next observation.
            let app = self.rm.app(id).await.ok().flatten();
            let waiting = |state| matches!(state, AppState::New | AppState::NewSaving | AppState::Submitted);
            if app.as_ref().is_some_and(|app| !waiting(app.state)) || Instant::now() >= deadline {
                return app;
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    /// Removes what a submission left on the cluster's file system; true where there was something.
    pub(crate) async fn clean(&self, id: &str, ground: &Ground) -> Result<bool> {
        let staging = format!("{}/.flink/{id}", ground.home);
        let archive = format!("{staging}-archive");
        let removed = futures_util::future::try_join(ground.fs.remove(&staging), ground.fs.remove(&archive)).await?;
        Ok(removed.0 || removed.1)
    }
}

async fn send(fs: &dyn FileSystem, upload: &Upload) -> Result<()> {
    let target = path_of(fs, &upload.target)
        .ok_or_else(|| Error::new(ErrorKind::Internal, "a file would be staged on another file system"))?;
    let content = match &upload.source {
        Location::Path(path) => Content::File(path.clone()),
        Location::Bytes(bytes) => Content::Bytes(bytes.clone()),
        _ => return Err(Error::new(ErrorKind::Internal, "a remote file is to be staged")),
    };
    fs.write(&target, content, 0o600, None).await
}

async fn remove_all(fs: &dyn FileSystem, folders: &[String]) {
    for folder in folders {
        if let Err(error) = fs.remove(folder).await {
            tracing::warn!(folder, error = %error.chain(), "a staging folder could not be removed");
        }
    }
}

fn not_writable(error: Error) -> Error {
    if error.kind() != ErrorKind::PermissionDenied {
        return error;
    }
    Error::new(
        ErrorKind::PermissionDenied,
        format!(
            "the staging folder cannot be made: {}; give a folder that the user may write to by the option staging",
            error.message()
        ),
    )
    .with_source(error)
}

/// The file at, or all files below, a place on the cluster's file system.
pub(crate) async fn remote_files(fs: &dyn FileSystem, place: &str) -> Result<Vec<RemoteFile>> {
    let Some(path) = path_of(fs, place) else {
        return Err(Error::invalid(format!(
            "'{place}' is not on the cluster's file system, {}; put it there, or give a file of this machine",
            fs.scheme()
        )));
    };
    let status = fs.status(&path).await?.ok_or_else(|| {
        Error::not_found(format!("'{place}' is not on the cluster; put it there before the submission"))
    })?;
    match status.folder {
        true => files_below(fs, &path).await,
        false => Ok(vec![remote_file(fs, &path, &status)]),
    }
}

fn remote_file(fs: &dyn FileSystem, path: &str, status: &FileStatus) -> RemoteFile {
    RemoteFile {
        path: location_of(fs, path),
        size: status.size,
        modified_ms: status.modified_ms,
        resource_type: ResourceType::File,
        visibility: Visibility::Application,
    }
}

async fn files_below(fs: &dyn FileSystem, folder: &str) -> Result<Vec<RemoteFile>> {
    let below = walk(fs, folder).await?.unwrap_or_default();
    let files = below.into_iter().filter(|(_, file)| !file.folder);
    Ok(files.map(|(name, file)| remote_file(fs, &format!("{folder}/{name}"), &file)).collect())
}
