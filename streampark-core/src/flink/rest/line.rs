//! A connection that stays open for the questions that are asked again and again.
//!
//! A watcher asks each JobManager once a second, and most answers are a few hundred bytes. A general client keeps 25 to
//! 30 KB of queues and buffers for a connection, and a task that must be woken; here a connection that nobody uses is a
//! socket and nothing else.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use reqwest::StatusCode;
use reqwest::header::{HOST, HeaderMap};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::{Host, Position, Url};

/// What is read at once.
const BUFFER: usize = 2048;

/// The longest head of an answer, and the most headers in it.
const HEAD: usize = 16 << 10;
const HEADERS: usize = 64;

/// After so many failures in a row, what is at the other end does not suit.
const STRIKES: u8 = 3;

/// One plain HTTP/1.1 connection, which understands answers of a known length. Whatever else comes, and whatever goes
/// wrong, the question is asked in the usual way, whose errors are those that people see.
pub(super) struct Line {
    /// Those sent with each question, as they go over the wire.
    headers: Vec<u8>,
    /// Whether they name the host already.
    names_host: bool,
    connect_timeout: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The usual way has worked since the last failure here.
    trusted: bool,
    strikes: u8,
    open: Option<Open>,
}

struct Open {
    host: String,
    port: u16,
    stream: TcpStream,
}

/// What was said.
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) content_type: Option<String>,
    pub(super) body: Bytes,
}

/// The other end has not answered in time.
pub(super) struct Silent;

/// The head of an answer.
struct Head {
    length: usize,
    status: StatusCode,
    content_type: Option<String>,
    body: usize,
    stays_open: bool,
}

impl Line {
    /// A line that sends these headers with each question.
    pub(super) fn new(headers: &HeaderMap, connect_timeout: Duration) -> Self {
        let mut written = Vec::new();
        for (name, value) in headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                written.extend_from_slice(part);
            }
        }
        let names_host = headers.contains_key(HOST);
        Self { headers: written, names_host, connect_timeout, state: Mutex::default() }
    }

    /// The usual way has just worked: the next question may come by this one.
    pub(super) fn trust(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.trusted = state.strikes < STRIKES;
    }

    /// The answer to a GET of `url`, at most `limit` bytes of it; None where it must be asked in the usual way.
    pub(super) async fn ask(&self, url: &Url, limit: usize, patience: Duration) -> Option<Result<Said, Silent>> {
        let open = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            // One question at a time: those that come meanwhile go the usual way.
            if !std::mem::take(&mut state.trusted) {
                return None;
            }
            state.open.take()
        };
        let answer = timeout(patience, self.exchange(open, url, limit)).await;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(Some((said, open))) => {
                *state = State { trusted: true, strikes: 0, open };
                Some(Ok(said))
            }
            Ok(None) => {
                state.strikes = state.strikes.saturating_add(1);
                None
            }
            Err(_) => Some(Err(Silent)),
        }
    }

    /// The answer, and the connection where it can be used again.
    async fn exchange(&self, open: Option<Open>, url: &Url, limit: usize) -> Option<(Said, Option<Open>)> {
        let mut open = match open.filter(|open| open.leads_to(url) && open.is_quiet()) {
            Some(open) => open,
            None => timeout(self.connect_timeout, Open::connect(url)).await.ok()??,
        };
        let mut request = Vec::with_capacity(256 + self.headers.len());
        let target = &url[Position::BeforePath..Position::AfterQuery];
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let host = if self.names_host { ["", "", ""] } else { ["host: ", host, "\r\n"] };
        for part in ["GET ", target, " HTTP/1.1\r\n"].into_iter().chain(host) {
            request.extend_from_slice(part.as_bytes());
        }
        request.extend_from_slice(&self.headers);
        request.extend_from_slice(b"\r\n");
        open.stream.write_all(&request).await.ok()?;

        let mut read = Vec::with_capacity(BUFFER);
        let head = loop {
            if open.stream.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
            match head_of(read.get(..HEAD).unwrap_or(&read))? {
                Some(head) => break head,
                None if read.len() >= HEAD => return None,
                None => {}
            }
        };
        if head.body > limit {
            return None;
        }
        let whole = head.length + head.body;
        read.reserve_exact(whole.saturating_sub(read.len()));
        while read.len() < whole {
            if open.stream.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
        }
        // More than was announced is the answer to another question.
        if read.len() > whole {
            return None;
        }
        let mut body = Bytes::from(read);
        body.advance(head.length);
        let said = Said { status: head.status, content_type: head.content_type, body };
        Some((said, head.stays_open.then_some(open)))
    }
}

impl Open {
    async fn connect(url: &Url) -> Option<Self> {
        let port = url.port_or_known_default()?;
        let stream = match url.host()? {
            Host::Domain(name) => TcpStream::connect((name, port)).await,
            Host::Ipv4(address) => TcpStream::connect((IpAddr::from(address), port)).await,
            Host::Ipv6(address) => TcpStream::connect((IpAddr::from(address), port)).await,
        };
        let stream = stream.ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self { host: url.host_str()?.to_owned(), port, stream })
    }

    fn leads_to(&self, url: &Url) -> bool {
        url.host_str() == Some(self.host.as_str()) && url.port_or_known_default() == Some(self.port)
    }

    /// Whether the other end has neither closed it nor said anything without being asked.
    fn is_quiet(&self) -> bool {
        let nothing = self.stream.try_read(&mut [0]);
        nothing.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// The head at the begin of `read`; Some(None) where it is not whole yet, None where it is none of ours.
fn head_of(read: &[u8]) -> Option<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(read).ok()? else { return Some(None) };
    let status = StatusCode::from_u16(response.code?).ok()?;
    // Those that have no body, are followed by another answer, or lead elsewhere.
    let other = status.is_informational() || status.is_redirection() || status == StatusCode::NO_CONTENT;
    if response.version != Some(1) || other {
        return None;
    }
    let values = |name: &'static str| {
        response.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    };
    if values("transfer-encoding").next().is_some() {
        return None;
    }
    let mut lengths = values("content-length");
    let (Some(body), None) = (lengths.next(), lengths.next()) else { return None };
    let body = std::str::from_utf8(body).ok()?.trim();
    let body = body.bytes().all(|byte| byte.is_ascii_digit()).then(|| body.parse().ok())??;
    let closes = values("connection").any(|value| !value.eq_ignore_ascii_case(b"keep-alive"));
    let content_type = values("content-type").next().and_then(|kind| std::str::from_utf8(kind).ok()).map(str::to_owned);
    Some(Some(Head { length, status, content_type, body, stays_open: !closes }))
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}
