//! Logs of containers: from their NodeManager, and from aggregated files after it forgot them.

use bytes::Bytes;
use serde_json::Value;
use streampark_core::{Error, ErrorKind, Result};
use url::Url;

use crate::auth::Service;
use crate::ground::Yarn;
use crate::http::Request;
use crate::wire::{App, log_files};

/// An aggregated file is searched from this far before its end.
const MAX_AGGREGATED: u64 = 16 << 20;

impl Yarn {
    /// The last bytes of a log of the newest JobManager; None where nobody has it any more.
    pub(crate) async fn job_manager_log(&self, app: &App, file: &str, tail: u64) -> Result<Option<String>> {
        let attempts = self.rm.attempts(&app.id).await?;
        let Some(attempt) = attempts.iter().max_by_key(|attempt| attempt.id) else { return Ok(None) };
        let node = match attempt.node_http_address.as_str() {
            "" => app.am_host_http_address.as_str(),
            address => address,
        };
        let from_node = self.container_log(node, &attempt.container_id, file, tail).await;
        match from_node {
            Ok(Some(text)) => Ok(Some(text)),
            other => match self.aggregated_log(app, &attempt.node_id, file, tail).await {
                Ok(Some(text)) => Ok(Some(text)),
                _ => other,
            },
        }
    }

    /// The last bytes of a container's log; None where the node does not know the container or the file.
    pub(crate) async fn container_log(
        &self,
        node: &str,
        container: &str,
        file: &str,
        tail: u64,
    ) -> Result<Option<String>> {
        if node.is_empty() || container.is_empty() {
            return Ok(None);
        }
        let mut url = self.node_url(node, container)?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(file);
        }
        url.query_pairs_mut().append_pair("size", &format!("-{tail}"));
        // A NodeManager that is asked for JSON refuses a log.
        let answer = self.http.send(Request::get(Service::NodeManager, url).any()).await?;
        match answer.status {
            200 => Ok(Some(content(&answer.body))),
            404 => Ok(None),
            _ => Err(answer.error().with_operation("yarn.logs")),
        }
    }

    /// The names of a container's log files.
    pub(crate) async fn container_logs(&self, node: &str, container: &str) -> Result<Vec<String>> {
        let url = self.node_url(node, container)?;
        let answer = self.http.send(Request::get(Service::NodeManager, url)).await?;
        let value = answer.json::<Value>().map_err(|e| e.with_operation("yarn.logs"))?;
        Ok(log_files(&value).into_iter().filter(|file| file.file_size > 0).map(|file| file.file_name).collect())
    }

    fn node_url(&self, node: &str, container: &str) -> Result<Url> {
        let scheme = self.rm.base().scheme().to_owned();
        let text = format!("{scheme}://{}/ws/v1/node/containers/{container}/logs", self.reachable(node));
        Url::parse(&text).map_err(|source| {
            Error::new(ErrorKind::UnexpectedResponse, format!("'{node}' is no address of a NodeManager"))
                .with_source(source)
        })
    }

    /// `<folder>/<user>/bucket-<suffix>-tfile/<last four digits>/<application>/<node>`, uncompressed by default.
    async fn aggregated_log(&self, app: &App, node: &str, file: &str, tail: u64) -> Result<Option<String>> {
        let ground = self.ground().await?;
        let ask = async |name: &str, otherwise: &str| {
            let told = self.rm.property(name).await.ok().flatten();
            told.unwrap_or_else(|| otherwise.to_owned())
        };
        let root = ask("yarn.nodemanager.remote-app-log-dir", "/tmp/logs").await;
        let suffix = ask("yarn.nodemanager.remote-app-log-dir-suffix", "logs").await;
        let number = app.id.rsplit('_').next().unwrap_or_default();
        let bucket = number.get(number.len().saturating_sub(4)..).unwrap_or_default();
        let Some(root) = crate::fs::path_of(ground.fs.as_ref(), &root) else { return Ok(None) };
        let folder = format!("{root}/{}/bucket-{suffix}-tfile/{bucket}/{}", app.user, app.id);
        let Some(files) = ground.fs.list(&folder).await? else { return Ok(None) };
        let name = node.replace(':', "_");
        let Some(found) = files.iter().find(|entry| entry.name == name).or(files.first()) else { return Ok(None) };
        let from = found.size.saturating_sub(MAX_AGGREGATED);
        let bytes = ground.fs.read(&format!("{folder}/{}", found.name), from, MAX_AGGREGATED).await?;
        Ok(in_tfile(&bytes, file).map(|text| cut(text, tail)))
    }
}

/// The content of one log in an aggregated file: name, length in digits and bytes follow each other, the
/// first two as Java writes a UTF text.
fn in_tfile(bytes: &[u8], file: &str) -> Option<String> {
    let mut key = Vec::from(u16::try_from(file.len()).ok()?.to_be_bytes());
    key.extend_from_slice(file.as_bytes());
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.windows(key.len()).position(|window| window == key) {
        let after = from + at + key.len();
        let length = bytes.get(after..after + 2).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]])))?;
        let digits = bytes.get(after + 2..after + 2 + length).and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(size) = digits.and_then(|digits| digits.parse::<usize>().ok()) {
            let start = after + 2 + length;
            let end = start.saturating_add(size).min(bytes.len());
            return Some(String::from_utf8_lossy(bytes.get(start..end)?).into_owned());
        }
        from = after;
    }
    None
}

fn cut(text: String, tail: u64) -> String {
    let tail = usize::try_from(tail).unwrap_or(usize::MAX);
    let mut start = text.len().saturating_sub(tail);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default().to_owned()
}

/// A log without the lines that a NodeManager puts around it.
fn content(body: &Bytes) -> String {
    let text = String::from_utf8_lossy(body);
    let start = text.find("LogContents:\n").map_or(0, |at| at + "LogContents:\n".len());
    let text = text.get(start..).unwrap_or_default();
    // An empty log is followed by its end at once.
    let end = text.rfind("\nEnd of LogType:").or_else(|| text.starts_with("End of LogType:").then_some(0));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_without_what_stands_around_them() {
        let body = "Container: c\nLogType:jobmanager.log\nLogLength:6\nLogContents:\nhello\n\nEnd of LogType:jobmanager.log\n***\n";
        assert_eq!(content(&Bytes::from_static(body.as_bytes())), "hello\n");
        let empty = "LogLength:0\nLogContents:\nEnd of LogType:jobmanager.err.\n***\n";
        assert_eq!(content(&Bytes::from_static(empty.as_bytes())), "");
        let mut file = b"junk\0\x0ejobmanager.log mentioned".to_vec();
        file.extend_from_slice(b"\0\x0ejobmanager.log\0\x015hello and more");
        assert_eq!(in_tfile(&file, "jobmanager.log").unwrap(), "hello");
        assert_eq!(cut("aüb".to_owned(), 2), "b");
    }
}
