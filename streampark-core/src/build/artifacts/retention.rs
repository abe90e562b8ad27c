//! What is kept, and what may go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::{ArtifactFilter, ArtifactStore, blob, document_key};
use crate::Result;
use crate::build::Artifact;

/// How many artifacts are kept, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArtifactRetention {
    /// The newest of each module are kept, however old: 10.
    pub keep: usize,
    /// Others go when they are older than this: 30 days.
    pub max_age: Duration,
}

impl Default for ArtifactRetention {
    fn default() -> Self {
        Self { keep: 10, max_age: Duration::from_secs(30 * 24 * 3600) }
    }
}

/// What a clean-up removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Pruned {
    /// Artifacts that went.
    pub artifacts: Vec<String>,
    /// Bytes that were let go.
    pub bytes: u64,
}

impl ArtifactStore {
    /// Removes what is old and not needed. An artifact whose id is in `in_use` stays, and so does every file of it:
    /// name there what runs, and what a roll-back would need.
    ///
    /// # Errors
    /// Those of the folder or object store.
    pub async fn prune(
        &self,
        retention: &ArtifactRetention,
        in_use: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Pruned> {
        let all = self.list(&ArtifactFilter::default()).await?;
        let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let (mut kept, mut gone): (Vec<&Artifact>, Vec<&Artifact>) = (Vec::new(), Vec::new());
        for artifact in &all {
            let count = seen.entry((&artifact.project, &artifact.module)).or_default();
            *count += 1;
            let age = now.duration_since(artifact.built_at).unsigned_abs();
            let old = now > artifact.built_at && age > retention.max_age;
            let stays = in_use.contains(&artifact.id) || *count <= retention.keep || !old;
            if stays { kept.push(artifact) } else { gone.push(artifact) }
        }
        let needed: BTreeSet<&str> =
            kept.iter().flat_map(|artifact| hashes(artifact)).map(|(sha256, _)| sha256).collect();
        let mut pruned = Pruned::default();
        let mut removed = BTreeSet::new();
        for artifact in gone {
            // The document goes first: what it names is then asked of nobody.
            self.remove(&document_key(artifact)).await?;
            for (sha256, size) in hashes(artifact) {
                if !needed.contains(sha256) && removed.insert(sha256) {
                    self.remove(&blob(sha256)).await?;
                    pruned.bytes += size;
                }
            }
            pruned.artifacts.push(artifact.id.clone());
        }
        Ok(pruned)
    }
}

fn hashes(artifact: &Artifact) -> impl Iterator<Item = (&str, u64)> {
    std::iter::once(&artifact.job_jar).chain(&artifact.files).map(|file| (file.sha256.as_str(), file.size))
}
