//! What the machine wants done, and what comes back.

use crate::cluster::{Accepted, Lookup, SavepointOptions, Stop, Stopped};
use crate::flink::FlinkJobId;
use crate::job::{DeploymentId, Failure, Pin, RestorePoint, RunKey, RunRef};
use crate::{Error, ErrorKind, ErrorStatus};

/// A call to a cluster. It is made after the batch of the same step is committed, never before.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// Find out what the names in the spec of a run that is intended stand for now.
    Pin(RunRef),
    /// Obtain a deployment for a run that is intended.
    Reserve(RunRef),
    /// Make the program ready and send it.
    Submit(RunRef),
    /// Ask what became of a run.
    Lookup(RunRef),
    /// End a run; the trigger names the request.
    Stop(RunRef, Stop, SavepointOptions),
    /// Take a savepoint.
    Savepoint(RunRef, SavepointOptions),
    /// Ask why a run failed.
    Failure(RunRef),
    /// Find the restore points that the next run could start from.
    Points(RunRef),
    /// Look at the newest restore point of a run that is at work.
    Look(RunRef),
    /// Remove what the engine keeps of a run that is over.
    Release(RunRef),
}

impl Call {
    /// Which kind of call this is.
    pub fn kind(&self) -> CallKind {
        match self {
            Self::Pin(_) => CallKind::Pin,
            Self::Reserve(_) => CallKind::Reserve,
            Self::Submit(_) => CallKind::Submit,
            Self::Lookup(_) => CallKind::Lookup,
            Self::Stop(..) => CallKind::Stop,
            Self::Savepoint(..) => CallKind::Savepoint,
            Self::Failure(_) => CallKind::Failure,
            Self::Points(_) => CallKind::Points,
            Self::Look(_) => CallKind::Look,
            Self::Release(_) => CallKind::Release,
        }
    }

    /// The run that it concerns.
    pub fn run(&self) -> &RunRef {
        match self {
            Self::Pin(run)
            | Self::Reserve(run)
            | Self::Submit(run)
            | Self::Lookup(run)
            | Self::Stop(run, ..)
            | Self::Savepoint(run, _)
            | Self::Failure(run)
            | Self::Points(run)
            | Self::Look(run)
            | Self::Release(run) => run,
        }
    }

    /// The request's name, for calls that have one.
    pub fn trigger(&self) -> Option<FlinkJobId> {
        match self {
            Self::Stop(_, _, options) | Self::Savepoint(_, options) => options.trigger_id,
            _ => None,
        }
    }
}

/// The kinds of calls; of each, a job has at most one under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CallKind {
    /// [`Call::Pin`]
    Pin,
    /// [`Call::Reserve`]
    Reserve,
    /// [`Call::Submit`]
    Submit,
    /// [`Call::Lookup`]
    Lookup,
    /// [`Call::Stop`]
    Stop,
    /// [`Call::Savepoint`]
    Savepoint,
    /// [`Call::Failure`]
    Failure,
    /// [`Call::Points`]
    Points,
    /// [`Call::Look`]
    Look,
    /// [`Call::Release`]
    Release,
}

/// Why a call gave nothing, in what decisions need.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Whether it may have happened.
    pub status: ErrorStatus,
    /// One line for people: the message and its sources.
    pub text: String,
}

impl Trouble {
    /// A trouble of `kind` told in `text`, with the kind's usual status.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self::from(&Error::new(kind, text))
    }
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        let text = match (error.kind(), std::error::Error::source(error)) {
            // What is said of a program or a path is whole; the sources below are Java's words for it.
            (ErrorKind::Program | ErrorKind::NotFound, _) | (_, None) => error.message().to_owned(),
            (_, Some(_)) => error.chain(),
        };
        Self { kind: error.kind(), status: error.status(), text }
    }
}

/// The restore points from which a job can go on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Points {
    /// Those that exist, newest first.
    pub usable: Vec<RestorePoint>,
    /// Whether the job has state that an empty start would lose.
    pub had_state: bool,
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// To [`Call::Pin`].
    Pinned(Result<Vec<Pin>, Trouble>),
    /// To [`Call::Reserve`].
    Reserved(Result<Option<DeploymentId>, Trouble>),
    /// To [`Call::Submit`].
    Submitted(Result<Accepted, Trouble>),
    /// To [`Call::Lookup`].
    LookedUp(Result<Lookup, Trouble>),
    /// To [`Call::Stop`].
    Stopped(Result<Stopped, Trouble>),
    /// To [`Call::Savepoint`].
    Saved(Result<RestorePoint, Trouble>),
    /// To [`Call::Failure`].
    Failure(Result<Option<Failure>, Trouble>),
    /// To [`Call::Points`].
    Points(Result<Points, Trouble>),
    /// To [`Call::Look`].
    Looked(Result<Option<RestorePoint>, Trouble>),
    /// To [`Call::Release`].
    Released(Result<(), Trouble>),
}

impl Answer {
    /// To which kind of call.
    pub fn kind(&self) -> CallKind {
        match self {
            Self::Pinned(_) => CallKind::Pin,
            Self::Reserved(_) => CallKind::Reserve,
            Self::Submitted(_) => CallKind::Submit,
            Self::LookedUp(_) => CallKind::Lookup,
            Self::Stopped(_) => CallKind::Stop,
            Self::Saved(_) => CallKind::Savepoint,
            Self::Failure(_) => CallKind::Failure,
            Self::Points(_) => CallKind::Points,
            Self::Looked(_) => CallKind::Look,
            Self::Released(_) => CallKind::Release,
        }
    }
}

/// What reaches the machine.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// The process began, a cluster was added, or time has passed.
    Tick,
    /// The cluster answered: this is the run, or it is not listed.
    Seen(RunKey, Option<Box<crate::cluster::Observation>>),
    /// The cluster of this run does not answer.
    Unreachable(RunKey),
    /// The cluster answers again, or is known now: what was put off is tried at once.
    Reachable,
    /// A call ended.
    Answered {
        /// The run of the call.
        run: RunKey,
        /// The request's name, where it has one.
        trigger: Option<FlinkJobId>,
        /// What it gave.
        answer: Box<Answer>,
    },
}
