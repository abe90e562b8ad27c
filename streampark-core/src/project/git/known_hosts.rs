//! Whether an SSH server is the one we know: OpenSSH's `known_hosts` file, as `sshd(8)` describes it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What a `known_hosts` file says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostKey {
    /// It is the key we know.
    Known,
    /// The host is not in the file.
    Unknown,
    /// The host is in the file with keys of other types only.
    OtherTypes(Vec<String>),
    /// The host is in the file with another key of this type.
    Changed,
    /// The key is marked as revoked.
    Revoked,
}

/// Looks `key` up, of the type `key_type` (`ssh-ed25519`), shown by `host` on `port`.
pub(super) fn look_up(file: &str, host: &str, port: u16, key_type: &str, key: &[u8]) -> HostKey {
    let host = host.to_ascii_lowercase();
    let name = if port == 22 { host } else { format!("[{host}]:{port}") };
    let mut others = Vec::new();
    let mut changed = false;
    let mut known = false;
    for line in file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split_whitespace().peekable();
        let marker = words.next_if(|word| word.starts_with('@'));
        let (Some(hosts), Some(kind), Some(encoded)) = (words.next(), words.next(), words.next()) else { continue };
        if !matches(hosts, &name) {
            continue;
        }
        let Ok(blob) = STANDARD.decode(encoded) else { continue };
        match marker {
            Some("@revoked") if blob == key => return HostKey::Revoked,
            Some(_) => continue,
            None if kind != key_type => others.push(kind.to_owned()),
            None if blob == key => known = true,
            None => changed = true,
        }
    }
    match (known, changed) {
        (true, _) => HostKey::Known,
        (false, true) => HostKey::Changed,
        _ if !others.is_empty() => HostKey::OtherTypes(others),
        _ => HostKey::Unknown,
    }
}

/// The key's fingerprint as `ssh-keygen -l` prints it.
pub(super) fn fingerprint(key: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(key)))
}

fn matches(patterns: &str, name: &str) -> bool {
    if let Some(hashed) = patterns.strip_prefix("|1|") {
        return matches_hash(hashed, name).unwrap_or(false);
    }
    let mut found = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(refused) if glob(refused.to_ascii_lowercase().as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => found |= glob(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes()),
        }
    }
    found
}

fn matches_hash(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let mut mac = Hmac::<Sha1>::new_from_slice(&STANDARD.decode(salt).ok()?).ok()?;
    mac.update(name.as_bytes());
    Some(mac.verify_slice(&STANDARD.decode(hash).ok()?).is_ok())
}

/// `*` and `?` as in a shell; linear in practice, since host names are short.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => glob(rest, text) || text.split_first().is_some_and(|(_, text)| glob(pattern, text)),
        (Some((b'?', pattern)), Some((_, text))) => glob(pattern, text),
        (Some((a, pattern)), Some((b, text))) if a == b => glob(pattern, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(hosts: &str, key: &[u8]) -> String {
        format!("{hosts} ssh-ed25519 {}\n", STANDARD.encode(key))
    }

    #[test]
    fn each_answer_is_told_apart() {
        let file = line("git.example,10.0.0.1", b"right") + &line("[git.example]:2222", b"other");
        let ask = |host, port, kind, key: &[u8]| look_up(&file, host, port, kind, key);
        assert_eq!(ask("git.example", 22, "ssh-ed25519", b"right"), HostKey::Known);
        assert_eq!(ask("GIT.example", 22, "ssh-ed25519", b"right"), HostKey::Known);
        assert_eq!(ask("git.example", 22, "ssh-ed25519", b"wrong"), HostKey::Changed);
        assert_eq!(ask("git.example", 2222, "ssh-ed25519", b"right"), HostKey::Changed);
        assert_eq!(ask("git.example", 22, "ssh-rsa", b"right"), HostKey::OtherTypes(vec!["ssh-ed25519".into()]));
        assert_eq!(ask("elsewhere", 22, "ssh-ed25519", b"right"), HostKey::Unknown);
    }

    #[test]
    fn markers_patterns_and_hashes_count() {
        let revoked = format!("@revoked * ssh-ed25519 {}\n", STANDARD.encode(b"bad"));
        assert_eq!(look_up(&revoked, "h", 22, "ssh-ed25519", b"bad"), HostKey::Revoked);
        let file = line("*.example,!evil.example", b"k");
        assert_eq!(look_up(&file, "git.example", 22, "ssh-ed25519", b"k"), HostKey::Known);
        assert_eq!(look_up(&file, "evil.example", 22, "ssh-ed25519", b"k"), HostKey::Unknown);

        let mut mac = Hmac::<Sha1>::new_from_slice(b"salt").unwrap();
        mac.update(b"[h]:2222");
        let hash = STANDARD.encode(mac.finalize().into_bytes());
        let file = line(&format!("|1|{}|{hash}", STANDARD.encode(b"salt")), b"k");
        assert_eq!(look_up(&file, "h", 2222, "ssh-ed25519", b"k"), HostKey::Known);
        assert_eq!(look_up(&file, "h", 22, "ssh-ed25519", b"k"), HostKey::Unknown);
    }
}
