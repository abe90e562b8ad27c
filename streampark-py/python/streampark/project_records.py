"""What projects, builds, artifacts and resources answer: plain, immutable records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from streampark._html import table
from streampark._read import each, or_none, record, time_of, time_or_none
from streampark.project_spec import ProjectSpec, project_of

__all__ = [
    "Artifact",
    "ArtifactFile",
    "BuildProblem",
    "BuildRecord",
    "BuildUpdate",
    "Clash",
    "Commit",
    "Connector",
    "ConnectorOption",
    "DependencyConflict",
    "FlinkHint",
    "Inspection",
    "LockedJar",
    "MainClass",
    "MavenLock",
    "Origin",
    "Pruned",
    "RemoteRef",
    "ResourceEntry",
    "Revision",
    "SqlFunction",
    "SyncReport",
]


@dataclass(frozen=True)
class Revision:
    """One state of a source: a commit, or the hash of a folder's content.

    Attributes:
        id: The commit's id, or the content's SHA-256.
        reference: The branch or tag that was asked for.
        author: Who wrote it.
        summary: The first line of its message.
        at: When it was written.
    """

    id: str
    reference: str | None = None
    author: str | None = None
    summary: str | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class SyncReport:
    """What a synchronisation did.

    Attributes:
        revision: Where the wanted reference stands now.
        changed: Whether that is another revision than before.
        received_bytes: Bytes that came over the network.
    """

    revision: Revision
    changed: bool
    received_bytes: int


@dataclass(frozen=True)
class Commit:
    """One commit of a log.

    Attributes:
        id: Its id.
        author: Who wrote it, with the mail address.
        summary: The first line of its message.
        message: The whole message.
        at: When it was written.
    """

    id: str
    author: str
    summary: str
    message: str
    at: datetime | None = None


@dataclass(frozen=True)
class RemoteRef:
    """A branch or tag that the server has.

    Attributes:
        name: Its short name.
        kind: ``"branch"`` or ``"tag"``.
        commit: The commit that it stands on.
        default: Whether it is the repository's default branch.
    """

    name: str
    kind: str
    commit: str
    default: bool


@dataclass(frozen=True)
class ArtifactFile:
    """One file of an artifact.

    Attributes:
        path: Its path, with ``/``.
        sha256: SHA-256 of its content.
        size: Bytes.
    """

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Artifact:
    """What a build of one module left behind.

    Attributes:
        id: SHA-256 of the job's jar: the artifact's identity.
        project: The project's name.
        module: The module; empty for a project of one module.
        revision: What was built.
        builder: The builder's kind.
        job_jar: The jar that runs.
        rule: The rule that made it the job's jar.
        passed: What else the build left behind, and why it is not the job's jar.
        files: Everything else that was kept.
        built_at: When the build ended.
        build: The build that made it.
        dirty: Whether the folder held changes that no commit has.
        facts: Facts for people: tool, options.
    """

    id: str
    project: str
    module: str
    revision: Revision
    builder: str
    job_jar: ArtifactFile
    built_at: datetime
    rule: str = ""
    passed: Sequence[tuple[str, str]] = ()
    files: Sequence[ArtifactFile] = ()
    build: str | None = None
    dirty: bool = False
    facts: Mapping[str, str] = field(default_factory=dict[str, str])

    def _repr_html_(self) -> str:
        rows = [
            ("project", self.project),
            ("module", self.module),
            ("jar", self.job_jar.path),
            ("rule", self.rule),
            ("commit", self.revision.id),
            ("branch", self.revision.reference),
            ("author", self.revision.author),
            ("built at", self.built_at),
        ]
        return table(("artifact", self.id), rows)


@dataclass(frozen=True)
class BuildProblem:
    """Why a build failed.

    Attributes:
        reason: ``"compile"``, ``"dependency"``, ``"tests"``, …; None where what surrounds the build failed.
        kind: The kind of the error.
        message: The error in one line.
        lines: The tool's lines about it.
    """

    reason: str | None
    kind: str
    message: str
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class BuildRecord:
    """What is known of one build.

    Attributes:
        id: Its identity.
        project: The project.
        modules: The modules that were asked for; empty are those that the project declares.
        actor: Who asked.
        priority: Higher comes first.
        state: ``"QUEUED"``, ``"RUNNING"``, ``"SUCCEEDED"``, ``"FAILED"``, ``"CANCELLED"`` or ``"INTERRUPTED"``.
        queued_at: When it was asked for.
        started_at: When its turn came.
        ended_at: When it was over.
        ended_by: Who ended it before it was over by itself.
        revision: What was built.
        builder: The builder's kind.
        artifacts: Module and artifact.
        reused: The earlier build whose artifacts these are.
        problem: Why it failed.
    """

    id: str
    project: str
    modules: Sequence[str]
    actor: str
    priority: int
    state: str
    queued_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    revision: Revision | None = None
    builder: str = ""
    artifacts: Sequence[tuple[str, str]] = ()
    reused: str | None = None
    problem: BuildProblem | None = None


@dataclass(frozen=True)
class BuildUpdate:
    """What a build tells while it is under way.

    Attributes:
        kind: ``"line"``, ``"step"``, ``"state"`` or ``"progress"``.
        text: The line, the step or the state.
        done: Objects that have come.
        total: Objects that will come; 0 while nobody knows.
    """

    kind: str
    text: str = ""
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Pruned:
    """What a clean-up removed.

    Attributes:
        artifacts: Artifacts that went.
        bytes: Bytes that were let go.
    """

    artifacts: Sequence[str]
    bytes: int


@dataclass(frozen=True)
class Origin:
    """Where the code of a job comes from.

    Attributes:
        name: The project's name.
        module: The module.
        revision: Commit, branch, author.
        artifact: The artifact that runs.
        project: The project as it is declared now; None where it was removed.
        build: The build that made it; None where it is forgotten.
        readme: The README nearest to the module: path and text.
    """

    name: str
    module: str
    revision: Revision
    artifact: Artifact
    project: ProjectSpec | None = None
    build: BuildRecord | None = None
    readme: tuple[str, str] | None = None


@dataclass(frozen=True)
class MainClass:
    """A class that can be started.

    Attributes:
        class_name: Its name.
        manifest: Whether the manifest names it.
    """

    class_name: str
    manifest: bool


@dataclass(frozen=True)
class FlinkHint:
    """A hint at the version of Flink that the code was compiled against.

    Attributes:
        version: The version, whole or its line.
        source: Where that stands.
    """

    version: str
    source: str


@dataclass(frozen=True)
class Clash:
    """Classes that the cluster has too.

    Attributes:
        library: Whose they are: ``"flink"``, ``"logging"``, ``"hadoop"``.
        classes: How many.
        example: One of them.
        remedy: What to do.
    """

    library: str
    classes: int
    example: str
    remedy: str


@dataclass(frozen=True)
class SqlFunction:
    """A function for Flink SQL.

    Attributes:
        class_name: Its class.
        kind: What it extends, for example ``"ScalarFunction"``.
    """

    class_name: str
    kind: str


@dataclass(frozen=True)
class ConnectorOption:
    """An option of a connector or format.

    Attributes:
        key: The key, where it can be read.
        constant: The constant that the code names.
    """

    key: str | None
    constant: str


@dataclass(frozen=True)
class Connector:
    """A factory of a connector, format or catalog.

    Attributes:
        class_name: Its class.
        identifier: The name in ``'connector' = '…'``, where it can be read.
        required: The options that must be given.
        optional: The options that may be given.
    """

    class_name: str
    identifier: str | None
    required: Sequence[ConnectorOption] = ()
    optional: Sequence[ConnectorOption] = ()


@dataclass(frozen=True)
class Inspection:
    """What is in a jar.

    Attributes:
        size: Bytes.
        entries: Entries of the archive.
        classes: Classes among them.
        manifest_class: The class that the manifest names.
        main_classes: Classes that can be started.
        flink: Which Flink the code was compiled against, the surest hint first.
        java: The Java that the newest class needs.
        java_class: That class.
        clashes: Classes that will clash with the cluster's.
        functions: Functions for SQL.
        connectors: Connectors, formats and catalogs for SQL.
        warnings: What could not be read.
    """

    size: int
    entries: int
    classes: int
    manifest_class: str | None
    main_classes: Sequence[MainClass]
    flink: Sequence[FlinkHint]
    java: int | None
    java_class: str | None
    clashes: Sequence[Clash]
    functions: Sequence[SqlFunction]
    connectors: Sequence[Connector]
    warnings: Sequence[str]


@dataclass(frozen=True)
class LockedJar:
    """One jar that Maven found.

    Attributes:
        artifact: ``group:artifact``.
        version: Its version.
        name: The name of its file.
        sha256: SHA-256 of its content.
        path: Where it is on this machine.
    """

    artifact: str
    version: str
    name: str
    sha256: str
    path: str


@dataclass(frozen=True)
class MavenLock:
    """The jars of some coordinates; their own first, then what they need.

    Attributes:
        coordinates: What was asked for.
        jars: The jars.
        exclude: What was left out.
    """

    coordinates: str
    jars: Sequence[LockedJar]
    exclude: Sequence[str] = ()


@dataclass(frozen=True)
class DependencyConflict:
    """One artifact in several versions.

    Attributes:
        artifact: ``group:artifact``.
        versions: The versions, each with the coordinates that bring it.
    """

    artifact: str
    versions: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ResourceEntry:
    """One version of a resource.

    Attributes:
        name: The name that jobs use.
        version: The version.
        kind: ``"jar"``, ``"function"``, ``"connector"`` or ``"group"``.
        team: The team that it belongs to; None is everybody's.
        file: The name of its file; None for a group.
        sha256: SHA-256 of its content.
        size: Bytes.
        functions: The functions that it holds.
        connectors: The connectors and formats that it holds, as SQL names them.
        members: The members of a group.
        actor: Who brought it.
        description: What it is, in a sentence.
        created_at: When it was brought.
    """

    name: str
    version: str
    kind: str
    team: str | None
    file: str | None
    sha256: str | None
    size: int
    functions: Sequence[SqlFunction]
    connectors: Sequence[str]
    members: Sequence[str]
    actor: str
    description: str
    created_at: datetime


def revision_of(value: Mapping[str, Any]) -> Revision:
    """The revision in a native answer."""
    return record(Revision, value, at=time_or_none)


def sync_of(value: Mapping[str, Any]) -> SyncReport:
    """The report in a native answer."""
    return record(SyncReport, value, revision=revision_of)


def commit_of(value: Mapping[str, Any]) -> Commit:
    """The commit in a native answer."""
    return record(Commit, value, at=time_or_none)


def artifact_of(value: Mapping[str, Any]) -> Artifact:
    """The artifact in a native answer."""
    return record(
        Artifact,
        value,
        revision=revision_of,
        job_jar=_file,
        files=each(_file),
        passed=each(tuple),
        built_at=time_of,
    )


def _file(value: Mapping[str, Any]) -> ArtifactFile:
    return record(ArtifactFile, value)


def build_of(value: Mapping[str, Any]) -> BuildRecord:
    """The build in a native answer."""
    order = {name: value["order"][name] for name in ("project", "modules", "actor", "priority")}
    problem = or_none(lambda item: record(BuildProblem, item))
    times = {"queued_at": time_of, "started_at": time_or_none, "ended_at": time_or_none}
    return record(
        BuildRecord, {**value, **order}, revision=or_none(revision_of), artifacts=each(tuple), problem=problem, **times
    )


def origin_of(value: Mapping[str, Any]) -> Origin:
    """The origin in a native answer."""
    return record(
        Origin,
        value,
        revision=revision_of,
        artifact=artifact_of,
        project=or_none(project_of),
        build=or_none(build_of),
        readme=or_none(tuple),
    )


def _function(value: Mapping[str, Any]) -> SqlFunction:
    return SqlFunction(value["class"], value["kind"])


def inspection_of(value: Mapping[str, Any]) -> Inspection:
    """The inspection in a native answer."""
    options = each(lambda item: record(ConnectorOption, item))
    return record(
        Inspection,
        value,
        main_classes=each(lambda item: MainClass(item["class"], item["manifest"])),
        flink=each(lambda item: FlinkHint(item["version"], item["from"])),
        clashes=each(lambda item: record(Clash, item)),
        functions=each(_function),
        connectors=each(
            lambda item: Connector(
                item["class"], item["identifier"], options(item["required"]), options(item["optional"])
            )
        ),
    )


def lock_of(value: Mapping[str, Any]) -> MavenLock:
    """The lock in a native answer."""
    return record(MavenLock, value, jars=each(lambda item: record(LockedJar, item)))


def conflict_of(value: Mapping[str, Any]) -> DependencyConflict:
    """The conflict in a native answer."""
    return record(DependencyConflict, value, versions=each(tuple))


def resource_of(value: Mapping[str, Any]) -> ResourceEntry:
    """The resource in a native answer."""
    return record(ResourceEntry, value, functions=each(_function), created_at=time_of)
