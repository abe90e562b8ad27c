//! From a spec to what runs: the one road that plans and submissions share.

use super::launch::Launch;
use super::program::{ProgramContext, ProgramRegistry};
use super::resolve::resolve_dependencies;
use super::spec::JobSpec;
use crate::Result;

/// Makes the program of `spec` ready and finds the jars beside it; sends nothing.
///
/// # Errors
/// Those of the program, and of a dependency that cannot be found.
pub async fn prepare(spec: &JobSpec, programs: &ProgramRegistry, context: &ProgramContext) -> Result<Launch> {
    let mut launch = programs.program(&spec.program)?.prepare(context).await?;
    launch.jars.extend(resolve_dependencies(&spec.dependencies, context).await?);
    Ok(launch)
}
