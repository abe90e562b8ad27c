//! Keys, and what they encrypt: AES with HMAC-SHA1 (RFC 3962), the types that every KDC gives.

use std::fmt;

use picky_krb::crypto::{ChecksumSuite, CipherSuite};
use streampark_core::{Error, ErrorKind, Result};

/// `aes256-cts-hmac-sha1-96` and `aes128-cts-hmac-sha1-96`, the better one first (RFC 3961, section 8).
pub(super) const TYPES: [i64; 2] = [18, 17];

/// What a key is used for (RFC 4120, section 7.5.1).
pub(super) mod usage {
    pub(crate) const AS_REQ_TIMESTAMP: i32 = 1;
    pub(crate) const AS_REP: i32 = 3;
    pub(crate) const TGS_REQ_CHECKSUM: i32 = 6;
    pub(crate) const TGS_REQ_AUTHENTICATOR: i32 = 7;
    pub(crate) const TGS_REP: i32 = 8;
    pub(crate) const AP_REQ_AUTHENTICATOR: i32 = 11;
}

/// A key of one of the two types.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) kind: i64,
    bytes: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Key {
    /// None where the type is none of ours, or the length is not that of the type.
    pub(super) fn new(kind: i64, bytes: &[u8]) -> Option<Self> {
        let length = match kind {
            18 => 32,
            17 => 16,
            _ => return None,
        };
        (bytes.len() == length).then(|| Self { kind, bytes: bytes.to_vec() })
    }

    fn suite(&self) -> CipherSuite {
        if self.kind == 18 { CipherSuite::Aes256CtsHmacSha196 } else { CipherSuite::Aes128CtsHmacSha196 }
    }

    pub(super) fn encrypt(&self, usage: i32, plain: &[u8]) -> Result<Vec<u8>> {
        self.suite().cipher().encrypt(&self.bytes, usage, plain).map_err(failed)
    }

    pub(super) fn decrypt(&self, usage: i32, sealed: &[u8]) -> Result<Vec<u8>> {
        self.suite().cipher().decrypt(&self.bytes, usage, sealed).map_err(failed)
    }

    /// The checksum's type and the checksum.
    pub(super) fn checksum(&self, usage: i32, text: &[u8]) -> Result<(i64, Vec<u8>)> {
        let (kind, suite) =
            if self.kind == 18 { (16, ChecksumSuite::HmacSha196Aes256) } else { (15, ChecksumSuite::HmacSha196Aes128) };
        Ok((kind, suite.hasher().checksum(&self.bytes, usage, text).map_err(failed)?))
    }
}

fn failed(source: picky_krb::crypto::KerberosCryptoError) -> Error {
    Error::new(ErrorKind::Unauthenticated, "a Kerberos message does not fit its key").with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_and_never_printed() {
        for (kind, length) in [(18, 32), (17, 16)] {
            let key = Key::new(kind, &vec![7; length]).unwrap();
            let sealed = key.encrypt(usage::AP_REQ_AUTHENTICATOR, b"who we are").unwrap();
            assert_eq!(key.decrypt(usage::AP_REQ_AUTHENTICATOR, &sealed).unwrap(), b"who we are");
            let error = key.decrypt(usage::TGS_REP, &sealed).unwrap_err();
            assert_eq!(error.message(), "a Kerberos message does not fit its key");
            assert_eq!(format!("{key:?}"), format!("Key {{ kind: {kind}, .. }}"));
        }
        assert!(Key::new(18, &[0; 16]).is_none() && Key::new(23, &[0; 16]).is_none());
    }
}
