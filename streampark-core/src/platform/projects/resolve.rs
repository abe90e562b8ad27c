//! From `project + module` to the jar that runs.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Projects;
use crate::build::{Artifact, ArtifactFilter, BuildState, DependencyConflict, MavenLock};
use crate::job::{Dependency, JobSpec, Location, ModuleRef, Resolve, Resource};
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
        let artifact = self.newest(&module.project, module.module.as_deref(), module.commit.as_deref(), None).await?;
        let beside = artifact.files.iter().filter(|file| file.path.starts_with("lib/") && file.path.ends_with(".jar"));
        let mut resources = Vec::new();
        for file in std::iter::once(&artifact.job_jar).chain(beside) {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            let path = self.artifacts().file(file).await?;
            resources.push(Resource::new(name, Location::Path(path)).with_sha256(&file.sha256));
        }
        Ok(resources)
    }

    /// The artifact of a module's newest successful build: of all, of a commit, of those that were over at a time.
    pub(super) async fn newest(
        &self,
        project: &str,
        module: Option<&str>,
        commit: Option<&str>,
        until: Option<Timestamp>,
    ) -> Result<Artifact> {
        let named = |error: Error| error.with_operation("projects.artifact");
        let builds = self.builds().list(Some(project)).into_iter().filter(|build| {
            build.state == BuildState::Succeeded
                && until.is_none_or(|until| build.ended_at.is_some_and(|ended| ended <= until))
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
                    return Err(named(Error::invalid(format!(
                        "the project '{project}' has more than one module; name one of {}",
                        names.join(", ")
                    ))));
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
        let old = kept.into_iter().find(|artifact| until.is_none_or(|until| artifact.built_at <= until));
        match old.filter(|artifact| module.is_some() || artifact.module.is_empty()) {
            Some(artifact) => Ok(artifact),
            None => Err(named(self.not_built(project, module, commit))),
        }
    }

    fn not_built(&self, project: &str, module: Option<&str>, commit: Option<&str>) -> Error {
        if let Err(error) = self.get(project) {
            return error;
        }
        let what = match module {
            Some(module) => format!("the module '{module}' of the project '{project}'"),
            None => format!("the project '{project}'"),
        };
        let at = commit.map(|commit| format!(" at the commit {commit}")).unwrap_or_default();
        Error::not_found(format!("{what} has no successful build{at}; build it first"))
    }
}
