//! A supervisor process over simulated JobManagers: what watching costs, and a hundred failures in one second.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use streampark_tests::fleet::FleetRun;
use streampark_tests::process::{FleetProcess, Program};
use streampark_tests::webhook::Receiver;

use crate::figures::{Table, quantile};

/// Failing jobs of the second part.
const FAILING: usize = 100;
/// Seconds of quiet watching.
const QUIET: u64 = 60;

/// JobManagers of one process: each takes a port and a connection of the open files that it may have.
const OF_A_PROCESS: usize = 5_000;

/// All JobManagers, in as many processes as they need.
struct Fleets(Vec<FleetProcess>);

impl Fleets {
    fn start(count: usize) -> Self {
        let sizes = (0..count).step_by(OF_A_PROCESS).map(|first| OF_A_PROCESS.min(count - first));
        Self(sizes.map(FleetProcess::start).collect())
    }

    fn addresses(&self) -> Vec<&String> {
        self.0.iter().flat_map(|fleet| &fleet.addresses).collect()
    }

    /// What truly ran, in the order of starts.
    fn log(&mut self) -> Vec<FleetRun> {
        let mut all: Vec<_> = self.0.iter_mut().flat_map(FleetProcess::log).collect();
        all.sort_by_key(|run| run.started_ms);
        all
    }
}

pub(crate) async fn run(count: usize) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let mut fleet = Fleets::start(count);
    let receiver = Receiver::start().await.expect("a receiver on loopback");
    let addresses = folder.path().join("addresses.json");
    std::fs::write(&addresses, serde_json::to_string(&fleet.addresses()).expect("addresses")).expect("a file");
    let store = folder.path().join("jobs.db");
    let arguments = [store.display().to_string(), addresses.display().to_string(), receiver.address.clone()];
    let mut supervisor = Program::start("supervised", &arguments);
    assert!(supervisor.hear::<bool>(), "the supervisor watches");
    let _created: usize = supervisor.ask("create");
    until(&mut supervisor, count).await;
    tokio::time::sleep(Duration::from_secs(20)).await;

    let usage = |supervisor: &mut Program| -> Value { supervisor.ask("usage") };
    let (before, began) = (usage(&mut supervisor), Instant::now());
    tokio::time::sleep(Duration::from_secs(QUIET)).await;
    let (after, wall) = (usage(&mut supervisor), began.elapsed().as_secs_f64());
    let number = |value: &Value, key: &str| value[key].as_f64().unwrap_or(f64::NAN);
    let cpu = (number(&after, "cpu_seconds") - number(&before, "cpu_seconds")) / wall * 100.0;
    let late = number(&after, "late") - number(&before, "late");

    let failed_at = fleet.0[0].fail(0, FAILING - 1);
    until_runs(&mut fleet, count + FAILING).await;
    until(&mut supervisor, count).await;
    let failures: Vec<(String, u64)> = supervisor.ask("failures");
    let noticed: Vec<f64> = failures.iter().map(|(_, at)| at.saturating_sub(failed_at) as f64).collect();
    let resubmitted: Vec<f64> =
        fleet.log().iter().skip(count).map(|run| run.started_ms.saturating_sub(failed_at) as f64).collect();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let messages = receiver.alerts().len();

    let died = Instant::now();
    supervisor.kill();
    let mut supervisor = Program::start("supervised", &arguments);
    assert!(supervisor.hear::<bool>(), "the supervisor watches again");
    until_observed(&mut supervisor, count).await;
    let back = died.elapsed();

    let mut table = Table::new(format!("{count} jobs on as many simulated JobManagers, asked each second"));
    table.row("share of one core", format!("{cpu:.1} %"), if count > 1_000 { "50 %" } else { "5 %" });
    let memory = format!("{:.0} MiB", number(&after, "rss_kib") / 1024.0);
    table.row("resident memory", memory, if count > 1_000 { "300 MB" } else { "60 MB" });
    table.row(format!("late ticks in {QUIET} s"), format!("{late:.0}"), "0");
    table.row(
        format!("{FAILING} fail in one second: noticed p50 / p99"),
        format!("{:.2} / {:.2} s", quantile(&noticed, 0.5) / 1e3, quantile(&noticed, 0.99) / 1e3),
        "1 / 2 s",
    );
    table.row(
        "taken by the cluster again p50 / max",
        format!("{:.2} / {:.2} s", quantile(&resubmitted, 0.5) / 1e3, quantile(&resubmitted, 1.0) / 1e3),
        "2 / 10 s",
    );
    table.row("messages that carried them", messages.to_string(), "");
    table.row("killed, and every job seen again", format!("{:.2} s", back.as_secs_f64()), "2 s");
    table.print();
}

async fn until(supervisor: &mut Program, count: usize) {
    for _ in 0..3_000 {
        let states: BTreeMap<String, usize> = supervisor.ask("states");
        if states.get("RUNNING") == Some(&count) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not all jobs run");
}

async fn until_observed(supervisor: &mut Program, count: usize) {
    for _ in 0..3_000 {
        if supervisor.ask::<usize>("observed") == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not all jobs are seen again");
}

async fn until_runs(fleet: &mut Fleets, runs: usize) {
    for _ in 0..3_000 {
        if fleet.log().len() >= runs {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not all failed jobs were submitted again");
}
