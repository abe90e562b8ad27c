//! The trait behind which every engine stands.

use std::fmt;

use async_trait::async_trait;

use super::capability::{Capability, ClusterInfo};
use super::observation::Observation;
use super::plan::Plan;
use super::submission::{Accepted, LogOptions, LogStream, Lookup, SavepointOptions, Stop, Stopped, Submission};
use crate::Result;
use crate::job::{DeploymentId, Failure, RestorePoint, RunKey, RunRef, Verification};

/// A place that accepts runs.
///
/// # Contract
/// - Every call ends: each request inside has a timeout of its own.
/// - An error's [`status`](crate::Error::status) says whether the call may have taken effect;
///   [`Unknown`](crate::ErrorStatus::Unknown) is used wherever a request left and its answer is lost.
/// - `submit` sent twice with the same run starts it once.
/// - Calls of different runs may be made at the same time.
#[async_trait]
pub trait Cluster: fmt::Debug + Send + Sync + 'static {
    /// What the cluster is. Answers at once from what is known; no request is made.
    fn info(&self) -> ClusterInfo;

    /// What it can do. Answers at once.
    fn capability(&self) -> Capability;

    /// Everything this cluster runs, in as few round trips as the engine allows.
    ///
    /// # Behavior
    /// - A list that could be incomplete is an error, never a short list.
    /// - Ended runs stay in it as long as the engine remembers them.
    async fn observe(&self) -> Result<Vec<Observation>>;

    /// Obtains what the engine itself gives out before a submission, and starts nothing: a YARN
    /// application id. None where the engine gives out nothing.
    ///
    /// The caller commits the answer before it submits.
    async fn reserve(&self, run: &RunKey) -> Result<Option<DeploymentId>>;

    /// Exactly what `submit` would send, secrets masked; nothing is sent or written.
    async fn plan(&self, submission: &Submission) -> Result<Plan>;

    /// Starts a run. Sent twice, it starts once.
    ///
    /// # Errors
    /// Status `Unknown` where the answer was lost: ask [`lookup`](Self::lookup), do not send again.
    async fn submit(&self, submission: &Submission) -> Result<Accepted>;

    /// What became of a submission whose answer was lost, or of a run that is no longer listed.
    async fn lookup(&self, run: &RunRef) -> Result<Lookup>;

    /// Ends a run.
    ///
    /// # Behavior
    /// - A run that is over already is ended: this is no error.
    /// - `savepoint` is used by [`Stop::Savepoint`] and [`Stop::Drain`] only. With the same trigger id
    ///   a second call waits for the first one's savepoint.
    async fn stop(&self, run: &RunRef, how: Stop, savepoint: &SavepointOptions) -> Result<Stopped>;

    /// Takes a savepoint of a running job.
    async fn savepoint(&self, run: &RunRef, options: &SavepointOptions) -> Result<RestorePoint>;

    /// The restore points of a run that exist now, newest first.
    ///
    /// # Behavior
    /// - Waits out the engine's caches: what it answers is not older than the call.
    /// - Points whose files are known to be gone are left out.
    async fn restore_points(&self, run: &RunRef) -> Result<Vec<RestorePoint>>;

    /// The newest restore point of a run that is at work, to watch it by: told in as few round trips as the engine
    /// allows, and maybe as old as the engine's caches. A run is started from [`restore_points`](Self::restore_points).
    async fn newest_restore_point(&self, run: &RunRef) -> Result<Option<RestorePoint>> {
        Ok(self.restore_points(run).await?.into_iter().next())
    }

    /// Whether the files of a restore point exist, as far as can be seen from here.
    async fn verify(&self, point: &RestorePoint) -> Result<Verification>;

    /// Why a run failed, root exception first; None where the engine knows of no failure.
    async fn failure(&self, run: &RunRef) -> Result<Option<Failure>>;

    /// The engine's logs around a run.
    async fn logs(&self, run: &RunRef, options: &LogOptions) -> Result<LogStream>;

    /// Why the cluster itself is over, where all its runs live in one process that has ended for good: a session that
    /// was stopped or killed, with its last words. None where it lives, and where its runs do not depend on each
    /// other. Answers at once, from what [`observe`](Self::observe) learnt.
    fn ended(&self) -> Option<Failure> {
        None
    }

    /// Removes what the engine keeps for a run that is over and recorded: a lingering JobManager, a
    /// staging folder. Nothing to remove is no error. Asked where each run has a place of its own
    /// ([`Capability::application`]).
    async fn release(&self, run: &RunRef) -> Result<()>;
}
