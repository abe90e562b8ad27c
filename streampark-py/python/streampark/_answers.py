"""Answers of the engine, which are JSON, as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from streampark._read import each, or_none, record, time_of, time_or_none
from streampark.exceptions import InvalidInputError
from streampark.records import (
    Alert,
    ChannelStatus,
    ClusterList,
    ClusterView,
    Delivery,
    Event,
    Failure,
    History,
    JobList,
    JobStatus,
    Message,
    Observation,
    Operation,
    Pin,
    Plan,
    RestorePoint,
    Run,
    SpecVersion,
)
from streampark.spec import JobSpec, plain_dependency


def failure_of(value: Mapping[str, Any]) -> Failure:
    """The failure in a native answer."""
    return record(Failure, {**value, "class_name": value.get("class", "")}, at=time_or_none)


def restore_point_of(value: Mapping[str, Any]) -> RestorePoint:
    """The restore point in a native answer."""
    return record(RestorePoint, value, completed_at=time_of)


def run_of(value: Mapping[str, Any]) -> Run:
    """The run in a native answer."""
    who = value["run"]
    plain = {
        **value,
        "key": who["key"],
        "generation": int(who["key"].rpartition("/")[2]),
        "flink_job": who["flink_job"],
        "deployment": who.get("deployment"),
    }
    times = dict.fromkeys(("accepted_at", "running_at", "ended_at", "tasks_until"), time_or_none)
    return record(
        Run,
        plain,
        restored_from=or_none(restore_point_of),
        failure=or_none(failure_of),
        intended_at=time_of,
        pins=each(pin_of),
        **times,
    )


def pin_of(value: Mapping[str, Any]) -> Pin:
    """The pin in a native answer."""
    return record(Pin, value, named=plain_dependency, exact=each(plain_dependency))


def event_of(value: Mapping[str, Any]) -> Event:
    """The event in a native answer."""
    return record(Event, {**value, "from_state": value.get("from"), "to_state": value.get("to")}, at=time_of)


def history_of(values: Sequence[Mapping[str, Any]]) -> History:
    """The events in a native answer."""
    return History([event_of(value) for value in values])


def version_of(value: Mapping[str, Any]) -> SpecVersion:
    """The spec version in a native answer."""
    return record(SpecVersion, value, spec=JobSpec.from_dict, at=time_of)


def _operation_of(value: Mapping[str, Any]) -> Operation:
    kind = value["kind"]
    word = kind if isinstance(kind, str) else ", ".join(f"{what}: {how}" for what, how in kind.items())
    return record(Operation, {**value, "kind": word}, at=time_of)


def status_of(value: Mapping[str, Any]) -> JobStatus:
    """The job status in a native answer."""
    job, spec, knowledge = value["job"], value["spec"], value["knowledge"]
    word, since = (knowledge, None) if isinstance(knowledge, str) else next(iter(knowledge.items()))
    plain = {
        **job,
        "knowledge": word,
        "knowledge_since": since,
        "cluster": spec["cluster"],
        "owner": spec.get("owner"),
        "restarts": job["restarts"]["consecutive"],
        "next_at": job["restarts"]["next_at"],
        "run": value.get("run"),
    }
    times = dict.fromkeys(("knowledge_since", "next_at"), time_or_none)
    return record(
        JobStatus,
        plain,
        operation=or_none(_operation_of),
        run=or_none(run_of),
        created_at=time_of,
        changed_at=time_of,
        **times,
    )


def jobs_of(values: Sequence[Mapping[str, Any]]) -> JobList:
    """The jobs in a native answer."""
    return JobList([status_of(value) for value in values])


def clusters_of(values: Sequence[Mapping[str, Any]]) -> ClusterList:
    """The clusters in a native answer."""
    times = dict.fromkeys(("answered_at", "unreachable_since"), time_or_none)
    return ClusterList([record(ClusterView, value, **times) for value in values])


def observation_of(value: Mapping[str, Any]) -> Observation:
    """The observation in a native answer."""
    status = value["status"]
    word = status if isinstance(status, str) else next(iter(status.values()))
    times = dict.fromkeys(("started_at", "ended_at", "tasks_until"), time_or_none)
    return record(Observation, {**value, "status": word}, at=time_of, tasks=or_none(tuple), copies=tuple, **times)


def alert_of(value: Mapping[str, Any]) -> Alert:
    """The alert in a native answer."""
    return record(Alert, value, cause=or_none(failure_of), at=time_of)


def message_of(value: Mapping[str, Any]) -> Message:
    """The message in a native answer."""
    return record(Message, value, alerts=each(alert_of))


def delivery_of(value: Mapping[str, Any]) -> Delivery:
    """The delivery in a native answer."""
    return record(Delivery, value, alert=alert_of, next_at=time_of, delivered_at=time_or_none)


def plan_of(value: Mapping[str, Any]) -> Plan:
    """The plan in a native answer."""
    return record(Plan, {**value["plan"], "text": value["text"], "yaml": value["yaml"]}, notes=tuple)


def channels_of(values: Sequence[Mapping[str, Any]]) -> list[ChannelStatus]:
    """The channels in a native answer."""
    return [record(ChannelStatus, value) for value in values]


def plain_time(value: datetime) -> str:
    """A time as the native half reads it."""
    if value.tzinfo is None:
        raise InvalidInputError(f"the time {value.isoformat()} has no time zone; give it one, for example UTC")
    return value.isoformat()


def _plain_time_or_none(value: datetime | None) -> str | None:
    return None if value is None else plain_time(value)


def plain_failure(value: Failure) -> dict[str, Any]:
    """A failure as the native half reads it."""
    return {
        "class": value.class_name,
        "message": value.message,
        "detail": value.detail,
        "task": value.task,
        "at": _plain_time_or_none(value.at),
        "labels": dict(value.labels),
        "class_of": value.class_of,
    }


def plain_restore_point(value: RestorePoint) -> dict[str, Any]:
    """A restore point as the native half reads it."""
    return {**vars(value), "completed_at": plain_time(value.completed_at)}


_STATUSES = frozenset({"Starting", "Running", "Restarting", "Cancelling", "Failed", "Canceled", "Finished"})


def plain_observation(value: Observation) -> dict[str, Any]:
    """An observation as the native half reads it."""
    return {
        **vars(value),
        "status": value.status if value.status in _STATUSES else {"Unknown": value.status},
        "at": plain_time(value.at),
        "started_at": _plain_time_or_none(value.started_at),
        "ended_at": _plain_time_or_none(value.ended_at),
        "tasks_until": _plain_time_or_none(value.tasks_until),
    }
