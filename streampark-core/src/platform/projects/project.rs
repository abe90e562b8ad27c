//! One project.

use super::Projects;
use crate::build::{Artifact, ArtifactFilter, Build, BuildOrder, BuildRecord, BuildState, ProjectSpec};
#[cfg(feature = "git")]
use crate::project::git::{GitCommit, GitRemoteRef, GitSource};
use crate::project::{Revision, SyncOptions, SyncReport};
use crate::{Error, Event, Result};

/// A handle to one project; cheap to clone.
#[derive(Debug, Clone)]
pub struct Project {
    projects: Projects,
    name: String,
}

impl Project {
    pub(super) fn new(projects: Projects, name: String) -> Self {
        Self { projects, name }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is declared now.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where it was removed; likewise for every call below.
    pub fn spec(&self) -> Result<ProjectSpec> {
        self.projects.inner.registry.spec(&self.name)
    }

    /// Whether its code can be reached and the wanted reference exists; brings nothing.
    ///
    /// # Errors
    /// Those of the source: refused, no such repository, no such reference, host key unknown, unreachable.
    pub async fn check(&self) -> Result<Revision> {
        self.source()?.check().await
    }

    /// Brings what is new of its code.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn sync(&self) -> Result<SyncReport> {
        self.sync_with(&SyncOptions::default()).await
    }

    /// Brings what is new of its code, telling its progress.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn sync_with(&self, options: &SyncOptions) -> Result<SyncReport> {
        let result = self.source()?.sync(options).await;
        self.projects.synced(&self.name, &result).await;
        result
    }

    /// Asks for a build of the modules that it declares, where its branch or tag stands.
    ///
    /// # Errors
    /// As [`BuildQueue::add`](crate::build::BuildQueue::add).
    pub async fn build(&self) -> Result<Build> {
        self.build_with(BuildOrder::new(&self.name)).await
    }

    /// Asks for a build of certain modules or of a commit, with a priority, in somebody's name.
    ///
    /// # Errors
    /// As [`BuildQueue::add`](crate::build::BuildQueue::add).
    pub async fn build_with(&self, mut order: BuildOrder) -> Result<Build> {
        order.project.clone_from(&self.name);
        if order.actor.is_empty() {
            order.actor = self.projects.actor.to_string();
        }
        self.projects.builds().add(order).await
    }

    /// Asks the server whether something was pushed since the last successful build, and if so for a build of it.
    /// Call it at an interval, or when a webhook came.
    ///
    /// # Errors
    /// As [`check`](Self::check) and [`build`](Self::build).
    pub async fn build_if_changed(&self) -> Result<Option<Build>> {
        let now = self.check().await?;
        let built = self.builds().into_iter().find(|build| {
            build.state == BuildState::Succeeded || matches!(build.state, BuildState::Queued | BuildState::Running)
        });
        match built.and_then(|build| build.revision) {
            Some(revision) if revision.id == now.id => Ok(None),
            _ => self.build().await.map(Some),
        }
    }

    /// Its builds, newest first.
    pub fn builds(&self) -> Vec<BuildRecord> {
        self.projects.builds().list(Some(&self.name))
    }

    /// What happened to it and its builds, newest first, at most `limit` events: see [`Projects::history`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn history(&self, limit: usize) -> Result<Vec<Event>> {
        self.projects.history(&self.name, limit).await
    }

    /// Its artifacts, newest first, at most `limit`.
    ///
    /// # Errors
    /// Those of the artifacts' store.
    pub async fn artifacts(&self, limit: usize) -> Result<Vec<Artifact>> {
        let mut filter = ArtifactFilter::project(&self.name);
        filter.limit = Some(limit);
        self.projects.artifacts().list(&filter).await
    }

    /// The artifact that a job of this module would run now.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where the module was never built.
    pub async fn artifact(&self, module: Option<&str>) -> Result<Artifact> {
        self.projects.newest(&self.name, module, None).await
    }

    /// The README nearest to a module, with its path.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where the project was never synchronised.
    pub async fn readme(&self, module: &str) -> Result<Option<(String, String)>> {
        let spec = self.spec()?;
        match &spec.local {
            Some(folder) => local_readme(folder, module),
            None => self.remote_readme(module).await,
        }
    }

    #[cfg(feature = "git")]
    async fn remote_readme(&self, module: &str) -> Result<Option<(String, String)>> {
        self.git()?.readme(module).await
    }

    #[cfg(not(feature = "git"))]
    async fn remote_readme(&self, _module: &str) -> Result<Option<(String, String)>> {
        Ok(None)
    }

    /// The newest `limit` commits that changed `path`; the empty text is everything.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a folder, and as [`check`](Self::check).
    #[cfg(feature = "git")]
    pub async fn log(&self, path: &str, limit: usize) -> Result<Vec<GitCommit>> {
        self.git()?.log(path, limit).await
    }

    /// The branches and tags that the server has now.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    #[cfg(feature = "git")]
    pub async fn refs(&self) -> Result<Vec<GitRemoteRef>> {
        self.git()?.refs().await
    }

    /// One file as it is where the wanted reference stands.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    #[cfg(feature = "git")]
    pub async fn file(&self, path: &str) -> Result<Vec<u8>> {
        self.git()?.file(path).await
    }

    /// One file as it is at a branch, tag or commit, which is brought where it is not here yet.
    ///
    /// # Errors
    /// As [`log`](Self::log), and [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where there is no such file.
    #[cfg(feature = "git")]
    pub async fn file_at(&self, reference: &str, path: &str) -> Result<Vec<u8>> {
        let source = self.git()?.reference(reference)?;
        match source.file(path).await {
            Err(error) if error.kind() == crate::ErrorKind::NotFound => {
                crate::project::Source::sync(&source, &SyncOptions::default()).await?;
                source.file(path).await
            }
            found => found,
        }
    }

    #[cfg(feature = "git")]
    fn git(&self) -> Result<GitSource> {
        self.spec()?.git_source(&self.projects.inner.registry.context)
    }

    fn source(&self) -> Result<std::sync::Arc<dyn crate::project::Source>> {
        self.spec()?.source(&self.projects.inner.registry.context)
    }
}

/// The README in a module's folder, or in one above it.
fn local_readme(root: &std::path::Path, module: &str) -> Result<Option<(String, String)>> {
    let mut parts: Vec<&str> = module.split('/').filter(|part| !part.is_empty()).collect();
    if parts.contains(&"..") {
        return Err(Error::invalid(format!("the module '{module}' leads out of the project")));
    }
    loop {
        let below = parts.join("/");
        for entry in std::fs::read_dir(root.join(&below)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_readme = name.to_ascii_lowercase().split('.').next() == Some("readme");
            let small = entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= 1 << 20);
            if is_readme && small {
                let shown = if below.is_empty() { name } else { format!("{below}/{name}") };
                return Ok(Some((shown, String::from_utf8_lossy(&std::fs::read(entry.path())?).into_owned())));
            }
        }
        if parts.pop().is_none() {
            return Ok(None);
        }
    }
}
