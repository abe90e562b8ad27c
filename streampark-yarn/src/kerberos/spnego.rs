//! Kerberos tickets in HTTP (RFC 4559), and the cookies that Hadoop gives for them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use streampark_core::{Error, ErrorKind, Result, Secret, SharedClock, SystemClock};
use url::Url;

use super::conf::Krb5Conf;
use super::files::{cache_file, cache_of};
use super::messages;
use super::principal::Principal;
use super::tickets::{Source, Tickets};
use crate::auth::{Authenticator, Challenge, KerberosOptions, Proof, Service, Target};

/// Hadoop's cookie (`AuthenticatedURL.AUTH_COOKIE`).
const COOKIE: &str = "hadoop.auth";

/// A cookie is given back so many milliseconds before the server would refuse it.
const BEFORE_END: i64 = 2_000;

/// Cookies of so many servers are kept.
const MAX_COOKIES: usize = 4_096;

/// Proves who we are by Kerberos tickets (SPNEGO).
///
/// Nothing of the process is global: any number of these, each with its own principal, files and realm, live side
/// by side. Questions to a KDC are asynchronous and bounded in time. The ticket is renewed after three quarters of its
/// life, and what is still good is used on while no KDC answers.
///
/// ```no_run
/// use streampark_yarn::{Kerberos, KerberosOptions};
///
/// # fn f() -> streampark_core::Result<()> {
/// let alice = Kerberos::new(&KerberosOptions::keytab("alice@EXAMPLE.ORG", "/etc/security/alice.keytab"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Kerberos {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    user: String,
    tickets: Tickets,
    how: &'static str,
    /// Whether somebody keeps the ticket alive.
    kept: AtomicBool,
    cookies: Mutex<HashMap<Place, Cookie>>,
}

/// Scheme, host and port: a cookie of the ResourceManager is refused by the NameNode.
type Place = (String, String, u16);

#[derive(Debug)]
struct Cookie {
    value: Secret,
    /// Milliseconds since 1970.
    end: i64,
}

impl Kerberos {
    /// Reads `krb5.conf` and, where no principal is named, the credential cache. No request is made.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) naming the option at fault; those of reading the files.
    pub fn new(options: &KerberosOptions) -> Result<Self> {
        Self::with_clock(options, Arc::new(SystemClock))
    }

    /// As [`new`](Self::new), by another clock.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_clock(options: &KerberosOptions, clock: SharedClock) -> Result<Self> {
        let told = |error: Error| error.with_operation("kerberos");
        Self::made(options, clock).map_err(told)
    }

    fn made(options: &KerberosOptions, clock: SharedClock) -> Result<Self> {
        let conf = Krb5Conf::load(&configuration(options))?;
        let named = options.principal.as_deref().map(|name| Principal::parse(name, conf.default_realm.as_deref()));
        let named = named.transpose()?;
        let (client, source, how) = match (&options.keytab, named) {
            (Some(_), None) => {
                return Err(Error::invalid(
                    "kerberos.keytab is given without kerberos.principal; name whose key it is",
                ));
            }
            (Some(_), _) if options.ccache.is_some() => {
                return Err(Error::invalid("kerberos.keytab and kerberos.ccache are both given; give one of them"));
            }
            (Some(keytab), Some(principal)) => {
                super::files::keys_of(keytab, &principal)?;
                (principal, Source::Keytab(keytab.clone()), "keytab")
            }
            (None, named) => {
                let file = cache(options, &conf)?;
                let client = match named {
                    Some(named) => named,
                    None => cache_of(&file)?.owner,
                };
                (client, Source::Cache(file), "credential cache")
            }
        };
        let user = options.user.clone().unwrap_or_else(|| client.short().to_owned());
        let tickets = Tickets::new(client, source, conf, options.timeout, clock);
        let (kept, cookies) = (AtomicBool::new(false), Mutex::default());
        Ok(Self { inner: Arc::new(Inner { user, tickets, how, kept, cookies }) })
    }

    fn cookie(&self, place: &Place) -> Option<Secret> {
        let now = self.inner.tickets.now().saturating_mul(1000);
        let mut cookies = self.inner.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = cookies.get(place)?;
        if kept.end.saturating_sub(BEFORE_END) > now {
            return Some(kept.value.clone());
        }
        cookies.remove(place);
        None
    }

    fn forget(&self, place: &Place) -> bool {
        self.inner.cookies.lock().unwrap_or_else(PoisonError::into_inner).remove(place).is_some()
    }
}

/// Renews the first ticket before its end, also while cookies or the lack of requests make it unneeded: an ended one
/// cannot be renewed. Ends with the last who uses it.
async fn keep(inner: Weak<Inner>) {
    let _last = OnEnd(Weak::clone(&inner));
    while let Some(pause) = inner.upgrade().map(|inner| inner.tickets.until_renewal()) {
        tokio::time::sleep(pause).await;
        let Some(inner) = inner.upgrade() else { return };
        if inner.tickets.is_due() {
            // What went wrong is in the log; the old ticket is good for a while.
            drop(inner.tickets.renew().await);
        }
    }
}

/// A runtime that ends takes its tasks along; the next request starts the task anew.
struct OnEnd(Weak<Inner>);

impl Drop for OnEnd {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.kept.store(false, Ordering::Relaxed);
        }
    }
}

fn configuration(options: &KerberosOptions) -> PathBuf {
    let named = options.krb5_conf.clone().or_else(|| {
        // Several files may be named; the first that is there counts.
        let named = std::env::var("KRB5_CONFIG").ok()?;
        named.split(':').map(PathBuf::from).find(|file| file.is_file())
    });
    named.unwrap_or_else(|| PathBuf::from("/etc/krb5.conf"))
}

fn cache(options: &KerberosOptions, conf: &Krb5Conf) -> Result<PathBuf> {
    let id = user_id();
    let named = options.ccache.as_deref().map(Path::to_string_lossy).map(std::borrow::Cow::into_owned);
    let named = named.or_else(|| std::env::var("KRB5CCNAME").ok()).or_else(|| conf.default_ccache.clone());
    cache_file(&named.unwrap_or_else(|| format!("/tmp/krb5cc_{id}")), &id)
}

#[cfg(unix)]
fn user_id() -> String {
    let own = std::fs::metadata("/proc/self");
    own.map_or_else(|_| "0".to_owned(), |own| std::os::unix::fs::MetadataExt::uid(&own).to_string())
}

#[cfg(not(unix))]
fn user_id() -> String {
    "0".to_owned()
}

fn place_of(url: &Url) -> Option<Place> {
    Some((url.scheme().to_owned(), url.host_str()?.to_ascii_lowercase(), url.port_or_known_default()?))
}

/// The value of Hadoop's cookie as the server wrote it, quotes included, and its end; None where it is another
/// cookie, or is taken back.
fn hadoop_cookie(cookie: &str) -> Option<(String, i64)> {
    let (name, rest) = cookie.split_once('=')?;
    if name.trim() != COOKIE {
        return None;
    }
    let value = match rest.strip_prefix('"') {
        Some(quoted) => format!("\"{}\"", quoted.split('"').next().unwrap_or_default()),
        None => rest.split(';').next().unwrap_or_default().to_owned(),
    };
    let end: i64 = value.trim_matches('"').split('&').find_map(|part| part.strip_prefix("e=")?.parse().ok())?;
    Some((value, if end < 0 { i64::MAX } else { end }))
}

#[async_trait]
impl Authenticator for Kerberos {
    fn user(&self) -> &str {
        &self.inner.user
    }

    async fn prove(&self, target: &Target) -> Result<Proof> {
        // A DataNode's address carries a token already.
        if target.service == Service::DataNode {
            return Ok(Proof::none());
        }
        let inner = &self.inner;
        let place = place_of(&target.url)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a request without a host cannot be proven"))?;
        if let Some(value) = self.cookie(&place) {
            return Ok(Proof::none().header("Cookie", format!("{COOKIE}={}", value.expose())));
        }
        let ticket = inner.tickets.service(&inner.tickets.web_service(&place.1)).await?;
        if !inner.kept.swap(true, Ordering::Relaxed) {
            tokio::spawn(keep(Arc::downgrade(inner)));
        }
        let token = messages::negotiate(&inner.tickets.client, &ticket, inner.tickets.moment())?;
        Ok(Proof::none().header("Authorization", format!("Negotiate {}", BASE64.encode(token))))
    }

    async fn refused(&self, target: &Target, challenge: &Challenge) -> Result<bool> {
        let Some(place) = place_of(&target.url) else { return Ok(false) };
        let negotiates = challenge.schemes.iter().any(|scheme| scheme.to_ascii_lowercase().starts_with("negotiate"));
        let tickets = &self.inner.tickets;
        // A cookie ends with the server's secret, and needs no KDC to be replaced; a ticket with the service's key.
        match challenge.attempt {
            0 if self.forget(&place) || negotiates => Ok(true),
            1 if negotiates => {
                tickets.distrust(&tickets.web_service(&place.1)).await;
                Ok(true)
            }
            2 if negotiates => Err(Error::new(
                ErrorKind::Unauthenticated,
                format!(
                    "the server refuses our Kerberos ticket for {}; has its keytab an older key, or its clock another \
                     time?",
                    tickets.web_service(&place.1)
                ),
            )),
            _ => Ok(false),
        }
    }

    fn cookies(&self, target: &Target, cookies: &[String]) {
        let Some(place) = place_of(&target.url) else { return };
        // The last one counts. One that is taken back comes with a 401, which is told of separately.
        let Some((value, end)) = cookies.iter().filter_map(|cookie| hadoop_cookie(cookie)).next_back() else { return };
        let mut kept = self.inner.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_COOKIES {
            kept.clear();
        }
        kept.insert(place, Cookie { value: Secret::new(value), end });
    }

    async fn describe(&self) -> Result<Option<String>> {
        let until = self.inner.tickets.renew().await?;
        Ok(Some(format!("{} by {}, the ticket ends at {until}", self.inner.tickets.client, self.inner.how)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_as_hadoop_writes_them() {
        let text = "hadoop.auth=\"u=alice&p=alice@R&t=kerberos&e=1700000000000&s=x=\"; Path=/; HttpOnly";
        let expected = ("\"u=alice&p=alice@R&t=kerberos&e=1700000000000&s=x=\"".to_owned(), 1_700_000_000_000);
        assert_eq!(hadoop_cookie(text), Some(expected));
        assert_eq!(hadoop_cookie("hadoop.auth=; Path=/; Expires=Thu, 01-Jan-1970 00:00:00 GMT"), None);
        assert_eq!(hadoop_cookie("JSESSIONID=1"), None);
    }
}
