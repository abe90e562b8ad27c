//! Git over what stands between: an ssh agent, a proxy; and a file that is too large for anybody.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use streampark_core::build::ProjectSpec;
use streampark_core::platform::{Projects, ProjectsOptions};
use streampark_core::project::git::{GitCache, GitCredentials, GitOptions, GitSource};
use streampark_core::project::{CheckoutOptions, GitScheme, Source, SyncOptions};
use streampark_core::{ErrorKind, Secret};
use streampark_tests::git_server::{HttpsServer, Repositories, SshServer};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

fn orders() -> (Repositories, String) {
    let repositories = Repositories::new();
    repositories.create("orders");
    let commit = repositories.commit("orders", "main", "first", &[("README.md", "# Orders")]);
    (repositories, commit)
}

fn cache(folder: &Path, options: impl FnOnce(&mut GitOptions)) -> GitCache {
    let mut rules = GitOptions::default();
    rules.known_hosts = Vec::new();
    options(&mut rules);
    GitCache::open(folder, rules).unwrap()
}

/// A running `ssh-agent`, ended when dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// libssh2 finds the agent by this process's environment, so the call is made by a process of its own.
#[tokio::test]
async fn an_ssh_agent_logs_in() {
    if let (Ok(url), Ok(known)) = (std::env::var("STREAMPARK_TEST_URL"), std::env::var("STREAMPARK_TEST_KNOWN_HOSTS")) {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), |rules| rules.known_hosts = vec![known.into()]);
        let source = GitSource::new(&cache, &url).unwrap().credentials(GitCredentials::Agent);
        match source.check().await {
            Ok(revision) => println!("found {}", revision.id),
            Err(error) => println!("refused {:?} {}", error.kind(), error.message()),
        }
        return;
    }
    let (repositories, commit) = orders();
    let server = SshServer::start();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent");
    let agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    let _agent = Agent(agent);
    let begun = Instant::now();
    while !socket.exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "ssh-agent does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let ask = || {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["an_ssh_agent_logs_in", "--exact", "--nocapture"])
            .env("SSH_AUTH_SOCK", &socket)
            .env("STREAMPARK_TEST_URL", server.url(&repositories.path("orders")))
            .env("STREAMPARK_TEST_KNOWN_HOSTS", server.known_hosts())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let without = ask();
    assert!(without.contains("refused Unauthenticated authentication refused"), "{without}");
    let added = Command::new("ssh-add").arg("-q").arg(server.key("client")).env("SSH_AUTH_SOCK", &socket).status();
    assert!(added.unwrap().success());
    let with = ask();
    assert!(with.contains(&format!("found {commit}")), "{with}");
}

/// An HTTP proxy that knows CONNECT alone, for those who give its password; counts whom it let through.
async fn proxy(password: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://us@{}", listener.local_addr().unwrap());
    let passed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&passed);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut client = BufReader::new(client);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && client.read_line(&mut head).await.unwrap() > 0 {}
                let pair = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("us:{password}"));
                if !head.contains(&format!("Basic {pair}\r\n")) {
                    client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
                    return;
                }
                let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap();
                let mut server = TcpStream::connect(target).await.unwrap();
                client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, passed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_used_by_https_and_ssh_alike() {
    let (repositories, commit) = orders();
    let https = HttpsServer::start(repositories.root(), None).await;
    let ssh = SshServer::start();
    let (address, passed) = proxy("open sesame").await;
    let folder = tempfile::tempdir().unwrap();
    let through = |name: &str, password: &str| {
        cache(&folder.path().join(name), |rules| {
            rules.ca_file = Some(https.ca_file());
            rules.known_hosts = vec![ssh.known_hosts()];
            rules.proxy = Some(address.parse().unwrap());
            rules.proxy_password = Some(Secret::new(password));
        })
    };
    let right = through("right", "open sesame");
    let key = || GitCredentials::key_file(ssh.key("client"), None);
    let sources = |cache: &GitCache| {
        [
            GitSource::new(cache, &https.url("orders")).unwrap(),
            GitSource::new(cache, &ssh.url(&repositories.path("orders"))).unwrap().credentials(key()),
        ]
    };
    for source in sources(&right) {
        let before = passed.load(Ordering::SeqCst);
        assert_eq!(source.sync(&SyncOptions::default()).await.unwrap().revision.id, commit);
        assert!(passed.load(Ordering::SeqCst) > before, "{source:?} went past the proxy");
    }
    for source in sources(&through("wrong", "canary")) {
        let error = source.check().await.unwrap_err();
        assert!(!format!("{error:?} {}", error.chain()).contains("canary"), "{}", error.chain());
        let refused = matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Unreachable);
        assert!(refused, "{}", error.chain());
    }
}

/// Two gigabytes of zeros are two megabytes on their way; they are refused before they are unpacked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_of_two_gigabytes_is_refused_by_its_size() {
    const SIZE: u64 = (2 << 30) + 1;
    let repositories = Repositories::new();
    let path = repositories.create("huge");
    let mut import = Command::new("git")
        .args(["-c", "core.compression=1", "fast-import", "--quiet", "--big-file-threshold=1m"])
        .current_dir(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stream = import.stdin.take().unwrap();
    let head = "commit refs/heads/main\ncommitter Ada Lovelace <ada@example.com> 1700000000 +0000\ndata 4\nhuge\n";
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    std::io::Write::write_all(&mut stream, format!("M 100644 inline huge.bin\ndata {SIZE}\n").as_bytes()).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), SIZE), &mut stream).unwrap();
    std::io::Write::write_all(&mut stream, b"\n").unwrap();
    drop(stream);
    assert!(import.wait().unwrap().success());
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path(), |rules| rules.schemes = vec![GitScheme::File]);
    let source = GitSource::new(&cache, &format!("file://{}", path.display())).unwrap();
    source.sync(&SyncOptions::default()).await.unwrap();
    let error = source.checkout(&CheckoutOptions::default()).await.unwrap_err();
    assert_eq!(
        error.message(),
        "'huge.bin' of the repository is refused: it has 2147483649 bytes; a file may have 536870912"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_read_at_any_reference() {
    let (repositories, first) = orders();
    repositories.commit("orders", "main", "second", &[("README.md", "# Newer")]);
    repositories.commit("orders", "dev", "elsewhere", &[("README.md", "# Elsewhere")]);
    let server = HttpsServer::start(repositories.root(), None).await;
    let folder = tempfile::tempdir().unwrap();
    let mut git = GitOptions::default();
    git.ca_file = Some(server.ca_file());
    let projects = Projects::open(folder.path(), ProjectsOptions::default().git(git)).await.unwrap();
    let orders = projects.put(ProjectSpec::git("orders", server.url("orders"))).await.unwrap();
    orders.sync().await.unwrap();
    assert_eq!(orders.file("README.md").await.unwrap(), b"# Newer");
    for (reference, text) in [("dev", "# Elsewhere"), (first.as_str(), "# Orders"), ("main", "# Newer")] {
        assert_eq!(orders.file_at(reference, "README.md").await.unwrap(), text.as_bytes(), "{reference}");
    }
    let error = orders.file_at("maim", "README.md").await.unwrap_err();
    assert_eq!(error.message(), "no such ref: the repository has no 'maim'; the nearest name is 'main'");
    let error = orders.file_at("--upload-pack=id", "README.md").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
