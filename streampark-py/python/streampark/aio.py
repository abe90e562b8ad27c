"""StreamPark for asyncio: the same methods, awaited."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from streampark import _streampark
from streampark._answers import (
    channels_of,
    clusters_of,
    delivery_of,
    event_of,
    failure_of,
    history_of,
    jobs_of,
    plan_of,
    restore_point_of,
    run_of,
    status_of,
    version_of,
)
from streampark._read import Duration, seconds
from streampark._shared import (
    ProgramKind,
    Resolver,
    StateName,
    builder_of,
    cluster_of,
    events_filter,
    instant,
    jobs_filter,
    spec_of,
    store_of,
    timeout_of,
)
from streampark.aio_projects import AsyncProjects
from streampark.channels import AnyChannel, native_channel
from streampark.clusters import Cluster, RegisteredCluster
from streampark.options import DispatcherOptions, SupervisorOptions
from streampark.project_records import Origin, origin_of
from streampark.records import (
    ChannelStatus,
    ClusterList,
    Delivery,
    Event,
    Failure,
    History,
    JobList,
    JobStatus,
    Plan,
    RestorePoint,
    Run,
    SpecVersion,
)
from streampark.spec import JobSpec, Program, SpecChanges, SpecFields
from streampark.stores import AnyStore

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AsyncChannels", "AsyncClusters", "AsyncEventStream", "AsyncJob", "AsyncJobs", "AsyncStreamPark"]


class AsyncStreamPark:
    """A running engine: supervises jobs until :meth:`shutdown`.

    It starts when awaited, or at the head of an ``async with`` block, at whose end it shuts down. Jobs
    go on running on their clusters; the next start takes them up again.

    Args:
        store: The file that keeps jobs and history, or a store; None keeps them in memory.
        clusters: Clusters by name.
        channels: Channels by name.
        programs: Program kinds of your own, by the name that :class:`~streampark.CustomProgram` gives.
        resolver: Finds shared resources and Maven artifacts that specs name.
        projects: Projects whose modules, resources and Maven coordinates jobs may name.
        cache: A folder for downloaded and generated files.
        actor: The name under which calls act; history says who.
        supervisor: Intervals, bounds and timeouts of supervision.
        delivery: Bounds and waits of the delivery of alerts.
    """

    jobs: AsyncJobs
    clusters: AsyncClusters
    channels: AsyncChannels

    def __init__(
        self,
        store: AnyStore = None,
        *,
        clusters: Mapping[str, Cluster] | None = None,
        channels: Mapping[str, AnyChannel] | None = None,
        programs: Mapping[str, ProgramKind] | None = None,
        resolver: Resolver | None = None,
        projects: AsyncProjects | None = None,
        cache: str | Path | None = None,
        actor: str | None = None,
        supervisor: SupervisorOptions | None = None,
        delivery: DispatcherOptions | None = None,
    ) -> None:
        self._builder = builder_of(
            clusters=clusters,
            channels=channels,
            programs=programs,
            resolver=resolver,
            projects=None if projects is None else projects._native,  # pyright: ignore[reportPrivateUsage]
            cache=cache,
            supervisor=supervisor,
            delivery=delivery,
        )
        self._store, self._actor = store_of(store), actor
        self._engine: _streampark.Engine | None = None

    async def _start(self) -> AsyncStreamPark:
        if self._engine is None:
            store = self._store
            self._builder.store(store if isinstance(store, _streampark.Store) else await store)
            self._take(await self._builder.start(self._actor))
        return self

    def _take(self, engine: _streampark.Engine) -> None:
        self._engine = engine
        self.jobs = AsyncJobs(engine)
        self.clusters = AsyncClusters(engine)
        self.channels = AsyncChannels(engine)

    def _started(self) -> _streampark.Engine:
        if self._engine is None:
            raise TypeError("this engine was not started; await it, or use it in an async with block")
        return self._engine

    def __await__(self) -> Generator[Any, None, AsyncStreamPark]:
        return self._start().__await__()

    def acting_as(self, actor: str) -> AsyncStreamPark:
        """The same engine, whose calls act in the name of ``actor``: events and history say who."""
        other = AsyncStreamPark.__new__(AsyncStreamPark)
        other._take(self._started().acting_as(actor))
        return other

    def events(self, timeout: Duration | None = None) -> AsyncEventStream:
        """Every event from now on, as it is committed; ends with the engine.

        Args:
            timeout: Ends the iteration when no event came for so long; None waits for ever.
        """
        return AsyncEventStream(self._started().events(), timeout)

    async def history(
        self,
        *,
        job: str | None = None,
        kinds: Sequence[str] = (),
        after: int | None = None,
        since: datetime | None = None,
        newest_first: bool = False,
        limit: int = 1000,
    ) -> History:
        """The history of all jobs, out of the store.

        Args:
            job: Of the job with this id.
            kinds: Of these kinds, for example ``"run_failed"``.
            after: After this sequence number.
            since: Not before this time.
            newest_first: Newest first instead of oldest first.
            limit: At most this many.
        """
        wanted = events_filter(job=job, kinds=kinds, after=after, since=since, newest_first=newest_first, limit=limit)
        return history_of(json.loads(await self._started().history(wanted)))

    async def prune(self, before: datetime, limit: int = 10_000) -> int:
        """Removes history older than ``before``, at most ``limit`` rows; says how many went."""
        return await self._started().prune(instant(before), limit)

    def storage_trouble(self) -> str | None:
        """Why the store refuses commits, where it does (its disk is full, for example); else None.

        Nothing is sent to any cluster meanwhile, and it goes on by itself when the store takes commits again.
        """
        return self._started().storage_trouble()

    async def shutdown(self) -> None:
        """Ends supervision; a second call does nothing."""
        await self._started().shutdown()

    async def __aenter__(self) -> AsyncStreamPark:
        return await self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    def __repr__(self) -> str:
        return "AsyncStreamPark(not started)" if self._engine is None else "AsyncStreamPark()"


class AsyncEventStream(AsyncIterator[Event]):
    """Events as they are committed, from the moment at which this stream was made.

    Each follower needs a stream of its own. One that is too slow gets an :class:`~streampark.ExhaustedError` whose
    context says how many events it ``missed``; iterating on goes on with the oldest one still kept, and the history
    has them all.
    """

    def __init__(self, native: _streampark.Events, timeout: Duration | None) -> None:
        self._native, self._timeout = native, timeout_of(timeout)
        self._seen = 0

    def __aiter__(self) -> AsyncEventStream:
        return self

    async def __anext__(self) -> Event:
        event = await self._native.next(self._seen, self._timeout)
        if event is None:
            raise StopAsyncIteration
        told = event_of(json.loads(event))
        self._seen = told.sequence
        return told


class AsyncJobs:
    """All jobs of an engine."""

    def __init__(self, engine: _streampark.Engine) -> None:
        self._engine = engine

    async def create(
        self, spec: JobSpec | str, program: Program | None = None, **fields: Unpack[SpecFields]
    ) -> AsyncJob:
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
        return self._handle(await self._engine.create(spec_of(spec, program, fields)))

    async def get(self, name: str) -> AsyncJob:
        """The job named ``name``; raises :class:`~streampark.NotFoundError`."""
        return self._handle(await self._engine.get(name))

    async def by_id(self, id: str) -> AsyncJob:  # noqa: A002
        """The job with this identity; raises :class:`~streampark.NotFoundError`."""
        return self._handle(await self._engine.by_id(id))

    async def list(
        self,
        *,
        states: Sequence[StateName] = (),
        cluster: str | None = None,
        name_contains: str | None = None,
        labels: Mapping[str, str] | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> JobList:
        """Jobs in order of their names: a table in a notebook.

        Args:
            states: In one of these states; empty is any.
            cluster: Whose spec names this cluster.
            name_contains: Whose name contains this, in any case.
            labels: With all of these labels.
            after: After this name, for paging.
            limit: At most this many.
        """
        wanted = jobs_filter(
            states=states, cluster=cluster, name_contains=name_contains, labels=labels, after=after, limit=limit
        )
        return jobs_of(json.loads(await self._engine.list(wanted)))

    async def adopt(
        self, flink_job: str, spec: JobSpec | str, program: Program | None = None, **fields: Unpack[SpecFields]
    ) -> AsyncJob:
        """Takes over a job that somebody else started: from now on it is supervised as the spec says."""
        return self._handle(await self._engine.adopt(flink_job, spec_of(spec, program, fields)))

    async def plan(
        self,
        spec: JobSpec | str,
        program: Program | None = None,
        **fields: Unpack[SpecFields],
    ) -> Plan:
        """What starting a job of this spec would send; nothing is sent or written."""
        return plan_of(json.loads(await self._engine.plan(spec_of(spec, program, fields))))

    def _handle(self, answer: tuple[str, str]) -> AsyncJob:
        return AsyncJob(self._engine, *answer)


class AsyncJob:
    """One job.

    Calls that change something return when the wish is committed, not when it has come true:
    :meth:`wait_for` waits for that.

    Attributes:
        id: The job's identity.
        name: The job's name.
    """

    def __init__(self, engine: _streampark.Engine, id: str, name: str) -> None:  # noqa: A002
        self._engine = engine
        self.id = id
        self.name = name

    async def status(self) -> JobStatus:
        """Where the job stands, and what is known of its run."""
        return status_of(json.loads(await self._engine.status(self.id)))

    async def state(self) -> str:
        """The job's state, for example ``"RUNNING"``."""
        return (await self.status()).state

    async def spec(self) -> JobSpec:
        """The spec that the next run uses."""
        return JobSpec.from_json(await self._engine.spec(self.id))

    async def start(self, from_path: str | None = None, *, empty: bool = False) -> None:
        """Wants it running. A job that runs already stays as it is.

        Args:
            from_path: A checkpoint or savepoint to start from; None takes the newest, as the spec says.
            empty: Starts without state.
        """
        await self._engine.start_job(self.id, from_path, empty)

    async def suspend(self, *, drain: bool = False, directory: str | None = None) -> None:
        """Wants it stopped with a savepoint, from which the next start goes on.

        Args:
            drain: Lets all data through first; such a savepoint is not for going on later.
            directory: Where the savepoint is written; None is the cluster's default.
        """
        await self._engine.suspend(self.id, drain, directory)

    async def cancel(self, *, kill: bool = False) -> None:
        """Wants it stopped, without a savepoint.

        Args:
            kill: Ends the whole deployment by the engine's own means, where it has one.
        """
        await self._engine.cancel(self.id, kill)

    async def restart(self) -> None:
        """Stops it, and starts it again from its newest state."""
        await self._engine.restart(self.id)

    async def roll_back(self, generation: int) -> None:
        """Goes back to what an earlier run ran, spec and artifacts, by a new version of the spec that names them."""
        await self._engine.roll_back(self.id, generation)

    async def savepoint(self, directory: str | None = None, *, timeout: Duration = 600) -> RestorePoint:
        """Takes a savepoint; the job goes on running. Returns when it is complete.

        Args:
            directory: Where; None is the cluster's default.
            timeout: How long to wait for it.
        """
        return restore_point_of(json.loads(await self._engine.savepoint(self.id, directory, seconds(timeout))))

    async def update(self, spec: JobSpec | None = None, **changes: Unpack[SpecChanges]) -> None:
        """Writes a new version of the spec; a running job takes it over as ``upgrade`` says.

        Args:
            spec: The whole new spec; None changes fields of the present one.
            changes: Fields to change.
        """
        spec = (spec or await self.spec()).replace(**changes)
        await self._engine.update(self.id, json.dumps(spec.to_dict()))

    async def copy(self, name: str, **changes: Unpack[SpecChanges]) -> AsyncJob:
        """Creates another job like this one, with another name and these fields changed."""
        spec = (await self.spec()).replace(name=name, **changes)
        return AsyncJob(self._engine, *await self._engine.create(json.dumps(spec.to_dict())))

    async def delete(self) -> None:
        """Deletes it; its history stays. A job whose run may be alive is refused: cancel it first."""
        await self._engine.delete(self.id)

    async def wait_for(self, state: StateName, timeout: Duration = 300) -> JobStatus:
        """Waits until the job is in ``state``.

        Raises:
            TimedOutError: It took longer than ``timeout``.
            ConflictError: It settled in another state, with the reason.
        """
        return status_of(json.loads(await self._engine.wait_for(self.id, state, seconds(timeout))))

    async def history(self, limit: int = 100) -> History:
        """What happened to the job, newest first: a table in a notebook."""
        return history_of(json.loads(await self._engine.job_history(self.id, limit)))

    async def runs(self, limit: int = 100) -> list[Run]:
        """Its runs, newest first."""
        return [run_of(run) for run in json.loads(await self._engine.runs(self.id, limit))]

    async def versions(self) -> list[SpecVersion]:
        """The versions of its spec, newest first."""
        return [version_of(version) for version in json.loads(await self._engine.versions(self.id))]

    async def restore_points(self, limit: int = 100) -> list[RestorePoint]:
        """Its recorded restore points, newest first."""
        return [restore_point_of(point) for point in json.loads(await self._engine.restore_points(self.id, limit))]

    async def origin(self) -> Origin | None:
        """Which commit, branch and author, whose project, which build, which README; None where it names no project."""
        origin = json.loads(await self._engine.origin(self.id))
        return None if origin is None else origin_of(origin)

    async def failure(self) -> Failure | None:
        """Why its newest failed run failed; None where none failed."""
        failure = json.loads(await self._engine.failure(self.id))
        return None if failure is None else failure_of(failure)

    async def plan(self) -> Plan:
        """What starting it now would send; nothing is sent or written."""
        return plan_of(json.loads(await self._engine.plan_job(self.id)))

    async def logs(self, *, task_manager: bool | str = False, tail_bytes: int | None = 65536) -> str:
        """The engine's logs around its newest run.

        Args:
            task_manager: Those of the TaskManagers instead of the JobManager's, or of one TaskManager by its id.
            tail_bytes: At most this many bytes from the end; None gives all.
        """
        one = task_manager if isinstance(task_manager, str) else None
        return await self._engine.logs(self.id, bool(task_manager), one, tail_bytes)

    def __repr__(self) -> str:
        return f"AsyncJob(name={self.name!r}, id={self.id!r})"


class AsyncClusters:
    """The clusters of a running engine, by name."""

    def __init__(self, engine: _streampark.Engine) -> None:
        self._engine = engine

    async def add(self, name: str, cluster: Cluster) -> None:
        """Watches ``cluster`` under ``name`` from now on; a cluster of that name is replaced."""
        await self._engine.add_cluster(name, cluster_of(cluster))

    async def remove(self, name: str) -> None:
        """Stops watching a cluster; refused where jobs have live runs there."""
        await self._engine.remove_cluster(name)

    def alert(self, name: str, channels: Sequence[str]) -> None:
        """Tells these channels when the cluster ends, does not answer, and answers again, with or without jobs there.

        The channels of its jobs are told anyway. A cluster that replaces it keeps them.
        """
        self._engine.alert_of_cluster(name, list(channels))

    def get(self, name: str) -> Cluster:
        """The cluster named ``name``; raises :class:`~streampark.NotFoundError`."""
        return RegisteredCluster(self._engine.cluster(name))

    def names(self) -> list[str]:
        """The names, in order."""
        return [view.name for view in self.views()]

    def views(self) -> ClusterList:
        """The clusters and how they answer, in order of their names: a table in a notebook."""
        return clusters_of(json.loads(self._engine.cluster_views()))

    def _repr_html_(self) -> str:
        return self.views()._repr_html_()  # pyright: ignore[reportPrivateUsage]


class AsyncChannels:
    """The channels of a running engine, by name."""

    def __init__(self, engine: _streampark.Engine) -> None:
        self._engine = engine

    async def add(self, name: str, channel: AnyChannel) -> None:
        """Adds a channel, or a function that says one message; what is pending for its name is delivered."""
        await self._engine.add_channel(name, native_channel(channel))

    async def remove(self, name: str) -> None:
        """Takes a channel out; what is pending waits until it is added again."""
        await self._engine.remove_channel(name)

    def names(self) -> list[str]:
        """The names, in order."""
        return [channel.name for channel in self.status()]

    def status(self) -> list[ChannelStatus]:
        """How every channel is doing, in order of names."""
        return channels_of(json.loads(self._engine.channel_status()))

    async def test(self, name: str) -> str | None:
        """Sends a test message now, past the queue; gives the other side's reference, where there is one."""
        return await self._engine.test_channel(name)

    async def dead_letters(self, limit: int = 100) -> list[Delivery]:
        """Messages that were given up, newest first."""
        return [delivery_of(letter) for letter in json.loads(await self._engine.dead_letters(limit))]
