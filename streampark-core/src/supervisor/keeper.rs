//! The keeper of one job: takes what happens one after the other, commits, then acts.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::act;
use super::command::Command;
use super::machine::{Call, CallKind, Facts, Input, Machine, Setting, Step};
use super::shared::{Message, Shared, Slot};
use super::view::JobView;
use crate::job::JobId;
use crate::store::{JobRow, RunPhase};
use crate::{Error, ErrorKind, Event, EventKind, Result};

pub(super) struct Keeper {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    machine: Machine,
    mailbox: mpsc::Receiver<Message>,
    /// The way back to the mailbox, for calls.
    answers: mpsc::Sender<Message>,
    wake: Option<Instant>,
    closing: bool,
}

pub(super) fn view(machine: &Machine) -> JobView {
    JobView {
        job: machine.job.clone(),
        spec: Arc::clone(&machine.spec),
        run: machine.run.clone(),
        knowledge: machine.knowledge,
    }
}

/// Takes a stored job in and begins to keep it.
pub(super) fn keep(shared: &Arc<Shared>, row: JobRow) -> Arc<Slot> {
    let machine = Machine::new(row);
    let (answers, mailbox) = mpsc::channel(shared.options.mailbox.max(4));
    let slot = Arc::new(Slot::new(view(&machine), answers.clone()));
    {
        let mut slots = shared.slots_mut();
        slots.by_name.insert(machine.job.name.clone(), machine.job.id);
        slots.by_id.insert(machine.job.id, Arc::clone(&slot));
    }
    let keeper = Keeper {
        shared: Arc::clone(shared),
        slot: Arc::clone(&slot),
        machine,
        mailbox,
        answers,
        wake: None,
        closing: false,
    };
    shared.tasks.spawn(keeper.run());
    slot
}

impl Keeper {
    async fn run(mut self) {
        let killed = self.shared.killed.clone();
        tokio::select! {
            () = killed.cancelled() => {
                for _ in 0..self.machine.in_flight() {
                    self.shared.count(&self.shared.given_up);
                }
            }
            () = self.keep() => {}
        }
    }

    async fn keep(&mut self) {
        self.look();
        // Boxed here and below: a keeper waits nearly always, and its task is as large as its largest step.
        Box::pin(self.take(Input::Tick)).await;
        let closing = self.shared.closing.clone();
        loop {
            if self.closing && self.machine.in_flight() == 0 {
                return;
            }
            let wake = self.wake;
            tokio::select! {
                () = closing.cancelled(), if !self.closing => self.closing = true,
                message = self.mailbox.recv() => match message {
                    Some(Message::Input(input)) => Box::pin(self.take(input)).await,
                    Some(Message::Command(command, reply)) => {
                        if Box::pin(self.obey(*command, reply)).await {
                            return;
                        }
                    }
                    None => return,
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() && !self.closing => {
                    Box::pin(self.take(Input::Tick)).await;
                }
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    async fn take(&mut self, input: Input) {
        let answered = match &input {
            Input::Answered { answer, .. } => Some(answer.kind()),
            _ => None,
        };
        if self.closing {
            match answered {
                Some(_) => self.shared.count(&self.shared.finished),
                None => return,
            }
        }
        let mut next = self.machine.clone();
        let step = self.decide(|setting| next.step(input.clone(), setting));
        if !step.batch.is_empty() {
            match self.shared.commit_patiently(&step.batch).await {
                Ok(committed) => {
                    next.job.revision = committed.revision.max(next.job.revision);
                    self.adopt(next, step, &committed.events);
                }
                Err(error) => return self.reload(&error).await,
            }
        } else {
            self.adopt(next, step, &[]);
        }
        self.after(answered);
    }

    /// Whether the keeper's job is gone.
    async fn obey(&mut self, command: Command, reply: oneshot::Sender<Result<JobView>>) -> bool {
        if self.closing {
            let _ = reply.send(Err(closed()));
            return false;
        }
        let deletes = matches!(command, Command::Delete { .. });
        let mut next = self.machine.clone();
        let step = self.decide(|setting| next.command(&command, setting));
        let step = match step {
            Ok(_) if deletes => return self.delete(&command, reply).await,
            Ok(step) => step,
            Err(error) => {
                let _ = reply.send(Err(error));
                return false;
            }
        };
        let committed = if step.batch.is_empty() {
            Ok(Vec::new())
        } else {
            self.shared.commit(step.batch.clone()).await.map(|committed| {
                next.job.revision = committed.revision.max(next.job.revision);
                committed.events
            })
        };
        let answer = match committed {
            Ok(events) => {
                self.adopt(next, step, &events);
                Ok(view(&self.machine))
            }
            Err(error) => Err(error.with_operation(command.operation())),
        };
        // The caller may have gone; the wish is committed all the same.
        let _ = reply.send(answer);
        false
    }

    async fn delete(&mut self, command: &Command, reply: oneshot::Sender<Result<JobView>>) -> bool {
        let job = &self.machine.job;
        let mut event =
            Event::new(EventKind::JobDeleted, command.actor(), self.now(), format!("'{}' was deleted", job.name));
        event.job = Some(job.id);
        event.job_name = Some(job.name.clone());
        match self.shared.store.delete_job(job, event).await {
            Ok(committed) => {
                forget(&self.shared, job.id, &job.name);
                for watch in self.shared.clusters().values() {
                    watch.forget(job.id);
                }
                self.shared.publish(&committed.events);
                let _ = reply.send(Ok(view(&self.machine)));
                true
            }
            Err(error) => {
                let _ = reply.send(Err(error.with_operation("job.delete")));
                false
            }
        }
    }

    fn decide<T>(&self, step: impl FnOnce(Setting<'_>) -> T) -> T {
        let shared = &self.shared;
        let clusters = |name: &str| -> Option<Facts> { shared.facts(name) };
        step(Setting::new(self.now(), rand::random(), &shared.options.rules, &clusters))
    }

    /// The step is committed: it is shown, told and acted upon.
    fn adopt(&mut self, next: Machine, step: Step, events: &[Event]) {
        let before = std::mem::replace(&mut self.machine, next);
        let shown = !step.batch.is_empty() || before.knowledge != self.machine.knowledge;
        if shown {
            self.slot.show(view(&self.machine));
        }
        self.shared.publish(events);
        self.rewatch(&before);
        let now = self.now();
        self.wake = step.wake.map(|at| {
            let wait = std::time::Duration::try_from(at.duration_since(now)).unwrap_or_default();
            Instant::now() + wait
        });
        for call in step.calls {
            match self.closing {
                true => self.machine.leave_out(&call),
                false => self.call(call),
            }
        }
    }

    /// The watcher of the run's cluster looks for the live run, and for no other.
    fn rewatch(&self, before: &Machine) {
        let key = |machine: &Machine| {
            machine.live().map(|run| (run.run.clone(), run.cluster.clone(), run.phase == RunPhase::Intended))
        };
        let (old, new) = (key(before), key(&self.machine));
        if old == new && Arc::ptr_eq(&before.spec, &self.machine.spec) {
            return;
        }
        if let Some((_, cluster, _)) =
            old.filter(|(_, cluster, _)| new.as_ref().is_none_or(|(_, now, _)| now != cluster))
        {
            self.shared.watch(&cluster).inspect(|watch| watch.forget(self.machine.job.id));
        }
        self.look();
    }

    fn look(&self) {
        let Some(run) = self.machine.live() else { return };
        if let Some(watch) = self.shared.watch(&run.cluster) {
            watch.look_for(run.run.clone(), Arc::clone(&self.machine.spec), self.answers.clone());
        }
    }

    /// What a call changed on a cluster is looked at soon.
    fn after(&self, answered: Option<CallKind>) {
        let Some(kind) = answered else { return };
        let Some(watch) = self.shared.watch(self.machine.cluster()) else { return };
        match kind {
            CallKind::Submit | CallKind::Stop => watch.nudge(),
            CallKind::Lookup => watch.tell_anew(self.machine.job.id),
            _ => {}
        }
    }

    fn call(&self, call: Call) {
        let shared = Arc::clone(&self.shared);
        let answers = self.answers.clone();
        let errand = act::Errand::new(&self.machine, call);
        let killed = self.shared.killed.clone();
        self.shared.tasks.spawn(async move {
            let (run, trigger) = (errand.call.run().key, errand.call.trigger());
            tokio::select! {
                () = killed.cancelled() => {}
                answer = act::carry_out(&shared, errand) => {
                    let answer = Box::new(answer);
                    // The keeper may have been given up.
                    let _ = answers.send(Message::Input(Input::Answered { run, trigger, answer })).await;
                }
            }
        });
    }

    /// The store has something else than this keeper thought: what is stored counts.
    async fn reload(&mut self, error: &Error) {
        if error.kind() == ErrorKind::Cancelled {
            return;
        }
        tracing::error!(job = %self.machine.job.name, error = %error.chain(), "a commit was refused; the job is read again");
        match self.shared.store.job(self.machine.job.id).await {
            Ok(Some(row)) => {
                self.machine = Machine::new(row);
                self.slot.show(view(&self.machine));
                self.look();
            }
            Ok(None) => forget(&self.shared, self.machine.job.id, &self.machine.job.name),
            Err(error) => {
                tracing::error!(job = %self.machine.job.name, error = %error.chain(), "the job cannot be read")
            }
        }
        self.wake = Some(Instant::now() + self.shared.options.storage_backoff_max);
    }
}

fn forget(shared: &Shared, job: JobId, name: &str) {
    let mut slots = shared.slots_mut();
    slots.by_id.remove(&job);
    if slots.by_name.get(name) == Some(&job) {
        slots.by_name.remove(name);
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Cancelled, "the engine is shut down; start it again")
}
