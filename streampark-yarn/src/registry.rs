//! YARN by its name, for configuration that names clusters.

use std::sync::Arc;

use serde_json::Value;
use streampark_core::Error;
use streampark_core::cluster::{Cluster, ClusterFactory, ClusterRegistry};

use crate::cluster::YarnCluster;
use crate::config::YarnOptions;

/// Makes `yarn` known: its options are those of [`YarnOptions`].
///
/// ```
/// use streampark_core::cluster::ClusterRegistry;
///
/// let mut registry = ClusterRegistry::new();
/// streampark_yarn::register(&mut registry);
/// let options = serde_json::json!({"resource_managers": ["http://rm:8088/"], "user": "alice"});
/// assert_eq!(registry.cluster("yarn", &options)?.info().kind, "yarn");
/// # Ok::<(), streampark_core::Error>(())
/// ```
pub fn register(registry: &mut ClusterRegistry) {
    let factory: ClusterFactory = Arc::new(|options: &Value| {
        let options: YarnOptions = serde_json::from_value(options.clone()).map_err(|source| {
            Error::invalid(format!("the options of a yarn cluster are wrong: {source}"))
                .with_operation("cluster.registry")
        })?;
        Ok(Arc::new(YarnCluster::new(options)?) as Arc<dyn Cluster>)
    });
    registry.register("yarn", factory);
}
