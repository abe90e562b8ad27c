//! Git sources against real servers: `sshd`, and `git http-backend` behind TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use streampark_core::project::git::{GitCache, GitCredentials, GitOptions, GitSource};
use streampark_core::project::{CheckoutOptions, GitScheme, Source, SyncOptions};
use streampark_core::{Error, ErrorKind, Secret};
use streampark_tests::git_server::{HttpsServer, Repositories, SshServer};

fn cache(options: impl FnOnce(&mut GitOptions)) -> (tempfile::TempDir, GitCache) {
    let folder = tempfile::tempdir().unwrap();
    let mut rules = GitOptions::default();
    rules.known_hosts = Vec::new();
    options(&mut rules);
    let cache = GitCache::open(folder.path(), rules).unwrap();
    (folder, cache)
}

fn orders() -> Repositories {
    let repositories = Repositories::new();
    repositories.create("orders");
    repositories.commit("orders", "main", "first", &[("README.md", "# Orders"), ("jobs/a/pom.xml", "<project/>")]);
    repositories.commit("orders", "main", "second", &[("100755:mvnw", "#!/bin/sh\n"), ("jobs/a/x.txt", "1")]);
    repositories.git("orders", &["tag", "v1"]);
    repositories.commit("orders", "dev", "elsewhere", &[("dev.txt", "dev")]);
    repositories
}

fn read(checkout: &streampark_core::project::Checkout, file: &str) -> String {
    std::fs::read_to_string(checkout.path().join(file)).unwrap()
}

fn options() -> SyncOptions {
    SyncOptions::default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn https_brings_what_is_new_and_only_that() {
    let repositories = orders();
    let server = HttpsServer::start(repositories.root(), Some("canary-token")).await;
    let (_folder, cache) = cache(|rules| rules.ca_file = Some(server.ca_file()));
    let source = GitSource::new(&cache, &server.url("orders"))
        .unwrap()
        .reference("main")
        .unwrap()
        .credentials(GitCredentials::token("canary-token"));
    assert!(!format!("{source:?}").contains("canary"));

    let seen = Arc::new(AtomicU64::new(0));
    let count = seen.clone();
    let first = source
        .sync(&SyncOptions::default().with_progress(move |progress| {
            count.store(progress.total_objects, Ordering::Relaxed);
        }))
        .await
        .unwrap();
    assert!(first.changed && first.received_bytes > 0);
    assert!(seen.load(Ordering::Relaxed) > 0, "no progress was told");
    assert_eq!(first.revision.author.as_deref(), Some("Ada Lovelace <ada@example.com>"));
    assert_eq!(first.revision.summary.as_deref(), Some("second"));
    assert_eq!(first.revision.reference.as_deref(), Some("main"));

    let before = server.requests();
    let again = source.sync(&options()).await.unwrap();
    assert!(!again.changed);
    assert!(server.requests() - before <= 2, "an unchanged sync asks once (and once to learn who we are)");

    let third = repositories.commit("orders", "main", "third", &[("jobs/a/x.txt", "2")]);
    assert_eq!(source.check().await.unwrap().id, third);
    let newer = source.sync(&options()).await.unwrap();
    assert!(newer.changed);
    assert_eq!(newer.revision.id, third);

    let folder = source.checkout(&CheckoutOptions::default()).await.unwrap();
    assert_eq!(read(&folder, "jobs/a/x.txt"), "2");
    assert!(!folder.path().join(".git").exists());
    let mode = std::os::unix::fs::PermissionsExt::mode(&folder.path().join("mvnw").metadata().unwrap().permissions());
    assert_eq!(mode & 0o111, 0o111, "the wrapper stays executable");
    let path = folder.path().to_owned();
    drop(folder);
    assert!(!path.exists());

    let pinned = source.checkout(&CheckoutOptions::at(&first.revision.id)).await.unwrap();
    assert_eq!(
        (read(&pinned, "jobs/a/x.txt").as_str(), pinned.revision.id.as_str()),
        ("1", first.revision.id.as_str())
    );

    let log = source.log("jobs/a/x.txt", 10).await.unwrap();
    assert_eq!(log.iter().map(|commit| commit.summary.as_str()).collect::<Vec<_>>(), ["third", "second"]);
    assert_eq!(source.log("", 10).await.unwrap().len(), 3);
    assert_eq!(source.file("jobs/a/x.txt").await.unwrap(), b"2");
    assert_eq!(source.readme("jobs/a").await.unwrap(), Some(("README.md".into(), "# Orders".into())));
    let mut refs: Vec<_> = source.refs().await.unwrap().into_iter().map(|r| (r.name, r.default)).collect();
    refs.sort();
    assert_eq!(refs, [("dev".into(), false), ("main".into(), true), ("v1".into(), false)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ssh_logs_in_with_keys_and_checks_the_host() {
    let repositories = orders();
    let server = SshServer::start();
    let (_folder, cache) = cache(|rules| rules.known_hosts = vec![server.known_hosts()]);
    let url = server.url(&repositories.path("orders"));
    let source =
        |credentials| GitSource::new(&cache, &url).unwrap().reference("refs/tags/v1").unwrap().credentials(credentials);
    let report = source(GitCredentials::key_file(server.key("client"), None)).sync(&options()).await.unwrap();
    assert_eq!(report.revision.summary.as_deref(), Some("second"));

    let text = std::fs::read_to_string(server.key("client")).unwrap();
    let memory = GitCredentials::Key { key: text.into(), passphrase: None };
    source(memory).check().await.unwrap();

    let locked = GitCredentials::key_file(server.key("locked"), Some(Secret::new("open sesame")));
    source(locked).check().await.unwrap();

    let wrong = GitCredentials::key_file(server.key("locked"), Some(Secret::new("canary")));
    let stranger = GitCredentials::key_file(server.key("stranger"), None);
    for credentials in [wrong, stranger] {
        let error = source(credentials).check().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{}", error.chain());
        assert!(error.message().starts_with("authentication refused"), "{error}");
        assert!(!format!("{error:?} {}", error.chain()).contains("canary"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_tells_each_cause_apart() {
    let repositories = orders();
    let https = HttpsServer::start(repositories.root(), Some("right")).await;
    let ssh = SshServer::start();
    let trusting = |known: &std::path::Path| {
        let (known, ca) = (known.to_owned(), https.ca_file());
        cache(move |rules| {
            rules.ca_file = Some(ca);
            rules.known_hosts = vec![known];
        })
    };
    let (_a, cache) = trusting(&ssh.known_hosts());
    let key = || GitCredentials::key_file(ssh.key("client"), None);
    let token = || GitCredentials::token("right");
    let fails = async |cache: &GitCache, url: &str, reference: &str, credentials| -> Error {
        let source = GitSource::new(cache, url).unwrap().reference(reference).unwrap().credentials(credentials);
        source.check().await.unwrap_err()
    };

    let error = fails(&cache, &https.url("orders"), "main", GitCredentials::token("wrong")).await;
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::Unauthenticated,
            "authentication refused: the Git server does not accept a password or token; check them and their rights on this repository",
        )
    );
    let error = fails(&cache, &https.url("orders"), "main", GitCredentials::Anonymous).await;
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::Unauthenticated,
            "authentication refused: the Git server wants credentials and the project has none",
        )
    );

    let none = "no such repository: check the path and that these credentials may read it, since servers hide what they refuse";
    let error = fails(&cache, &https.url("nothing"), "main", token()).await;
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, none), "{}", error.chain());
    let error = fails(&cache, &ssh.url(&repositories.path("nothing")), "main", key()).await;
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, none), "{}", error.chain());

    for (url, credentials) in [(https.url("orders"), token()), (ssh.url(&repositories.path("orders")), key())] {
        let error = fails(&cache, &url, "maim", credentials).await;
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::NotFound, "no such ref: the repository has no 'maim'; the nearest name is 'main'",)
        );
    }

    let empty = tempfile::NamedTempFile::new().unwrap();
    let (_b, stranger) = trusting(empty.path());
    let error = fails(&stranger, &ssh.url(&repositories.path("orders")), "main", key()).await;
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().starts_with("host key unknown: "), "{error}");
    assert!(error.context().iter().any(|(key, value)| *key == "fingerprint" && value.starts_with("SHA256:")));

    let (_c, changed) = trusting(&ssh.changed_hosts());
    let error = fails(&changed, &ssh.url(&repositories.path("orders")), "main", key()).await;
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().starts_with("host key changed: "), "{error}");

    let told = "the Git server cannot be reached: the connection was refused";
    for url in ["https://localhost:1/x", "ssh://git@localhost:1/x"] {
        let error = fails(&cache, url, "main", GitCredentials::Anonymous).await;
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unreachable, told), "{}", error.chain());
    }
    let error = fails(&cache, "https://nowhere.invalid/x", "main", token()).await;
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Unreachable, "the Git server cannot be reached: its name was not found",)
    );

    let (_d, machine) = crate::cache(|_| {});
    let error = fails(&machine, &https.url("orders"), "main", token()).await;
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::Unauthenticated,
            "the Git server's TLS certificate is not trusted; give the certificate authority that signed it",
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_and_a_dropped_call_end() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let (_folder, cache) = cache(|rules| {
        rules.idle_timeout = Duration::from_millis(300);
        rules.concurrency = 1;
    });
    for url in [format!("https://localhost:{port}/x"), format!("ssh://git@localhost:{port}/x")] {
        let source = GitSource::new(&cache, &url).unwrap();
        let error = tokio::time::timeout(Duration::from_secs(5), source.check()).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{}", error.chain());
    }

    let (_folder, cache) = crate::cache(|rules| rules.concurrency = 1);
    let stuck = GitSource::new(&cache, &format!("https://localhost:{port}/x")).unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(200), stuck.check()).await.is_err());
    let next = GitSource::new(&cache, "https://nowhere.invalid/x").unwrap();
    let error =
        tokio::time::timeout(Duration::from_secs(10), next.check()).await.expect("the only place is free again");
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unreachable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_holds_nothing_that_leads_out() {
    let repositories = Repositories::new();
    repositories.create("bad");
    let (_folder, cache) = cache(|rules| {
        rules.schemes = vec![GitScheme::File];
        rules.max_file = 1000;
        rules.max_files = 50;
    });
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let large = "x".repeat(2000);
    let cases = [
        (
            "link",
            "120000:a/out",
            "../../etc/passwd",
            "'a/out' of the repository is refused: it is a symbolic link that leads out of the repository",
        ),
        (
            "absolute",
            "120000:out",
            "/etc/passwd",
            "'out' of the repository is refused: it is a symbolic link that leads out of the repository",
        ),
        (
            "winding",
            "120000:a/b/out",
            "c/../../../x",
            "'a/b/out' of the repository is refused: it is a symbolic link that leads out of the repository",
        ),
        (
            "large",
            "big.bin",
            large.as_str(),
            "'big.bin' of the repository is refused: it has 2000 bytes; a file may have 1000",
        ),
        (
            "lfs",
            "model.bin",
            pointer,
            "the repository keeps this file in Git LFS, which is not fetched; keep it in Git or in the resource centre, or allow LFS pointers to stay as they are",
        ),
    ];
    for (branch, file, text, told) in cases {
        repositories.commit("bad", branch, branch, &[(file, text)]);
        let url = format!("file://{}", repositories.path("bad").display());
        let source = GitSource::new(&cache, &url).unwrap().reference(branch).unwrap();
        source.sync(&options()).await.unwrap();
        let error = source.checkout(&CheckoutOptions::default()).await.unwrap_err();
        assert_eq!(error.message(), told);
    }
    repositories.commit("bad", "good", "good", &[("a/f", "1"), ("120000:a/in", "../a/f"), ("m.bin", pointer)]);
    let url = format!("file://{}", repositories.path("bad").display());
    let source = GitSource::new(&cache, &url).unwrap().reference("good").unwrap().keep_lfs_pointers(true);
    let checkout = source.checkout(&CheckoutOptions::default()).await.unwrap();
    assert_eq!(read(&checkout, "a/in"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submodules_come_when_asked_for_and_keep_the_rules() {
    let repositories = orders();
    repositories.create("common");
    let first = repositories.commit("common", "main", "one", &[("lib.txt", "one")]);
    repositories.commit("common", "main", "two", &[("lib.txt", "two")]);
    let table = "[submodule \"common\"]\n\tpath = libs/common\n\turl = ../common.git\n";
    repositories.commit("orders", "main", "uses common", &[(".gitmodules", table), ("160000:libs/common", &first)]);
    let server = HttpsServer::start(repositories.root(), Some("right")).await;
    let (_folder, cache) = cache(|rules| rules.ca_file = Some(server.ca_file()));
    let source = GitSource::new(&cache, &server.url("orders")).unwrap().credentials(GitCredentials::token("right"));

    let without = source.checkout(&CheckoutOptions::default()).await.unwrap();
    assert!(without.path().join("libs/common").is_dir());
    assert!(!without.path().join("libs/common/lib.txt").exists());
    let with = source.clone().submodules(true).checkout(&CheckoutOptions::default()).await.unwrap();
    assert_eq!(read(&with, "libs/common/lib.txt"), "one", "the pinned commit, not the newest");

    for (url, told) in [
        ("ext::sh -c id", "must not hold spaces"),
        ("ext::sh", "transport helpers"),
        ("file:///etc", "scheme 'file' are not allowed"),
        ("--upload-pack=id", "must not start with '-'"),
    ] {
        let table = format!("[submodule \"common\"]\n\tpath = libs/common\n\turl = {url}\n");
        repositories.commit("orders", "main", "evil", &[(".gitmodules", &table)]);
        source.sync(&options()).await.unwrap();
        let error = source.clone().submodules(true).checkout(&CheckoutOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains(told), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_mirror_is_made_anew_and_waiters_share_one_call() {
    let repositories = orders();
    let server = HttpsServer::start(repositories.root(), None).await;
    let (_folder, cache) = cache(|rules| rules.ca_file = Some(server.ca_file()));
    let source = GitSource::new(&cache, &server.url("orders")).unwrap();
    let all = futures_util::future::join_all((0..8).map(|_| {
        let source = source.clone();
        async move { source.sync(&options()).await.unwrap().revision.id }
    }))
    .await;
    assert!(all.iter().all(|id| *id == all[0]));

    let mirror = cache.mirror(source.url());
    std::fs::write(mirror.join("HEAD"), "garbage").unwrap();
    assert_eq!(source.sync(&options()).await.unwrap().revision.id, all[0]);
    std::fs::remove_dir_all(mirror.join("objects/pack")).unwrap();
    assert_eq!(source.sync(&options()).await.unwrap().revision.id, all[0]);
    source.checkout(&CheckoutOptions::default()).await.unwrap();
}
