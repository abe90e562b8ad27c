//! What is known of a run, apart from the state of its job.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is known of a job's newest run, and since when. It is never a state: a run that cannot be
/// seen has not failed (law 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Knowledge {
    /// Nothing was learnt since this process started, or there is no run.
    #[default]
    Unknown,
    /// The cluster listed the run at this time, or said that it took it.
    Observed(Timestamp),
    /// The cluster has not answered since this time.
    Unreachable(Timestamp),
    /// The cluster answers, and has not listed the run since this time.
    Absent(Timestamp),
}

impl Knowledge {
    /// The word for it: `unknown`, `observed`, `unreachable` or `absent`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Observed(_) => "observed",
            Self::Unreachable(_) => "unreachable",
            Self::Absent(_) => "absent",
        }
    }
}
