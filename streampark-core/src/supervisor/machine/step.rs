//! One step: what is read, and what is to be done.

use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::super::Command;
use super::call::{Call, Input};
use super::memory::Machine;
use super::rules::Rules;
use crate::cluster::Capability;
use crate::job::JobState;
use crate::store::Batch;
use crate::{Event, EventKind, Result};

/// What the machine may know of a cluster.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Facts {
    /// What it can do.
    pub capability: Capability,
    /// How long tasks may outlive their JobManager.
    pub orphan_timeout: Duration,
    /// Which process of the engine answers, where it can be told apart from the one before.
    pub incarnation: Option<String>,
    /// Where people look.
    pub web_url: Option<Url>,
    /// Whether it answered lately; true while nobody knows better.
    pub reachable: bool,
}

impl Facts {
    /// A cluster that answers and can do what `capability` says.
    pub fn new(capability: Capability, orphan_timeout: Duration) -> Self {
        Self { capability, orphan_timeout, incarnation: None, web_url: None, reachable: true }
    }
}

/// What a step is decided by, beside the job itself.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Setting<'a> {
    /// The time.
    pub now: Timestamp,
    /// A number from 0 to 1: places waits within their jitter.
    pub random: f64,
    /// The numbers.
    pub rules: &'a Rules,
    /// What is known of a cluster, by its name here; None where there is none of that name.
    pub clusters: &'a dyn Fn(&str) -> Option<Facts>,
}

impl<'a> Setting<'a> {
    /// A setting at `now`.
    pub fn new(now: Timestamp, random: f64, rules: &'a Rules, clusters: &'a dyn Fn(&str) -> Option<Facts>) -> Self {
        Self { now, random, rules, clusters }
    }
}

/// What a step asks for.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// To be committed before anything else; empty where nothing changed.
    pub batch: Batch,
    /// To be made after the commit.
    pub calls: Vec<Call>,
    /// When the machine wants a [`Input::Tick`], if nothing comes before.
    pub wake: Option<Timestamp>,
}

/// A step while it is made.
pub(super) struct Work<'a> {
    pub(super) setting: Setting<'a>,
    pub(super) step: Step,
    pub(super) job_changed: bool,
    pub(super) run_changed: bool,
    pub(super) actor: String,
}

impl Work<'_> {
    pub(super) fn now(&self) -> Timestamp {
        self.setting.now
    }

    pub(super) fn rules(&self) -> &Rules {
        self.setting.rules
    }

    /// Whether `at` has come; where not, the machine is woken then.
    pub(super) fn due(&mut self, at: Timestamp) -> bool {
        if at <= self.setting.now {
            return true;
        }
        self.step.wake = Some(self.step.wake.map_or(at, |wake| wake.min(at)));
        false
    }
}

impl Machine {
    /// Takes what happened, and decides.
    pub fn step(&mut self, input: Input, setting: Setting<'_>) -> Step {
        let mut work = self.work(setting, Event::SUPERVISOR);
        self.learn(input, &mut work);
        self.finish(work)
    }

    /// Takes what somebody wants, and decides.
    ///
    /// # Errors
    /// Where the job's state, or its cluster, refuses the command: nothing has changed then.
    pub fn command(&mut self, command: &Command, setting: Setting<'_>) -> Result<Step> {
        let mut work = self.work(setting, command.actor());
        self.obey(command, &mut work)?;
        Ok(self.finish(work))
    }

    fn work<'a>(&self, setting: Setting<'a>, actor: &str) -> Work<'a> {
        Work { setting, step: Step::default(), job_changed: false, run_changed: false, actor: actor.to_owned() }
    }

    fn finish(&mut self, mut work: Work<'_>) -> Step {
        self.decide(&mut work);
        for call in &work.step.calls {
            self.take_off(call);
        }
        let Work { mut step, job_changed, run_changed, .. } = work;
        if job_changed || !step.batch.events.is_empty() {
            step.batch.job = Some(self.job.clone());
        }
        if run_changed {
            step.batch.runs.extend(self.run.clone());
        }
        step
    }

    /// Moves the job to `state`, writes the event and why it stands there.
    pub(super) fn become_state(&mut self, state: JobState, reason: Option<String>, work: &mut Work<'_>) {
        if self.job.state == state {
            if self.job.reason != reason {
                self.job.reason = reason;
                work.job_changed = true;
            }
            return;
        }
        if let Err(error) = self.job.state.transition(state.clone()) {
            // The table is the law: a decision against it is a defect, and is not carried out.
            tracing::error!(job = %self.job.id, %error, "an illegal change of state was refused");
            debug_assert!(false, "{error}");
            return;
        }
        let message = match &reason {
            Some(reason) => format!("{} → {state}: {reason}", self.job.state),
            None => format!("{} → {state}", self.job.state),
        };
        let mut event = self.event(EventKind::StateChanged, message, work);
        event.from = Some(std::mem::replace(&mut self.job.state, state.clone()));
        event.to = Some(state);
        work.step.batch.events.push(event);
        self.job.changed_at = work.now();
        self.job.reason = reason;
        work.job_changed = true;
    }
}
