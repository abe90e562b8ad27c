//! `StreamPark`: one engine, its clusters, channels and jobs.

use std::sync::Arc;
use std::time::Duration;

use super::builder::StreamParkBuilder;
use super::clusters::{Channels, Clusters};
use super::events::EventStream;
use super::jobs::Jobs;
use crate::Result;
use crate::alert::Dispatcher;
use crate::job::{ProgramContext, ProgramRegistry};
use crate::store::Store;
use crate::supervisor::SupervisorHandle;

/// How long an attempt to deliver may go on after the end of the engine or of its channel.
pub(super) const DELIVERY_GRACE: Duration = Duration::from_secs(5);

pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) supervisor: SupervisorHandle,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) programs: ProgramRegistry,
    pub(super) context: ProgramContext,
    #[cfg(feature = "build")]
    pub(super) projects: Option<super::projects::Projects>,
}

/// A running engine: supervises jobs in the caller's tokio runtime until [`shutdown`](Self::shutdown).
///
/// Cheap to clone; clones share one engine. Dropping the last clone without a shutdown stops the
/// engine where it stands: nothing is lost, because every intent is in the store before it is
/// carried out, and the next start goes on from there.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> streampark_core::Result<()> {
/// use streampark_core::cluster::MemoryCluster;
/// use streampark_core::job::{JarProgram, JobSpec, JobState};
/// use streampark_core::store::MemoryStore;
/// use streampark_core::StreamPark;
///
/// let platform = StreamPark::builder()
///     .store(MemoryStore::default())
///     .cluster("dev", MemoryCluster::new())
///     .start()
///     .await?;
/// let orders = platform
///     .jobs()
///     .create(JobSpec::new("orders", JarProgram::new("orders.jar").entry_class("com.acme.Orders")).cluster("dev"))
///     .await?;
/// orders.start().await?;
/// orders.wait_for(JobState::Running).await?;
/// platform.shutdown().await
/// # }
/// ```
#[derive(Clone)]
pub struct StreamPark {
    pub(super) shared: Arc<Shared>,
    pub(super) actor: Arc<str>,
}

impl StreamPark {
    /// The name under which calls act where nobody is named.
    pub const DEFAULT_ACTOR: &'static str = "embedder";

    /// Starts to describe an engine.
    pub fn builder() -> StreamParkBuilder {
        StreamParkBuilder::new()
    }

    /// The same engine, whose calls act in the name of `actor`: events and history say who.
    #[must_use]
    pub fn acting_as(&self, actor: impl Into<Arc<str>>) -> Self {
        Self { shared: Arc::clone(&self.shared), actor: actor.into() }
    }

    /// The jobs.
    pub fn jobs(&self) -> Jobs {
        Jobs::new(self.clone())
    }

    /// The clusters.
    pub fn clusters(&self) -> Clusters {
        Clusters::new(self.clone())
    }

    /// The channels.
    pub fn channels(&self) -> Channels {
        Channels::new(self.clone())
    }

    /// The projects whose modules jobs may name.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the engine was started without any.
    #[cfg(feature = "build")]
    pub fn projects(&self) -> Result<super::projects::Projects> {
        self.shared.projects.as_ref().map(|projects| projects.acting_as(Arc::clone(&self.actor))).ok_or_else(|| {
            crate::Error::new(
                crate::ErrorKind::Unsupported,
                "the engine was started without projects; open some with Projects::open and hand them to the builder",
            )
            .with_operation("platform.projects")
        })
    }

    /// Every event from now on, as it is committed.
    ///
    /// The stream is bounded: a follower that is too slow is told how many events it missed, and can
    /// read them from the history.
    pub fn events(&self) -> EventStream {
        EventStream::new(self.shared.supervisor.subscribe())
    }

    /// The store, for reading.
    pub fn store(&self) -> &dyn Store {
        self.shared.store.as_ref()
    }

    /// Why the store refuses commits, where it does (its disk is full, for example): nothing is sent to any
    /// cluster meanwhile, and it goes on by itself when the store takes commits again.
    pub fn storage_trouble(&self) -> Option<String> {
        self.shared.supervisor.storage_trouble()
    }

    /// Ends supervision in two phases: no new work is taken, then what is under way is waited for,
    /// bounded in time. Jobs go on running on their clusters. A second call does nothing.
    ///
    /// # Errors
    /// Those of the store when it is closed.
    pub async fn shutdown(&self) -> Result<()> {
        self.shared.supervisor.shutdown().await;
        self.shared.dispatcher.shutdown(DELIVERY_GRACE).await;
        self.shared.store.close().await
    }
}

impl std::fmt::Debug for StreamPark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamPark")
            .field("store", &self.shared.store)
            .field("actor", &self.actor)
            .finish_non_exhaustive()
    }
}
