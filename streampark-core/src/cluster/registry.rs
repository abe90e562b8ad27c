//! Cluster kinds by name, for configuration that names them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::cluster::Cluster;
use crate::{Error, Result};

/// Makes a cluster from its options as written in configuration.
pub type ClusterFactory = Arc<dyn Fn(&Value) -> Result<Arc<dyn Cluster>> + Send + Sync>;

/// The cluster kinds that a program knows. Registration is explicit: nothing happens before `main`.
#[derive(Clone, Default)]
pub struct ClusterRegistry {
    factories: BTreeMap<String, ClusterFactory>,
}

impl ClusterRegistry {
    /// Knows no kind.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind; the newest registration of a name wins.
    pub fn register(&mut self, kind: impl Into<String>, factory: ClusterFactory) {
        self.factories.insert(kind.into(), factory);
    }

    /// The cluster of `kind` with `options`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) listing the known kinds, or what the kind says of its options.
    pub fn cluster(&self, kind: &str, options: &Value) -> Result<Arc<dyn Cluster>> {
        match self.factories.get(kind) {
            Some(factory) => factory(options),
            None => {
                let known: Vec<&str> = self.factories.keys().map(String::as_str).collect();
                Err(Error::not_found(format!(
                    "no cluster kind '{kind}' is registered; registered kinds are {}",
                    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
                ))
                .with_operation("cluster.registry"))
            }
        }
    }
}

impl fmt::Debug for ClusterRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.factories.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_lists_the_known_ones() {
        let mut registry = ClusterRegistry::new();
        registry.register("memory", Arc::new(|_| Err(Error::invalid("no"))));
        let error = registry.cluster("yarm", &Value::Null).unwrap_err();
        assert_eq!(error.message(), "no cluster kind 'yarm' is registered; registered kinds are memory");
    }
}
