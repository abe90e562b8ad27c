//! The handle that an embedder holds.

mod builder;
mod clusters;
mod events;
mod job;
mod jobs;
mod platform;

pub use builder::StreamParkBuilder;
pub use clusters::{Channels, Clusters};
pub use events::EventStream;
pub use job::{Job, SuspendOptions, WaitOptions};
pub use jobs::Jobs;
pub use platform::StreamPark;
