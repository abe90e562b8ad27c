//! Owns a local Flink until it is killed. Arguments: FLINK_HOME, work folder, slots.
//!
//! Says one JSON line once Flink answers: its address and its process ids.

use std::io::Write as _;
use std::path::Path;

use serde_json::json;
use streampark_core::{Error, Result};
use streampark_tests::flink::small_flink;
use tokio::io::AsyncReadExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [home, work, slots] = arguments.as_slice() else {
        return Err(Error::invalid("usage: local_flink FLINK_HOME WORK_FOLDER SLOTS"));
    };
    let slots = slots.parse().map_err(|_| Error::invalid("the slots are no number"))?;
    let flink = small_flink(home, Path::new(work), slots).start().await?;
    let (job_manager, task_managers) = flink.process_ids();
    let pids: Vec<i32> = job_manager.into_iter().chain(task_managers).collect();
    let mut out = std::io::stdout();
    writeln!(out, "{}", json!({"address": flink.address(), "pids": pids}))?;
    out.flush()?;
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    flink.stop().await
}
