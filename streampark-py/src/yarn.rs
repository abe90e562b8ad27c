//! Hadoop YARN.

use std::sync::Arc;

use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value};
use streampark_core::cluster::{SessionCluster as _, SessionSpec, SessionStatus};
use streampark_core::{Error, Result, Secret};
use streampark_yarn::{Authenticator, Simple, StaticHeader, YarnCluster, YarnOptions};

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
}

impl Identity {
    fn authenticator(self) -> Result<Arc<dyn Authenticator>> {
        Ok(match self {
            Self::Simple { user } => Arc::new(Simple::new(user)),
            Self::Basic { user, password } => Arc::new(StaticHeader::basic(user, &Secret::new(password).resolve()?)),
            Self::Bearer { user, token } => Arc::new(StaticHeader::bearer(user, Secret::new(token).resolve()?)),
            Self::DelegationToken { user, token } => Arc::new(StaticHeader::delegation_token(user, token)),
            Self::Header { user, name, value } => Arc::new(StaticHeader::new(user, name, value)),
        })
    }
}

fn connect(options: &str, identity: Option<&str>) -> Result<YarnCluster> {
    let options: YarnOptions = parse(options, "the options of a YARN cluster")?;
    match identity {
        None => YarnCluster::new(options),
        Some(identity) => {
            let identity: Identity = parse(identity, "the identity")?;
            YarnCluster::with_authenticator(options, identity.authenticator()?)
        }
    }
}

#[pymethods]
impl Yarn {
    #[new]
    #[pyo3(signature = (options, identity))]
    fn new(options: &str, identity: Option<&str>) -> PyResult<Self> {
        connect(options, identity).map(Self).or_raise()
    }

    fn cluster(&self) -> Cluster {
        Cluster(Arc::new(self.0.clone()))
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
