//! Hadoop YARN.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use streampark_core::cluster::{SessionCluster as _, SessionSpec, SessionStatus};
use streampark_core::{Error, ErrorKind, Result, Secret};
use streampark_yarn::{
    Authenticator, Challenge, Kerberos, KerberosOptions, Proof, Service, Simple, StaticHeader, Target, YarnCluster,
    YarnOptions,
};

use crate::blobs::BlobStore;
use crate::callback::Callback;
use crate::cluster::Cluster;
use crate::convert::{Raise as _, parse, text};
use crate::runtime::Pending;

/// A Hadoop cluster.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Yarn(YarnCluster);

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Identity {
    Simple { user: String },
    Basic { user: String, password: String },
    Bearer { user: String, token: String },
    DelegationToken { user: String, token: String },
    Header { user: String, name: String, value: String },
    Kerberos(KerberosOptions),
    Custom { user: String },
}

impl Identity {
    fn authenticator(self, headers: Option<Callback>) -> Result<Arc<dyn Authenticator>> {
        Ok(match self {
            Self::Simple { user } => Arc::new(Simple::new(user)),
            Self::Basic { user, password } => Arc::new(StaticHeader::basic(user, &Secret::new(password).resolve()?)),
            Self::Bearer { user, token } => Arc::new(StaticHeader::bearer(user, Secret::new(token).resolve()?)),
            Self::DelegationToken { user, token } => Arc::new(StaticHeader::delegation_token(user, token)),
            Self::Header { user, name, value } => Arc::new(StaticHeader::new(user, name, value)),
            Self::Kerberos(options) => Arc::new(Kerberos::new(&options)?),
            Self::Custom { user } => {
                let headers = headers.ok_or_else(|| Error::invalid("an identity of this kind needs a function"))?;
                Arc::new(PythonIdentity { user, headers, refused: AtomicBool::new(false) })
            }
        })
    }
}

/// A function that gives the headers of a request.
#[derive(Debug)]
struct PythonIdentity {
    user: String,
    headers: Callback,
    refused: AtomicBool,
}

#[async_trait]
impl Authenticator for PythonIdentity {
    fn user(&self) -> &str {
        &self.user
    }

    async fn prove(&self, target: &Target) -> Result<Proof> {
        let service = match target.service {
            Service::ResourceManager => "resource_manager",
            Service::NodeManager => "node_manager",
            Service::FileSystem => "file_system",
            // Its address carries the right to use it.
            _ => return Ok(Proof::none()),
        };
        let refused = self.refused.swap(false, Ordering::Relaxed);
        let request = json!({"service": service, "method": target.method, "url": target.url, "refused": refused});
        let given = self.headers.call(request.to_string()).await.map_err(|error| error.with_operation("identity"))?;
        let given: BTreeMap<String, String> = parse(given.as_deref().unwrap_or("{}"), "the headers of the identity")?;
        Ok(given.into_iter().fold(Proof::none(), |proof, (name, value)| proof.header(name, value)))
    }

    async fn refused(&self, _target: &Target, challenge: &Challenge) -> Result<bool> {
        self.refused.store(true, Ordering::Relaxed);
        Ok(challenge.attempt == 0)
    }
}

fn connect(options: &str, identity: Option<&str>, headers: Option<Py<PyAny>>) -> Result<YarnCluster> {
    let options: YarnOptions = parse(options, "the options of a YARN cluster")?;
    match identity {
        None => YarnCluster::new(options),
        Some(identity) => {
            let identity: Identity = parse(identity, "the identity")?;
            let headers = headers.map(|headers| Callback::new(headers, ErrorKind::Unauthenticated));
            YarnCluster::with_authenticator(options, identity.authenticator(headers)?)
        }
    }
}

#[pymethods]
impl Yarn {
    #[new]
    #[pyo3(signature = (options, identity, headers))]
    fn new(options: &str, identity: Option<&str>, headers: Option<Py<PyAny>>) -> PyResult<Self> {
        connect(options, identity, headers).map(Self).or_raise()
    }

    fn cluster(&self) -> Cluster {
        Cluster(Arc::new(self.0.clone()))
    }

    fn blobs(&self, folder: String) -> BlobStore {
        BlobStore(self.0.blobs(folder))
    }

    fn diagnose(&self) -> Pending {
        let cluster = self.0.clone();
        Pending::new(async move {
            let told = cluster.diagnose().await;
            text(&serde_json::json!({"checks": told.checks, "table": told.to_string()}))
        })
    }

    fn install(&self) -> Pending {
        let cluster = self.0.clone();
        Pending::new(async move { text(&cluster.install(None).await?) })
    }

    fn collect_distributions(&self) -> Pending {
        let cluster = self.0.clone();
        Pending::new(async move { text(&cluster.collect_distributions().await?) })
    }

    fn start_session(&self, name: &str, flink: &str) -> PyResult<Pending> {
        let flink: Map<String, Value> = parse(flink, "the configuration").or_raise()?;
        let mut spec = SessionSpec::new(name);
        for (key, value) in flink {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            spec.flink.set(key, value);
        }
        let sessions = self.0.sessions();
        Ok(Pending::new(async move { Ok::<_, Error>(Cluster(sessions.start(&spec).await?)) }))
    }

    fn session_status(&self, name: &str) -> Pending {
        let (sessions, name) = (self.0.sessions(), name.to_owned());
        Pending::new(async move {
            let status = sessions.status(&name).await?.map(|(id, status)| {
                let (word, reason) = match status {
                    SessionStatus::Starting => ("STARTING", None),
                    SessionStatus::Running => ("RUNNING", None),
                    SessionStatus::Ended(reason) => ("ENDED", Some(reason)),
                    _ => ("UNKNOWN", None),
                };
                serde_json::json!({"deployment": id, "state": word, "reason": reason})
            });
            text(&status)
        })
    }

    fn stop_session(&self, name: &str, kill: bool) -> Pending {
        let (sessions, name) = (self.0.sessions(), name.to_owned());
        Pending::new(async move { if kill { sessions.kill(&name).await } else { sessions.stop(&name).await } })
    }
}
