//! Describes an engine, then starts it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use async_trait::async_trait;

use super::platform::{Shared, StreamPark};
use crate::alert::{Channel, Delivery, Dispatcher, DispatcherOptions, Outbox, Raise};
use crate::cluster::Cluster;
use crate::job::{ProgramContext, ProgramFactory, ProgramRegistry, Resolve};
use crate::store::{Batch, Store};
use crate::supervisor::{Supervisor, SupervisorHandle, SupervisorOptions, SupervisorParts};
use crate::{Error, EventKind, Result, SharedClock, SystemClock};

/// Describes an engine; [`start`](Self::start) starts it.
#[must_use]
pub struct StreamParkBuilder {
    store: Option<Arc<dyn Store>>,
    clusters: BTreeMap<String, Arc<dyn Cluster>>,
    channels: BTreeMap<String, Arc<dyn Channel>>,
    twice: Option<String>,
    programs: ProgramRegistry,
    resolver: Option<Arc<dyn Resolve>>,
    #[cfg(feature = "build")]
    projects: Option<super::projects::Projects>,
    cache: Option<PathBuf>,
    clock: SharedClock,
    options: SupervisorOptions,
    dispatcher: DispatcherOptions,
}

impl StreamParkBuilder {
    pub(super) fn new() -> Self {
        Self {
            store: None,
            clusters: BTreeMap::new(),
            channels: BTreeMap::new(),
            twice: None,
            programs: ProgramRegistry::new(),
            resolver: None,
            #[cfg(feature = "build")]
            projects: None,
            cache: None,
            clock: Arc::new(SystemClock),
            options: SupervisorOptions::default(),
            dispatcher: DispatcherOptions::default(),
        }
    }

    /// Keeps jobs and history in `store`. Required.
    pub fn store(self, store: impl Store) -> Self {
        self.shared_store(Arc::new(store))
    }

    /// Like [`store`](Self::store), for a store that is shared already.
    pub fn shared_store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Adds a cluster under the name that specs use.
    pub fn cluster(self, name: impl Into<String>, cluster: impl Cluster) -> Self {
        self.shared_cluster(name, Arc::new(cluster))
    }

    /// Like [`cluster`](Self::cluster), for a cluster that is shared already.
    pub fn shared_cluster(mut self, name: impl Into<String>, cluster: Arc<dyn Cluster>) -> Self {
        let name = name.into();
        if self.clusters.insert(name.clone(), cluster).is_some() {
            self.twice = Some(format!("two clusters are named '{name}'; give each its own name"));
        }
        self
    }

    /// Adds a channel under the name that specs use.
    pub fn channel(self, name: impl Into<String>, channel: impl Channel) -> Self {
        self.shared_channel(name, Arc::new(channel))
    }

    /// Like [`channel`](Self::channel), for a channel that is shared already.
    pub fn shared_channel(mut self, name: impl Into<String>, channel: Arc<dyn Channel>) -> Self {
        let name = name.into();
        if self.channels.insert(name.clone(), channel).is_some() {
            self.twice = Some(format!("two channels are named '{name}'; give each its own name"));
        }
        self
    }

    /// Adds a program kind of the embedder's own.
    pub fn program(mut self, kind: impl Into<String>, factory: ProgramFactory) -> Self {
        self.programs.register(kind, factory);
        self
    }

    /// Finds artifacts of projects and shared resources that specs name.
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Lets jobs name modules of these projects.
    #[cfg(feature = "build")]
    pub fn projects(mut self, projects: super::projects::Projects) -> Self {
        self.projects = Some(projects);
        self
    }

    /// Keeps downloaded and generated files here. Default: `streampark` in the system's folder for
    /// temporary files.
    pub fn cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// Tells the wall-clock time. Default: the machine's.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets intervals, bounds and timeouts of supervision.
    pub fn supervisor(mut self, options: SupervisorOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets bounds and waits of the delivery of alerts.
    pub fn delivery(mut self, options: DispatcherOptions) -> Self {
        self.dispatcher = options;
        self
    }

    /// Starts the engine: loads every job, resolves what was in doubt, watches.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) where no store was given or a name
    /// was given twice; [`ErrorKind::Storage`](crate::ErrorKind::Storage) where the store cannot be read.
    pub async fn start(self) -> Result<StreamPark> {
        if let Some(twice) = self.twice {
            return Err(Error::invalid(twice).with_operation("platform.start"));
        }
        let Some(store) = self.store else {
            return Err(Error::invalid("no store was given; call store(...) with a MemoryStore or a SqliteStore")
                .with_operation("platform.start"));
        };
        let cache = self.cache.unwrap_or_else(|| std::env::temp_dir().join("streampark"));
        let outbox: Arc<dyn Outbox> = Arc::clone(&store) as Arc<dyn Outbox>;
        let raise = Arc::new(StoreRaise(Arc::clone(&store)));
        let dispatcher = Arc::new(Dispatcher::new(outbox, Some(raise), Arc::clone(&self.clock), self.dispatcher));
        for (name, channel) in self.channels {
            dispatcher.add(name, channel)?;
        }
        #[cfg(feature = "build")]
        let resolver = super::projects::resolver(self.projects.as_ref(), self.resolver, &store);
        #[cfg(not(feature = "build"))]
        let resolver = self.resolver;
        let context = ProgramContext::new(cache).with_resolver(resolver);
        let mut parts = SupervisorParts::new(Arc::clone(&store), context.clone(), self.clock)
            .with_programs(self.programs.clone())
            .with_options(self.options);
        for (name, cluster) in self.clusters {
            parts = parts.with_cluster(name, cluster);
        }
        let supervisor = Supervisor::start(parts).await?;
        wake_on_alerts(&supervisor, Arc::downgrade(&dispatcher));
        #[cfg(feature = "build")]
        super::projects::tell(self.projects.as_ref(), &supervisor);
        dispatcher.notify();
        let shared = Shared {
            store,
            supervisor,
            dispatcher,
            programs: self.programs,
            context,
            #[cfg(feature = "build")]
            projects: self.projects,
        };
        Ok(StreamPark { shared: Arc::new(shared), actor: StreamPark::DEFAULT_ACTOR.into() })
    }
}

/// Deliveries are committed with the change they tell of; the dispatcher hears of them at once.
fn wake_on_alerts(supervisor: &SupervisorHandle, dispatcher: Weak<Dispatcher>) {
    let mut events = supervisor.subscribe();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            let Some(dispatcher) = dispatcher.upgrade() else { return };
            if event.map_or(true, |event| event.kind == EventKind::AlertRaised) {
                dispatcher.notify();
            }
        }
    });
}

/// Lets the dispatcher tell of messages that it had to give up.
#[derive(Debug)]
struct StoreRaise(Arc<dyn Store>);

#[async_trait]
impl Raise for StoreRaise {
    async fn raise(&self, delivery: Delivery) -> Result<()> {
        let mut batch = Batch::default();
        batch.deliveries.push(delivery);
        self.0.commit(batch).await.map(drop)
    }
}

impl std::fmt::Debug for StreamParkBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamParkBuilder")
            .field("store", &self.store)
            .field("clusters", &self.clusters.keys())
            .field("channels", &self.channels.keys())
            .field("programs", &self.programs)
            .finish_non_exhaustive()
    }
}
