//! Projects: declared once, then synchronised, built, and named by jobs.

mod events;
mod origin;
mod project;
mod resolve;
mod users;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;

pub use self::origin::Origin;
pub use self::project::Project;
use self::resolve::ProjectResolver;
use crate::build::{
    ArtifactRetention, ArtifactStore, Build, BuildOrder, BuildPlan, BuildPlans, BuildQueue, BuildQueueOptions,
    MavenOptions, MavenResolver, ProjectSpec, Pruned, ResourceCentre, SourceContext, blocking, lock,
};
use crate::job::Resolve;
use crate::project::Push;
#[cfg(feature = "git")]
use crate::project::git::GitOptions;
use crate::store::Store;
use crate::supervisor::{EventRecorder, SupervisorHandle};
use crate::{Error, ErrorKind, Result, StreamPark};

#[cfg(test)]
mod tests;

/// The rules of projects.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ProjectsOptions {
    /// The rules of Git calls.
    #[cfg(feature = "git")]
    pub git: GitOptions,
    /// The bounds of the queue of builds.
    pub builds: BuildQueueOptions,
    /// Where artifacts are kept. Default: below the folder of the projects.
    pub artifacts: Option<ArtifactStore>,
    /// How jars are found by Maven coordinates: settings, local repository, offline.
    pub maven: MavenOptions,
}

impl ProjectsOptions {
    /// Sets the rules of Git calls.
    #[cfg(feature = "git")]
    #[must_use]
    pub fn git(mut self, options: GitOptions) -> Self {
        self.git = options;
        self
    }

    /// Sets the bounds of the queue of builds.
    #[must_use]
    pub fn builds(mut self, options: BuildQueueOptions) -> Self {
        self.builds = options;
        self
    }

    /// Sets how jars are found by Maven coordinates.
    #[must_use]
    pub fn maven(mut self, options: MavenOptions) -> Self {
        self.maven = options;
        self
    }

    /// Keeps artifacts elsewhere: in an object store, in a folder that several machines share.
    #[must_use]
    pub fn artifacts(mut self, store: ArtifactStore) -> Self {
        self.artifacts = Some(store);
        self
    }
}

/// The projects of one folder; cheap to clone. Usable alone, or as part of an engine.
///
/// ```no_run
/// use streampark_core::build::ProjectSpec;
/// use streampark_core::platform::{Projects, ProjectsOptions};
///
/// # async fn example() -> streampark_core::Result<()> {
/// let projects = Projects::open("/var/lib/streampark", ProjectsOptions::default()).await?;
/// let spec = ProjectSpec::local("orders", "/home/ada/orders").module("jobs/orders").owner("team-orders");
/// let orders = projects.put(spec).await?;
/// let build = orders.build().await?;
/// for artifact in build.artifacts().await? {
///     println!("{} {} ({})", artifact.module, artifact.id, artifact.rule);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Projects {
    inner: Arc<Inner>,
    /// Who acts.
    actor: Arc<str>,
}

struct Inner {
    registry: Arc<Registry>,
    queue: BuildQueue,
    maven: MavenResolver,
    resources: ResourceCentre,
    /// The store of the engine that these projects belong to: it knows which jobs use them.
    store: RwLock<Option<Arc<dyn Store>>>,
    /// The way into that engine's history, until another engine has them.
    recorder: RwLock<Option<(EventRecorder, CancellationToken)>>,
}

impl Projects {
    /// Opens the folder: `projects/` with a file for each, `builds/` with records and logs, `artifacts/`, `git/`,
    /// `resources/`, `dependencies/`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where another process has it open, [`ErrorKind::Io`] where it cannot be read.
    pub async fn open(folder: impl AsRef<Path>, options: ProjectsOptions) -> Result<Self> {
        let named = |error: Error| error.with_operation("projects.open");
        let folder = std::path::absolute(folder.as_ref())?;
        #[cfg(feature = "git")]
        let context = SourceContext::new(&folder, options.git).map_err(named)?;
        #[cfg(not(feature = "git"))]
        let context = SourceContext::new(&folder);
        let place = folder.join("projects");
        let registry = Arc::new(blocking(move || Registry::open(place, context)).await.map_err(named)?);
        // What a killed process was building lies there still; the lock says that nobody else is.
        for left in [folder.join("checkouts"), folder.join("git").join("checkouts")] {
            match std::fs::remove_dir_all(&left) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(path = %left.display(), error = %source, "old checkouts cannot be removed");
                }
                _ => {}
            }
        }
        let artifacts = match options.artifacts {
            Some(artifacts) => artifacts,
            None => ArtifactStore::local(folder.join("artifacts")).map_err(named)?,
        };
        let plans: Arc<dyn BuildPlans> = Arc::clone(&registry) as Arc<dyn BuildPlans>;
        let queue = BuildQueue::open(folder.join("builds"), artifacts, plans, options.builds).await.map_err(named)?;
        let maven = MavenResolver::open(folder.join("dependencies"), options.maven).map_err(named)?;
        let place = folder.join("resources");
        let resources = blocking(move || ResourceCentre::open(place)).await.map_err(named)?;
        let (store, recorder) = (RwLock::default(), RwLock::default());
        let inner = Arc::new(Inner { registry, queue, maven, resources, store, recorder });
        Ok(Self { inner, actor: StreamPark::DEFAULT_ACTOR.into() })
    }

    /// Declares a project, or changes one of the same name. Nothing is fetched.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] naming the field and its rule.
    pub async fn put(&self, spec: ProjectSpec) -> Result<Project> {
        let named = |error: Error| error.with_operation("projects.put");
        spec.validate().map_err(named)?;
        // An address that is refused must not be kept.
        spec.source(&self.inner.registry.context).map_err(named)?;
        let before = self.inner.registry.spec(&spec.name).ok();
        self.inner.registry.put(spec.clone()).map_err(named)?;
        match before {
            None => self.changed(&spec.name, "declared").await,
            Some(before) if before != spec => self.changed(&spec.name, "changed").await,
            Some(_) => {}
        }
        Ok(self.handle(&spec.name))
    }

    /// Declares a new project.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where there is one of that name; and as [`put`](Self::put).
    pub async fn create(&self, spec: ProjectSpec) -> Result<Project> {
        if self.inner.registry.spec(&spec.name).is_ok() {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("there is a project named '{}'", spec.name))
                .with_operation("projects.create"));
        }
        self.put(spec).await
    }

    /// The project named `name`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] listing the names there are.
    pub fn get(&self, name: &str) -> Result<Project> {
        self.inner.registry.spec(name).map(|spec| self.handle(&spec.name))
    }

    /// All projects, in order of their names.
    pub fn list(&self) -> Vec<ProjectSpec> {
        self.inner.registry.all().into_values().collect()
    }

    /// Takes a project out. Its artifacts stay until [`prune`](Self::prune) takes them.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] naming the jobs that use it, or the build that is under way.
    pub async fn remove(&self, name: &str) -> Result<ProjectSpec> {
        let named = |error: Error| error.with_operation("projects.remove");
        let spec = self.inner.registry.spec(name).map_err(named)?;
        let jobs = self.jobs_of(name).await.map_err(named)?;
        if !jobs.is_empty() {
            return Err(named(Error::new(
                ErrorKind::Conflict,
                format!("the project '{name}' is used by the jobs {}; change or delete them first", jobs.join(", ")),
            )));
        }
        if let Some(build) = self.inner.queue.list(Some(name)).into_iter().find(|build| !build.state.is_over()) {
            return Err(named(Error::new(
                ErrorKind::Conflict,
                format!("the project '{name}' has the build {}, which is {}; cancel it first", build.id, build.state),
            )));
        }
        self.inner.registry.remove(name).map_err(named)?;
        self.changed(name, "removed").await;
        Ok(spec)
    }

    /// Asks for a build of every project that a push concerns; see [`Push::read`](crate::project::Push::read).
    ///
    /// # Errors
    /// As [`BuildQueue::add`].
    pub async fn pushed(&self, push: &Push) -> Result<Vec<Build>> {
        let mut builds = Vec::new();
        for spec in self.list() {
            let Some(url) = spec.git.as_deref().filter(|_| push.commit.is_some()) else { continue };
            if push.concerns(url, &spec.reference) {
                let actor = push.author.clone().unwrap_or_else(|| "webhook".to_owned());
                builds.push(self.builds().add(BuildOrder::new(&spec.name).actor(actor)).await?);
            }
        }
        Ok(builds)
    }

    /// The queue of builds.
    pub fn builds(&self) -> &BuildQueue {
        &self.inner.queue
    }

    /// Where artifacts are kept.
    pub fn artifacts(&self) -> &ArtifactStore {
        self.inner.queue.artifacts()
    }

    /// The resource centre: jars, functions and connectors that any job may name.
    pub fn resources(&self) -> &ResourceCentre {
        &self.inner.resources
    }

    /// Finds jars by Maven coordinates.
    pub fn maven(&self) -> &MavenResolver {
        &self.inner.maven
    }

    /// Removes artifacts that are old and that no job runs, would run, or would need for a roll-back.
    ///
    /// # Errors
    /// Those of the artifacts' and the jobs' store.
    pub async fn prune(&self, retention: &ArtifactRetention) -> Result<Pruned> {
        let in_use = self.in_use().await.map_err(|error| error.with_operation("projects.prune"))?;
        self.artifacts().prune(retention, &in_use, jiff::Timestamp::now()).await
    }

    /// Ends the builds that run, and takes no more.
    pub async fn close(&self) {
        self.inner.queue.close().await;
    }

    /// The same projects, whose calls act in the name of `actor`: builds and history say who.
    #[must_use]
    pub fn acting_as(&self, actor: impl Into<Arc<str>>) -> Self {
        Self { inner: Arc::clone(&self.inner), actor: actor.into() }
    }

    /// Tells which jobs there are; the newest engine that has the projects counts.
    fn attach(&self, store: Arc<dyn Store>) {
        *self.inner.store.write().unwrap_or_else(PoisonError::into_inner) = Some(store);
    }

    fn store(&self) -> Option<Arc<dyn Store>> {
        self.inner.store.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn handle(&self, name: &str) -> Project {
        Project::new(self.clone(), name.to_owned())
    }
}

impl fmt::Debug for Projects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projects")
            .field("projects", &self.inner.registry.all().keys().collect::<Vec<_>>())
            .field("queue", &self.inner.queue)
            .finish_non_exhaustive()
    }
}

/// Who finds jars for an engine: its projects first, then whom the embedder gave.
pub(super) fn resolver(
    projects: Option<&Projects>,
    others: Option<Arc<dyn Resolve>>,
    store: &Arc<dyn Store>,
) -> Option<Arc<dyn Resolve>> {
    let Some(projects) = projects else { return others };
    projects.attach(Arc::clone(store));
    Some(Arc::new(ProjectResolver { projects: projects.clone(), others }))
}

/// Lets an engine's history hear of its projects.
pub(super) fn tell(projects: Option<&Projects>, supervisor: &SupervisorHandle) {
    if let Some(projects) = projects {
        projects.tell(&supervisor.recorder());
    }
}

/// The declared projects, one JSON file each.
#[derive(Debug)]
struct Registry {
    folder: PathBuf,
    context: SourceContext,
    specs: RwLock<BTreeMap<String, ProjectSpec>>,
    _lock: File,
}

impl Registry {
    fn open(folder: PathBuf, context: SourceContext) -> Result<Self> {
        std::fs::create_dir_all(&folder)
            .map_err(|source| Error::from(source).with_context("path", folder.display()))?;
        let Some(lock) = lock(&folder.join("lock"))? else {
            return Err(Error::new(
                ErrorKind::Conflict,
                "another process has these projects open; give each process a folder of its own, or end the other",
            )
            .with_context("path", folder.display()));
        };
        let mut specs = BTreeMap::new();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|kind| kind != "json") {
                continue;
            }
            let spec: ProjectSpec = serde_json::from_slice(&std::fs::read(&path)?).map_err(|source| {
                Error::new(ErrorKind::Storage, "the file of a project cannot be read; mend or remove it")
                    .with_context("path", path.display())
                    .with_source(source)
            })?;
            specs.insert(spec.name.clone(), spec);
        }
        Ok(Self { folder, context, specs: RwLock::new(specs), _lock: lock })
    }

    fn all(&self) -> BTreeMap<String, ProjectSpec> {
        self.specs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn spec(&self, name: &str) -> Result<ProjectSpec> {
        let all = self.specs.read().unwrap_or_else(PoisonError::into_inner);
        match all.get(name) {
            Some(spec) => Ok(spec.clone()),
            None => {
                let names: Vec<&str> = all.keys().map(String::as_str).collect();
                let known = match names.as_slice() {
                    [] => "none is declared".to_owned(),
                    names => format!("declared are {}", names.join(", ")),
                };
                Err(Error::not_found(format!("there is no project named '{name}'; {known}"))
                    .with_operation("projects.get"))
            }
        }
    }

    fn put(&self, spec: ProjectSpec) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(&spec)
            .map_err(|source| Error::new(ErrorKind::Internal, "a project is no JSON").with_source(source))?;
        // Held over the write, so that file and memory agree on who came last.
        let mut all = self.specs.write().unwrap_or_else(PoisonError::into_inner);
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        std::io::Write::write_all(&mut file, &bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.path(&spec.name)).map_err(|error| Error::from(error.error))?;
        all.insert(spec.name.clone(), spec);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut all = self.specs.write().unwrap_or_else(PoisonError::into_inner);
        std::fs::remove_file(self.path(name))?;
        all.remove(name);
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }
}

impl BuildPlans for Registry {
    fn plan(&self, project: &str) -> Result<BuildPlan> {
        let spec = self.spec(project)?;
        let plan = BuildPlan::new(spec.source(&self.context)?, spec.builder.builder()?);
        Ok(plan.with_modules(spec.modules))
    }
}
