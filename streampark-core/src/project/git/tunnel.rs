//! The relay's way to an SSH server: bytes, and a bound on every wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::verdict::Verdict;
use crate::{Error, ErrorKind, Result, Secret};

/// The head of a proxy's answer that is longer than this is no such head.
const MAX_HEAD: u64 = 16 * 1024;

/// A way to one server, through a proxy where there is one.
#[derive(Debug, Clone)]
pub(super) struct Tunnel {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) proxy: Option<(Url, Option<Secret>)>,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
}

impl Tunnel {
    /// Passes bytes until one side ends. The reason of a failure is written down before the client can
    /// see its connection close.
    pub(super) async fn serve(&self, mut client: TcpStream, verdict: &Verdict, received: &AtomicU64) {
        if let Err(error) = self.pass(&mut client, received).await {
            verdict.set(error);
        }
    }

    async fn pass(&self, client: &mut TcpStream, received: &AtomicU64) -> Result<()> {
        let mut server = connect(self).await?;
        let _ = server.set_nodelay(true);
        let (mut from_server, mut to_server) = server.split();
        let (mut from_client, mut to_client) = client.split();
        let mut up = vec![0; 16 * 1024];
        let mut down = vec![0; 64 * 1024];
        loop {
            tokio::select! {
                read = from_client.read(&mut up) => match read {
                    Ok(0) | Err(_) => return Ok(()),
                    Ok(n) => write(&mut to_server, up.get(..n).unwrap_or_default(), self).await?,
                },
                read = from_server.read(&mut down) => match read {
                    Ok(0) | Err(_) => return Ok(()),
                    Ok(n) => {
                        received.fetch_add(n as u64, Ordering::Relaxed);
                        write(&mut to_client, down.get(..n).unwrap_or_default(), self).await?;
                    }
                },
                () = tokio::time::sleep(self.idle_timeout) => return Err(silent(self)),
            }
        }
    }
}

async fn write(to: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8], route: &Tunnel) -> Result<()> {
    match timeout(route.idle_timeout, to.write_all(bytes)).await {
        Ok(_) => Ok(()),
        Err(_) => Err(silent(route)),
    }
}

async fn connect(route: &Tunnel) -> Result<TcpStream> {
    let Some((proxy, password)) = &route.proxy else {
        return dial(&route.host, route.port, route.connect_timeout, "the Git server").await;
    };
    let (host, port) = (proxy.host_str().unwrap_or_default(), proxy.port_or_known_default().unwrap_or(3128));
    let mut stream = BufReader::new(dial(host, port, route.connect_timeout, "the proxy").await?);
    let target = format!("{}:{}", bracketed(&route.host), route.port);
    let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(password) = password {
        let pair = format!("{}:{}", proxy.username(), password.expose());
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        head.push_str(&format!("Proxy-Authorization: Basic {pair}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    let answer = timeout(route.connect_timeout, read_head(&mut stream)).await.map_err(|_| silent(route))??;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split_whitespace().nth(1).unwrap_or_default();
    if status != "200" {
        let kind = if status == "407" { ErrorKind::Unauthenticated } else { ErrorKind::Unreachable };
        return Err(Error::new(
            kind,
            format!("the proxy refuses to connect to the Git server with HTTP status {status}"),
        )
        .with_context("proxy", format!("{host}:{port}"))
        .with_context("host", target));
    }
    Ok(stream.into_inner())
}

async fn dial(host: &str, port: u16, limit: Duration, who: &str) -> Result<TcpStream> {
    let unreachable = |why: &str| {
        Error::new(ErrorKind::Unreachable, format!("{who} cannot be reached: {why}"))
            .with_context("host", format!("{}:{port}", bracketed(host)))
    };
    match timeout(limit, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(source)) if source.kind() == std::io::ErrorKind::ConnectionRefused => {
            Err(unreachable("the connection was refused").with_source(source))
        }
        Ok(Err(source)) if source.raw_os_error().is_none() => {
            Err(unreachable("its name was not found").with_source(source))
        }
        Ok(Err(source)) => Err(unreachable("there is no way to it").with_source(source)),
        Err(_) => Err(unreachable(&format!("no answer within {} s", limit.as_secs()))),
    }
}

fn silent(route: &Tunnel) -> Error {
    Error::new(ErrorKind::Timeout, format!("the Git server was silent for {} s", route.idle_timeout.as_secs()))
        .with_context("host", format!("{}:{}", route.host, route.port))
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let n = (&mut *stream).take(MAX_HEAD).read_until(b'\n', &mut head).await?;
        let complete = head.ends_with(b"\r\n\r\n") || head.ends_with(b"\n\n");
        if n == 0 || complete || head.len() as u64 > MAX_HEAD {
            return Ok(head);
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
