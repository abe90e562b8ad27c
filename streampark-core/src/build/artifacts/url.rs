//! An object store by its address.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use url::Url;

use super::ArtifactStore;
use crate::{Error, Result, Secret};

impl ArtifactStore {
    /// Keeps artifacts at an address: `s3://BUCKET/PREFIX` for S3 and what speaks like it, `file:///FOLDER`. Jars that
    /// are asked for are kept in the folder `cache`.
    ///
    /// Options have the names of [`AmazonS3ConfigKey`], such as `region`, `endpoint`, `access_key_id`, and of
    /// `object_store`'s client options, such as `allow_http`, `timeout`. A value `env:NAME` or `file:/path` names where
    /// it is read now; what is not given comes from the variables that AWS' own tools read.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) naming the address or the option.
    pub fn from_url(url: &str, options: &BTreeMap<String, String>, cache: impl Into<PathBuf>) -> Result<Self> {
        let named = |error: Error| error.with_operation("artifacts.open");
        let address = Url::parse(url)
            .map_err(|source| named(Error::invalid("the address of the artifacts is no URL").with_source(source)))?;
        if !address.username().is_empty() || address.password().is_some() {
            return Err(named(Error::invalid("the address of the artifacts holds credentials; give them as options")));
        }
        match address.scheme() {
            "s3" | "s3a" => {
                let store = s3(&address, options).map_err(named)?;
                Ok(Self::objects(store, address.path(), cache))
            }
            "file" => match address.to_file_path() {
                Ok(folder) => Self::local(folder),
                Err(()) => Err(named(Error::invalid(format!("'{url}' is no folder of this machine")))),
            },
            other => Err(named(Error::invalid(format!(
                "the artifacts cannot be kept at {other}://; known are s3:// and file://; \
                 for HDFS, hand over what YarnCluster::blobs gives, for others a BlobStore or a store of the crate \
                 object_store"
            )))),
        }
    }
}

fn s3(address: &Url, options: &BTreeMap<String, String>) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = AmazonS3Builder::from_env().with_url(address.as_str());
    for (name, value) in options {
        let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().map_err(|_| {
            Error::invalid(format!(
                "'{name}' is no option of S3; region, endpoint, access_key_id, secret_access_key, session_token, \
                 virtual_hosted_style_request, allow_http, timeout and others of object_store are"
            ))
        })?;
        let value = Secret::new(value.as_str()).resolve().map_err(|error| error.with_context("option", name))?;
        builder = builder.with_config(key, value.expose());
    }
    let store = builder.build().map_err(|source| {
        Error::invalid("the store of artifacts cannot be opened with these options").with_source(source)
    })?;
    Ok(Arc::new(store))
}
