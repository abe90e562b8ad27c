"""StreamPark for programs that wait: each call blocks, with the interpreter free for other threads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from streampark import _streampark
from streampark._html import Table, escape, table
from streampark._shared import Channel, Cluster, StateName, channel_of, seconds, spec_of, store_of
from streampark.records import (
    Event,
    Failure,
    History,
    JobList,
    JobStatus,
    Plan,
    RestorePoint,
    Run,
    SpecVersion,
    event_of,
    failure_of,
    plan_of,
    restore_point_of,
    run_of,
    status_of,
    version_of,
)
from streampark.spec import JobSpec, Program

__all__ = ["Channels", "Clusters", "Job", "Jobs", "StreamPark"]


class StreamPark:
    """A running engine: supervises jobs until :meth:`shutdown`.

    As a context manager it shuts down at the end of the block. Jobs go on running on their clusters;
    the next start takes them up again.

    Args:
        store: The file that keeps jobs and history; None keeps them in memory.
        clusters: Clusters by name.
        channels: Channels by name.
        cache: A folder for downloaded and generated files.
        actor: The name under which calls act; history says who.
        options: Intervals and bounds of supervision, for example ``{"poll_interval": "1 s"}``.
    """

    def __init__(
        self,
        store: str | Path | None = None,
        *,
        clusters: Mapping[str, Cluster] | None = None,
        channels: Mapping[str, Channel] | None = None,
        cache: str | Path | None = None,
        actor: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._engine = _streampark.Engine.start(
            store_of(store),
            dict(clusters or {}),
            {name: channel_of(channel) for name, channel in (channels or {}).items()},
            str(cache) if cache is not None else None,
            actor,
            json.dumps(dict(options or {})),
        ).wait()
        self.jobs = Jobs(self._engine)
        self.clusters = Clusters(self._engine)
        self.channels = Channels(self._engine)

    def events(self, timeout: timedelta | float | None = None) -> Iterator[Event]:
        """Every event from now on, as it is committed; ends with the engine.

        Args:
            timeout: Ends the iteration when no event came for so long; None waits for ever.

        Raises:
            ExhaustedError: This follower was too slow and events were left out; call again to go on.
        """
        stream = self._engine.events()
        while True:
            event = stream.next(seconds(timeout)).wait()
            if event is None:
                return
            yield event_of(json.loads(event))

    def shutdown(self) -> None:
        """Ends supervision; a second call does nothing."""
        self._engine.shutdown().wait()

    def __enter__(self) -> StreamPark:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        return f"StreamPark(clusters={self.clusters.names()})"


class Jobs:
    """All jobs of an engine."""

    def __init__(self, engine: _streampark.Engine) -> None:
        self._engine = engine

    def create(self, spec: JobSpec | str, program: Program | None = None, **fields: Any) -> Job:  # noqa: ANN401
        """Creates a job; nothing is sent until it is started.

        Args:
            spec: The spec, or the job's name with the spec's fields as further arguments.
            program: What runs, where ``spec`` is a name.
            fields: The other fields of :class:`~streampark.JobSpec`.

        Raises:
            InvalidInputError: The spec breaks a rule.
            AlreadyExistsError: A job of that name exists.
            NotFoundError: There is no such cluster or channel.
        """
        return self._handle(self._engine.create(spec_of(spec, program, fields)).wait())

    def get(self, name: str) -> Job:
        """The job named ``name``; raises :class:`~streampark.NotFoundError`."""
        return self._handle(self._engine.get(name).wait())

    def list(
        self,
        *,
        states: Sequence[StateName] = (),
        cluster: str | None = None,
        name_contains: str | None = None,
        labels: Mapping[str, str] | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> JobList:
        """Jobs in order of their names: a table in a notebook."""
        answer = self._engine.list(list(states), cluster, name_contains, dict(labels or {}), after, limit).wait()
        return JobList([status_of(row) for row in json.loads(answer)])

    def adopt(self, flink_job: str, spec: JobSpec | str, program: Program | None = None, **fields: Any) -> Job:  # noqa: ANN401
        """Takes over a job that somebody else started: from now on it is supervised as the spec says."""
        return self._handle(self._engine.adopt(flink_job, spec_of(spec, program, fields)).wait())

    def plan(self, spec: JobSpec | str, program: Program | None = None, **fields: Any) -> Plan:  # noqa: ANN401
        """What starting a job of this spec would send; nothing is sent or written."""
        return plan_of(json.loads(self._engine.plan(spec_of(spec, program, fields)).wait()))

    def _handle(self, answer: tuple[str, str]) -> Job:
        return Job(self._engine, *answer)

    def _repr_html_(self) -> str:
        return self.list(limit=201)._repr_html_()


class Job:
    """One job.

    Calls that change something return when the wish is committed, not when it has come true:
    :meth:`wait_for` waits for that.
    """

    def __init__(self, engine: _streampark.Engine, id: str, name: str) -> None:  # noqa: A002
        self._engine = engine
        self.id = id
        self.name = name

    def status(self) -> JobStatus:
        """Where the job stands, and what is known of its run."""
        return status_of(json.loads(self._engine.status(self.id).wait()))

    @property
    def state(self) -> str:
        """The job's state, for example ``"RUNNING"``."""
        return self.status().state

    def spec(self) -> JobSpec:
        """The spec that the next run uses."""
        return JobSpec.from_json(self._engine.spec(self.id).wait())

    def start(self, from_path: str | None = None) -> None:
        """Wants it running.

        Args:
            from_path: A checkpoint or savepoint to start from; None takes the newest, as the spec says.
        """
        self._engine.start_job(self.id, from_path).wait()

    def suspend(self) -> None:
        """Wants it stopped with a savepoint, from which the next start goes on."""
        self._engine.suspend(self.id).wait()

    def cancel(self) -> None:
        """Wants it stopped, without a savepoint."""
        self._engine.cancel(self.id).wait()

    def restart(self) -> None:
        """Stops it, and starts it again from its newest state."""
        self._engine.restart(self.id).wait()

    def savepoint(
        self, directory: str | None = None, *, native: bool = False, timeout: timedelta | float = 600
    ) -> RestorePoint:
        """Takes a savepoint; the job goes on running.

        Args:
            directory: Where; None is the cluster's default.
            native: Writes the state backend's own format instead of the canonical one.
            timeout: How long to wait for it, in seconds.
        """
        answer = self._engine.savepoint(self.id, directory, native, seconds(timeout) or 0.0).wait()
        return restore_point_of(json.loads(answer))

    def update(self, spec: JobSpec | None = None, **changes: Any) -> None:  # noqa: ANN401
        """Writes a new version of the spec; a running job takes it over as ``upgrade`` says.

        Args:
            spec: The whole new spec; None changes fields of the present one.
            changes: Fields to change.
        """
        spec = (spec or self.spec()).replace(**changes)
        self._engine.update(self.id, json.dumps(spec.to_dict())).wait()

    def copy(self, name: str, **changes: Any) -> Job:  # noqa: ANN401
        """Creates another job like this one, with another name and these fields changed."""
        spec = self.spec().replace(name=name, **changes)
        return Job(self._engine, *self._engine.create(json.dumps(spec.to_dict())).wait())

    def delete(self) -> None:
        """Deletes it; its history stays. A job whose run may be alive is refused: cancel it first."""
        self._engine.delete(self.id).wait()

    def wait_for(self, state: StateName, timeout: timedelta | float = 300) -> JobStatus:
        """Waits until the job is in ``state``.

        Raises:
            TimedOutError: It took longer than ``timeout`` seconds.
            ConflictError: It settled in another state, with the reason.
        """
        return status_of(json.loads(self._engine.wait_for(self.id, state, seconds(timeout) or 0.0).wait()))

    def history(self, limit: int = 100) -> History:
        """What happened to the job, newest first: a table in a notebook."""
        return History([event_of(event) for event in json.loads(self._engine.history(self.id, limit).wait())])

    def runs(self, limit: int = 100) -> list[Run]:
        """Its runs, newest first."""
        return [run_of(run) for run in json.loads(self._engine.runs(self.id, limit).wait())]

    def versions(self) -> list[SpecVersion]:
        """The versions of its spec, newest first."""
        return [version_of(version) for version in json.loads(self._engine.versions(self.id).wait())]

    def restore_points(self, limit: int = 100) -> list[RestorePoint]:
        """Its recorded restore points, newest first."""
        return [restore_point_of(point) for point in json.loads(self._engine.restore_points(self.id, limit).wait())]

    def failure(self) -> Failure | None:
        """Why its newest failed run failed."""
        return failure_of(json.loads(self._engine.failure(self.id).wait()))

    def plan(self) -> Plan:
        """What starting it now would send; nothing is sent or written."""
        return plan_of(json.loads(self._engine.plan_job(self.id).wait()))

    def logs(self, *, task_manager: bool = False, tail_bytes: int | None = 65536) -> str:
        """The engine's logs around its newest run."""
        return self._engine.logs(self.id, task_manager, tail_bytes).wait()

    def __repr__(self) -> str:
        return f"Job(name={self.name!r}, id={self.id!r})"

    def _repr_html_(self) -> str:
        return self.status()._repr_html_() + self.history(10)._repr_html_()


class Clusters:
    """The clusters of a running engine, by name."""

    def __init__(self, engine: _streampark.Engine) -> None:
        self._engine = engine

    def add(self, name: str, cluster: Cluster) -> None:
        """Adds a cluster and starts to watch it."""
        self._engine.add_cluster(name, cluster).wait()

    def remove(self, name: str) -> None:
        """Stops watching a cluster; its jobs are taken up when it is added again."""
        self._engine.remove_cluster(name).wait()

    def names(self) -> list[str]:
        """The names, in order."""
        return self._engine.cluster_names()

    def _repr_html_(self) -> str:
        return table(Table(("cluster",), [(escape(name),) for name in self.names()]))


class Channels:
    """The channels of a running engine, by name."""

    def __init__(self, engine: _streampark.Engine) -> None:
        self._engine = engine

    def add(self, name: str, channel: Channel | Callable[[dict[str, Any]], None]) -> None:
        """Adds a channel; what is pending for its name is delivered."""
        self._engine.add_channel(name, channel_of(channel))

    def remove(self, name: str) -> None:
        """Takes a channel out; what is pending waits until it is added again."""
        self._engine.remove_channel(name)

    def names(self) -> list[str]:
        """The names, in order."""
        return self._engine.channel_names()

    def test(self, name: str) -> None:
        """Sends a test message now, past the queue."""
        self._engine.test_channel(name).wait()

    def dead_letters(self, limit: int = 100) -> list[dict[str, Any]]:
        """Messages that were given up, newest first."""
        letters: list[dict[str, Any]] = json.loads(self._engine.dead_letters(limit).wait())
        return letters
