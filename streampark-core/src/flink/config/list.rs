//! Lists as values: JSON arrays since 1.19, items parted by `;` always.

use super::{refuse, yaml};
use crate::Result;

/// Writes a list as a JSON array, which Flink 1.19 and later read as YAML.
pub fn encode_list_json<I: AsRef<str>>(items: &[I]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| yaml::quote(item.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

/// Writes a list as every version of Flink reads it: items parted by `;`, in single quotes where
/// they hold `;`, a quote, or would be trimmed or lost (`StructuredOptionsSplitter.escapeWithSingleQuote`).
///
/// ```
/// use streampark_core::flink::{decode_list, encode_list_legacy};
///
/// let text = encode_list_legacy(&["--a", "b;x", "it's", ""]);
/// assert_eq!(text, "--a;'b;x';'it''s';''");
/// assert_eq!(decode_list(&text)?, ["--a", "b;x", "it's", ""]);
/// # Ok::<(), streampark_core::Error>(())
/// ```
pub fn encode_list_legacy<I: AsRef<str>>(items: &[I]) -> String {
    let quoted: Vec<String> = items
        .iter()
        .map(|item| {
            let item = item.as_ref();
            let plain = !item.is_empty() && !item.contains([';', '\'', '"']) && item.trim() == item;
            if plain { item.to_owned() } else { format!("'{}'", item.replace('\'', "''")) }
        })
        .collect();
    quoted.join(";")
}

/// Reads a list in either notation.
///
/// # Errors
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) where quotes do not close or text
/// follows a closed quote, or the array is no YAML.
pub fn decode_list(text: &str) -> Result<Vec<String>> {
    if text.trim_start().starts_with('[')
        && let Ok(items) = yaml::read_list(text)
    {
        return Ok(items);
    }
    decode_legacy(text)
}

/// `StructuredOptionsSplitter.splitEscaped` with `;`.
fn decode_legacy(text: &str) -> Result<Vec<String>> {
    let mut items = Vec::new();
    let mut rest = text;
    let mut after_item = false;
    let mut after_delimiter = false;
    while let Some(first) = rest.chars().next() {
        if first == ';' {
            if after_delimiter {
                items.push(String::new());
            }
            (after_item, after_delimiter) = (false, true);
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        if first.is_whitespace() {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        }
        if after_item {
            return Err(refuse(format!("'{text}' is no list: between a closing quote and ';' there is text")));
        }
        if first == '\'' || first == '"' {
            let (item, tail) = quoted(rest, first).ok_or_else(|| {
                refuse(format!("'{text}' is no list: a quote is not closed; double a quote that is text"))
            })?;
            items.push(item);
            rest = tail;
        } else {
            let (item, tail) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
            items.push(item.trim().to_owned());
            rest = tail;
        }
        (after_item, after_delimiter) = (true, false);
    }
    Ok(items)
}

/// Reads up to the closing quote; a doubled quote is one of the text.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut item = String::new();
    let mut rest = text.get(1..)?;
    loop {
        let (part, tail) = rest.split_once(quote)?;
        item.push_str(part);
        match tail.strip_prefix(quote) {
            Some(tail) => {
                item.push(quote);
                rest = tail;
            }
            None => return Some((item, tail)),
        }
    }
}
