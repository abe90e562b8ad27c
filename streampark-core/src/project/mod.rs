//! Projects: where the code of jobs comes from.

#[cfg(feature = "git")]
pub mod git;
mod git_ref;
mod git_url;
mod local;
mod push;
mod source;

pub use git_ref::GitRef;
pub use git_url::{GitScheme, GitUrl};
pub use local::LocalSource;
pub use push::Push;
pub use source::{Checkout, CheckoutOptions, ProgressSink, Revision, Source, SyncOptions, SyncProgress, SyncReport};
