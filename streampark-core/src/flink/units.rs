//! Sizes and durations in Flink's notation.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// A number of bytes (`org.apache.flink.configuration.MemorySize`): `1600m`, `1 gb`, `1024`.
///
/// Units count in steps of 1024; a number without unit is bytes. Prints in the largest unit that
/// divides it, as Flink does.
///
/// ```
/// use streampark_core::flink::MemorySize;
///
/// let size: MemorySize = "1 GB".parse()?;
/// assert_eq!((size.bytes(), size.mebibytes()), (1 << 30, 1024));
/// assert_eq!(size.to_string(), "1 gb");
/// # Ok::<(), streampark_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemorySize(u64);

const MEMORY_UNITS: [(&str, u32, &[&str]); 5] = [
    ("bytes", 0, &["", "b", "bytes"]),
    ("kb", 10, &["k", "kb", "kibibytes"]),
    ("mb", 20, &["m", "mb", "mebibytes"]),
    ("gb", 30, &["g", "gb", "gibibytes"]),
    ("tb", 40, &["t", "tb", "tebibytes"]),
];

impl MemorySize {
    /// This many bytes; more than `i64::MAX`, which Flink cannot hold, become `i64::MAX`.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(if bytes > i64::MAX as u64 { i64::MAX as u64 } else { bytes })
    }

    /// This many MiB.
    pub const fn from_mebibytes(mebibytes: u64) -> Self {
        Self::from_bytes(mebibytes.saturating_mul(1 << 20))
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of whole MiB.
    pub const fn mebibytes(self) -> u64 {
        self.0 >> 20
    }
}

impl FromStr for MemorySize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (number, unit) = split(text, "size", "1600m")?;
        let shift =
            MEMORY_UNITS.iter().find(|(_, _, names)| names.contains(&unit.as_str())).map(|(_, shift, _)| *shift);
        let Some(shift) = shift else {
            return Err(Error::invalid(format!(
                "'{}' is no size: unit '{unit}' is none of b, k (kb), m (mb), g (gb), t (tb)",
                text.trim()
            )));
        };
        number
            .checked_mul(1 << shift)
            .filter(|bytes| i64::try_from(*bytes).is_ok())
            .map(Self)
            .ok_or_else(|| Error::invalid(format!("'{}' is no size: it is larger than 2^63 - 1 bytes", text.trim())))
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dividing = MEMORY_UNITS.iter().rev().find(|(_, shift, _)| self.0 > 0 && self.0.is_multiple_of(1 << shift));
        match dividing {
            Some((name, shift, _)) => write!(f, "{} {name}", self.0 >> shift),
            None => write!(f, "0 bytes"),
        }
    }
}

const TIME_UNITS: [(u128, &str, &[&str]); 7] = [
    (86_400_000_000_000, "d", &["d", "day", "days"]),
    (3_600_000_000_000, "h", &["h", "hour", "hours"]),
    (60_000_000_000, "min", &["m", "min", "minute", "minutes"]),
    (1_000_000_000, "s", &["s", "sec", "secs", "second", "seconds"]),
    (1_000_000, "ms", &["", "ms", "milli", "millis", "millisecond", "milliseconds"]),
    (1_000, "µs", &["µs", "micro", "micros", "microsecond", "microseconds"]),
    (1, "ns", &["ns", "nano", "nanos", "nanosecond", "nanoseconds"]),
];

/// Reads a duration in Flink's notation (`org.apache.flink.util.TimeUtils.parseDuration`): `10 s`,
/// `3min`, `500`. A number without unit is milliseconds. ISO 8601 (`PT10S`) is no such notation.
///
/// # Errors
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) naming the units.
///
/// ```
/// use std::time::Duration;
/// use streampark_core::flink::{format_duration, parse_duration};
///
/// assert_eq!(parse_duration("10 min")?, Duration::from_secs(600));
/// assert_eq!(format_duration(Duration::from_millis(1500)), "1500 ms");
/// # Ok::<(), streampark_core::Error>(())
/// ```
pub fn parse_duration(text: &str) -> Result<Duration> {
    let (number, unit) = split(text, "duration", "10 s")?;
    let Some((nanos, _, _)) = TIME_UNITS.iter().find(|(_, _, names)| names.contains(&unit.as_str())) else {
        return Err(Error::invalid(format!(
            "'{}' is no duration: unit '{unit}' is none of d, h, min, s, ms, µs, ns",
            text.trim()
        )));
    };
    let total = u128::from(number) * nanos;
    let seconds = u64::try_from(total / 1_000_000_000).ok().filter(|seconds| i64::try_from(*seconds).is_ok());
    match (seconds, u32::try_from(total % 1_000_000_000)) {
        (Some(seconds), Ok(nanos)) => Ok(Duration::new(seconds, nanos)),
        _ => Err(Error::invalid(format!("'{}' is no duration: it is too long", text.trim()))),
    }
}

/// Writes a duration in the largest unit that divides it
/// (`org.apache.flink.util.TimeUtils.formatWithHighestUnit`).
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0 ms".to_owned();
    }
    TIME_UNITS
        .iter()
        .find(|(unit, _, _)| nanos.is_multiple_of(*unit))
        .map(|(unit, name, _)| format!("{} {name}", nanos / unit))
        .unwrap_or_default()
}

/// Digits first, then a unit in lower case.
fn split(text: &str, noun: &str, example: &str) -> Result<(u64, String)> {
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(end);
    if digits.is_empty() {
        let hint = if trimmed.starts_with(['P', 'p']) { " (ISO 8601 is not Flink's notation)" } else { "" };
        return Err(Error::invalid(format!(
            "'{trimmed}' is no {noun}: it begins with a whole number, for example {example}{hint}"
        )));
    }
    let number = digits.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok());
    let number =
        number.ok_or_else(|| Error::invalid(format!("'{trimmed}' is no {noun}: {digits} is larger than 2^63 - 1")))?;
    Ok((number, unit.trim().to_lowercase()))
}

impl Serialize for MemorySize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MemorySize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: Error| serde::de::Error::custom(error.message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_flink_reads_and_prints_them() {
        for (text, bytes, printed) in [
            ("0", 0, "0 bytes"),
            ("1234", 1234, "1234 bytes"),
            (" 1600M ", 1600 << 20, "1600 mb"),
            ("1 gb", 1 << 30, "1 gb"),
            ("2 tebibytes", 2 << 40, "2 tb"),
            ("1025 kb", 1025 << 10, "1025 kb"),
        ] {
            let size: MemorySize = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, printed), "{text}");
        }
    }

    #[test]
    fn durations_as_flink_reads_and_prints_them() {
        for (text, millis, printed) in [
            ("500", 500, "500 ms"),
            ("10 s", 10_000, "10 s"),
            ("3MIN", 180_000, "3 min"),
            ("48 hours", 172_800_000, "2 d"),
            ("0 s", 0, "0 ms"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!((duration.as_millis(), format_duration(duration).as_str()), (millis, printed), "{text}");
        }
        assert_eq!(format_duration(parse_duration("7 micros").unwrap()), "7 µs");
    }

    #[test]
    fn errors_name_text_rule_and_remedy() {
        let size = |text: &str| text.parse::<MemorySize>().unwrap_err().to_string();
        assert_eq!(size("-1m"), "'-1m' is no size: it begins with a whole number, for example 1600m");
        assert_eq!(size("1.5g"), "'1.5g' is no size: unit '.5g' is none of b, k (kb), m (mb), g (gb), t (tb)");
        assert_eq!(size("9000000 t"), "'9000000 t' is no size: it is larger than 2^63 - 1 bytes");
        let time = |text: &str| parse_duration(text).unwrap_err().to_string();
        assert_eq!(
            time("PT10S"),
            "'PT10S' is no duration: it begins with a whole number, for example 10 s (ISO 8601 is not Flink's notation)"
        );
        assert_eq!(time("3 weeks"), "'3 weeks' is no duration: unit 'weeks' is none of d, h, min, s, ms, µs, ns");
        assert!(time("9223372036854775807 d").contains("too long"));
    }
}
