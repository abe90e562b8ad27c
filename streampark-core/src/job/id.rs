//! Who a job and a run are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::flink::FlinkJobId;
use crate::{Error, Result};

/// Identity of a job: chosen once when it is created, kept over renames and upgrades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl JobId {
    /// A new identity; later ones sort after earlier ones (UUID version 7).
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The identity made of these 128 bits.
    pub fn from_u128(value: u128) -> Self {
        Self(Uuid::from_u128(value))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for JobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Uuid::parse_str(text).map(Self).map_err(|_| {
            Error::invalid(format!(
                "'{text}' is not a job id; it is a UUID such as 0198c0de-7a11-7000-8000-000000000001"
            ))
        })
    }
}

/// Counts the submissions of a job: 1 for the first run, never reused.
pub type Generation = u64;

/// Identity of a run: which job, and the how-manieth submission of it.
///
/// Everything that an engine needs to recognise a run is derived from it, so that a submission
/// whose answer was lost can be looked for and a second one collides with the first:
/// Flink's JobID ([`flink_job_id`](Self::flink_job_id)), a tag for YARN ([`tag`](Self::tag)) and a
/// name for Kubernetes ([`cluster_id`](Self::cluster_id)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunKey {
    /// The job.
    pub job: JobId,
    /// Which submission of it.
    pub generation: Generation,
}

impl RunKey {
    /// The run `generation` of `job`.
    pub fn new(job: JobId, generation: Generation) -> Self {
        Self { job, generation }
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"streampark run 1\0");
        hash.update(self.job.0.as_bytes());
        hash.update(self.generation.to_be_bytes());
        hash.finalize().into()
    }

    /// Flink's JobID of this run: 128 bits of SHA-256 over job and generation.
    pub fn flink_job_id(&self) -> FlinkJobId {
        FlinkJobId::from_hash(&self.digest())
    }

    /// A tag for engines that label their applications: ASCII, lower case, at most 100 characters,
    /// which is what YARN stores unchanged.
    pub fn tag(&self) -> String {
        format!("streampark-{}-{}", self.job.0.simple(), self.generation)
    }

    /// A DNS label of at most 45 characters, the limit of Flink's `kubernetes.cluster-id`.
    pub fn cluster_id(&self) -> String {
        format!("sp-{}", hex::encode(&self.digest()[..16]))
    }

    /// The run that carries `tag`, where it is one of ours.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let (job, generation) = tag.strip_prefix("streampark-")?.rsplit_once('-')?;
        Some(Self { job: JobId(Uuid::try_parse(job).ok()?), generation: generation.parse().ok()? })
    }
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.job, self.generation)
    }
}

impl FromStr for RunKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let error = || Error::invalid(format!("'{text}' is not a run; it is written JOB-ID/GENERATION"));
        let (job, generation) = text.split_once('/').ok_or_else(error)?;
        Ok(Self { job: job.parse()?, generation: generation.parse().map_err(|_| error())? })
    }
}

impl Serialize for RunKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What an engine calls the place in which a run lives: YARN's application id, a Kubernetes
/// cluster-id. Session clusters have none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeploymentId(String);

impl DeploymentId {
    /// Takes the engine's own text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The engine's own text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All that a cluster needs to find a run again: its key, Flink's JobID and, where there is one,
/// the deployment.
///
/// The JobID is the derived one, except for a job that somebody else started and we adopted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunRef {
    /// The run.
    pub key: RunKey,
    /// Flink's JobID of the run.
    pub flink_job: FlinkJobId,
    /// The engine's place of the run, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentId>,
}

impl RunRef {
    /// A run with the JobID derived from its key.
    pub fn new(key: RunKey) -> Self {
        Self { key, flink_job: key.flink_job_id(), deployment: None }
    }

    /// Sets Flink's JobID: for adopted jobs.
    #[must_use]
    pub fn with_flink_job(mut self, flink_job: FlinkJobId) -> Self {
        self.flink_job = flink_job;
        self
    }

    /// Sets the deployment.
    #[must_use]
    pub fn with_deployment(mut self, deployment: Option<DeploymentId>) -> Self {
        self.deployment = deployment;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_differ_by_generation_and_survive_text() {
        let job = JobId::from_u128(7);
        let (first, second) = (RunKey::new(job, 1), RunKey::new(job, 2));
        assert_ne!(first.flink_job_id(), second.flink_job_id());
        assert_eq!(first.to_string().parse::<RunKey>().unwrap(), first);
        assert_eq!(RunKey::from_tag(&second.tag()), Some(second));
        assert_eq!(RunKey::from_tag("streampark-x-1"), None);
    }

    #[test]
    fn names_fit_their_engines() {
        let key = RunKey::new(JobId::from_u128(u128::MAX), u64::MAX);
        assert!(key.tag().len() <= 100 && key.tag() == key.tag().to_ascii_lowercase());
        assert!(key.cluster_id().len() <= 45);
    }

    #[test]
    fn the_derivation_never_changes() {
        let key = RunKey::new(JobId::from_u128(1), 1);
        assert_eq!(key.flink_job_id().to_string(), "8f0e9bbe2ebaa14bf723d553c758d85c");
    }
}
