"""Flink's configuration, and the memory that follows from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from streampark import _streampark
from streampark._read import record
from streampark.flink.units import FlinkVersion, MemorySize, decode_list, encode_list, is_sensitive_key

__all__ = ["AnyConfig", "FlinkConfig", "JobManagerMemory", "TaskManagerMemory"]


class FlinkConfig(MutableMapping[str, str]):
    """A Flink configuration: texts in the order in which they were first set.

    Printing hides the values of keys that Flink hides itself.
    """

    def __init__(self, entries: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        self._entries: dict[str, str] = {}
        for key, value in dict(entries).items():
            self[key] = value

    @staticmethod
    def from_config_yaml(text: str) -> FlinkConfig:
        """Reads ``config.yaml`` as Flink 1.19 and later do."""
        return FlinkConfig(_streampark.config_from_config_yaml(text))

    @staticmethod
    def from_flink_conf_yaml(text: str) -> FlinkConfig:
        """Reads ``flink-conf.yaml`` as Flink up to 1.20 does."""
        return FlinkConfig(_streampark.config_from_flink_conf_yaml(text))

    def to_config_yaml(self) -> str:
        """Writes ``config.yaml`` for Flink 1.19 and later."""
        return _streampark.config_to_config_yaml(self._pairs())

    def to_flink_conf_yaml(self) -> str:
        """Writes ``flink-conf.yaml`` for Flink up to 1.20; refuses what that format would damage."""
        return _streampark.config_to_flink_conf_yaml(self._pairs())

    def to_file(self, version: FlinkVersion | str) -> tuple[str, str]:
        """The name of the file that this version of Flink reads, and its content."""
        return _streampark.config_to_file(self._pairs(), str(version))

    def get_list(self, key: str) -> list[str] | None:
        """The value of ``key`` as a list, in either notation."""
        return decode_list(self[key]) if key in self else None

    def set_list(self, key: str, items: Iterable[str], version: FlinkVersion | str) -> None:
        """Sets ``key`` to a list in the notation that this version of Flink reads best."""
        self[key] = encode_list(items, legacy=not FlinkVersion(str(version)).supports_config_yaml)

    def _pairs(self) -> list[tuple[str, str]]:
        return list(self._entries.items())

    def __getitem__(self, key: str) -> str:
        return self._entries[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._entries[key] = str(value).lower() if isinstance(value, bool) else str(value)

    def __delitem__(self, key: str) -> None:
        del self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __str__(self) -> str:
        return "".join(f"{key}: {self._shown(key)}\n" for key in self)

    def __repr__(self) -> str:
        return f"FlinkConfig({ {key: self._shown(key) for key in self}!r})"

    def _shown(self, key: str) -> str:
        return "******" if is_sensitive_key(key) else self[key]


AnyConfig = Union[FlinkConfig, Mapping[str, Any]]


def _entries(config: AnyConfig) -> list[tuple[str, str]]:
    return [*FlinkConfig(config).items()]


@dataclass(frozen=True)
class JobManagerMemory:
    """The memory of a JobManager process, as Flink derives it.

    Attributes:
        process: Everything: what the container is asked for.
        heap: The Java heap.
        off_heap: Direct and native memory.
        metaspace: The metaspace.
        overhead: What is left to the JVM itself.
        limits_direct_memory: Whether direct memory is bounded.
        jvm_args: The options of the JVM.
        dynamic_properties: The ``-D`` properties of the entry point that agree with them.
    """

    process: MemorySize
    heap: MemorySize
    off_heap: MemorySize
    metaspace: MemorySize
    overhead: MemorySize
    limits_direct_memory: bool
    jvm_args: Sequence[str]
    dynamic_properties: Mapping[str, str]

    @staticmethod
    def from_config(config: AnyConfig, version: FlinkVersion | str) -> JobManagerMemory:
        """Derives all sizes; raises :class:`~streampark.InvalidInputError` naming the keys that contradict."""
        answer = json.loads(_streampark.job_manager_memory(_entries(config), str(version)))
        sizes = dict.fromkeys(("process", "heap", "off_heap", "metaspace", "overhead"), MemorySize)
        return record(JobManagerMemory, answer, dynamic_properties=dict, **sizes)


@dataclass(frozen=True)
class TaskManagerMemory:
    """The memory of a TaskManager process, as Flink derives it.

    Attributes:
        process: Everything: what the container is asked for.
        task_heap: Heap for tasks.
        task_off_heap: Direct and native memory for tasks.
        framework_heap: Heap for Flink.
        framework_off_heap: Direct and native memory for Flink.
        network: Network buffers.
        managed: Memory that Flink manages: state backends, sorting, Python.
        metaspace: The metaspace.
        overhead: What is left to the JVM itself.
        cpu_cores: Processors.
        slots: Slots.
        jvm_args: The options of the JVM.
        dynamic_properties: The ``-D`` properties that agree with them.
    """

    process: MemorySize
    task_heap: MemorySize
    task_off_heap: MemorySize
    framework_heap: MemorySize
    framework_off_heap: MemorySize
    network: MemorySize
    managed: MemorySize
    metaspace: MemorySize
    overhead: MemorySize
    cpu_cores: float
    slots: int
    jvm_args: Sequence[str]
    dynamic_properties: Mapping[str, str]

    @staticmethod
    def from_config(config: AnyConfig, version: FlinkVersion | str) -> TaskManagerMemory:
        """Derives all sizes; raises :class:`~streampark.InvalidInputError` naming the keys that contradict."""
        answer = json.loads(_streampark.task_manager_memory(_entries(config), str(version)))
        heap = ("task_heap", "task_off_heap", "framework_heap", "framework_off_heap")
        sizes = dict.fromkeys(("process", *heap, "network", "managed", "metaspace", "overhead"), MemorySize)
        return record(TaskManagerMemory, answer, dynamic_properties=dict, **sizes)
