//! Runs, found again as applications.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use streampark_core::cluster::{JobManager, Lookup, Observation, RunStatus};
use streampark_core::flink::rest::Checkpoints;
use streampark_core::job::{Failure, RestoreKind, RestorePoint, RunRef, Verification};
use streampark_core::{Error, ErrorKind, Result};

use super::cluster::YarnCluster;
use super::copies::age;
use crate::archive::Archive;
use crate::failure::{conclude, files_to_read, missed_a_file, of_cause, tells};
use crate::fs::{FileStatus, FileSystem, location_of, path_of};
use crate::managers::proxied;
use crate::wire::App;

/// A question under way.
pub(super) type Asking<'a, T> = BoxFuture<'a, Result<T>>;

/// So much of a log is read for the reason of a failure.
const LAST_WORDS: u64 = 256 * 1024;

/// How often a folder of checkpoints is looked at where none in it is complete, and the wait in between.
const LOOKS: usize = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

impl YarnCluster {
    /// The application of a run: by its id, else the one with the run's tag that copies give way to. The
    /// answer is certain where there is none.
    pub(super) async fn find(&self, run: &RunRef) -> Result<Option<App>> {
        let yarn = &self.inner.yarn;
        if let Some(app) = self.glimpse(run).await? {
            return Ok(Some(app));
        }
        yarn.certain(|| self.glimpse(run)).await
    }

    /// As [`find`](Self::find), where the answer will mostly be that there is none.
    pub(super) async fn find_first(&self, run: &RunRef) -> Result<Option<App>> {
        self.inner.yarn.certain(|| self.glimpse(run)).await
    }

    async fn glimpse(&self, run: &RunRef) -> Result<Option<App>> {
        let rm = &self.inner.yarn.rm;
        if let Some(id) = &run.deployment
            && let Some(app) = rm.app(id.as_str()).await?
        {
            return Ok(Some(app));
        }
        let tagged = rm.tagged(&run.key.tag()).await?;
        Ok(tagged.into_iter().min_by_key(|app| age(&app.id)))
    }

    /// As [`find`](Self::find), and an error where there is none.
    pub(super) async fn require(&self, run: &RunRef) -> Result<App> {
        self.find(run).await?.ok_or_else(|| {
            Error::not_found("YARN has no application of this run; it was never submitted, or is forgotten since long")
                .with_context("run", run.key)
        })
    }

    pub(super) async fn look_up(&self, run: &RunRef) -> Result<Lookup> {
        let inner = &self.inner;
        match self.find(run).await {
            Ok(Some(app)) => {
                Ok(Lookup::Found(Box::new(inner.yarn.observation(&app, &inner.managers, &inner.memory).await)))
            }
            Ok(None) => match self.ended_by_archive(run).await? {
                Some(seen) => Ok(Lookup::Found(Box::new(seen))),
                None => Ok(Lookup::NeverArrived),
            },
            Err(error) if error.is_retryable() => Ok(Lookup::Unknown(error.chain())),
            Err(error) => Err(error),
        }
    }

    /// A ResourceManager forgets ended applications; the archive of a run's job does not.
    async fn ended_by_archive(&self, run: &RunRef) -> Result<Option<Observation>> {
        let Some(archive) = self.archive_of(run).await? else { return Ok(None) };
        let status = archive.status(&run.flink_job);
        let status = status.map_or(RunStatus::Failed, |status| JobManager::status_of(&status));
        let mut seen = Observation::of_job(run.flink_job, status, jiff::Timestamp::now());
        seen.key = Some(run.key);
        seen.deployment.clone_from(&run.deployment);
        seen.note = Some("YARN has forgotten the application; its job archive says how it ended".to_owned());
        Ok(Some(seen))
    }

    async fn archive_of(&self, run: &RunRef) -> Result<Option<Archive>> {
        let Some(id) = &run.deployment else { return Ok(None) };
        let ground = self.inner.yarn.ground().await?;
        let fs = ground.fs.as_ref();
        let own = format!("{}/.flink/{id}-archive", ground.home);
        if let Some(archive) = Archive::read(fs, &own, &run.flink_job).await? {
            return Ok(Some(archive));
        }
        let shared = self.inner.yarn.options.flink.get("jobmanager.archive.fs.dir");
        match shared.and_then(|folder| path_of(fs, folder)) {
            Some(folder) => Archive::read(fs, &folder, &run.flink_job).await,
            None => Ok(None),
        }
    }

    /// The JobManager of an application that runs; None before it has one and after its end.
    pub(crate) fn manager(&self, app: &App) -> Result<Option<Arc<JobManager>>> {
        if app.state.is_over() {
            return Ok(None);
        }
        self.inner.managers.of(&self.inner.yarn, app)
    }

    /// Asks the JobManager, by YARN's proxy where the node cannot be reached; None where there is none.
    pub(super) async fn read<T>(
        &self,
        app: &App,
        ask: impl Fn(Arc<JobManager>) -> Asking<'static, T> + Send,
    ) -> Option<Result<T>> {
        let manager = match self.manager(app) {
            Ok(manager) => manager?,
            Err(error) => return Some(Err(error)),
        };
        match ask(manager).await {
            Err(error) if error.kind() == ErrorKind::Unreachable => match proxied(&self.inner.yarn, &app.id) {
                Ok(proxy) => Some(ask(Arc::new(proxy)).await.map_err(|_| error)),
                Err(_) => Some(Err(error)),
            },
            answer => Some(answer),
        }
    }

    /// Why a run failed: its JobManager, its archive, YARN and its log are asked, in this order.
    pub(super) async fn reason(&self, run: &RunRef) -> Result<Option<Failure>> {
        let Some(mut app) = self.find(run).await? else {
            let archive = self.archive_of(run).await?;
            return Ok(archive.and_then(|archive| archive.root_cause(&run.flink_job)).map(|cause| of_cause(&cause)));
        };
        let asked = run.clone();
        let ask = move |manager: Arc<JobManager>| -> Asking<'static, Option<Failure>> {
            let run = asked.clone();
            Box::pin(async move { manager.failure(&run).await })
        };
        if let Some(answer) = self.read(&app, ask).await {
            match answer {
                Ok(Some(failure)) => return Ok(Some(failure)),
                Ok(None) => return Ok(None),
                // Perhaps it ends just now.
                Err(error) => match self.find(run).await? {
                    Some(now) if now.state.is_over() => app = now,
                    _ => return Err(error),
                },
            }
        }
        if !app.state.is_over() {
            return Ok(None);
        }
        if missed_a_file(&app) {
            self.inner.yarn.distrust_wares().await;
        }
        if let Some(cause) = self.archive_of(run).await?.and_then(|archive| archive.root_cause(&run.flink_job)) {
            return Ok(Some(of_cause(&cause)));
        }
        Ok(conclude(&app, &self.last_words(&app).await))
    }

    /// Why an application that is over has ended, by YARN and by its log; None where it ended well.
    pub(crate) async fn why_over(&self, app: &App) -> Option<Failure> {
        conclude(app, &self.last_words(app).await)
    }

    /// The JobManager's logs up to the first that names a reason, as far as anybody has them.
    async fn last_words(&self, app: &App) -> Vec<(&'static str, String)> {
        let mut logs = Vec::new();
        for file in files_to_read(app) {
            let text = self.inner.yarn.job_manager_log(app, file, LAST_WORDS).await.ok().flatten();
            let Some(text) = text.filter(|text| !text.trim().is_empty()) else { continue };
            let enough = tells(&text);
            logs.push((*file, text));
            if enough {
                break;
            }
        }
        logs
    }

    /// The restore points of a run that are on the cluster's file system now, newest first.
    pub(super) async fn points(&self, run: &RunRef) -> Result<Vec<RestorePoint>> {
        let ground = self.inner.yarn.ground().await?;
        let fs = ground.fs.as_ref();
        let app = self.find(run).await?;
        let on_disk = self.checkpoints_on_disk(fs, run).await?;
        // Where the folder of the checkpoints is seen, nothing newer exists than what is in it: the JobManager's cache
        // need not be waited out.
        let (asked, seen) = (run.clone(), on_disk.is_some());
        let ask = move |manager: Arc<JobManager>| -> Asking<'static, Vec<RestorePoint>> {
            let run = asked.clone();
            Box::pin(async move {
                if seen { manager.named_restore_points(&run).await } else { manager.restore_points(&run).await }
            })
        };
        let by_rest = match &app {
            Some(app) => self.read(app, ask).await,
            None => None,
        };
        let mut points = match by_rest {
            Some(Ok(points)) => points,
            Some(Err(error)) if self.find(run).await?.is_some_and(|now| !now.state.is_over()) => return Err(error),
            _ => match self.archive_of(run).await?.and_then(|archive| archive.checkpoints(&run.flink_job)) {
                Some(statistics) => archived(run, statistics),
                None => Vec::new(),
            },
        };
        for point in on_disk.into_iter().flatten() {
            match points.iter_mut().find(|known| known.path == point.path) {
                Some(known) => known.verification = point.verification,
                None => points.push(point),
            }
        }
        let verified: Vec<Asking<'_, Verification>> = points
            .iter()
            .map(|point| match point.verification {
                Verification::Present => std::future::ready(Ok(Verification::Present)).boxed(),
                _ => verification(fs, &point.path).boxed(),
            })
            .collect();
        let verified = futures_util::future::try_join_all(verified).await?;
        points.iter_mut().zip(verified).for_each(|(point, seen)| point.verification = seen);
        points.retain(RestorePoint::is_usable);
        points.sort_by_key(|point| std::cmp::Reverse((point.completed_at, point.checkpoint_id)));
        Ok(points)
    }

    /// The newest restore point that the JobManager tells of, else the newest on the file system.
    pub(super) async fn newest_point(&self, run: &RunRef) -> Result<Option<RestorePoint>> {
        let asked = run.clone();
        let ask = move |manager: Arc<JobManager>| -> Asking<'static, Option<RestorePoint>> {
            let run = asked.clone();
            Box::pin(async move { manager.newest_restore_point(&run).await })
        };
        if let Some(app) = self.find(run).await?
            && let Some(Ok(told)) = self.read(&app, ask).await
        {
            return Ok(told);
        }
        Ok(self.points(run).await?.into_iter().next())
    }

    /// `<checkpoint folder>/<job>/chk-<n>` with `_metadata`: what a JobManager that died told nobody. None where no such
    /// folder is on the cluster's file system.
    async fn checkpoints_on_disk(&self, fs: &dyn FileSystem, run: &RunRef) -> Result<Option<Vec<RestorePoint>>> {
        let (mut points, mut seen) = (Vec::new(), false);
        for folder in self.checkpoint_folders(run).iter().filter_map(|folder| path_of(fs, folder)) {
            let folder = format!("{folder}/{}", run.flink_job);
            for look in 0..LOOKS {
                let Some(entries) = fs.list(&folder).await? else { break };
                seen = true;
                let (complete, others) = complete_checkpoints(fs, run, &folder, &entries).await?;
                // One that was the newest can be deleted while it is looked at: the next one is complete then.
                let again = complete.is_empty() && others && look + 1 < LOOKS;
                points.extend(complete);
                if !again {
                    break;
                }
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
        }
        Ok(seen.then_some(points))
    }

    /// The logs of TaskManagers, while YARN lists their containers.
    pub(super) async fn task_manager_logs(&self, app: &App, which: Option<&str>, tail: u64) -> Result<Option<String>> {
        let yarn = &self.inner.yarn;
        let mut text = String::new();
        for attempt in yarn.rm.attempts(&app.id).await? {
            for container in yarn.rm.containers(&app.id, &attempt.app_attempt_id).await? {
                let own = container.container_id == attempt.container_id;
                // Flink calls a TaskManager on YARN by its container and its node.
                if own || which.is_some_and(|which| !which.starts_with(&container.container_id)) {
                    continue;
                }
                let node = &container.node_http_address;
                for file in yarn.container_logs(node, &container.container_id).await? {
                    if file.starts_with("taskmanager") && file.ends_with(".log") {
                        let log = yarn.container_log(node, &container.container_id, &file, tail).await?;
                        text.push_str(&log.unwrap_or_default());
                    }
                }
            }
        }
        Ok((!text.is_empty()).then_some(text))
    }
}

/// The checkpoints among `entries` that are complete, and whether there are others.
async fn complete_checkpoints(
    fs: &dyn FileSystem,
    run: &RunRef,
    folder: &str,
    entries: &[FileStatus],
) -> Result<(Vec<RestorePoint>, bool)> {
    let (mut points, mut others) = (Vec::new(), false);
    for entry in entries {
        let Some(number) = entry.name.strip_prefix("chk-").and_then(|number| number.parse().ok()) else { continue };
        let path = format!("{folder}/{}", entry.name);
        let Some(metadata) = fs.status(&format!("{path}/_metadata")).await? else {
            others = true;
            continue;
        };
        let at = jiff::Timestamp::from_millisecond(metadata.modified_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let mut point = RestorePoint::new(RestoreKind::Checkpoint, location_of(fs, &path), at);
        point.checkpoint_id = Some(number);
        point.run = Some(run.key);
        point.flink_job = Some(run.flink_job);
        point.verification = Verification::Present;
        points.push(point);
    }
    Ok((points, others))
}

fn archived(run: &RunRef, statistics: Checkpoints) -> Vec<RestorePoint> {
    let mut points = JobManager::listed_points(statistics);
    for point in &mut points {
        point.run = Some(run.key);
        point.flink_job = Some(run.flink_job);
    }
    points
}

/// Whether the `_metadata` of a restore point is on the cluster's file system.
pub(crate) async fn verification(fs: &dyn FileSystem, location: &str) -> Result<Verification> {
    let Some(path) = path_of(fs, location) else { return Ok(Verification::Unchecked) };
    Ok(match fs.status(&format!("{path}/_metadata")).await? {
        Some(_) => Verification::Present,
        None => Verification::Missing,
    })
}
