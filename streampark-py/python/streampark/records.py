"""What StreamPark answers: plain, immutable records."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeVar, overload

from streampark._html import Table, escape, table
from streampark.spec import JobSpec

__all__ = ["Event", "Failure", "History", "JobList", "JobStatus", "Plan", "RestorePoint", "Run", "SpecVersion"]

T = TypeVar("T")


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    head, _, rest = text.removesuffix("Z").partition(".") if hasattr(text, "removesuffix") else (text[:-1], "", "")
    micros = int((rest + "000000")[:6]) if rest else 0
    return datetime.strptime(head, "%Y-%m-%dT%H:%M:%S").replace(microsecond=micros, tzinfo=timezone.utc)


def _at(text: str) -> datetime:
    time = _time(text)
    return time if time is not None else datetime.fromtimestamp(0, timezone.utc)


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
        fatal: Whether the same submission would fail again.
    """

    message: str
    class_name: str = ""
    detail: str | None = None
    task: str | None = None
    at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    fatal: bool = False

    def __str__(self) -> str:
        return f"{self.class_name}: {self.message}" if self.class_name else self.message


@dataclass(frozen=True)
class RestorePoint:
    """A checkpoint or savepoint that a run can start from.

    Attributes:
        kind: ``"checkpoint"`` or ``"savepoint"``.
        path: The folder that holds ``_metadata``.
        checkpoint_id: Flink's checkpoint id.
        completed_at: When Flink completed it.
        size_bytes: Bytes of state, where Flink says.
        run: The run that wrote it.
        verification: ``"present"``, ``"missing"`` or ``"unchecked"``.
    """

    kind: str
    path: str
    completed_at: datetime
    checkpoint_id: int | None = None
    size_bytes: int | None = None
    run: str | None = None
    verification: str = "unchecked"


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
    accepted_at: datetime | None
    running_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    failure: Failure | None


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
class JobStatus:
    """Where a job stands.

    Attributes:
        id: The job's identity.
        name: The job's name.
        state: For example ``"RUNNING"``; see ``docs/architecture.md`` for all states.
        desired: ``"RUNNING"``, ``"SUSPENDED"`` or ``"CANCELLED"``.
        knowledge: ``"observed"``, ``"unreachable"``, ``"absent"`` or ``"unknown"``.
        knowledge_since: Since when that is known.
        generation: The newest run; 0 before the first.
        spec_version: The version of the spec that the next run uses.
        reason: Why it stands where it stands.
        changed_at: When the state last changed.
        cluster: The cluster of its spec.
        owner: Who answers for it.
    """

    id: str
    name: str
    state: str
    desired: str
    knowledge: str
    knowledge_since: datetime | None
    generation: int
    spec_version: int
    reason: str | None
    changed_at: datetime
    cluster: str = ""
    owner: str | None = None

    def _repr_html_(self) -> str:
        rows = [(name, getattr(self, name)) for name in ("state", "desired", "cluster", "owner", "generation", "reason")]
        return table(Table(("", escape(self.name)), rows))


class _Rows(Sequence[T]):
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
        return isinstance(other, _Rows) and self._rows == other._rows  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]

    def __hash__(self) -> int:
        return hash(self._rows)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._rows)!r})"

    def _repr_html_(self) -> str:
        rows = [[getattr(row, column) for column in self._columns] for row in self._rows]
        return table(Table(self._columns, rows))


class History(_Rows[Event]):
    """Events, newest first: a table in a notebook."""

    _columns = ("at", "kind", "from_state", "to_state", "actor", "message", "error")

    def __str__(self) -> str:
        return "\n".join(f"{event.at:%Y-%m-%d %H:%M:%S} {event.actor:<12} {event.message}" for event in self)


class JobList(_Rows[JobStatus]):
    """Jobs in order of their names: a table in a notebook."""

    _columns = ("name", "state", "desired", "cluster", "owner", "generation", "changed_at", "reason")


@dataclass(frozen=True)
class Plan:
    """Exactly what a submission would send, secrets masked.

    Attributes:
        cluster: The cluster's kind and place.
        job: The job's name.
        steps: The requests, in order.
        notes: What the reader should know.
    """

    cluster: str
    job: str
    steps: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    text: str = field(repr=False, compare=False)
    yaml: str = field(repr=False, compare=False)

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data."""
        return {"cluster": self.cluster, "job": self.job, "steps": list(self.steps), "notes": list(self.notes)}

    def to_json(self) -> str:
        """The plan as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def to_yaml(self) -> str:
        """The plan as YAML."""
        return self.yaml

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.text)}</pre>"


def failure_of(value: Mapping[str, Any] | None) -> Failure | None:
    """The failure in a native answer."""
    if value is None:
        return None
    return Failure(
        message=value["message"],
        class_name=value.get("class", ""),
        detail=value.get("detail"),
        task=value.get("task"),
        at=_time(value.get("at")),
        labels=value.get("labels", {}),
        fatal=value.get("class_of") == "fatal",
    )


def restore_point_of(value: Mapping[str, Any]) -> RestorePoint:
    """The restore point in a native answer."""
    names = {f.name for f in dataclasses.fields(RestorePoint)}
    known = {name: item for name, item in value.items() if name in names}
    return RestorePoint(**{**known, "completed_at": _at(value["completed_at"])})


def run_of(value: Mapping[str, Any]) -> Run:
    """The run in a native answer."""
    restored = value.get("restored_from")
    key = value["run"]["key"]
    return Run(
        key=key,
        generation=int(key.rpartition("/")[2]),
        flink_job=value["run"]["flink_job"],
        deployment=value["run"].get("deployment"),
        cluster=value["cluster"],
        spec_version=value["spec_version"],
        phase=value["phase"],
        restored_from=restore_point_of(restored) if restored else None,
        intended_at=_at(value["intended_at"]),
        accepted_at=_time(value.get("accepted_at")),
        running_at=_time(value.get("running_at")),
        ended_at=_time(value.get("ended_at")),
        outcome=value.get("outcome"),
        failure=failure_of(value.get("failure")),
    )


def event_of(value: Mapping[str, Any]) -> Event:
    """The event in a native answer."""
    return Event(
        sequence=value["sequence"],
        at=_at(value["at"]),
        kind=value["kind"],
        actor=value["actor"],
        message=value["message"],
        job=value.get("job"),
        job_name=value.get("job_name"),
        run=value.get("run"),
        cluster=value.get("cluster"),
        from_state=value.get("from"),
        to_state=value.get("to"),
        error=value.get("error"),
        data=value.get("data"),
    )


def version_of(value: Mapping[str, Any]) -> SpecVersion:
    """The spec version in a native answer."""
    return SpecVersion(value["version"], JobSpec.from_dict(value["spec"]), value["actor"], _at(value["at"]))


def status_of(value: Mapping[str, Any]) -> JobStatus:
    """The job status in a native answer."""
    return JobStatus(
        id=value["id"],
        name=value["name"],
        state=value["state"],
        desired=value["desired"],
        knowledge=value["knowledge"],
        knowledge_since=_time(value.get("knowledge_since")),
        generation=value["generation"],
        spec_version=value["spec_version"],
        reason=value.get("reason"),
        changed_at=_at(value["changed_at"]),
        cluster=value.get("cluster", ""),
        owner=value.get("owner"),
    )


def plan_of(value: Mapping[str, Any]) -> Plan:
    """The plan in a native answer."""
    plan = value["plan"]
    return Plan(plan["cluster"], plan["job"], plan["steps"], plan.get("notes", []), value["text"], value["yaml"])
