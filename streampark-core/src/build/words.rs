//! What may become a word on a tool's command line.
//!
//! No shell ever sees these words, so nothing in them could start a command. They are checked all the same: a
//! word that begins with `-` would be an option of the tool, one with `..` would name a folder outside.

use std::path::{Component, Path};

use crate::{Error, Result};

const MAX_WORD: usize = 4096;

/// A word of letters, digits and `._-` that begins with a letter, a digit or `_`: profiles, tasks.
pub(super) fn name(what: &str, text: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.len() <= MAX_WORD && text.starts_with(first) && text.chars().all(plain) {
        return Ok(());
    }
    Err(refused(format!(
        "the {what} '{}' is refused: use letters, digits, '.', '_' and '-', and begin with a letter, a digit or '_'",
        shown(text)
    )))
}

/// The value of a property: any text of one line without what a shell would run.
pub(super) fn value(key: &str, text: &str) -> Result<()> {
    let found = match text {
        _ if text.len() > MAX_WORD => Some("more than 4096 bytes"),
        _ if text.contains(['\n', '\r']) => Some("a line break"),
        _ if text.contains(char::is_control) => Some("a control character"),
        _ if text.contains('`') => Some("a backtick"),
        _ if text.contains("$(") => Some("'$('"),
        _ => None,
    };
    match found {
        None => Ok(()),
        Some(found) => Err(refused(format!("the value of the property '{}' is refused: it holds {found}", shown(key)))),
    }
}

/// A folder below the project's, with `/` between its parts; empty is the project's own.
pub(super) fn folder(what: &str, text: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || "._-/+ ".contains(c);
    let parts = Path::new(text).components().all(|part| matches!(part, Component::Normal(_)));
    let options = text.split('/').any(|part| part.starts_with('-') || part.starts_with(' '));
    let empty = text.split('/').any(str::is_empty) && !text.is_empty();
    if text.len() <= MAX_WORD && text.chars().all(plain) && parts && !options && !empty {
        return Ok(());
    }
    Err(refused(format!(
        "the {what} '{}' is refused: name a folder inside the project, such as jobs/orders, without '..' and with no part that begins with '-'",
        shown(text)
    )))
}

/// One word of a declared command: whatever it is, without a zero byte.
pub(super) fn word(text: &str) -> Result<()> {
    match text.contains('\0') {
        true => Err(refused("a word of the command holds a zero byte".to_owned())),
        false => Ok(()),
    }
}

/// A text of the user inside a message of one line.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).collect::<String>().escape_debug().to_string()
}

pub(super) fn refused(message: String) -> Error {
    Error::invalid(message).with_operation("build.options")
}

/// Whether the file name fits a pattern in which `*` stands for any text.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_more_than_a_word_is_refused() {
        for (given, message) in [
            ("prod", None),
            ("-x", Some("-x")),
            ("a b", Some("a b")),
            ("prod || rm -rf /", Some("prod || rm -rf /")),
            ("a\nb", Some("a\\nb")),
            ("", Some("")),
        ] {
            let expected = message.map(|text| {
                format!("build.options: the profile '{text}' is refused: use letters, digits, '.', '_' and '-', and begin with a letter, a digit or '_'")
            });
            assert_eq!(name("profile", given).err().map(|error| error.to_string()), expected);
        }
        for (given, found) in [
            ("$(touch /tmp/x)", "'$('"),
            ("`id`", "a backtick"),
            ("a\nb", "a line break"),
            ("a\u{0}b", "a control character"),
        ] {
            assert_eq!(
                value("x", given).unwrap_err().to_string(),
                format!("build.options: the value of the property 'x' is refused: it holds {found}")
            );
        }
        value("x", "https://a.example/?b=c&d=e|f;g <h> ${other}").unwrap();
    }

    #[test]
    fn a_folder_stays_inside() {
        for good in ["", "a", "jobs/orders-2.0", "Übung/a b"] {
            folder("module", good).unwrap();
        }
        for bad in
            ["..", "a/../../b", "/etc", "-pl", "a/-b", "a//b", "a/", "./a", "a\nb", "$(id)", "`id`", "a;b", "a|b", ":a"]
        {
            let error = folder("module", bad).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "build.options: the module '{}' is refused: name a folder inside the project, such as jobs/orders, without '..' and with no part that begins with '-'",
                    shown(bad)
                )
            );
        }
    }

    #[test]
    fn patterns_have_stars_only() {
        for (pattern, name, fit) in [
            ("a.jar", "a.jar", true),
            ("*.jar", "a.jar", true),
            ("a*-all*.jar", "a-1-all-2.jar", true),
            ("a*.jar", "b.jar", false),
            ("a", "ab", false),
            ("*a*a", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }
}
