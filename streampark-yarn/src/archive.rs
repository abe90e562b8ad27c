//! The jobs that a JobManager wrote down when they ended (`jobmanager.archive.fs.dir`).

use serde::Deserialize;
use serde::de::DeserializeOwned;
use streampark_core::Result;
use streampark_core::flink::rest::{Checkpoints, JobExceptions, JobStatus};
use streampark_core::flink::{FlinkJobId, RootCause};

use crate::fs::FileSystem;
use crate::provided::walk;

/// An archive is read up to this size.
const MAX_BYTES: u64 = 32 << 20;

/// What a JobManager wrote down of one job, as it would have answered by REST.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    path: String,
    json: String,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    archive: Vec<Entry>,
}

impl Archive {
    /// Reads what lies below `folder` about `job`; None where there is nothing.
    ///
    /// Flink 1.x writes one file per job; since 2.2 there is a folder per cluster and application, and
    /// what `main` threw stands beside its jobs.
    pub(crate) async fn read(fs: &dyn FileSystem, folder: &str, job: &FlinkJobId) -> Result<Option<Self>> {
        let Some(all) = walk(fs, folder).await? else { return Ok(None) };
        let id = job.to_string();
        let mut archive = Self::default();
        for (relative, file) in all.iter().filter(|(_, file)| !file.folder) {
            let name = relative.rsplit('/').next().unwrap_or_default();
            if (name != id && name != "application-summary") || file.size > MAX_BYTES {
                continue;
            }
            let bytes = fs.read(&format!("{folder}/{relative}"), 0, MAX_BYTES).await?;
            // A JobManager that was killed while it wrote leaves a part of a file.
            if let Ok(file) = serde_json::from_slice::<File>(&bytes) {
                archive.entries.extend(file.archive);
            }
        }
        Ok((!archive.entries.is_empty()).then_some(archive))
    }

    fn get<T: DeserializeOwned>(&self, matches: impl Fn(&str) -> bool) -> Option<T> {
        let mut entries = self.entries.iter().filter(|entry| matches(&entry.path));
        entries.find_map(|entry| serde_json::from_str(&entry.json).ok())
    }

    /// Why the job failed, or what `main` threw.
    pub(crate) fn root_cause(&self, job: &FlinkJobId) -> Option<RootCause> {
        let of_job = self.get::<JobExceptions>(|path| path == format!("/jobs/{job}/exceptions"));
        let cause = |exceptions: JobExceptions| {
            exceptions.root.or_else(|| exceptions.history.into_iter().next().map(|entry| entry.cause))
        };
        of_job.and_then(cause).or_else(|| {
            self.get::<JobExceptions>(|path| path.starts_with("/applications/") && path.ends_with("/exceptions"))
                .and_then(cause)
        })
    }

    /// The statistics of its checkpoints.
    pub(crate) fn checkpoints(&self, job: &FlinkJobId) -> Option<Checkpoints> {
        self.get(|path| path == format!("/jobs/{job}/checkpoints"))
    }

    /// How the job ended.
    pub(crate) fn status(&self, job: &FlinkJobId) -> Option<JobStatus> {
        #[derive(Deserialize)]
        struct Detail {
            state: JobStatus,
        }
        self.get::<Detail>(|path| path == format!("/jobs/{job}")).map(|detail| detail.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Content, SharedFolder};

    #[tokio::test]
    async fn both_layouts_give_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let fs = SharedFolder::new(folder.path(), "hdfs://nn:8020", "alice");
        let job = FlinkJobId::from_hash(b"0123456789abcdef0123456789abcdef");
        let exceptions = |root: &str| serde_json::json!({"root-exception": root, "timestamp": 5}).to_string();
        let file = serde_json::json!({"archive": [
            {"path": format!("/jobs/{job}"), "json": "{\"state\":\"FAILED\"}"},
            {"path": format!("/jobs/{job}/exceptions"), "json": exceptions("java.io.IOException: disk full\n\tat a.B.c(B.java:1)\n")}]});
        fs.write(&format!("/one/{job}"), Content::Bytes(file.to_string().into()), 0o600, None).await.unwrap();
        let archive = Archive::read(&fs, "/one", &job).await.unwrap().unwrap();
        assert_eq!(archive.root_cause(&job).unwrap().one_line(), "IOException: disk full");
        assert_eq!(archive.status(&job), Some(JobStatus::Failed));
        let summary = serde_json::json!({"archive": [
            {"path": "/applications/abc/exceptions", "json": exceptions("java.lang.IllegalStateException: no topic\n")}]});
        let place = "/two/cluster/applications/abc/application-summary";
        fs.write(place, Content::Bytes(summary.to_string().into()), 0o600, None).await.unwrap();
        let archive = Archive::read(&fs, "/two", &job).await.unwrap().unwrap();
        assert_eq!(archive.root_cause(&job).unwrap().one_line(), "IllegalStateException: no topic");
        assert!(Archive::read(&fs, "/three", &job).await.unwrap().is_none());
    }
}
