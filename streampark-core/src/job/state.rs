//! The states of a job, and the one table that says which may follow which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, ErrorKind, Result};

/// Where a job stands. Flink's words where Flink has them.
///
/// What we know *about* a run (observed, unreachable, absent) is apart from this: see `Knowledge`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// Created, never started.
    New,
    /// An intent is written; the submission is being prepared or sent.
    Submitting,
    /// The submission was sent and its answer is lost: the cluster is being asked.
    InDoubt,
    /// The engine accepted the run; its tasks are not all running yet.
    Starting,
    /// Flink says RUNNING.
    Running,
    /// Flink is restarting the run by its own strategy.
    Restarting,
    /// A stop with savepoint or an upgrade is on its way.
    Stopping,
    /// A cancellation is on its way.
    Cancelling,
    /// The run failed; a new one will be submitted when the back-off ends.
    BackingOff,
    /// The run failed and the restart policy says no more, or never.
    Failed,
    /// Waiting for a person: the reason is kept with the job.
    Parked,
    /// Stopped with a savepoint; starts again from it.
    Suspended,
    /// Cancelled, as wanted.
    Canceled,
    /// The program came to its end.
    Finished,
    /// A state of a newer engine that this version does not know.
    Unknown(String),
}

use JobState as S;

/// Every legal change, one row per state: from, and the states that may follow.
///
/// A state may always follow itself. `Unknown` may come after and before anything that runs.
const TRANSITIONS: &[(JobState, &[JobState])] = &[
    (S::New, &[S::Submitting, S::Running, S::Starting, S::Canceled, S::Parked]),
    (
        S::Submitting,
        &[
            S::InDoubt,
            S::Starting,
            S::Running,
            S::BackingOff,
            S::Failed,
            S::Parked,
            S::Cancelling,
            S::Canceled,
            S::Suspended,
            S::Finished,
        ],
    ),
    (
        S::InDoubt,
        &[
            S::Submitting,
            S::Starting,
            S::Running,
            S::Restarting,
            S::BackingOff,
            S::Failed,
            S::Parked,
            S::Cancelling,
            S::Canceled,
            S::Suspended,
            S::Finished,
        ],
    ),
    (
        S::Starting,
        &[
            S::Running,
            S::Restarting,
            S::Stopping,
            S::Cancelling,
            S::BackingOff,
            S::Failed,
            S::Parked,
            S::Canceled,
            S::Suspended,
            S::Finished,
        ],
    ),
    (
        S::Running,
        &[
            S::Starting,
            S::Restarting,
            S::Stopping,
            S::Cancelling,
            S::BackingOff,
            S::Failed,
            S::Parked,
            S::Canceled,
            S::Suspended,
            S::Finished,
        ],
    ),
    (
        S::Restarting,
        &[
            S::Starting,
            S::Running,
            S::Stopping,
            S::Cancelling,
            S::BackingOff,
            S::Failed,
            S::Parked,
            S::Canceled,
            S::Suspended,
            S::Finished,
        ],
    ),
    (
        S::Stopping,
        &[
            S::Starting,
            S::Running,
            S::Restarting,
            S::Cancelling,
            S::Suspended,
            S::Submitting,
            S::BackingOff,
            S::Failed,
            S::Parked,
            S::Canceled,
            S::Finished,
        ],
    ),
    (
        S::Cancelling,
        &[
            S::Running,
            S::Restarting,
            S::Submitting,
            S::BackingOff,
            S::Failed,
            S::Parked,
            S::Suspended,
            S::Canceled,
            S::Finished,
        ],
    ),
    (S::BackingOff, &[S::Submitting, S::Starting, S::Running, S::Parked, S::Failed, S::Canceled, S::Suspended]),
    (S::Failed, &[S::Submitting, S::Starting, S::Running, S::Canceled, S::Suspended, S::Parked]),
    (
        S::Parked,
        &[
            S::Submitting,
            S::Starting,
            S::Running,
            S::Restarting,
            S::Canceled,
            S::Suspended,
            S::Cancelling,
            S::Failed,
            S::Finished,
        ],
    ),
    (S::Suspended, &[S::Submitting, S::Starting, S::Running, S::Canceled, S::Parked]),
    (S::Canceled, &[S::Submitting, S::Starting, S::Running, S::Parked]),
    (S::Finished, &[S::Submitting, S::Starting, S::Running, S::Canceled, S::Parked]),
];

impl JobState {
    /// Every state that this version knows, in the order of a job's life.
    pub const ALL: [JobState; 14] = [
        S::New,
        S::Submitting,
        S::InDoubt,
        S::Starting,
        S::Running,
        S::Restarting,
        S::Stopping,
        S::Cancelling,
        S::BackingOff,
        S::Failed,
        S::Parked,
        S::Suspended,
        S::Canceled,
        S::Finished,
    ];

    /// The name, as Python, YAML and the store spell it, for example `RUNNING`.
    pub fn as_str(&self) -> &str {
        match self {
            S::New => "NEW",
            S::Submitting => "SUBMITTING",
            S::InDoubt => "IN_DOUBT",
            S::Starting => "STARTING",
            S::Running => "RUNNING",
            S::Restarting => "RESTARTING",
            S::Stopping => "STOPPING",
            S::Cancelling => "CANCELLING",
            S::BackingOff => "BACKING_OFF",
            S::Failed => "FAILED",
            S::Parked => "PARKED",
            S::Suspended => "SUSPENDED",
            S::Canceled => "CANCELED",
            S::Finished => "FINISHED",
            S::Unknown(name) => name,
        }
    }

    /// Whether the table allows `next` after `self`.
    pub fn may_become(&self, next: &JobState) -> bool {
        if self == next || matches!(self, S::Unknown(_)) {
            return true;
        }
        if matches!(next, S::Unknown(_)) {
            return self.has_live_run();
        }
        TRANSITIONS.iter().any(|(from, to)| from == self && to.contains(next))
    }

    /// The next state, or the refusal of an illegal change.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] naming both states where the table does not allow the change.
    pub fn transition(&self, next: JobState) -> Result<JobState> {
        if self.may_become(&next) {
            return Ok(next);
        }
        Err(Error::new(ErrorKind::Conflict, format!("a job cannot go from {self} to {next}"))
            .with_operation("job.transition"))
    }

    /// Whether a run of the job may be alive on its cluster in this state.
    pub fn has_live_run(&self) -> bool {
        matches!(
            self,
            S::Submitting
                | S::InDoubt
                | S::Starting
                | S::Running
                | S::Restarting
                | S::Stopping
                | S::Cancelling
                | S::Unknown(_)
        )
    }

    /// Whether nothing more happens unless a person acts.
    pub fn is_settled(&self) -> bool {
        matches!(self, S::New | S::Failed | S::Parked | S::Suspended | S::Canceled | S::Finished)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for JobState {
    fn from(name: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.as_str() == name).unwrap_or_else(|| S::Unknown(name.to_owned()))
    }
}

impl FromStr for JobState {
    type Err = Error;

    /// Reads one of the names of [`JobState::ALL`], in any case.
    fn from_str(text: &str) -> Result<Self> {
        match Self::from(text.to_ascii_uppercase().as_str()) {
            S::Unknown(_) => {
                let names: Vec<_> = Self::ALL.iter().map(|state| state.as_str().to_owned()).collect();
                Err(Error::invalid(format!("there is no job state '{text}'; the states are {}", names.join(", "))))
            }
            state => Ok(state),
        }
    }
}

impl Serialize for JobState {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for JobState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self::from(name.as_str()))
    }
}

/// What the owner wants of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Desired {
    /// Keep it running.
    Running,
    /// Keep it stopped, with a savepoint to go on from.
    Suspended,
    /// Keep it stopped; its state is not needed.
    Cancelled,
}

impl Desired {
    /// The name as Python, YAML and the store spell it, for example `RUNNING`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Suspended => "SUSPENDED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl fmt::Display for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_one_row_and_only_known_followers() {
        for state in JobState::ALL {
            assert_eq!(TRANSITIONS.iter().filter(|(from, _)| *from == state).count(), 1, "{state}");
            assert_eq!(JobState::from(state.as_str()), state);
        }
    }

    #[test]
    fn an_ended_job_never_runs_without_a_submission_or_adoption() {
        for ended in [S::Failed, S::Canceled, S::Finished, S::Suspended] {
            assert!(ended.may_become(&S::Submitting));
            assert!(!ended.may_become(&S::Stopping), "{ended}");
            assert!(!ended.may_become(&S::BackingOff), "{ended}");
        }
    }

    #[test]
    fn an_illegal_change_is_refused_by_name() {
        let error = S::New.transition(S::Restarting).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(error.message(), "a job cannot go from NEW to RESTARTING");
    }

    #[test]
    fn words_of_newer_engines_pass_through() {
        let state = JobState::from("HIBERNATING");
        assert_eq!(serde_json::to_string(&state).unwrap(), "\"HIBERNATING\"");
        assert!(S::Running.may_become(&state) && state.may_become(&S::Running));
        assert!(!S::Canceled.may_become(&state));
        assert_eq!("hibernating".parse::<JobState>().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
