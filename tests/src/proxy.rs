//! A TCP proxy that loses answers on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Forwards to one address; answers to requests whose first line holds a text can be lost.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Where to connect.
    pub address: String,
    losses: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
}

impl Proxy {
    /// Forwards to `target` (`host:port`) and loses answers to requests that hold `text`.
    pub async fn start(target: String, text: &'static str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let proxy = Self {
            address: format!("http://{}/", listener.local_addr()?),
            losses: Arc::default(),
            lost: Arc::default(),
        };
        let shared = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (shared, target) = (shared.clone(), target.clone());
                tokio::spawn(async move { shared.forward(client, &target, text).await });
            }
        });
        Ok(proxy)
    }

    /// Loses the next `count` answers: the request is passed on, the connection is cut when the answer comes.
    pub fn lose(&self, count: usize) {
        self.losses.store(count, Ordering::SeqCst);
    }

    /// Answers lost so far.
    pub fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }

    async fn forward(&self, mut client: TcpStream, target: &str, text: &str) -> std::io::Result<()> {
        let mut server = TcpStream::connect(target).await?;
        let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        let mut doomed = false;
        loop {
            tokio::select! {
                read = client.read(&mut up) => {
                    let read = read?;
                    if read == 0 {
                        return Ok(());
                    }
                    let head = String::from_utf8_lossy(up.get(..read.min(2_000)).unwrap_or_default());
                    let meant = head.lines().next().is_some_and(|line| line.starts_with("POST") && line.contains(text));
                    if meant && self.losses.load(Ordering::SeqCst) > 0 {
                        self.losses.fetch_sub(1, Ordering::SeqCst);
                        doomed = true;
                    }
                    server.write_all(up.get(..read).unwrap_or_default()).await?;
                }
                read = server.read(&mut down) => {
                    let read = read?;
                    if read == 0 {
                        return Ok(());
                    }
                    if doomed {
                        self.lost.fetch_add(1, Ordering::SeqCst);
                        return Ok(());
                    }
                    client.write_all(down.get(..read).unwrap_or_default()).await?;
                }
            }
        }
    }
}
