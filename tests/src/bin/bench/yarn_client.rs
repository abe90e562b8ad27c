//! Flink's own client of an application on YARN, measured.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use streampark_core::flink::JAVA_17_OPTIONS;
use streampark_tests::hadoop::Hadoop;

use crate::yarn::{SMALL, high_water, kill, until_running};

/// What the client says when the ResourceManager has taken the application: `YarnClientImpl`.
const SUBMITTED: &str = "Submitted application ";
const LOGGING: &str = "rootLogger.level = INFO\nrootLogger.appenderRef.c.ref = c\nappender.c.name = c\nappender.c.type = CONSOLE\n\
                       appender.c.layout.type = PatternLayout\nappender.c.layout.pattern = %m%n\n";

/// What one client took.
pub(crate) struct Theirs {
    pub(crate) submitted: f64,
    pub(crate) cpu: f64,
    pub(crate) peak_mib: f64,
    pub(crate) running: f64,
}

/// `CliFrontend run-application -t yarn-application`, from 2.0 on `run -t yarn-application`.
pub(crate) async fn theirs(
    hadoop: &Hadoop,
    class_path: &str,
    home: &str,
    folders: &[String; 2],
    jar: &str,
    class: &str,
    args: &[&str],
) -> Theirs {
    let conf = tempfile::tempdir().expect("a folder for temporary files");
    let logging = conf.path().join("log4j.properties");
    std::fs::write(&logging, LOGGING).expect("a file");
    std::fs::write(conf.path().join("config.yaml"), "parallelism.default: 1\n").expect("a file");
    let is_first = std::fs::read_dir(format!("{home}/lib"))
        .expect("Flink's lib")
        .flatten()
        .any(|file| file.file_name().to_str().is_some_and(|name| name.starts_with("flink-dist-1.")));
    let java = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin").join("java"));
    let mut command = Command::new(java.unwrap_or_else(|| PathBuf::from("java")));
    command
        .args(JAVA_17_OPTIONS.split_whitespace())
        .arg(format!("-Dlog4j.configurationFile={}", logging.display()))
        .args(["-cp", &format!("{home}/lib/*:{class_path}"), "org.apache.flink.client.cli.CliFrontend"])
        .args([if is_first { "run-application" } else { "run" }, "-t", "yarn-application"])
        .arg(format!("-Dyarn.provided.lib.dirs={}", folders.join(";")))
        .args(SMALL.iter().map(|(key, value)| format!("-D{key}={value}")))
        .args(["-c", class, jar])
        .args(args)
        .env("FLINK_CONF_DIR", conf.path())
        .env("FLINK_LIB_DIR", format!("{home}/lib"))
        .env("FLINK_PLUGINS_DIR", format!("{home}/plugins"))
        .env("HADOOP_CONF_DIR", &hadoop.at.conf)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let begin = Instant::now();
    let mut child = command.spawn().expect("Flink's client starts");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let (tell, told) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut said = Vec::new();
        for line in output.lines().map_while(Result::ok) {
            if let Some((_, id)) = line.split_once(SUBMITTED) {
                drop(tell.send((id.trim().to_owned(), begin.elapsed().as_secs_f64())));
            }
            said.push(line);
        }
        said
    });
    let (status, stat) = (format!("/proc/{}/status", child.id()), format!("/proc/{}/stat", child.id()));
    let (mut peak, mut ticks, mut taken) = (0.0_f64, 0.0_f64, None);
    let exit = loop {
        peak = peak.max(high_water(&status));
        ticks = ticks.max(processor_ticks(&stat));
        if taken.is_none()
            && let Ok((id, at)) = told.try_recv()
        {
            let waiting = tokio::spawn(until_running(hadoop.at.clone(), id.clone(), begin));
            taken = Some((id, at, waiting));
        }
        match child.try_wait().expect("the client ends") {
            Some(exit) => break exit,
            None => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    };
    let said = reading.join().expect("its output was read");
    let Some((id, submitted, waiting)) = taken else { panic!("Flink's client ended with {exit} and said: {said:#?}") };
    let running = waiting.await.expect("it runs");
    kill(&hadoop.at, &id).await;
    // The kernel counts in hundredths of a second.
    Theirs { submitted, cpu: ticks / 100.0, peak_mib: peak, running }
}

/// User and system time, in ticks.
fn processor_ticks(stat: &str) -> f64 {
    let text = std::fs::read_to_string(stat).unwrap_or_default();
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let number = |index: usize| rest.split_whitespace().nth(index).and_then(|word| word.parse::<f64>().ok());
    number(11).unwrap_or(0.0) + number(12).unwrap_or(0.0)
}
