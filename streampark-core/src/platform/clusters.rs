//! The clusters and channels of a running engine.

use std::sync::Arc;

use super::platform::{DELIVERY_GRACE, StreamPark};
use crate::alert::{Channel, ChannelStatus, Delivery, Receipt};
use crate::cluster::Cluster;
use crate::supervisor::ClusterView;
use crate::{Error, Result};

/// The clusters of a running engine, by name.
#[derive(Debug, Clone)]
pub struct Clusters {
    platform: StreamPark,
}

impl Clusters {
    pub(super) fn new(platform: StreamPark) -> Self {
        Self { platform }
    }

    /// Watches `cluster` under `name` from now on; a cluster of that name is replaced. Jobs that name
    /// it are taken up.
    pub fn add(&self, name: impl Into<String>, cluster: impl Cluster) {
        self.add_shared(name, Arc::new(cluster));
    }

    /// Like [`add`](Self::add), for a cluster that is shared already.
    pub fn add_shared(&self, name: impl Into<String>, cluster: Arc<dyn Cluster>) {
        self.platform.shared.supervisor.add_cluster(name, cluster);
    }

    /// Stops watching a cluster.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where there is none of that name;
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) naming the jobs that have live runs there.
    pub fn remove(&self, name: &str) -> Result<Arc<dyn Cluster>> {
        self.platform.shared.supervisor.remove_cluster(name)
    }

    /// Tells these channels when the cluster ends, does not answer, and answers again, whether or not jobs run there.
    /// The channels of its jobs are told anyway. A cluster that replaces it keeps them.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where there is no such cluster or channel.
    pub fn alert<T: Into<String>>(&self, name: &str, channels: impl IntoIterator<Item = T>) -> Result<()> {
        let channels: Vec<String> = channels.into_iter().map(Into::into).collect();
        self.platform.channels().require(&channels)?;
        self.get(name)?;
        self.platform.shared.supervisor.tell_of_cluster(name, channels)
    }

    /// The cluster named `name`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) listing the names there are.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Cluster>> {
        self.platform.shared.supervisor.cluster(name).ok_or_else(|| unknown("cluster", name, &self.names()))
    }

    /// The names, in order.
    pub fn names(&self) -> Vec<String> {
        self.views().into_iter().map(|view| view.name).collect()
    }

    /// The clusters and how they answer, in order of their names.
    pub fn views(&self) -> Vec<ClusterView> {
        self.platform.shared.supervisor.clusters()
    }
}

/// The channels of a running engine, by name.
#[derive(Debug, Clone)]
pub struct Channels {
    platform: StreamPark,
}

impl Channels {
    pub(super) fn new(platform: StreamPark) -> Self {
        Self { platform }
    }

    /// Adds a channel; what is pending for its name is delivered.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) where the name is taken.
    pub fn add(&self, name: impl Into<String>, channel: impl Channel) -> Result<()> {
        self.add_shared(name, Arc::new(channel))
    }

    /// Like [`add`](Self::add), for a channel that is shared already.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_shared(&self, name: impl Into<String>, channel: Arc<dyn Channel>) -> Result<()> {
        self.platform.shared.dispatcher.add(name.into(), channel)
    }

    /// Takes a channel out; what is pending for it waits until it is added again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where there is none of that name.
    pub async fn remove(&self, name: &str) -> Result<()> {
        self.platform.shared.dispatcher.remove(name, DELIVERY_GRACE).await
    }

    /// The names, in order.
    pub fn names(&self) -> Vec<String> {
        self.status().into_iter().map(|channel| channel.name).collect()
    }

    /// How every channel is doing, in order of names.
    pub fn status(&self) -> Vec<ChannelStatus> {
        self.platform.shared.dispatcher.status()
    }

    /// Sends a test message now, past the queue.
    ///
    /// # Errors
    /// Those of the channel.
    pub async fn test(&self, name: &str) -> Result<Receipt> {
        self.platform.shared.dispatcher.test(name).await
    }

    /// Messages that were given up, newest first, at most `limit`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<Delivery>> {
        self.platform.shared.store.dead_letters(limit).await
    }

    pub(super) fn require(&self, wanted: &[String]) -> Result<()> {
        let names = self.names();
        match wanted.iter().find(|name| !names.contains(name)) {
            Some(name) => Err(unknown("channel", name, &names)),
            None => Ok(()),
        }
    }
}

fn unknown(what: &str, name: &str, names: &[String]) -> Error {
    let known =
        if names.is_empty() { "none is registered".to_owned() } else { format!("registered are {}", names.join(", ")) };
    Error::not_found(format!("there is no {what} named '{name}'; {known}")).with_operation("platform.lookup")
}
