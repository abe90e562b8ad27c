//! Restore points: which exist now, although the JobManager answers from a cache.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};

use super::JobManager;
use super::words::time;
use crate::flink::FlinkJobId;
use crate::flink::rest::Checkpoints;
use crate::job::{RestoreKind, RestorePoint, RunRef, Verification};
use crate::{ErrorKind, Result};

/// How long a file system may take to say whether a file is there: a network mount can hang.
const FILE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a folder of checkpoints is looked at where none in it is complete, and the wait in between.
const LOOKS: usize = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

impl JobManager {
    /// The restore points of a run that exist now, newest first.
    ///
    /// The JobManager may answer from a cache that anybody's question filled up to 3 s ago
    /// (`rest.cache.checkpoint-statistics.timeout`). Where its storage is seen from here, the folder of
    /// the checkpoints tells what exists; else this waits until the cache has forgotten what was before
    /// the end of the run, or before this call where it runs.
    ///
    /// Assumes that the clocks of both machines agree within a second, where the run is over.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn restore_points(&self, run: &RunRef) -> Result<Vec<RestorePoint>> {
        self.learn().await?;
        let (asked, (_, cache)) = (Instant::now(), self.caches());
        let Some(answer) = self.statistics(&run.flink_job).await? else { return Ok(Vec::new()) };
        let (points, exact) = self.points_of(run, answer).await;
        if exact {
            return Ok(points);
        }
        let jobs = self.rest().jobs().await?;
        let ended = jobs.iter().find(|job| job.jid == run.flink_job).and_then(|job| time(job.end_time));
        let since_end = ended.map(|at| Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default());
        let wait = cache.saturating_sub(since_end.unwrap_or_default().max(asked.elapsed()));
        if wait.is_zero() {
            return Ok(points);
        }
        sleep(wait).await;
        match self.statistics(&run.flink_job).await? {
            Some(answer) => Ok(self.points_of(run, answer).await.0),
            None => Ok(Vec::new()),
        }
    }

    /// The restore points of a run that Flink's statistics of checkpoints name, in one request: maybe those of 3 s ago
    /// (`rest.cache.checkpoint-statistics.timeout`), and not looked for. For those who see the checkpoints themselves.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn named_restore_points(&self, run: &RunRef) -> Result<Vec<RestorePoint>> {
        let mut points = self.statistics(&run.flink_job).await?.map(Self::listed_points).unwrap_or_default();
        let own = self.recent_savepoint(&run.flink_job);
        points.extend(own.filter(|own| points.iter().all(|point| point.path != own.path)));
        for point in &mut points {
            point.run = Some(run.key);
            point.flink_job = Some(run.flink_job);
        }
        Ok(points)
    }

    /// The newest of [`named_restore_points`](Self::named_restore_points).
    ///
    /// # Errors
    /// Those of the client.
    pub async fn newest_restore_point(&self, run: &RunRef) -> Result<Option<RestorePoint>> {
        let named = self.named_restore_points(run).await?;
        Ok(named.into_iter().max_by_key(|point| (point.completed_at, point.checkpoint_id)))
    }

    /// None where the job is unknown or makes no checkpoints.
    async fn statistics(&self, job: &FlinkJobId) -> Result<Option<Checkpoints>> {
        match self.rest().checkpoints(job).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// The restore points that Flink's statistics of checkpoints name, none of them looked for.
    pub fn listed_points(statistics: Checkpoints) -> Vec<RestorePoint> {
        let latest = [statistics.latest.completed, statistics.latest.savepoint];
        let mut points: Vec<RestorePoint> = Vec::new();
        for checkpoint in latest.into_iter().flatten().chain(statistics.history) {
            let Some(path) = checkpoint.usable_path() else { continue };
            if points.iter().any(|point| point.path == path) {
                continue;
            }
            let kind = if checkpoint.is_savepoint { RestoreKind::Savepoint } else { RestoreKind::Checkpoint };
            let at = checkpoint.latest_ack_timestamp.max(checkpoint.trigger_timestamp);
            let mut point = RestorePoint::new(kind, path, time(at).unwrap_or(Timestamp::UNIX_EPOCH));
            point.checkpoint_id = u64::try_from(checkpoint.id).ok();
            point.size_bytes = u64::try_from(checkpoint.state_size).ok();
            points.push(point);
        }
        points
    }

    /// The points of an answer, and whether complete checkpoints were seen in their folder, so that nothing
    /// newer exists than they.
    async fn points_of(&self, run: &RunRef, answer: Checkpoints) -> (Vec<RestorePoint>, bool) {
        let mut points = Self::listed_points(answer);
        let checkpoint = points.iter().find(|point| point.kind == RestoreKind::Checkpoint);
        let folder = checkpoint.and_then(|point| point.path.rsplit_once('/')).map(|(folder, _)| folder.to_owned());
        let seen = match folder.filter(|_| self.shares_files()) {
            Some(folder) => timeout(FILE_TIMEOUT, checkpoints_in(&folder)).await.ok().flatten(),
            None => None,
        };
        let exact = seen.as_ref().is_some_and(|seen| !seen.is_empty());
        for point in seen.into_iter().flatten().chain(self.recent_savepoint(&run.flink_job)) {
            match points.iter_mut().find(|known| known.path == point.path) {
                Some(known) => known.verification = point.verification,
                None => points.push(point),
            }
        }
        for point in &mut points {
            point.run = Some(run.key);
            point.flink_job = Some(run.flink_job);
            // The newest of all can be deleted a moment after it was seen: it is not looked for twice.
            if point.verification != Verification::Present {
                point.verification = self.verify(&point.path).await;
            }
        }
        points.retain(RestorePoint::is_usable);
        points.sort_by_key(|point| std::cmp::Reverse((point.completed_at, point.checkpoint_id)));
        (points, exact)
    }

    /// Whether the `_metadata` of a restore point is there, where `path` is one of this machine.
    pub async fn verify(&self, path: &str) -> Verification {
        let Some(folder) = folder_of(path) else { return Verification::Unchecked };
        match timeout(FILE_TIMEOUT, tokio::fs::metadata(folder.join("_metadata"))).await {
            Ok(Ok(_)) => Verification::Present,
            // On another machine the same path can be another folder.
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound && self.shares_files() => {
                Verification::Missing
            }
            _ => Verification::Unchecked,
        }
    }
}

/// The folder of a restore point on this machine; None for storage of another scheme. Flink takes the
/// path of `_metadata` itself as well.
fn folder_of(path: &str) -> Option<PathBuf> {
    let local = path.strip_prefix("file:").map(|rest| format!("/{}", rest.trim_start_matches('/')));
    let local = local.or_else(|| path.starts_with('/').then(|| path.to_owned()))?;
    Some(PathBuf::from(local.strip_suffix("/_metadata").unwrap_or(&local)))
}

/// The complete checkpoints in the folder of a job; None where it cannot be seen from here. Flink puts
/// `_metadata` there in one step, when all else is written.
async fn checkpoints_in(folder: &str) -> Option<Vec<RestorePoint>> {
    let place = folder_of(folder)?;
    let mut look = 1;
    loop {
        let (found, others) = complete_checkpoints(folder, &place).await?;
        // One that was the newest can be deleted while it is looked at: the next one is complete then.
        if !found.is_empty() || !others || look == LOOKS {
            return Some(found);
        }
        look += 1;
        sleep(BETWEEN_LOOKS).await;
    }
}

/// The checkpoints in `place` that are complete, and whether there are others.
async fn complete_checkpoints(folder: &str, place: &Path) -> Option<(Vec<RestorePoint>, bool)> {
    let (mut found, mut others) = (Vec::new(), false);
    let mut entries = tokio::fs::read_dir(place).await.ok()?;
    while let Some(entry) = entries.next_entry().await.ok()? {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(id) = name.strip_prefix("chk-").and_then(|id| id.parse().ok()) else { continue };
        let Ok(metadata) = tokio::fs::metadata(entry.path().join("_metadata")).await else {
            others = true;
            continue;
        };
        let at = Timestamp::try_from(metadata.modified().ok()?).ok()?;
        let mut point = RestorePoint::new(RestoreKind::Checkpoint, format!("{folder}/{name}"), at);
        point.checkpoint_id = Some(id);
        point.verification = Verification::Present;
        found.push(point);
    }
    Some((found, others))
}

/// The checkpoints that lie beside `point` on this machine's file system: what a JobManager completed
/// after it was last asked, where it cannot be asked any more. None for other storage.
pub(crate) async fn siblings(point: &RestorePoint) -> Vec<RestorePoint> {
    let Some((folder, _)) = point.path.rsplit_once('/') else { return Vec::new() };
    let mut found = timeout(FILE_TIMEOUT, checkpoints_in(folder)).await.ok().flatten().unwrap_or_default();
    for beside in &mut found {
        beside.run = point.run;
        beside.flink_job = point.flink_job;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flink::RestClient;

    #[tokio::test]
    async fn a_path_of_another_machine_is_not_called_missing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("_metadata"), "").unwrap();
        let there = format!("file:{}", folder.path().display());
        let gone = format!("{there}/chk-1");
        let foreign = JobManager::new(RestClient::connect_to("http://127.0.0.1:9/").unwrap());
        assert_eq!(foreign.verify(&there).await, Verification::Present);
        assert_eq!(
            foreign.verify(&format!("file://{}/_metadata", folder.path().display())).await,
            Verification::Present
        );
        assert_eq!(foreign.verify(&gone).await, Verification::Unchecked);
        assert_eq!(foreign.verify("hdfs://nn/chk-1").await, Verification::Unchecked);
        let own = foreign.sharing_files(true);
        assert_eq!(own.verify(&gone).await, Verification::Missing);
        assert_eq!(own.verify("s3://bucket/chk-1").await, Verification::Unchecked);
    }

    #[tokio::test]
    async fn an_incomplete_checkpoint_is_none() {
        let folder = tempfile::tempdir().unwrap();
        for (name, complete) in [("chk-2", true), ("chk-10", true), ("chk-11", false), ("shared", true)] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            if complete {
                std::fs::write(folder.path().join(name).join("_metadata"), "").unwrap();
            }
        }
        let place = format!("file:{}", folder.path().display());
        let mut found = checkpoints_in(&place).await.unwrap();
        found.sort_by_key(|point| point.checkpoint_id);
        let paths: Vec<_> = found.iter().map(|point| point.path.clone()).collect();
        assert_eq!(paths, [format!("{place}/chk-2"), format!("{place}/chk-10")]);
        assert_eq!(checkpoints_in("hdfs://nn/checkpoints").await, None);
        assert_eq!(checkpoints_in(&format!("{place}/none")).await, None);
    }
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_checkpoint_deleted_while_it_is_looked_at_hides_none() {
        use std::sync::atomic::{AtomicBool, Ordering};

        let folder = tempfile::tempdir().unwrap();
        let complete = |root: &Path, number: u64| {
            let checkpoint = root.join(format!("chk-{number}"));
            std::fs::create_dir(&checkpoint).unwrap();
            std::thread::yield_now();
            std::fs::write(checkpoint.join("_metadata"), "").unwrap();
        };
        complete(folder.path(), 1);
        let over = std::sync::Arc::new(AtomicBool::new(false));
        let (root, stopped) = (folder.path().to_owned(), over.clone());
        let engine = std::thread::spawn(move || {
            let mut newest = 1;
            while !stopped.load(Ordering::Relaxed) {
                complete(&root, newest + 1);
                std::fs::remove_dir_all(root.join(format!("chk-{newest}"))).unwrap();
                newest += 1;
                // Far less than the shortest interval of checkpoints, far more than a look takes.
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        let place = format!("file:{}", folder.path().display());
        let (mut empty, mut last) = (0, None);
        for _ in 0..5_000 {
            let found = checkpoints_in(&place).await.unwrap();
            let newest = found.iter().filter_map(|point| point.checkpoint_id).max();
            empty += usize::from(newest.is_none());
            assert!(newest.is_none() || newest >= last, "{newest:?} after {last:?}");
            last = newest.max(last);
        }
        over.store(true, Ordering::Relaxed);
        engine.join().unwrap();
        assert_eq!(empty, 0, "there was a complete checkpoint at every moment");
    }
}
