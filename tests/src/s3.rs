//! A real server that speaks S3, for one test.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::flink::variable;

/// The server of `STREAMPARK_TEST_S3`, ended when dropped.
#[derive(Debug)]
pub struct S3Server {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    _log: tempfile::TempDir,
}

impl S3Server {
    /// Starts it with one bucket.
    ///
    /// # Panics
    /// Where it does not come up: the test cannot go on.
    #[allow(clippy::panic, clippy::unwrap_used)]
    pub async fn start(bucket: &str) -> Self {
        let port = crate::ports::free();
        let log = tempfile::tempdir().unwrap();
        let output = std::fs::File::create(log.path().join("log")).unwrap();
        let child = Command::new(variable("STREAMPARK_TEST_S3"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .unwrap();
        let server = Self { child, endpoint: format!("http://127.0.0.1:{port}"), _log: log };
        let (begun, client) = (Instant::now(), reqwest::Client::new());
        // A bucket is made by a PUT of its name.
        while client.put(format!("{}/{bucket}", server.endpoint)).send().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(120), "the server does not answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        server
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
