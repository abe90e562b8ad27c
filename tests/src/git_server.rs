//! Real Git servers on the loopback address: OpenSSH's `sshd`, and `git http-backend` behind TLS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

/// A folder of bare repositories, and what fills them.
#[derive(Debug)]
pub struct Repositories {
    folder: tempfile::TempDir,
}

impl Default for Repositories {
    fn default() -> Self {
        Self::new()
    }
}

impl Repositories {
    /// An empty folder.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Where the repository `name` is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.git"))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A new empty repository with the default branch `main`.
    pub fn create(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        git(self.folder.path(), &["init", "--quiet", "--bare", "--initial-branch=main", path.to_str().unwrap()]);
        git(&path, &["config", "http.receivepack", "true"]);
        path
    }

    /// Commits `files` on top of `branch` of the repository `name`; returns the commit's id.
    pub fn commit(&self, name: &str, branch: &str, message: &str, files: &[(&str, &str)]) -> String {
        let mut stream = format!("commit refs/heads/{branch}\n");
        stream += "committer Ada Lovelace <ada@example.com> 1700000000 +0000\n";
        stream += &format!("data {}\n{message}\n", message.len());
        let path = self.path(name);
        if succeeds(&path, &["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")]) {
            stream += &format!("from refs/heads/{branch}^0\n");
        }
        for (file, text) in files {
            let (mode, file) = match file.split_once(':') {
                Some((mode, file)) => (mode, file),
                None => ("100644", *file),
            };
            match mode {
                "160000" => stream += &format!("M 160000 {text} {file}\n"),
                mode => stream += &format!("M {mode} inline {file}\ndata {}\n{text}\n", text.len()),
            }
        }
        self.import(name, &stream);
        git(&path, &["rev-parse", &format!("refs/heads/{branch}")])
    }

    /// Feeds a stream to `git fast-import`.
    pub fn import(&self, name: &str, stream: &str) {
        let mut child = Command::new("git")
            .args(["fast-import", "--quiet", "--force"])
            .current_dir(self.path(name))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), stream.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "git fast-import failed");
    }

    /// Runs `git` in the repository `name`.
    pub fn git(&self, name: &str, args: &[&str]) -> String {
        git(&self.path(name), args)
    }
}

/// Runs `git` in `folder`; its output without the last line end.
pub fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git").args(args).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn succeeds(folder: &Path, args: &[&str]) -> bool {
    Command::new("git").args(args).current_dir(folder).output().unwrap().status.success()
}

/// A running `sshd`, ended when dropped.
#[derive(Debug)]
pub struct SshServer {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
    user: String,
}

impl SshServer {
    /// Starts `sshd` on a free port; panics where the package `openssh-server` is missing.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for (name, kind) in
            [("host_ed25519", "ed25519"), ("host_ecdsa", "ecdsa"), ("client", "ed25519"), ("stranger", "ed25519")]
        {
            keygen(&["-q", "-t", kind, "-N", "", "-f", &at(name)]);
        }
        keygen(&["-q", "-t", "rsa", "-b", "3072", "-N", "open sesame", "-f", &at("locked")]);
        let keys = ["client.pub", "locked.pub"].map(|name| std::fs::read_to_string(at(name)).unwrap());
        std::fs::write(at("authorized_keys"), keys.concat()).unwrap();
        let _ = std::fs::create_dir_all("/run/sshd");
        let port = crate::ports::free();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\nPermitRootLogin yes\n\
             MaxStartups 100\n",
            at("host_ed25519"),
            at("host_ecdsa"),
            at("authorized_keys")
        );
        std::fs::write(at("config"), config).unwrap();
        let binary = ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().find(|path| Path::new(path).exists());
        let log = std::fs::File::create(at("log")).unwrap();
        let child = Command::new(binary.expect("sshd is missing: install the package openssh-server"))
            .args(["-D", "-e", "-f", &at("config")])
            .stderr(log)
            .spawn()
            .unwrap();
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned();
        let server = Self { child, folder, port, user };
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "sshd did not start: {}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// The address of the repository at `path`.
    pub fn url(&self, path: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, path.display())
    }

    /// A private key: `client`, `locked` (passphrase `open sesame`), or `stranger`, which may not log in.
    pub fn key(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A `known_hosts` file with the server's own keys.
    pub fn known_hosts(&self) -> PathBuf {
        self.write_known_hosts("known", &["host_ed25519.pub", "host_ecdsa.pub"])
    }

    /// A `known_hosts` file in which the server has other keys.
    pub fn changed_hosts(&self) -> PathBuf {
        for kind in ["ed25519", "ecdsa"] {
            let path = self.folder.path().join(format!("other_{kind}"));
            if !path.exists() {
                keygen(&["-q", "-t", kind, "-N", "", "-f", path.to_str().unwrap()]);
            }
        }
        self.write_known_hosts("changed", &["other_ed25519.pub", "other_ecdsa.pub"])
    }

    /// What the server wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn write_known_hosts(&self, name: &str, keys: &[&str]) -> PathBuf {
        let lines = keys.iter().map(|key| {
            let text = std::fs::read_to_string(self.folder.path().join(key)).unwrap();
            format!("[127.0.0.1]:{} {text}", self.port)
        });
        let path = self.folder.path().join(name);
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        path
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keygen(args: &[&str]) {
    assert!(Command::new("ssh-keygen").args(args).stdin(Stdio::null()).status().unwrap().success());
}

/// A running HTTPS server in front of `git http-backend`, ended when dropped.
#[derive(Debug)]
pub struct HttpsServer {
    address: SocketAddr,
    folder: tempfile::TempDir,
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Backend {
    root: PathBuf,
    password: Option<String>,
    requests: Arc<AtomicUsize>,
}

impl HttpsServer {
    /// Serves the repositories below `root` as `https://localhost:PORT/NAME.git`; with `password`, to
    /// those alone who give it.
    pub async fn start(root: &Path, password: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let backend =
            Backend { root: root.to_owned(), password: password.map(str::to_owned), requests: requests.clone() };
        let app = Router::new().fallback(serve).with_state(backend);
        let listener = TlsListener { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) };
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, folder, requests, task }
    }

    /// The address of the repository `name`.
    pub fn url(&self, name: &str) -> String {
        format!("https://localhost:{}/{name}.git", self.address.port())
    }

    /// The certificate to trust, as PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// How many requests have come.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for HttpsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = tokio_rustls::server::TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.tcp.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

async fn serve(State(backend): State<Backend>, request: Request) -> Response<Body> {
    backend.requests.fetch_add(1, Ordering::SeqCst);
    let (head, body) = request.into_parts();
    let header = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    if let Some(password) = &backend.password {
        let given = header(header::AUTHORIZATION).strip_prefix("Basic ").unwrap_or_default();
        let given = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, given).unwrap_or_default();
        if !given.ends_with(format!(":{password}").as_bytes()) {
            return answer(StatusCode::UNAUTHORIZED, "www-authenticate: Basic realm=\"git\"", Bytes::new());
        }
    }
    let body = axum::body::to_bytes(body, 1 << 30).await.unwrap();
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &backend.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", head.method.as_str())
        .env("CONTENT_TYPE", header(header::CONTENT_TYPE))
        .env("HTTP_CONTENT_ENCODING", header(header::CONTENT_ENCODING))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("REMOTE_USER", "tester")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feed = tokio::spawn(async move {
        let _ = stdin.write_all(&body).await;
    });
    let output = child.wait_with_output().await.unwrap();
    let _ = feed.await;
    let end = output.stdout.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_default();
    let head = String::from_utf8_lossy(&output.stdout[..end]).into_owned();
    let status =
        head.lines().find_map(|line| line.strip_prefix("Status: ")).and_then(|text| text.get(..3)?.parse().ok());
    answer(
        StatusCode::from_u16(status.unwrap_or(200)).unwrap(),
        &head,
        Bytes::copy_from_slice(output.stdout.get(end + 4..).unwrap_or_default()),
    )
}

fn answer(status: StatusCode, headers: &str, body: Bytes) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers.lines().filter_map(|line| line.split_once(": ")) {
        if !name.eq_ignore_ascii_case("status") {
            response = response.header(name, value);
        }
    }
    response.body(Body::from(body)).unwrap()
}
