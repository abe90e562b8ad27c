//! From a job back to its code.

use serde::Serialize;

use super::Projects;
use crate::Result;
use crate::build::{Artifact, BuildRecord, ProjectSpec};
use crate::job::{Dependency, JobSpec, ModuleRef, ProgramSpec};
use crate::platform::Job;
use crate::project::Revision;

/// Where the code of a job comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Origin {
    /// The project, as it is declared now; None where it was removed.
    pub project: Option<ProjectSpec>,
    /// Its name.
    pub name: String,
    /// The module.
    pub module: String,
    /// Commit, branch, author.
    pub revision: Revision,
    /// The artifact that runs.
    pub artifact: Artifact,
    /// The build that made it; None where it is forgotten. Its log: [`BuildQueue::get`](crate::build::BuildQueue::get).
    pub build: Option<BuildRecord>,
    /// The README nearest to the module: path and text.
    pub readme: Option<(String, String)>,
}

impl Projects {
    /// Which commit, branch and author, whose project, which build, which README: of the run that a job had last, or
    /// of the next one where it never ran. None where the job names no project.
    ///
    /// # Errors
    /// Those of the stores; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where the module was never built, or is
    /// not kept any more.
    pub async fn origin(&self, job: &Job) -> Result<Option<Origin>> {
        let named = |error: crate::Error| error.with_operation("job.origin").with_context("job", job.name());
        let spec = match job.runs(1).await?.into_iter().next() {
            Some(run) => job.spec_of(&run).await?,
            None => job.spec()?,
        };
        self.origin_of(&spec).await.map_err(named)
    }

    /// Likewise, of what a spec would run.
    ///
    /// # Errors
    /// As [`origin`](Self::origin).
    pub async fn origin_of(&self, spec: &JobSpec) -> Result<Option<Origin>> {
        let Some(module) = main_module(spec) else { return Ok(None) };
        let artifact = self.artifact_of(module).await?;
        let project = self.get(&module.project).ok();
        let readme = match &project {
            // A mirror that is away must not hide the rest.
            Some(project) => project.readme(&artifact.module).await.unwrap_or_default(),
            None => None,
        };
        let build = artifact.build.as_ref().and_then(|id| self.builds().get(id).ok()?.record().ok());
        Ok(Some(Origin {
            project: project.and_then(|project| project.spec().ok()),
            name: module.project.clone(),
            module: artifact.module.clone(),
            revision: artifact.revision.clone(),
            build,
            readme,
            artifact,
        }))
    }
}

/// The module whose jar a job runs.
fn main_module(spec: &JobSpec) -> Option<&ModuleRef> {
    match &spec.program {
        ProgramSpec::Jar(program) => match &program.jar {
            Dependency::Module(module) => Some(module),
            _ => None,
        },
        _ => None,
    }
}

/// Every module that a job names.
pub(super) fn modules_of(spec: &JobSpec) -> impl Iterator<Item = &ModuleRef> {
    spec.named_jars().filter_map(|dependency| match dependency {
        Dependency::Module(module) => Some(module),
        _ => None,
    })
}
