//! Ways to reach people.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::json;
use streampark_core::alert::{Channel as CoreChannel, ChannelLimits, DingTalk, Log, Message, Receipt, Webhook};
use streampark_core::{ErrorKind, Result};

use crate::callback::Callback;
use crate::convert::{Raise as _, duration, parse, text};

/// A way to reach people.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Channel(pub(crate) Arc<dyn CoreChannel>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookArgs {
    url: String,
    secret: Option<String>,
    headers: Vec<(String, String)>,
    per_minute: Option<u32>,
    timeout: f64,
    attempts: u32,
    ca_certificate: Option<String>,
    proxy: Option<String>,
}

impl WebhookArgs {
    fn channel(self) -> Result<Webhook> {
        let mut channel = Webhook::new(self.url)?.timeout(duration(self.timeout)?).attempts(self.attempts);
        if let Some(secret) = self.secret {
            channel = channel.secret(secret);
        }
        for (name, value) in self.headers {
            channel = channel.header(name, value);
        }
        if let Some(messages) = self.per_minute {
            channel = channel.per_minute(messages);
        }
        if let Some(pem) = self.ca_certificate {
            channel = channel.ca_certificate(pem)?;
        }
        match self.proxy {
            Some(proxy) => channel.proxy(proxy),
            None => Ok(channel),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DingTalkArgs {
    token: String,
    secret: Option<String>,
    keyword: Option<String>,
    mention: Vec<String>,
    base_url: Option<String>,
    timeout: f64,
    ca_certificate: Option<String>,
    proxy: Option<String>,
}

impl DingTalkArgs {
    fn channel(self) -> Result<DingTalk> {
        let channel = match self.secret {
            Some(secret) => DingTalk::new(self.token, secret),
            None => DingTalk::unsigned(self.token),
        };
        let mut channel = channel.mention(self.mention).timeout(duration(self.timeout)?);
        if let Some(keyword) = self.keyword {
            channel = channel.keyword(keyword);
        }
        if let Some(base) = self.base_url {
            channel = channel.base_url(base)?;
        }
        if let Some(pem) = self.ca_certificate {
            channel = channel.ca_certificate(pem)?;
        }
        match self.proxy {
            Some(proxy) => channel.proxy(proxy),
            None => Ok(channel),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionArgs {
    kind: String,
    per_minute: Option<u32>,
    timeout: f64,
    attempts: u32,
}

/// A function of the user as a channel.
#[derive(Debug)]
struct FunctionChannel {
    kind: String,
    limits: ChannelLimits,
    send: Callback,
}

#[async_trait]
impl CoreChannel for FunctionChannel {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn limits(&self) -> ChannelLimits {
        self.limits
    }

    async fn send(&self, message: &Message) -> Result<Receipt> {
        let message =
            text(&json!({"id": message.id.to_string(), "attempt": message.attempt, "alerts": message.alerts}))?;
        let mut receipt = Receipt::default();
        receipt.reference = self.send.call(message).await.map_err(|error| error.with_operation("channel.send"))?;
        Ok(receipt)
    }
}

#[pymethods]
impl Channel {
    #[staticmethod]
    fn log() -> Self {
        Self(Arc::new(Log::new()))
    }

    #[staticmethod]
    fn webhook(options: &str) -> PyResult<Self> {
        let args: WebhookArgs = parse(options, "the options of a webhook").or_raise()?;
        Ok(Self(Arc::new(args.channel().or_raise()?)))
    }

    #[staticmethod]
    fn dingtalk(options: &str) -> PyResult<Self> {
        let args: DingTalkArgs = parse(options, "the options of a DingTalk robot").or_raise()?;
        Ok(Self(Arc::new(args.channel().or_raise()?)))
    }

    /// A function that is given each message as JSON, and gives the other side's reference or None.
    #[staticmethod]
    fn function(send: Py<PyAny>, options: &str) -> PyResult<Self> {
        let args: FunctionArgs = parse(options, "the limits of a channel").or_raise()?;
        let mut limits = ChannelLimits::default();
        limits.per_minute = args.per_minute;
        limits.timeout = duration(args.timeout).or_raise()?.max(Duration::from_millis(1));
        limits.attempts = args.attempts.max(1);
        let send = Callback::new(send, ErrorKind::Remote);
        Ok(Self(Arc::new(FunctionChannel { kind: args.kind, limits, send })))
    }

    fn kind(&self) -> String {
        self.0.kind().to_owned()
    }
}
