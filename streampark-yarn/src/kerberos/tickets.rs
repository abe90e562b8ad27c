//! The tickets of one client: got, kept, renewed before they end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use streampark_core::{Error, ErrorKind, Result, SharedClock};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::conf::Krb5Conf;
use super::credential::Credential;
use super::files::{cache_of, keys_of};
use super::kdc;
use super::keys::usage;
use super::messages::{self, Answer, Moment, Refusal, Wish};
use super::principal::Principal;

/// KDCs send a client from realm to realm no longer than this.
const MAX_REFERRALS: usize = 5;

/// After a failure the KDC is left alone for so many seconds where a ticket is still good, less where it ends soon.
const REST: i64 = 10;

/// Callers that waited while a question failed get its answer, not a question of their own.
const SAME_ANSWER: Duration = Duration::from_secs(1);

/// Where the first ticket comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Keytab(PathBuf),
    Cache(PathBuf),
}

/// The tickets of one client.
#[derive(Debug)]
pub(super) struct Tickets {
    pub(super) client: Principal,
    source: Source,
    conf: Krb5Conf,
    patience: Duration,
    clock: SharedClock,
    last_moment: AtomicI64,
    /// When the first ticket should be renewed, seconds since 1970.
    renew_at: AtomicI64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    granting: Option<Credential>,
    services: HashMap<Principal, Credential>,
    /// Until when the first ticket is used as it is, seconds since 1970.
    rest_until: i64,
    failed: Option<(Instant, ErrorKind, String)>,
}

impl Tickets {
    pub(super) fn new(
        client: Principal,
        source: Source,
        conf: Krb5Conf,
        patience: Duration,
        clock: SharedClock,
    ) -> Self {
        Self {
            client,
            source,
            conf,
            patience,
            clock,
            last_moment: AtomicI64::new(0),
            renew_at: AtomicI64::new(i64::MAX),
            state: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.now().as_second()
    }

    pub(super) fn moment(&self) -> Moment {
        let now = self.clock.now().as_microsecond();
        let next = |last: i64| Some(now.max(last.saturating_add(1)));
        let last = self.last_moment.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or(now);
        Moment::of(now.max(last.saturating_add(1)))
    }

    /// The service `HTTP` on a host.
    pub(super) fn web_service(&self, host: &str) -> Principal {
        let host = host.to_ascii_lowercase();
        let realm = self.conf.realm_of(&host).unwrap_or(&self.client.realm).to_owned();
        Principal { parts: vec!["HTTP".to_owned(), host], realm }
    }

    /// Whether the first ticket should be renewed.
    pub(super) fn is_due(&self) -> bool {
        self.now() >= self.renew_at.load(Ordering::Relaxed)
    }

    /// How long to wait before that may be so. The wall clock may jump: it is looked at now and then.
    pub(super) fn until_renewal(&self) -> Duration {
        let seconds = self.renew_at.load(Ordering::Relaxed).saturating_sub(self.now()).clamp(1, 60);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(1))
    }

    /// Renews the first ticket where it is old.
    pub(super) async fn renew(&self) -> Result<Timestamp> {
        let mut state = self.state.lock().await;
        let granting = self.granting(&mut state).await?;
        Ok(Timestamp::from_second(granting.end).unwrap_or_default())
    }

    /// A ticket for a service that is good now.
    pub(super) async fn service(&self, server: &Principal) -> Result<Credential> {
        let mut state = self.state.lock().await;
        let now = self.now();
        let kept = state.services.get(server).filter(|kept| kept.is_usable(now)).cloned();
        if let Some(kept) = &kept
            && !kept.is_old(now)
        {
            return Ok(kept.clone());
        }
        if let Some((at, kind, message)) = &state.failed
            && at.elapsed() < SAME_ANSWER
        {
            return kept.ok_or_else(|| Error::new(*kind, message.clone()).with_operation("kerberos"));
        }
        match self.obtain(&mut state, server).await {
            Ok(ticket) => {
                state.failed = None;
                state.services.insert(server.clone(), ticket.clone());
                Ok(ticket)
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.kind(), error.message().to_owned()));
                match kept {
                    Some(kept) => {
                        tracing::warn!(service = %server, error = %error.chain(), "a Kerberos ticket is old, and no newer one can be had");
                        Ok(kept)
                    }
                    None => Err(error.with_operation("kerberos")),
                }
            }
        }
    }

    /// Forgets a ticket that its service did not take.
    pub(super) async fn distrust(&self, server: &Principal) {
        self.state.lock().await.services.remove(server);
    }

    async fn obtain(&self, state: &mut State, server: &Principal) -> Result<Credential> {
        let mut granting = self.granting(state).await?;
        let mut wanted = server.clone();
        if server.realm != self.client.realm {
            wanted = Principal::granting(&server.realm, &self.client.realm);
        }
        for _ in 0..MAX_REFERRALS {
            let got = self.grant(&granting, &wanted, Wish::Service).await?;
            if got.server.parts == server.parts {
                return Ok(got);
            }
            let Some(next) = got.server.parts.get(1).filter(|_| got.server.is_granting()).cloned() else { break };
            wanted = Principal { parts: server.parts.clone(), realm: next };
            granting = got;
        }
        Err(Error::new(ErrorKind::UnexpectedResponse, format!("the KDCs send us round and round for {server}")))
    }

    async fn grant(&self, granting: &Credential, server: &Principal, wish: Wish) -> Result<Credential> {
        let realm = granting.server.parts.get(1).map_or(self.client.realm.as_str(), String::as_str);
        let (request, nonce) = messages::tgs_request(&self.client, granting, server, wish, self.moment())?;
        match kdc::ask(realm, &self.conf.kdcs(realm)?, &request, self.patience).await? {
            Answer::Ticket(reply) => reply.open(&granting.key, usage::TGS_REP, nonce),
            Answer::Refused(refusal) => Err(self.told(&refusal, realm, Some(server))),
        }
    }

    /// The first ticket, renewed where it is old.
    async fn granting(&self, state: &mut State) -> Result<Credential> {
        let now = self.now();
        let kept = state.granting.clone().filter(|kept| kept.is_usable(now));
        if let Some(kept) = &kept
            && (!kept.is_old(now) || now < state.rest_until)
        {
            return Ok(kept.clone());
        }
        let fresh = match &self.source {
            Source::Keytab(file) => self.log_in(file).await,
            Source::Cache(file) => self.read_cache(file, kept.as_ref(), now).await,
        };
        match fresh {
            Ok(fresh) => {
                self.rest(state, if fresh.is_old(now) { pause(&fresh, now) } else { fresh.old_at() });
                if state.granting.as_ref().is_some_and(|before| before.end != fresh.end) {
                    tracing::debug!(principal = %self.client, "a newer Kerberos ticket is used");
                    state.services.retain(|_, ticket| !ticket.is_old(now));
                }
                state.granting = Some(fresh.clone());
                Ok(fresh)
            }
            Err(error) => {
                let Some(kept) = kept else { return Err(error) };
                self.rest(state, pause(&kept, now));
                tracing::warn!(principal = %self.client, error = %error.chain(), "the Kerberos ticket is old, and no newer one can be had");
                Ok(kept)
            }
        }
    }

    fn rest(&self, state: &mut State, until: i64) {
        state.rest_until = until;
        self.renew_at.store(until, Ordering::Relaxed);
    }

    async fn log_in(&self, keytab: &Path) -> Result<Credential> {
        let (file, client) = (keytab.to_owned(), self.client.clone());
        let keys = read(move || keys_of(&file, &client)).await?;
        let (realm, mut refused) = (&self.client.realm, None);
        for key in &keys {
            let (request, nonce) = messages::as_request(&self.client, key, self.moment())?;
            match kdc::ask(realm, &self.conf.kdcs(realm)?, &request, self.patience).await? {
                Answer::Ticket(reply) => {
                    let Some(key) = keys.iter().find(|key| key.kind == reply.sealed_by) else {
                        return Err(Error::new(
                            ErrorKind::Unauthenticated,
                            format!(
                                "the KDC answers {} under a key of the type {}, which the keytab lacks; export it again",
                                self.client, reply.sealed_by
                            ),
                        ));
                    };
                    return reply.open(key, usage::AS_REP, nonce);
                }
                Answer::Refused(refusal) => {
                    let next = matches!(refusal.code, code::ETYPE_UNKNOWN | code::PREAUTH_FAILED);
                    refused = Some(self.told(&refusal, realm, None));
                    if !next {
                        break;
                    }
                }
            }
        }
        Err(refused.unwrap_or_else(|| Error::new(ErrorKind::Internal, "the keytab gave no key")))
    }

    async fn read_cache(&self, file: &Path, kept: Option<&Credential>, now: i64) -> Result<Credential> {
        let path = file.to_owned();
        let cache = read(move || cache_of(&path)).await?;
        if cache.owner != self.client {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                format!("the credential cache is that of {} now, not of {}", cache.owner, self.client),
            ));
        }
        if let (None, Some(kind)) = (&cache.granting, cache.unusable) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the ticket in the credential cache has a session key of the type {kind}; get one of \
                     aes256-cts-hmac-sha1-96 (default_tkt_enctypes in krb5.conf)"
                ),
            ));
        }
        // The newer of the file's, which others may have renewed, and ours.
        let best = cache.granting.iter().chain(kept).max_by_key(|ticket| ticket.end);
        let Some(best) = best else {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                format!("the credential cache has no ticket of {}; run kinit", self.client),
            ));
        };
        if !best.is_usable(now) {
            let ended = Timestamp::from_second(best.end).unwrap_or_default();
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                format!(
                    "the Kerberos ticket of {} ended at {ended}, and an ended ticket cannot be renewed; run kinit again, or \
                     give a keytab",
                    self.client
                ),
            ));
        }
        if best.is_old(now) && best.renew_till.is_some_and(|till| till > best.end) {
            let own = Principal::granting(&self.client.realm, &self.client.realm);
            return match self.grant(best, &own, Wish::Renewal).await {
                Err(error) => {
                    tracing::warn!(principal = %self.client, error = %error.chain(), "the Kerberos ticket cannot be renewed");
                    Ok(best.clone())
                }
                renewed => renewed,
            };
        }
        Ok(best.clone())
    }

    /// What a KDC's refusal means, and what to do (RFC 4120, section 7.5.9).
    fn told(&self, refusal: &Refusal, realm: &str, server: Option<&Principal>) -> Error {
        let client = &self.client;
        let message = match (refusal.code, server) {
            (code::CLIENT_UNKNOWN, _) => format!("the KDC of {realm} knows no {client}; check kerberos.principal"),
            (code::SERVER_UNKNOWN, Some(server)) => format!(
                "the KDC of {realm} knows no service {server}; write the address with the host name that the daemon is \
                 registered with, not an IP address or an alias"
            ),
            (code::ETYPE_UNKNOWN, _) => format!(
                "the KDC of {realm} has no key of {client} of the types aes256-cts-hmac-sha1-96 and aes128-cts-hmac-sha1-96"
            ),
            (code::CLIENT_REVOKED, _) => format!("the account {client} is locked or has expired at the KDC of {realm}"),
            (code::KEY_EXPIRED, _) => {
                format!(
                    "the password of {client} has expired at the KDC of {realm}; change it, and export the keytab again"
                )
            }
            (code::PREAUTH_FAILED, _) => {
                format!("the KDC of {realm} does not accept the key of {client}; export the keytab again")
            }
            (code::TICKET_EXPIRED, _) => {
                format!("the Kerberos ticket of {client} has ended; run kinit again, or give a keytab")
            }
            (code::SKEW, _) => {
                let ahead = self.now().saturating_sub(refusal.server_time);
                format!(
                    "this machine's clock is {} s {} that of the KDC of {realm}, and Kerberos allows 300; set both by a time \
                     server",
                    ahead.abs(),
                    if ahead > 0 { "ahead of" } else { "behind" }
                )
            }
            (code, _) => {
                let text =
                    refusal.text.as_ref().map_or_else(String::new, |text| format!(": {}", text.trim_matches('\0')));
                format!("the KDC of {realm} refuses {client} (Kerberos error {code}{text})")
            }
        };
        Error::new(ErrorKind::Unauthenticated, message)
    }
}

/// Error codes of KDCs.
mod code {
    pub(super) const CLIENT_UNKNOWN: i64 = 6;
    pub(super) const SERVER_UNKNOWN: i64 = 7;
    pub(super) const ETYPE_UNKNOWN: i64 = 14;
    pub(super) const CLIENT_REVOKED: i64 = 18;
    pub(super) const KEY_EXPIRED: i64 = 23;
    pub(super) const PREAUTH_FAILED: i64 = 24;
    pub(super) const TICKET_EXPIRED: i64 = 32;
    pub(super) const SKEW: i64 = 37;
}

/// When to ask again for a ticket that is old.
fn pause(ticket: &Credential, now: i64) -> i64 {
    now.saturating_add((ticket.end.saturating_sub(now) / 4).clamp(1, REST))
}

/// Reads a file where blocking is allowed.
async fn read<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|source| {
        Error::new(ErrorKind::Internal, "the reading of a Kerberos file ended early").with_source(source)
    })?
}

#[cfg(test)]
mod tests;
