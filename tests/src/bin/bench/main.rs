//! The figures of `docs/benchmarks.md`, printed: `bench` prints all, `bench NAME…` those named.
//!
//! `fleet`, `fleet-10000`, `sync` and `queue` need no Flink; the others start a real Flink from `STREAMPARK_TEST_FLINK_1`
//! and `STREAMPARK_TEST_FLINK_2` with the jar `STREAMPARK_TEST_JOBS_JAR` (see `make bench`).

#![allow(clippy::expect_used, clippy::panic)]

mod figures;
mod fleet;
mod noticed;
mod projects;
mod submit;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run: make bench"))
}

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let [once, address, jar] = wanted.as_slice()
        && once == "submit-once"
    {
        return submit::once(address, jar).await;
    }
    if let [once, jar] = wanted.as_slice()
        && once == "inspect-once"
    {
        return projects::inspect_once(jar);
    }
    let wants = |name: &str, by_default: bool| {
        if wanted.is_empty() { by_default } else { wanted.iter().any(|wanted| wanted == name) }
    };
    if wants("fleet", true) {
        fleet::run(1_000).await;
    }
    if wants("fleet-10000", false) {
        fleet::run(10_000).await;
    }
    if wants("noticed", true) {
        let jar = variable("STREAMPARK_TEST_JOBS_JAR");
        for (name, home) in [("1.20", "STREAMPARK_TEST_FLINK_1"), ("2.3", "STREAMPARK_TEST_FLINK_2")] {
            noticed::run(name, &variable(home), &jar, 50).await;
        }
    }
    if wants("submit", true) {
        let jar = variable("STREAMPARK_TEST_JOBS_JAR");
        for (name, home) in [("1.20", "STREAMPARK_TEST_FLINK_1"), ("2.3", "STREAMPARK_TEST_FLINK_2")] {
            submit::run(name, &variable(home), &jar, 9).await;
        }
    }
    if wants("sync", true) {
        projects::sync(9).await;
    }
    if wants("queue", true) {
        projects::queue(100).await;
    }
    if wants("inspect", true) {
        projects::inspect(&variable("STREAMPARK_TEST_FLINK_1"), 5);
    }
}
