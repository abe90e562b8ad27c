"""What the waiting and the awaited classes share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, Union

from streampark import _streampark
from streampark._read import Duration, seconds
from streampark.channels import AnyChannel, native_channel
from streampark.clusters import Cluster
from streampark.options import DispatcherOptions, SupervisorOptions, options_to_json
from streampark.spec import (
    Dependency,
    JarProgram,
    JobSpec,
    Program,
    SpecFields,
    SqlProgram,
    dependency_of,
    program_to_json,
)
from streampark.stores import AnyStore, MemoryStore, SqliteStore

StateName = Literal[
    "NEW",
    "SUBMITTING",
    "IN_DOUBT",
    "STARTING",
    "RUNNING",
    "RESTARTING",
    "STOPPING",
    "CANCELLING",
    "BACKING_OFF",
    "FAILED",
    "PARKED",
    "SUSPENDED",
    "CANCELED",
    "FINISHED",
]

ProgramKind = Callable[[Mapping[str, Any]], Union[JarProgram, SqlProgram]]
"""Turns the options of a :class:`~streampark.CustomProgram` into a program of a shipped kind."""

Resolver = Callable[[Dependency], Union[str, Path, Sequence[Union[str, Path]]]]
"""Finds the jars behind a name: an artifact of a project, a resource, Maven coordinates; the main one first."""


def store_of(store: AnyStore) -> _streampark.Pending[_streampark.Store] | _streampark.Store:
    """The native store, or the call that opens it."""
    if isinstance(store, MemoryStore):
        return store._native  # pyright: ignore[reportPrivateUsage]
    if store is None:
        return _streampark.Store.memory()
    file = store if isinstance(store, SqliteStore) else SqliteStore(store)
    return file._open()  # pyright: ignore[reportPrivateUsage]


def cluster_of(cluster: Cluster) -> _streampark.Cluster:
    """The native cluster."""
    return cluster._native()  # pyright: ignore[reportPrivateUsage]


def builder_of(
    *,
    clusters: Mapping[str, Cluster] | None,
    channels: Mapping[str, AnyChannel] | None,
    programs: Mapping[str, ProgramKind] | None,
    resolver: Resolver | None,
    projects: _streampark.Projects | None,
    cache: str | Path | None,
    supervisor: SupervisorOptions | None,
    delivery: DispatcherOptions | None,
) -> _streampark.Builder:
    """Describes an engine that has no store yet."""
    builder = _streampark.Builder()
    for name, cluster in (clusters or {}).items():
        builder.cluster(name, cluster_of(cluster))
    for name, channel in (channels or {}).items():
        builder.channel(name, native_channel(channel))
    for kind, make in (programs or {}).items():
        builder.program(kind, _program(make))
    if resolver is not None:
        builder.resolver(_resolver(resolver))
    if projects is not None:
        builder.projects(projects)
    if cache is not None:
        builder.cache(str(cache))
    if supervisor is not None:
        builder.supervisor(options_to_json(supervisor))
    if delivery is not None:
        builder.delivery(options_to_json(delivery))
    return builder


def _program(make: ProgramKind) -> Callable[[str], str]:
    return lambda options: program_to_json(make(json.loads(options)))


def _resolver(find: Resolver) -> Callable[[str], str]:
    def call(dependency: str) -> str:
        found = find(dependency_of(dependency))
        return json.dumps([str(path) for path in ([found] if isinstance(found, (str, Path)) else found)])

    return call


def spec_of(spec: JobSpec | str, program: Program | None, fields: SpecFields) -> str:
    """The spec as JSON, from a spec or from a name and fields."""
    if isinstance(spec, str):
        if program is None:
            raise TypeError("a job given by its name needs a program, for example JarProgram('orders.jar')")
        return json.dumps(JobSpec(spec, program, **fields).to_dict())
    if program is not None or fields:
        raise TypeError("give either a JobSpec, or a name with a program and fields")
    return json.dumps(spec.to_dict())


def jobs_filter(
    *,
    states: Sequence[StateName],
    cluster: str | None,
    name_contains: str | None,
    labels: Mapping[str, str] | None,
    after: str | None,
    limit: int | None,
) -> str:
    """Which jobs, as JSON."""
    names = {"cluster": cluster, "name_contains": name_contains, "after": after, "limit": limit}
    return json.dumps({"states": list(states), "labels": dict(labels or {}), **names})


def events_filter(
    *,
    job: str | None,
    kinds: Sequence[str],
    after: int | None,
    since: datetime | None,
    newest_first: bool,
    limit: int,
) -> str:
    """Which events, as JSON."""
    at = None if since is None else instant(since)
    order = {"newest_first": newest_first, "limit": limit}
    return json.dumps({"job": job, "kinds": list(kinds), "after": after, "since": at, **order})


def instant(time: datetime) -> str:
    """A time as the native half reads it; one without a zone is of this machine's zone."""
    return time.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def timeout_of(timeout: Duration | None) -> float | None:
    """A timeout in seconds; None waits for ever."""
    return None if timeout is None else seconds(timeout)
