use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::super::jar::tests::write_jar;
use super::*;
use crate::job::Resolve;

/// A web server on a free port of this machine, ended with the test.
struct Server {
    address: String,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(router: Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Place {
    folder: tempfile::TempDir,
    context: ProgramContext,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut context = ProgramContext::new(folder.path().join("cache")).with_base(folder.path());
        context.downloads.read_timeout = Duration::from_secs(2);
        Self { folder, context }
    }

    fn jar(&self, name: &str) -> Vec<u8> {
        let path = write_jar(&self.folder.path().join(name), &[("com/acme/Orders.class", name)]);
        std::fs::read(path).unwrap()
    }

    async fn one(&self, location: &str) -> Result<Resource> {
        resolve_dependencies(&[location.into()], &self.context).await.map(|found| found.into_iter().next().unwrap())
    }

    /// Files that a download left behind without a name.
    fn leftovers(&self) -> usize {
        let Ok(entries) = std::fs::read_dir(self.context.cache.join("downloads")) else { return 0 };
        entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".tmp")).count()
    }
}

fn bytes_of(resource: &Resource) -> Vec<u8> {
    match &resource.location {
        Location::Path(path) => std::fs::read(path).unwrap(),
        other => panic!("{other:?} is not a file"),
    }
}

#[tokio::test]
async fn paths_and_file_urls_are_files() {
    let place = Place::new();
    let content = place.jar("my orders.jar");
    let path = place.folder.path().join("my orders.jar");
    let url = Url::from_file_path(&path).unwrap();
    for location in ["my orders.jar", path.to_str().unwrap(), url.as_str()] {
        let found = place.one(location).await.unwrap();
        assert_eq!((found.name.as_str(), bytes_of(&found)), ("my orders.jar", content.clone()));
    }
    let twice = ["my orders.jar".into(), url.as_str().into()];
    assert_eq!(resolve_dependencies(&twice, &place.context).await.unwrap().len(), 1);
    let error = place.one("file://elsewhere/orders.jar").await.unwrap_err();
    assert_eq!(
        error.message(),
        "'file://elsewhere/orders.jar' is not a file on this machine; write file:///path/to/the.jar, or the plain path"
    );
}

#[test]
fn names_are_what_flink_takes() {
    let names = [
        ("/a/b/orders.jar", "orders.jar"),
        ("/a/orders", "orders.jar"),
        ("/a/orders-1.2", "orders-1.2.jar"),
        ("c:\\jobs\\orders.jar", "orders.jar"),
        ("/", "program.jar"),
        ("/a/..", "program.jar"),
    ];
    for (path, name) in names {
        assert_eq!(file_name(path), name);
    }
    assert!(as_url("C:/jobs/orders.jar").unwrap().is_none());
    assert!(as_url("jobs/2024:orders.jar").unwrap().is_none());
    assert_eq!(as_url("hdfs:/jobs/orders.jar").unwrap().unwrap().scheme(), "hdfs");
}

#[tokio::test]
async fn a_download_is_kept_by_content_and_asked_for_once() {
    let place = Place::new();
    let content = Arc::new(Mutex::new(place.jar("one.jar")));
    let sent = Arc::new(AtomicUsize::new(0));
    let (served, counted) = (Arc::clone(&content), Arc::clone(&sent));
    let answer = move |headers: HeaderMap| async move {
        let body = served.lock().unwrap().clone();
        let tag = format!("\"{}\"", digest::of_bytes(&body));
        if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str()) {
            return StatusCode::NOT_MODIFIED.into_response();
        }
        counted.fetch_add(1, Ordering::Relaxed);
        ([(header::ETAG, tag)], body).into_response()
    };
    let server = Server::start(
        Router::new()
            .route("/a%20b/orders%201.jar", get(answer))
            .route("/latest", get(|| async { Redirect::temporary("/a%20b/orders%201.jar") })),
    )
    .await;
    let url = server.url("/a%20b/orders%201.jar");
    let first = place.one(&url).await.unwrap();
    assert_eq!((first.name.as_str(), bytes_of(&first)), ("orders 1.jar", content.lock().unwrap().clone()));
    assert_eq!(first.sha256.as_deref(), Some(digest::of_bytes(&bytes_of(&first)).as_str()));
    assert_eq!(place.one(&url).await.unwrap(), first);
    assert_eq!(sent.load(Ordering::Relaxed), 1, "the second time the server said that nothing changed");

    *content.lock().unwrap() = place.jar("two.jar");
    let second = place.one(&url).await.unwrap();
    assert_eq!(bytes_of(&second), *content.lock().unwrap());
    assert_ne!(second.location, first.location);
    assert!(!bytes_of(&first).is_empty(), "the old one stays for those who use it");
    assert_eq!(place.one(&server.url("/latest")).await.unwrap(), second);

    drop(server);
    assert_eq!(place.one(&url).await.unwrap(), second, "the server is away, the copy serves");
    assert_eq!(place.leftovers(), 0);
}

#[tokio::test]
async fn a_download_that_fails_says_why_and_leaves_nothing() {
    let place = Place::new();
    let long = || async { Body::from(vec![b'x'; 5_000]) };
    let cut = || async {
        let chunks = futures_util::stream::iter([Ok("PK"), Err(std::io::Error::other("gone"))]);
        Response::builder().header(header::CONTENT_LENGTH, 1_000).body(Body::from_stream(chunks)).unwrap()
    };
    let silent = || async { std::future::pending::<&str>().await };
    let server = Server::start(
        Router::new()
            .route("/page.jar", get(|| async { "<html>Sign in</html>" }))
            .route("/secret.jar", get(|| async { StatusCode::FORBIDDEN }))
            .route("/broken.jar", get(|| async { StatusCode::BAD_GATEWAY }))
            .route("/long.jar", get(long))
            .route("/cut.jar", get(cut))
            .route("/silent.jar", get(silent)),
    )
    .await;
    let mut place = place;
    place.context.downloads = place.context.downloads.clone().with_max_bytes(4_000);
    let expected = [
        (
            "/page.jar",
            ErrorKind::Program,
            format!("'{}' is not a jar: it is an HTML page; an error or login page was probably saved in its place", server.url("/page.jar")),
        ),
        ("/absent.jar", ErrorKind::NotFound, "the server of the jar answered HTTP 404; check the URL".to_owned()),
        (
            "/secret.jar",
            ErrorKind::PermissionDenied,
            "the server of the jar answered HTTP 403; check the rights on the file, or whether a signed URL has run out".to_owned(),
        ),
        ("/broken.jar", ErrorKind::Remote, "the server of the jar answered HTTP 502".to_owned()),
        (
            "/long.jar",
            ErrorKind::InvalidInput,
            "the file is larger than 4000 bytes, which is the bound of a download; \
             raise max_bytes of the download options, or put it where the engine reads it by itself"
                .to_owned(),
        ),
        ("/cut.jar", ErrorKind::Unreachable, "the connection to the server of the jar broke".to_owned()),
        ("/silent.jar", ErrorKind::Timeout, "the server of the jar did not answer in time".to_owned()),
    ];
    for (path, kind, message) in expected {
        let url = server.url(path).replace("http://", "http://ann:s3cret@") + "?signature=s3cret";
        let error = place.one(&url).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (kind, message.as_str()), "{path}");
        assert_eq!(error.operation(), Some("jar.download"));
        assert_eq!(error.context(), [("url", server.url(path))]);
        assert!(!format!("{error:?} {}", error.chain()).contains("s3cret"), "{error:?}");
        assert_eq!(place.leftovers(), 0, "{path}");
    }
    let error = place.one("http://127.0.0.1:1/never.jar").await.unwrap_err();
    assert_eq!(error.message(), "the server of the jar cannot be reached");
    assert!(error.is_retryable());
}

#[derive(Debug)]
struct Shelf(Vec<Resource>);

#[async_trait]
impl Resolve for Shelf {
    async fn resolve(&self, _: &Dependency) -> Result<Vec<Resource>> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn names_are_asked_of_the_resolver() {
    let place = Place::new();
    let module = Dependency::Module(ModuleRef::new("shop").module("orders"));
    let expected = [
        (
            module.clone(),
            "nobody here can find module 'orders' of project 'shop'; \
             register the project with the platform, or name the jar by its path or URL",
        ),
        (
            Dependency::Resource(ResourceRef::new("udfs")),
            "nobody here can find resource 'udfs'; \
             give the platform a resource centre, or name the jar by its path or URL",
        ),
        (
            Dependency::Maven(MavenRef::new("a:b:1")),
            "nobody here can find Maven artifact 'a:b:1'; \
             give the platform a resolver for Maven, or name the jar by its path or URL",
        ),
    ];
    for (dependency, message) in expected {
        let error = resolve_dependencies(&[dependency], &place.context).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unsupported, message));
    }
    place.jar("main.jar");
    place.jar("extra.jar");
    let shelf = ["main.jar", "extra.jar"].map(|name| local(place.folder.path().join(name)));
    let context = place.context.clone().with_resolver(Some(Arc::new(Shelf(shelf.to_vec()))));
    let found = resolve_dependencies(std::slice::from_ref(&module), &context).await.unwrap();
    assert_eq!(found.iter().map(|jar| jar.name.as_str()).collect::<Vec<_>>(), ["main.jar", "extra.jar"]);
    assert!(found.iter().all(|jar| jar.sha256.is_some()));

    let empty = place.context.clone().with_resolver(Some(Arc::new(Shelf(Vec::new()))));
    let error = resolve_dependencies(&[module], &empty).await.unwrap_err();
    assert_eq!(error.message(), "module 'orders' of project 'shop' has no jar; build it, or name another one");
}
