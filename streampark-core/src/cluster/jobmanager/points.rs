//! Restore points: which exist now, although the JobManager answers from a cache.

use std::path::PathBuf;
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

    /// The points of an answer, and whether the folder of the checkpoints was seen, so that nothing newer
    /// exists than they.
    async fn points_of(&self, run: &RunRef, answer: Checkpoints) -> (Vec<RestorePoint>, bool) {
        let mut points = Self::listed_points(answer);
        let checkpoint = points.iter().find(|point| point.kind == RestoreKind::Checkpoint);
        let folder = checkpoint.and_then(|point| point.path.rsplit_once('/')).map(|(folder, _)| folder.to_owned());
        let seen = match folder.filter(|_| self.shares_files()) {
            Some(folder) => timeout(FILE_TIMEOUT, checkpoints_in(&folder)).await.ok().flatten(),
            None => None,
        };
        let exact = seen.is_some();
        let unlisted = seen.into_iter().flatten().chain(self.recent_savepoint(&run.flink_job));
        for point in unlisted {
            if points.iter().all(|known| known.path != point.path) {
                points.push(point);
            }
        }
        for point in &mut points {
            point.run = Some(run.key);
            point.flink_job = Some(run.flink_job);
            point.verification = self.verify(&point.path).await;
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
    let mut found = Vec::new();
    let mut entries = tokio::fs::read_dir(folder_of(folder)?).await.ok()?;
    while let Some(entry) = entries.next_entry().await.ok()? {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(id) = name.strip_prefix("chk-").and_then(|id| id.parse().ok()) else { continue };
        let Ok(metadata) = tokio::fs::metadata(entry.path().join("_metadata")).await else { continue };
        let at = Timestamp::try_from(metadata.modified().ok()?).ok()?;
        let mut point = RestorePoint::new(RestoreKind::Checkpoint, format!("{folder}/{name}"), at);
        point.checkpoint_id = Some(id);
        found.push(point);
    }
    Some(found)
}

/// The checkpoints that lie beside `point` on this machine's file system: what a JobManager completed
/// after it was last asked, where it cannot be asked any more. None for other storage.
pub(crate) async fn siblings(point: &RestorePoint) -> Vec<RestorePoint> {
    let Some((folder, _)) = point.path.rsplit_once('/') else { return Vec::new() };
    let mut found = timeout(FILE_TIMEOUT, checkpoints_in(folder)).await.ok().flatten().unwrap_or_default();
    for beside in &mut found {
        beside.run = point.run;
        beside.flink_job = point.flink_job;
        beside.verification = Verification::Present;
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
}
