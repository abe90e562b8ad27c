//! What projects and builds cost beside the code's own tools.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use streampark_core::Result;
use streampark_core::build::{
    ArtifactStore, BuildOrder, BuildOutput, BuildPlan, BuildPlans, BuildQueue, BuildQueueOptions, BuildRequest,
    Builder, Inspection, ProjectSpec,
};
use streampark_core::platform::{Projects, ProjectsOptions};
use streampark_core::project::LocalSource;
use streampark_core::project::git::GitOptions;
use streampark_tests::git_server::{HttpsServer, Repositories};

use crate::figures::{Table, quantile};

const COMMITS: usize = 2_000;

/// The second synchronisation of a repository, with one new commit, against a fresh clone of the same from the same
/// server, in pairs.
pub(crate) async fn sync(pairs: usize) {
    let repositories = Repositories::new();
    repositories.create("orders");
    repositories.import("orders", &history(COMMITS));
    let server = HttpsServer::start(repositories.root(), None).await;
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let mut git = GitOptions::default();
    git.ca_file = Some(server.ca_file());
    let projects = Projects::open(folder.path().join("projects"), ProjectsOptions::default().git(git)).await;
    let projects = projects.expect("the folder of projects");
    let orders = projects.put(ProjectSpec::git("orders", server.url("orders"))).await.expect("a project");
    let first = Instant::now();
    orders.sync().await.expect("the first synchronisation");
    let first = first.elapsed();
    let (mut ours, mut same, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        repositories.commit("orders", "main", "one more", &[("src/Orders.java", &text(COMMITS + pair))]);
        let mut took = [0.0; 2];
        // Who goes first changes from pair to pair.
        for turn in [pair % 2, (pair + 1) % 2] {
            let begin = Instant::now();
            if turn == 0 {
                assert!(orders.sync().await.expect("a synchronisation").changed, "there is a new commit");
            } else {
                clone(&server, &folder.path().join(format!("clone-{pair}"))).await;
            }
            took[turn] = begin.elapsed().as_secs_f64();
        }
        ours.push(took[0]);
        theirs.push(took[1]);
        ratios.push(took[0] / took[1]);
        let begin = Instant::now();
        assert!(!orders.sync().await.expect("a synchronisation").changed, "nothing is new");
        same.push(begin.elapsed().as_secs_f64());
    }
    let mut table = Table::new(format!("The second sync of a repository with {COMMITS} commits"));
    let milliseconds = |values: &[f64]| format!("{:.0} ms", quantile(values, 0.5) * 1_000.0);
    table.row(format!("sync with one new commit, median of {pairs}"), milliseconds(&ours), "");
    table.row(format!("`git clone` of the same, median of {pairs}"), milliseconds(&theirs), "");
    table.row("median of the pairs' ratios", format!("1/{:.0}", 1.0 / quantile(&ratios, 0.5)), "1/20");
    table.row("sync with nothing new, median", milliseconds(&same), "");
    table.row("the first sync", format!("{:.0} ms", first.as_secs_f64() * 1_000.0), "");
    table.print();
}

async fn clone(server: &HttpsServer, to: &Path) {
    let mut command = tokio::process::Command::new("git");
    command.args(["clone", "--quiet", &server.url("orders")]).arg(to).env("GIT_SSL_CAINFO", server.ca_file());
    let status = command.stdin(Stdio::null()).status().await.expect("git");
    assert!(status.success(), "git clone failed");
}

/// A stream for `git fast-import`: files of a project that change from commit to commit.
fn history(commits: usize) -> String {
    let mut stream = String::new();
    for commit in 0..commits {
        let (message, file) = (format!("commit {commit}"), text(commit));
        stream += "commit refs/heads/main\ncommitter Ada Lovelace <ada@example.com> 1700000000 +0000\n";
        stream += &format!("data {}\n{message}\n", message.len());
        stream += &format!("M 100644 inline src/part{}/File{}.java\n", commit % 20, commit % 300);
        stream += &format!("data {}\n{file}\n", file.len());
    }
    stream
}

/// About 6 KB that compress as a program's text does.
fn text(seed: usize) -> String {
    let mut state = seed as u64 + 1;
    let mut line = |number: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("    private static final long VALUE_{number} = 0x{state:016x}L; // a constant of this class\n")
    };
    (0..75).map(&mut line).collect()
}

/// A builder that takes no time of its own.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Builder for Nothing {
    fn kind(&self) -> &str {
        "nothing"
    }

    fn fingerprint(&self) -> String {
        String::new()
    }

    async fn build(&self, request: &BuildRequest) -> Result<BuildOutput> {
        let jar = request.folder.join("orders.jar");
        let mut end = b"PK\x05\x06".to_vec();
        end.resize(22, 0);
        std::fs::write(&jar, end)?;
        let mut output = BuildOutput::default();
        output.modules.push((String::new(), vec![jar]));
        Ok(output)
    }
}

#[derive(Debug)]
struct Plans(PathBuf);

impl BuildPlans for Plans {
    fn plan(&self, _project: &str) -> Result<BuildPlan> {
        Ok(BuildPlan::new(Arc::new(LocalSource::new(&self.0)?), Arc::new(Nothing)))
    }
}

/// What the queue adds to a build: its records and log, the checkout of ten small files, the jar's hash and the artifact.
pub(crate) async fn queue(builds: usize) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let code = folder.path().join("code");
    std::fs::create_dir_all(&code).expect("a folder");
    for number in 0..10 {
        std::fs::write(code.join(format!("File{number}.java")), text(number)).expect("a file");
    }
    let artifacts = ArtifactStore::local(folder.path().join("artifacts")).expect("a folder");
    let mut options = BuildQueueOptions::default();
    options.concurrency = 2;
    let queue = BuildQueue::open(folder.path().join("builds"), artifacts, Arc::new(Plans(code)), options);
    let queue = queue.await.expect("a queue");
    let mut alone = Vec::new();
    for _ in 0..builds {
        let begin = Instant::now();
        queue.add(BuildOrder::new("orders").fresh()).await.expect("room").wait().await.expect("a build");
        alone.push(begin.elapsed().as_secs_f64());
    }
    let begin = Instant::now();
    let mut many = Vec::new();
    for number in 0..builds {
        many.push(queue.add(BuildOrder::new(format!("project-{number}")).fresh()).await.expect("room"));
    }
    for build in many {
        build.wait().await.expect("a build");
    }
    let each = begin.elapsed().as_secs_f64() / builds as f64;
    let mut table = Table::new("What the queue adds to a build");
    let milliseconds = |seconds: f64| format!("{:.1} ms", seconds * 1_000.0);
    table.row(format!("asked for to artifact kept, p50 of {builds}"), milliseconds(quantile(&alone, 0.5)), "50 ms");
    table.row("p99", milliseconds(quantile(&alone, 0.99)), "");
    table.row(format!("{builds} asked for at once, two at a time, for each"), milliseconds(each), "50 ms");
    table.print();
}

/// The program under measure: `bench inspect-once JAR`.
#[allow(clippy::print_stdout)]
pub(crate) fn inspect_once(jar: &str) {
    let before = memory("VmRSS");
    let begin = Instant::now();
    let found = Inspection::of_jar(Path::new(jar)).expect("a jar");
    let took = begin.elapsed();
    println!("{} {} {} {}", found.classes, took.as_micros(), before, memory("VmHWM"));
}

/// All of Flink under a package of nobody's, so that no class can be passed over as a known library's.
pub(crate) fn inspect(home: &str, times: usize) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let jar = folder.path().join("fat.jar");
    fat_jar(home, &jar);
    let megabytes = std::fs::metadata(&jar).expect("the jar").len() as f64 / 1e6;
    let (mut took, mut grown, mut peak, mut classes) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
    for _ in 0..times {
        let program = std::env::current_exe().expect("this program");
        let output = Command::new(program).arg("inspect-once").arg(&jar).output().expect("a child");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let told: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [found, micros, before, high] = told.as_slice() else { panic!("it told {text}") };
        classes = *found;
        took.push(Duration::from_micros(*micros as u64).as_secs_f64());
        grown.push((high - before) / 1024.0);
        peak.push(high / 1024.0);
    }
    let mut table = Table::new(format!("Looking into a fat jar of {megabytes:.0} MB, {classes:.0} classes"));
    table.row(format!("time, median of {times}"), format!("{:.2} s", quantile(&took, 0.5)), "1 s");
    table.row("memory that it takes, most", format!("{:.0} MiB", quantile(&grown, 1.0)), "30 MB");
    table.row("peak of the whole process", format!("{:.0} MiB", quantile(&peak, 1.0)), "");
    table.print();
}

fn fat_jar(home: &str, to: &Path) {
    let mut files = std::fs::read_dir(Path::new(home).join("lib")).expect("Flink").flatten().map(|entry| entry.path());
    let dist = files.find(|path| path.to_string_lossy().contains("flink-dist")).expect("flink-dist");
    let mut from = zip::ZipArchive::new(BufReader::new(File::open(dist).expect("flink-dist"))).expect("a jar");
    let mut to = zip::ZipWriter::new(File::create(to).expect("a file"));
    for index in 0..from.len() {
        let entry = from.by_index_raw(index).expect("an entry");
        let name = format!("acme/{}", entry.name().expect("a name"));
        to.raw_copy_file_rename(entry, name).expect("a copy");
    }
    to.finish().expect("a jar");
}

/// A figure of this process in kB (`proc(5)`).
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim_start_matches(':').split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
