//! The whole road on a real Hadoop: a Git repository behind ssh, a Maven build, a job on YARN that fails, is told of and
//! comes back from HDFS, and a new commit that takes over with a savepoint. Every step is printed with its second.
//!
//! `make demo-yarn` sets up what it needs. By hand, with Flink 1.20, 2.3 or both:
//!
//! ```sh
//! HADOOP_JARS="$(tests/servers/hadoop.sh 3.5.0)" FLINK_1_HOME="$(tests/servers/flink.sh 1.20.5)" \
//!     FLINK_2_HOME="$(tests/servers/flink.sh 2.3.0)" cargo run -p streampark-examples --bin demo_yarn
//! ```

use std::path::Path;
use std::time::{Duration, Instant};

use streampark_core::alert::Webhook;
use streampark_core::build::{BuildOrder, ProjectSpec};
use streampark_core::job::{Dependency, JarProgram, JobSpec, JobState, ModuleRef};
use streampark_core::platform::{Job, Project, Projects, ProjectsOptions, WaitOptions};
use streampark_core::project::git::GitOptions;
use streampark_core::store::SqliteStore;
use streampark_core::{Error, ErrorKind, Result, StreamPark};
use streampark_examples::timeline::{People, Timeline, data_folder, history, variable};
use streampark_tests::git_host::GitHost;
use streampark_tests::hadoop::Hadoop;
use streampark_yarn::{YarnCluster, YarnOptions};

/// What the new commit changes.
const PRICE: &str = "shared/src/main/java/streampark/orders/shared/Price.java";

#[tokio::main]
async fn main() -> Result<()> {
    let clusters: Vec<(&str, String)> = [("yarn-flink-1", "FLINK_1_HOME"), ("yarn-flink-2", "FLINK_2_HOME")]
        .into_iter()
        .filter_map(|(name, home)| std::env::var(home).ok().filter(|home| !home.is_empty()).map(|home| (name, home)))
        .collect();
    if clusters.is_empty() {
        return Err(Error::invalid("neither FLINK_1_HOME nor FLINK_2_HOME is set; run the demo with: make demo-yarn"));
    }
    let jars = variable("HADOOP_JARS", "demo-yarn")?;
    let data = data_folder()?;
    let clock = Timeline::default();

    clock.say("starting a real Hadoop: HDFS and YARN, one node each; and an ssh server with a Git repository");
    let starting = tokio::task::spawn_blocking(move || Hadoop::start(&jars, &[]));
    let host = tokio::task::spawn_blocking(|| GitHost::start("streaming")).await.map_err(lost)?;
    clock.say(&format!("Git answers at {}", host.at.url));
    let hadoop = starting.await.map_err(lost)?;
    clock.say(&format!("YARN answers at {}, HDFS at {}", hadoop.at.resource_manager, hadoop.at.fs));

    let mut git = GitOptions::default();
    git.known_hosts = vec![host.at.known_hosts.clone()];
    let projects = Projects::open(data.join("projects"), ProjectsOptions::default().git(git)).await?;
    let people = People::listen().await?;
    let mut builder = StreamPark::builder()
        .store(SqliteStore::open(data.join("jobs.db")).await?)
        .channel("oncall", Webhook::new(&people.address)?)
        .cache(data.join("cache"))
        .projects(projects.clone());
    for (name, home) in &clusters {
        builder = builder.cluster(*name, YarnCluster::new(yarn(&hadoop, home))?);
    }
    let platform = builder.start().await?.acting_as("ada");

    let yaml = format!(
        "name: orders\ngit: {}\nref: main\ncredentials: {{key: {{file: {}}}}}\nbuilder: {{maven: {{}}}}\n\
         modules: [jobs/orders]\nowner: team-orders\nenvironment: prod\n",
        host.at.url,
        host.at.key.display()
    );
    println!("\n{yaml}");
    let orders = projects.put(ProjectSpec::from_yaml(&yaml)?).await?;
    let follower = clock.follow(&platform);
    let mut result = Ok(());
    for (round, (cluster, _)) in clusters.iter().enumerate() {
        let walk = Walk { platform: &platform, orders: &orders, host: &host, people: &people, data: &data, clock };
        result = walk.tell(cluster, round).await;
        if result.is_err() {
            break;
        }
    }
    follower.abort();
    platform.shutdown().await?;
    clock.say("stopping Hadoop");
    tokio::task::spawn_blocking(move || drop((hadoop, host))).await.map_err(lost)?;
    println!(
        "\nthe data are in {}\n  jobs.db    jobs, runs, history\n  projects/  the mirror, builds with their logs, artifacts\n  \
         output/    what the jobs wrote",
        data.display()
    );
    result
}

/// Small processes, for a machine on which everything else runs too.
fn yarn(hadoop: &Hadoop, flink_home: &str) -> YarnOptions {
    YarnOptions::from_hadoop_conf(&hadoop.at.conf)
        .flink_home(flink_home)
        .flink("jobmanager.memory.process.size", "1g")
        .flink("taskmanager.memory.process.size", "1200m")
        .flink("taskmanager.memory.managed.size", "64m")
        .flink("execution.checkpointing.interval", "1 s")
        .flink("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION")
        .flink("state.checkpoints.dir", format!("{}/flink/checkpoints", hadoop.at.fs))
        .flink("state.savepoints.dir", format!("{}/flink/savepoints", hadoop.at.fs))
}

/// One version of Flink on the road.
struct Walk<'a> {
    platform: &'a StreamPark,
    orders: &'a Project,
    host: &'a GitHost,
    people: &'a People,
    data: &'a Path,
    clock: Timeline,
}

impl Walk<'_> {
    async fn tell(&self, cluster: &str, round: usize) -> Result<()> {
        println!("\n-- {cluster}: {}\n", self.platform.clusters().get(cluster)?.info().location);
        let output = self.data.join("output").join(cluster);
        self.build("ada").await?;

        let name = format!("orders-on-{cluster}");
        let spec = JobSpec::new(&name, program(&output))
            .cluster(cluster)
            .owner("ada")
            .alert("oncall")
            // Flink's own restarts would hide the failure.
            .flink("restart-strategy.type", "none");
        let job = self.platform.jobs().create(spec).await?;
        job.start().await?;
        self.first_order(&output, 1).await?;
        self.first_order(&output, 2).await?;
        self.people.wait("job_failed", round + 1).await?;
        self.people.wait("job_recovered", round + 1).await?;

        let (old, new) = (499 + 100 * round, 599 + 100 * round);
        let change = |text: &str| text.replace(&format!("+ {old}"), &format!("+ {new}"));
        let (host, message) = (self.host, format!("Postage is {new} cents"));
        let pushed = host.push(&message, PRICE, change);
        self.clock.say(&format!("git push: {} {message}", short(&pushed)));
        self.build("bob").await?;
        // New code comes when somebody asks for it; here somebody else, and the history says who.
        self.platform.acting_as("bob").jobs().get(&name)?.restart().await?;
        self.first_order(&output, 3).await?;

        history(&job).await?;
        self.runs(&job).await?;
        job.cancel().await?;
        job.wait_for_with(JobState::Canceled, WaitOptions::at_most(Duration::from_secs(120))).await?;
        Ok(())
    }

    /// Brings what is new, and builds it.
    async fn build(&self, actor: &str) -> Result<()> {
        let begun = Instant::now();
        let report = self.orders.sync().await?;
        let revision = &report.revision;
        let (author, summary) = (revision.author.as_deref(), revision.summary.as_deref());
        self.clock.say(&format!(
            "synchronised: {} '{}' by {}, {} bytes in {} ms",
            short(&revision.id),
            summary.unwrap_or_default(),
            author.unwrap_or("nobody"),
            report.received_bytes,
            begun.elapsed().as_millis()
        ));
        let build = self.orders.build_with(BuildOrder::new("").actor(actor)).await?;
        let record = build.wait().await?;
        for artifact in build.artifacts().await? {
            self.clock.say(&format!(
                "build {} for {actor}: {} of {}, sha256 {}{}",
                build.id(),
                artifact.job_jar.path,
                artifact.module,
                short(&artifact.id),
                if record.reused.is_some() { ", built before" } else { "" }
            ));
        }
        Ok(())
    }

    /// Waits until the run `generation` has put out its first order: only then its tasks work.
    async fn first_order(&self, output: &Path, generation: usize) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(300) {
            let files = std::fs::read_dir(output).map_or(0, Iterator::count);
            if files >= generation {
                self.clock.say(&format!("run {generation} works: its first order is out"));
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Error::new(ErrorKind::Timeout, format!("run {generation} has put out no order")))
    }

    async fn runs(&self, job: &Job) -> Result<()> {
        println!("\nruns of {}", job.name());
        for run in job.runs(10).await?.iter().rev() {
            let application = run.run.deployment.as_ref().map(ToString::to_string).unwrap_or_default();
            let from = run.restored_from.as_ref().map_or("empty".to_owned(), ToString::to_string);
            println!("  run {} as {application} from {from}", run.run.key.generation);
            let Some(origin) = self.platform.projects()?.origin_of(&job.spec_of(run).await?).await? else { continue };
            println!(
                "      commit {} '{}' by {}; build {} for {}; project of {}",
                short(&origin.revision.id),
                origin.revision.summary.as_deref().unwrap_or_default(),
                origin.revision.author.as_deref().unwrap_or("nobody"),
                origin.build.as_ref().map_or("forgotten", |build| &build.id),
                origin.build.as_ref().map_or("nobody", |build| &build.order.actor),
                origin.project.as_ref().map_or("nobody", |project| &project.owner),
            );
        }
        Ok(())
    }
}

/// The module's jar; the job throws after three checkpoints, once.
fn program(output: &Path) -> JarProgram {
    let module = ModuleRef::new("orders").module("jobs/orders");
    JarProgram::new(Dependency::Module(module)).args([output.to_string_lossy().into_owned(), "3".to_owned()])
}

fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}

fn lost(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, "a server could not be started or stopped").with_source(error)
}
