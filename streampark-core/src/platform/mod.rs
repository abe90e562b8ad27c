//! The handle that an embedder holds.

mod builder;
mod clusters;
mod events;
mod job;
mod jobs;
mod platform;
#[cfg(feature = "build")]
mod projects;

pub use builder::StreamParkBuilder;
pub use clusters::{Channels, Clusters};
pub use events::EventStream;
pub use job::{Job, SuspendOptions, WaitOptions};
pub use jobs::Jobs;
pub use platform::StreamPark;
#[cfg(feature = "build")]
pub use projects::{Origin, Project, Projects, ProjectsOptions};
