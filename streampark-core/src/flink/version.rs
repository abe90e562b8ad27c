//! Flink's version, and the rules that changed between versions.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, ErrorKind, Result};

/// A version of Flink: numbers first, then whatever a vendor or a snapshot adds.
///
/// Versions compare by their numbers; among equal numbers a `SNAPSHOT` or release candidate comes
/// before the release, and any other suffix after it.
///
/// ```
/// use streampark_core::flink::FlinkVersion;
///
/// let version: FlinkVersion = "1.20.5".parse()?;
/// assert!(version.at_least(1, 20) && !version.at_least(2, 0));
/// # Ok::<(), streampark_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FlinkVersion {
    major: u32,
    minor: u32,
    patch: u32,
    /// Whether the text named a patch; `1.20` prints as it came.
    has_patch: bool,
    suffix: String,
}

impl FlinkVersion {
    /// A release without patch number, for example `FlinkVersion::new(1, 20)`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor, patch: 0, has_patch: false, suffix: String::new() }
    }

    /// The first number.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The second number.
    pub fn minor(&self) -> u32 {
        self.minor
    }

    /// The third number, 0 where the text had none.
    pub fn patch(&self) -> u32 {
        self.patch
    }

    /// What follows the numbers, without the leading `-`; empty for a release.
    pub fn suffix(&self) -> &str {
        &self.suffix
    }

    /// Whether this is `major.minor` or later; snapshots count as the version they lead to.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }

    /// Whether `/jars/:id/run` takes `flinkConfiguration`: since 1.17
    /// (`JarRequestBody.FIELD_NAME_FLINK_CONFIGURATION`, absent in 1.16.3). Older servers ignore the
    /// field in silence.
    pub fn run_jar_accepts_configuration(&self) -> bool {
        self.at_least(1, 17)
    }

    /// The name that `/jars/:id/run` gives the claim mode: `claimMode` since 1.20, `restoreMode`
    /// before (`JarRunRequestBody`).
    pub fn run_jar_claim_mode_field(&self) -> &'static str {
        if self.at_least(1, 20) { "claimMode" } else { "restoreMode" }
    }

    /// Whether claim mode `LEGACY` exists: 1.15 to 1.20, removed in 2.0 (`RecoveryClaimMode`).
    pub fn has_legacy_claim_mode(&self) -> bool {
        self.major == 1
    }

    /// Whether `conf/config.yaml` is read: since 1.19 (`GlobalConfiguration`, FLIP-366).
    pub fn supports_config_yaml(&self) -> bool {
        self.at_least(1, 19)
    }

    /// Whether `conf/flink-conf.yaml` is read: until 1.20. From 1.19 on it wins where both files
    /// exist (`GlobalConfiguration.loadConfiguration`).
    pub fn supports_flink_conf_yaml(&self) -> bool {
        self.major < 2
    }

    /// The key of the restore path: `execution.state-recovery.path` since 1.20, before
    /// `execution.savepoint.path` (`StateRecoveryOptions`, `SavepointConfigOptions`).
    pub fn checkpoint_restore_key(&self) -> &'static str {
        if self.at_least(1, 20) { "execution.state-recovery.path" } else { "execution.savepoint.path" }
    }

    /// The key of the claim mode, see [`checkpoint_restore_key`](Self::checkpoint_restore_key).
    pub fn claim_mode_key(&self) -> &'static str {
        if self.at_least(1, 20) { "execution.state-recovery.claim-mode" } else { "execution.savepoint-restore-mode" }
    }

    /// The key that lets state without an operator be dropped on restore.
    pub fn ignore_unclaimed_state_key(&self) -> &'static str {
        if self.at_least(1, 20) {
            "execution.state-recovery.ignore-unclaimed-state"
        } else {
            "execution.savepoint.ignore-unclaimed-state"
        }
    }

    /// The key of the checkpoint folder: `execution.checkpointing.dir` since 1.20, before
    /// `state.checkpoints.dir` (`CheckpointingOptions.CHECKPOINTS_DIRECTORY`).
    pub fn checkpoint_directory_key(&self) -> &'static str {
        if self.at_least(1, 20) { "execution.checkpointing.dir" } else { "state.checkpoints.dir" }
    }

    /// The key of the savepoint folder, see [`checkpoint_directory_key`](Self::checkpoint_directory_key).
    pub fn savepoint_directory_key(&self) -> &'static str {
        if self.at_least(1, 20) { "execution.checkpointing.savepoint-dir" } else { "state.savepoints.dir" }
    }

    /// The key that chooses high availability: `high-availability.type` since 1.17, before
    /// `high-availability` (`HighAvailabilityOptions.HA_MODE`).
    pub fn high_availability_key(&self) -> &'static str {
        if self.at_least(1, 17) { "high-availability.type" } else { "high-availability" }
    }

    /// The key of JVM options for every process: `env.java.opts.all` since 1.17, before
    /// `env.java.opts` (`CoreOptions.FLINK_JVM_OPTIONS`).
    pub fn jvm_options_key(&self) -> &'static str {
        if self.at_least(1, 17) { "env.java.opts.all" } else { "env.java.opts" }
    }

    /// The key of the restart strategy: `restart-strategy.type` since 1.17, before
    /// `restart-strategy` (`RestartStrategyOptions.RESTART_STRATEGY`).
    pub fn restart_strategy_key(&self) -> &'static str {
        if self.at_least(1, 17) { "restart-strategy.type" } else { "restart-strategy" }
    }

    /// Refuses a feature that this version lacks.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] naming the feature, this version and the first that has it.
    pub fn require(&self, feature: &str, major: u32, minor: u32) -> Result<()> {
        if self.at_least(major, minor) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("{feature} needs Flink {major}.{minor} or later, this is {self}"),
        ))
    }

    fn rank(&self) -> (u32, u32, u32, i8, &str) {
        let lower = self.suffix.to_ascii_lowercase();
        let stage = if self.suffix.is_empty() {
            0
        } else if lower.contains("snapshot") || lower.starts_with("rc") {
            -1
        } else {
            1
        };
        (self.major, self.minor, self.patch, stage, &self.suffix)
    }
}

impl PartialOrd for FlinkVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FlinkVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank()).then(self.has_patch.cmp(&other.has_patch))
    }
}

impl fmt::Display for FlinkVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.has_patch {
            write!(f, ".{}", self.patch)?;
        }
        if !self.suffix.is_empty() {
            write!(f, "-{}", self.suffix)?;
        }
        Ok(())
    }
}

impl fmt::Debug for FlinkVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlinkVersion({self})")
    }
}

impl FromStr for FlinkVersion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            Error::invalid(format!(
                "'{}' is no Flink version: write it as Flink does, for example 1.20.5 or 2.3-SNAPSHOT",
                text.chars().take(40).collect::<String>()
            ))
        };
        let trimmed = text.trim();
        let (numbers, suffix) = trimmed.split_once('-').unwrap_or((trimmed, ""));
        if trimmed.ends_with('-') || suffix.contains(char::is_whitespace) {
            return Err(refuse());
        }
        let mut parts = numbers.split('.');
        let number = |part: &str| -> Result<u32> {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten().ok_or_else(refuse)
        };
        let major = number(parts.next().unwrap_or_default())?;
        let minor = number(parts.next().unwrap_or_default())?;
        let (patch, has_patch) = match parts.next() {
            Some(part) => (number(part)?, true),
            None => (0, false),
        };
        // A vendor's fourth number (1.16.2.7) is kept as text.
        let rest: Vec<&str> = parts.collect();
        let suffix = match (rest.is_empty(), suffix.is_empty()) {
            (true, _) => suffix.to_owned(),
            (false, true) => rest.join("."),
            (false, false) => format!("{}-{suffix}", rest.join(".")),
        };
        Ok(Self { major, minor, patch, has_patch, suffix })
    }
}

impl Serialize for FlinkVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FlinkVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: Error| serde::de::Error::custom(error.message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> FlinkVersion {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_prints_what_flink_and_vendors_write() {
        for text in ["1.20.5", "2.3-SNAPSHOT", "1.16-vendor-3", "1.17", "2.0.0-rc1", "1.16.2-h0.cbu.mrs.330.r1"] {
            assert_eq!(version(text).to_string(), text);
        }
        assert_eq!(version("1.16.2.7").suffix(), "7");
    }

    #[test]
    fn orders_by_number_not_by_text() {
        let sorted =
            ["1.9.0", "1.10.0", "1.20-SNAPSHOT", "1.20.0", "1.20.0-vendor", "1.20.5", "2.0-rc1", "2.0", "2.3.0"];
        for pair in sorted.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_version() {
        for text in ["", "2", "v1.20", "1.x", "1.20.", "<unknown>", "1.20.5-", "1. 20", "+1.2", "99999999999.1"] {
            let error = text.parse::<FlinkVersion>().unwrap_err().to_string();
            assert!(error.contains("is no Flink version"), "{text}: {error}");
        }
    }

    #[test]
    fn rules_change_at_their_version() {
        assert!(
            !version("1.16.3").run_jar_accepts_configuration() && version("1.17.2").run_jar_accepts_configuration()
        );
        assert_eq!(version("1.19.3").checkpoint_restore_key(), "execution.savepoint.path");
        assert_eq!(version("1.20.0").checkpoint_restore_key(), "execution.state-recovery.path");
        assert!(!version("2.0.0").supports_flink_conf_yaml() && version("1.19.0").supports_config_yaml());
        let error = version("1.16.3").require("a Flink configuration per run", 1, 17).unwrap_err();
        assert_eq!(error.to_string(), "a Flink configuration per run needs Flink 1.17 or later, this is 1.16.3");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
