//! What is wrong with a cluster, and what to change: asked step by step instead of failing at the first.

use std::fmt;

use serde::Serialize;
use streampark_core::flink::{JobManagerMemory, MemorySize};
use streampark_core::{Error, Result};

use super::cluster::YarnCluster;
use crate::fs::Content;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// As it should be.
    Good,
    /// It works, and could surprise.
    Doubtful,
    /// Nothing can be submitted like this.
    Bad,
    /// It could not be looked at, because something before it is bad.
    Skipped,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What, in a few words.
    pub what: &'static str,
    /// How it went.
    pub finding: Finding,
    /// What was found; where it is bad, what to change.
    pub message: String,
}

/// A table of checks; `Display` prints it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// In the order in which a submission would meet them.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Whether a submission can work.
    pub fn is_good(&self) -> bool {
        self.checks.iter().all(|check| matches!(check.finding, Finding::Good | Finding::Doubtful))
    }

    fn add(&mut self, what: &'static str, finding: Finding, message: impl Into<String>) {
        self.checks.push(Check { what, finding, message: message.into() });
    }

    fn note<T>(&mut self, what: &'static str, result: Result<T>, good: impl FnOnce(&T) -> String) -> Option<T> {
        match result {
            Ok(value) => {
                let message = good(&value);
                self.add(what, Finding::Good, message);
                Some(value)
            }
            Err(error) => {
                self.add(what, Finding::Bad, error.chain());
                None
            }
        }
    }

    fn skip(&mut self, all: &[&'static str]) {
        all.iter().for_each(|what| self.add(what, Finding::Skipped, "not looked at"));
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.what.len()).max().unwrap_or(0);
        for check in &self.checks {
            let word = match check.finding {
                Finding::Good => "good",
                Finding::Doubtful => "doubtful",
                Finding::Bad => "BAD",
                Finding::Skipped => "-",
            };
            writeln!(f, "{:width$}  {word:8}  {}", check.what, check.message)?;
        }
        Ok(())
    }
}

const WHO: &str = "Kerberos";
const RM: &str = "ResourceManager";
const SUBMISSIONS: &str = "submissions by REST";
const QUEUE: &str = "queue";
const NODES: &str = "nodes";
const MEMORY: &str = "memory";
const FILES: &str = "file system";
const STAGING: &str = "staging folder";
const CLOCK: &str = "clock";
const HADOOP: &str = "Hadoop class path";
const FLINK: &str = "Flink";

impl YarnCluster {
    /// Walks through all that a submission needs. Writes one small file and removes it, and takes one
    /// application id; starts nothing.
    pub async fn diagnose(&self) -> Diagnosis {
        let mut told = Diagnosis::default();
        let yarn = &self.inner.yarn;
        match yarn.http.authenticator.describe().await {
            Ok(None) => {}
            Ok(Some(who)) => told.add(WHO, Finding::Good, who),
            Err(error) => {
                told.add(WHO, Finding::Bad, error.chain());
                told.skip(&[RM, SUBMISSIONS, QUEUE, NODES, MEMORY, FILES, STAGING, CLOCK, HADOOP, FLINK]);
                return told;
            }
        }
        let info = told.note(RM, yarn.rm.active_info().await, |info| {
            format!(
                "{} is active, Hadoop {}, asked as {}",
                yarn.rm.base(),
                info.resource_manager_version,
                yarn.http.identity()
            )
        });
        if info.is_none() {
            told.skip(&[SUBMISSIONS, QUEUE, NODES, MEMORY, FILES, STAGING, CLOCK, HADOOP, FLINK]);
            return told;
        }
        let id = told.note(SUBMISSIONS, yarn.rm.new_application().await, |new| {
            format!("taken; the newest id is {}", new.application_id)
        });
        self.look_at_queue(&mut told).await;
        let nodes = told.note(NODES, yarn.rm.nodes().await, |nodes| format!("{} run", nodes.len())).unwrap_or_default();
        if nodes.is_empty() {
            told.add(NODES, Finding::Bad, "no node runs, so nothing can start; start NodeManagers");
        }
        match &id {
            Some(new) => self.look_at_memory(&mut told, new.maximum_resource_capability.memory),
            None => told.skip(&[MEMORY]),
        }
        let Some(ground) =
            told.note(FILES, yarn.ground().await, |ground| format!("{}, home {}", ground.default_fs, ground.home))
        else {
            told.skip(&[STAGING, CLOCK, HADOOP, FLINK]);
            return told;
        };
        let written = self.write_and_remove().await;
        match told.note(STAGING, written, |_| format!("{}/.flink can be written", ground.home)) {
            Some(skew) if skew.abs() > 60_000 => told.add(
                CLOCK,
                Finding::Doubtful,
                format!(
                    "the cluster's clock is {} s {} ours; set both by a time server",
                    skew.abs() / 1000,
                    if skew > 0 { "ahead of" } else { "behind" }
                ),
            ),
            Some(skew) => told.add(CLOCK, Finding::Good, format!("within {} ms of ours", skew.abs())),
            None => told.skip(&[CLOCK]),
        }
        match &ground.class_path {
            Some(entries) => told.add(HADOOP, Finding::Good, entries.join(":")),
            None => told.add(
                HADOOP,
                Finding::Doubtful,
                "yarn.application.classpath is not known, so Hadoop's default is used; give a Hadoop configuration folder",
            ),
        }
        told.note(FLINK, yarn.wares_for_plan().await, |(wares, note)| match note {
            Some(note) => format!("{}; {note}", wares.version),
            None => format!("{} in {}", wares.version, wares.provided.folders.join(", ")),
        });
        told
    }

    async fn look_at_queue(&self, told: &mut Diagnosis) {
        let Some(wanted) = self.options().queue.clone() else {
            return told.add(QUEUE, Finding::Good, "none is named: the cluster chooses");
        };
        let queues = match self.inner.yarn.rm.queues().await {
            Ok(queues) => queues,
            Err(error) => return told.add(QUEUE, Finding::Doubtful, error.chain()),
        };
        let named = |path: &str| {
            path == wanted || path.strip_prefix("root.") == Some(&wanted) || path.rsplit('.').next() == Some(&wanted)
        };
        let leaves: Vec<&str> = queues.iter().filter(|queue| queue.leaf).map(|queue| queue.path.as_str()).collect();
        match queues.iter().find(|queue| named(&queue.path)) {
            None => told.add(
                QUEUE,
                Finding::Bad,
                format!("'{wanted}' does not exist; the cluster has {}", leaves.join(", ")),
            ),
            Some(queue) if !queue.leaf => {
                told.add(
                    QUEUE,
                    Finding::Bad,
                    format!("'{wanted}' has queues below it; choose one of {}", leaves.join(", ")),
                );
            }
            Some(queue) if !queue.running => {
                told.add(QUEUE, Finding::Bad, format!("'{wanted}' is stopped and takes no applications"))
            }
            Some(queue) => told.add(QUEUE, Finding::Good, queue.path.clone()),
        }
    }

    fn look_at_memory(&self, told: &mut Diagnosis, largest_mb: i64) {
        let mut config = self.options().flink.clone();
        config.set_default("jobmanager.memory.process.size", "1600m");
        let version = self.inner.yarn.known_version().unwrap_or(streampark_core::flink::FlinkVersion::new(1, 20));
        match JobManagerMemory::from_config(&config, &version) {
            Err(error) => told.add(MEMORY, Finding::Bad, error.chain()),
            Ok(memory) => {
                let (needed, largest) = (mebibytes(memory.process), u64::try_from(largest_mb).unwrap_or(0));
                let (finding, more) = if needed > largest {
                    (
                        Finding::Bad,
                        "; lower jobmanager.memory.process.size, or raise yarn.scheduler.maximum-allocation-mb",
                    )
                } else {
                    (Finding::Good, "")
                };
                told.add(
                    MEMORY,
                    finding,
                    format!("a JobManager takes {needed} MiB, the largest container has {largest} MiB{more}"),
                );
            }
        }
    }

    /// How far the cluster's clock is ahead of ours, in milliseconds, by the time of a file.
    async fn write_and_remove(&self) -> Result<i64> {
        let ground = self.inner.yarn.ground().await?;
        let folder = format!("{}/.flink", ground.home);
        let file = format!("{folder}/.streampark-{}", std::process::id());
        ground.fs.make_folder(&folder, 0o700).await?;
        ground.fs.write(&file, Content::Bytes("written by a check, and removed".into()), 0o600, None).await?;
        let now = jiff::Timestamp::now().as_millisecond();
        let status = ground.fs.status(&file).await?;
        ground.fs.remove(&file).await?;
        let status = status.ok_or_else(|| Error::not_found("a file that was just written is not there"))?;
        Ok(status.modified_ms - now)
    }
}

fn mebibytes(size: MemorySize) -> u64 {
    size.bytes() >> 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_for_people() {
        let mut told = Diagnosis::default();
        told.add(RM, Finding::Good, "http://rm:8088/ is active");
        told.add(QUEUE, Finding::Bad, "'x' does not exist");
        assert_eq!(
            told.to_string(),
            "ResourceManager  good      http://rm:8088/ is active\nqueue            BAD       'x' does not exist\n"
        );
        assert!(!told.is_good());
    }
}
