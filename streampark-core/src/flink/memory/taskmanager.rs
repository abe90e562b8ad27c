//! The TaskManager (`TaskExecutorProcessUtils`, `TaskExecutorFlinkMemoryUtils`).

use std::borrow::Cow;

use super::sums::{MIB, Reader, in_bytes, number, times};
use crate::flink::{FlinkConfig, FlinkVersion, MemorySize, decode_list};
use crate::{Error, Result};

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

/// Resources without an amount are left out (`ExternalResourceUtils.getExternalResourceAmountMap`).
fn external_resources(config: &FlinkConfig) -> Result<Vec<(String, u64)>> {
    let names = match config.get("external-resources") {
        None | Some("none") => return Ok(Vec::new()),
        Some(text) => decode_list(text)?,
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
