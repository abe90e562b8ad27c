//! Describes a local Flink, then starts it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::cluster::{LocalCluster, Started};
use super::home::{FlinkHome, java};
use super::process::{Java, Roster, claim};
use crate::flink::{FlinkConfig, JAVA_17_OPTIONS, JobManagerMemory, RestClient, TaskManagerMemory};
use crate::{Error, ErrorKind, Result};

const LOGGING: &str = "rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
appender.file.name = File
appender.file.type = RollingFile
appender.file.append = true
appender.file.fileName = ${sys:log.file}
appender.file.filePattern = ${sys:log.file}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
";

/// Describes a local Flink; [`start`](Self::start) starts it.
#[derive(Debug, Clone)]
#[must_use]
pub struct LocalClusterBuilder {
    flink_home: Option<PathBuf>,
    work_dir: Option<PathBuf>,
    task_managers: usize,
    slots: u32,
    config: FlinkConfig,
    timeout: Duration,
    adopt: bool,
}

impl LocalClusterBuilder {
    pub(super) fn new() -> Self {
        Self {
            flink_home: None,
            work_dir: None,
            task_managers: 1,
            slots: 4,
            config: FlinkConfig::new(),
            timeout: Duration::from_secs(90),
            adopt: true,
        }
    }

    /// Where Flink is: a FLINK_HOME, the folder of an installed PyFlink, or a folder with the jars.
    /// Default: the environment variable `FLINK_HOME`.
    pub fn flink_home(mut self, folder: impl Into<PathBuf>) -> Self {
        self.flink_home = Some(folder.into());
        self
    }

    /// Where configuration, logs and checkpoints are kept. Default: a folder of its own among the
    /// system's temporary files, which stays.
    pub fn work_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.work_dir = Some(folder.into());
        self
    }

    /// How many TaskManagers. Default 1.
    pub fn task_managers(mut self, count: usize) -> Self {
        self.task_managers = count;
        self
    }

    /// Slots of each TaskManager. Default 4.
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// Sets one option of Flink, over all that is set here by itself.
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.set(key, value);
        self
    }

    /// How long Flink may take until it answers with all TaskManagers. Default 90 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What is done with a Flink that an earlier process left behind in the same `work_dir`: it is
    /// used again where it answers and was started with the same settings (true, the default), or
    /// ended first.
    pub fn adopt(mut self, adopt: bool) -> Self {
        self.adopt = adopt;
        self
    }

    /// Starts Flink and waits until it answers with all its TaskManagers.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no Flink or no Java; [`ErrorKind::Conflict`] where a
    /// living process uses the same `work_dir`, also this one; [`ErrorKind::Io`] with Flink's own reason where it
    /// ends while it is starting; [`ErrorKind::Timeout`]. What was started is ended then.
    pub async fn start(self) -> Result<LocalCluster> {
        let home = match &self.flink_home {
            Some(folder) => FlinkHome::find(folder)?,
            None => match std::env::var_os("FLINK_HOME") {
                Some(folder) => FlinkHome::find(Path::new(&folder))?,
                None => {
                    return Err(Error::not_found(
                        "where Flink is was not said; call flink_home(...) or set FLINK_HOME",
                    )
                    .with_operation("local.start"));
                }
            },
        };
        let work = match &self.work_dir {
            Some(folder) => folder.clone(),
            None => tempfile::Builder::new().prefix("streampark-flink-").tempdir()?.keep(),
        };
        for folder in ["conf", "log", "tmp", "upload", "checkpoints", "savepoints"] {
            std::fs::create_dir_all(work.join(folder))?;
        }
        let work = std::fs::canonicalize(work)?;
        let claim = claim(&work)?;
        let started = match self.left_behind(&home, &work).await? {
            Some(roster) => Started { roster, job_manager: None, task_managers: Vec::new() },
            None => self.launch_with_retries(&home, &work).await?,
        };
        LocalCluster::new(home.version, work, claim, started)
    }

    /// A Flink that an earlier process left in `work` and that is as wanted; any other one is ended.
    async fn left_behind(&self, home: &FlinkHome, work: &Path) -> Result<Option<Roster>> {
        let Some(roster) = Roster::read(work) else { return Ok(None) };
        let alike = self.adopt && roster.settings == self.settings(home);
        let alive = roster.all().count() > self.task_managers && roster.all().all(|process| process.is_alive());
        if alike && alive && self.is_whole(&RestClient::connect_to(&roster.address)?).await {
            return Ok(Some(roster));
        }
        roster.end().await;
        Ok(None)
    }

    fn settings(&self, home: &FlinkHome) -> String {
        let options: Vec<_> = self.config.iter().collect();
        // Options may hold secrets: only their digest is written down.
        let text = format!("{} {} {} {options:?}", home.version, self.task_managers, self.slots);
        hex::encode(Sha256::digest(text))
    }

    async fn launch_with_retries(&self, home: &FlinkHome, work: &Path) -> Result<Started> {
        // A port that was free a moment ago may be taken: then all is tried again with others.
        let mut attempts = 3;
        loop {
            attempts -= 1;
            match self.launch(home, work).await {
                Err(error) if attempts > 0 && error.message().contains("BindException") => {}
                other => return other,
            }
        }
    }

    async fn launch(&self, home: &FlinkHome, work: &Path) -> Result<Started> {
        let (rpc, port) = free_ports()?;
        let config = self.configuration(home, work, rpc, port);
        let (name, text) = config.to_file(&home.version)?;
        let conf = work.join("conf");
        std::fs::write(conf.join(name), text)?;
        std::fs::write(conf.join("log4j.properties"), LOGGING)?;
        let java = java()?;
        let address = format!("http://127.0.0.1:{port}/");

        let memory = JobManagerMemory::from_config(&config, &home.version)?;
        let properties = memory.dynamic_properties();
        let properties = properties.iter().map(|(key, value)| (key.to_string(), value.clone()));
        let options = jvm_options(&config, home, &memory.jvm_args(), "env.java.opts.jobmanager");
        let command = java_command(&java, home, work, "jobmanager", &options, JOB_MANAGER, properties);
        let mut job_manager = Java::start(command, &work.join("log").join("jobmanager.log"))?;
        let mut roster = Roster {
            address: address.clone(),
            settings: self.settings(home),
            job_manager: job_manager.identity.clone(),
            task_managers: Vec::new(),
        };
        roster.write(work)?;

        let memory = TaskManagerMemory::from_config(&config, &home.version)?;
        let mut task_managers = Vec::new();
        for index in 0..self.task_managers {
            let name = format!("taskmanager-{index}");
            let properties = memory.dynamic_properties();
            let properties = properties.iter().map(|(key, value)| (key.to_string(), value.clone()));
            let options = jvm_options(&config, home, &memory.jvm_args(), "env.java.opts.taskmanager");
            let command = java_command(&java, home, work, &name, &options, TASK_MANAGER, properties);
            let process = Java::start(command, &work.join("log").join(format!("{name}.log")))?;
            roster.task_managers.extend(process.identity.clone());
            task_managers.push(process);
            roster.write(work)?;
        }
        self.await_answer(&address, &work.join("log"), &mut job_manager, &mut task_managers).await?;
        Ok(Started { roster, job_manager: Some(job_manager), task_managers })
    }

    /// Whether all TaskManagers are there with their slots, which they offer a moment later.
    async fn is_whole(&self, rest: &RestClient) -> bool {
        let configured = self.config.get("taskmanager.numberOfTaskSlots").and_then(|slots| slots.parse().ok());
        let slots = configured.unwrap_or(self.slots) as usize * self.task_managers;
        rest.overview().await.is_ok_and(|overview| {
            overview.taskmanagers as usize >= self.task_managers && overview.slots_total as usize >= slots
        })
    }

    async fn await_answer(
        &self,
        address: &str,
        logs: &Path,
        job_manager: &mut Java,
        task_managers: &mut [Java],
    ) -> Result<()> {
        let rest = RestClient::connect_to(address)?;
        let deadline = Instant::now() + self.timeout;
        loop {
            if self.is_whole(&rest).await {
                return Ok(());
            }
            let dead = job_manager.death().or_else(|| task_managers.iter_mut().find_map(Java::death));
            if let Some(error) = dead {
                return Err(error);
            }
            if Instant::now() >= deadline {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    format!(
                        "Flink did not answer with {} TaskManagers within {:?}; read its logs",
                        self.task_managers, self.timeout
                    ),
                )
                .with_operation("local.start")
                .with_context("log", logs.display()));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn configuration(&self, home: &FlinkHome, work: &Path, rpc: u16, port: u16) -> FlinkConfig {
        let folder = |name: &str| format!("file://{}", work.join(name).display());
        let version = &home.version;
        let mut config = FlinkConfig::new();
        for (key, value) in [
            ("jobmanager.rpc.address", "127.0.0.1".to_owned()),
            ("jobmanager.rpc.port", rpc.to_string()),
            ("jobmanager.bind-host", "127.0.0.1".to_owned()),
            ("rest.address", "127.0.0.1".to_owned()),
            ("rest.bind-address", "127.0.0.1".to_owned()),
            ("rest.port", port.to_string()),
            ("rest.bind-port", port.to_string()),
            ("taskmanager.host", "127.0.0.1".to_owned()),
            ("taskmanager.bind-host", "127.0.0.1".to_owned()),
            ("taskmanager.numberOfTaskSlots", self.slots.to_string()),
            ("jobmanager.memory.process.size", "1024m".to_owned()),
            ("taskmanager.memory.process.size", "1280m".to_owned()),
            ("parallelism.default", "1".to_owned()),
            ("io.tmp.dirs", work.join("tmp").display().to_string()),
            ("web.upload.dir", work.join("upload").display().to_string()),
            // A program that calls System.exit must not take the JobManager with it.
            ("cluster.intercept-user-system-exit", "THROW".to_owned()),
            (version.jvm_options_key(), JAVA_17_OPTIONS.to_owned()),
            (version.checkpoint_directory_key(), folder("checkpoints")),
            (version.savepoint_directory_key(), folder("savepoints")),
        ] {
            config.set(key, value);
        }
        config.merge(&self.config);
        config
    }
}

const JOB_MANAGER: &str = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint";
const TASK_MANAGER: &str = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner";

/// The memory settings, then what the configuration says, as Flink's own scripts have it.
fn jvm_options(config: &FlinkConfig, home: &FlinkHome, memory: &[String], key: &str) -> Vec<String> {
    let configured = [home.version.jvm_options_key(), key].into_iter().filter_map(|key| config.get(key));
    let configured = configured.flat_map(str::split_whitespace).map(str::to_owned);
    memory.iter().cloned().chain(configured).collect()
}

fn java_command(
    java: &Path,
    home: &FlinkHome,
    work: &Path,
    name: &str,
    options: &[String],
    class: &str,
    properties: impl Iterator<Item = (String, String)>,
) -> Command {
    let conf = work.join("conf");
    let mut command = Command::new(java);
    command
        .arg("-XX:+IgnoreUnrecognizedVMOptions")
        .args(JAVA_17_OPTIONS.split_whitespace())
        .args(options)
        .arg(format!("-Djava.io.tmpdir={}", work.join("tmp").display()))
        .arg(format!("-Dlog.file={}", work.join("log").join(format!("{name}.log")).display()))
        .arg(format!("-Dlog4j.configurationFile=file:{}", conf.join("log4j.properties").display()))
        .arg("-cp")
        .arg(format!("{}:{}", home.class_path(), conf.display()))
        .arg(class)
        .arg("--configDir")
        .arg(&conf)
        .args(properties.flat_map(|(key, value)| ["-D".to_owned(), format!("{key}={value}")]))
        .env("FLINK_CONF_DIR", &conf)
        .env_remove("HADOOP_CONF_DIR")
        .current_dir(work)
        .process_group(0);
    if let Some(plugins) = &home.plugins {
        command.env("FLINK_PLUGINS_DIR", plugins);
    }
    command
}

/// Two ports that are free now.
fn free_ports() -> Result<(u16, u16)> {
    let (first, second) = (TcpListener::bind(("127.0.0.1", 0))?, TcpListener::bind(("127.0.0.1", 0))?);
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}
