//! `krb5.conf`: which realm a host is in, and where the KDCs of a realm are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use streampark_core::{Error, ErrorKind, Result};

/// Files may include each other so deep.
const MAX_DEPTH: u32 = 8;

/// What we need of a `krb5.conf`, by the rules of MIT's `krb5.conf(5)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Krb5Conf {
    pub(super) default_realm: Option<String>,
    pub(super) default_ccache: Option<String>,
    kdcs: BTreeMap<String, Vec<String>>,
    /// Hosts, and domains with a dot before them, in lower case.
    realms: BTreeMap<String, String>,
}

impl Krb5Conf {
    pub(super) fn load(path: &Path) -> Result<Self> {
        let mut conf = Self::default();
        conf.read(path, 0)?;
        Ok(conf)
    }

    fn read(&mut self, path: &Path, depth: u32) -> Result<()> {
        let text = std::fs::read_to_string(path).map_err(|source| {
            Error::new(ErrorKind::Io, "krb5.conf cannot be read; give its place by kerberos.krb5_conf")
                .with_context("file", path.display())
                .with_source(source)
        })?;
        self.parse(&text, depth)
    }

    fn parse(&mut self, text: &str, depth: u32) -> Result<()> {
        let mut section = String::new();
        // The names of the open braces: [realms] holds REALM = { … }.
        let mut open: Vec<String> = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(named) = included(line) {
                if depth >= MAX_DEPTH {
                    return Err(Error::invalid("krb5.conf includes itself; take the include out"));
                }
                for file in files(named)? {
                    self.read(&file, depth + 1)?;
                }
                continue;
            }
            if let Some(rest) = line.strip_prefix('[') {
                section = rest.split(']').next().unwrap_or_default().trim().to_ascii_lowercase();
                open.clear();
                continue;
            }
            if line.starts_with('}') {
                open.pop();
                continue;
            }
            let Some((name, value)) = line.split_once('=') else { continue };
            let (name, value) = (name.trim().trim_end_matches('*'), value.trim());
            if value.starts_with('{') {
                if !value.ends_with('}') {
                    open.push(name.to_owned());
                }
                continue;
            }
            self.take(&section, &open, name, value.trim_matches('"'));
        }
        Ok(())
    }

    fn take(&mut self, section: &str, open: &[String], name: &str, value: &str) {
        match (section, open, name) {
            // The first value counts.
            ("libdefaults", [], "default_realm") => {
                self.default_realm.get_or_insert_with(|| value.to_owned());
            }
            ("libdefaults", [], "default_ccache_name") => {
                self.default_ccache.get_or_insert_with(|| value.to_owned());
            }
            ("realms", [realm], "kdc") => {
                let all = self.kdcs.entry(realm.clone()).or_default();
                all.extend(value.split_whitespace().map(str::to_owned));
            }
            ("domain_realm", [], _) => {
                self.realms.entry(name.to_ascii_lowercase()).or_insert_with(|| value.to_owned());
            }
            _ => {}
        }
    }

    /// The realm of a host, where a mapping says so.
    pub(super) fn realm_of(&self, host: &str) -> Option<&str> {
        let host = host.to_ascii_lowercase();
        if let Some(realm) = self.realms.get(&host) {
            return Some(realm);
        }
        let mut rest = host.as_str();
        while let Some(at) = rest.find('.') {
            let domain = rest.get(at..)?;
            let bare = rest.get(at + 1..)?;
            if let Some(realm) = self.realms.get(domain).or_else(|| self.realms.get(bare)) {
                return Some(realm);
            }
            rest = bare;
        }
        None
    }

    /// `host:port` of each KDC of a realm, in the order of the file.
    pub(super) fn kdcs(&self, realm: &str) -> Result<Vec<String>> {
        let named = self.kdcs.get(realm).map(Vec::as_slice).unwrap_or_default();
        // A KDC behind an HTTPS proxy (MS-KKDCP) is none that we can ask.
        let usable: Vec<String> = named.iter().filter(|kdc| !kdc.contains("://")).map(|kdc| address(kdc)).collect();
        if usable.is_empty() {
            return Err(Error::invalid(format!(
                "krb5.conf names no KDC of the realm {realm}; write kdc = host:port below {realm} in [realms] (KDCs are \
                 not looked up in DNS)"
            )));
        }
        Ok(usable)
    }
}

fn included(line: &str) -> Option<(&str, bool)> {
    let (word, rest) = line.split_once(char::is_whitespace)?;
    match word {
        "include" => Some((rest.trim(), false)),
        "includedir" => Some((rest.trim(), true)),
        _ => None,
    }
}

/// A folder gives its files without a suffix, or with `.conf`, in order of their names.
fn files((named, folder): (&str, bool)) -> Result<Vec<PathBuf>> {
    if !folder {
        return Ok(vec![PathBuf::from(named)]);
    }
    let Ok(entries) = std::fs::read_dir(named) else { return Ok(Vec::new()) };
    let plain = |name: &str| {
        !name.starts_with('.')
            && (name.ends_with(".conf") || name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'))
    };
    let mut all: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    all.retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(plain));
    all.sort();
    Ok(all)
}

fn address(kdc: &str) -> String {
    let kdc = kdc.strip_prefix("tcp/").or_else(|| kdc.strip_prefix("udp/")).unwrap_or(kdc);
    match kdc.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']')) => {
            kdc.to_owned()
        }
        _ if kdc.contains(':') && !kdc.starts_with('[') => format!("[{kdc}]:88"),
        _ => format!("{kdc}:88"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realms_hosts_and_kdcs() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("more.conf"), "[realms]\n OTHER.ORG = {\n  kdc = kdc.other.org\n }\n")
            .unwrap();
        std::fs::write(folder.path().join("left.out.bak"), "[libdefaults]\n default_realm = WRONG\n").unwrap();
        let text = format!(
            "includedir {}\n# a comment\n[libdefaults]\n  default_realm = EXAMPLE.ORG\n  default_ccache_name = FILE:/tmp/x\n\
             [realms]\n EXAMPLE.ORG = {{\n  kdc = one:1088\n  kdc = tcp/two\n  kdc = https://proxy/KdcProxy\n  \
             auth_to_local = {{\n   x = y\n  }}\n  admin_server = one\n }}\n[domain_realm]\n .example.org = EXAMPLE.ORG\n \
             odd.example.org = OTHER.ORG\n",
            folder.path().display()
        );
        let file = folder.path().join("krb5.conf.d-less");
        std::fs::write(&file, text).unwrap();
        let conf = Krb5Conf::load(&file).unwrap();
        assert_eq!(conf.default_realm.as_deref(), Some("EXAMPLE.ORG"));
        assert_eq!(conf.default_ccache.as_deref(), Some("FILE:/tmp/x"));
        assert_eq!(conf.kdcs("EXAMPLE.ORG").unwrap(), ["one:1088", "two:88"]);
        assert_eq!(conf.kdcs("OTHER.ORG").unwrap(), ["kdc.other.org:88"]);
        assert_eq!(conf.realm_of("RM.Sub.Example.org"), Some("EXAMPLE.ORG"));
        assert_eq!(conf.realm_of("odd.example.org"), Some("OTHER.ORG"));
        assert_eq!(conf.realm_of("elsewhere"), None);
        assert_eq!(
            conf.kdcs("NOWHERE").unwrap_err().message(),
            "krb5.conf names no KDC of the realm NOWHERE; write kdc = host:port below NOWHERE in [realms] (KDCs are not \
             looked up in DNS)"
        );
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("krb5.conf");
        std::fs::write(&file, format!("include {}\n", file.display())).unwrap();
        let error = Krb5Conf::load(&file).unwrap_err();
        assert_eq!(error.message(), "krb5.conf includes itself; take the include out");
    }

    #[test]
    fn addresses_have_ports() {
        for (kdc, expected) in
            [("a", "a:88"), ("a:1", "a:1"), ("::1", "[::1]:88"), ("[::1]:7", "[::1]:7"), ("[::1]", "[::1]:88")]
        {
            assert_eq!(address(kdc), expected);
        }
    }
}
