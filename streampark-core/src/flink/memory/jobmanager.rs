//! The JobManager (`JobManagerProcessUtils`, `JobManagerFlinkMemoryUtils`).

use std::str::FromStr;

use super::sums::{MIB, Reader, in_bytes, number};
use crate::flink::{FlinkConfig, FlinkVersion, MemorySize};
use crate::{Error, Result};

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
            None if heap.is_none() && flink.is_none() && version.major() < 2 => legacy_heap(config)?,
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
fn legacy_heap(config: &FlinkConfig) -> Result<Option<u64>> {
    let key = "jobmanager.heap.size";
    if let Some(text) = config.get(key) {
        let size = MemorySize::from_str(text).map_err(|e| Error::invalid(format!("{key}: {}", e.message())))?;
        return Ok(Some(size.bytes()));
    }
    let key = "jobmanager.heap.mb";
    match config.get(key) {
        None => Ok(None),
        Some(_) => Ok(Some(MemorySize::from_mebibytes(number(config, key, 0)?).bytes())),
    }
}

fn is_true(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("true")
}
