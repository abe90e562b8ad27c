//! The handle to one build.

use std::sync::Arc;

use super::follow::BuildFollower;
use super::ledger::LogPage;
use super::record::{BuildRecord, BuildState};
use super::{BuildQueue, turns};
use crate::build::artifact::Artifact;
use crate::build::outputs::blocking;
use crate::{Error, ErrorKind, Result};

/// A handle to one build; cheap to clone.
#[derive(Debug, Clone)]
pub struct Build {
    pub(super) queue: BuildQueue,
    pub(super) id: String,
}

impl Build {
    /// The build's identity.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it stands.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where it is not remembered any more; likewise for every call below.
    pub fn record(&self) -> Result<BuildRecord> {
        self.queue.record(&self.id)
    }

    /// How many builds come before it; None where it does not wait.
    pub fn position(&self) -> Option<usize> {
        turns(&self.queue.state()).iter().position(|id| *id == self.id)
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Why it failed; [`ErrorKind::Cancelled`] where somebody ended it, [`ErrorKind::Conflict`] where it was cut off.
    pub async fn wait(&self) -> Result<BuildRecord> {
        let mut record = match self.queue.state().builds.get(&self.id) {
            Some(entry) => entry.record.subscribe(),
            None => return self.record(),
        };
        let record = match record.wait_for(|record| record.state.is_over()).await {
            Ok(record) => record.clone(),
            // Forgotten meanwhile.
            Err(_) => return self.record(),
        };
        let ended = |kind, message: &str| {
            Err(Error::new(kind, message).with_operation("build").with_context("build", &self.id))
        };
        match record.state {
            BuildState::Cancelled => ended(ErrorKind::Cancelled, "the build was cancelled"),
            BuildState::Interrupted => {
                ended(ErrorKind::Conflict, "the process that ran the build ended before it did; ask for it again")
            }
            BuildState::Failed => match &record.problem {
                Some(problem) => Err(problem.error(&self.id)),
                None => ended(ErrorKind::Internal, "the build failed without a reason"),
            },
            _ => Ok(record),
        }
    }

    /// The artifacts that it made.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), and those of the artifacts' store.
    pub async fn artifacts(&self) -> Result<Vec<Artifact>> {
        let record = self.wait().await?;
        let made_by = record.reused.as_ref().unwrap_or(&record.id);
        let mut found = Vec::new();
        for (module, id) in &record.artifacts {
            let filter = super::super::ArtifactFilter { module: Some(module.clone()), ..Default::default() };
            let all = self.queue.artifacts().list(&filter).await?;
            let own = all.iter().find(|artifact| artifact.id == *id && artifact.build.as_ref() == Some(made_by));
            match own.or_else(|| all.iter().find(|artifact| artifact.id == *id)) {
                Some(artifact) => found.push(artifact.clone()),
                None => {
                    return Err(Error::not_found(format!("the artifact {id} is not kept any more; build it again")));
                }
            }
        }
        Ok(found)
    }

    /// Ends it, whether it waits or runs. One that is over stays as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] where that cannot be kept.
    pub async fn cancel(&self) -> Result<()> {
        self.cancel_as("").await
    }

    /// Ends it in somebody's name; as [`cancel`](Self::cancel).
    ///
    /// # Errors
    /// As [`cancel`](Self::cancel).
    pub async fn cancel_as(&self, actor: impl Into<String>) -> Result<()> {
        let by = Some(actor.into()).filter(|actor| !actor.is_empty());
        let waiting = {
            let mut state = self.queue.state();
            let before = state.waiting.len();
            state.waiting.retain(|id| *id != self.id);
            if let Some(entry) = state.builds.get_mut(&self.id) {
                entry.cancelled_by.clone_from(&by);
                entry.cancel.cancel();
            }
            before > state.waiting.len()
        };
        if waiting {
            let mut record = self.record()?;
            record.state = BuildState::Cancelled;
            record.ended_by = by;
            record.ended_at = Some(self.queue.0.options.clock.now());
            if !self.queue.keep(&record).await {
                return Err(Error::new(ErrorKind::Storage, "the end of the build cannot be kept")
                    .with_operation("build.cancel"));
            }
            return Ok(());
        }
        // It ends with its processes; then it is CANCELLED, unless it was quicker.
        match self.wait().await {
            Err(error) if error.kind() == ErrorKind::NotFound && error.operation() == Some("build.get") => Err(error),
            _ => Ok(()),
        }
    }

    /// Asks for the same again.
    ///
    /// # Errors
    /// As [`BuildQueue::add`].
    pub async fn again(&self) -> Result<Build> {
        self.queue.add(self.record()?.order).await
    }

    /// Follows it from its begin: what came before is told first.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn follow(&self) -> Result<BuildFollower> {
        let state = self.queue.state();
        let Some(entry) = state.builds.get(&self.id) else {
            drop(state);
            return self.record().map(|record| BuildFollower::new(self.clone(), record.state, None));
        };
        let record = entry.record.borrow();
        Ok(BuildFollower::new(self.clone(), record.state, Some(entry.wakes.subscribe())))
    }

    /// A part of the log that begins at the byte `from`, at most `limit` bytes long.
    ///
    /// # Errors
    /// As [`record`](Self::record), and those of the file.
    pub async fn log(&self, from: u64, limit: usize) -> Result<LogPage> {
        self.record()?;
        let (ledger, id) = (Arc::clone(&self.queue.0.ledger), self.id.clone());
        blocking(move || ledger.page(&id, from, limit)).await
    }

    /// The last lines of the log.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    pub async fn tail(&self, lines: usize) -> Result<Vec<String>> {
        self.record()?;
        let (ledger, id) = (Arc::clone(&self.queue.0.ledger), self.id.clone());
        blocking(move || ledger.tail(&id, lines)).await
    }
}
