//! Jobs: what should keep running, and what is known of each attempt to run it.

mod archive;
mod dependency;
mod digest;
mod download;
mod duration;
mod failure;
mod id;
mod jar;
mod launch;
mod pin;
mod prepare;
mod program;
mod resolve;
mod restart;
mod restore;
mod spec;
mod sql;
mod state;

pub use dependency::{Dependency, MavenRef, ModuleRef, ResourceRef};
pub use download::DownloadOptions;
pub use failure::{Failure, FailureClass};
pub use id::{DeploymentId, Generation, JobId, RunKey, RunRef};
pub use jar::JarProgram;
pub use launch::{Launch, Location, Resource, Runtime};
pub use pin::{Pin, pin};
pub use prepare::prepare;
pub use program::{Program, ProgramContext, ProgramFactory, ProgramRegistry, ProgramSpec, Resolve};
pub use resolve::resolve_dependencies;
pub use restart::{RestartDecision, RestartHistory, RestartMode, RestartPolicy};
pub use restore::{
    ClaimMode, RestoreKind, RestoreOptions, RestorePoint, StartFrom, StateNeed, UpgradeMode, Verification,
};
pub use spec::JobSpec;
pub use sql::{SqlFailure, SqlProgram, SqlScript, SqlStatement, StatementKind};
pub use state::{Desired, JobState};
