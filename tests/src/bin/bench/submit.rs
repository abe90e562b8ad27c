//! Submitting a JAR: our client beside Flink's own, in pairs on one cluster. Each is a process of its own
//! that ends when the job is taken; the jar is uploaded each time.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use streampark_core::cluster::{Cluster as _, LocalCluster, StandaloneCluster, Submission};
use streampark_core::flink::JAVA_17_OPTIONS;
use streampark_core::job::{JarProgram, JobId, Program as _, ProgramContext, RunKey, RunRef};
use streampark_tests::flink::small_flink;

use crate::figures::{Table, quantile};

const CLASS: &str = "streampark.testing.CountingJob";
const ARGS: [&str; 4] = ["--rate", "1", "--restart", "none"];

/// What one client took.
struct Took {
    seconds: f64,
    peak_mib: f64,
}

/// The program under measure: `bench submit-once ADDRESS JAR`.
pub(crate) async fn once(address: &str, jar: &str) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let program = JarProgram::new(jar).entry_class(CLASS).args(ARGS);
    let launch = program.prepare(&ProgramContext::new(folder.path())).await.expect("the jar");
    let cluster = StandaloneCluster::new(address).expect("an address");
    let run = RunRef::new(RunKey::new(JobId::generate(), 1));
    cluster.submit(&Submission::new(run, "bench", launch)).await.expect("taken");
}

pub(crate) async fn run(name: &str, home: &str, jar: &str, pairs: usize) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let work = folder.path().join("flink");
    let flink = small_flink(home, &work, 4).start().await.expect("Flink starts");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first pair warms the page cache and the JobManager up, and is not counted.
    for pair in 0..=pairs {
        let mut took = [None, None];
        // Who goes first changes from pair to pair.
        for turn in [pair % 2, (pair + 1) % 2] {
            let command =
                if turn == 0 { our_client(&flink, jar) } else { flinks_client(home, &work.join("conf"), jar) };
            took[turn] = Some(measure(command));
            tidy(&flink).await;
        }
        if let (true, [Some(our), Some(their)]) = (pair > 0, took) {
            ours.push(our);
            theirs.push(their);
        }
    }
    flink.stop().await.expect("Flink ends");
    report(name, &ours, &theirs);
}

fn our_client(flink: &LocalCluster, jar: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["submit-once", flink.address(), jar]);
    command
}

/// What `bin/flink run -d` starts: `CliFrontend` with all jars of `lib`.
fn flinks_client(home: &str, conf: &Path, jar: &str) -> Command {
    let java = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin").join("java"));
    let mut command = Command::new(java.unwrap_or_else(|| PathBuf::from("java")));
    command
        .args(JAVA_17_OPTIONS.split_whitespace())
        .args(["-cp", &format!("{home}/lib/*"), "org.apache.flink.client.cli.CliFrontend"])
        .args(["run", "-d", "-c", CLASS, jar])
        .args(ARGS)
        .env("FLINK_CONF_DIR", conf);
    command
}

/// Runs it to its end. The kernel's own high-water mark of resident memory is read until then.
fn measure(mut command: Command) -> Took {
    let begin = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the client starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0_f64;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let kib = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        peak = peak.max(kib.unwrap_or(0.0));
        if let Some(exit) = child.try_wait().expect("the client ends") {
            let seconds = begin.elapsed().as_secs_f64();
            let mut errors = String::new();
            if let (false, Some(mut stderr)) = (exit.success(), child.stderr.take()) {
                drop(std::io::Read::read_to_string(&mut stderr, &mut errors));
            }
            assert!(exit.success(), "{command:?} ended with {exit}: {errors}");
            return Took { seconds, peak_mib: peak / 1024.0 };
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Ends the jobs and forgets the jars, so that every submission meets the same cluster.
async fn tidy(flink: &LocalCluster) {
    let rest = flink.rest();
    for job in rest.jobs().await.expect("jobs").into_iter().filter(|job| !job.state.is_globally_terminal()) {
        rest.cancel(&job.jid).await.expect("cancelled");
    }
    for jar in rest.jars().await.expect("jars") {
        rest.delete_jar(&jar.id).await.expect("deleted");
    }
    while rest.jobs().await.expect("jobs").iter().any(|job| !job.state.is_globally_terminal()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn report(name: &str, ours: &[Took], theirs: &[Took]) {
    let mut table = Table::new(format!("Submitting a JAR, {} pairs, Flink {name}", ours.len()));
    let mut row = |what: &str, unit: &str, of: fn(&Took) -> f64| {
        let (our, their): (Vec<f64>, Vec<f64>) = (ours.iter().map(of).collect(), theirs.iter().map(of).collect());
        let ratios: Vec<f64> = our.iter().zip(&their).map(|(our, their)| our / their).collect();
        table.row(
            format!("{what}: ours / `flink run -d`, medians"),
            format!("{:.2} / {:.2} {unit}", quantile(&our, 0.5), quantile(&their, 0.5)),
            "",
        );
        table.row(format!("{what}: median of the pairs' ratios"), format!("{:.3}", quantile(&ratios, 0.5)), "0.10");
    };
    row("wall time", "s", |took| took.seconds);
    row("peak memory", "MiB", |took| took.peak_mib);
    table.print();
}
