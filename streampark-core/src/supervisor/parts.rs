//! What a supervisor works with.

use std::sync::Arc;

use super::options::SupervisorOptions;
use crate::SharedClock;
use crate::cluster::Cluster;
use crate::job::{ProgramContext, ProgramRegistry};
use crate::store::Store;

/// What a supervisor works with.
#[derive(Debug)]
#[non_exhaustive]
pub struct SupervisorParts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The clusters at the start, by the names that specs use; more may come later.
    pub clusters: Vec<(String, Arc<dyn Cluster>)>,
    /// The program kinds.
    pub programs: ProgramRegistry,
    /// What programs may ask while they are made ready; the Flink version is set for each cluster.
    pub context: ProgramContext,
    /// The wall clock. Waits use tokio's clock.
    pub clock: SharedClock,
    /// The numbers.
    pub options: SupervisorOptions,
}

impl SupervisorParts {
    /// Parts with no clusters, the shipped program kinds and the default numbers.
    pub fn new(store: Arc<dyn Store>, context: ProgramContext, clock: SharedClock) -> Self {
        Self {
            store,
            clusters: Vec::new(),
            programs: ProgramRegistry::new(),
            context,
            clock,
            options: SupervisorOptions::default(),
        }
    }

    /// Adds a cluster under the name that specs use.
    #[must_use]
    pub fn with_cluster(mut self, name: impl Into<String>, cluster: Arc<dyn Cluster>) -> Self {
        self.clusters.push((name.into(), cluster));
        self
    }

    /// Sets the program kinds.
    #[must_use]
    pub fn with_programs(mut self, programs: ProgramRegistry) -> Self {
        self.programs = programs;
        self
    }

    /// Sets the numbers.
    #[must_use]
    pub fn with_options(mut self, options: SupervisorOptions) -> Self {
        self.options = options;
        self
    }
}
