//! HDFS by HTTP: a NameNode's WebHDFS, or HttpFS.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use reqwest::{Body, Method};
use serde::Deserialize;
use streampark_core::{Error, ErrorKind, ErrorStatus, Result, Secret};
use tokio_util::io::ReaderStream;
use url::Url;

use super::{Content, FileStatus, FileSystem, Progress};
use crate::auth::Service;
use crate::client::parse_base;
use crate::error::RemoteException;
use crate::http::{Answer, Http, Request};

/// Which HDFS, and how it is reached.
#[derive(Debug, Clone)]
pub(crate) struct WebHdfsOptions {
    /// The web addresses of the NameNodes, or of one HttpFS server.
    pub(crate) addresses: Vec<String>,
    /// `hdfs://nn:8020`, as the cluster spells it.
    pub(crate) scheme: String,
    /// HttpFS takes the bytes itself, and sends nobody to a DataNode.
    pub(crate) http_fs: bool,
    /// DataNodes under other names than they have for themselves.
    pub(crate) host_map: BTreeMap<String, String>,
    /// `yarn.file-replication`; None leaves it to the cluster.
    pub(crate) replication: Option<u16>,
}

/// A client of WebHDFS (`/webhdfs/v1`).
#[derive(Debug)]
pub(crate) struct WebHdfs {
    http: Http,
    bases: Vec<Url>,
    current: AtomicUsize,
    options: WebHdfsOptions,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatusAnswer {
    file_status: RawStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListAnswer {
    file_statuses: RawStatuses,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawStatuses {
    file_status: Vec<RawStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStatus {
    #[serde(default)]
    path_suffix: String,
    #[serde(rename = "type")]
    kind: String,
    length: u64,
    modification_time: i64,
    #[serde(default)]
    permission: String,
}

impl From<RawStatus> for FileStatus {
    fn from(raw: RawStatus) -> Self {
        let mode = u32::from_str_radix(&raw.permission, 8).unwrap_or(0o644);
        Self::new(raw.path_suffix, raw.kind == "DIRECTORY", raw.length, raw.modification_time, mode)
    }
}

#[derive(Deserialize)]
struct Yes {
    boolean: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Place {
    location: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Home {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TokenAnswer {
    token: TokenText,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenText {
    url_string: Secret,
}

impl WebHdfs {
    pub(crate) fn new(http: Http, options: WebHdfsOptions) -> Result<Self> {
        let bases = options.addresses.iter().map(|address| parse_base(address)).collect::<Result<Vec<_>>>()?;
        if bases.is_empty() {
            return Err(Error::invalid(format!(
                "the web address of the NameNode of '{}' is not known; give it by the option web_hdfs, as http://nn:9870/",
                options.scheme
            )));
        }
        Ok(Self { http, bases, current: AtomicUsize::new(0), options })
    }

    fn url(&self, base: &Url, path: &str, op: &str, query: &[(&str, &str)]) -> Url {
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
            // A gateway's address may hold the interface's own path already.
            if !base.path().ends_with("/webhdfs/v1/") {
                segments.extend(["webhdfs", "v1"]);
            }
            segments.extend(path.split('/').filter(|part| !part.is_empty()));
        }
        url.query_pairs_mut().append_pair("op", op).extend_pairs(query);
        url
    }

    /// Asks the NameNode that answered last, then the others where it is on standby or away.
    async fn call(&self, method: Method, path: &str, op: &'static str, query: &[(&str, &str)]) -> Result<Answer> {
        let count = self.bases.len();
        let start = self.current.load(Ordering::Relaxed);
        let mut last = None;
        for index in (0..count).map(|step| (start + step) % count) {
            let Some(base) = self.bases.get(index) else { continue };
            let request = Request::new(Service::FileSystem, method.clone(), self.url(base, path, op, query));
            match self.http.send(request).await {
                Ok(answer) if is_standby(&answer) => last = Some(answer.error()),
                Ok(answer) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) if error.status() == ErrorStatus::Temporary => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::new(ErrorKind::Internal, "no NameNode was asked")))
    }

    /// Where the NameNode sends us for the bytes, under a name that we can reach.
    fn data_node(&self, answer: &Answer) -> Result<Url> {
        let location = match &answer.location {
            Some(location) if answer.is_redirect() => location.clone(),
            _ => answer.json::<Place>()?.location,
        };
        let mut url = Url::parse(&location).map_err(|source| {
            Error::new(ErrorKind::UnexpectedResponse, "the NameNode names a DataNode by no URL").with_source(source)
        })?;
        let host = url.host_str().and_then(|host| self.options.host_map.get(host).cloned());
        if let Some(host) = host {
            let (name, port) = match host.rsplit_once(':') {
                Some((name, port)) => (name.to_owned(), port.parse().ok()),
                None => (host, url.port()),
            };
            url.set_host(Some(&name)).map_err(|source| {
                Error::invalid(format!("the option host_map holds '{name}', which is no host")).with_source(source)
            })?;
            let _kept = url.set_port(port);
        }
        Ok(url)
    }

    fn mode(mode: u32) -> String {
        format!("{mode:o}")
    }
}

fn is_standby(answer: &Answer) -> bool {
    !answer.is_success()
        && RemoteException::of(&answer.body).is_some_and(|remote| {
            remote.exception == "StandbyException" || remote.java_class_name.ends_with("StandbyException")
        })
}

fn told(error: Error, operation: &'static str, path: &str) -> Error {
    error.with_operation(operation).with_context("path", path)
}

/// Writes the same bytes to the same path, so that a lost answer harms nobody.
fn repeatable(error: Error) -> Error {
    if error.status() == ErrorStatus::Unknown { error.with_status(ErrorStatus::Temporary) } else { error }
}

async fn body_of(content: Content, progress: Option<Progress>) -> Result<(Body, u64)> {
    match content {
        Content::Bytes(bytes) => {
            let length = bytes.len() as u64;
            if let Some(progress) = progress {
                progress(length);
            }
            Ok((Body::from(bytes), length))
        }
        Content::File(path) => {
            let file =
                tokio::fs::File::open(&path).await.map_err(|e| Error::from(e).with_context("file", path.display()))?;
            let length = file.metadata().await?.len();
            let mut sent = 0;
            let pieces = ReaderStream::with_capacity(file, 256 * 1024).inspect(move |piece| {
                if let (Some(progress), Ok(piece)) = (&progress, piece) {
                    sent += piece.len() as u64;
                    progress(sent);
                }
            });
            Ok((Body::wrap_stream(pieces), length))
        }
    }
}

#[async_trait]
impl FileSystem for WebHdfs {
    fn scheme(&self) -> &str {
        &self.options.scheme
    }

    async fn home(&self) -> Result<String> {
        let answer = self.call(Method::GET, "/", "GETHOMEDIRECTORY", &[]).await;
        let home = answer.and_then(|answer| answer.json::<Home>());
        home.map(|home| home.path).map_err(|e| e.with_operation("hdfs.home"))
    }

    async fn make_folder(&self, path: &str, mode: u32) -> Result<()> {
        let query = [("permission", &*Self::mode(mode))];
        let answer = self.call(Method::PUT, path, "MKDIRS", &query).await;
        let made =
            answer.and_then(|answer| answer.json::<Yes>()).map_err(|e| told(repeatable(e), "hdfs.mkdirs", path))?;
        if made.boolean {
            return Ok(());
        }
        Err(told(Error::new(ErrorKind::Remote, "the NameNode made no folder there"), "hdfs.mkdirs", path))
    }

    async fn write(&self, path: &str, content: Content, mode: u32, progress: Option<Progress>) -> Result<()> {
        let context = |error: Error| told(repeatable(error), "hdfs.create", path);
        let (mode, replication) = (Self::mode(mode), self.options.replication.map(|count| count.to_string()));
        let mut query = vec![("overwrite", "true"), ("permission", mode.as_str())];
        query.extend(replication.iter().map(|count| ("replication", count.as_str())));
        let (body, length) = body_of(content, progress).await.map_err(context)?;
        let (service, target) = if self.options.http_fs {
            query.push(("data", "true"));
            let base = self.bases.get(self.current.load(Ordering::Relaxed)).or(self.bases.first());
            let base = base.ok_or_else(|| Error::new(ErrorKind::Internal, "no HttpFS server is known"))?;
            (Service::FileSystem, self.url(base, path, "CREATE", &query))
        } else {
            query.push(("noredirect", "true"));
            let answer = self.call(Method::PUT, path, "CREATE", &query).await.map_err(context)?;
            if !answer.is_success() && !answer.is_redirect() {
                return Err(context(answer.error()));
            }
            (Service::DataNode, self.data_node(&answer).map_err(context)?)
        };
        let request = Request::new(service, Method::PUT, target);
        let request = request.stream(body, length, self.http.options.transfer_timeout);
        let answer = self.http.send(request).await.and_then(Answer::success);
        answer.map(|_| ()).map_err(context)
    }

    async fn status(&self, path: &str) -> Result<Option<FileStatus>> {
        let answer = self.call(Method::GET, path, "GETFILESTATUS", &[]).await;
        match answer.and_then(|answer| answer.json::<StatusAnswer>()) {
            Ok(answer) => Ok(Some(answer.file_status.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(told(error, "hdfs.status", path)),
        }
    }

    async fn list(&self, path: &str) -> Result<Option<Vec<FileStatus>>> {
        let answer = self.call(Method::GET, path, "LISTSTATUS", &[]).await;
        match answer.and_then(|answer| answer.json::<ListAnswer>()) {
            Ok(answer) => Ok(Some(answer.file_statuses.file_status.into_iter().map(Into::into).collect())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(told(error, "hdfs.list", path)),
        }
    }

    async fn read(&self, path: &str, offset: u64, length: u64) -> Result<Bytes> {
        let context = |error: Error| told(error, "hdfs.read", path);
        let (from, count) = (offset.to_string(), length.to_string());
        let mut query = vec![("offset", from.as_str()), ("length", count.as_str())];
        if !self.options.http_fs {
            query.push(("noredirect", "true"));
        }
        let answer = self.call(Method::GET, path, "OPEN", &query).await.map_err(context)?;
        if self.options.http_fs && answer.is_success() {
            return Ok(answer.body);
        }
        if !answer.is_success() && !answer.is_redirect() {
            return Err(context(answer.error()));
        }
        let url = self.data_node(&answer).map_err(context)?;
        let mut request = Request::get(Service::DataNode, url).any();
        request.timeout = Some(Duration::from_secs(60));
        let answer = self.http.send(request).await.and_then(Answer::success);
        answer.map(|answer| answer.body).map_err(context)
    }

    async fn remove(&self, path: &str) -> Result<bool> {
        let answer = self.call(Method::DELETE, path, "DELETE", &[("recursive", "true")]).await;
        let removed = answer.and_then(|answer| answer.json::<Yes>());
        removed.map(|yes| yes.boolean).map_err(|e| told(repeatable(e), "hdfs.delete", path))
    }

    async fn remove_empty(&self, path: &str) -> Result<bool> {
        let context = |error: Error| told(repeatable(error), "hdfs.delete", path);
        let answer = self.call(Method::DELETE, path, "DELETE", &[("recursive", "false")]).await.map_err(context)?;
        let full = |remote: RemoteException| remote.exception == "PathIsNotEmptyDirectoryException";
        if !answer.is_success() && RemoteException::of(&answer.body).is_some_and(full) {
            return Ok(false);
        }
        answer.json::<Yes>().map(|yes| yes.boolean).map_err(context)
    }

    async fn rename(&self, from: &str, to: &str) -> Result<bool> {
        let answer = self.call(Method::PUT, from, "RENAME", &[("destination", to)]).await;
        let renamed = answer.and_then(|answer| answer.json::<Yes>());
        renamed.map(|yes| yes.boolean).map_err(|e| told(e, "hdfs.rename", from))
    }

    async fn set_mode(&self, path: &str, mode: u32) -> Result<()> {
        let query = [("permission", &*Self::mode(mode))];
        let answer = self.call(Method::PUT, path, "SETPERMISSION", &query).await.and_then(Answer::success);
        answer.map(|_| ()).map_err(|e| told(repeatable(e), "hdfs.chmod", path))
    }

    async fn delegation_token(&self, renewer: &str) -> Result<Option<Secret>> {
        let answer = self.call(Method::GET, "/", "GETDELEGATIONTOKEN", &[("renewer", renewer)]).await;
        let token = answer.and_then(|answer| answer.json::<TokenAnswer>());
        token.map(|answer| Some(answer.token.url_string)).map_err(|e| e.with_operation("hdfs.token"))
    }

    async fn cancel_token(&self, token: &Secret) -> Result<()> {
        let query = [("token", token.expose())];
        let answer = self.call(Method::PUT, "/", "CANCELDELEGATIONTOKEN", &query).await.and_then(Answer::success);
        answer.map(|_| ()).map_err(|e| repeatable(e).with_operation("hdfs.token"))
    }
}

#[cfg(test)]
mod tests;
