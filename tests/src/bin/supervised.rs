//! A supervisor as a process of its own, to be measured and to be killed: one job on each JobManager.
//!
//! Arguments: store file, file with the JobManagers' addresses as a JSON list, webhook address or `-`.
//! Commands on stdin, one a line; answers on stdout as JSON lines. Says `true` once it watches.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use streampark_core::alert::Webhook;
use streampark_core::cluster::StandaloneCluster;
use streampark_core::job::{JobSpec, Launch, Location, Program, ProgramContext, ProgramSpec, Resource, RestartPolicy};
use streampark_core::store::{EventFilter, JobFilter, SqliteStore};
use streampark_core::supervisor::Knowledge;
use streampark_core::{Error, EventKind, Result, StreamPark};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// A jar that no JobManager of the fleet opens.
#[derive(Debug)]
struct Simulated;

#[async_trait]
impl Program for Simulated {
    fn kind(&self) -> &str {
        "simulated"
    }

    async fn prepare(&self, _context: &ProgramContext) -> Result<Launch> {
        let jar =
            Resource::new("simulated.jar", Location::Bytes("PK\x05\x06 simulated".into())).with_sha256("00".repeat(32));
        Ok(Launch::of_jar(jar))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, addresses, webhook] = arguments.as_slice() else {
        return Err(Error::invalid("usage: supervised STORE ADDRESSES WEBHOOK"));
    };
    let text = std::fs::read_to_string(addresses)?;
    let addresses: Vec<String> = serde_json::from_str(&text)
        .map_err(|source| Error::invalid("the addresses are no JSON list").with_source(source))?;
    let mut builder = StreamPark::builder()
        .store(SqliteStore::open(store).await?)
        .program("simulated", Arc::new(|_| Ok(Arc::new(Simulated))));
    for (index, address) in addresses.iter().enumerate() {
        builder = builder.cluster(format!("c{index}"), StandaloneCluster::new(address)?);
    }
    if webhook != "-" {
        builder = builder.channel("people", Webhook::new(webhook)?);
    }
    let platform = builder.start().await?;
    say(&json!(true))?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match line.as_str() {
            "create" => create(&platform, addresses.len(), webhook != "-").await?,
            "states" => states(&platform).await?,
            "observed" => json!(observed(&platform).await?),
            "failures" => events(&platform, &[EventKind::RunFailed]).await?,
            "submissions" => events(&platform, &[EventKind::SubmissionAccepted]).await?,
            "alerts" => events(&platform, &[EventKind::AlertRaised]).await?,
            "usage" => usage(&platform)?,
            "shutdown" => {
                platform.shutdown().await?;
                json!(true)
            }
            _ => Value::Null,
        };
        say(&answer)?;
    }
    Ok(())
}

fn say(answer: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}")?;
    out.flush()
}

async fn create(platform: &StreamPark, count: usize, tell: bool) -> Result<Value> {
    for index in 0..count {
        let program = ProgramSpec::Custom { kind: "simulated".to_owned(), options: Map::new() };
        let mut spec = JobSpec::new(format!("j{index}"), program).cluster(format!("c{index}"));
        let mut policy = RestartPolicy::default();
        policy.max_restarts = 1_000;
        policy.initial_backoff = std::time::Duration::from_millis(100);
        policy.max_backoff = std::time::Duration::from_millis(500);
        spec = spec.restart(policy);
        if tell {
            spec = spec.alert("people");
        }
        platform.jobs().create(spec).await?.start().await?;
    }
    Ok(json!(count))
}

async fn states(platform: &StreamPark) -> Result<Value> {
    let mut counts = BTreeMap::<String, usize>::new();
    for view in platform.jobs().list(&JobFilter::default()).await? {
        *counts.entry(view.job.state.to_string()).or_default() += 1;
    }
    Ok(json!(counts))
}

/// How many jobs are seen on their clusters now.
async fn observed(platform: &StreamPark) -> Result<usize> {
    let views = platform.jobs().list(&JobFilter::default()).await?;
    Ok(views.iter().filter(|view| matches!(view.knowledge, Knowledge::Observed(_))).count())
}

/// Job name and time in milliseconds since 1970 of each event of these kinds.
async fn events(platform: &StreamPark, kinds: &[EventKind]) -> Result<Value> {
    let mut filter = EventFilter::default();
    filter.kinds = kinds.to_vec();
    filter.limit = Some(100_000);
    let rows = platform.store().events(&filter).await?;
    Ok(rows.iter().map(|event| json!([event.job_name, event.at.as_millisecond()])).collect())
}

/// CPU seconds of this process, resident bytes now and at most, and ticks that began late.
fn usage(platform: &StreamPark) -> Result<Value> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0)
    };
    let late: u64 = platform.clusters().views().iter().map(|view| view.late_ticks).sum();
    // Clock ticks are hundredths of a second on Linux.
    Ok(
        json!({"cpu_seconds": (ticks(11) + ticks(12)) / 100.0, "rss_kib": kib("VmRSS:"), "peak_kib": kib("VmHWM:"), "late": late}),
    )
}
