"""What the owner of a job writes down. The same words as in Rust, YAML and JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypedDict, Union

from streampark import _streampark
from streampark.flink.config import FlinkConfig

__all__ = [
    "CustomProgram",
    "Dependency",
    "JarProgram",
    "JobSpec",
    "MavenRef",
    "ModuleRef",
    "Program",
    "ResourceRef",
    "RestartPolicy",
    "RestoreOptions",
    "SqlProgram",
]

Option = Union[str, int, float, bool]
UpgradeMode = Literal["savepoint", "last-state", "stateless"]
RestartMode = Literal["on-failure", "always", "never"]
StateNeed = Literal["auto", "required", "none"]
ClaimMode = Literal["NO_CLAIM", "CLAIM"]


@dataclass(frozen=True)
class ModuleRef:
    """Names the artifact of one module of a project.

    Attributes:
        project: The project's name.
        module: The module, as the build spells it; None where the project has one only.
        commit: A commit to stay on; None means the newest successful build.
        build: A build to stay on, by its id.
        artifact: An artifact to stay on, by its id: the SHA-256 of the job's jar.
    """

    project: str
    module: str | None = None
    commit: str | None = None
    build: str | None = None
    artifact: str | None = None


@dataclass(frozen=True)
class ResourceRef:
    """Names an entry of the resource centre.

    Attributes:
        resource: The entry's name.
        version: A version to stay on; None means the newest.
    """

    resource: str
    version: str | None = None


@dataclass(frozen=True)
class MavenRef:
    """Names a Maven artifact.

    Attributes:
        maven: ``group:artifact:version``, optionally ``group:artifact:version:classifier``.
        exclude: What not to bring along, as ``group:artifact``.
    """

    maven: str
    exclude: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "exclude", tuple(self.exclude))


Dependency = Union[str, Path, ModuleRef, ResourceRef, MavenRef]
"""A jar by path or URL, by project and module, by name in the resource centre, or by Maven coordinates."""


@dataclass(frozen=True)
class JarProgram:
    """A JAR with a ``main``.

    Attributes:
        jar: A path, a URL, or the artifact of a project's module.
        entry_class: The class with ``main``; None means the manifest names it.
        args: The arguments of ``main``, never split or joined.
    """

    jar: Dependency
    entry_class: str | None = None
    args: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "args", tuple(self.args))


@dataclass(frozen=True)
class SqlProgram:
    """A script of Flink SQL statements that runs as one job.

    Attributes:
        sql: The script.
        sql_file: A file that holds the script, instead of ``sql``.
    """

    sql: str | None = None
    sql_file: str | Path | None = None


@dataclass(frozen=True)
class CustomProgram:
    """A program of a kind that the embedder registered.

    Attributes:
        custom: The registered kind.
        options: Its options.
    """

    custom: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


Program = Union[JarProgram, SqlProgram, CustomProgram]
"""What a job runs."""


@dataclass(frozen=True)
class RestartPolicy:
    """How often and how soon a failed job is started again.

    Durations are in Flink's notation (``"10 s"``, ``"5 min"``) or a ``timedelta``. A field left None
    keeps its default.

    Attributes:
        mode: ``"on-failure"`` (default), ``"always"`` or ``"never"``.
        immediate_first: Whether the first failure restarts without a wait. Default True.
        initial_backoff: The first wait. Default 10 s.
        backoff_multiplier: How much longer each further wait is. Default 2.
        max_backoff: The longest wait. Default 5 min.
        jitter: The random share of each wait, 0 to 1. Default 0.2.
        reset_after: How long a run must be healthy before the count starts anew. Default 10 min.
        max_restarts: How many restarts ``window`` allows. Default 5.
        window: The time in which ``max_restarts`` are counted. Default 10 min.
    """

    mode: RestartMode | None = None
    immediate_first: bool | None = None
    initial_backoff: str | timedelta | None = None
    backoff_multiplier: float | None = None
    max_backoff: str | timedelta | None = None
    jitter: float | None = None
    reset_after: str | timedelta | None = None
    max_restarts: int | None = None
    window: str | timedelta | None = None


@dataclass(frozen=True)
class RestoreOptions:
    """How a job gets its state back. A field left None keeps its default.

    Attributes:
        state: ``"auto"`` (default), ``"required"`` or ``"none"``: whether it may start without state.
        allow_non_restored_state: Passes state that no operator claims. Default False.
        claim_mode: Who owns the files afterwards. Default ``"NO_CLAIM"``.
        max_age: An older restore point parks the job. Default: any age.
        initial: Where the very first run starts: the path of a savepoint or retained checkpoint.
    """

    state: StateNeed | None = None
    allow_non_restored_state: bool | None = None
    claim_mode: ClaimMode | None = None
    max_age: str | timedelta | None = None
    initial: str | None = None


class SpecFields(TypedDict, total=False):
    """The fields of :class:`JobSpec` beside name and program, as keyword arguments."""

    cluster: str
    parallelism: int | None
    flink: Mapping[str, Option]
    dependencies: Sequence[Dependency]
    alerts: Sequence[str]
    restart: RestartPolicy | None
    restore: RestoreOptions | None
    upgrade: UpgradeMode | None
    owner: str | None
    description: str | None
    labels: Mapping[str, str]
    links: Mapping[str, str]


class SpecChanges(SpecFields, total=False):
    """The fields that an update may change, as keyword arguments."""

    program: Program


@dataclass(frozen=True)
class JobSpec:
    """A job as its owner describes it.

    Attributes:
        name: Unique in a platform.
        program: What runs.
        cluster: The cluster, by the platform's name for it.
        parallelism: The default parallelism, 1 to 32768; None leaves it to the cluster.
        flink: Flink configuration of this job.
        dependencies: Jars beside the program: connectors, UDFs.
        alerts: The channels that hear of this job, by name.
        restart: When a failed job is started again.
        restore: How the job gets its state back.
        upgrade: How a changed spec takes over: ``"savepoint"`` (default), ``"last-state"``, ``"stateless"``.
        owner: Who answers for the job; alerts name them.
        description: What the job is for.
        labels: Anything to find the job by.
        links: Named links that alerts carry.
    """

    name: str
    program: Program
    cluster: str = ""
    parallelism: int | None = None
    flink: Mapping[str, Option] = field(default_factory=dict[str, Option])
    dependencies: Sequence[Dependency] = ()
    alerts: Sequence[str] = ()
    restart: RestartPolicy | None = None
    restore: RestoreOptions | None = None
    upgrade: UpgradeMode | None = None
    owner: str | None = None
    description: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    links: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        for name in ("dependencies", "alerts"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        # It hides the values of secret keys when it is printed.
        object.__setattr__(self, "flink", FlinkConfig(self.flink))

    def to_dict(self) -> dict[str, Any]:
        """The spec as plain data, as JSON has it; what is default is left out."""
        plain: dict[str, Any] = _plain(self)
        return plain

    def to_json(self) -> str:
        """The spec as JSON, checked."""
        return _streampark.spec_to_json(json.dumps(self.to_dict()))

    def to_yaml(self) -> str:
        """The spec as YAML, checked."""
        return _streampark.spec_to_yaml(json.dumps(self.to_dict()))

    def validate(self) -> None:
        """Checks every rule of a spec; raises :class:`~streampark.InvalidInputError`."""
        _streampark.spec_to_json(json.dumps(self.to_dict()))

    def replace(self, **changes: Any) -> JobSpec:
        """A copy with other values."""
        return dataclasses.replace(self, **changes)

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> JobSpec:
        """The spec in plain data; unknown fields are refused."""
        return JobSpec.from_json(json.dumps(plain))

    @staticmethod
    def from_json(text: str) -> JobSpec:
        """Reads JSON; unknown fields are refused with a suggestion."""
        return _spec(json.loads(_streampark.spec_to_json(text)))

    @staticmethod
    def from_yaml(text: str) -> JobSpec:
        """Reads YAML; unknown fields are refused with a suggestion."""
        return _spec(json.loads(_streampark.spec_from_yaml(text)))


def _duration(value: timedelta) -> str:
    micros = value // timedelta(microseconds=1)
    return f"{micros // 1000} ms" if micros % 1000 == 0 else f"{micros} us"


def _plain(value: Any) -> Any:
    """Plain data, as JSON has it."""
    plain = value
    if isinstance(value, CustomProgram):
        plain = {"custom": value.custom, **_plain(value.options)}
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        plain = {name: _plain(item) for name, item in items if item is not None and item not in ((), [], {})}
    elif isinstance(value, timedelta):
        plain = _duration(value)
    elif isinstance(value, Path):
        plain = str(value)
    elif isinstance(value, Mapping):
        plain = {str(key): _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
    elif isinstance(value, (list, tuple)):
        plain = [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return plain


def plain_dependency(value: Any) -> Dependency:
    """The dependency in plain data."""
    if isinstance(value, str):
        return value
    if "project" in value:
        return ModuleRef(**value)
    if "resource" in value:
        return ResourceRef(**value)
    return MavenRef(**value)


def _program(value: dict[str, Any]) -> Program:
    if "jar" in value:
        return JarProgram(plain_dependency(value["jar"]), value.get("entry_class"), value.get("args", ()))
    if "custom" in value:
        return CustomProgram(value["custom"], {k: v for k, v in value.items() if k != "custom"})
    return SqlProgram(**value)


def program_to_json(program: Program) -> str:
    """A program as JSON, for the native half."""
    return json.dumps(_plain(program))


def dependency_of(text: str) -> Dependency:
    """The dependency in JSON of the native half."""
    return plain_dependency(json.loads(text))


def _spec(value: dict[str, Any]) -> JobSpec:
    fields = dict(value)
    fields["program"] = _program(fields["program"])
    fields["dependencies"] = [plain_dependency(item) for item in fields.get("dependencies", [])]
    if "restart" in fields:
        fields["restart"] = RestartPolicy(**fields["restart"])
    if "restore" in fields:
        fields["restore"] = RestoreOptions(**fields["restore"])
    return JobSpec(**fields)
