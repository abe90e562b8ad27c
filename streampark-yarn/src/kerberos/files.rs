//! Keytabs and credential caches, as MIT's and Heimdal's tools write them.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use streampark_core::{Error, ErrorKind, Result};

use super::credential::Credential;
use super::keys::{Key, TYPES};
use super::principal::Principal;

/// Reads big-endian numbers and counted bytes.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = (self.0.get(..count)?, self.0.get(count..)?);
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<u32> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
    }

    fn signed(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Bytes after their count, which has two or four bytes.
    fn counted(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let count = usize::try_from(self.number(bytes)?).ok()?;
        self.take(count)
    }

    fn text(&mut self, bytes: usize) -> Option<String> {
        Some(String::from_utf8_lossy(self.counted(bytes)?).into_owned())
    }

    fn time(&mut self) -> Option<i64> {
        self.number(4).map(i64::from)
    }
}

fn read(path: &Path, what: &str, remedy: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| {
        let kind = match source.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            _ => ErrorKind::Io,
        };
        Error::new(kind, format!("the {what} cannot be read; {remedy}"))
            .with_context("file", path.display())
            .with_source(source)
    })
}

/// The keys of a principal in a keytab: of the newest version, the best type first.
pub(super) fn keys_of(path: &Path, principal: &Principal) -> Result<Vec<Key>> {
    let bytes = read(path, "keytab", "check its path and its rights")?;
    let wrong = || Error::invalid("the file is no keytab of version 2").with_context("file", path.display());
    let mut input = Input(&bytes);
    if input.number(2) != Some(0x0502) {
        return Err(wrong());
    }
    let (mut keys, mut others): (Vec<(u32, Key)>, Vec<Principal>) = (Vec::new(), Vec::new());
    let mut unusable = false;
    while let Some(length) = input.signed() {
        let entry = input.take(usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX)).ok_or_else(wrong)?;
        if length <= 0 {
            continue;
        }
        let (owner, version, kind, key) = entry_of(entry).ok_or_else(wrong)?;
        if owner == *principal {
            match Key::new(i64::from(kind), key) {
                Some(key) => keys.push((version, key)),
                None => unusable = true,
            }
        } else if !others.contains(&owner) {
            others.push(owner);
        }
    }
    let newest = keys.iter().map(|(version, _)| *version).max();
    let mut keys: Vec<Key> =
        keys.into_iter().filter(|(version, _)| Some(*version) == newest).map(|(_, key)| key).collect();
    keys.sort_by_key(|key| TYPES.iter().position(|kind| *kind == key.kind));
    if !keys.is_empty() {
        return Ok(keys);
    }
    let message = if unusable {
        format!(
            "the keytab has keys of {principal}, but none of aes256-cts-hmac-sha1-96 or aes128-cts-hmac-sha1-96; export \
             one of these"
        )
    } else {
        let others: Vec<String> = others.iter().take(5).map(Principal::to_string).collect();
        let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
        format!("the keytab has no key of {principal}; it has {others}")
    };
    Err(Error::new(ErrorKind::InvalidInput, message).with_context("file", path.display()))
}

fn entry_of(entry: &[u8]) -> Option<(Principal, u32, u32, &[u8])> {
    let mut input = Input(entry);
    let count = input.number(2)?;
    let realm = input.text(2)?;
    let parts = (0..count).map(|_| input.text(2)).collect::<Option<Vec<_>>>()?;
    let (_name_type, _written) = (input.number(4)?, input.number(4)?);
    let short_version = input.number(1)?;
    let kind = input.number(2)?;
    let key = input.counted(2)?;
    // Versions above 255 follow at the end.
    let version = input.number(4).filter(|version| *version != 0).unwrap_or(short_version);
    Some((Principal { parts, realm }, version, kind, key))
}

/// What a credential cache holds for us.
#[derive(Debug)]
pub(super) struct Cache {
    pub(super) owner: Principal,
    /// The ticket of the owner's own realm that lives longest; None where its key is none of our types.
    pub(super) granting: Option<Credential>,
    /// The type of its key, where that is none of ours.
    pub(super) unusable: Option<u32>,
}

/// Reads a credential cache (versions 3 and 4 of MIT's file format).
pub(super) fn cache_of(path: &Path) -> Result<Cache> {
    let bytes = read(path, "Kerberos credential cache", "get a ticket by kinit, or give a keytab")?;
    parse_cache(&bytes).ok_or_else(|| {
        Error::invalid("the file is no Kerberos credential cache of version 3 or 4")
            .with_context("file", path.display())
    })
}

fn parse_cache(bytes: &[u8]) -> Option<Cache> {
    let mut input = Input(bytes);
    let version = input.number(2)?;
    match version {
        0x0504 => drop(input.counted(2)?),
        0x0503 => {}
        _ => return None,
    }
    let owner = principal_in(&mut input)?;
    let own = Principal::granting(&owner.realm, &owner.realm);
    let mut cache = Cache { owner, granting: None, unusable: None };
    while !input.0.is_empty() {
        let (_client, server) = (principal_in(&mut input)?, principal_in(&mut input)?);
        let kind = input.number(2)?;
        if version == 0x0503 {
            input.number(2)?;
        }
        let key = input.counted(4)?;
        let (auth, start, end, renew_till) = (input.time()?, input.time()?, input.time()?, input.time()?);
        let (_second, flags) = (input.number(1)?, input.number(4)?);
        for _ in 0..2 {
            // Addresses, then authorization data.
            for _ in 0..input.number(4)? {
                input.number(2)?;
                input.counted(4)?;
            }
        }
        let (ticket, _second) = (input.counted(4)?, input.counted(4)?);
        if server != own || ticket.is_empty() {
            continue;
        }
        let Some(key) = Key::new(i64::from(kind), key) else {
            cache.unusable = Some(kind);
            continue;
        };
        let renewable = flags & 0x0080_0000 != 0;
        let found = Credential {
            server,
            ticket: Bytes::copy_from_slice(ticket),
            key,
            start: if start == 0 { auth } else { start },
            end,
            renew_till: (renewable && renew_till > 0).then_some(renew_till),
        };
        if cache.granting.as_ref().is_none_or(|best| best.end < found.end) {
            cache.granting = Some(found);
        }
    }
    Some(cache)
}

fn principal_in(input: &mut Input<'_>) -> Option<Principal> {
    let (_kind, count) = (input.number(4)?, input.number(4)?);
    let realm = input.text(4)?;
    let parts = (0..count).map(|_| input.text(4)).collect::<Option<Vec<_>>>()?;
    Some(Principal { parts, realm })
}

/// The file that a cache's name means: `FILE:/path`, a bare path, or `DIR:/folder` with its primary cache.
pub(super) fn cache_file(name: &str, user_id: &str) -> Result<PathBuf> {
    let name =
        ["%{uid}", "%{euid}", "%{USERID}"].iter().fold(name.to_owned(), |name, word| name.replace(word, user_id));
    match name.split_once(':') {
        Some(("FILE", path)) => Ok(PathBuf::from(path)),
        Some(("DIR", folder)) => {
            if let Some(file) = folder.strip_prefix(':') {
                return Ok(PathBuf::from(file));
            }
            let primary = std::fs::read_to_string(Path::new(folder).join("primary"));
            let primary = primary.ok().and_then(|text| text.lines().next().map(str::to_owned));
            Ok(Path::new(folder).join(primary.unwrap_or_else(|| "tkt".to_owned())))
        }
        Some((kind, _)) if !kind.contains('/') => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the Kerberos credential cache '{name}' is of the kind {kind}, which only the system's own library \
                 reads; run kinit -c FILE:/path and give that file by kerberos.ccache, or give a keytab"
            ),
        )),
        _ => Ok(PathBuf::from(name)),
    }
}

#[cfg(test)]
pub(super) mod tests;
