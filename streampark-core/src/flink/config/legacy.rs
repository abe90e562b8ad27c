//! `flink-conf.yaml`: one `key: value` per line, and little more.

use super::{FlinkConfig, refuse};
use crate::Result;

/// What Java's `String.trim` takes away.
fn blank(c: char) -> bool {
    c <= ' '
}

pub(super) fn read(text: &str) -> FlinkConfig {
    text.split(['\n', '\r'])
        .filter_map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            let (key, value) = line.split_once(": ")?;
            let (key, value) = (key.trim_matches(blank), value.trim_matches(blank));
            (!key.is_empty() && !value.is_empty()).then_some((key, value))
        })
        .collect()
}

pub(super) fn write(config: &FlinkConfig) -> Result<String> {
    let mut text = String::new();
    for (key, value) in config.iter() {
        if let Some(why) = damage(value) {
            return Err(refuse(format!(
                "the value of '{key}' cannot be kept in flink-conf.yaml: {why}; change it, or use Flink 1.19 or later \
                 with config.yaml"
            )));
        }
        if key.contains(": ") || damage(key).is_some() {
            return Err(refuse(format!("'{}' cannot be a key in flink-conf.yaml", key.escape_debug())));
        }
        text.push_str(key);
        text.push_str(": ");
        text.push_str(value);
        text.push('\n');
    }
    Ok(text)
}

fn damage(text: &str) -> Option<&'static str> {
    if text.contains('#') {
        Some("everything from '#' on would be taken as a comment")
    } else if text.contains(['\n', '\r']) {
        Some("it has a line end, and a value is one line")
    } else if text.is_empty() {
        Some("it is empty, and empty values are ignored")
    } else if text.starts_with(blank) || text.ends_with(blank) {
        Some("blanks at its start or end would be cut off")
    } else {
        None
    }
}
