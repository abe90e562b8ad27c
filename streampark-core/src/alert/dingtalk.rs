//! A custom robot of a DingTalk group.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;
use url::Url;

use super::alert::Severity;
use super::channel::{Channel, ChannelLimits, Message, Receipt};
use super::http::{Http, address, origin};
use super::render::{Text, clean};
use crate::{Error, ErrorKind, ErrorStatus, REDACTED, Result, Secret};

/// Bytes of a body: DingTalk takes 20,000.
const BODY: usize = 19_500;

/// Says alerts through a custom robot of a DingTalk group, in markdown.
///
/// A robot bears 20 messages a minute and is muted for ten minutes beyond; the dispatcher keeps to
/// nine tenths of that and merges what comes faster. Robots protected by a keyword instead of a
/// signature need that word in the text: set it with [`keyword`](Self::keyword).
#[derive(Clone)]
pub struct DingTalk {
    token: Secret,
    secret: Option<Secret>,
    keyword: Option<String>,
    mention: Vec<String>,
    base: Option<Url>,
    limits: ChannelLimits,
    http: Http,
}

impl DingTalk {
    /// The robot with this `access_token` and signing secret (`SEC…`). Both may name a place that
    /// holds them (`env:NAME`, `file:/path`).
    pub fn new(token: impl Into<Secret>, secret: impl Into<Secret>) -> Self {
        Self { secret: Some(secret.into()), ..Self::unsigned(token) }
    }

    /// A robot without a signing secret: protected by a keyword or by a list of addresses.
    pub fn unsigned(token: impl Into<Secret>) -> Self {
        let limits = ChannelLimits { per_minute: Some(20), ..ChannelLimits::default() };
        Self {
            token: token.into(),
            secret: None,
            keyword: None,
            mention: Vec::new(),
            base: None,
            limits,
            http: Http::default(),
        }
    }

    /// A word that the robot demands in every message.
    #[must_use]
    pub fn keyword(mut self, keyword: impl Into<String>) -> Self {
        self.keyword = Some(keyword.into());
        self
    }

    /// Members, by mobile number, who are called by name where a message is an error or worse.
    #[must_use]
    pub fn mention<I: IntoIterator<Item = M>, M: Into<String>>(mut self, mobiles: I) -> Self {
        let digits = |mobile: String| mobile.chars().filter(|c| c.is_ascii_digit() || matches!(c, '+' | '-')).collect();
        self.mention = mobiles.into_iter().map(|mobile| digits(mobile.into())).collect();
        self
    }

    /// Where the robots are, for private installations. Default `https://oapi.dingtalk.com/`.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for anything else than an `http` or `https` address.
    pub fn base_url(mut self, url: impl AsRef<str>) -> Result<Self> {
        self.base = Some(address(url.as_ref())?);
        Ok(self)
    }

    /// Sets how long one attempt may take. Default 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Trusts the certificates (PEM) of an own authority, beside the machine's.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) where there is no certificate in it.
    pub fn ca_certificate(mut self, pem: impl AsRef<[u8]>) -> Result<Self> {
        self.http.trust(pem.as_ref())?;
        Ok(self)
    }

    /// Goes through an HTTP proxy; the environment's is never taken.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for anything else than an `http` or `https` address.
    pub fn proxy(mut self, url: impl AsRef<str>) -> Result<Self> {
        self.http.through(address(url.as_ref())?);
        Ok(self)
    }

    fn base(&self) -> Result<Url> {
        self.base.clone().map_or_else(|| address("https://oapi.dingtalk.com/"), Ok)
    }

    /// The body, with as many jobs named as fit; the others are counted.
    fn body(&self, message: &Message) -> serde_json::Value {
        let sizes = [60, 30, 15, 5];
        let fitting = sizes.iter().map(|&names| self.body_naming(message, names));
        fitting.into_iter().find(|body| body.to_string().len() < BODY).unwrap_or_else(|| self.body_naming(message, 0))
    }

    fn body_naming(&self, message: &Message, names: usize) -> serde_json::Value {
        let text = Text::of(message, names);
        let mut markdown = text.markdown(escape);
        if let Some(keyword) = &self.keyword {
            markdown = format!("{markdown}\n\n{keyword}");
        }
        let mention: &[String] = if text.severity >= Severity::Error { &self.mention } else { &[] };
        for mobile in mention {
            markdown.push_str(&format!(" @{mobile}"));
        }
        json!({
            "msgtype": "markdown",
            "markdown": {"title": clean(&text.title, 100).replace('@', "＠"), "text": markdown},
            "at": {"atMobiles": mention, "isAtAll": false},
        })
    }
}

/// Neither markup nor a mention: marks are escaped, and an at sign becomes its full-width twin,
/// which DingTalk does not read as a mention.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '@' => escaped.push('＠'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '~' | '|' | '!' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The base64 of HMAC-SHA256 over `timestamp`, a line end and the secret, with the secret as key.
fn sign(secret: &str, millis: i64) -> Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map_err(|_| Error::invalid("the secret of a DingTalk robot cannot be used as a key"))?;
    mac.update(format!("{millis}\n{secret}").as_bytes());
    Ok(STANDARD.encode(mac.finalize().into_bytes()))
}

#[derive(Deserialize)]
struct Said {
    errcode: i64,
    #[serde(default)]
    errmsg: String,
}

/// What a code other than 0 means (DingTalk's table of robot errors).
fn refusal(said: &Said, attempt: u32) -> Error {
    let (kind, status, hint) = match said.errcode {
        130_101 | 410_100 => (ErrorKind::Remote, ErrorStatus::Temporary, "the robot was asked too often"),
        310_000 => (
            ErrorKind::Unauthenticated,
            ErrorStatus::Permanent,
            "the robot refuses the message: check its secret, its keyword, its address list and this machine's clock",
        ),
        300_001 | 400_101 | 400_106 => {
            (ErrorKind::Unauthenticated, ErrorStatus::Permanent, "there is no robot with this token")
        }
        400_013 => (ErrorKind::NotFound, ErrorStatus::Permanent, "the group of the robot is gone"),
        400_102 => (ErrorKind::PermissionDenied, ErrorStatus::Permanent, "the robot is switched off"),
        40_035 | 43_004 | 400_105 | 430_101..=430_104 => {
            (ErrorKind::InvalidInput, ErrorStatus::Permanent, "the robot refuses what the message holds")
        }
        _ => (ErrorKind::Remote, ErrorStatus::Temporary, "the robot did not take the message"),
    };
    let error = Error::new(kind, hint).with_status(status).with_context("errcode", said.errcode);
    if matches!(said.errcode, 130_101 | 410_100) {
        // The robot is mute for ten minutes: 1, 2, 4 and 8 minutes reach beyond them.
        let seconds = 60_u64 << attempt.saturating_sub(1).min(4);
        return error.with_context("retry_after", seconds);
    }
    error
}

impl std::fmt::Debug for DingTalk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DingTalk")
            .field("signed", &self.secret.is_some())
            .field("base", &self.base.as_ref().map(origin))
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for DingTalk {
    fn kind(&self) -> &str {
        "dingtalk"
    }

    fn limits(&self) -> ChannelLimits {
        self.limits
    }

    async fn send(&self, message: &Message) -> Result<Receipt> {
        let send = async {
            let base = self.base()?;
            let mut url = base.join("robot/send").map_err(|_| Error::invalid("the base address cannot be extended"))?;
            let token = self.token.resolve()?;
            url.query_pairs_mut().append_pair("access_token", token.expose());
            let mut hidden = vec![token];
            if let Some(secret) = &self.secret {
                let secret = secret.resolve()?;
                let millis = Timestamp::now().as_millisecond();
                let signature = sign(secret.expose(), millis)?;
                url.query_pairs_mut().append_pair("timestamp", &millis.to_string()).append_pair("sign", &signature);
                hidden.push(secret);
            }
            let body = self.body(message);
            let answer = self.http.post(self.limits.timeout, |client| client.post(url).json(&body)).await?;
            let said: Said = serde_json::from_slice(&answer.body).map_err(|_| {
                Error::new(
                    ErrorKind::UnexpectedResponse,
                    "the answer is not what a DingTalk robot says; is the address right?",
                )
            })?;
            if said.errcode == 0 {
                return Ok(());
            }
            let mut words = clean(&said.errmsg, 200);
            for secret in hidden.iter().filter(|secret| !secret.expose().is_empty()) {
                words = words.replace(secret.expose(), REDACTED);
            }
            Err(refusal(&said, message.attempt).with_context("errmsg", words))
        };
        let host = self.base().map(|base| origin(&base)).unwrap_or_default();
        send.await.map_err(|error| error.with_operation("dingtalk.send").with_context("host", host))?;
        Ok(Receipt::default())
    }
}

#[cfg(test)]
mod tests;
