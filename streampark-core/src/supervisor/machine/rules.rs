//! The numbers by which the machine decides.

use std::time::Duration;

/// Waits, patience and health: the numbers behind the machine's decisions.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rules {
    /// The first wait before a call that failed for the moment is made again; it doubles. Default 1 s.
    pub retry_backoff: Duration,
    /// The longest such wait. Default 30 s.
    pub retry_backoff_max: Duration,
    /// How long a failure may go untold while its cause and restore point are looked for. Default 4 s.
    pub tell_within: Duration,
    /// How long a submission may stay in doubt, or be refused for the moment, before people are told
    /// that it is still tried. Default 5 min.
    pub patience: Duration,
    /// How long a run must be RUNNING before people hear that it recovered; it doubles with every
    /// restart of the incident. Default 10 s.
    pub recovered_after: Duration,
    /// Attempts at a savepoint, or a stop with one, before it is given up. Default 3.
    pub operation_attempts: u32,
    /// Attempts to learn a cause of failure or the restore points of a run. Default 3.
    pub fetch_attempts: u32,
    /// How long a stop with savepoint waits for a run that is not RUNNING. Default 1 min.
    pub operation_patience: Duration,
    /// A list of restore points older than this is asked for again before it is used. Default 5 s.
    pub points_fresh: Duration,
    /// How often a running job's checkpoints are looked at. Default 1 min; the first look comes after
    /// a sixth of it.
    pub probe_interval: Duration,
    /// How often the newest checkpoint of a running job is written down, after the first. Default 5 min.
    pub record_interval: Duration,
    /// A job that completed checkpoints before and none for this long is unhealthy. Default 30 min.
    pub checkpoint_silence: Duration,
    /// Restarts by Flink's own strategy in [`restarting_window`](Self::restarting_window) that make a job
    /// unhealthy. Default 5.
    pub restarting_count: u32,
    /// The time in which they are counted, and the longest a run may stay in RESTARTING without a word.
    /// Default 5 min.
    pub restarting_window: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            retry_backoff: Duration::from_secs(1),
            retry_backoff_max: Duration::from_secs(30),
            tell_within: Duration::from_secs(4),
            patience: Duration::from_secs(300),
            recovered_after: Duration::from_secs(10),
            operation_attempts: 3,
            fetch_attempts: 3,
            operation_patience: Duration::from_secs(60),
            points_fresh: Duration::from_secs(5),
            probe_interval: Duration::from_secs(60),
            record_interval: Duration::from_secs(300),
            checkpoint_silence: Duration::from_secs(1_800),
            restarting_count: 5,
            restarting_window: Duration::from_secs(300),
        }
    }
}
