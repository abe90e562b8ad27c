//! What follows from what: every decision of the supervisor, without I/O and without a clock.
//!
//! A [`Machine`] owns one job. It is told what happened ([`Input`], or a [`Command`](super::Command)),
//! and answers with a [`Step`]: a batch to commit, calls to make once it is committed, and when it wants
//! to be woken. The caller commits first and acts afterwards (law 2); where the commit fails, the step is
//! forgotten and nothing was done.
//!
//! # Expected flow
//! `Start` → the restore point is chosen → the intent is committed → `Submit` → accepted → seen RUNNING →
//! seen FAILED → cause and restore points are read → restart decided and told → intent → `Submit` → …
//!
//! # Guarantees
//! - At most one run of a job may be alive: a new intent is written only after the end of the run before
//!   it was seen, or after the cluster answered without listing it for as long as orphaned tasks live.
//! - A run whose submission is in doubt is looked up, and sent again only under the same identity, and only
//!   where the engine that may have taken it is still the same one or its tasks can no longer live.
//! - A job with state never starts empty unless its owner said so: it is parked.
//! - A cluster that does not answer changes no state.
//!
//! # Assumptions
//! - The cluster refuses a second run with a JobID that it knows, while it lives.
//! - `observe` never gives a short list, and tasks do not outlive their JobManager by more than
//!   `orphan_timeout`.
//! - A request whose answer was given up arrives within `orphan_timeout` or never.
//! - One process owns the store.

mod call;
mod command;
mod decide;
mod ending;
mod knowledge;
mod learn;
mod memory;
mod rules;
mod step;
mod submit;
mod tell;
#[cfg(test)]
mod tests;

pub use call::{Answer, Call, CallKind, Input, Points, Trouble};
pub use knowledge::Knowledge;
pub use memory::Machine;
pub use rules::Rules;
pub use step::{Facts, Setting, Step};
pub(super) use submit::newest_first;
