"""What StreamPark answers: plain, immutable records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, overload

from streampark._html import pre, table
from streampark.spec import Dependency, JobSpec

__all__ = [
    "Alert",
    "Capability",
    "ChannelStatus",
    "ClusterInfo",
    "ClusterList",
    "ClusterView",
    "Delivery",
    "Event",
    "Failure",
    "History",
    "JobList",
    "JobStatus",
    "Message",
    "Observation",
    "Operation",
    "Pin",
    "Plan",
    "RestorePoint",
    "Run",
    "SpecVersion",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """Why a run ended badly.

    Attributes:
        message: The root exception's message, or the engine's own words.
        class_name: The class of the root exception; empty where the reason is no exception.
        detail: The whole stack trace or log tail, at most 64 KiB.
        task: The task that threw.
        at: When it happened.
        labels: Labels of Flink's failure enrichers.
        class_of: ``"fatal"`` where the same submission would fail again, ``"environment"`` or ``"unknown"``.
    """

    message: str
    class_name: str = ""
    detail: str | None = None
    task: str | None = None
    at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    class_of: str = "unknown"

    def __str__(self) -> str:
        return f"{self.class_name}: {self.message}" if self.class_name else self.message


@dataclass(frozen=True)
class RestorePoint:
    """A checkpoint or savepoint that a run can start from.

    Attributes:
        kind: ``"checkpoint"`` or ``"savepoint"``.
        path: The folder that holds ``_metadata``.
        completed_at: When Flink completed it.
        checkpoint_id: Flink's checkpoint id.
        size_bytes: Bytes of state, where Flink says.
        run: The run that wrote it.
        flink_job: The JobID that wrote it.
        verification: ``"present"``, ``"missing"`` or ``"unchecked"``.
    """

    kind: str
    path: str
    completed_at: datetime
    checkpoint_id: int | None = None
    size_bytes: int | None = None
    run: str | None = None
    flink_job: str | None = None
    verification: str = "unchecked"

    def __str__(self) -> str:
        return f"{self.kind} {self.path if self.checkpoint_id is None else self.checkpoint_id}"


@dataclass(frozen=True)
class Pin:
    """What one dependency of a spec stood for when a run was intended.

    Attributes:
        named: The dependency, as the spec has it.
        exact: The same in words that give the same jars at any later time.
        facts: What people want to know of it: ``commit``, ``branch``, ``build``, ``artifact``, ``version``.
    """

    named: Dependency
    exact: Sequence[Dependency]
    facts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Run:
    """One submission of a job.

    Attributes:
        key: Job and generation.
        generation: Counts the submissions of the job, from 1.
        flink_job: Flink's JobID.
        deployment: The engine's place of the run, for example a YARN application id.
        cluster: The cluster's name.
        spec_version: The version of the spec that was submitted.
        phase: ``"INTENDED"``, ``"ACCEPTED"``, ``"RUNNING"`` or ``"ENDED"``.
        restored_from: Where it started from; None is empty.
        intended_at: When the intent was written.
        accepted_at: When the cluster accepted it.
        running_at: When it was first seen running.
        ended_at: When its end was recorded.
        outcome: The state in which it ended.
        failure: Why it failed.
        attempts: Attempts to send the submission.
        tasks_until: Its tasks may go on until then, though it is over: no run is started before.
        pins: What the names in its spec stand for in this run: commits, artifacts, versions.
    """

    key: str
    generation: int
    flink_job: str
    deployment: str | None
    cluster: str
    spec_version: int
    phase: str
    restored_from: RestorePoint | None
    intended_at: datetime
    accepted_at: datetime | None = None
    running_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str | None = None
    failure: Failure | None = None
    attempts: int = 0
    tasks_until: datetime | None = None
    pins: Sequence[Pin] = ()


@dataclass(frozen=True)
class Event:
    """One row of the history.

    Attributes:
        sequence: Position in the history.
        at: When.
        kind: What, for example ``"state_changed"``.
        actor: Who.
        message: One line for people.
        job: The job's id.
        job_name: The job's name at that time.
        run: The run's key.
        cluster: The cluster's name.
        from_state: The state before.
        to_state: The state after.
        error: What went wrong, in one line.
        data: Facts for tools.
    """

    sequence: int
    at: datetime
    kind: str
    actor: str
    message: str
    job: str | None = None
    job_name: str | None = None
    run: str | None = None
    cluster: str | None = None
    from_state: str | None = None
    to_state: str | None = None
    error: str | None = None
    data: Any = None


@dataclass(frozen=True)
class SpecVersion:
    """One version of a job's spec.

    Attributes:
        version: From 1, without gaps.
        spec: The spec.
        actor: Who wrote it.
        at: When.
    """

    version: int
    spec: JobSpec
    actor: str
    at: datetime


@dataclass(frozen=True)
class Operation:
    """What is being done to a run on somebody's request.

    Attributes:
        kind: ``"savepoint"``, ``"stop: savepoint"``, ``"stop: cancel"``, ``"replace: savepoint"``, …
        run: The run's key.
        actor: Who asked.
        at: When.
        attempts: Attempts to send it.
        trouble: What came of the last attempt, where that was not what was asked for; it is made again.
    """

    kind: str
    run: str
    actor: str
    at: datetime
    attempts: int = 0
    trouble: str | None = None


@dataclass(frozen=True)
class JobStatus:
    """Where a job stands.

    Attributes:
        id: The job's identity.
        name: The job's name.
        state: For example ``"RUNNING"``.
        desired: What its owner wants: ``"RUNNING"``, ``"SUSPENDED"`` or ``"CANCELLED"``.
        knowledge: What is known of its newest run: ``"observed"``, ``"unreachable"``, ``"absent"`` or ``"unknown"``.
        knowledge_since: Since when that is known.
        generation: Counts its submissions; 0 before the first.
        spec_version: The version of the spec that the next run uses.
        created_at: When it was created.
        changed_at: When the state last changed.
        cluster: The cluster of its spec.
        owner: Who answers for it.
        reason: Why it stands where it stands.
        incident: What people have been told of and is not over.
        operation: What is being done to it.
        restarts: Restarts since the count last started anew.
        next_at: When the next run is submitted, while it backs off.
        run: Its newest run.
    """

    id: str
    name: str
    state: str
    desired: str
    knowledge: str
    knowledge_since: datetime | None
    generation: int
    spec_version: int
    created_at: datetime
    changed_at: datetime
    cluster: str = ""
    owner: str | None = None
    reason: str | None = None
    incident: str | None = None
    operation: Operation | None = None
    restarts: int = 0
    next_at: datetime | None = None
    run: Run | None = None

    def _repr_html_(self) -> str:
        names = ("state", "desired", "knowledge", "cluster", "owner", "generation", "changed_at", "reason")
        return table(("", self.name), [(name, getattr(self, name)) for name in names])


@dataclass(frozen=True)
class ClusterView:
    """How a cluster answers.

    Attributes:
        name: Its name here.
        answered_at: When it last answered.
        unreachable_since: Since when it counts as unreachable; None where it answers.
        ended: Why it has ended, where it is a session that has.
        last_error: Why the last question failed.
        watched: Live runs of ours that are watched there.
        late_ticks: Questions that began late.
    """

    name: str
    answered_at: datetime | None = None
    unreachable_since: datetime | None = None
    ended: str | None = None
    last_error: str | None = None
    watched: int = 0
    late_ticks: int = 0


@dataclass(frozen=True)
class ClusterInfo:
    """What a cluster is; what is not known before the first contact is None until then.

    Attributes:
        kind: ``"standalone"``, ``"local"``, ``"memory"``, …
        location: Where it is: an address, a queue, a namespace.
        flink_version: The Flink that runs there.
        web_url: Where people look.
        orphan_timeout: How long tasks may outlive their JobManager, in seconds.
    """

    kind: str
    location: str
    flink_version: str | None = None
    web_url: str | None = None
    orphan_timeout: float = 60.0


@dataclass(frozen=True)
class Capability:
    """What a cluster can do.

    Attributes:
        session: Several runs share one JobManager.
        application: Each run has a JobManager of its own.
        fenced_submit: Refuses a second submission with a JobID that it knows.
        reserve: Gives out a deployment before anything is sent.
        job_config: Takes Flink configuration with each submission.
        savepoint: Takes savepoints while the job runs.
        stop_with_savepoint: Stops with a savepoint.
        drain: Stops with ``--drain``.
        restore: Starts from a restore point.
        verify_restore_points: Sees whether a restore point's files exist.
        logs: Gives the engine's logs.
        python: Starts PyFlink programs.
        extra_jars: Takes jars beside the main one.
    """

    session: bool = False
    application: bool = False
    fenced_submit: bool = False
    reserve: bool = False
    job_config: bool = False
    savepoint: bool = False
    stop_with_savepoint: bool = False
    drain: bool = False
    restore: bool = False
    verify_restore_points: bool = False
    logs: bool = False
    python: bool = False
    extra_jars: bool = False


@dataclass(frozen=True)
class Observation:
    """One run as a cluster sees it, whoever started it.

    Attributes:
        name: The name that the engine shows.
        status: ``"Starting"``, ``"Running"``, ``"Restarting"``, ``"Cancelling"``, ``"Failed"``, ``"Canceled"``,
            ``"Finished"``, or the word of a newer engine.
        engine_status: The status in the engine's words.
        at: When this was learnt.
        flink_job: Flink's JobID.
        deployment: The engine's place of the run.
        key: Our run, where the engine carries our tag.
        started_at: When it started, by the engine's clock.
        ended_at: When it ended, by the engine's clock.
        tasks: Tasks running, and tasks in all.
        note: A word from the engine worth showing.
        tasks_until: Of a run that is over: its tasks may go on until then, because the engine lost sight of them.
        copies: Deployments that carried this run's tag too, and that the cluster ended for it.
    """

    name: str
    status: str
    engine_status: str
    at: datetime
    flink_job: str | None = None
    deployment: str | None = None
    key: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    tasks: tuple[int, int] | None = None
    note: str | None = None
    tasks_until: datetime | None = None
    copies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alert:
    """What people are told.

    Attributes:
        id: Identity, the same on every attempt to deliver it.
        incident: What belongs together: a failure and the news that it is over carry the same text.
        kind: ``"job_failed"``, ``"job_recovered"``, ``"crash_loop"``, ``"cluster_unreachable"``, ``"cluster_ended"``, …
        severity: ``"info"``, ``"warning"``, ``"error"`` or ``"critical"``.
        title: One line for people.
        at: When it happened.
        job: The job's id.
        job_name: The job's name.
        run: The run's key.
        cluster: The cluster's name.
        owner: Who answers for the job.
        cause: The root cause.
        action: What was done about it, or what a person has to do.
        links: Named links.
    """

    id: str
    incident: str
    kind: str
    severity: str
    title: str
    at: datetime
    job: str | None = None
    job_name: str | None = None
    run: str | None = None
    cluster: str | None = None
    owner: str | None = None
    cause: Failure | None = None
    action: str | None = None
    links: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Message:
    """What a channel is asked to say: one alert, or several together where there are too many.

    Attributes:
        id: The same on every attempt, for receivers that tell repeats apart.
        alerts: The alerts, oldest first; never empty.
        attempt: Which attempt this is, from 1.
    """

    id: str
    alerts: tuple[Alert, ...]
    attempt: int = 1


@dataclass(frozen=True)
class Delivery:
    """One alert on its way to one channel.

    Attributes:
        id: Identity, the same on every attempt.
        channel: The channel's name.
        alert: What is to be said.
        state: ``"pending"``, ``"delivered"`` or ``"dead"``.
        attempts: Attempts made.
        next_at: Not before this time.
        last_error: Why the last attempt failed.
        delivered_at: When the other side accepted it.
    """

    id: str
    channel: str
    alert: Alert
    state: str
    attempts: int
    next_at: datetime
    last_error: str | None = None
    delivered_at: datetime | None = None


@dataclass(frozen=True)
class ChannelStatus:
    """How a channel is doing.

    Attributes:
        name: Its name here.
        kind: ``"webhook"``, ``"dingtalk"``, ``"log"``, or that of a channel of your own.
        failing: Whether its last attempt failed.
        delivered: Messages accepted by the other side since it was added.
        dead: Messages given up since it was added.
        last_error: Why the last failed attempt failed.
    """

    name: str
    kind: str
    failing: bool = False
    delivered: int = 0
    dead: int = 0
    last_error: str | None = None


class Rows(Sequence[T]):
    """An immutable sequence that prints as a table in a notebook."""

    _columns: tuple[str, ...] = ()

    def __init__(self, rows: Sequence[T]) -> None:
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[T]:
        return iter(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._rows == other._rows

    def __hash__(self) -> int:
        return hash(self._rows)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._rows)!r})"

    def _repr_html_(self) -> str:
        return table(self._columns, [[getattr(row, column) for column in self._columns] for row in self._rows])


class History(Rows[Event]):
    """Events: a table in a notebook, one line each when printed."""

    _columns = ("at", "kind", "job_name", "from_state", "to_state", "actor", "message", "error")

    def __str__(self) -> str:
        return "\n".join(f"{event.at:%Y-%m-%d %H:%M:%S} {event.actor:<12} {event.message}" for event in self)


class JobList(Rows[JobStatus]):
    """Jobs in order of their names: a table in a notebook."""

    _columns = ("name", "state", "desired", "knowledge", "cluster", "owner", "generation", "changed_at", "reason")


class ClusterList(Rows[ClusterView]):
    """Clusters in order of their names: a table in a notebook."""

    _columns = ("name", "answered_at", "unreachable_since", "last_error", "watched", "late_ticks")


@dataclass(frozen=True)
class Plan:
    """Exactly what a submission would send, secrets masked.

    Attributes:
        cluster: The cluster's kind and place.
        job: The job's name.
        steps: The requests, in order: ``purpose``, ``method``, ``target`` and ``body``.
        notes: What the reader should know.
    """

    cluster: str
    job: str
    steps: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = ()
    text: str = field(default="", repr=False, compare=False)
    yaml: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data."""
        plain = {"cluster": self.cluster, "job": self.job, "steps": list(self.steps)}
        return {**plain, "notes": list(self.notes)} if self.notes else plain

    def to_json(self) -> str:
        """The plan as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def to_yaml(self) -> str:
        """The plan as YAML."""
        return self.yaml

    def _repr_html_(self) -> str:
        return pre(self.text)
