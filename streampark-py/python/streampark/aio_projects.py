"""Projects for asyncio: the same methods, awaited where something is asked of somebody."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from streampark import _streampark
from streampark._answers import history_of
from streampark._html import table
from streampark._read import Duration, record, seconds
from streampark.blobs import BlobStore
from streampark.exceptions import ConflictError
from streampark.project_records import (
    Artifact,
    BuildRecord,
    BuildUpdate,
    Commit,
    DependencyConflict,
    Inspection,
    MavenLock,
    Pruned,
    RemoteRef,
    ResourceEntry,
    Revision,
    SyncReport,
    artifact_of,
    build_of,
    commit_of,
    conflict_of,
    inspection_of,
    lock_of,
    resource_of,
    revision_of,
    sync_of,
)
from streampark.project_spec import MavenBuilder, ProjectSpec, project_of
from streampark.projects import LOG, order_of, projects_options
from streampark.records import History
from streampark.spec import JobSpec

__all__ = ["AsyncBuild", "AsyncProject", "AsyncProjects"]


class AsyncProjects:
    """The projects of one folder, opened when awaited or at the head of an ``async with`` block.

    Hand it, opened, to :class:`~streampark.AsyncStreamPark` and jobs may name modules, resources and Maven
    coordinates. One process at a time has the folder open.

    Args:
        folder: Where everything is kept.
        concurrency: How many builds run at once. Default: half of the machine's cores, at least one.
        capacity: How many builds may wait. Default 1,000.
        timeout: How long a build may take. Default one hour.
        max_output: How much a build may print, in bytes. Default 64 MiB.
        max_memory: How many bytes of memory the processes of a build may hold together. Default: no bound.
        keep: How many builds of a project are remembered. Default 100.
        pass_environment: Variables that builds see besides the usual ones.
        known_hosts: Files with the keys of ssh servers. Default: those of OpenSSH.
        ca_file: Certificates (PEM) to trust instead of the machine's.
        proxy: A proxy for https and ssh alike: ``"http://user@host:port"``.
        proxy_password: Its password; ``"env:NAME"`` and ``"file:/path"`` name its place.
        maven: How jars are found by Maven coordinates.
        artifacts: Where artifacts are kept, instead of a folder below: an address such as ``"s3://bucket/artifacts"``,
            what ``YarnCluster.blobs`` gives, or a :class:`~streampark.CustomBlobStore`.
        artifact_options: Options of that store by their names in the crate ``object_store``, such as
            ``{"region": "eu-west-1"}``; a value ``"env:NAME"`` or ``"file:/path"`` names where a secret is.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        concurrency: int | None = None,
        capacity: int | None = None,
        timeout: Duration | None = None,
        max_output: int | None = None,
        max_memory: int | None = None,
        keep: int | None = None,
        pass_environment: Sequence[str] = (),
        known_hosts: Sequence[str | Path] | None = None,
        ca_file: str | Path | None = None,
        proxy: str | None = None,
        proxy_password: str | None = None,
        maven: MavenBuilder | None = None,
        artifacts: str | BlobStore | None = None,
        artifact_options: Mapping[str, str] | None = None,
    ) -> None:
        options, blobs = projects_options(
            concurrency=concurrency,
            capacity=capacity,
            timeout=timeout,
            max_output=max_output,
            max_memory=max_memory,
            keep=keep,
            pass_environment=pass_environment,
            known_hosts=known_hosts,
            ca_file=ca_file,
            proxy=proxy,
            proxy_password=proxy_password,
            maven=maven,
            artifacts=artifacts,
            artifact_options=artifact_options,
        )
        self._call = _streampark.Projects.open(str(folder), options, blobs)
        self._opened: _streampark.Projects | None = None

    @property
    def _native(self) -> _streampark.Projects:
        if self._opened is None:
            raise ConflictError("the projects are not open yet; await them, or use 'async with'")
        return self._opened

    async def _open(self) -> AsyncProjects:
        if self._opened is None:
            self._opened = await self._call
        return self

    def __await__(self) -> Generator[Any, None, AsyncProjects]:
        return self._open().__await__()

    def acting_as(self, actor: str) -> AsyncProjects:
        """The same projects, whose calls act in the name of ``actor``: builds and history say who."""
        other = AsyncProjects.__new__(AsyncProjects)
        other._call, other._opened = self._call, self._native.acting_as(actor)
        return other

    async def put(self, spec: ProjectSpec) -> AsyncProject:
        """Declares a project, or changes one of the same name. Nothing is fetched."""
        return AsyncProject(self._native, await self._native.put(json.dumps(spec.to_dict()), False))

    async def create(self, spec: ProjectSpec) -> AsyncProject:
        """Declares a new project."""
        return AsyncProject(self._native, await self._native.put(json.dumps(spec.to_dict()), True))

    def get(self, name: str) -> AsyncProject:
        """The project named ``name``."""
        self._native.spec(name)
        return AsyncProject(self._native, name)

    def list(self) -> Sequence[ProjectSpec]:
        """All projects, in order of their names."""
        return [project_of(spec) for spec in json.loads(self._native.list())]

    async def remove(self, name: str) -> None:
        """Takes a project out; one that jobs use is a :class:`~streampark.ConflictError`."""
        await self._native.remove(name)

    def build(self, build: str) -> AsyncBuild:
        """The build with this id."""
        self._native.record(build)
        return AsyncBuild(self._native, build)

    async def pushed(self, headers: Mapping[str, str], body: bytes, secret: str) -> Sequence[AsyncBuild]:
        """Reads a webhook of GitHub, Gitea or GitLab and asks for the builds that it concerns.

        Args:
            headers: The headers of the request.
            body: Its body, as it came.
            secret: What the Git server signs with; ``"env:NAME"`` and ``"file:/path"`` name its place.
        """
        return [
            AsyncBuild(self._native, build) for build in await self._native.pushed([*headers.items()], body, secret)
        ]

    def builds(self, project: str | None = None) -> Sequence[BuildRecord]:
        """Builds, newest first; of one project, or of all."""
        return [build_of(record) for record in json.loads(self._native.builds(project))]

    def waiting(self) -> Sequence[BuildRecord]:
        """The builds that wait, the next one first."""
        return [build_of(record) for record in json.loads(self._native.waiting())]

    async def artifacts(
        self,
        project: str | None = None,
        module: str | None = None,
        revision: str | None = None,
        limit: int | None = None,
    ) -> Sequence[Artifact]:
        """What is kept, newest first."""
        wanted = {"project": project, "module": module, "revision": revision, "limit": limit}
        return [artifact_of(value) for value in json.loads(await self._native.artifacts(json.dumps(wanted)))]

    async def jar(self, artifact: str) -> Path:
        """A file of this machine that holds the job's jar of an artifact; not to be changed."""
        return Path(await self._native.jar(artifact))

    async def inspect(self, artifact: str) -> Inspection:
        """What is in the job's jar of an artifact."""
        return inspection_of(json.loads(await self._native.inspect(artifact)))

    async def prune(self, keep: int = 10, max_age: Duration = 30 * 86400) -> Pruned:
        """Removes artifacts that are old and that no job runs, would run, or would need for a roll-back.

        Args:
            keep: The newest of each module are kept, however old.
            max_age: Others go when they are older than this.
        """
        return record(Pruned, json.loads(await self._native.prune(keep, seconds(max_age))))

    async def upload(
        self,
        name: str,
        version: str,
        path: str | Path,
        *,
        team: str | None = None,
        actor: str = "",
        description: str = "",
    ) -> ResourceEntry:
        """Keeps a jar as a version of a resource, and says what it is."""
        entry = await self._native.upload(name, version, str(path), team, actor, description)
        return resource_of(json.loads(entry))

    def group(
        self,
        name: str,
        version: str,
        members: Sequence[str],
        *,
        team: str | None = None,
        actor: str = "",
        description: str = "",
    ) -> ResourceEntry:
        """Keeps a group of resources, ``name`` or ``name:version``, that are used together."""
        return resource_of(json.loads(self._native.group(name, version, [*members], team, actor, description)))

    def resource(self, name: str, version: str | None = None) -> ResourceEntry:
        """A version of a resource; None is the newest."""
        return resource_of(json.loads(self._native.resource(name, version)))

    def resources(self, team: str | None = None) -> Sequence[ResourceEntry]:
        """Every version of every resource; of one team and of nobody's where a team is named."""
        return [resource_of(entry) for entry in json.loads(self._native.resources(team))]

    def create_functions(self, name: str, version: str | None = None) -> Sequence[str]:
        """The statements that make the functions of a resource known to SQL."""
        return self._native.create_functions(name, version)

    async def resource_users(self, name: str, version: str | None = None) -> Sequence[str]:
        """The names of the jobs that use a resource, or that version of it."""
        return await self._native.resource_users(name, version)

    async def remove_resource(self, name: str, version: str | None = None) -> None:
        """Removes a version of a resource, None all; one that is used is a :class:`~streampark.ConflictError`."""
        await self._native.remove_resource(name, version)

    async def maven(self, coordinates: str, exclude: Sequence[str] = (), *, refresh: bool = False) -> MavenLock:
        """The jars of Maven coordinates and of what they need, as the lock file has them."""
        return lock_of(json.loads(await self._native.maven(coordinates, [*exclude], refresh)))

    async def conflicts(self, spec: JobSpec) -> Sequence[DependencyConflict]:
        """Artifacts that the Maven coordinates of a job bring in more than one version."""
        found = await self._native.conflicts(json.dumps(spec.to_dict()))
        return [conflict_of(value) for value in json.loads(found)]

    async def close(self) -> None:
        """Ends the builds that run, and takes no more."""
        await self._native.close()

    async def __aenter__(self) -> AsyncProjects:
        return await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _repr_html_(self) -> str:
        rows = [(spec.name, spec.git or spec.local, spec.ref, spec.owner, spec.environment) for spec in self.list()]
        return table(("project", "from", "ref", "owner", "environment"), rows)


class AsyncProject:
    """One project."""

    def __init__(self, native: _streampark.Projects, name: str) -> None:
        self._native, self.name = native, name

    def spec(self) -> ProjectSpec:
        """How it is declared now."""
        return project_of(json.loads(self._native.spec(self.name)))

    async def check(self) -> Revision:
        """Whether its code can be reached and the wanted reference exists; brings nothing."""
        return revision_of(json.loads(await self._native.check(self.name)))

    async def sync(self) -> SyncReport:
        """Brings what is new of its code."""
        return sync_of(json.loads(await self._native.sync(self.name)))

    async def build(
        self,
        *modules: str,
        revision: str | None = None,
        priority: int = 0,
        fresh: bool = False,
        actor: str = "",
    ) -> AsyncBuild:
        """Asks for a build.

        Args:
            modules: Its modules; none named are those that it declares.
            revision: A commit; None is where its branch or tag stands.
            priority: Higher comes first.
            fresh: Builds even where the same commit was built with the same options before.
            actor: Who asks.
        """
        order = order_of(self.name, modules=modules, revision=revision, priority=priority, fresh=fresh, actor=actor)
        return AsyncBuild(self._native, await self._native.build(order))

    async def build_if_changed(self) -> AsyncBuild | None:
        """Asks for a build where something was pushed since the last one."""
        build = await self._native.build_if_changed(self.name)
        return None if build is None else AsyncBuild(self._native, build)

    def builds(self) -> list[BuildRecord]:
        """Its builds, newest first."""
        return [build_of(record) for record in json.loads(self._native.builds(self.name))]

    async def artifact(self, module: str | None = None) -> Artifact:
        """The artifact that a job of this module would run now."""
        return artifact_of(json.loads(await self._native.artifact(self.name, module)))

    async def readme(self, module: str = "") -> tuple[str, str] | None:
        """The README nearest to a module: path and text."""
        return await self._native.readme(self.name, module)

    async def commits(self, path: str = "", limit: int = 20) -> list[Commit]:
        """The newest commits that changed ``path``."""
        return [commit_of(value) for value in json.loads(await self._native.commits(self.name, path, limit))]

    async def refs(self) -> list[RemoteRef]:
        """The branches and tags that the server has now."""
        return [record(RemoteRef, value) for value in json.loads(await self._native.refs(self.name))]

    async def file(self, path: str, ref: str | None = None) -> bytes:
        """One file as it is at a branch, tag or commit; None is where the wanted reference stands."""
        return bytes(await self._native.file(self.name, path, ref))

    async def history(self, limit: int = 100) -> History:
        """What happened to it and its builds, newest first; empty where no engine has the projects."""
        return history_of(json.loads(await self._native.history(self.name, limit)))

    def __repr__(self) -> str:
        return f"AsyncProject({self.name!r})"

    def _repr_html_(self) -> str:
        rows = [(b.id, b.state, b.revision.id if b.revision else "", b.queued_at, b.actor) for b in self.builds()]
        return table(("build", "state", "commit", "asked for at", "by"), rows)


class AsyncBuild(AsyncIterator[BuildUpdate]):
    """One build: iterate over it for its output, from its begin and as it comes."""

    def __init__(self, native: _streampark.Projects, build: str) -> None:
        self._native, self.id = native, build
        self._updates: _streampark.BuildUpdates | None = None

    def record(self) -> BuildRecord:
        """Where it stands."""
        return build_of(json.loads(self._native.record(self.id)))

    def position(self) -> int | None:
        """How many builds come before it; None where it does not wait."""
        return self._native.position(self.id)

    async def wait(self) -> BuildRecord:
        """Waits for the end; raises why it failed, with the reason in ``context["reason"]``."""
        return build_of(json.loads(await self._native.wait(self.id)))

    async def artifacts(self) -> list[Artifact]:
        """The artifacts that it made."""
        return [artifact_of(value) for value in json.loads(await self._native.build_artifacts(self.id))]

    async def cancel(self, actor: str = "") -> None:
        """Ends it, whether it waits or runs, in somebody's name."""
        await self._native.cancel(self.id, actor)

    async def again(self) -> AsyncBuild:
        """Asks for the same again."""
        return AsyncBuild(self._native, await self._native.again(self.id))

    async def log(self) -> str:
        """Its whole output."""
        return (await self._native.log(self.id, 0, LOG))[0]

    async def tail(self, lines: int = 20) -> list[str]:
        """The last lines of its output."""
        return await self._native.tail(self.id, lines)

    def __aiter__(self) -> AsyncBuild:
        self._updates = self._native.follow(self.id)
        return self

    async def __anext__(self) -> BuildUpdate:
        if self._updates is None:
            self._updates = self._native.follow(self.id)
        update = await self._updates.next()
        if update is None:
            raise StopAsyncIteration
        return record(BuildUpdate, json.loads(update))

    def __repr__(self) -> str:
        return f"AsyncBuild({self.id!r})"
