//! `config.yaml`: YAML 1.2 as Flink reads it.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::{FlinkConfig, refuse};
use crate::{Error, Result};

/// How deep maps and lists may lie in each other, and how many nodes a file may have once its
/// aliases are followed: a file of a few lines can otherwise fill the memory.
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 100_000;

#[derive(Clone)]
enum Node {
    /// A text, and whether it was quoted.
    Scalar(String, bool),
    List(Vec<Node>),
    Map(Vec<(String, Node, Marker)>),
}

pub(super) fn read(text: &str) -> Result<FlinkConfig> {
    let mut config = FlinkConfig::new();
    match parse(text)? {
        None => {}
        Some((Node::Map(entries), _)) => flatten(entries, "", &mut config)?,
        Some((_, at)) => return Err(at_place("config.yaml is no map of keys and values; write 'key: value'", at)),
    }
    Ok(config)
}

pub(super) fn read_list(text: &str) -> Result<Vec<String>> {
    match parse(text)? {
        Some((Node::List(items), _)) => Ok(items
            .iter()
            .map(|item| match item {
                Node::Scalar(text, quoted) => plain_value(text, *quoted).unwrap_or_default(),
                other => flow(other),
            })
            .collect()),
        _ => Err(refuse("it is no YAML list")),
    }
}

pub(super) fn write(config: &FlinkConfig) -> String {
    config.iter().map(|(key, value)| format!("{}: {}\n", quote(key), quote(value))).collect()
}

/// Double quotes with JSON's escapes, which are YAML's as well.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // Not printable in YAML's sense: a reader refuses them unescaped.
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn flatten(entries: Vec<(String, Node, Marker)>, prefix: &str, config: &mut FlinkConfig) -> Result<()> {
    for (key, node, at) in entries {
        let key = format!("{prefix}{key}");
        match node {
            Node::Map(inner) => flatten(inner, &format!("{key}."), config)?,
            Node::List(_) => config.set(key, flow(&node)),
            Node::Scalar(text, quoted) => match plain_value(&text, quoted) {
                Some(value) => config.set(key, value),
                None => {
                    let message = format!("'{key}' has no value, and Flink refuses that; give one, or remove the key");
                    return Err(at_place(message, at));
                }
            },
        }
    }
    Ok(())
}

/// What the core schema makes of a plain scalar, in Java's notation; none for null.
fn plain_value(text: &str, quoted: bool) -> Option<String> {
    if quoted {
        return Some(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return None,
        "true" | "True" | "TRUE" => return Some("true".to_owned()),
        "false" | "False" | "FALSE" => return Some("false".to_owned()),
        _ => {}
    }
    Some(integer(text).or_else(|| super::value::java_double(text)).unwrap_or_else(|| text.to_owned()))
}

fn integer(text: &str) -> Option<String> {
    let radix = |digits: &str, radix: u32| u128::from_str_radix(digits, radix).ok().map(|number| number.to_string());
    if let Some(digits) = text.strip_prefix("0x").filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())) {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o").filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())) {
        return radix(digits, 8);
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    Some(if significant.is_empty() { "0".to_owned() } else { format!("{sign}{significant}") })
}

/// A list or map as Flink keeps it: YAML on one line (`YamlParserUtils.toYAMLString`).
fn flow(node: &Node) -> String {
    match node {
        Node::Scalar(text, quoted) => {
            let value = plain_value(text, *quoted).unwrap_or_else(|| "null".to_owned());
            let harmless = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ';' | ' ' | '+');
            let first = value.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '/' || c == '.' || c == '_');
            let plain = first && value.chars().all(harmless) && !value.ends_with(' ');
            // A quoted text that would be read as a number or a word of YAML stays quoted.
            let same = !*quoted || plain_value(&value, false).as_deref() == Some(value.as_str()) && !means_more(&value);
            if plain && same { value } else { quote(&value) }
        }
        Node::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Node::Map(entries) => {
            let parts: Vec<String> = entries
                .iter()
                .map(|(key, value, _)| format!("{}: {}", flow(&Node::Scalar(key.clone(), true)), flow(value)))
                .collect();
            format!("{{{}}}", parts.join(", "))
        }
    }
}

fn means_more(text: &str) -> bool {
    integer(text).is_some() || super::value::java_double(text).is_some() || matches!(text, "true" | "false")
}

/// A map or list that is being read.
enum Open {
    List(Vec<Node>, usize),
    Map(Vec<(String, Node, Marker)>, Option<(String, Marker)>, usize),
}

fn parse(text: &str) -> Result<Option<(Node, Marker)>> {
    let mut open: Vec<(Open, Marker)> = Vec::new();
    let mut anchors: HashMap<usize, Node> = HashMap::new();
    let mut root = None;
    let mut nodes = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(from_scan)?;
        let at = span.start;
        let done = match event {
            Event::DocumentStart(..) if root.is_some() => {
                return Err(at_place("config.yaml holds two documents; remove the line '---'", at));
            }
            Event::Scalar(text, style, anchor, _) => {
                let node = Node::Scalar(text.into_owned(), style != ScalarStyle::Plain);
                Some((node, anchor, at))
            }
            Event::SequenceStart(_, anchor, _) => {
                open.push((Open::List(Vec::new(), anchor), at));
                None
            }
            Event::MappingStart(_, anchor, _) => {
                open.push((Open::Map(Vec::new(), None, anchor), at));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some((Open::List(items, anchor), at)) => Some((Node::List(items), anchor, at)),
                Some((Open::Map(entries, _, anchor), at)) => Some((Node::Map(entries), anchor, at)),
                None => None,
            },
            Event::Alias(id) => {
                let node =
                    anchors.get(&id).cloned().ok_or_else(|| at_place("an alias names no anchor before it", at))?;
                Some((node, 0, at))
            }
            _ => None,
        };
        if open.len() > MAX_DEPTH {
            return Err(at_place("config.yaml is nested too deep", at));
        }
        let Some((node, anchor, at)) = done else { continue };
        nodes += count(&node);
        if nodes > MAX_NODES {
            return Err(at_place("config.yaml is too large once its aliases are followed", at));
        }
        if anchor != 0 {
            anchors.insert(anchor, node.clone());
        }
        match open.last_mut() {
            None => root = Some((node, at)),
            Some((Open::List(items, _), _)) => items.push(node),
            Some((Open::Map(entries, key, _), _)) => match key.take() {
                Some((name, place)) => entries.push((name, node, place)),
                None => *key = Some((key_of(node, entries, at)?, at)),
            },
        }
    }
    // A file without a node is one empty scalar.
    Ok(root.filter(|(node, _)| !matches!(node, Node::Scalar(text, false) if text.is_empty())))
}

fn key_of(node: Node, entries: &[(String, Node, Marker)], at: Marker) -> Result<String> {
    let Node::Scalar(text, quoted) = node else {
        return Err(at_place("a key is a list or a map; it must be a text", at));
    };
    if !quoted && (plain_value(&text, false).is_none() || means_more(&text)) {
        return Err(at_place(format!("the key {text} is no text for YAML; put it in quotes"), at));
    }
    if entries.iter().any(|(known, _, _)| *known == text) {
        return Err(at_place(format!("the key '{text}' is there twice; remove one"), at));
    }
    Ok(text)
}

fn count(node: &Node) -> usize {
    match node {
        Node::Scalar(..) => 1,
        Node::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Node::Map(entries) => 1 + entries.iter().map(|(_, value, _)| count(value)).sum::<usize>(),
    }
}

fn from_scan(failure: ScanError) -> Error {
    let at = *failure.marker();
    at_place("config.yaml is no YAML", at).with_source(failure)
}

fn at_place(message: impl Into<String>, at: Marker) -> Error {
    refuse(message).with_context("line", at.line()).with_context("column", at.col() + 1)
}
