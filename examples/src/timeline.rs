//! What the demos print: a line for each step with its second, and the alerts that were delivered.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use streampark_core::platform::Job;
use streampark_core::{Error, ErrorKind, Event, EventKind, Result, StreamPark};

/// Seconds since the start.
#[derive(Debug, Clone, Copy)]
pub struct Timeline(Instant);

impl Default for Timeline {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Timeline {
    /// Prints a line.
    pub fn say(&self, line: &str) {
        println!("{:>7.2} s  {line}", self.0.elapsed().as_secs_f64());
    }

    /// Prints what the engine commits, as it is committed.
    pub fn follow(self, platform: &StreamPark) -> tokio::task::JoinHandle<()> {
        let mut events = platform.events();
        tokio::spawn(async move {
            while let Ok(Some(event)) = events.next_event().await {
                if let Some(line) = line_of(&event) {
                    self.say(&line);
                }
            }
        })
    }
}

fn line_of(event: &Event) -> Option<String> {
    let job = event.job_name.as_deref().unwrap_or("-");
    let line = match event.kind {
        EventKind::SubmissionIntended => format!("{job}: submitted; {}", event.message),
        EventKind::StateChanged => format!("{job}: {}", event.to.as_ref()?),
        EventKind::RunFailed => format!("{job}: FAILED noticed; {}", event.error.as_deref().unwrap_or(&event.message)),
        EventKind::RestartDecided | EventKind::SubmissionInDoubt | EventKind::SubmissionRefused => {
            format!("{job}: {}", event.message)
        }
        _ => return None,
    };
    Some(line)
}

/// Prints what happened to a job, oldest first.
///
/// # Errors
/// Those of the store.
pub async fn history(job: &Job) -> Result<()> {
    println!("\nhistory of {}", job.name());
    for event in job.history(200).await?.iter().rev() {
        println!("  {}  {:<11} {}", event.at.strftime("%H:%M:%S%.3f"), event.actor, event.message);
    }
    Ok(())
}

/// A local receiver of webhooks that prints the alerts it is told.
#[derive(Debug, Clone)]
pub struct People {
    /// Where to post.
    pub address: String,
    told: Arc<Mutex<Vec<String>>>,
}

impl People {
    /// Starts to listen.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn listen() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let people = Self { address: format!("http://{}/alerts", listener.local_addr()?), told: Arc::default() };
        let router = Router::new().route("/alerts", post(receive)).with_state(people.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(people)
    }

    /// Waits, at most a minute, until so many alerts of a kind were delivered.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`].
    pub async fn wait(&self, kind: &str, count: usize) -> Result<()> {
        let word = format!("\"{kind}\"");
        for _ in 0..1200 {
            if self.told.lock().is_ok_and(|told| told.iter().filter(|body| body.contains(&word)).count() >= count) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Error::new(ErrorKind::Timeout, format!("no alert '{kind}' was delivered")))
    }
}

async fn receive(State(people): State<People>, body: Bytes) {
    let text = String::from_utf8_lossy(&body).into_owned();
    let alert: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    println!("          ✉ alert delivered: {}", title_of(&alert).unwrap_or("(no title)"));
    if let Ok(mut told) = people.told.lock() {
        told.push(text);
    }
}

fn title_of(value: &serde_json::Value) -> Option<&str> {
    match value {
        serde_json::Value::Object(map) => {
            map.get("title").and_then(serde_json::Value::as_str).or_else(|| map.values().find_map(title_of))
        }
        serde_json::Value::Array(list) => list.iter().find_map(title_of),
        _ => None,
    }
}

/// The value of an environment variable that the Makefile sets.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] where it is not set.
pub fn variable(name: &str, target: &str) -> Result<String> {
    std::env::var(name).map_err(|_| Error::invalid(format!("{name} is not set; run the demo with: make {target}")))
}

/// A new folder below `demo-data`.
///
/// # Errors
/// Those of the file system.
pub fn data_folder() -> Result<std::path::PathBuf> {
    let name = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let data = std::env::current_dir()?.join("demo-data").join(name);
    std::fs::create_dir_all(&data)?;
    Ok(data)
}
