//! Delegation tokens: what a container shows to HDFS in place of a ticket.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use streampark_core::{Error, ErrorKind, Result, Secret};

use crate::ground::{Ground, Yarn};

/// What containers look for (`DelegationTokenIdentifier.HDFS_DELEGATION_KIND`).
const HDFS: &[u8] = b"HDFS_DELEGATION_TOKEN";

/// What WebHDFS calls the same token (`WebHdfsConstants`).
const WEB: [&[u8]; 2] = [b"WEBHDFS delegation", b"SWEBHDFS delegation"];

/// The service of a pair of NameNodes (`HAUtilClient.buildTokenServiceForLogicalUri`).
const PAIR: &str = "ha-hdfs:";

/// The tokens of one application.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// By alias, as the application gets them.
    pub(crate) given: Vec<(String, Secret)>,
    /// What the file system gave; it can be cancelled there.
    own: Option<Secret>,
}

impl Yarn {
    /// New tokens for one application, where the cluster is secure. YARN renews them while the application lives and
    /// cancels them at its end, so that no two applications can share one.
    pub(crate) async fn application_tokens(&self, ground: &Ground) -> Result<Tokens> {
        if !ground.secure {
            return Ok(Tokens::default());
        }
        let told = |error: Error| error.with_operation("yarn.tokens");
        let renewer = self.renewer().await?;
        if let Some(given) = self.http.authenticator.application_tokens(&renewer).await.map_err(told)? {
            return Ok(Tokens { given, own: None });
        }
        let Some(own) = ground.fs.delegation_token(&renewer).await.map_err(told)? else {
            return Ok(Tokens::default());
        };
        let given = for_containers(&own, self.name_service(ground)).map_err(told)?;
        Ok(Tokens { given: vec![given], own: Some(own) })
    }

    /// Cancels tokens that no application got.
    pub(crate) async fn give_back(&self, tokens: &Tokens, ground: &Ground) {
        let Some(own) = &tokens.own else { return };
        if let Err(error) = ground.fs.cancel_token(own).await {
            tracing::warn!(error = %error.chain(), "a delegation token could not be cancelled; it ends by itself");
        }
    }

    /// The ResourceManager's principal: it renews the tokens.
    async fn renewer(&self) -> Result<String> {
        let key = "yarn.resourcemanager.principal";
        let named = match self.hadoop_property(key) {
            Some(named) => Some(named),
            None => self.rm.property(key).await?,
        };
        let base = self.rm.base();
        let host = base.host_str().unwrap_or_default().to_ascii_lowercase();
        Ok(named.map_or_else(|| "yarn".to_owned(), |named| named.replace("_HOST", &host)))
    }

    /// The name of a pair of NameNodes; None for a single one.
    fn name_service<'a>(&self, ground: &'a Ground) -> Option<&'a str> {
        let authority = ground.default_fs.strip_prefix("hdfs://").filter(|authority| !authority.contains(':'))?;
        let pair = self.hadoop_property(&format!("dfs.ha.namenodes.{authority}")).is_some();
        (pair || self.options.web_hdfs.len() > 1).then_some(authority)
    }
}

/// Turns a token of WebHDFS into the one that containers take, which is the same but for its kind; gives its alias and
/// its text.
fn for_containers(token: &Secret, name_service: Option<&str>) -> Result<(String, Secret)> {
    let wrong = || Error::new(ErrorKind::UnexpectedResponse, "the NameNode's delegation token cannot be read");
    let text = token.expose().trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD.decode(text).or_else(|_| URL_SAFE.decode(token.expose())).map_err(|_| wrong())?;
    let mut rest = bytes.as_slice();
    let mut part = || -> Option<&[u8]> {
        let length = usize::try_from(take_number(&mut rest)?).ok()?;
        let (part, after) = (rest.get(..length)?, rest.get(length..)?);
        rest = after;
        Some(part)
    };
    let (identifier, password) = (part().ok_or_else(wrong)?, part().ok_or_else(wrong)?);
    let (kind, service) = (part().ok_or_else(wrong)?, part().ok_or_else(wrong)?);
    if kind != HDFS && !WEB.contains(&kind) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the file system gives tokens of the kind '{}', which containers cannot use; give the NameNodes' own \
                 addresses by web_hdfs, not an HttpFS server's",
                String::from_utf8_lossy(kind).escape_debug()
            ),
        ));
    }
    let service = match name_service {
        Some(name) => format!("{PAIR}{name}").into_bytes(),
        None => service.to_vec(),
    };
    let mut whole = Vec::with_capacity(bytes.len() + 16);
    for part in [identifier, password, HDFS, &service] {
        put_number(&mut whole, i64::try_from(part.len()).unwrap_or_default());
        whole.extend_from_slice(part);
    }
    let alias = String::from_utf8_lossy(&service).into_owned();
    Ok((alias, Secret::new(URL_SAFE_NO_PAD.encode(whole))))
}

/// `WritableUtils.readVInt`.
fn take_number(bytes: &mut &[u8]) -> Option<i64> {
    let (first, rest) = bytes.split_first()?;
    let first = i64::from(i8::from_be_bytes([*first]));
    if first >= -112 {
        *bytes = rest;
        return Some(first);
    }
    let negative = first < -120;
    let count = usize::try_from(if negative { -120 - first } else { -112 - first }).ok()?;
    let digits = rest.get(..count)?;
    *bytes = rest.get(count..)?;
    let value = digits.iter().fold(0_i64, |value, digit| (value << 8) | i64::from(*digit));
    Some(if negative { !value } else { value })
}

/// `WritableUtils.writeVInt`, for what is not negative.
fn put_number(bytes: &mut Vec<u8>, value: i64) {
    if value <= 127 {
        bytes.push(u8::try_from(value).unwrap_or_default());
        return;
    }
    let digits = value.to_be_bytes();
    let skipped = digits.iter().take_while(|digit| **digit == 0).count();
    let digits = digits.get(skipped..).unwrap_or_default();
    bytes.push(0x90_u8.wrapping_sub(u8::try_from(digits.len()).unwrap_or_default()));
    bytes.extend_from_slice(digits);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As a NameNode 3.4.2 gave it to alice: for 127.0.0.1:49335, to be renewed by yarn.
    const GIVEN: &str = "HQAFYWxpY2UEeWFybgCKAaIkCoLGigGiSBcGxgECFD144p4JMITd0ZHcoexIkIk38k9oE1NXRUJIREZTIGRlbGVnYXRpb24\
                         PMTI3LjAuMC4xOjQ5MzM1";

    #[test]
    fn a_token_of_the_web_becomes_one_of_hdfs() {
        let given = Secret::new(GIVEN.replace(' ', ""));
        let (alias, token) = for_containers(&given, None).unwrap();
        assert_eq!(alias, "127.0.0.1:49335");
        let (before, after) =
            (URL_SAFE_NO_PAD.decode(given.expose()).unwrap(), URL_SAFE_NO_PAD.decode(token.expose()).unwrap());
        let same = before.len() - "\u{13}SWEBHDFS delegation\u{f}127.0.0.1:49335".len();
        assert_eq!(before[..same], after[..same]);
        assert_eq!(&after[same..], b"\x15HDFS_DELEGATION_TOKEN\x0f127.0.0.1:49335");
        let (alias, token) = for_containers(&given, Some("prod")).unwrap();
        assert_eq!(alias, "ha-hdfs:prod");
        assert!(
            URL_SAFE_NO_PAD.decode(token.expose()).unwrap().ends_with(b"\x15HDFS_DELEGATION_TOKEN\x0cha-hdfs:prod")
        );
    }

    #[test]
    fn tokens_that_containers_cannot_use_are_refused_by_name() {
        let mut bytes = vec![0, 0];
        for part in [&b"HTTPFS delegation"[..], b"h:14000"] {
            put_number(&mut bytes, i64::try_from(part.len()).unwrap());
            bytes.extend_from_slice(part);
        }
        let error = for_containers(&Secret::new(URL_SAFE_NO_PAD.encode(bytes)), None).unwrap_err();
        assert_eq!(
            error.message(),
            "the file system gives tokens of the kind 'HTTPFS delegation', which containers cannot use; give the NameNodes' \
             own addresses by web_hdfs, not an HttpFS server's"
        );
        assert_eq!(
            for_containers(&Secret::new("%"), None).unwrap_err().message(),
            "the NameNode's delegation token cannot be read"
        );
    }

    #[test]
    fn numbers_as_hadoop_writes_them() {
        let mut bytes = Vec::new();
        for (value, expected) in
            [(127, &[127][..]), (128, &[0x8F, 128]), (300, &[0x8E, 1, 44]), (70_000, &[0x8D, 1, 17, 112])]
        {
            bytes.clear();
            put_number(&mut bytes, value);
            assert_eq!(bytes, expected, "{value}");
        }
        assert_eq!(take_number(&mut &[0x87_u8, 0][..]), Some(-1));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in 0_i64..i64::MAX) {
            let mut bytes = Vec::new();
            put_number(&mut bytes, value);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_number(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn no_text_makes_it_panic(text in "[A-Za-z0-9_-]{0,60}") {
            let _ = for_containers(&Secret::new(text), None);
        }
    }
}
