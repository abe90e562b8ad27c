//! Builds: how code becomes an artifact.

mod artifact;
#[cfg(feature = "build")]
mod artifacts;
mod builder;
#[cfg(feature = "build")]
mod command;
#[cfg(feature = "build")]
mod coordinates;
mod environment;
mod failure;
#[cfg(feature = "build")]
mod gradle;
#[cfg(feature = "build")]
mod inspect;
#[cfg(feature = "build")]
mod jdk;
#[cfg(feature = "build")]
mod maven;
#[cfg(feature = "build")]
mod outputs;
#[cfg(feature = "build")]
mod pick;
#[cfg(feature = "build")]
mod pom;
#[cfg(feature = "build")]
mod process;
#[cfg(feature = "build")]
mod queue;
#[cfg(feature = "build")]
mod resources;
#[cfg(feature = "build")]
mod spec;
#[cfg(feature = "build")]
mod unpack;
#[cfg(feature = "build")]
mod verdict;
#[cfg(feature = "build")]
mod words;

pub use artifact::{Artifact, ArtifactFile};
#[cfg(feature = "build")]
pub use artifacts::{ArtifactFilter, ArtifactRetention, ArtifactStore, BlobStore, Pruned};
pub use builder::{BuildEvent, BuildOutput, BuildRequest, Builder, LogSink};
#[cfg(feature = "build")]
pub use command::{CommandBuilder, NoBuilder};
#[cfg(feature = "build")]
pub use coordinates::{DependencyConflict, LockedJar, MavenLock, MavenResolver};
pub use environment::BuildEnvironment;
pub use failure::{BuildFailure, BuildFailureKind};
#[cfg(feature = "build")]
pub use gradle::{GradleBuilder, GradleOptions};
#[cfg(feature = "build")]
pub use inspect::{Clash, Connector, ConnectorOption, FlinkHint, Inspection, MainClass, SqlFunction};
#[cfg(feature = "build")]
pub use maven::{MavenBuilder, MavenOptions};
#[cfg(feature = "build")]
pub(crate) use outputs::{blocking, lock};
#[cfg(feature = "build")]
pub(crate) use queue::Told;
#[cfg(feature = "build")]
pub use queue::{
    Build, BuildFollower, BuildOrder, BuildPlan, BuildPlans, BuildProblem, BuildQueue, BuildQueueOptions, BuildRecord,
    BuildState, BuildUpdate, LogPage,
};
#[cfg(feature = "build")]
pub use resources::{ResourceCentre, ResourceEntry, ResourceKind, UploadOptions};
#[cfg(feature = "build")]
pub(crate) use spec::SourceContext;
#[cfg(feature = "build")]
pub use spec::{BuilderSpec, CommandSpec, CredentialsSpec, ModuleSpec, NoneSpec, ProjectSpec};
