//! Which jobs use projects and artifacts.

use std::collections::BTreeSet;

use super::Projects;
use super::origin::modules_of;
use crate::Result;
use crate::store::JobFilter;

/// Of so many runs of each job the artifacts stay: what a roll-back could need.
const RUNS: usize = 10;

impl Projects {
    /// The names of the jobs that name a project.
    pub(super) async fn jobs_of(&self, project: &str) -> Result<Vec<String>> {
        let Some(store) = self.0.store.get() else { return Ok(Vec::new()) };
        let rows = store.jobs(&JobFilter::default()).await?;
        let uses = rows.iter().filter(|row| modules_of(&row.spec).any(|module| module.project == project));
        Ok(uses.map(|row| row.job.name.clone()).collect())
    }

    /// The artifacts that jobs run, would run now, or ran lately.
    pub(super) async fn in_use(&self) -> Result<BTreeSet<String>> {
        let mut used = BTreeSet::new();
        let Some(store) = self.0.store.get() else { return Ok(used) };
        for row in store.jobs(&JobFilter::default()).await? {
            let runs = store.runs(row.job.id, RUNS).await?;
            for version in store.specs(row.job.id).await? {
                let times =
                    runs.iter().filter(|run| run.spec_version == version.version).map(|run| Some(run.intended_at));
                let times: Vec<_> = times.chain([None]).collect();
                for module in modules_of(&version.spec) {
                    for at in &times {
                        let (name, commit) = (module.module.as_deref(), module.commit.as_deref());
                        // What was never built, or is gone, needs no protection.
                        if let Ok(artifact) = self.newest(&module.project, name, commit, *at).await {
                            used.insert(artifact.id);
                        }
                    }
                }
            }
        }
        Ok(used)
    }
}
