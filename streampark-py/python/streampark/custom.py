"""Clusters of one's own: an engine behind methods written in Python."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from streampark import _streampark
from streampark._answers import (
    plain_failure,
    plain_observation,
    plain_restore_point,
    restore_point_of,
)
from streampark._read import Duration, each, or_none, record, seconds
from streampark.clusters import Cluster
from streampark.exceptions import InvalidInputError, UnsupportedError
from streampark.records import Capability, ClusterInfo, Failure, Observation, Plan, RestorePoint

__all__ = ["Accepted", "CustomCluster", "Resource", "RunRef", "SavepointOptions", "Stopped", "Submission"]


@dataclass(frozen=True)
class RunRef:
    """A run, in every word by which an engine can know it.

    Attributes:
        key: Job and generation, unique for ever: what an engine's tags or labels carry.
        flink_job: Flink's JobID of the run.
        deployment: The engine's place of the run, once known.
    """

    key: str
    flink_job: str
    deployment: str | None = None


@dataclass(frozen=True)
class Resource:
    """A file that goes with a run: at ``path``, at ``url`` or in ``data``.

    Attributes:
        name: The file name that the engine sees, for example ``"orders.jar"``.
        path: The file on this machine.
        url: The place from which the engine reads it by itself (``hdfs://…``, ``s3://…``).
        data: Its bytes, where it is a small file that was made in memory.
        sha256: SHA-256 in lower-case hex, where it was computed.
    """

    name: str
    path: Path | None = None
    url: str | None = None
    data: bytes | None = field(default=None, repr=False)
    sha256: str | None = None

    def read(self) -> bytes:
        """Its bytes; a file that only the engine reads raises :class:`~streampark.UnsupportedError`."""
        if self.data is not None:
            return self.data
        if self.path is None:
            raise UnsupportedError(f"{self.name} is at {self.url}, where the engine reads it by itself")
        return self.path.read_bytes()


@dataclass(frozen=True)
class Submission:
    """Everything a cluster needs to start one run.

    Attributes:
        run: Who the run is: committed before anything is sent.
        name: The job's name (``pipeline.name``).
        runtime: ``"java"``, or ``"python"`` where the engine must start PyFlink.
        jar: The jar with the entry class; None where the entry class ships with Flink itself.
        entry_class: The class with ``main``; None means the jar's manifest names it.
        args: The arguments of ``main``, one element each.
        jars: Jars beside the main one.
        files: Files that the program opens by name in its working folder.
        archives: Archives that the engine unpacks under their name.
        notes: What the reader of a plan should know of the program; never sent.
        config: Flink configuration of the run.
        parallelism: ``parallelism.default``; None leaves it to the cluster.
        restore: Where to start from; None starts empty.
        allow_non_restored_state: Passes state that no operator claims.
        claim_mode: Who owns the files of ``restore`` afterwards: ``"NO_CLAIM"`` or ``"CLAIM"``.
        labels: Labels that engines can carry.
    """

    run: RunRef
    name: str
    runtime: str = "java"
    jar: Resource | None = None
    entry_class: str | None = None
    args: Sequence[str] = ()
    jars: Sequence[Resource] = ()
    files: Sequence[Resource] = ()
    archives: Sequence[Resource] = ()
    notes: Sequence[str] = ()
    config: Mapping[str, str] = field(default_factory=dict[str, str])
    parallelism: int | None = None
    restore: RestorePoint | None = None
    allow_non_restored_state: bool = False
    claim_mode: str = "NO_CLAIM"
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class SavepointOptions:
    """Where and how a savepoint is written.

    Attributes:
        directory: The folder; None is the cluster's default.
        format: ``"CANONICAL"`` or ``"NATIVE"``.
        timeout: How long it may take, in seconds.
        trigger_id: Names the request, so that asking twice makes one savepoint (Flink's ``triggerId``).
    """

    directory: str | None = None
    format: str = "CANONICAL"
    timeout: float = 600.0
    trigger_id: str | None = None


@dataclass(frozen=True)
class Accepted:
    """A cluster's word that a run was taken.

    Attributes:
        flink_job: Flink's JobID.
        deployment: The engine's place of the run.
        already_there: True where the cluster had it already: this call changed nothing.
    """

    flink_job: str
    deployment: str | None = None
    already_there: bool = False


@dataclass(frozen=True)
class Stopped:
    """How a run's end was taken.

    Attributes:
        savepoint: The savepoint, where one was asked for.
        complete: False where the end was asked for and is still to be observed.
    """

    savepoint: RestorePoint | None = None
    complete: bool = False


class CustomCluster(Cluster):
    """A cluster of your own: subclass it, write its methods, and register it like any other.

    The methods are called on threads of the engine, several at once, for different runs also at the same time. They
    wait as long as they need, up to ``timeout``; one that takes longer counts as failed and holds its thread.

    An exception of StreamPark says what went wrong by its class and whether it may have happened by its ``status``.
    Any other exception counts as ``"remote"``: out of ``submit``, ``stop``, ``savepoint``, ``reserve`` and ``release``
    with the status ``"unknown"``, so that the run is looked up and not sent again; elsewhere as ``"temporary"``.

    Args:
        info: What it is.
        capability: What it can do; what it cannot do is refused before any method is called.
        timeout: How long a method may take; one that makes a savepoint has the savepoint's time as well.
        at_once: How many methods run at the same time, from 1 to 64.
    """

    def __init__(self, info: ClusterInfo, capability: Capability, *, timeout: Duration = 60, at_once: int = 8) -> None:
        options = {**vars(info), "capability": vars(capability), "timeout": seconds(timeout), "at_once": at_once}
        self._custom = _streampark.Custom(json.dumps(options))

    def _native(self) -> _streampark.Cluster:
        return self._custom.cluster(self._called)

    @abstractmethod
    def observe(self) -> list[Observation]:
        """Everything it runs, in as few round trips as the engine allows; ended runs as long as it remembers them.

        A list that could be incomplete is an error, never a short list.
        """

    @abstractmethod
    def submit(self, submission: Submission) -> Accepted:
        """Starts a run. Sent twice with the same run, it starts it once."""

    @abstractmethod
    def lookup(self, run: RunRef) -> Observation | None:
        """What became of a submission whose answer was lost, or of a run that is no longer listed.

        None says that the engine never had the run and that the request can no longer arrive. Raise where the engine
        cannot tell: it is asked again, and nothing is sent.
        """

    @abstractmethod
    def stop(
        self, run: RunRef, how: Literal["cancel", "savepoint", "drain", "kill"], savepoint: SavepointOptions
    ) -> Stopped:
        """Ends a run. One that is over already is ended: this is no error."""

    def reserve(self, run: str) -> str | None:
        """What the engine itself gives out before a submission (an application id); None where it gives out nothing.

        Args:
            run: The run's key.
        """
        return None

    def plan(self, submission: Submission) -> Plan:
        """Exactly what :meth:`submit` would send, secrets masked; nothing is sent or written."""
        raise UnsupportedError("this cluster does not tell what it would send; write its method plan")

    def savepoint(self, run: RunRef, options: SavepointOptions) -> RestorePoint:
        """Takes a savepoint of a running job; with the same ``trigger_id`` it is made once."""
        raise UnsupportedError("this cluster takes no savepoints")

    def restore_points(self, run: RunRef) -> Sequence[RestorePoint]:
        """The restore points of a run that exist now, newest first: what it answers is not older than the call."""
        return ()

    def newest_restore_point(self, run: RunRef) -> RestorePoint | None:
        """The newest restore point of a run that is at work, to watch it by; maybe as old as the engine's caches."""
        return next(iter(self.restore_points(run)), None)

    def verify(self, point: RestorePoint) -> Literal["present", "missing", "unchecked"]:
        """Whether the files of a restore point exist, as far as can be seen from here."""
        return "unchecked"

    def failure(self, run: RunRef) -> Failure | None:
        """Why a run failed, root exception first; None where the engine knows of no failure."""
        return None

    def logs(self, run: RunRef, *, task_manager: bool | str = False, tail_bytes: int | None = None) -> str:
        """The engine's log around a run.

        Args:
            run: The run.
            task_manager: The JobManager's log (False), those of all TaskManagers (True), or of the one with this id.
            tail_bytes: At most this many bytes from the end; None is all.
        """
        raise UnsupportedError("this cluster gives no logs")

    def release(self, run: RunRef) -> None:
        """Removes what the engine keeps for a run that is over and recorded. Nothing to remove is no error.

        Asked where each run has a place of its own (:attr:`~streampark.Capability.application`).
        """

    def set_ended(self, failure: Failure | None) -> None:
        """Says that the whole cluster has ended for good, and why; None takes it back."""
        self._custom.set_ended(None if failure is None else json.dumps(plain_failure(failure)))

    def _called(self, question: str) -> str | None:
        asked = json.loads(question)
        return json.dumps(_METHODS[asked["method"]](self, asked["arguments"]))

    def __repr__(self) -> str:
        info = self.info()
        return f"<{info.kind} cluster at {info.location}>"


def _run(value: Mapping[str, Any]) -> RunRef:
    return record(RunRef, value)


def _resource(value: Mapping[str, Any]) -> Resource:
    return record(Resource, value, path=or_none(Path), data=or_none(bytes.fromhex))


def _submission(value: Mapping[str, Any]) -> Submission:
    lists = dict.fromkeys(("jars", "files", "archives"), each(_resource))
    return record(
        Submission,
        value,
        run=_run,
        jar=or_none(_resource),
        restore=or_none(restore_point_of),
        args=tuple,
        notes=tuple,
        **lists,
    )


def _options(value: Mapping[str, Any]) -> SavepointOptions:
    return record(SavepointOptions, value)


def _plain(answer: object, wanted: type[Any], method: str, write: Callable[[Any], Any] = vars) -> Any:
    # It was called, and what it did is not known.
    status = "unknown" if method in {"submit", "stop", "savepoint"} else "permanent"
    if not isinstance(answer, wanted):
        raise InvalidInputError(
            f"the cluster's method {method} gave a {type(answer).__name__}; it must give a {wanted.__name__}", status
        )
    try:
        return write(answer)
    except InvalidInputError as error:
        raise InvalidInputError(f"what the cluster's method {method} gave cannot be read: {error}", status) from error


def _plain_or_none(answer: object, wanted: type[Any], method: str, write: Callable[[Any], Any]) -> Any:
    return None if answer is None else _plain(answer, wanted, method, write)


def _stopped(value: Stopped) -> dict[str, Any]:
    return {**vars(value), "savepoint": None if value.savepoint is None else plain_restore_point(value.savepoint)}


_METHODS: Mapping[str, Callable[[CustomCluster, Mapping[str, Any]], Any]] = {
    "observe": lambda to, _: [_plain(seen, Observation, "observe", plain_observation) for seen in to.observe()],
    "reserve": lambda to, given: to.reserve(given["run"]),
    "plan": lambda to, given: _plain(to.plan(_submission(given["submission"])), Plan, "plan", Plan.to_dict),
    "submit": lambda to, given: _plain(to.submit(_submission(given["submission"])), Accepted, "submit"),
    "lookup": lambda to, given: _plain_or_none(to.lookup(_run(given["run"])), Observation, "lookup", plain_observation),
    "stop": lambda to, given: _plain(
        to.stop(_run(given["run"]), given["how"], _options(given["savepoint"])), Stopped, "stop", _stopped
    ),
    "savepoint": lambda to, given: _plain(
        to.savepoint(_run(given["run"]), _options(given["options"])), RestorePoint, "savepoint", plain_restore_point
    ),
    "restore_points": lambda to, given: [
        _plain(point, RestorePoint, "restore_points", plain_restore_point)
        for point in to.restore_points(_run(given["run"]))
    ],
    "newest_restore_point": lambda to, given: _plain_or_none(
        to.newest_restore_point(_run(given["run"])), RestorePoint, "newest_restore_point", plain_restore_point
    ),
    "verify": lambda to, given: to.verify(restore_point_of(given["point"])),
    "failure": lambda to, given: _plain_or_none(to.failure(_run(given["run"])), Failure, "failure", plain_failure),
    "logs": lambda to, given: to.logs(
        _run(given["run"]), task_manager=given["task_manager"], tail_bytes=given["tail_bytes"]
    ),
    "release": lambda to, given: to.release(_run(given["run"])),
}
