//! Faults at scale: a supervisor process over a fleet of simulated JobManagers, judged by the fleet's own log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use streampark_tests::flink::turn;
use streampark_tests::process::{FleetProcess, Program};
use streampark_tests::webhook::Receiver;

/// JobManagers, each with one job.
const FLEET: usize = 1_000;

struct Scene {
    fleet: FleetProcess,
    supervisor: Program,
    receiver: Receiver,
    arguments: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// All jobs run.
    async fn start(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fleet = FleetProcess::start(count);
        let receiver = Receiver::start().await.unwrap();
        let addresses = folder.path().join("addresses.json");
        std::fs::write(&addresses, serde_json::to_string(&fleet.addresses).unwrap()).unwrap();
        let store = folder.path().join("jobs.db");
        let arguments =
            [store.to_str().unwrap(), addresses.to_str().unwrap(), &receiver.address].map(str::to_owned).to_vec();
        let supervisor = watching(&arguments);
        let mut scene = Self { fleet, supervisor, receiver, arguments, _folder: folder };
        let _created: usize = scene.supervisor.ask("create");
        scene.wait_until("every job runs", 120, |states| states.get("RUNNING") == Some(&count)).await;
        scene
    }

    fn states(&mut self) -> BTreeMap<String, usize> {
        self.supervisor.ask("states")
    }

    async fn wait_until(&mut self, what: &str, seconds: u64, done: impl Fn(&BTreeMap<String, usize>) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            let states = self.states();
            if done(&states) {
                return;
            }
            assert!(Instant::now() < deadline, "not within {seconds} s: {what}; states {states:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Job and time of each failure that was noticed.
    fn failures(&mut self) -> Vec<(String, u64)> {
        self.supervisor.ask("failures")
    }

    async fn settle(&mut self, runs: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.fleet.log().len() < runs && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.wait_until("every job runs again", 60, |states| states.len() == 1 && states.contains_key("RUNNING")).await;
    }

    /// Waits until alerts of a kind are about so many.
    async fn all_told(&self, kind: &str, wanted: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.told(kind).len() < wanted {
            assert!(Instant::now() < deadline, "{kind} is not told of {wanted}: {:?}", self.told(kind));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn told(&self, kind: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for alert in self.receiver.alerts().iter().filter(|alert| alert["kind"] == kind) {
            let about = [&alert["job_name"], &alert["cluster"]].into_iter().find_map(Value::as_str).unwrap_or("?");
            *counts.entry(about.to_owned()).or_default() += 1;
        }
        counts
    }
}

fn watching(arguments: &[String]) -> Program {
    let mut supervisor = Program::start("supervised", arguments);
    assert!(supervisor.hear::<bool>());
    supervisor
}

fn quantile(mut values: Vec<u64>, share: f64) -> u64 {
    values.sort_unstable();
    values[((values.len() - 1) as f64 * share) as usize]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_of_a_thousand_fail_in_one_second() {
    let _turn = turn().await;
    let mut scene = Scene::start(FLEET).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let failed_at = scene.fleet.fail(0, 99);
    scene.settle(FLEET + 100).await;

    let log = scene.fleet.log();
    assert_eq!(log.len(), FLEET + 100, "each failed job was resubmitted once");
    for endpoint in 0..100 {
        let runs: Vec<_> = log.iter().filter(|run| run.endpoint == endpoint).collect();
        assert_eq!(runs.len(), 2, "job {endpoint}");
        assert_eq!(
            runs[1].restored_from, runs[0].last_checkpoint,
            "job {endpoint} came back from its newest checkpoint"
        );
        assert!(runs[1].restored_from.is_some());
    }
    let failures = scene.failures();
    assert_eq!(failures.len(), 100);
    let late: Vec<u64> = failures.iter().map(|(_, at)| at.saturating_sub(failed_at)).collect();
    assert!(quantile(late.clone(), 0.99) <= 5_000, "noticed after p99 {} ms", quantile(late, 0.99));
    scene.all_told("job_failed", 100).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let told = scene.told("job_failed");
    assert!(told.values().all(|count| *count == 1), "no failure is told twice: {told:?}");
    assert_eq!(told.len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_nothing_is_lost_doubled_or_untold() {
    let _turn = turn().await;
    let mut scene = Scene::start(200).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for round in 0..5 {
        scene.fleet.fail(0, 99);
        tokio::time::sleep(Duration::from_millis(150 + 300 * round as u64)).await;
        scene.supervisor.kill();
        scene.supervisor = watching(&scene.arguments);
        scene.settle(200 + 100 * (round + 1)).await;
        assert!(scene.fleet.alive().iter().all(|alive| *alive == 1), "round {round}: {:?}", scene.fleet.alive());
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
    let log = scene.fleet.log();
    assert_eq!(log.len(), 200 + 5 * 100, "one run for each failure, none lost and none doubled");
    for endpoint in 0..100 {
        let runs: Vec<_> = log.iter().filter(|run| run.endpoint == endpoint).collect();
        for pair in runs.windows(2) {
            assert!(pair[0].ended_ms.unwrap() <= pair[1].started_ms, "job {endpoint} ran twice at once");
            assert_eq!(pair[1].restored_from, pair[0].last_checkpoint, "job {endpoint}");
        }
    }
    scene.all_told("job_failed", 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_and_one_that_refuses_delay_nobody() {
    let _turn = turn().await;
    let mut scene = Scene::start(FLEET).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    scene.fleet.hang(0, true);
    scene.fleet.refuse(1, true);
    let broken = Instant::now();
    let mut late = Vec::new();
    for step in 0..10_usize {
        let (first, last) = (100 + step * 10, 109 + step * 10);
        let failed_at = scene.fleet.fail(first, last);
        tokio::time::sleep(Duration::from_secs(6)).await;
        let deadline = Instant::now() + Duration::from_secs(60);
        let noticed = loop {
            let noticed: BTreeMap<_, _> = scene.failures().into_iter().collect();
            if (first..=last).all(|index| noticed.contains_key(&format!("j{index}"))) {
                break noticed;
            }
            assert!(Instant::now() < deadline, "failures of {first} to {last} are not noticed: {noticed:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        late.extend((first..=last).map(|index| noticed[&format!("j{index}")].saturating_sub(failed_at)));
    }
    assert!(broken.elapsed() >= Duration::from_secs(60));
    assert!(quantile(late.clone(), 1.0) <= 3_000, "another job's failure was noticed late: {late:?}");
    assert_eq!(scene.told("cluster_unreachable").values().sum::<usize>(), 2, "one message for each");
    scene.settle(FLEET + 100).await;
    scene.fleet.hang(0, false);
    scene.fleet.refuse(1, false);
    let before = (scene.fleet.log().len(), Instant::now());
    while scene.told("cluster_recovered").len() < 2 {
        assert!(before.1.elapsed() < Duration::from_secs(10), "watched again: {:?}", scene.told("cluster_recovered"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(scene.told("cluster_unreachable").values().sum::<usize>(), 2);
    assert_eq!(scene.told("cluster_recovered").values().sum::<usize>(), 2);
    let log = scene.fleet.log();
    assert_eq!(log.len(), before.0, "nothing was restarted");
    assert!(log.iter().filter(|run| run.endpoint < 2).count() == 2, "the two were left alone");
    let failed_at = scene.fleet.fail(0, 1);
    scene.settle(before.0 + 2).await;
    let noticed: BTreeMap<_, _> = scene.failures().into_iter().collect();
    for job in ["j0", "j1"] {
        assert!(noticed[job].saturating_sub(failed_at) <= 3_000, "{job} is watched again");
    }
}
