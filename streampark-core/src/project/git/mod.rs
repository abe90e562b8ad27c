//! Code from Git repositories, over https and ssh, through libgit2: never the `git` command, never a hook or filter.
//!
//! One [`GitCache`] holds a bare mirror per address; each checkout is written from it into a clean folder
//! without a `.git`, so that what is built can reach neither the mirror nor its configuration.

mod cache;
mod credentials;
mod export;
mod history;
mod known_hosts;
mod mirror;
mod relay;
mod session;
mod source;
mod tunnel;
mod verdict;
mod web;

pub use cache::{GitCache, GitOptions};
pub use credentials::GitCredentials;
pub use history::{GitCommit, GitRefKind, GitRemoteRef};
pub use source::GitSource;
