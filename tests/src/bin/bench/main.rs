//! The figures of `docs/benchmarks.md`, printed: `bench` prints all, `bench NAME…` those named.
//!
//! `fleet`, `fleet-10000`, `sync`, `queue` and `yarn-list` need no server; the others start a real Flink from
//! `STREAMPARK_TEST_FLINK_1` and `STREAMPARK_TEST_FLINK_2` with the jar `STREAMPARK_TEST_JOBS_JAR`, `yarn-submit` and
//! `yarn-again` on a real Hadoop from `STREAMPARK_TEST_HADOOP_3_5` (see `make bench`).

#![allow(clippy::expect_used, clippy::panic)]
#![recursion_limit = "256"]

mod figures;
mod fleet;
mod noticed;
mod projects;
mod submit;
mod yarn;
mod yarn_client;

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
    if let [once, conf, lib, plugins, jar] = wanted.as_slice()
        && once == "yarn-submit-once"
    {
        return yarn::once(conf, [lib.as_str(), plugins.as_str()], jar).await;
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
    if wants("yarn-list", true) {
        yarn::list(1_000).await;
    }
    for (figure, by_default) in [("yarn-submit", true), ("yarn-again", false)] {
        if !wants(figure, by_default) {
            continue;
        }
        let (hadoop, jar) = (variable("STREAMPARK_TEST_HADOOP_3_5"), variable("STREAMPARK_TEST_JOBS_JAR"));
        for (name, home) in [("1.20", "STREAMPARK_TEST_FLINK_1"), ("2.3", "STREAMPARK_TEST_FLINK_2")] {
            match figure {
                "yarn-submit" => yarn::submit(name, &hadoop, &variable(home), &jar, 5).await,
                _ => yarn::again(name, &hadoop, &variable(home), &jar, 20).await,
            }
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
