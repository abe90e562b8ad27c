//! Who we are to Hadoop's web interfaces.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use streampark_core::{Result, Secret};
use url::Url;

use crate::config::text as duration_text;

/// Which of Hadoop's services a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Service {
    /// The ResourceManager.
    ResourceManager,
    /// A NodeManager, for logs.
    NodeManager,
    /// A NameNode or an HttpFS server.
    FileSystem,
    /// A DataNode; the address that the NameNode gave carries the right to use it.
    DataNode,
}

/// One request, as far as an [`Authenticator`] needs to know it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Target {
    /// The service.
    pub service: Service,
    /// The address, with the request's own query.
    pub url: Url,
    /// The HTTP method.
    pub method: String,
}

impl Target {
    pub(crate) fn new(service: Service, method: &str, url: Url) -> Self {
        Self { service, url, method: method.to_owned() }
    }
}

/// What is added to a request.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Proof {
    /// Added to the query.
    pub query: Vec<(String, Secret)>,
    /// Added to the headers.
    pub headers: Vec<(String, Secret)>,
}

impl Proof {
    /// Adds nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a pair to the query.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }
}

/// What a service answered to a proof that it did not take.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Challenge {
    /// The HTTP status: 401.
    pub status: u16,
    /// The `WWW-Authenticate` headers.
    pub schemes: Vec<String>,
    /// How many proofs were refused for this request before this one.
    pub attempt: u32,
}

/// Proves who we are, request by request; implement it for a vendor's own way.
///
/// ```
/// use streampark_yarn::{Authenticator, Proof, Target};
///
/// #[derive(Debug)]
/// struct Gateway;
///
/// #[async_trait::async_trait]
/// impl Authenticator for Gateway {
///     fn user(&self) -> &str {
///         "alice"
///     }
///
///     async fn prove(&self, _target: &Target) -> streampark_core::Result<Proof> {
///         Ok(Proof::none().header("X-Vendor-Token", "env:VENDOR_TOKEN"))
///     }
/// }
/// ```
#[async_trait]
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// The short user name: the owner of applications and files.
    fn user(&self) -> &str;

    /// What to add to a request. `env:NAME` and `file:/path` are followed.
    ///
    /// # Errors
    /// Where no proof can be had now: an expired ticket, say. The request is not sent then.
    async fn prove(&self, target: &Target) -> Result<Proof>;

    /// Told of a 401; true asks for the request to be sent again with a new proof. Asked at most three times for
    /// one request. Default: false.
    ///
    /// # Errors
    /// Told to the caller in place of the refusal.
    async fn refused(&self, target: &Target, challenge: &Challenge) -> Result<bool> {
        let _ = (target, challenge);
        Ok(false)
    }

    /// Told of the cookies that an answer sets, to be kept per scheme, host, port and identity.
    /// Default: they are dropped.
    fn cookies(&self, target: &Target, cookies: &[String]) {
        let _ = (target, cookies);
    }

    /// The delegation tokens that an application gets on a secure cluster, by alias, in Hadoop's URL-safe text, for a
    /// file system that gives none by WebHDFS. They may be renewed by `renewer`, are cancelled by YARN at the
    /// application's end, and so must be new for each. Default: None, which asks the file system for one.
    ///
    /// # Errors
    /// Where there are none now: nothing is submitted then.
    async fn application_tokens(&self, renewer: &str) -> Result<Option<Vec<(String, Secret)>>> {
        let _ = renewer;
        Ok(None)
    }

    /// Who we are and until when, for a diagnosis; None where there is no more to say than the user's name.
    ///
    /// # Errors
    /// Where no proof can be had now.
    async fn describe(&self) -> Result<Option<String>> {
        Ok(None)
    }
}

/// How Kerberos is used, see [`YarnOptions::kerberos`](crate::YarnOptions::kerberos). Needs the cargo feature
/// `kerberos`.
///
/// Without a keytab the ticket comes from a credential cache, which somebody else fills (`kinit`, `k5start`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KerberosOptions {
    /// Who we are: `alice@EXAMPLE.ORG`. Default: the owner of the credential cache.
    pub principal: Option<String>,
    /// The file with the principal's key.
    pub keytab: Option<PathBuf>,
    /// The credential cache: a path, `FILE:/path` or `DIR:/folder`. Default: `KRB5CCNAME`, then
    /// `default_ccache_name` of `krb5.conf`, then `/tmp/krb5cc_<user id>`.
    pub ccache: Option<PathBuf>,
    /// Default: `KRB5_CONFIG`, then `/etc/krb5.conf`.
    pub krb5_conf: Option<PathBuf>,
    /// The user's short name, where Hadoop's `auth_to_local` makes another one of the principal than its first part.
    pub user: Option<String>,
    /// How long one KDC may take. Default 3 s.
    #[serde(with = "duration_text")]
    pub timeout: Duration,
}

impl Default for KerberosOptions {
    fn default() -> Self {
        Self {
            principal: None,
            keytab: None,
            ccache: None,
            krb5_conf: None,
            user: None,
            timeout: Duration::from_secs(3),
        }
    }
}

impl KerberosOptions {
    /// The principal whose key is in a keytab.
    pub fn keytab(principal: impl Into<String>, keytab: impl Into<PathBuf>) -> Self {
        Self { principal: Some(principal.into()), keytab: Some(keytab.into()), ..Self::default() }
    }

    /// The owner of a credential cache.
    pub fn ccache(ccache: impl Into<PathBuf>) -> Self {
        Self { ccache: Some(ccache.into()), ..Self::default() }
    }

    /// Sets where `krb5.conf` is.
    #[must_use]
    pub fn krb5_conf(mut self, file: impl Into<PathBuf>) -> Self {
        self.krb5_conf = Some(file.into());
        self
    }

    /// Sets the user's short name.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets how long one KDC may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The authenticator that these options describe.
    #[cfg(feature = "kerberos")]
    pub(crate) fn authenticator(&self) -> Result<Arc<dyn Authenticator>> {
        Ok(Arc::new(crate::kerberos::Kerberos::new(self)?))
    }

    #[cfg(not(feature = "kerberos"))]
    pub(crate) fn authenticator(&self) -> Result<Arc<dyn Authenticator>> {
        Err(streampark_core::Error::new(
            streampark_core::ErrorKind::Unsupported,
            "the option kerberos is set, and this build has no Kerberos; build streampark-yarn with its feature kerberos",
        )
        .with_operation("kerberos"))
    }
}

/// Says a name without proof: Hadoop's `simple` authentication.
#[derive(Debug, Clone)]
pub struct Simple {
    user: String,
}

impl Simple {
    /// Says to be `user`.
    pub fn new(user: impl Into<String>) -> Self {
        Self { user: user.into() }
    }
}

#[async_trait]
impl Authenticator for Simple {
    fn user(&self) -> &str {
        &self.user
    }

    async fn prove(&self, target: &Target) -> Result<Proof> {
        // A DataNode's address carries the name already.
        if target.service == Service::DataNode {
            return Ok(Proof::none());
        }
        Ok(Proof::none().query("user.name", self.user.clone()))
    }
}

/// Sends the same header with every request: Basic, Bearer, or a Hadoop token before a gateway such as Knox.
#[derive(Debug, Clone)]
pub struct StaticHeader {
    user: String,
    name: String,
    value: Secret,
}

impl StaticHeader {
    /// Sends `name: value`; the user is who the gateway takes us for.
    pub fn new(user: impl Into<String>, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        Self { user: user.into(), name: name.into(), value: value.into() }
    }

    /// Sends `Authorization: Bearer <token>`.
    pub fn bearer(user: impl Into<String>, token: impl Into<Secret>) -> Self {
        Self::with_scheme(user, "Bearer", &token.into())
    }

    /// Sends a Hadoop delegation token (`X-Hadoop-Delegation-Token`).
    pub fn delegation_token(user: impl Into<String>, token: impl Into<Secret>) -> Self {
        Self::new(user, "X-Hadoop-Delegation-Token", token)
    }

    /// Sends `Authorization: Basic …`.
    pub fn basic(user: impl Into<String>, password: &Secret) -> Self {
        let user = user.into();
        let pair = format!("{user}:{}", password.expose());
        Self::with_scheme(user, "Basic", &Secret::new(BASE64.encode(pair)))
    }

    fn with_scheme(user: impl Into<String>, scheme: &str, value: &Secret) -> Self {
        Self::new(user, "Authorization", format!("{scheme} {}", value.expose()))
    }
}

#[async_trait]
impl Authenticator for StaticHeader {
    fn user(&self) -> &str {
        &self.user
    }

    async fn prove(&self, _target: &Target) -> Result<Proof> {
        Ok(Proof::none().header(self.name.clone(), self.value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(service: Service) -> Target {
        Target::new(service, "GET", Url::parse("http://rm:8088/").unwrap())
    }

    #[tokio::test]
    async fn simple_says_a_name_except_to_data_nodes() {
        let simple = Simple::new("alice");
        let proof = simple.prove(&target(Service::ResourceManager)).await.unwrap();
        assert_eq!((proof.query[0].0.as_str(), proof.query[0].1.expose()), ("user.name", "alice"));
        assert!(simple.prove(&target(Service::DataNode)).await.unwrap().query.is_empty());
    }

    #[tokio::test]
    async fn headers_are_sent_and_never_printed() {
        let basic = StaticHeader::basic("alice", &Secret::new("pässword"));
        let proof = basic.prove(&target(Service::FileSystem)).await.unwrap();
        assert_eq!(proof.headers[0].1.expose(), "Basic YWxpY2U6cMOkc3N3b3Jk");
        assert!(!format!("{basic:?}{proof:?}").contains("YWxpY2U6"));
    }
}
