//! The cluster: applications as runs.

mod applications;
mod cluster;
mod copies;
mod deploy;
mod diagnose;
mod ends;
mod leftovers;
mod observe;

pub(crate) use applications::verification;
pub use cluster::{Collected, YarnCluster};
pub use diagnose::{Check, Diagnosis, Finding};
