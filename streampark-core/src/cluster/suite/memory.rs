//! The suite on the simulated engine.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Behaviour, Stage};
use crate::TokioClock;
use crate::cluster::{Call, Capability, Cluster, Fault, MemoryCluster, MemoryOptions, Submission};
use crate::job::{Failure, JobId, Launch, Location, Resource, RunRef};

/// A [`MemoryCluster`] on which the suite runs.
#[derive(Debug)]
pub struct MemoryStage(MemoryCluster);

impl MemoryStage {
    /// An engine that can all that it simulates.
    pub fn new() -> Self {
        Self::with_capability(MemoryOptions::default().capability)
    }

    /// An engine that can this.
    pub fn with_capability(capability: Capability) -> Self {
        Self(MemoryCluster::with_options(MemoryOptions {
            capability,
            checkpoint_interval: Some(Duration::from_millis(100)),
            clock: Arc::new(TokioClock::starting_at(Timestamp::now())),
            ..MemoryOptions::default()
        }))
    }
}

impl Default for MemoryStage {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Stage for MemoryStage {
    fn cluster(&self) -> &dyn Cluster {
        &self.0
    }

    fn submission(&self, run: RunRef, behaviour: Behaviour) -> Submission {
        let jar = Resource::new("counting.jar", Location::Bytes(bytes::Bytes::new()));
        let mut launch = Launch::of_jar(jar);
        launch.args = vec!["--behave".to_owned(), format!("{behaviour:?}")];
        Submission::new(run, "conformance", launch)
    }

    async fn drive(&self, run: &RunRef, behaviour: &Behaviour) {
        let job = run.flink_job;
        // Repeated calls find the run ended.
        match behaviour {
            Behaviour::Endless => {}
            Behaviour::Finite => drop(self.0.finish(job)),
            Behaviour::FailsWith(message) => {
                if self.0.complete_checkpoint(job).is_ok() {
                    drop(self.0.fail(job, Failure::new(message.clone())));
                }
            }
            Behaviour::CannotStart(message) => self.0.inject(Call::Submit, Fault::Rejected(message.clone()), 1),
        }
    }

    fn assert_nothing_lost(&self, job: JobId) {
        let log = self.0.log();
        assert_eq!(log.most_at_once(job), 1, "{log:#?}");
        let starts: Vec<_> = log.of(job).map(|copy| copy.restored_from.is_some()).collect();
        assert!(starts.iter().skip(1).all(|restored| *restored), "{log:#?}");
    }

    fn missing_savepoint(&self) -> String {
        "memory:///none".to_owned()
    }
}
