//! From `project + module` to the jar that runs.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::Projects;
use crate::build::{Artifact, ArtifactFilter, BuildState, DependencyConflict, MavenLock};
use crate::job::{Dependency, JobSpec, Location, ModuleRef, Pin, Resolve, Resource, ResourceRef};
use crate::{Error, ErrorKind, Result};

/// Finds artifacts of projects; leaves the rest to whom the embedder gave.
#[derive(Debug)]
pub(super) struct ProjectResolver {
    pub(super) projects: Projects,
    pub(super) others: Option<Arc<dyn Resolve>>,
}

#[async_trait]
impl Resolve for ProjectResolver {
    async fn resolve(&self, dependency: &Dependency) -> Result<Vec<Resource>> {
        match (dependency, &self.others) {
            (Dependency::Module(module), _) => self.projects.resources_of_module(module).await,
            // Whom the embedder gave knows better than what is below our folder.
            (_, Some(others)) => match others.resolve(dependency).await {
                Err(error) if error.kind() == ErrorKind::Unsupported => self.projects.resolve_own(dependency).await,
                result => result,
            },
            (_, None) => self.projects.resolve_own(dependency).await,
        }
    }

    async fn pin(&self, dependency: &Dependency) -> Result<Option<Pin>> {
        match (dependency, &self.others) {
            (Dependency::Module(module), _) => self.projects.pin_module(module).await.map(Some),
            (_, Some(others)) => match others.pin(dependency).await? {
                Some(pin) => Ok(Some(pin)),
                None => match others.resolve(dependency).await {
                    Err(error) if error.kind() == ErrorKind::Unsupported => self.projects.pin_own(dependency).await,
                    result => result.map(|_| None),
                },
            },
            (_, None) => self.projects.pin_own(dependency).await,
        }
    }
}

impl Projects {
    /// A resource of the centre, or Maven coordinates.
    async fn resolve_own(&self, dependency: &Dependency) -> Result<Vec<Resource>> {
        let resource = |name: &str, sha256: &str, path: &Path| {
            Resource::new(name, Location::Path(path.to_owned())).with_sha256(sha256)
        };
        match dependency {
            Dependency::Resource(wanted) => {
                let files = self.resources().files(&wanted.resource, wanted.version.as_deref())?;
                Ok(files.iter().map(|(name, sha256, path)| resource(name, sha256, path)).collect())
            }
            Dependency::Maven(wanted) => {
                let lock = self.maven().resolve(&wanted.maven, &wanted.exclude).await?;
                Ok(lock.jars.iter().map(|jar| resource(&jar.name, &jar.sha256, &jar.path)).collect())
            }
            _ => Err(Error::new(ErrorKind::Unsupported, "projects find modules, resources and Maven coordinates only")),
        }
    }

    /// A resource of the centre in the versions that it stands for now, or Maven coordinates with their lock.
    async fn pin_own(&self, dependency: &Dependency) -> Result<Option<Pin>> {
        let wanted = match dependency {
            Dependency::Resource(wanted) => wanted,
            Dependency::Maven(wanted) => {
                let lock = self.maven().resolve(&wanted.maven, &wanted.exclude).await?;
                let pin = Pin::new(dependency.clone(), [dependency.clone()]);
                return Ok(Some(lock.jars.iter().fold(pin, |pin, jar| pin.fact(&jar.name, &jar.sha256))));
            }
            _ => return Ok(None),
        };
        let members = self.resources().members(&wanted.resource, wanted.version.as_deref())?;
        let exact = members.iter().map(|entry| {
            let mut exact = ResourceRef::new(&entry.name);
            exact.version = Some(entry.version.clone());
            Dependency::Resource(exact)
        });
        let versions: Vec<String> = members.iter().map(|entry| format!("{}:{}", entry.name, entry.version)).collect();
        Ok(Some(Pin::new(dependency.clone(), exact).fact("version", versions.join(" "))))
    }

    /// The artifact that a module stands for now.
    async fn pin_module(&self, module: &ModuleRef) -> Result<Pin> {
        let artifact = self.artifact_of(module).await?;
        let mut exact = ModuleRef::new(&artifact.project)
            .module(&artifact.module)
            .commit(&artifact.revision.id)
            .artifact(&artifact.id);
        exact.build.clone_from(&artifact.build);
        let mut pin = Pin::new(Dependency::Module(module.clone()), [Dependency::Module(exact)])
            .fact("commit", &artifact.revision.id)
            .fact("artifact", &artifact.id);
        let known = [
            ("branch", &artifact.revision.reference),
            ("author", &artifact.revision.author),
            ("build", &artifact.build),
        ];
        for (name, value) in known {
            if let Some(value) = value {
                pin = pin.fact(name, value);
            }
        }
        Ok(pin)
    }

    /// Artifacts that the Maven coordinates of a job bring in more than one version.
    ///
    /// # Errors
    /// Those of Maven.
    pub async fn conflicts(&self, spec: &JobSpec) -> Result<Vec<DependencyConflict>> {
        let mut locks = Vec::new();
        for dependency in &spec.dependencies {
            if let Dependency::Maven(wanted) = dependency {
                locks.push(self.maven().resolve(&wanted.maven, &wanted.exclude).await?);
            }
        }
        Ok(MavenLock::conflicts(&locks))
    }

    /// The jars of a module: the job's own first, then what its distribution has beside it.
    async fn resources_of_module(&self, module: &ModuleRef) -> Result<Vec<Resource>> {
        let artifact = self.artifact_of(module).await?;
        let beside = artifact.files.iter().filter(|file| file.path.starts_with("lib/") && file.path.ends_with(".jar"));
        let mut resources = Vec::new();
        for file in std::iter::once(&artifact.job_jar).chain(beside) {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            let path = self.artifacts().file(file).await?;
            resources.push(Resource::new(name, Location::Path(path)).with_sha256(&file.sha256));
        }
        Ok(resources)
    }

    /// The artifact that a job names: the one of its build, or the newest.
    pub(super) async fn artifact_of(&self, module: &ModuleRef) -> Result<Artifact> {
        let (name, commit) = (module.module.as_deref(), module.commit.as_deref());
        if module.artifact.is_none() && module.build.is_none() {
            return self.newest(&module.project, name, commit).await;
        }
        self.exact(module).await.map_err(|error| error.with_operation("projects.artifact"))
    }

    async fn exact(&self, module: &ModuleRef) -> Result<Artifact> {
        let mut found = match &module.artifact {
            Some(id) if id.len() == 64 && id.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) => {
                self.artifacts().stories(id).await?
            }
            Some(id) => {
                return Err(Error::invalid(format!(
                    "the artifact '{id}' is no id: it has 64 digits of 0-9 and a-f, as builds and artifacts show it"
                )));
            }
            None => self.artifacts().list(&ArtifactFilter::project(&module.project)).await?,
        };
        // A build that took the artifacts of an equal one is as good a name for them.
        let reused = module.build.as_ref().and_then(|id| self.builds().get(id).ok()?.record().ok()?.reused);
        let commit = module.commit.as_deref().unwrap_or_default().to_ascii_lowercase();
        found.retain(|artifact| {
            artifact.project == module.project
                && module.module.as_ref().is_none_or(|name| *name == artifact.module)
                && artifact.revision.id.starts_with(&commit)
                && (module.build.is_none() || artifact.build == module.build || artifact.build == reused)
        });
        let Some(newest) = found.first().cloned() else {
            let artifact = module.artifact.as_ref().map(|id| format!(" as the artifact {id}")).unwrap_or_default();
            let build = module.build.as_ref().map(|id| format!(" by the build {id}")).unwrap_or_default();
            return Err(Error::not_found(format!(
                "{} is not kept{artifact}{build}; build it again, or name another",
                what(&module.project, module.module.as_deref())
            )));
        };
        match found.iter().find(|artifact| artifact.module != newest.module) {
            Some(_) => {
                let mut names: Vec<&str> = found.iter().map(|artifact| artifact.module.as_str()).collect();
                names.sort_unstable();
                names.dedup();
                Err(several(&module.project, &names))
            }
            None => Ok(newest),
        }
    }

    /// The artifact of a module's newest successful build: of all, or of a commit.
    pub(super) async fn newest(&self, project: &str, module: Option<&str>, commit: Option<&str>) -> Result<Artifact> {
        let named = |error: Error| error.with_operation("projects.artifact");
        let builds = self.builds().list(Some(project)).into_iter().filter(|build| {
            build.state == BuildState::Succeeded
                && commit.is_none_or(|commit| {
                    build
                        .revision
                        .as_ref()
                        .is_some_and(|revision| revision.id.starts_with(&commit.to_ascii_lowercase()))
                })
        });
        for build in builds {
            let found = match (module, build.artifacts.as_slice()) {
                (Some(module), _) => build.artifact(module),
                (None, [(_, id)]) => Some(id.as_str()),
                (None, many) => {
                    let names: Vec<&str> = many.iter().map(|(module, _)| module.as_str()).collect();
                    return Err(named(several(project, &names)));
                }
            };
            let Some(id) = found else { continue };
            let revision = build.revision.as_ref().map(|revision| revision.id.as_str());
            let kept = self.artifacts().stories(id).await.map_err(named)?;
            let own = kept
                .iter()
                .find(|artifact| artifact.project == project && Some(artifact.revision.id.as_str()) == revision);
            if let Some(artifact) = own.or_else(|| kept.first()) {
                return Ok(artifact.clone());
            }
        }
        // Builds are forgotten sooner than artifacts.
        let mut filter = ArtifactFilter::project(project);
        filter.module = module.map(str::to_owned);
        filter.revision = commit.map(str::to_ascii_lowercase);
        let kept = self.artifacts().list(&filter).await.map_err(named)?;
        match kept.into_iter().find(|artifact| module.is_some() || artifact.module.is_empty()) {
            Some(artifact) => Ok(artifact),
            None => Err(named(self.not_built(project, module, commit))),
        }
    }

    fn not_built(&self, project: &str, module: Option<&str>, commit: Option<&str>) -> Error {
        if let Err(error) = self.get(project) {
            return error;
        }
        let at = commit.map(|commit| format!(" at the commit {commit}")).unwrap_or_default();
        Error::not_found(format!("{} has no successful build{at}; build it first", what(project, module)))
    }
}

fn what(project: &str, module: Option<&str>) -> String {
    match module {
        Some(module) => format!("the module '{module}' of the project '{project}'"),
        None => format!("the project '{project}'"),
    }
}

fn several(project: &str, modules: &[&str]) -> Error {
    let names = modules.join(", ");
    Error::invalid(format!("the project '{project}' has more than one module; name one of {names}"))
}
