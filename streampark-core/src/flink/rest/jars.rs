//! Jars: upload, list, delete.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use reqwest::{Body, Method};
use serde::{Deserialize, Serialize};
use tokio::fs::File;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::client::{Call, RestClient};
use super::cluster::Nothing;
use crate::{Error, ErrorKind, Result};

/// Called while a jar is sent: bytes sent so far, bytes in all. Keep it short, it runs between two sends.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// A jar that has been uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UploadedJar {
    /// Its id, as [`run_jar`](RestClient::run_jar) and [`delete_jar`](RestClient::delete_jar) take it.
    pub id: String,
    /// Its path on the JobManager's machine.
    pub path: String,
}

/// One jar of `GET /jars`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Jar {
    /// Its id.
    pub id: String,
    /// The file name it was uploaded under.
    #[serde(default)]
    pub name: String,
    /// When, in milliseconds since 1970.
    #[serde(default)]
    pub uploaded: i64,
    /// The programs named by its manifest.
    #[serde(default, rename = "entry")]
    pub entries: Vec<JarEntry>,
}

/// One program of a jar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JarEntry {
    /// Its class.
    pub name: String,
    /// What the program says about itself.
    #[serde(default)]
    pub description: Option<String>,
}

#[derive(Deserialize)]
struct Jars {
    #[serde(default)]
    files: Vec<Jar>,
}

#[derive(Deserialize)]
struct UploadWire {
    filename: String,
}

impl RestClient {
    /// The jars that were uploaded to this JobManager.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `Unsupported` where the cluster takes no jars.
    pub async fn jars(&self) -> Result<Vec<Jar>> {
        let answer: Jars = self.json(Call::get("flink.jars", &["jars"])).await?;
        Ok(answer.files)
    }

    /// Uploads a jar from a file, piece by piece: memory does not grow with its size.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `Io` or `InvalidInput` where the file cannot be read or is
    /// no jar; `Unsupported` where the cluster takes no jars. Sending again is safe: at worst the
    /// JobManager keeps two files.
    pub async fn upload_jar(&self, path: impl AsRef<Path>, progress: Option<Progress>) -> Result<UploadedJar> {
        let path = path.as_ref();
        let told = |e: Error| e.with_operation(UPLOAD).with_context("file", path.display());
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let file = File::open(path).await.map_err(|e| told(e.into()))?;
        let metadata = file.metadata().await.map_err(|e| told(e.into()))?;
        if !metadata.is_file() {
            return Err(told(Error::invalid("a jar is a file, this is none")));
        }
        let chunks = ReaderStream::with_capacity(file, 256 << 10);
        self.upload(&name, metadata.len(), chunks, progress).await.map_err(told)
    }

    /// Uploads a jar that is in memory.
    ///
    /// # Errors
    /// As [`upload_jar`](Self::upload_jar).
    pub async fn upload_jar_bytes(&self, name: &str, jar: impl Into<Bytes>) -> Result<UploadedJar> {
        let jar: Bytes = jar.into();
        let length = jar.len() as u64;
        let chunks = stream::once(std::future::ready(Ok::<_, std::io::Error>(jar)));
        self.upload(name, length, chunks, None).await.map_err(|e| e.with_operation(UPLOAD).with_context("file", name))
    }

    async fn upload<S>(&self, name: &str, length: u64, chunks: S, progress: Option<Progress>) -> Result<UploadedJar>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        if !name.ends_with(".jar") {
            return Err(Error::invalid("Flink takes files whose name ends with .jar only; rename it"));
        }
        if name.contains(['"', '\\', '/']) || name.chars().any(char::is_control) {
            return Err(Error::invalid("the name of the jar has a character that cannot be sent; rename it"));
        }
        let boundary = Uuid::new_v4().simple().to_string();
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"{name}\"\r\n\
             Content-Type: application/x-java-archive\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let total = length + (head.len() + tail.len()) as u64;
        let mut sent = 0;
        let counted = chunks.map(move |chunk| {
            if let (Ok(chunk), Some(progress)) = (&chunk, &progress) {
                sent += chunk.len() as u64;
                progress(sent, length);
            }
            chunk
        });
        let ready = |text: String| stream::once(std::future::ready(Ok(Bytes::from(text))));
        let body = Body::wrap_stream(ready(head).chain(counted).chain(ready(tail)));
        let call = Call::new(UPLOAD, Method::POST, &["jars", "upload"]);
        let kind = format!("multipart/form-data; boundary={boundary}");
        let answer: UploadWire = self.send_stream(call, kind, total, body).await?;
        let id = answer.filename.rsplit(['/', '\\']).next().unwrap_or(&answer.filename).to_owned();
        Ok(UploadedJar { id, path: answer.filename })
    }

    /// Deletes an uploaded jar; jobs that run from it go on.
    ///
    /// # Errors
    /// As [`overview`](Self::overview); `NotFound` where there is none.
    pub async fn delete_jar(&self, jar: &str) -> Result<()> {
        const OPERATION: &str = "flink.jars.delete";
        let path = ["jars", jar];
        let call = Call::new(OPERATION, Method::DELETE, &path);
        match self.json::<Nothing>(call).await {
            Ok(_) => Ok(()),
            // Flink answers 400 for a file that is not there (`JarDeleteHandler`).
            Err(error)
                if error.kind() == ErrorKind::InvalidInput && error.message().contains(" does not exist in ") =>
            {
                Err(Error::not_found("no such jar on this JobManager")
                    .with_operation(OPERATION)
                    .with_context("jar", jar))
            }
            Err(error) => Err(error.with_context("jar", jar)),
        }
    }
}

const UPLOAD: &str = "flink.jars.upload";
