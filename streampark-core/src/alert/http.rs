//! What channels over HTTP share: the client, and what an answer means.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Certificate, Client, RequestBuilder, StatusCode, redirect};

use crate::{Error, ErrorKind, ErrorStatus, Result};

/// Bytes of an answer that are read at most.
const ANSWER: usize = 16 * 1024;

/// How a channel reaches the other side. No redirect is followed and no proxy taken from the
/// environment: a message goes where its owner said, and nowhere else.
#[derive(Debug, Clone, Default)]
pub(super) struct Http {
    ca: Option<Vec<u8>>,
    proxy: Option<url::Url>,
    client: OnceLock<Client>,
}

/// An answer with a status of success.
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
}

impl Http {
    /// Trusts the PEM certificates of an own authority, beside the machine's.
    pub(super) fn trust(&mut self, pem: &[u8]) -> Result<()> {
        let parsed = Certificate::from_pem_bundle(pem).ok().filter(|parsed| !parsed.is_empty());
        if parsed.is_none() {
            return Err(Error::invalid(
                "the certificate authority holds no PEM certificate; it begins with '-----BEGIN CERTIFICATE-----'",
            ));
        }
        (self.ca, self.client) = (Some(pem.to_vec()), OnceLock::new());
        Ok(())
    }

    /// Goes through an HTTP proxy.
    pub(super) fn through(&mut self, proxy: url::Url) {
        (self.proxy, self.client) = (Some(proxy), OnceLock::new());
    }

    fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let broken = |source: reqwest::Error| {
            Error::invalid("the HTTP client cannot be made with these certificates or this proxy")
                .with_source(source.without_url())
        };
        let mut builder = Client::builder()
            .user_agent(concat!("streampark-sdk/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(5))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(1)
            .no_proxy();
        if let Some(pem) = &self.ca {
            builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem).map_err(broken)?);
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(broken)?);
        }
        let client = builder.build().map_err(broken)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Posts what `request` makes, within `timeout`, and reads the answer. Errors name no address.
    pub(super) async fn post(
        &self,
        timeout: Duration,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<Answer> {
        let sent = request(self.client()?).timeout(timeout).send().await.map_err(|error| transport(error, timeout))?;
        let status = sent.status();
        let retry_after = sent.headers().get("retry-after").and_then(|value| value.to_str().ok()).and_then(wait);
        let body = match read(sent).await {
            Ok(body) => body,
            Err(_) if !status.is_success() => Vec::new(),
            Err(error) => return Err(transport(error, timeout).with_status(ErrorStatus::Unknown)),
        };
        if status.is_success() {
            return Ok(Answer { body });
        }
        let error = refusal(status).with_context("answer", super::render::clean(&String::from_utf8_lossy(&body), 200));
        Err(match retry_after {
            Some(seconds) => error.with_context("retry_after", seconds),
            None => error,
        })
    }
}

async fn read(mut answer: reqwest::Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        let room = ANSWER - body.len();
        body.extend(piece.iter().take(room));
        if body.len() == ANSWER {
            break;
        }
    }
    Ok(body)
}

fn refusal(status: StatusCode) -> Error {
    let name = status.canonical_reason().unwrap_or("unknown status");
    let say = |hint: &str| format!("the other side answered HTTP {} {name}{hint}", status.as_u16());
    match status.as_u16() {
        300..=399 => Error::invalid(say("; redirects are not followed: give the final address")),
        401 => Error::new(ErrorKind::Unauthenticated, say("; check the secret or the headers")),
        403 => Error::new(ErrorKind::PermissionDenied, say("")),
        404 | 410 => Error::not_found(say("; check the address")),
        408 | 425 | 429 => Error::new(ErrorKind::Remote, say("")).with_status(ErrorStatus::Temporary),
        400..=499 => Error::invalid(say("")),
        _ => Error::new(ErrorKind::Remote, say("")).with_status(ErrorStatus::Temporary),
    }
}

fn transport(error: reqwest::Error, limit: Duration) -> Error {
    // An address may hold a token: it never enters an error.
    let error = error.without_url();
    let answer = if error.is_builder() {
        Error::invalid("the request cannot be made; check the address and the headers")
    } else if error.is_connect() {
        let mut text = String::new();
        let mut next = std::error::Error::source(&error);
        while let Some(source) = next {
            text = source.to_string();
            next = source.source();
        }
        let tls = text.contains("certificate") || text.contains("UnknownIssuer");
        let hint = if tls {
            "its certificate is not trusted; name its authority with ca_certificate"
        } else {
            "nobody answers there; check the address"
        };
        Error::new(ErrorKind::Unreachable, hint)
    } else if error.is_timeout() {
        Error::new(ErrorKind::Timeout, format!("the other side did not answer within {limit:?}"))
            .with_status(ErrorStatus::Unknown)
    } else {
        Error::new(ErrorKind::Unreachable, "the connection broke before the answer was whole")
            .with_status(ErrorStatus::Unknown)
    };
    answer.with_source(error)
}

/// Seconds of a `Retry-After`: a number, or a date (RFC 9110, section 10.2.3).
fn wait(value: &str) -> Option<u64> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(seconds);
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(u64::try_from(date.as_second() - Timestamp::now().as_second()).unwrap_or(0))
}

/// Only scheme, host and port of an address: what may be shown where the rest may be a secret.
pub(super) fn origin(url: &url::Url) -> String {
    url.origin().ascii_serialization()
}

/// An `http` or `https` address.
pub(super) fn address(url: &str) -> Result<url::Url> {
    let parsed = url::Url::parse(url).map_err(|source| {
        Error::invalid("the address of a channel is no URL; write it as https://host/path").with_source(source)
    })?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(Error::invalid(format!(
            "a channel speaks http or https, not {}; write its address as https://host/path",
            parsed.scheme()
        )));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_number_or_a_date() {
        assert_eq!(wait(" 120 "), Some(120));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        let later = Timestamp::from_second(Timestamp::now().as_second() + 90).unwrap();
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&later).unwrap();
        assert!((85..=90).contains(&wait(&date).unwrap()), "{date}");
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn an_address_is_checked_at_the_border() {
        let error = address("ftp://host/").unwrap_err();
        assert_eq!(
            error.to_string(),
            "a channel speaks http or https, not ftp; write its address as https://host/path"
        );
        assert!(!address("://s3cret").unwrap_err().chain().contains("s3cret"));
        assert_eq!(origin(&address("https://h:8443/hook/s3cret?k=v").unwrap()), "https://h:8443");
    }
}
