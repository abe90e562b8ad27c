"""What Flink's REST interface answers: plain, immutable records in Flink's own words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from streampark import _streampark
from streampark._read import each, or_none, record, snake, time_or_none
from streampark.flink.config import FlinkConfig

__all__ = [
    "AggregatedMetric",
    "ApplicationOverview",
    "Cause",
    "Checkpoint",
    "CheckpointConfig",
    "Checkpoints",
    "ClusterConfig",
    "ClusterOverview",
    "ExceptionEntry",
    "Jar",
    "JobConfig",
    "JobDetail",
    "JobExceptions",
    "JobOverview",
    "JobVertex",
    "LogFile",
    "Metric",
    "RootCause",
    "SavepointStatus",
    "TaskManager",
    "UploadedJar",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Cause:
    """One link of a chain of Java exceptions."""

    class_name: str
    message: str


@dataclass(frozen=True)
class RootCause:
    """Why a job or a call failed, in Flink's own words.

    Attributes:
        class_name: The class of the innermost cause that means something.
        message: Its message, possibly of several lines.
        chain: Every exception from the outermost to the innermost.
        stacktrace: The trace as Flink printed it.
        task: The task that failed; None for a failure of the whole job.
        taskmanager: The TaskManager on which it failed.
        at: When, where Flink says so.
        labels: What the cluster's failure enrichers said.
    """

    class_name: str
    message: str
    chain: Sequence[Cause] = ()
    stacktrace: str = field(default="", repr=False)
    task: str | None = None
    taskmanager: str | None = None
    at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    @staticmethod
    def from_stacktrace(text: str) -> RootCause:
        """Reads a stack trace as Java prints it; text that is no trace becomes the message."""
        return root_cause_of(json.loads(_streampark.root_cause(text)))


@dataclass(frozen=True)
class ClusterOverview:
    """Slots and jobs of a cluster."""

    flink_version: str
    flink_commit: str = ""
    taskmanagers: int = 0
    slots_total: int = 0
    slots_available: int = 0
    jobs_running: int = 0
    jobs_finished: int = 0
    jobs_cancelled: int = 0
    jobs_failed: int = 0


@dataclass(frozen=True)
class ClusterConfig:
    """What a cluster is and allows."""

    flink_version: str
    flink_revision: str = ""
    refresh_interval: int = 0
    features: Mapping[str, bool] = field(default_factory=dict[str, bool])


@dataclass(frozen=True)
class TaskManager:
    """One TaskManager; resources in MiB, hardware in bytes."""

    id: str
    path: str = ""
    data_port: int = 0
    time_since_last_heartbeat: int = 0
    slots_number: int = 0
    free_slots: int = 0
    total_resource: Mapping[str, float] = field(default_factory=dict[str, float])
    free_resource: Mapping[str, float] = field(default_factory=dict[str, float])
    hardware: Mapping[str, int] = field(default_factory=dict[str, int])
    blocked: bool = False


@dataclass(frozen=True)
class LogFile:
    """One file of a log folder."""

    name: str
    size: int = 0
    mtime: int = 0


@dataclass(frozen=True)
class JobOverview:
    """One job of the overview; times in milliseconds since 1970, -1 where there is none."""

    jid: str
    name: str
    state: str
    start_time: int = 0
    end_time: int = -1
    duration: int = 0
    last_modification: int = 0
    tasks: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class ApplicationOverview:
    """One run of a program's main, since Flink 2.3; times in milliseconds since 1970, -1 where there is none."""

    id: str
    status: str
    name: str = ""
    start_time: int = 0
    end_time: int = -1

    @property
    def is_over(self) -> bool:
        """Whether the main is over, and every job of it."""
        return self.status in ("FAILED", "CANCELED", "FINISHED")


@dataclass(frozen=True)
class JobVertex:
    """One operator chain of a job."""

    id: str
    name: str
    status: str
    parallelism: int = 0
    max_parallelism: int = 0
    tasks: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class JobDetail:
    """One job; times in milliseconds since 1970, -1 where there is none."""

    jid: str
    name: str
    state: str
    job_type: str | None = None
    start_time: int = 0
    end_time: int = -1
    duration: int = 0
    now: int = 0
    timestamps: Mapping[str, int] = field(default_factory=dict[str, int])
    vertices: Sequence[JobVertex] = ()


@dataclass(frozen=True)
class JobConfig:
    """The configuration that a job runs with."""

    jid: str
    name: str
    execution_config: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ExceptionEntry:
    """One remembered failure, and failures of other tasks that came with it."""

    cause: RootCause
    concurrent: Sequence[RootCause] = ()


@dataclass(frozen=True)
class JobExceptions:
    """Why a job failed or restarted: what did it last, and what is still remembered."""

    root: RootCause | None = None
    history: Sequence[ExceptionEntry] = ()
    truncated: bool = False


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint or savepoint; times in milliseconds since 1970."""

    id: int
    status: str = ""
    is_savepoint: bool = False
    trigger_timestamp: int = 0
    latest_ack_timestamp: int = 0
    checkpointed_size: int = 0
    state_size: int = 0
    end_to_end_duration: int = 0
    checkpoint_type: str = ""
    external_path: str | None = None
    discarded: bool = False
    failure_timestamp: int | None = None
    failure_message: str | None = None


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a job; answers are up to 3 s old.

    Attributes:
        counts: How many, by ``total``, ``in_progress``, ``completed``, ``failed``, ``restored``.
        completed: The newest completed checkpoint.
        savepoint: The newest savepoint.
        failed: The newest failed one.
        history: What is still remembered, newest first.
    """

    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    completed: Checkpoint | None = None
    savepoint: Checkpoint | None = None
    failed: Checkpoint | None = None
    history: Sequence[Checkpoint] = ()


@dataclass(frozen=True)
class CheckpointConfig:
    """How a job takes checkpoints; times in milliseconds."""

    mode: str = ""
    interval: int = 0
    timeout: int = 0
    min_pause: int = 0
    max_concurrent: int = 0
    externalization: Mapping[str, bool] = field(default_factory=dict[str, bool])
    state_backend: str = ""
    checkpoint_storage: str = ""
    unaligned_checkpoints: bool = False
    tolerable_failed_checkpoints: int = 0


@dataclass(frozen=True)
class Metric:
    """One metric."""

    id: str
    value: str | None = None

    @property
    def number(self) -> float | None:
        """The value as a number; None where it is none."""
        try:
            return None if self.value is None else float(self.value)
        except ValueError:
            return None


@dataclass(frozen=True)
class AggregatedMetric:
    """One metric over all subtasks."""

    id: str
    min: float | None = None
    max: float | None = None
    avg: float | None = None
    sum: float | None = None


@dataclass(frozen=True)
class Jar:
    """One jar on a JobManager; ``uploaded`` in milliseconds since 1970, ``entries`` its programs' classes."""

    id: str
    name: str = ""
    uploaded: int = 0
    entries: Sequence[str] = ()


@dataclass(frozen=True)
class UploadedJar:
    """A jar that has been uploaded: its id, and its path on the JobManager's machine."""

    id: str
    path: str


@dataclass(frozen=True)
class SavepointStatus:
    """How far a savepoint is: done with a ``location``, failed with a ``failure``, or neither yet."""

    location: str | None = None
    failure: RootCause | None = None

    @property
    def in_progress(self) -> bool:
        """Whether it is not over."""
        return self.location is None and self.failure is None


def root_cause_of(value: Mapping[str, Any]) -> RootCause:
    def cause(link: Mapping[str, Any]) -> Cause:
        return Cause(link["class"], link["message"])

    return record(RootCause, {**value, "class_name": value["class"]}, chain=each(cause), at=time_or_none)


def of(cls: type[T], **nested: Callable[[Any], Any]) -> Callable[[Any], T]:
    return lambda value: record(cls, value, **nested)


def list_of(cls: type[T], **nested: Callable[[Any], Any]) -> Callable[[Any], list[T]]:
    return lambda values: [record(cls, value, **nested) for value in values]


def keys_of(value: Mapping[str, T]) -> dict[str, T]:
    return {snake(key): item for key, item in value.items()}


def checkpoints_of(value: Mapping[str, Any]) -> Checkpoints:
    read = or_none(of(Checkpoint))
    return record(
        Checkpoints,
        {**value, **value["latest"]},
        completed=read,
        savepoint=read,
        failed=read,
        history=each(of(Checkpoint)),
    )


def jar_of(value: Mapping[str, Any]) -> Jar:
    return record(Jar, {**value, "entries": [entry["name"] for entry in value.get("entry", [])]}, entries=tuple)


def exceptions_of(value: Mapping[str, Any]) -> JobExceptions:
    entry = of(ExceptionEntry, cause=root_cause_of, concurrent=each(root_cause_of))
    return record(JobExceptions, value, root=or_none(root_cause_of), history=each(entry))


def location_of(value: Mapping[str, Any]) -> str:
    return str(value["location"])


def config_of(value: Sequence[Mapping[str, str]]) -> FlinkConfig:
    return FlinkConfig([(entry["key"], entry["value"]) for entry in value])


def nothing_of(_: object) -> None:
    """The answer of a call that has none."""


task_managers_of = list_of(TaskManager, total_resource=keys_of, free_resource=keys_of, hardware=keys_of)
job_of = of(JobDetail, timestamps=keys_of, vertices=each(of(JobVertex, tasks=keys_of)))
savepoint_status_of = of(SavepointStatus, failure=root_cause_of)
