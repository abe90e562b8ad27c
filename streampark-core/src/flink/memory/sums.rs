//! What both processes compute alike (`ProcessMemoryUtils`).

use std::str::FromStr;

use crate::flink::{FlinkConfig, MemorySize};
use crate::{Error, Result};

pub(super) const MIB: u64 = 1 << 20;

/// Metaspace and overhead: what lies around Flink's own memory.
pub(super) struct Shell {
    pub(super) metaspace: u64,
    pub(super) overhead: u64,
}

pub(super) struct Outer {
    pub(super) metaspace: u64,
    pub(super) overhead: Range,
}

impl Outer {
    pub(super) fn within(&self, read: &Reader<'_>, process: u64) -> Result<Shell> {
        let overhead = self.overhead.of(process);
        if read.add(self.metaspace, overhead)? > process {
            return Err(read.wrong(&format!(
                "process.size of {} is too small for jvm-metaspace.size ({}) and the JVM overhead ({})",
                MemorySize::from_bytes(process),
                MemorySize::from_bytes(self.metaspace),
                MemorySize::from_bytes(overhead)
            )));
        }
        Ok(Shell { metaspace: self.metaspace, overhead })
    }

    pub(super) fn around(&self, read: &Reader<'_>, flink: u64, process: Option<u64>) -> Result<Shell> {
        let inner = read.add(flink, self.metaspace)?;
        let overhead = match process {
            None => self.overhead.inverse_of(inner),
            Some(process) => {
                let rest = process.checked_sub(inner).ok_or_else(|| {
                    read.wrong(&format!(
                        "process.size of {} is smaller than Flink's memory and jvm-metaspace.size together ({}); leave \
                         process.size out, or make it larger",
                        MemorySize::from_bytes(process),
                        MemorySize::from_bytes(inner)
                    ))
                })?;
                if rest < self.overhead.min || rest > self.overhead.max {
                    return Err(read.wrong(&format!(
                        "what process.size leaves to the JVM overhead, {}, is not between jvm-overhead.min and \
                         jvm-overhead.max ({} to {})",
                        MemorySize::from_bytes(rest),
                        MemorySize::from_bytes(self.overhead.min),
                        MemorySize::from_bytes(self.overhead.max)
                    )));
                }
                rest
            }
        };
        Ok(Shell { metaspace: self.metaspace, overhead })
    }
}

pub(super) struct Range {
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) fraction: f64,
}

impl Range {
    pub(super) fn of(&self, base: u64) -> u64 {
        times(base, self.fraction).clamp(self.min, self.max)
    }

    pub(super) fn inverse_of(&self, rest: u64) -> u64 {
        times(rest, self.fraction / (1.0 - self.fraction)).clamp(self.min, self.max)
    }
}

pub(super) struct Reader<'a> {
    pub(super) config: &'a FlinkConfig,
    pub(super) prefix: &'static str,
}

impl Reader<'_> {
    pub(super) fn size(&self, name: &str) -> Result<Option<u64>> {
        let key = format!("{}{name}", self.prefix);
        let Some(text) = self.config.get(&key) else { return Ok(None) };
        match MemorySize::from_str(text) {
            Ok(size) => Ok(Some(size.bytes())),
            Err(error) => Err(Error::invalid(format!("{key}: {}", error.message()))),
        }
    }

    pub(super) fn fraction(&self, name: &str, default: f32) -> Result<f64> {
        let key = format!("{}{name}", self.prefix);
        let fraction = number(self.config, &key, default)?;
        if !(0.0..1.0).contains(&fraction) {
            return Err(Error::invalid(format!("{key} is {fraction}; it must be at least 0 and below 1")));
        }
        // Flink reads a float and computes with it as a double, and so must we.
        Ok(f64::from(fraction))
    }

    pub(super) fn range(&self, name: &str, min: u64, max: u64, fraction: f32) -> Result<Range> {
        let range = Range {
            min: self.size(&format!("{name}.min"))?.unwrap_or(min),
            max: self.size(&format!("{name}.max"))?.unwrap_or(max),
            fraction: self.fraction(&format!("{name}.fraction"), fraction)?,
        };
        if range.min > range.max {
            return Err(self.wrong(&format!(
                "{name}.min ({}) is larger than {name}.max ({})",
                MemorySize::from_bytes(range.min),
                MemorySize::from_bytes(range.max)
            )));
        }
        Ok(range)
    }

    pub(super) fn outer(&self) -> Result<Outer> {
        Ok(Outer {
            metaspace: self.size("jvm-metaspace.size")?.unwrap_or(256 * MIB),
            overhead: self.range("jvm-overhead", 192 * MIB, 1024 * MIB, 0.1)?,
        })
    }

    pub(super) fn sum(&self, parts: &[u64]) -> Result<u64> {
        parts.iter().try_fold(0, |sum, part| self.add(sum, *part))
    }

    pub(super) fn add(&self, a: u64, b: u64) -> Result<u64> {
        a.checked_add(b)
            .filter(|sum| i64::try_from(*sum).is_ok())
            .ok_or_else(|| self.wrong("the sizes add up to more than 2^63 - 1 bytes"))
    }

    pub(super) fn too_small(&self, flink: u64, others: u64) -> Error {
        self.wrong(&format!(
            "Flink's memory of {} is too small for its parts, which need {}; raise process.size or flink.size, or lower \
             managed, network, task and framework sizes",
            MemorySize::from_bytes(flink),
            MemorySize::from_bytes(others)
        ))
    }

    pub(super) fn wrong(&self, what: &str) -> Error {
        Error::invalid(format!("the keys {}* contradict each other: {what}", self.prefix))
    }
}

pub(super) fn number<T: FromStr>(config: &FlinkConfig, key: &str, default: T) -> Result<T> {
    match config.get(key) {
        None => Ok(default),
        Some(text) => text
            .trim()
            .parse()
            .map_err(|_| Error::invalid(format!("{key} is '{text}', which is no number of its kind"))),
    }
}

pub(super) fn in_bytes(size: MemorySize) -> String {
    format!("{}b", size.bytes())
}

/// `MemorySize.multiply`: exact in the shortest decimal form of the factor, cut to whole bytes.
pub(super) fn times(base: u64, factor: f64) -> u64 {
    let text = format!("{factor}");
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let digits: u128 = format!("{whole}{decimals}").parse().unwrap_or(0);
    let Some(scale) = u32::try_from(decimals.len()).ok().and_then(|places| 10u128.checked_pow(places)) else {
        return 0;
    };
    let product = u128::from(base).checked_mul(digits).map_or(u128::MAX, |product| product / scale);
    u64::try_from(product).unwrap_or(i64::MAX as u64).min(i64::MAX as u64)
}
