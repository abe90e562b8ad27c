//! The JobManagers of applications: one client for each, kept while its address holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use streampark_core::cluster::{JobManager, Observation, RunStatus};
use streampark_core::flink::rest::ApplicationOverview;
use streampark_core::flink::{RestClient, RestOptions};
use streampark_core::{Error, ErrorKind, ErrorStatus, Result};
use tokio::time::{Instant, timeout};

use crate::ground::Yarn;
use crate::wire::App;

/// A JobManager has this long to answer when a whole fleet is asked.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// One that does not answer is asked again after 1, 2, 4, … s, at most after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Entry {
    address: String,
    direct: Arc<JobManager>,
    misses: u32,
    ask_again: Option<Instant>,
}

/// The clients, by application id.
#[derive(Debug, Default)]
pub(crate) struct Managers(Mutex<HashMap<String, Entry>>);

impl Managers {
    /// The JobManager of an application; None before it has an address.
    pub(crate) fn of(&self, yarn: &Yarn, app: &App) -> Result<Option<Arc<JobManager>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = app.flink_address().map(|address| yarn.reachable(address));
        if let Some(entry) = all.get(&app.id) {
            // After a ResourceManager's restart the address is unknown to it for a while, and still the same.
            if told.as_ref().is_none_or(|address| *address == entry.address) {
                return Ok(Some(Arc::clone(&entry.direct)));
            }
        }
        let Some(address) = told else { return Ok(None) };
        let direct = Arc::new(JobManager::new(RestClient::new(RestOptions::new([format!("http://{address}/")]))?));
        let entry = Entry { address, direct: Arc::clone(&direct), misses: 0, ask_again: None };
        all.insert(app.id.clone(), entry);
        Ok(Some(direct))
    }

    /// What an application's JobManager says of its jobs, where it is time to ask it.
    pub(crate) async fn ask(&self, yarn: &Yarn, app: &App) -> Option<Result<Vec<Observation>>> {
        let manager = match self.of(yarn, app) {
            Ok(manager) => manager?,
            Err(error) => return Some(Err(error)),
        };
        if self.is_resting(&app.id) {
            return Some(Err(Error::new(ErrorKind::Unreachable, "the JobManager did not answer a moment ago")));
        }
        let answer = match timeout(PATIENCE, manager.observe()).await {
            Ok(Err(error)) if error.kind() == ErrorKind::Unreachable => {
                self.by_proxy(yarn, app).await.unwrap_or(Err(error))
            }
            Ok(answer) => answer,
            Err(_) => Err(Error::new(ErrorKind::Timeout, format!("the JobManager did not answer within {PATIENCE:?}"))),
        };
        self.note(&app.id, answer.is_ok());
        Some(answer)
    }

    /// How `main` ended where it left no job: since Flink 2.3 a JobManager stays without one, and says so
    /// nowhere else. None while it runs, or where that cannot be told.
    pub(crate) async fn end_of_main(&self, yarn: &Yarn, app: &App) -> Option<RunStatus> {
        let manager = self.of(yarn, app).ok().flatten()?;
        if !manager.known().0.is_some_and(|version| version.at_least(2, 3)) {
            return None;
        }
        let applications = timeout(PATIENCE, manager.rest().applications()).await.ok()?.ok()?;
        let ended = applications.iter().all(ApplicationOverview::is_over);
        let word = applications.last().filter(|_| ended).map(|last| last.status.as_str())?;
        Some(match word {
            "FINISHED" => RunStatus::Finished,
            "CANCELED" => RunStatus::Canceled,
            _ => RunStatus::Failed,
        })
    }

    /// YARN's proxy passes reads on, where a firewall stands before the nodes.
    async fn by_proxy(&self, yarn: &Yarn, app: &App) -> Option<Result<Vec<Observation>>> {
        let manager = proxied(yarn, &app.id).ok()?;
        timeout(PATIENCE, manager.observe()).await.ok().filter(Result::is_ok)
    }

    fn is_resting(&self, id: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(id).and_then(|entry| entry.ask_again).is_some_and(|at| at > Instant::now())
    }

    fn note(&self, id: &str, answered: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = all.get_mut(id) else { return };
        if answered {
            (entry.misses, entry.ask_again) = (0, None);
            return;
        }
        entry.misses = entry.misses.saturating_add(1);
        // The first miss is asked again at once: the address may just have changed.
        let pause = Duration::from_secs(1 << entry.misses.saturating_sub(2).min(5)).min(LONGEST_PAUSE);
        entry.ask_again = (entry.misses > 1).then(|| Instant::now() + pause);
    }

    /// Forgets the clients of applications that are not among `live`.
    pub(crate) fn keep_only(&self, live: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| live(id));
    }

    pub(crate) fn forget(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// A JobManager behind YARN's proxy: for reads only (`WebAppProxyServlet` passes GET and PUT).
pub(crate) fn proxied(yarn: &Yarn, id: &str) -> Result<JobManager> {
    let base = yarn.rm.base();
    let address = base.join(&format!("proxy/{id}/")).map_err(|source| {
        Error::new(ErrorKind::Internal, "the address of YARN's proxy cannot be made").with_source(source)
    })?;
    Ok(JobManager::new(RestClient::new(RestOptions::new([address.to_string()]))?))
}

/// What a write that cannot reach its JobManager comes to, where the proxy still answers.
pub(crate) fn writes_need_the_node(error: Error, address: &str) -> Error {
    if error.kind() != ErrorKind::Unreachable || error.status() != ErrorStatus::Temporary {
        return error;
    }
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "only YARN's proxy reaches this JobManager, and it passes reads on, no writes; open {address} to us (a fixed \
             range by rest.bind-port), or map its host by the option host_map"
        ),
    )
    .with_status(ErrorStatus::Temporary)
    .with_source(error)
}
