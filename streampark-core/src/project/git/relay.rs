//! The one way out to a Git server: a relay on the loopback address that libgit2 connects to.
//!
//! libgit2 waits for ever on a server that has stopped to answer, and only the whole process could set
//! its timeouts and its certificate authorities. Through the relay every wait has a bound, a dropped call
//! closes the connection at once, bytes are counted, and SSH works through a proxy. libgit2 speaks plain
//! HTTP to the relay; TLS, redirects, proxies and credentials are the business of the `reqwest` client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::tunnel::Tunnel;
use super::verdict::Verdict;
use super::web::Web;
use crate::Result;

/// Where the relay leads.
#[derive(Debug, Clone)]
pub(super) enum Route {
    /// To an SSH server, byte for byte.
    Tunnel(Tunnel),
    /// To an HTTP server, request by request.
    Web(Web),
}

/// A running relay; dropping it closes all its connections.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    received: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// Listens on a free port; what goes wrong later is put into `verdict`.
    pub(super) async fn start(route: Route, verdict: Verdict) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let received = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        let count = received.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let _ = client.set_nodelay(true);
                let (route, verdict, count) = (route.clone(), verdict.clone(), count.clone());
                connections.spawn(async move {
                    match route {
                        Route::Tunnel(tunnel) => tunnel.serve(client, &verdict, &count).await,
                        Route::Web(web) => web.serve(client, verdict, count).await,
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, received, _tasks: tasks })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that came from the server.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}
