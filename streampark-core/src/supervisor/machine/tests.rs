//! Histories at random: a pure machine over a pure engine, with every call lost, late, refused or answered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::Command;
use super::*;
use crate::cluster::{Accepted, Capability, Lookup, Observation, RunStatus, Stop, Stopped};
use crate::flink::FlinkJobId;
use crate::job::{
    Dependency, Desired, Failure, JobId, JobSpec, JobState, ModuleRef, Pin, ProgramSpec, RestoreKind, RestorePoint,
    RunRef, StartFrom,
};
use crate::store::{JobRecord, JobRow, RunPhase, RunRecord};
use crate::{ErrorKind, ErrorStatus};

const ORPHANS: i64 = 60;

#[derive(Debug, Clone)]
enum Move {
    Pass(u16),
    Look,
    Down,
    Up,
    Answer(u8, Outcome),
    Late(u8),
    Checkpoint,
    Fail,
    Finish,
    Crash,
    LoseNode,
    Die,
    Wish(Wish),
    Build,
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Done,
    Lost,
    Refused,
    Forbidden,
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    Start,
    StartEmpty,
    Suspend,
    Cancel,
    Savepoint,
    Restart,
    Update(u8),
}

fn moves() -> impl Strategy<Value = Move> {
    let outcome = prop_oneof![
        6 => Just(Outcome::Done), 2 => Just(Outcome::Lost), 2 => Just(Outcome::Refused), 1 => Just(Outcome::Forbidden),
    ];
    let wish = prop_oneof![
        4 => Just(Wish::Start), 1 => Just(Wish::StartEmpty), 2 => Just(Wish::Suspend), 2 => Just(Wish::Cancel),
        1 => Just(Wish::Savepoint), 1 => Just(Wish::Restart), 1 => (1..9_u8).prop_map(Wish::Update),
    ];
    prop_oneof![
        4 => (0..90_u16).prop_map(Move::Pass),
        6 => Just(Move::Look),
        1 => Just(Move::Down),
        1 => Just(Move::Up),
        10 => (any::<u8>(), outcome).prop_map(|(which, outcome)| Move::Answer(which, outcome)),
        2 => any::<u8>().prop_map(Move::Late),
        2 => Just(Move::Checkpoint),
        2 => Just(Move::Fail),
        1 => Just(Move::Finish),
        1 => Just(Move::Crash),
        1 => Just(Move::LoseNode),
        2 => Just(Move::Die),
        3 => wish.prop_map(Move::Wish),
        2 => Just(Move::Build),
    ]
}

#[derive(Debug, Clone)]
struct Copy {
    job: FlinkJobId,
    status: RunStatus,
    /// Until when its tasks live; None is open.
    until: Option<Timestamp>,
    listed: bool,
    tasks_until: Option<Timestamp>,
    point: Option<RestorePoint>,
}

impl Copy {
    fn seen(&self, now: Timestamp) -> Box<Observation> {
        let mut seen = Observation::of_job(self.job, self.status.clone(), now);
        seen.tasks_until = self.tasks_until;
        Box::new(seen)
    }
}

struct World {
    now: Timestamp,
    rules: Rules,
    incarnation: u64,
    known: BTreeSet<FlinkJobId>,
    copies: Vec<Copy>,
    /// With the process of the engine to which each goes.
    in_flight: Vec<(Call, u64)>,
    /// Submissions that left and did not arrive yet, the process that they were for, and when they were given up.
    late: Vec<(RunRef, u64, Timestamp)>,
    machine: Machine,
    stored: JobRow,
    runs: BTreeMap<u64, RunRecord>,
    points: u64,
    /// The newest build of the module that the job runs.
    build: u64,
    /// Whether somebody asked for a run since the newest one was intended.
    wished: bool,
}

impl World {
    /// A job that runs the newest build of a module, or one that names nothing.
    fn new(names: bool) -> Self {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let program = ProgramSpec::Custom { kind: "nothing".to_owned(), options: serde_json::Map::new() };
        let mut spec = JobSpec::new("orders", program).cluster("dev").alert("people");
        spec.dependencies = names.then(|| Dependency::Module(ModuleRef::new("shop"))).into_iter().collect();
        let row = JobRow::new(JobRecord::new(JobId::from_u128(1), "orders", now), spec, None);
        Self {
            now,
            rules: Rules::default(),
            incarnation: 1,
            known: BTreeSet::new(),
            copies: Vec::new(),
            in_flight: Vec::new(),
            late: Vec::new(),
            machine: Machine::new(row.clone()),
            stored: row,
            runs: BTreeMap::new(),
            points: 0,
            build: 1,
            wished: false,
        }
    }

    fn tell(&mut self, input: Input) {
        let mut next = self.machine.clone();
        let step = self.with_setting(|setting| next.step(input, setting));
        self.adopt(next, step);
    }

    fn with_setting<T>(&self, make: impl FnOnce(Setting<'_>) -> T) -> T {
        let incarnation = self.incarnation.to_string();
        let capability = Capability {
            session: true,
            savepoint: true,
            stop_with_savepoint: true,
            drain: true,
            restore: true,
            ..Capability::default()
        };
        let clusters = move |_: &str| {
            let mut facts = Facts::new(capability, Duration::from_secs(ORPHANS as u64));
            facts.incarnation = Some(incarnation.clone());
            Some(facts)
        };
        make(Setting::new(self.now, 0.5, &self.rules, &clusters))
    }

    /// Commits, then acts.
    fn adopt(&mut self, mut next: Machine, step: Step) {
        if let Some(job) = step.batch.job {
            assert_eq!(job.revision, self.stored.job.revision, "made from the newest row");
            self.stored.job = job;
            self.stored.job.revision += 1;
            next.job.revision = self.stored.job.revision;
        }
        if let Some(version) = step.batch.spec {
            self.stored.spec = version.spec;
        }
        for run in step.batch.runs {
            self.pins_hold(&run);
            self.runs.insert(run.run.key.generation, run);
        }
        self.machine = next;
        for call in &step.calls {
            if let Call::Submit(run) = call {
                let intent = self.runs.get(&run.key.generation).expect("an intent is stored before it is sent");
                assert_eq!(intent.phase, RunPhase::Intended);
                assert!(
                    !intent.unpinned && intent.pins.len() == self.machine.spec.dependencies.len(),
                    "what is sent is written down: {intent:?}"
                );
            }
        }
        let incarnation = self.incarnation;
        self.in_flight.extend(step.calls.into_iter().map(|call| (call, incarnation)));
        let alive = self.alive();
        assert!(alive.len() <= 1, "two copies: {alive:?}");
    }

    /// A run stays what it is made of, and one that nobody asked for is made of what the one before was.
    fn pins_hold(&mut self, run: &RunRecord) {
        let generation = run.run.key.generation;
        match self.runs.get(&generation) {
            Some(known) => assert!(known.unpinned || known.pins == run.pins, "{known:?} became {run:?}"),
            None => {
                let before = generation.checked_sub(1).and_then(|before| self.runs.get(&before));
                let pinned = |before: &&RunRecord| !before.unpinned && !before.pins.is_empty();
                if let Some(before) = before.filter(pinned).filter(|_| !self.wished) {
                    assert_eq!((&run.pins, run.unpinned), (&before.pins, false), "nobody asked for new code");
                }
                self.wished = false;
            }
        }
    }

    fn alive(&self) -> Vec<&Copy> {
        self.copies.iter().filter(|copy| copy.until.is_none_or(|until| until > self.now)).collect()
    }

    fn listed(&mut self, job: FlinkJobId) -> Option<&mut Copy> {
        self.copies.iter_mut().find(|copy| copy.listed && copy.job == job)
    }

    fn running(&mut self) -> Option<&mut Copy> {
        self.copies.iter_mut().find(|copy| copy.listed && copy.until.is_none())
    }

    fn arrive(&mut self, run: &RunRef) -> bool {
        if !self.known.insert(run.flink_job) {
            return false;
        }
        let point = self.runs[&run.key.generation].restored_from.clone();
        let (status, until, tasks_until) = (RunStatus::Running, None, None);
        self.copies.push(Copy { job: run.flink_job, status, until, listed: true, tasks_until, point });
        true
    }

    fn point(&mut self, kind: RestoreKind, run: &RunRef) -> RestorePoint {
        self.points += 1;
        let mut point = RestorePoint::new(kind, format!("memory:///{}", self.points), self.now);
        point.run = Some(run.key);
        point
    }

    fn trouble(status: ErrorStatus) -> Trouble {
        let kind = if status == ErrorStatus::Unknown { ErrorKind::Timeout } else { ErrorKind::Remote };
        Trouble { kind, status, text: "no".to_owned() }
    }

    /// A connection to a process ends with it.
    fn deliver(&mut self, call: Call, incarnation: u64, outcome: Outcome) {
        self.answer(call, if incarnation == self.incarnation { outcome } else { Outcome::Refused });
    }

    fn answer(&mut self, call: Call, outcome: Outcome) {
        let failed = match outcome {
            Outcome::Done => None,
            Outcome::Lost => Some(Self::trouble(ErrorStatus::Unknown)),
            Outcome::Refused => Some(Self::trouble(ErrorStatus::Temporary)),
            Outcome::Forbidden => Some(Self::trouble(ErrorStatus::Permanent)),
        };
        let takes_effect = matches!(outcome, Outcome::Done | Outcome::Lost);
        let (run, trigger) = (call.run().clone(), call.trigger());
        let now = self.now;
        let answer = match call {
            Call::Pin(_) => {
                let named = Dependency::Module(ModuleRef::new("shop"));
                let exact = Dependency::Module(ModuleRef::new("shop").build(self.build.to_string()));
                Answer::Pinned(match failed {
                    None => Ok(vec![Pin::new(named, [exact])]),
                    // Nothing leaves: there is no doubt.
                    Some(trouble) if trouble.status == ErrorStatus::Unknown => {
                        Err(Self::trouble(ErrorStatus::Temporary))
                    }
                    Some(trouble) => Err(trouble),
                })
            }
            Call::Reserve(_) => unreachable!("this engine reserves nothing"),
            Call::Submit(run) => {
                if takes_effect {
                    self.arrive(&run);
                } else if let Some(Trouble { status: ErrorStatus::Unknown, .. }) = failed {
                    self.late.push((run.clone(), self.incarnation, self.now));
                }
                Answer::Submitted(match failed {
                    None => Ok(Accepted::new(run.flink_job)),
                    Some(trouble) => Err(trouble),
                })
            }
            Call::Lookup(run) => Answer::LookedUp(match failed {
                Some(trouble) => Err(Trouble { status: ErrorStatus::Temporary, ..trouble }),
                None => Ok(match self.listed(run.flink_job) {
                    Some(copy) => Lookup::Found(copy.seen(now)),
                    None => Lookup::NeverArrived,
                }),
            }),
            Call::Stop(run, how, _) => {
                let saves = matches!(how, Stop::Savepoint | Stop::Drain);
                let live = self.listed(run.flink_job).is_some_and(|copy| copy.until.is_none());
                let point = (saves && live && takes_effect).then(|| self.point(RestoreKind::Savepoint, &run));
                if takes_effect && let Some(copy) = self.listed(run.flink_job).filter(|copy| copy.until.is_none()) {
                    copy.until = Some(now);
                    copy.status = if saves { RunStatus::Finished } else { RunStatus::Canceled };
                    copy.point = point.clone().or(copy.point.take());
                }
                Answer::Stopped(match failed {
                    // A JobManager does not know what one before it ran: FlinkJobNotFoundException.
                    None if self.listed(run.flink_job).is_none() => Err(Self::trouble(ErrorStatus::Permanent)),
                    None => {
                        let gone = self.listed(run.flink_job).is_some_and(|copy| copy.tasks_until.is_none());
                        Ok(Stopped { savepoint: point, complete: !live && gone })
                    }
                    Some(trouble) => Err(trouble),
                })
            }
            Call::Savepoint(run, _) => {
                let live = self.listed(run.flink_job).is_some_and(|copy| copy.until.is_none());
                Answer::Saved(match failed {
                    None if live => Ok(self.point(RestoreKind::Savepoint, &run)),
                    None => Err(Self::trouble(ErrorStatus::Permanent)),
                    Some(trouble) => Err(trouble),
                })
            }
            Call::Failure(_) => Answer::Failure(match failed {
                None => Ok(Some(Failure::new("boom"))),
                Some(trouble) => Err(trouble),
            }),
            Call::Points(_) => Answer::Points(match failed {
                Some(trouble) => Err(trouble),
                None => {
                    let last = self.runs.values().rev().find(|run| run.accepted_at.is_some());
                    let point = last.and_then(|run| {
                        let copy = self.copies.iter().find(|copy| copy.job == run.run.flink_job)?;
                        copy.point.clone()
                    });
                    let had_state = last.is_some_and(|run| run.checkpointed || run.restored_from.is_some());
                    Ok(Points { had_state: had_state || point.is_some(), usable: point.into_iter().collect() })
                }
            }),
            Call::Look(_) => Answer::Looked(match failed {
                Some(trouble) => Err(trouble),
                None => Ok(self.listed(run.flink_job).and_then(|copy| copy.point.clone())),
            }),
            Call::Release(_) => Answer::Released(failed.map_or(Ok(()), Err)),
        };
        self.tell(Input::Answered { run: run.key, trigger, answer: Box::new(answer) });
    }

    fn look(&mut self) {
        let Some(run) = self.machine.live().map(|run| run.run.clone()) else { return };
        let now = self.now;
        let seen = self.listed(run.flink_job).map(|copy| copy.seen(now));
        self.tell(Input::Seen(run.key, seen));
    }

    fn play(&mut self, step: Move) {
        match step {
            Move::Pass(seconds) => {
                self.now = memory::after(self.now, Duration::from_secs(u64::from(seconds)));
                self.tell(Input::Tick);
            }
            Move::Look => self.look(),
            Move::Down => {
                if let Some(run) = self.machine.live().map(|run| run.run.key) {
                    self.tell(Input::Unreachable(run));
                }
            }
            Move::Up => self.tell(Input::Reachable),
            Move::Answer(which, outcome) => {
                if !self.in_flight.is_empty() {
                    let index = usize::from(which) % self.in_flight.len();
                    let (call, incarnation) = self.in_flight.remove(index);
                    self.deliver(call, incarnation, outcome);
                }
            }
            Move::Late(which) => {
                if !self.late.is_empty() {
                    let (run, incarnation, at) = self.late.remove(usize::from(which) % self.late.len());
                    let until = memory::after(at, Duration::from_secs(ORPHANS as u64 - 1));
                    if incarnation == self.incarnation && self.now <= until {
                        self.arrive(&run);
                    }
                }
            }
            Move::Checkpoint => {
                let run = self.machine.live().map(|run| run.run.clone());
                if let Some(run) = run.filter(|run| self.listed(run.flink_job).is_some_and(|c| c.until.is_none())) {
                    let point = self.point(RestoreKind::Checkpoint, &run);
                    self.listed(run.flink_job).unwrap().point = Some(point);
                }
            }
            Move::Fail | Move::Finish => {
                let status = if matches!(step, Move::Fail) { RunStatus::Failed } else { RunStatus::Finished };
                let now = self.now;
                if let Some(copy) = self.running() {
                    copy.until = Some(now);
                    copy.status = status;
                }
            }
            Move::Crash => {
                self.incarnation += 1;
                self.known.clear();
                let until = memory::after(self.now, Duration::from_secs(ORPHANS as u64 - 1));
                for copy in &mut self.copies {
                    copy.listed = false;
                    copy.until.get_or_insert(until);
                }
            }
            // The engine says that the run failed, and its tasks go on.
            Move::LoseNode => {
                let until = memory::after(self.now, Duration::from_secs(ORPHANS as u64));
                if let Some(copy) = self.running() {
                    copy.until = Some(until);
                    copy.status = RunStatus::Failed;
                    copy.tasks_until = Some(until);
                }
            }
            Move::Build => self.build += 1,
            Move::Die => self.die(),
            Move::Wish(wish) => self.wish(wish),
        }
    }

    /// The process ends; requests that were on their way may still arrive.
    fn die(&mut self) {
        for (call, incarnation) in std::mem::take(&mut self.in_flight) {
            if let Call::Submit(run) = call {
                self.late.push((run, incarnation, self.now));
            }
        }
        let mut row = self.stored.clone();
        row.run = self.runs.get(&row.job.generation).cloned();
        self.machine = Machine::new(row);
        self.tell(Input::Tick);
    }

    fn wish(&mut self, wish: Wish) {
        let (job, actor) = (self.machine.job.id, "ann".to_owned());
        let command = match wish {
            Wish::Start => Command::Start { job, from: StartFrom::Newest, actor },
            Wish::StartEmpty => Command::Start { job, from: StartFrom::Empty, actor },
            Wish::Suspend => Command::Suspend { job, drain: false, directory: None, actor },
            Wish::Cancel => Command::Cancel { job, kill: false, actor },
            Wish::Savepoint => Command::Savepoint { job, directory: None, actor },
            Wish::Restart => Command::Restart { job, actor },
            Wish::Update(parallelism) => {
                let spec = JobSpec::clone(&self.machine.spec).parallelism(u32::from(parallelism));
                Command::Update { job, spec: Box::new(spec), actor }
            }
        };
        let mut next = self.machine.clone();
        let before = (next.job.clone(), next.run.clone());
        match self.with_setting(|setting| next.command(&command, setting)) {
            Ok(step) => {
                self.wished |= matches!(wish, Wish::Start | Wish::StartEmpty | Wish::Restart | Wish::Update(_));
                self.adopt(next, step);
            }
            Err(_) => assert_eq!(before, (next.job, next.run), "a refusal changes nothing"),
        }
    }

    /// Everything answers from now on: the job must come to where its owner wants it.
    fn settle(&mut self) {
        self.late.clear();
        self.tell(Input::Reachable);
        for _ in 0..400 {
            while let Some((call, incarnation)) = self.in_flight.pop() {
                self.deliver(call, incarnation, Outcome::Done);
            }
            self.look();
            self.play(Move::Pass(20));
        }
        let (state, desired) = (self.machine.job.state.clone(), self.machine.job.desired);
        let rests = match desired {
            Desired::Running => matches!(
                state,
                JobState::Running | JobState::Parked | JobState::Failed | JobState::Finished | JobState::Canceled
            ),
            Desired::Suspended => matches!(state, JobState::Suspended | JobState::Finished | JobState::Canceled),
            Desired::Cancelled => matches!(state, JobState::Canceled | JobState::New | JobState::Finished),
        };
        assert!(rests, "wanted {desired}, and it is {state}: {:?}", self.machine);
        let alive = self.alive().len();
        assert_eq!(alive, usize::from(state == JobState::Running), "{state}: {:?}", self.copies);
    }
}

/// A place that reserves, and what a process decides that finds a run whose submission was begun there.
fn decided(deployment: Option<&str>) -> (JobState, Vec<CallKind>) {
    let mut world = World::new(false);
    world.wish(Wish::Start);
    let mut row = world.stored.clone();
    row.run = world.runs.get(&1).cloned();
    row.run.as_mut().unwrap().run.deployment = deployment.map(crate::job::DeploymentId::new);
    let capability = Capability { reserve: true, ..Capability::default() };
    let clusters = move |_: &str| Some(Facts::new(capability, Duration::from_secs(ORPHANS as u64)));
    let mut machine = Machine::new(row);
    let step = machine.step(Input::Tick, Setting::new(world.now, 0.5, &world.rules, &clusters));
    (machine.job.state, step.calls.iter().map(Call::kind).collect())
}

#[test]
fn without_its_reservation_a_run_was_never_sent() {
    assert_eq!(decided(None), (JobState::Submitting, vec![CallKind::Reserve]));
    assert_eq!(decided(Some("application_1_0001")), (JobState::InDoubt, vec![CallKind::Lookup]));
}

// `PROPTEST_CASES=100000` plays that many; 256 without it.
proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_makes_two_copies_or_loses_the_job(
        names in any::<bool>(),
        history in prop::collection::vec(moves(), 1..120),
    ) {
        play(names, history);
    }
}

fn play(names: bool, history: impl IntoIterator<Item = Move>) {
    let mut world = World::new(names);
    world.wish(Wish::Start);
    for step in history {
        world.play(step);
    }
    world.settle();
}

/// A request arrives late at a process that was asked before, and that process dies with the copy it took.
#[test]
fn a_copy_left_by_a_dead_process_is_waited_out() {
    use Move::{Answer, Crash, Die, Late, Look, Pass, Up};
    let done = || Answer(0, Outcome::Done);
    play(false, [Die, done(), Late(0), Crash, Look, Pass(0)]);
    play(false, [Crash, done(), Up, Die, done(), Late(0), Pass(20), Crash]);
    play(
        false,
        [
            Pass(0),
            Pass(0),
            Move::Wish(Wish::Restart),
            Die,
            done(),
            Late(0),
            Pass(0),
            Pass(10),
            Crash,
            Pass(10),
            Look,
            Look,
            Look,
        ],
    );
}
