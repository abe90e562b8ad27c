//! Which jobs use projects and artifacts.

use std::collections::BTreeSet;

use super::Projects;
use super::origin::modules_of;
use crate::Result;
use crate::job::{Dependency, JobSpec};
use crate::store::{JobFilter, JobRow, RunPhase};

/// Of so many runs of each job the artifacts stay: what a roll-back could need.
const RUNS: usize = 10;

impl Projects {
    /// The names of the jobs that name a project.
    pub(super) async fn jobs_of(&self, project: &str) -> Result<Vec<String>> {
        let Some(store) = self.store() else { return Ok(Vec::new()) };
        let rows = store.jobs(&JobFilter::default()).await?;
        let uses = rows.iter().filter(|row| modules_of(&row.spec).any(|module| module.project == project));
        Ok(uses.map(|row| row.job.name.clone()).collect())
    }

    /// The names of the jobs that name a resource, or that version of it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn users_of_resource(&self, name: &str, version: Option<&str>) -> Result<Vec<String>> {
        let Some(store) = self.store() else { return Ok(Vec::new()) };
        let uses = |spec: &JobSpec| {
            spec.named_jars().any(|dependency| match dependency {
                Dependency::Resource(wanted) => {
                    let fits = version.is_none() || wanted.version.is_none() || wanted.version.as_deref() == version;
                    wanted.resource == name && fits
                }
                _ => false,
            })
        };
        let rows = store.jobs(&JobFilter::default()).await?;
        let runs = |row: &&JobRow| {
            let live = row.run.as_ref().filter(|run| run.phase != RunPhase::Ended);
            uses(&row.spec) || live.is_some_and(|run| uses(&row.spec.clone().pinned(&run.pins)))
        };
        Ok(rows.iter().filter(runs).map(|row| row.job.name.clone()).collect())
    }

    /// Removes a version of a resource; None removes all.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) naming the jobs or groups that use it, and
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    pub async fn remove_resource(&self, name: &str, version: Option<&str>) -> Result<()> {
        let users = self.users_of_resource(name, version).await?;
        let (centre, name, version) = (self.resources().clone(), name.to_owned(), version.map(str::to_owned));
        let remove = move || centre.remove(&name, version.as_deref(), &users);
        tokio::task::spawn_blocking(remove).await.unwrap_or_else(|source| {
            Err(crate::Error::new(crate::ErrorKind::Internal, "removing a resource ended early").with_source(source))
        })
    }

    /// The artifacts that jobs run, would run now, or ran lately.
    pub(super) async fn in_use(&self) -> Result<BTreeSet<String>> {
        let mut used = BTreeSet::new();
        let Some(store) = self.store() else { return Ok(used) };
        for row in store.jobs(&JobFilter::default()).await? {
            let runs = store.runs(row.job.id, RUNS).await?;
            let pinned = runs.iter().flat_map(|run| &run.pins).flat_map(|pin| &pin.exact);
            used.extend(pinned.filter_map(|exact| match exact {
                Dependency::Module(module) => module.artifact.clone(),
                _ => None,
            }));
            for version in store.specs(row.job.id).await? {
                for module in modules_of(&version.spec) {
                    // What was never built, or is gone, needs no protection.
                    if let Ok(artifact) = self.artifact_of(module).await {
                        used.insert(artifact.id);
                    }
                }
            }
        }
        Ok(used)
    }
}
