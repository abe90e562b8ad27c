//! Names of branches, tags and commits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// Which state of a repository is wanted.
///
/// Written as text it is `main`, `refs/heads/main`, `refs/tags/v1.0` or a commit's full id; the
/// empty text is the repository's own default branch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum GitRef {
    /// The branch that the repository calls its default.
    #[default]
    Default,
    /// A branch of that name, or else a tag.
    Name(String),
    /// A branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// One commit for ever: 40 hexadecimal digits.
    Commit(String),
}

impl GitRef {
    /// The full names under which a server may list it, in the order of preference.
    pub fn candidates(&self) -> Vec<String> {
        match self {
            Self::Default => vec!["HEAD".to_owned()],
            Self::Name(name) => vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")],
            Self::Branch(name) => vec![format!("refs/heads/{name}")],
            Self::Tag(name) => vec![format!("refs/tags/{name}")],
            Self::Commit(_) => Vec::new(),
        }
    }
}

impl FromStr for GitRef {
    type Err = Error;

    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) unless it fits
    /// `^[A-Za-z0-9._/][A-Za-z0-9._/-]*$` and Git's own rules.
    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() || text == "HEAD" {
            return Ok(Self::Default);
        }
        check(text)?;
        if let Some(name) = text.strip_prefix("refs/heads/") {
            return Ok(Self::Branch(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("refs/tags/") {
            return Ok(Self::Tag(name.to_owned()));
        }
        if text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit()) {
            return Ok(Self::Commit(text.to_ascii_lowercase()));
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl fmt::Display for GitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("HEAD"),
            Self::Name(name) | Self::Commit(name) => f.write_str(name),
            Self::Branch(name) => write!(f, "refs/heads/{name}"),
            Self::Tag(name) => write!(f, "refs/tags/{name}"),
        }
    }
}

impl Serialize for GitRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GitRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn check(text: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/".contains(c);
    let letters = text.starts_with(plain) && text.chars().all(|c| plain(c) || c == '-');
    if !letters {
        return Err(Error::invalid(format!(
            "the ref {text:?} is refused: it must start with a letter, a digit, '.', '_' or '/', and go on with these or '-'"
        ))
        .with_operation("project.ref"));
    }
    let broken = text.contains("..") || text.contains("//") || text.starts_with('/') || text.ends_with(['/', '.']);
    if broken || text.split('/').any(|part| part.starts_with('.') || part.ends_with(".lock")) {
        return Err(Error::invalid(format!(
            "the ref {text:?} is refused: Git allows no '..', '//', leading or trailing '/', part that starts with '.' or ends with '.lock'"
        ))
        .with_operation("project.ref"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_options_and_shell_words() {
        assert_eq!(
            "-x".parse::<GitRef>().unwrap_err().to_string(),
            "project.ref: the ref \"-x\" is refused: it must start with a letter, a digit, '.', '_' or '/', and go on with these or '-'"
        );
        for text in
            ["--upload-pack=id", "a b", "a;id", "$(id)", "`id`", "a\nb", "a..b", "a//b", "x.lock", "/a", "a/", "ä"]
        {
            assert!(text.parse::<GitRef>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn each_form_is_read_back_as_it_was() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for text in ["main", "refs/heads/feature/a-b", "refs/tags/v1.0", commit] {
            assert_eq!(text.parse::<GitRef>().unwrap().to_string(), text);
        }
        assert_eq!("".parse::<GitRef>().unwrap(), GitRef::Default);
        assert_eq!("refs/heads/x".parse::<GitRef>().unwrap(), GitRef::Branch("x".into()));
        assert_eq!(commit.parse::<GitRef>().unwrap(), GitRef::Commit(commit.into()));
    }
}
