//! What a build tells while it is under way.

use std::sync::Arc;

use pyo3::prelude::*;
use serde_json::json;
use streampark_core::build::{BuildFollower, BuildUpdate};
use tokio::sync::Mutex;

use crate::convert::text;
use crate::runtime::Pending;

/// The updates of one build.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct BuildUpdates(Arc<Mutex<BuildFollower>>);

impl BuildUpdates {
    pub(super) fn of(follower: BuildFollower) -> Self {
        Self(Arc::new(Mutex::new(follower)))
    }
}

#[pymethods]
impl BuildUpdates {
    /// The next update, as JSON; None after the end.
    fn next(&self) -> Pending {
        let follower = Arc::clone(&self.0);
        Pending::new(async move {
            let update = follower.lock().await.next().await;
            let told = update.map(|update| match update {
                BuildUpdate::Line(line) => json!({"kind": "line", "text": line}),
                BuildUpdate::Step(step) => json!({"kind": "step", "text": step}),
                BuildUpdate::Progress(made) => {
                    json!({"kind": "progress", "done": made.received_objects, "total": made.total_objects})
                }
                BuildUpdate::State(state) => json!({"kind": "state", "text": state.as_str()}),
                _ => json!({"kind": "other"}),
            });
            told.map(|told| text(&told)).transpose()
        })
    }
}
