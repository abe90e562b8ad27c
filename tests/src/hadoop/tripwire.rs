//! A proxy before several servers that does something at one request of many.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

type Action = Box<dyn FnOnce() + Send>;

/// When the wire is tripped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the request is passed on: it never arrives.
    Before,
    /// When it was answered: the answer is lost.
    Answered,
}

struct Armed {
    /// The requests before it, of those that count.
    after: usize,
    counts: fn(&str) -> bool,
    moment: Moment,
    action: Action,
}

#[derive(Default)]
struct State {
    armed: Option<Armed>,
    requests: Vec<String>,
    tripped: bool,
}

/// Forwards to each of its targets, and counts the requests of all of them together.
#[derive(Clone)]
pub struct Tripwire {
    /// Where to connect in place of each target.
    pub addresses: Vec<String>,
    state: Arc<Mutex<State>>,
}

impl Tripwire {
    /// Forwards to `targets`, which are web addresses.
    pub async fn start(targets: &[String]) -> std::io::Result<Self> {
        let mut wire = Self { addresses: Vec::new(), state: Arc::default() };
        let mut listeners = Vec::new();
        for target in targets {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            wire.addresses.push(format!("http://{}", listener.local_addr()?));
            listeners.push((listener, target.trim_start_matches("http://").trim_end_matches('/').to_owned()));
        }
        for (listener, target) in listeners {
            let shared = wire.clone();
            tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    let (shared, target) = (shared.clone(), target.clone());
                    tokio::spawn(async move { shared.forward(client, &target).await });
                }
            });
        }
        Ok(wire)
    }

    /// Does `action`, and cuts the connection, at the request after `after` others; those count of whose first
    /// line `counts` says so.
    pub fn arm(&self, counts: fn(&str) -> bool, after: usize, moment: Moment, action: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        state.armed = Some(Armed { after, counts, moment, action: Box::new(action) });
        state.tripped = false;
    }

    /// Nothing is done from now on.
    pub fn disarm(&self) {
        self.state().armed = None;
    }

    /// Whether it was tripped since it was armed.
    pub fn tripped(&self) -> bool {
        self.state().tripped
    }

    /// The first lines of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request; gives what is armed where it is this one.
    fn note(&self, line: &str) -> Option<(Moment, Action)> {
        let mut state = self.state();
        state.requests.push(line.to_owned());
        let armed = state.armed.as_mut().filter(|armed| (armed.counts)(line))?;
        if armed.after > 0 {
            armed.after -= 1;
            return None;
        }
        let armed = state.armed.take()?;
        state.tripped = true;
        Some((armed.moment, armed.action))
    }

    async fn forward(&self, mut client: TcpStream, target: &str) -> std::io::Result<()> {
        let mut server = TcpStream::connect(target).await?;
        let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        let mut doomed: Option<Action> = None;
        loop {
            tokio::select! {
                read = client.read(&mut up) => {
                    let sent = up.get(..read?).unwrap_or_default();
                    if sent.is_empty() {
                        return Ok(());
                    }
                    let head = String::from_utf8_lossy(sent.get(..sent.len().min(2_000)).unwrap_or_default());
                    let line = head.lines().next().unwrap_or_default();
                    if line.ends_with(" HTTP/1.1") {
                        match self.note(line) {
                            Some((Moment::Before, action)) => {
                                tokio::task::block_in_place(action);
                                return Ok(());
                            }
                            Some((Moment::Answered, action)) => doomed = Some(action),
                            None => {}
                        }
                    }
                    server.write_all(sent).await?;
                }
                read = server.read(&mut down) => {
                    let answer = down.get(..read?).unwrap_or_default();
                    if let Some(action) = doomed.take() {
                        tokio::task::block_in_place(action);
                        return Ok(());
                    }
                    if answer.is_empty() {
                        return Ok(());
                    }
                    client.write_all(answer).await?;
                }
            }
        }
    }
}
