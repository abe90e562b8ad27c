//! Builds: how code becomes an artifact.

mod artifact;
mod builder;

pub use artifact::{Artifact, ArtifactFile};
pub use builder::{BuildEvent, BuildOutput, BuildRequest, Builder, LogSink};
