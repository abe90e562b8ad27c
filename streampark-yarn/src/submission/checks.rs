//! What YARN would refuse, or take in silence and do otherwise: said before anything is uploaded.

use streampark_core::flink::{FlinkConfig, FlinkVersion, JobManagerMemory, MemorySize, TaskManagerMemory};
use streampark_core::{Error, Result};

use super::config::number;
use super::request::{Deploy, Request};
use crate::facts::ResourceLimits;

/// `YarnConfiguration.APPLICATION_MAX_TAGS` and `APPLICATION_MAX_TAG_LENGTH`.
const MAX_TAGS: usize = 10;
const MAX_TAG_LENGTH: usize = 100;

/// The application's tags: that of the run, those of the cluster's options, `yarn.tags`, then as many
/// labels of the job as fit.
pub(super) fn tags(request: &Request<'_>, config: &FlinkConfig, notes: &mut Vec<String>) -> Result<Vec<String>> {
    let mut tags: Vec<String> = Vec::new();
    let mut wanted: Vec<String> = request.options.tags.clone();
    // `YarnClusterDescriptor.setApplicationTags`.
    wanted.extend(config.get("yarn.tags").unwrap_or_default().split(',').map(|tag| tag.trim().to_owned()));
    if let Deploy::Application(submission) = request.deploy {
        wanted.insert(0, submission.run.key.tag());
    }
    for tag in wanted {
        if tag.is_empty() || tags.contains(&tag) {
            continue;
        }
        check_tag(&tag)?;
        tags.push(tag);
    }
    if tags.len() > MAX_TAGS {
        return Err(Error::invalid(format!(
            "the application would have {} tags ({}), and YARN takes {MAX_TAGS}; shorten yarn.tags",
            tags.len(),
            tags.join(", ")
        )));
    }
    if let Deploy::Application(submission) = request.deploy {
        let mut left_out = Vec::new();
        for (key, value) in &submission.labels {
            let tag = format!("{key}={value}").to_lowercase();
            if tags.len() < MAX_TAGS && check_tag(&tag).is_ok() {
                tags.push(tag);
            } else {
                left_out.push(key.as_str());
            }
        }
        if !left_out.is_empty() {
            notes.push(format!(
                "labels that are no tags of the application, because YARN takes {MAX_TAGS} tags of {MAX_TAG_LENGTH} ASCII \
                 characters: {}",
                left_out.join(", ")
            ));
        }
    }
    Ok(tags)
}

fn check_tag(tag: &str) -> Result<()> {
    if !tag.is_ascii() {
        return Err(Error::invalid(format!(
            "the YARN tag '{tag}' is not ASCII, and YARN takes nothing else; rename it"
        )));
    }
    if tag.len() > MAX_TAG_LENGTH {
        return Err(Error::invalid(format!(
            "the YARN tag '{tag}' has {} characters, and YARN takes {MAX_TAG_LENGTH}; shorten it",
            tag.len()
        )));
    }
    if tag.contains(',') {
        return Err(Error::invalid(format!(
            "the YARN tag '{tag}' holds a comma, which parts tags in YARN's reports; write it without"
        )));
    }
    let lower = tag.to_ascii_lowercase();
    if lower != tag {
        return Err(Error::invalid(format!(
            "the YARN tag '{tag}' has upper-case letters, and YARN stores lower case; write '{lower}'"
        )));
    }
    Ok(())
}

/// `Utils.setAclsFor`, since 1.18.
pub(super) fn acls(config: &FlinkConfig, version: &FlinkVersion) -> Result<Vec<(&'static str, String)>> {
    let mut acls = Vec::new();
    for (key, kind) in [("yarn.view.acls", "VIEW_APP"), ("yarn.modify.acls", "MODIFY_APP")] {
        let Some(who) = config.get(key).filter(|who| !who.is_empty()) else { continue };
        version.require(key, 1, 18)?;
        if who.contains('*') && who != "*" {
            return Err(Error::invalid(format!(
                "{key} is '{who}': the only wildcard is '*' alone; else write users and groups as 'user1,user2 group1'"
            )));
        }
        acls.push((kind, who.to_owned()));
    }
    Ok(acls)
}

/// The JobManager's container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) memory_mb: u64,
    pub(super) v_cores: u32,
}

/// The size of the JobManager's container, and whether it and the TaskManagers' fit
/// (`YarnClusterDescriptor.validateClusterResources`, `isReadyForDeployment`).
pub(super) fn container(
    config: &FlinkConfig,
    version: &FlinkVersion,
    memory: &JobManagerMemory,
    limits: &ResourceLimits,
) -> Result<Container> {
    let task_manager = TaskManagerMemory::from_config(config, version)?;
    let memory_mb = memory.process.mebibytes().max(limits.min_allocation_mb);
    for (who, needed, keys) in [
        ("JobManager", memory_mb, "jobmanager.memory.process.size"),
        ("TaskManager", task_manager.process.mebibytes(), "taskmanager.memory.process.size"),
    ] {
        if needed > limits.max_memory_mb {
            return Err(Error::invalid(format!(
                "the {who} needs a container of {}, and the largest that YARN gives here has {}; lower {keys}, or raise \
                 yarn.scheduler.maximum-allocation-mb",
                MemorySize::from_mebibytes(needed),
                MemorySize::from_mebibytes(limits.max_memory_mb)
            )));
        }
    }
    let v_cores = number(config, "yarn.appmaster.vcores", 1)?;
    let per_task_manager = match number(config, "yarn.containers.vcores", -1_i64)? {
        asked if asked >= 0 => u32::try_from(asked).unwrap_or(u32::MAX),
        _ => task_manager.slots,
    };
    for (who, needed, keys) in [
        ("JobManager", v_cores, "yarn.appmaster.vcores"),
        ("TaskManager", per_task_manager, "yarn.containers.vcores or taskmanager.numberOfTaskSlots"),
    ] {
        if needed > limits.max_vcores {
            return Err(Error::invalid(format!(
                "the {who} needs {needed} virtual cores, and the largest container that YARN gives here has {}; lower {keys}",
                limits.max_vcores
            )));
        }
    }
    Ok(Container { memory_mb, v_cores })
}
