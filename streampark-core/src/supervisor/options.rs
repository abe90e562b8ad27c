//! The numbers by which a supervisor works.

use std::time::Duration;

/// How often, how long and how much at once; every number has a default that fits a thousand jobs.
///
/// ```
/// use std::time::Duration;
/// use streampark_core::supervisor::SupervisorOptions;
///
/// let options = SupervisorOptions::default().with_interval(Duration::from_secs(5));
/// assert_eq!(options.submissions, 20);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SupervisorOptions {
    /// How often each cluster is asked for its runs. Default 1 s.
    pub interval: Duration,
    /// How often it is asked for [`quick_for`](Self::quick_for) after an operation on it. Default 250 ms.
    pub quick_interval: Duration,
    /// How long a cluster is asked more often after an operation. Default 15 s.
    pub quick_for: Duration,
    /// How long one such question may take. Default 3 s.
    pub observe_timeout: Duration,
    /// Misses in a row after which a cluster counts as unreachable and people are told. Default 3.
    pub misses: u32,
    /// Submissions under way at once in the whole process. Default 20.
    pub submissions: usize,
    /// Submissions under way at once on one cluster. Default 4.
    pub submissions_per_cluster: usize,
    /// Other calls to clusters under way at once in the whole process. Default 512.
    pub calls: usize,
    /// Other calls under way at once on one cluster. Default 32.
    pub calls_per_cluster: usize,
    /// How long making a program ready and sending it may take. Default 3 min.
    pub submit_timeout: Duration,
    /// How long any other call to a cluster may take, savepoints aside. Default 20 s.
    pub call_timeout: Duration,
    /// How long a savepoint, or a stop with one, may take. Default 10 min.
    pub savepoint_timeout: Duration,
    /// The rules of the machine: waits, patience, health.
    pub rules: super::machine::Rules,
    /// Commands that may wait for one job before more are refused. Default 32.
    pub mailbox: usize,
    /// Events kept for a follower that lags before it is told how many it missed. Default 8,192.
    pub events: usize,
    /// The first wait before a refused commit is tried again; it doubles up to
    /// [`storage_backoff_max`](Self::storage_backoff_max). Default 100 ms.
    pub storage_backoff: Duration,
    /// The longest such wait. Default 5 s.
    pub storage_backoff_max: Duration,
    /// How long a shutdown waits for calls under way. Default 10 s.
    pub shutdown_timeout: Duration,
}

impl Default for SupervisorOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            quick_interval: Duration::from_millis(250),
            quick_for: Duration::from_secs(15),
            observe_timeout: Duration::from_secs(3),
            misses: 3,
            submissions: 20,
            submissions_per_cluster: 4,
            calls: 512,
            calls_per_cluster: 32,
            submit_timeout: Duration::from_secs(180),
            call_timeout: Duration::from_secs(20),
            savepoint_timeout: Duration::from_secs(600),
            rules: super::machine::Rules::default(),
            mailbox: 32,
            events: 8_192,
            storage_backoff: Duration::from_millis(100),
            storage_backoff_max: Duration::from_secs(5),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl SupervisorOptions {
    /// Sets how often each cluster is asked.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self.quick_interval = self.quick_interval.min(interval);
        self
    }

    /// Sets how many submissions are under way at once, in the process and on one cluster.
    #[must_use]
    pub fn with_submissions(mut self, total: usize, per_cluster: usize) -> Self {
        self.submissions = total.max(1);
        self.submissions_per_cluster = per_cluster.max(1);
        self
    }

    /// Sets the rules of the machine.
    #[must_use]
    pub fn with_rules(mut self, rules: super::machine::Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Sets how long a shutdown waits for calls under way.
    #[must_use]
    pub fn with_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }
}
