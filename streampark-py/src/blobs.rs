//! Places that keep artifacts; one of them is written in Python.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pyo3::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use streampark_core::build::BlobStore as CoreBlobStore;
use streampark_core::{Error, ErrorKind, ErrorStatus, Result};
use tempfile::NamedTempFile;

use crate::callback::Callback;
use crate::convert::{Raise as _, duration, parse, text};
use crate::runtime::blocking;

/// A place that keeps artifacts.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct BlobStore(pub(crate) Arc<dyn CoreBlobStore>);

#[pymethods]
impl BlobStore {
    /// `methods` is given the name and arguments of a method, and gives its answer.
    #[staticmethod]
    fn custom(location: String, timeout: f64, at_once: usize, methods: Py<PyAny>) -> PyResult<Self> {
        let methods = Callback::several_of(methods, ErrorKind::Remote, at_once).or_raise()?;
        Ok(Self(Arc::new(CustomBlobs { location, methods, timeout: duration(timeout).or_raise()? })))
    }

    fn location(&self) -> String {
        self.0.location()
    }
}

/// A place behind methods of the user, each a call from JSON to JSON; bytes go by files.
#[derive(Debug)]
struct CustomBlobs {
    location: String,
    methods: Callback,
    timeout: Duration,
}

impl CustomBlobs {
    async fn call<T: DeserializeOwned>(&self, method: &'static str, key: &str, path: Option<&Path>) -> Result<T> {
        let question = text(&json!({"method": method, "key": key, "path": path}))?;
        let named = |error: Error| error.with_operation("blobs.custom").with_context("method", method);
        let answer = self.methods.call_within(question, self.timeout, ErrorStatus::Temporary).await.map_err(named)?;
        parse(answer.as_deref().unwrap_or("null"), &format!("what `{method}` of the place of artifacts gave"))
            .map_err(named)
    }

    async fn fetched(&self, key: &str) -> Result<Option<NamedTempFile>> {
        let file = blocking(|| Ok(NamedTempFile::new()?)).await?;
        Ok(self.call::<bool>("fetch", key, Some(file.path())).await?.then_some(file))
    }
}

#[async_trait]
impl CoreBlobStore for CustomBlobs {
    fn location(&self) -> String {
        self.location.clone()
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.call("exists", key, None).await
    }

    async fn put_file(&self, key: &str, file: &Path) -> Result<()> {
        self.call::<Value>("put", key, Some(&std::path::absolute(file)?)).await.map(drop)
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        let file = blocking(move || {
            let file = NamedTempFile::new()?;
            std::fs::write(file.path(), bytes)?;
            Ok(file)
        })
        .await?;
        self.put_file(key, file.path()).await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.fetched(key).await? else { return Ok(None) };
        Ok(Some(tokio::fs::read(file.path()).await?))
    }

    async fn fetch(&self, key: &str, to: &mut tokio::fs::File) -> Result<bool> {
        let Some(file) = self.fetched(key).await? else { return Ok(false) };
        // Opened anew: the method may have put another file in the place of the empty one.
        let mut from = tokio::fs::File::open(file.path()).await?;
        tokio::io::copy(&mut from, to).await?;
        Ok(true)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys: Vec<String> = self.call("list", prefix, None).await?;
        keys.sort();
        Ok(keys)
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.call::<Value>("delete", key, None).await.map(drop)
    }
}
