"""What the owner of a project writes down. The same words as in Rust, YAML and JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from streampark import _streampark

__all__ = [
    "BuilderOptions",
    "CommandBuilder",
    "GradleBuilder",
    "MavenBuilder",
    "ModuleSpec",
    "NoBuilder",
    "ProjectSpec",
]


@dataclass(frozen=True)
class MavenBuilder:
    """Builds with the project's ``mvnw``, or the Maven of ``M2_HOME``, or the one on the PATH.

    Attributes:
        folder: The folder of the project that holds the ``pom.xml``; empty is its top.
        profiles: Profiles to activate.
        properties: Properties, as ``-Dkey=value`` sets them.
        settings: A ``settings.xml`` of this machine.
        local_repository: Where Maven keeps what it fetched.
        tests: Whether tests are run too.
        offline: Whether nothing may be fetched.
        update_snapshots: Whether snapshots are looked for again.
        wrapper: Whether the project's ``mvnw`` is preferred.
        threads: How many modules are built at once.
        heap_mb: The heap of Maven's JVM in MiB.
        java_home: The JDK to build with.
    """

    folder: str = ""
    profiles: Sequence[str] = ()
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: str | Path | None = None
    local_repository: str | Path | None = None
    tests: bool = False
    offline: bool = False
    update_snapshots: bool = False
    wrapper: bool = True
    threads: int | None = None
    heap_mb: int | None = None
    java_home: str | Path | None = None

    @staticmethod
    def parse(line: str) -> MavenBuilder:
        """Reads a line of build arguments as Apache StreamPark keeps it, such as ``-Pprod -Dx=1``."""
        return MavenBuilder(**json.loads(_streampark.maven_arguments(line)))


@dataclass(frozen=True)
class GradleBuilder:
    """Builds with the project's ``gradlew``, or the Gradle on the PATH; never with a daemon.

    Attributes:
        folder: The folder of the project that holds ``settings.gradle``; empty is its top.
        task: The task that makes the jar.
        properties: Properties, as ``-Pkey=value`` sets them.
        tests: Whether tests are run too.
        offline: Whether nothing may be fetched.
        wrapper: Whether the project's ``gradlew`` is preferred.
        user_home: Where Gradle keeps what it fetched.
        heap_mb: The heap of Gradle's JVM in MiB.
        java_home: The JDK to build with.
    """

    folder: str = ""
    task: str = "assemble"
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    tests: bool = False
    offline: bool = False
    wrapper: bool = True
    user_home: str | Path | None = None
    heap_mb: int | None = None
    java_home: str | Path | None = None


@dataclass(frozen=True)
class CommandBuilder:
    """Runs one program with fixed words, never through a shell.

    Attributes:
        argv: The program and its words.
        outputs: Module, and the files of it: paths in which ``*`` stands for any text of a name.
    """

    argv: Sequence[str]
    outputs: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


@dataclass(frozen=True)
class NoBuilder:
    """Takes files that are in the project already.

    Attributes:
        outputs: Module, and the files of it; where none are named, the jars and archives at the top.
    """

    outputs: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


BuilderOptions = Union[MavenBuilder, GradleBuilder, CommandBuilder, NoBuilder]
_KINDS: Mapping[type, str] = {
    MavenBuilder: "maven",
    GradleBuilder: "gradle",
    CommandBuilder: "command",
    NoBuilder: "none",
}


@dataclass(frozen=True)
class ModuleSpec:
    """A module that gives a job.

    Attributes:
        name: Its folder inside the project, such as ``jobs/orders``.
        jar: The name of the job's jar, in which ``*`` stands for any text; None leaves it to the rules.
    """

    name: str
    jar: str | None = None


@dataclass(frozen=True)
class ProjectSpec:
    """A project: where its code is, how it is built, whose it is.

    Attributes:
        name: The name that jobs use.
        git: The address of a Git repository; this, or ``local``.
        local: A folder of this machine; this, or ``git``.
        ref: The branch, tag or commit; empty is the repository's default branch.
        credentials: Who we are, with secrets named and not held: ``{"token": "env:NAME"}``,
            ``{"password": {"user": "ada", "password": "file:/path"}}``,
            ``{"key": {"file": "/path", "passphrase": "env:NAME"}}``, or ``"agent"``.
        submodules: Whether submodules are brought.
        builder: How it is built.
        modules: Which modules give jobs; none named are all that the build makes.
        owner: Whose it is.
        environment: What it is for: ``dev``, ``prod``.
        description: What it is, in a sentence.
    """

    name: str
    git: str | None = None
    local: str | Path | None = None
    ref: str = ""
    credentials: Mapping[str, Any] | str | None = None
    submodules: bool = False
    builder: BuilderOptions = field(default_factory=MavenBuilder)
    modules: Sequence[str | ModuleSpec] = ()
    owner: str = ""
    environment: str = ""
    description: str = ""

    @staticmethod
    def from_yaml(text: str) -> ProjectSpec:
        """Reads a project from YAML."""
        return project_of(json.loads(_streampark.project_from_yaml(text)))

    def to_dict(self) -> dict[str, Any]:
        """The project as plain data, as JSON and YAML have it."""
        plain = _plain(dataclasses.asdict(self))
        plain["builder"] = {_KINDS[type(self.builder)]: _plain(dataclasses.asdict(self.builder))}
        plain["modules"] = [m if isinstance(m, str) else _plain(dataclasses.asdict(m)) for m in self.modules]
        return plain


def project_of(value: Mapping[str, Any]) -> ProjectSpec:
    """The project in a native answer."""
    ((kind, options),) = value.get("builder", {"maven": {}}).items()
    cls = next(cls for cls, name in _KINDS.items() if name == kind)
    modules = tuple(_module(module) for module in value.get("modules", ()))
    fields: dict[str, Any] = {**value, "builder": cls(**options), "modules": modules}
    return ProjectSpec(**fields)


def _module(value: Mapping[str, Any] | str) -> str | ModuleSpec:
    return value if isinstance(value, str) else ModuleSpec(value["name"], value.get("jar"))


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None, paths as texts."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(value), default=str))
    return {key: item for key, item in plain.items() if item is not None}
