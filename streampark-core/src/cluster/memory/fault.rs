//! What can go wrong on demand.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::{Error, ErrorKind, ErrorStatus};

/// A call that a fault can hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Call {
    /// `observe`
    Observe,
    /// `reserve`
    Reserve,
    /// `submit`
    Submit,
    /// `lookup`
    Lookup,
    /// `stop`
    Stop,
    /// `savepoint`
    Savepoint,
    /// `restore_points` and `verify`
    RestorePoints,
    /// `failure`
    Failure,
    /// `release`
    Release,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nobody listens: the call fails at once, without effect.
    Refused,
    /// Accepted and never answered: the call fails after this time, without effect.
    Hang(Duration),
    /// The request takes effect, and the answer is lost after this time.
    AnswerLost(Duration),
    /// The answer is lost after the first time; the request takes effect after the second one.
    ArrivesLate(Duration, Duration),
    /// The engine answers that it failed, without effect: HTTP 500.
    ServerError,
    /// The engine refuses for good, without effect: the program is at fault.
    Rejected(String),
}

impl Fault {
    /// The error that the caller sees.
    pub(super) fn error(&self) -> Error {
        match self {
            Self::Refused => Error::new(ErrorKind::Unreachable, "connection refused by the simulated cluster"),
            Self::Hang(_) => Error::new(ErrorKind::Timeout, "the simulated cluster did not answer in time")
                .with_status(ErrorStatus::Unknown),
            Self::AnswerLost(_) | Self::ArrivesLate(..) => {
                Error::new(ErrorKind::Timeout, "the answer of the simulated cluster was lost")
                    .with_status(ErrorStatus::Unknown)
            }
            Self::ServerError => Error::new(ErrorKind::Remote, "the simulated cluster answered 500"),
            Self::Rejected(reason) => Error::new(ErrorKind::Program, reason.clone()),
        }
    }
}

/// The faults to come, by call.
#[derive(Debug, Default)]
pub(super) struct Faults {
    next: BTreeMap<Call, VecDeque<Fault>>,
    standing: BTreeMap<Call, Fault>,
    everything: Option<Fault>,
}

impl Faults {
    pub(super) fn push(&mut self, call: Call, fault: Fault, times: usize) {
        self.next.entry(call).or_default().extend(std::iter::repeat_n(fault, times));
    }

    pub(super) fn stand(&mut self, call: Option<Call>, fault: Fault) {
        match call {
            Some(call) => drop(self.standing.insert(call, fault)),
            None => self.everything = Some(fault),
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn take(&mut self, call: Call) -> Option<Fault> {
        let next = self.next.get_mut(&call).and_then(VecDeque::pop_front);
        next.or_else(|| self.standing.get(&call).cloned()).or_else(|| self.everything.clone())
    }
}
