//! The fleet: one list of the ResourceManager, and the word of each JobManager.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use streampark_core::cluster::{Observation, RunStatus};
use streampark_core::flink::FlinkJobId;
use streampark_core::job::{DeploymentId, RunKey};
use streampark_core::{Error, ErrorKind, Result};

use crate::failure::explain;
use crate::ground::Yarn;
use crate::managers::Managers;
use crate::wire::{App, AppState, FinalStatus};

/// How many JobManagers are asked at the same time.
const PARALLEL: usize = 256;

/// A JobManager that never answered is taken for one that starts, for this long after its application
/// was submitted, in milliseconds.
const SILENT_START: i64 = 120_000;

/// What earlier lists said.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    /// Whether a list was ever complete.
    begun: bool,
    /// Applications that lived when they were last seen.
    live: BTreeSet<String>,
    /// Those that were RUNNING once.
    ran: BTreeSet<String>,
    /// Ended ones of which every node said that nothing is left.
    gone: BTreeSet<String>,
    /// Copies that were ended, by the application that stays.
    copies: BTreeMap<String, BTreeSet<String>>,
    /// What each JobManager said last: YARN calls an application SUCCEEDED that we end after its job failed.
    told: BTreeMap<String, RunStatus>,
}

impl Memory {
    fn with<T>(&self, work: impl FnOnce(&mut Remembered) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An application that was just taken must be in the next list.
    pub(crate) fn expect(&self, id: &str) {
        self.with(|seen| seen.live.insert(id.to_owned()));
    }

    /// Our own removal of an application from the cluster's memory is no surprise.
    pub(crate) fn over(&self, id: &str) {
        self.with(|seen| seen.live.remove(id));
    }

    fn may_be_partial(&self, apps: &[App]) -> bool {
        let listed: BTreeSet<&str> = apps.iter().map(|app| app.id.as_str()).collect();
        self.with(|seen| !seen.begun || seen.live.iter().any(|id| !listed.contains(id.as_str())))
    }

    fn take(&self, apps: &[App]) {
        self.with(|seen| {
            seen.begun = true;
            seen.live = apps.iter().filter(|app| !app.state.is_over()).map(|app| app.id.clone()).collect();
            seen.ran.retain(|id| seen.live.contains(id));
            seen.ran.extend(apps.iter().filter(|app| app.state == AppState::Running).map(|app| app.id.clone()));
            let listed: BTreeSet<&str> = apps.iter().map(|app| app.id.as_str()).collect();
            seen.told.retain(|id, _| listed.contains(id.as_str()));
            seen.gone.retain(|id| listed.contains(id.as_str()));
            seen.copies.retain(|id, _| listed.contains(id.as_str()));
        });
    }

    /// Nothing of an ended application is left.
    pub(super) fn gone(&self, id: &str) {
        self.with(|seen| seen.gone.insert(id.to_owned()));
    }

    pub(super) fn is_gone(&self, id: &str) -> bool {
        self.with(|seen| seen.gone.contains(id))
    }

    /// A copy of `kept` was ended.
    pub(super) fn ended_copy(&self, kept: &str, copy: &str) {
        self.with(|seen| seen.copies.entry(kept.to_owned()).or_default().insert(copy.to_owned()));
    }

    pub(super) fn copies_of(&self, kept: &str) -> Vec<DeploymentId> {
        self.with(|seen| seen.copies.get(kept).into_iter().flatten().map(DeploymentId::new).collect())
    }

    fn remember(&self, id: &str, status: &RunStatus) {
        self.with(|seen| seen.told.insert(id.to_owned(), status.clone()));
    }

    fn end_of(&self, id: &str) -> Option<RunStatus> {
        self.with(|seen| seen.told.get(id).filter(|status| status.is_terminal()).cloned())
    }

    /// The status of a run whose JobManager does not answer: what it said last; where it never said
    /// anything, it is starting, and after a while YARN's word is all there is.
    fn last_word(&self, app: &App, now: Timestamp) -> RunStatus {
        let said = self.with(|seen| seen.told.get(&app.id).cloned());
        said.unwrap_or_else(|| {
            let age = now.as_millisecond() - app.started_time;
            if age < SILENT_START { RunStatus::Starting } else { RunStatus::Running }
        })
    }

    /// Whether tasks of the application's job were ever seen at work.
    fn has_worked(&self, id: &str) -> bool {
        self.with(|seen| seen.told.get(id).is_some_and(|status| *status != RunStatus::Starting))
    }

    fn has_run(&self, id: &str) -> bool {
        self.with(|seen| seen.ran.contains(id))
    }
}

impl Yarn {
    /// Every application with our tag; never a part of them.
    ///
    /// A ResourceManager that starts lists some applications, or none, for some seconds: an absence is
    /// believed only where it calls itself ACTIVE before and after.
    pub(crate) async fn fleet(&self, memory: &Memory) -> Result<Vec<App>> {
        let mut apps = self.rm.tagged(&self.options.tag).await?;
        if memory.may_be_partial(&apps) {
            apps = self.certain(|| self.rm.tagged(&self.options.tag)).await?;
        }
        memory.take(&apps);
        Ok(apps)
    }

    /// Asks between two questions whether the same ResourceManager is ACTIVE all the while.
    pub(crate) async fn certain<T, F: Future<Output = Result<T>>>(&self, ask: impl FnOnce() -> F) -> Result<T> {
        let before = self.rm.active_info().await?;
        let answer = ask().await?;
        let after = self.rm.active_info().await?;
        if before.started_on != after.started_on || before.id != after.id {
            return Err(Error::new(
                ErrorKind::Remote,
                "the ResourceManager was restarted while it answered; ask again",
            )
            .with_operation("yarn.apps"));
        }
        self.learn_incarnation(after.id);
        Ok(answer)
    }

    /// Applications as observations, each JobManager asked that can be.
    pub(crate) async fn observations(&self, apps: &[App], managers: &Managers, memory: &Memory) -> Vec<Observation> {
        let asked: Vec<BoxFuture<'_, Observation>> =
            apps.iter().map(|app| self.observation(app, managers, memory).boxed()).collect();
        futures_util::stream::iter(asked).buffered(PARALLEL).collect().await
    }

    /// One application as an observation.
    pub(crate) async fn observation(&self, app: &App, managers: &Managers, memory: &Memory) -> Observation {
        let mut seen = of_report(app, memory);
        if app.state.is_over() || matches!(app.state, AppState::New | AppState::NewSaving | AppState::Submitted) {
            return seen;
        }
        match managers.ask(self, app).await {
            None => {}
            Some(Ok(jobs)) => {
                tell(&mut seen, &jobs);
                if jobs.is_empty()
                    && let Some(ended) = managers.end_of_main(self, app).await
                {
                    seen.status = ended;
                    seen.note = Some("the program's main ended, and called no execute() that made a job".to_owned());
                }
                if waits_for_containers(&seen) && !memory.has_worked(&app.id) {
                    seen.status = RunStatus::Starting;
                }
                memory.remember(&app.id, &seen.status);
            }
            Some(Err(error)) => {
                seen.status = memory.last_word(app, Timestamp::now());
                seen.note = Some(format!("the JobManager does not answer: {}", error.message()));
            }
        }
        seen
    }
}

/// The job of an application: the one with our id, else the only one.
fn tell(seen: &mut Observation, jobs: &[Observation]) {
    let own = jobs.iter().find(|job| job.flink_job == seen.flink_job);
    let Some(job) = own.or(match jobs {
        [only] => Some(only),
        _ => None,
    }) else {
        // The program's main runs, and has not called execute() yet.
        seen.status = RunStatus::Starting;
        return;
    };
    seen.flink_job = job.flink_job;
    seen.status = job.status.clone();
    seen.engine_status.clone_from(&job.engine_status);
    seen.tasks = job.tasks;
    seen.ended_at = job.ended_at;
    if !job.name.is_empty() {
        seen.name.clone_from(&job.name);
    }
}

/// Flink calls a job RUNNING while its TaskManagers' containers are still to come; a savepoint would fail.
fn waits_for_containers(seen: &Observation) -> bool {
    seen.status == RunStatus::Running && seen.tasks.is_some_and(|(running, all)| running == 0 && all > 0)
}

/// The run that an application's tags name.
pub(crate) fn run_of(app: &App) -> Option<RunKey> {
    app.application_tags.split(',').find_map(|tag| RunKey::from_tag(tag.trim()))
}

fn of_report(app: &App, memory: &Memory) -> Observation {
    let mut seen = Observation::of_deployment(DeploymentId::new(&app.id), status_of(app, memory), Timestamp::now());
    seen.key = run_of(app);
    seen.flink_job = seen.key.map(|key| -> FlinkJobId { key.flink_job_id() });
    seen.name.clone_from(&app.name);
    seen.engine_status = app.state.to_string();
    let time = |milliseconds: i64| (milliseconds > 0).then(|| Timestamp::from_millisecond(milliseconds).ok()).flatten();
    seen.started_at = time(app.started_time);
    seen.ended_at = time(app.finished_time).filter(|_| app.state.is_over());
    let waits = app.state == AppState::Accepted;
    seen.note = match seen.status {
        RunStatus::Failed => explain(app).map(|failure| failure.message),
        RunStatus::Starting | RunStatus::Running if waits && memory.has_run(&app.id) => {
            Some("the ResourceManager was restarted and waits for the JobManager".to_owned())
        }
        RunStatus::Starting if !app.diagnostics.trim().is_empty() => {
            Some(app.diagnostics.lines().next().unwrap_or_default().trim().to_owned())
        }
        _ => None,
    };
    seen
}

/// YARN's two words in one of ours; both count.
fn status_of(app: &App, memory: &Memory) -> RunStatus {
    if app.state == AppState::Finished
        && let Some(told) = memory.end_of(&app.id)
    {
        return told;
    }
    match (app.state, app.final_status) {
        (AppState::Running, _) => RunStatus::Running,
        // A running application is ACCEPTED for a while after a restart of the ResourceManager.
        (AppState::Accepted, _) if memory.has_run(&app.id) => RunStatus::Running,
        (AppState::New | AppState::NewSaving | AppState::Submitted | AppState::Accepted, _) => RunStatus::Starting,
        (AppState::Finished, FinalStatus::Succeeded) => RunStatus::Finished,
        (AppState::Killed, _) | (AppState::Finished, FinalStatus::Killed) => RunStatus::Canceled,
        (AppState::Failed, _) | (AppState::Finished, FinalStatus::Failed) => RunStatus::Failed,
        (state, status) => RunStatus::Unknown(format!("{state}/{status:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(state: AppState, status: FinalStatus) -> App {
        App { id: "application_1_0001".to_owned(), state, final_status: status, ..App::default() }
    }

    #[test]
    fn both_words_of_yarn_count() {
        let memory = Memory::default();
        for (state, status, expected) in [
            (AppState::Accepted, FinalStatus::Undefined, RunStatus::Starting),
            (AppState::Finished, FinalStatus::Succeeded, RunStatus::Finished),
            (AppState::Finished, FinalStatus::Failed, RunStatus::Failed),
            (AppState::Finished, FinalStatus::Killed, RunStatus::Canceled),
            (AppState::Failed, FinalStatus::Failed, RunStatus::Failed),
            (AppState::Killed, FinalStatus::Killed, RunStatus::Canceled),
        ] {
            assert_eq!(status_of(&app(state, status), &memory), expected, "{state} {status:?}");
        }
    }

    #[test]
    fn running_then_accepted_is_no_step_back() {
        let memory = Memory::default();
        memory.take(&[app(AppState::Running, FinalStatus::Undefined)]);
        let after = app(AppState::Accepted, FinalStatus::Undefined);
        memory.take(std::slice::from_ref(&after));
        let seen = of_report(&after, &memory);
        assert_eq!(seen.status, RunStatus::Running);
        assert_eq!(seen.note.unwrap(), "the ResourceManager was restarted and waits for the JobManager");
    }

    #[test]
    fn a_silent_job_manager_keeps_what_it_said_last() {
        let memory = Memory::default();
        let running = App { started_time: 1_000, ..app(AppState::Running, FinalStatus::Undefined) };
        let at = |milliseconds| Timestamp::from_millisecond(milliseconds).unwrap();
        assert_eq!(memory.last_word(&running, at(2_000)), RunStatus::Starting);
        assert_eq!(memory.last_word(&running, at(1_000_000)), RunStatus::Running);
        memory.remember("application_1_0001", &RunStatus::Restarting);
        assert_eq!(memory.last_word(&running, at(1_000_000)), RunStatus::Restarting);
    }

    #[test]
    fn a_list_that_lacks_a_live_application_is_doubted() {
        let memory = Memory::default();
        assert!(memory.may_be_partial(&[]), "the first list always is");
        let running = app(AppState::Running, FinalStatus::Undefined);
        memory.take(std::slice::from_ref(&running));
        assert!(memory.may_be_partial(&[]) && !memory.may_be_partial(&[running]));
        memory.over("application_1_0001");
        assert!(!memory.may_be_partial(&[]));
    }

    #[test]
    fn what_the_job_manager_said_last_outlives_yarns_succeeded() {
        let memory = Memory::default();
        memory.remember("application_1_0001", &RunStatus::Failed);
        assert_eq!(status_of(&app(AppState::Finished, FinalStatus::Succeeded), &memory), RunStatus::Failed);
    }
}
