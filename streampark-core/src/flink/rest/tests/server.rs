//! An HTTP server of a few lines that can also misbehave: hang, break off, talk nonsense.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Which connection it came by, from 0.
    pub(super) connection: usize,
    pub(super) line: String,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(super) enum Reply {
    Json(u16, String),
    Typed(u16, &'static str, String),
    /// These bytes instead of HTTP.
    Raw(Vec<u8>),
    /// The connection is closed without an answer.
    BreakOff,
    /// Nothing ever comes.
    Hang,
}

pub(super) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, reply) = (seen.clone(), Arc::new(reply));
        let task = tokio::spawn(async move {
            let mut connections = 0..;
            while let Ok((stream, _)) = listener.accept().await {
                let number = connections.next().unwrap_or_default();
                tokio::spawn(serve(stream, number, log.clone(), reply.clone()));
            }
        });
        Self { address, seen, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<F>(mut stream: TcpStream, number: usize, log: Arc<Mutex<Vec<Seen>>>, reply: Arc<F>)
where
    F: Fn(&Seen) -> Reply + Send + Sync + 'static,
{
    let mut buffer = Vec::new();
    loop {
        let Some(seen) = read(&mut stream, number, &mut buffer).await else {
            // Not HTTP, perhaps TLS: answer as a plain web server does.
            let _ =
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
            return;
        };
        log.lock().unwrap().push(seen.clone());
        let (status, kind, body) = match reply(&seen) {
            Reply::Json(status, body) => (status, "application/json; charset=UTF-8", body),
            Reply::Typed(status, kind, body) => (status, kind, body),
            Reply::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Reply::BreakOff => return,
            Reply::Hang => return std::future::pending().await,
        };
        let extra = if status == 302 { "Location: http://login.example/\r\n" } else { "" };
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{extra}Content-Length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(body.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream, connection: usize, buffer: &mut Vec<u8>) -> Option<Seen> {
    loop {
        if buffer.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
            return None;
        }
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            while buffer.len() < end + 4 + length {
                if stream.read_buf(buffer).await.ok()? == 0 {
                    return None;
                }
            }
            let body = buffer[end + 4..end + 4 + length].to_vec();
            buffer.drain(..end + 4 + length);
            let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
            return Some(Seen { connection, line, head, body });
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
