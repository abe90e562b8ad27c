//! Values that are no texts: what YAML and JSON call numbers, booleans, lists and maps.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{FlinkConfig, encode_list_json};

/// A plain YAML number with point or exponent as Java prints a `double`: what Flink makes of it.
pub(super) fn java_double(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let power = exponent.map(|exponent| exponent.strip_prefix(['-', '+']).unwrap_or(exponent));
    let is_number = !(whole.is_empty() && decimals.is_empty())
        && digits(whole)
        && digits(decimals)
        && power.is_none_or(|power| !power.is_empty() && digits(power))
        && (mantissa.contains('.') || exponent.is_some());
    if !is_number {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    let size = number.abs();
    Some(if number == 0.0 || (1e-3..1e7).contains(&size) {
        format!("{number:?}")
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        let scientific = format!("{number:E}");
        match scientific.split_once('E') {
            Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
            _ => scientific,
        }
    })
}

impl Serialize for FlinkConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Accepts texts, numbers and booleans as values. From YAML their text is kept as it stands, so that
/// `1.10` stays `1.10` and `yes` stays `yes`. Other formats may hold lists (kept as JSON arrays) and
/// nested maps (keys joined by `.`) as well.
impl<'de> Deserialize<'de> for FlinkConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut config = FlinkConfig::new();
        deserializer.deserialize_map(Entries { prefix: "", config: &mut config })?;
        Ok(config)
    }
}

struct Entries<'a> {
    prefix: &'a str,
    config: &'a mut FlinkConfig,
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of Flink configuration keys and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let key = format!("{}{key}", self.prefix);
            if self.config.contains(&key) {
                return Err(de::Error::custom(format_args!("the Flink key '{key}' is there twice")));
            }
            map.next_value_seed(Value { key: &key, config: self.config })?;
        }
        Ok(())
    }
}

/// One value, which may be a map of its own.
struct Value<'a> {
    key: &'a str,
    config: &'a mut FlinkConfig,
}

impl Value<'_> {
    fn keep(self, text: impl Into<String>) {
        self.config.set(self.key, text);
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if keeps_text::<D>() { deserializer.deserialize_str(self) } else { deserializer.deserialize_any(self) }
    }
}

/// Whether the deserializer gives the text of any scalar when asked for a text. One that says what a
/// scalar is has forgotten how it was written; and JSON's refuses a number where a text is asked for,
/// so that no single question serves both.
fn keeps_text<D>() -> bool {
    std::any::type_name::<D>().contains("serde_saphyr")
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text, number, boolean, list or map as the value of '{}'", self.key)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.keep(text);
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.keep(value.to_string());
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.keep(value.to_string());
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.keep(value.to_string());
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.keep(value.to_string());
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Err(E::custom(format_args!("the Flink key '{}' has no value; give one, or remove it", self.key)))
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut items = Vec::new();
        loop {
            let mut item = FlinkConfig::new();
            if seq.next_element_seed(Value { key: self.key, config: &mut item })?.is_none() {
                break;
            }
            match item.remove(self.key) {
                Some(text) => items.push(text),
                None => {
                    return Err(de::Error::custom(format_args!(
                        "the list of '{}' holds a map; it holds texts",
                        self.key
                    )));
                }
            }
        }
        self.keep(encode_list_json(&items));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let prefix = format!("{}.", self.key);
        Entries { prefix: &prefix, config: self.config }.visit_map(map)
    }
}
