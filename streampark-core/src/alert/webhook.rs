//! Any HTTP endpoint, signed as the Standard Webhooks specification says.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use super::alert::Alert;
use super::channel::{Channel, ChannelLimits, Message, Receipt};
use super::http::{Http, address, origin};
use super::render::{Text, subject};
use super::worker::shorten;
use crate::{Error, Result, Secret};

/// Bytes of a body: below what common gateways bear.
const BODY: usize = 20_000;

/// Posts alerts as JSON to an endpoint.
///
/// Headers: `webhook-id` (the same on every attempt: receivers tell repeats by it),
/// `webhook-timestamp` (seconds), and with a [`secret`](Self::secret) `webhook-signature`
/// (`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`), as the Standard Webhooks
/// specification says.
///
/// The body is less than 20,000 bytes:
/// ```json
/// {
///   "type": "job_failed",
///   "timestamp": "2026-01-31T12:00:00Z",
///   "data": {
///     "title": "job 'orders' failed",
///     "severity": "error",
///     "text": "the whole message as plain text",
///     "alerts": [{"id": "…", "kind": "job_failed", "job_name": "orders", "cause": {"message": "…"}}],
///     "also": ["names of the jobs whose alerts did not fit"],
///     "left_out": 0
///   }
/// }
/// ```
/// `type` is the alert's kind, or `digest` for several; `alerts` are whole [`Alert`]s as far as
/// they fit, causes shortened first; `left_out` counts the alerts that are not in `alerts`.
///
/// Any 2xx is success. 408, 425, 429 and 5xx are tried again, after `Retry-After` where it is
/// given; redirects and all other answers are errors for good.
#[derive(Clone)]
pub struct Webhook {
    url: Url,
    secret: Option<Secret>,
    headers: Vec<(String, Secret)>,
    limits: ChannelLimits,
    http: Http,
}

impl Webhook {
    /// The endpoint at `url`, `http` or `https`. The path may hold a token: only the host is ever shown.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for anything else than such an address.
    pub fn new(url: impl AsRef<str>) -> Result<Self> {
        Ok(Self {
            url: address(url.as_ref())?,
            secret: None,
            headers: Vec::new(),
            limits: ChannelLimits::default(),
            http: Http::default(),
        })
    }

    /// Signs every message. The secret is written `whsec_` and base64, or names a place that holds
    /// it (`env:NAME`, `file:/path`); it is read with each message.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<Secret>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// Adds a header, for example `authorization`. The value may be `env:NAME` or `file:/path`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Limits the messages per minute. Default: no limit.
    #[must_use]
    pub fn per_minute(mut self, messages: u32) -> Self {
        self.limits.per_minute = Some(messages);
        self
    }

    /// Sets how long one attempt may take. Default 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Sets the attempts before a message is given up. Default 5.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.limits.attempts = attempts.max(1);
        self
    }

    /// Trusts the certificates (PEM) of an own authority, beside the machine's.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where there is no certificate in it.
    pub fn ca_certificate(mut self, pem: impl AsRef<[u8]>) -> Result<Self> {
        self.http.trust(pem.as_ref())?;
        Ok(self)
    }

    /// Goes through an HTTP proxy; the environment's is never taken.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for anything else than an `http` or `https` address.
    pub fn proxy(mut self, url: impl AsRef<str>) -> Result<Self> {
        self.http.through(address(url.as_ref())?);
        Ok(self)
    }

    fn headers(&self, id: &str, at: i64, body: &str) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let key = HeaderName::try_from(name.as_str())
                .map_err(|_| Error::invalid(format!("'{name}' is no name of an HTTP header")))?;
            headers.insert(key, sensitive(name, value.resolve()?.expose())?);
        }
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("webhook-id", sensitive("webhook-id", id)?);
        headers.insert("webhook-timestamp", HeaderValue::from(at));
        if let Some(secret) = &self.secret {
            headers
                .insert("webhook-signature", sensitive("webhook-signature", &sign(&secret.resolve()?, id, at, body)?)?);
        }
        Ok(headers)
    }
}

fn sensitive(name: &str, value: &str) -> Result<HeaderValue> {
    let mut header = HeaderValue::try_from(value).map_err(|_| {
        Error::invalid(format!("the value of the header '{name}' has characters that HTTP does not allow"))
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// The signature of the Standard Webhooks specification, version 1.
fn sign(secret: &Secret, id: &str, at: i64, body: &str) -> Result<String> {
    let malformed = || {
        Error::invalid("the secret of a webhook is written whsec_ followed by base64; make one with 24 random bytes")
    };
    let key = secret.expose().trim().strip_prefix("whsec_").ok_or_else(malformed)?;
    let key = STANDARD.decode(key).ok().filter(|key| !key.is_empty()).ok_or_else(malformed)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| malformed())?;
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// The body: everything if it fits, else causes shortened, else the first alerts whole and the
/// names, then the number, of the others.
fn body(message: &Message) -> String {
    let text = Text::of(message, 50);
    let kind = match message.alerts.as_slice() {
        [alert] => alert.kind.as_str(),
        _ => "digest",
    };
    let at = message.alerts.iter().map(|alert| alert.at).min().unwrap_or(Timestamp::UNIX_EPOCH);
    let make = |alerts: &[Value], also: &[String]| {
        let data = json!({
            "title": text.title,
            "severity": text.severity.as_str(),
            "text": text.plain(),
            "alerts": alerts,
            "also": also,
            "left_out": message.alerts.len() - alerts.len(),
        });
        json!({"type": kind, "timestamp": at.to_string(), "data": data}).to_string()
    };
    for detail in [usize::MAX, 4_096, 0] {
        let alerts: Vec<Value> = message.alerts.iter().map(|alert| shown(alert, detail)).collect();
        let whole = make(&alerts, &[]);
        if whole.len() < BODY {
            return whole;
        }
    }
    // Two thirds of the room for whole alerts, worst first, the rest for names.
    let mut worst: Vec<&Alert> = message.alerts.iter().collect();
    worst.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
    let mut room = BODY.saturating_sub(make(&[], &[]).len() + 100);
    let (mut alerts, mut also) = (Vec::new(), Vec::new());
    let names = room / 3;
    let mut rest = worst.as_slice();
    while let [alert, others @ ..] = rest {
        let value = shown(alert, 0);
        let size = value.to_string().len() + 1;
        if size + names > room {
            break;
        }
        room -= size;
        alerts.push(value);
        rest = others;
    }
    for alert in rest {
        let name = subject(alert);
        // JSON writes at most six bytes for one.
        let size = name.len() * 6 + 3;
        if size > room || also.contains(&name) {
            continue;
        }
        room -= size;
        also.push(name);
    }
    make(&alerts, &also)
}

/// An alert as JSON with at most `detail` bytes of its stack trace, and no single text that alone
/// would fill the body.
fn shown(alert: &Alert, detail: usize) -> Value {
    let mut alert = alert.clone();
    shorten(&mut alert.title, 500);
    for text in [&mut alert.action, &mut alert.owner, &mut alert.job_name].into_iter().flatten() {
        shorten(text, 500);
    }
    if let Some(cause) = &mut alert.cause {
        shorten(&mut cause.message, if detail == 0 { 300 } else { 2_000 });
        match &mut cause.detail {
            Some(text) if detail > 0 => shorten(text, detail),
            detail => *detail = None,
        }
        if detail == 0 {
            cause.labels.clear();
        }
    }
    if detail == 0 {
        alert.links.retain(|name, url| name.len() + url.len() < 300);
        while alert.links.len() > 4 {
            alert.links.pop_last();
        }
    }
    serde_json::to_value(&alert).unwrap_or(Value::Null)
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("url", &origin(&self.url))
            .field("signed", &self.secret.is_some())
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for Webhook {
    fn kind(&self) -> &str {
        "webhook"
    }

    fn limits(&self) -> ChannelLimits {
        self.limits
    }

    async fn send(&self, message: &Message) -> Result<Receipt> {
        let send = async {
            let (id, at) = (message.id.to_string(), Timestamp::now().as_second());
            let body = body(message);
            let headers = self.headers(&id, at, &body)?;
            self.http
                .post(self.limits.timeout, |client| client.post(self.url.clone()).headers(headers).body(body))
                .await
        };
        send.await.map_err(|error| error.with_operation("webhook.send").with_context("host", origin(&self.url)))?;
        Ok(Receipt::default())
    }
}

#[cfg(test)]
mod tests;
