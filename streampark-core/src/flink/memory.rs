//! How much memory a JobManager and a TaskManager get, and how their JVMs are started: the sums of
//! Flink's `ProcessMemoryUtils`, `JobManagerProcessUtils` and `TaskExecutorProcessUtils`.

use std::borrow::Cow;
use std::str::FromStr;

use super::config::FlinkConfig;
use super::units::MemorySize;
use super::version::FlinkVersion;
use crate::{Error, Result};

const MIB: u64 = 1 << 20;

/// The memory of a JobManager process (`JobManagerProcessSpec`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobManagerMemory {
    /// Everything: what the container is asked for.
    pub process: MemorySize,
    /// The Java heap.
    pub heap: MemorySize,
    /// Direct and native memory.
    pub off_heap: MemorySize,
    /// The metaspace.
    pub metaspace: MemorySize,
    /// What is left to the JVM itself.
    pub overhead: MemorySize,
    /// Whether direct memory is bounded (`jobmanager.memory.enable-jvm-direct-memory-limit`).
    pub limits_direct_memory: bool,
}

impl JobManagerMemory {
    /// Derives all sizes from a configuration, as this version of Flink does.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) naming the keys that contradict
    /// each other, or that are missing.
    ///
    /// ```
    /// use streampark_core::flink::{FlinkConfig, FlinkVersion, JobManagerMemory};
    ///
    /// let config = FlinkConfig::from_iter([("jobmanager.memory.process.size", "1600m")]);
    /// let memory = JobManagerMemory::from_config(&config, &FlinkVersion::new(2, 3))?;
    /// assert_eq!(memory.heap.mebibytes(), 1024);
    /// # Ok::<(), streampark_core::Error>(())
    /// ```
    pub fn from_config(config: &FlinkConfig, version: &FlinkVersion) -> Result<Self> {
        let read = Reader { config, prefix: "jobmanager.memory." };
        let heap = read.size("heap.size")?;
        let flink = read.size("flink.size")?;
        let process = match read.size("process.size")? {
            None if heap.is_none() && flink.is_none() && version.major() < 2 => legacy_heap(config, "jobmanager")?,
            process => process,
        };
        let off_heap_given = read.size("off-heap.size")?;
        let off_heap_default = off_heap_given.unwrap_or(128 * MIB);
        let outer = read.outer()?;
        let (heap, off_heap, shell) = match (heap, flink, process) {
            (Some(heap), Some(flink), _) => {
                let rest = flink
                    .checked_sub(heap)
                    .ok_or_else(|| read.wrong("heap.size is larger than flink.size; leave one of them out"))?;
                if off_heap_given.is_some_and(|given| given != rest) {
                    return Err(
                        read.wrong("heap.size and off-heap.size do not add up to flink.size; leave one of them out")
                    );
                }
                (heap, rest, outer.around(&read, flink, process)?)
            }
            (Some(heap), None, _) => {
                let flink = read.add(heap, off_heap_default)?;
                (heap, off_heap_default, outer.around(&read, flink, process)?)
            }
            (None, Some(flink), _) => {
                (heap_within(&read, flink, off_heap_default)?, off_heap_default, outer.around(&read, flink, process)?)
            }
            (None, None, Some(process)) => {
                let shell = outer.within(&read, process)?;
                let flink = process - shell.metaspace - shell.overhead;
                (heap_within(&read, flink, off_heap_default)?, off_heap_default, shell)
            }
            (None, None, None) => {
                return Err(Error::invalid(
                    "the memory of the JobManager is not configured; set jobmanager.memory.process.size, for example 1600m",
                ));
            }
        };
        Ok(Self {
            process: MemorySize::from_bytes(read.sum(&[heap, off_heap, shell.metaspace, shell.overhead])?),
            heap: MemorySize::from_bytes(heap),
            off_heap: MemorySize::from_bytes(off_heap),
            metaspace: MemorySize::from_bytes(shell.metaspace),
            overhead: MemorySize::from_bytes(shell.overhead),
            limits_direct_memory: config.get("jobmanager.memory.enable-jvm-direct-memory-limit").is_some_and(is_true),
        })
    }

    /// The options of the JVM.
    pub fn jvm_args(&self) -> Vec<String> {
        let mut args = vec![format!("-Xmx{}", self.heap.bytes()), format!("-Xms{}", self.heap.bytes())];
        if self.limits_direct_memory {
            args.push(format!("-XX:MaxDirectMemorySize={}", self.off_heap.bytes()));
        }
        args.push(format!("-XX:MaxMetaspaceSize={}", self.metaspace.bytes()));
        args
    }

    /// The `-D` properties of the entry point that agree with [`jvm_args`](Self::jvm_args).
    pub fn dynamic_properties(&self) -> Vec<(&'static str, String)> {
        vec![
            ("jobmanager.memory.off-heap.size", in_bytes(self.off_heap)),
            ("jobmanager.memory.jvm-overhead.min", in_bytes(self.overhead)),
            ("jobmanager.memory.jvm-metaspace.size", in_bytes(self.metaspace)),
            ("jobmanager.memory.heap.size", in_bytes(self.heap)),
            ("jobmanager.memory.jvm-overhead.max", in_bytes(self.overhead)),
        ]
    }
}

/// The memory of a TaskManager process (`TaskExecutorProcessSpec`).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskManagerMemory {
    /// Everything: what the container is asked for.
    pub process: MemorySize,
    /// Heap for tasks.
    pub task_heap: MemorySize,
    /// Direct and native memory for tasks.
    pub task_off_heap: MemorySize,
    /// Heap for Flink.
    pub framework_heap: MemorySize,
    /// Direct and native memory for Flink.
    pub framework_off_heap: MemorySize,
    /// Network buffers.
    pub network: MemorySize,
    /// Memory that Flink manages: state backends, sorting, Python.
    pub managed: MemorySize,
    /// The metaspace.
    pub metaspace: MemorySize,
    /// What is left to the JVM itself.
    pub overhead: MemorySize,
    /// Processors.
    pub cpu_cores: f64,
    /// Slots (`taskmanager.numberOfTaskSlots`).
    pub slots: u32,
    /// Names and amounts (`external-resources`, `external-resource.<name>.amount`).
    external_resources: Vec<(String, u64)>,
}

impl TaskManagerMemory {
    /// Derives all sizes from a configuration, as this version of Flink does.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) naming the keys that contradict
    /// each other, or that are missing.
    pub fn from_config(config: &FlinkConfig, version: &FlinkVersion) -> Result<Self> {
        let read = Reader { config, prefix: "taskmanager.memory." };
        let task_heap = read.size("task.heap.size")?;
        let managed = read.size("managed.size")?;
        let flink = read.size("flink.size")?;
        let process = read.size("process.size")?;
        let framework_heap = read.size("framework.heap.size")?.unwrap_or(128 * MIB);
        let framework_off_heap = read.size("framework.off-heap.size")?.unwrap_or(128 * MIB);
        let task_off_heap = read.size("task.off-heap.size")?.unwrap_or(0);
        let fixed = read.sum(&[framework_heap, framework_off_heap, task_off_heap])?;
        // The upper bound of network memory was lifted in 1.17 (`TaskManagerOptions.NETWORK_MEMORY_MAX`).
        let network_max = if version.at_least(1, 17) { i64::MAX as u64 } else { 1024 * MIB };
        let network_range = read.range("network", 64 * MIB, network_max, 0.1)?;
        let outer = read.outer()?;

        let (flink, shell) = match (flink, process) {
            _ if task_heap.is_some() && managed.is_some() => (flink, None),
            (Some(flink), _) => (Some(flink), None),
            (None, Some(process)) => {
                let shell = outer.within(&read, process)?;
                (Some(process - shell.metaspace - shell.overhead), Some(shell))
            }
            (None, None) => {
                return Err(Error::invalid(
                    "the memory of the TaskManager is not configured; set taskmanager.memory.process.size, for example 1728m",
                ));
            }
        };
        let parts = match (task_heap, managed, flink) {
            (Some(task_heap), Some(managed), None) => {
                let others = read.sum(&[fixed, task_heap, managed])?;
                Parts { task_heap, managed, network: network_range.inverse_of(others) }
            }
            (task_heap, managed, flink) => {
                let flink = flink.unwrap_or_default();
                let managed = match managed {
                    Some(managed) => managed,
                    None => times(flink, read.fraction("managed.fraction", 0.4)?),
                };
                match task_heap {
                    Some(task_heap) => {
                        let others = read.sum(&[fixed, task_heap, managed])?;
                        let network = flink.checked_sub(others).ok_or_else(|| read.too_small(flink, others))?;
                        if network < network_range.min || network > network_range.max {
                            return Err(read.wrong(&format!(
                                "what task.heap.size and managed.size leave to the network, {}, is not between \
                                 network.min and network.max ({} to {})",
                                MemorySize::from_bytes(network),
                                MemorySize::from_bytes(network_range.min),
                                MemorySize::from_bytes(network_range.max)
                            )));
                        }
                        Parts { task_heap, managed, network }
                    }
                    None => {
                        let network = network_range.of(flink);
                        let others = read.sum(&[fixed, managed, network])?;
                        let task_heap = flink.checked_sub(others).ok_or_else(|| read.too_small(flink, others))?;
                        Parts { task_heap, managed, network }
                    }
                }
            }
        };
        let flink = read.sum(&[fixed, parts.task_heap, parts.managed, parts.network])?;
        let shell = match shell {
            Some(shell) => shell,
            None => outer.around(&read, flink, process)?,
        };
        let slots = number(config, "taskmanager.numberOfTaskSlots", 1)?;
        let cpu_cores: f64 = number(config, "taskmanager.cpu.cores", f64::from(slots))?;
        if slots == 0 || cpu_cores.is_nan() || cpu_cores <= 0.0 {
            return Err(Error::invalid("taskmanager.numberOfTaskSlots and taskmanager.cpu.cores must be above 0"));
        }
        Ok(Self {
            process: MemorySize::from_bytes(read.sum(&[flink, shell.metaspace, shell.overhead])?),
            task_heap: MemorySize::from_bytes(parts.task_heap),
            task_off_heap: MemorySize::from_bytes(task_off_heap),
            framework_heap: MemorySize::from_bytes(framework_heap),
            framework_off_heap: MemorySize::from_bytes(framework_off_heap),
            network: MemorySize::from_bytes(parts.network),
            managed: MemorySize::from_bytes(parts.managed),
            metaspace: MemorySize::from_bytes(shell.metaspace),
            overhead: MemorySize::from_bytes(shell.overhead),
            cpu_cores,
            slots,
            external_resources: external_resources(config)?,
        })
    }

    /// The options of the JVM.
    pub fn jvm_args(&self) -> Vec<String> {
        let heap = self.framework_heap.bytes() + self.task_heap.bytes();
        let direct = self.framework_off_heap.bytes() + self.task_off_heap.bytes() + self.network.bytes();
        vec![
            format!("-Xmx{heap}"),
            format!("-Xms{heap}"),
            format!("-XX:MaxDirectMemorySize={direct}"),
            format!("-XX:MaxMetaspaceSize={}", self.metaspace.bytes()),
        ]
    }

    /// The `-D` properties of `TaskManagerRunner` that agree with [`jvm_args`](Self::jvm_args); it
    /// refuses to start without them (`TaskExecutorResourceUtils`).
    pub fn dynamic_properties(&self) -> Vec<(Cow<'static, str>, String)> {
        let names: Vec<&str> = self.external_resources.iter().map(|(name, _)| name.as_str()).collect();
        let external = if names.is_empty() { "none".to_owned() } else { names.join(";") };
        let fixed = [
            ("taskmanager.memory.network.min", in_bytes(self.network)),
            ("taskmanager.cpu.cores", format!("{:?}", self.cpu_cores)),
            ("taskmanager.memory.task.off-heap.size", in_bytes(self.task_off_heap)),
            ("taskmanager.memory.jvm-metaspace.size", in_bytes(self.metaspace)),
            ("external-resources", external),
            ("taskmanager.memory.jvm-overhead.min", in_bytes(self.overhead)),
            ("taskmanager.memory.framework.off-heap.size", in_bytes(self.framework_off_heap)),
            ("taskmanager.memory.network.max", in_bytes(self.network)),
            ("taskmanager.memory.framework.heap.size", in_bytes(self.framework_heap)),
            ("taskmanager.memory.managed.size", in_bytes(self.managed)),
            ("taskmanager.memory.task.heap.size", in_bytes(self.task_heap)),
            ("taskmanager.numberOfTaskSlots", self.slots.to_string()),
            ("taskmanager.memory.jvm-overhead.max", in_bytes(self.overhead)),
        ];
        let amounts = self
            .external_resources
            .iter()
            .map(|(name, amount)| (Cow::Owned(format!("external-resource.{name}.amount")), amount.to_string()));
        fixed.into_iter().map(|(key, value)| (Cow::Borrowed(key), value)).chain(amounts).collect()
    }
}

struct Parts {
    task_heap: u64,
    managed: u64,
    network: u64,
}

/// Metaspace and overhead: what lies around Flink's own memory.
struct Shell {
    metaspace: u64,
    overhead: u64,
}

struct Outer {
    metaspace: u64,
    overhead: Range,
}

impl Outer {
    fn within(&self, read: &Reader<'_>, process: u64) -> Result<Shell> {
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

    fn around(&self, read: &Reader<'_>, flink: u64, process: Option<u64>) -> Result<Shell> {
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

struct Range {
    min: u64,
    max: u64,
    fraction: f64,
}

impl Range {
    fn of(&self, base: u64) -> u64 {
        times(base, self.fraction).clamp(self.min, self.max)
    }

    fn inverse_of(&self, rest: u64) -> u64 {
        times(rest, self.fraction / (1.0 - self.fraction)).clamp(self.min, self.max)
    }
}

struct Reader<'a> {
    config: &'a FlinkConfig,
    prefix: &'static str,
}

impl Reader<'_> {
    fn size(&self, name: &str) -> Result<Option<u64>> {
        let key = format!("{}{name}", self.prefix);
        let Some(text) = self.config.get(&key) else { return Ok(None) };
        match MemorySize::from_str(text) {
            Ok(size) => Ok(Some(size.bytes())),
            Err(error) => Err(Error::invalid(format!("{key}: {}", error.message()))),
        }
    }

    fn fraction(&self, name: &str, default: f32) -> Result<f64> {
        let key = format!("{}{name}", self.prefix);
        let fraction = number(self.config, &key, default)?;
        if !(0.0..1.0).contains(&fraction) {
            return Err(Error::invalid(format!("{key} is {fraction}; it must be at least 0 and below 1")));
        }
        // Flink reads a float and computes with it as a double, and so must we.
        Ok(f64::from(fraction))
    }

    fn range(&self, name: &str, min: u64, max: u64, fraction: f32) -> Result<Range> {
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

    fn outer(&self) -> Result<Outer> {
        Ok(Outer {
            metaspace: self.size("jvm-metaspace.size")?.unwrap_or(256 * MIB),
            overhead: self.range("jvm-overhead", 192 * MIB, 1024 * MIB, 0.1)?,
        })
    }

    fn sum(&self, parts: &[u64]) -> Result<u64> {
        parts.iter().try_fold(0, |sum, part| self.add(sum, *part))
    }

    fn add(&self, a: u64, b: u64) -> Result<u64> {
        a.checked_add(b)
            .filter(|sum| i64::try_from(*sum).is_ok())
            .ok_or_else(|| self.wrong("the sizes add up to more than 2^63 - 1 bytes"))
    }

    fn too_small(&self, flink: u64, others: u64) -> Error {
        self.wrong(&format!(
            "Flink's memory of {} is too small for its parts, which need {}; raise process.size or flink.size, or lower \
             managed, network, task and framework sizes",
            MemorySize::from_bytes(flink),
            MemorySize::from_bytes(others)
        ))
    }

    fn wrong(&self, what: &str) -> Error {
        Error::invalid(format!("the keys {}* contradict each other: {what}", self.prefix))
    }
}

fn heap_within(read: &Reader<'_>, flink: u64, off_heap: u64) -> Result<u64> {
    match flink.checked_sub(off_heap) {
        Some(heap) if heap > 0 => Ok(heap),
        _ => Err(read.wrong(&format!(
            "Flink's memory of {} leaves no heap beside off-heap.size ({}); raise process.size or flink.size",
            MemorySize::from_bytes(flink),
            MemorySize::from_bytes(off_heap)
        ))),
    }
}

/// `jobmanager.heap.size` and `.mb` of 1.x stand for the whole process (`JobManagerProcessUtils`).
fn legacy_heap(config: &FlinkConfig, process: &str) -> Result<Option<u64>> {
    let key = format!("{process}.heap.size");
    if let Some(text) = config.get(&key) {
        let size = MemorySize::from_str(text).map_err(|e| Error::invalid(format!("{key}: {}", e.message())))?;
        return Ok(Some(size.bytes()));
    }
    let key = format!("{process}.heap.mb");
    match config.get(&key) {
        None => Ok(None),
        Some(_) => Ok(Some(MemorySize::from_mebibytes(number(config, &key, 0)?).bytes())),
    }
}

/// Resources without an amount are left out (`ExternalResourceUtils.getExternalResourceAmountMap`).
fn external_resources(config: &FlinkConfig) -> Result<Vec<(String, u64)>> {
    let names = match config.get("external-resources") {
        None | Some("none") => return Ok(Vec::new()),
        Some(text) => super::config::decode_list(text)?,
    };
    let mut found = Vec::new();
    for name in names {
        let key = format!("external-resource.{name}.amount");
        if config.contains(&key) {
            found.push((name, number(config, &key, 0)?));
        }
    }
    Ok(found)
}

fn number<T: FromStr>(config: &FlinkConfig, key: &str, default: T) -> Result<T> {
    match config.get(key) {
        None => Ok(default),
        Some(text) => text
            .trim()
            .parse()
            .map_err(|_| Error::invalid(format!("{key} is '{text}', which is no number of its kind"))),
    }
}

fn is_true(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("true")
}

fn in_bytes(size: MemorySize) -> String {
    format!("{}b", size.bytes())
}

/// `MemorySize.multiply`: exact in the shortest decimal form of the factor, cut to whole bytes.
fn times(base: u64, factor: f64) -> u64 {
    let text = format!("{factor}");
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let digits: u128 = format!("{whole}{decimals}").parse().unwrap_or(0);
    let Some(scale) = u32::try_from(decimals.len()).ok().and_then(|places| 10u128.checked_pow(places)) else {
        return 0;
    };
    let product = u128::from(base).checked_mul(digits).map_or(u128::MAX, |product| product / scale);
    u64::try_from(product).unwrap_or(i64::MAX as u64).min(i64::MAX as u64)
}

#[cfg(test)]
mod tests;
