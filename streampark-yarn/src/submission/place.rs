//! Paths as Flink's configuration has them.

use std::path::PathBuf;

use streampark_core::flink::{FlinkConfig, decode_list};
use streampark_core::{Error, Result};

/// Where a configured path points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// This machine.
    Local(PathBuf),
    /// The cluster's file system, with scheme and authority, without a slash at the end.
    Remote(String),
}

/// A path without scheme is one of this machine (`YarnClusterDescriptor.createPathWithSchema`).
pub(super) fn place(text: &str, default_fs: &str) -> Place {
    match scheme(text) {
        None => Place::Local(PathBuf::from(text)),
        Some("file") => {
            let path = text.get("file:".len()..).unwrap_or_default();
            let path = path.strip_prefix("//").filter(|rest| rest.starts_with('/')).unwrap_or(path);
            Place::Local(PathBuf::from(path))
        }
        Some(_) => Place::Remote(qualified(text, default_fs)),
    }
}

/// A path of the cluster, with the scheme and authority of `fs.defaultFS` where it has none of its
/// own (`FileSystem.makeQualified`).
pub(super) fn qualified(text: &str, default_fs: &str) -> String {
    let default_fs = default_fs.trim_end_matches('/');
    let text = match text.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed,
    };
    match scheme(text) {
        None if text.starts_with('/') => format!("{default_fs}{text}"),
        None => format!("{default_fs}/{text}"),
        Some(own) => {
            let after = text.get(own.len() + 1..).unwrap_or_default();
            let path = after.strip_prefix("//").filter(|rest| rest.starts_with('/'));
            let path = path.or_else(|| after.strip_prefix('/').filter(|rest| !rest.starts_with('/')).map(|_| after));
            match path {
                Some(path) if scheme(default_fs) == Some(own) => format!("{default_fs}{path}"),
                _ => text.to_owned(),
            }
        }
    }
}

fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    valid.then_some(scheme)
}

/// The last part of a path.
pub(super) fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// What stands before the last part; empty for a name alone (`Path.getParent`).
pub(super) fn parent(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The list at `key`, or at its older name.
pub(super) fn list(config: &FlinkConfig, key: &'static str, older: Option<&'static str>) -> Result<Vec<String>> {
    let Some(text) = config.get(key).or_else(|| config.get(older?)) else { return Ok(Vec::new()) };
    decode_list(text).map_err(|e| e.with_context("key", key))
}

/// Refuses names that break one of the places that they pass through: a class path (`:`), Flink's
/// lists of descriptors (`;`, `'`, blanks), YARN's launch script (`"`, `$`, backtick, `\`), a URI.
pub(super) fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_alphanumeric() || "._-+@=~/".contains(c);
    match name.chars().find(|c| !allowed(*c)) {
        _ if name.is_empty() => Err(Error::invalid("a file that is to be shipped has no name")),
        None if matches!(base_name(name), "." | "..") => {
            Err(Error::invalid(format!("'{name}' is no name of a file that is to be shipped")))
        }
        None => Ok(()),
        Some(bad) => Err(Error::invalid(format!(
            "the file name '{}' has {}, which YARN's launch script and Flink's lists of files do not survive; use \
             letters, digits and . _ - + @ = ~",
            name.escape_debug(),
            if bad.is_whitespace() { "a blank".to_owned() } else { format!("the character {}", bad.escape_debug()) }
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_and_without_scheme() {
        let local = |path: &str| Place::Local(PathBuf::from(path));
        let remote = |path: &str| Place::Remote(path.to_owned());
        let of = |text: &str| place(text, "hdfs://nn1:8020");
        assert_eq!(of("/client/dir"), local("/client/dir"));
        assert_eq!(of("file:///client/dir"), local("/client/dir"));
        assert_eq!(of("file:/client/dir"), local("/client/dir"));
        assert_eq!(of("hdfs://other:9000/dir/"), remote("hdfs://other:9000/dir"));
        assert_eq!(of("hdfs:///dir"), remote("hdfs://nn1:8020/dir"));
        assert_eq!(of("hdfs:/dir"), remote("hdfs://nn1:8020/dir"));
        assert_eq!(of("s3a://bucket/dir"), remote("s3a://bucket/dir"));
        assert_eq!(qualified("/flink/lib/", "hdfs://nn1:8020"), "hdfs://nn1:8020/flink/lib");
    }

    #[test]
    fn names_that_break_something_are_refused() {
        check_name("lib/orders-1.0+build_2@x=y~.jar").unwrap();
        check_name("größe.txt").unwrap();
        assert_eq!(
            check_name("my job.jar").unwrap_err().to_string(),
            "the file name 'my job.jar' has a blank, which YARN's launch script and Flink's lists of files do not \
             survive; use letters, digits and . _ - + @ = ~"
        );
        for name in ["a:b", "a;b", "a'b", "a\"b", "a$b", "a`b", "a\\b", "a\nb", "a%b", "a#b", "", "..", "dir/.."] {
            check_name(name).unwrap_err();
        }
    }
}
