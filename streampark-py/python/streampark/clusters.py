"""Clusters: places that accept runs."""

from __future__ import annotations

import atexit
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from streampark import _streampark
from streampark._read import Duration, record, seconds, seconds_or_none, time_of, time_or_none
from streampark.exceptions import ConflictError
from streampark.flink import AsyncRestClient, RestClient
from streampark.flink._client import Pem, rest_options
from streampark.records import (
    Capability,
    ClusterInfo,
    Failure,
    Observation,
    RestorePoint,
    observation_of,
    restore_point_of,
)

__all__ = ["CallName", "Cluster", "Copy", "CopyLog", "Fault", "LocalCluster", "MemoryCluster", "StandaloneCluster"]

CallName = Literal[
    "observe", "reserve", "submit", "lookup", "stop", "savepoint", "restore_points", "failure", "release"
]


class Cluster(ABC):
    """A place that accepts runs."""

    @abstractmethod
    def _native(self) -> _streampark.Cluster: ...

    def info(self) -> ClusterInfo:
        """What it is; no request is made."""
        return record(ClusterInfo, json.loads(self._native().info()))

    def capability(self) -> Capability:
        """What it can do; no request is made."""
        return record(Capability, json.loads(self._native().capability()))

    def observe(self) -> list[Observation]:
        """Everything it runs, whoever started it."""
        return [observation_of(seen) for seen in json.loads(self._native().observe().wait())]

    async def observe_async(self) -> list[Observation]:
        """Like :meth:`observe`, awaited."""
        return [observation_of(seen) for seen in json.loads(await self._native().observe())]


class RegisteredCluster(Cluster):
    """A cluster as a platform knows it, of whatever kind."""

    def __init__(self, native: _streampark.Cluster) -> None:
        self._cluster = native

    def _native(self) -> _streampark.Cluster:
        return self._cluster

    def __repr__(self) -> str:
        info = self.info()
        return f"<{info.kind} cluster at {info.location}>"


class StandaloneCluster(Cluster):
    """A Flink session that somebody else runs, by the address of its REST interface.

    Args:
        *urls: The address, for example ``"http://jobmanager:8081/"``; a path is kept as a prefix. More than
            one where high availability has several JobManagers.
        headers: Sent with every request; a value may name its place, ``"env:NAME"`` or ``"file:/path"``.
        tls_ca: Certificates (PEM) trusted besides the machine's: bytes, or the path of a file.
        tls_certificate: Our own certificate chain, where the server asks for one.
        tls_key: The key of ``tls_certificate``.
        timeout: How long one question may take. Default 3 s.
        connect_timeout: How long to wait for a connection. Default 1 s.
        transfer_timeout: How long a jar may take to upload, or a log to read. Default 5 min.
        run_timeout: How long the program's ``main`` may take. Default 60 s.
        proxy_from_env: Whether the proxy named by the environment is used.
        max_answer: The longest answer that is read, in bytes. Default 64 MiB.
    """

    def __init__(
        self,
        *urls: str,
        headers: Mapping[str, str] | None = None,
        tls_ca: Pem | None = None,
        tls_certificate: Pem | None = None,
        tls_key: Pem | None = None,
        timeout: Duration | None = None,
        connect_timeout: Duration | None = None,
        transfer_timeout: Duration | None = None,
        run_timeout: Duration | None = None,
        proxy_from_env: bool = False,
        max_answer: int | None = None,
    ) -> None:
        options = rest_options(
            urls,
            headers=headers,
            tls_ca=tls_ca,
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            timeout=timeout,
            connect_timeout=connect_timeout,
            transfer_timeout=transfer_timeout,
            run_timeout=run_timeout,
            proxy_from_env=proxy_from_env,
            max_answer=max_answer,
        )
        self._cluster, self._rest = _streampark.standalone(options)

    def _native(self) -> _streampark.Cluster:
        return self._cluster

    @property
    def rest(self) -> RestClient:
        """The client of Flink's REST interface."""
        return RestClient.of_native(self._rest)

    @property
    def rest_async(self) -> AsyncRestClient:
        """The client of Flink's REST interface, awaited."""
        return AsyncRestClient.of_native(self._rest)

    def __repr__(self) -> str:
        return f"StandaloneCluster({self._rest.base_url()!r})"


_running: set[_streampark.Local] = set()
_owner = os.getpid()


def _stop_all() -> None:
    if os.getpid() == _owner:
        for native in list(_running):
            native.stop().wait()


atexit.register(_stop_all)


class LocalCluster(Cluster):
    """A real Flink on this machine: a JobManager and TaskManagers as child processes, without Flink's scripts.

    It runs from :meth:`start` to :meth:`stop`, or from the head of a ``with`` (or ``async with``) block to its
    end; what still runs when the interpreter ends is stopped then. Where this process is killed, Flink lives on,
    and the next start in the same ``work_dir`` uses it again, or ends it where ``adopt`` is False.

    Args:
        flink_home: A FLINK_HOME, the folder of an installed PyFlink, or a folder with Flink's jars. Default: the
            environment variable ``FLINK_HOME``.
        work_dir: Where configuration, logs and checkpoints are kept. Default: a new folder among the temporary files.
        task_managers: How many TaskManagers.
        slots: Slots of each TaskManager.
        config: Options of Flink, over all that is set by itself.
        timeout: How long Flink may take until it answers.
        adopt: Whether a Flink left behind in ``work_dir`` is used again.
    """

    def __init__(
        self,
        flink_home: str | Path | None = None,
        *,
        work_dir: str | Path | None = None,
        task_managers: int = 1,
        slots: int = 4,
        config: Mapping[str, str | int | float | bool] | None = None,
        timeout: Duration = 90,
        adopt: bool = True,
    ) -> None:
        words = {
            key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in (config or {}).items()
        }
        self._options = json.dumps(
            {
                "flink_home": None if flink_home is None else str(flink_home),
                "work_dir": None if work_dir is None else str(work_dir),
                "task_managers": task_managers,
                "slots": slots,
                "config": list(words.items()),
                "timeout": seconds(timeout),
                "adopt": adopt,
            }
        )
        self._local: _streampark.Local | None = None

    def _started(self) -> _streampark.Local:
        if self._local is None:
            raise ConflictError("this local Flink does not run; call start(), or use it in a with block")
        return self._local

    def _native(self) -> _streampark.Cluster:
        return self._started().cluster()

    def _take(self, native: _streampark.Local) -> LocalCluster:
        self._local = native
        _running.add(native)
        return self

    def start(self) -> LocalCluster:
        """Starts Flink and waits until it answers with all its TaskManagers; gives this cluster."""
        return self if self._local is not None else self._take(_streampark.Local.start(self._options).wait())

    async def start_async(self) -> LocalCluster:
        """Like :meth:`start`, awaited."""
        return self if self._local is not None else self._take(await _streampark.Local.start(self._options))

    def stop(self) -> None:
        """Ends Flink; a second call does nothing."""
        if self._local is not None:
            self._local.stop().wait()
            _running.discard(self._local)
            self._local = None

    async def stop_async(self) -> None:
        """Like :meth:`stop`, awaited."""
        if self._local is not None:
            await self._local.stop()
            _running.discard(self._local)
            self._local = None

    def __enter__(self) -> LocalCluster:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> LocalCluster:
        return await self.start_async()

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_async()

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._local is not None

    @property
    def address(self) -> str:
        """The address of its REST interface and web UI."""
        return self._started().address()

    @property
    def work_dir(self) -> Path:
        """The folder with configuration, logs, checkpoints and savepoints."""
        return Path(self._started().work_dir())

    @property
    def version(self) -> str:
        """The version of Flink."""
        return self._started().version()

    @property
    def process_ids(self) -> tuple[int | None, list[int]]:
        """The process ids of the JobManager and of the TaskManagers."""
        return self._started().process_ids()

    @property
    def rest(self) -> RestClient:
        """The client of Flink's REST interface."""
        return RestClient.of_native(self._started().rest())

    @property
    def rest_async(self) -> AsyncRestClient:
        """The client of Flink's REST interface, awaited."""
        return AsyncRestClient.of_native(self._started().rest())

    def kill_job_manager(self) -> None:
        """Kills the JobManager as ``kill -9`` does, for tests of what follows; its TaskManagers live on."""
        self._started().kill_job_manager().wait()

    def __repr__(self) -> str:
        return f"LocalCluster({self._local.address()!r})" if self._local is not None else "LocalCluster(not running)"


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a call of a simulated cluster; made by one of the functions below."""

    fault: str
    details: tuple[tuple[str, Any], ...] = ()

    @staticmethod
    def refused() -> Fault:
        """Nobody listens: the call fails at once, without effect."""
        return Fault("refused")

    @staticmethod
    def hang(time: Duration) -> Fault:
        """Accepted and never answered: the call fails after this time, without effect."""
        return Fault("hang", (("seconds", seconds(time)),))

    @staticmethod
    def answer_lost(time: Duration = 0) -> Fault:
        """The request takes effect, and the answer is lost after this time."""
        return Fault("answer_lost", (("seconds", seconds(time)),))

    @staticmethod
    def arrives_late(lost_after: Duration, effect_after: Duration) -> Fault:
        """The answer is lost after the first time; the request takes effect after the second one."""
        return Fault("arrives_late", (("lost_after", seconds(lost_after)), ("effect_after", seconds(effect_after))))

    @staticmethod
    def server_error() -> Fault:
        """The engine answers that it failed, without effect: HTTP 500."""
        return Fault("server_error")

    @staticmethod
    def rejected(reason: str) -> Fault:
        """The engine refuses for good, without effect: the program is at fault."""
        return Fault("rejected", (("reason", reason),))

    def _json(self) -> str:
        return json.dumps({"fault": self.fault, **dict(self.details)})


@dataclass(frozen=True)
class Copy:
    """One copy of a job that truly ran.

    Attributes:
        job: The job's id.
        generation: Which submission of it.
        flink_job: Flink's JobID.
        restored_from: Where it started from.
        started_at: When its tasks began.
        ended_at: When its last task ended; after a crash of the JobManager this lies in the future.
        ended_as: How it ended, in the engine's word.
    """

    job: str
    generation: int
    flink_job: str
    restored_from: str | None
    started_at: datetime
    ended_at: datetime | None = None
    ended_as: str | None = None

    def is_alive(self, at: datetime) -> bool:
        """Whether it was alive at a time."""
        return self.started_at <= at and (self.ended_at is None or at < self.ended_at)


class CopyLog(tuple[Copy, ...]):
    """What truly ran, in the order of starts: the judge of "one copy"."""

    __slots__ = ()

    def of(self, job: str) -> CopyLog:
        """The copies of one job, oldest first."""
        return CopyLog(copy for copy in self if copy.job == job)

    def alive(self, job: str, at: datetime) -> int:
        """The copies of ``job`` alive at a time."""
        return sum(copy.is_alive(at) for copy in self.of(job))

    def most_at_once(self, job: str) -> int:
        """The most copies of ``job`` that were alive at one moment."""
        return max((self.alive(job, copy.started_at) for copy in self.of(job)), default=0)

    def jobs(self) -> Sequence[str]:
        """Every job that ever ran, by id, in order."""
        return sorted({copy.job for copy in self})


class MemoryCluster(Cluster):
    """A cluster that only simulates: no Flink, no process, no network; for tests.

    Faults come on demand (:meth:`inject`, :meth:`break_down`), and :meth:`log` tells what truly ran.

    Args:
        latency: How long each answer takes.
        start_delay: How long an accepted run takes until RUNNING.
        checkpoint_interval: How often a running job completes a checkpoint by itself; None is never.
        orphan_timeout: How long tasks outlive their JobManager.
        capability: What it can do; None is all that it simulates.
    """

    def __init__(
        self,
        *,
        latency: Duration = 0,
        start_delay: Duration = 0,
        checkpoint_interval: Duration | None = None,
        orphan_timeout: Duration = 60,
        capability: Capability | None = None,
    ) -> None:
        self._memory = _streampark.Memory(
            json.dumps(
                {
                    "latency": seconds(latency),
                    "start_delay": seconds(start_delay),
                    "checkpoint_interval": seconds_or_none(checkpoint_interval),
                    "orphan_timeout": seconds(orphan_timeout),
                    "capability": None if capability is None else vars(capability),
                }
            )
        )
        self._cluster = self._memory.cluster()

    def _native(self) -> _streampark.Cluster:
        return self._cluster

    def inject(self, call: CallName, fault: Fault, times: int = 1) -> None:
        """Makes the next ``times`` calls go wrong."""
        self._memory.inject(call, fault._json(), times)  # pyright: ignore[reportPrivateUsage]

    def break_down(self, fault: Fault, call: CallName | None = None) -> None:
        """Makes every call of one kind (of all kinds where None) go wrong until :meth:`heal`."""
        self._memory.break_down(call, fault._json())  # pyright: ignore[reportPrivateUsage]

    def heal(self) -> None:
        """Ends every fault."""
        self._memory.heal()

    def log(self) -> CopyLog:
        """What truly ran so far."""
        copies = json.loads(self._memory.log())
        return CopyLog(record(Copy, copy, started_at=time_of, ended_at=time_or_none) for copy in copies)

    def flink_job(self, job: str) -> str | None:
        """The JobID of the newest run of a job (by its id) that the engine remembers."""
        return self._memory.flink_job(job)

    def fail(self, flink_job: str, failure: Failure | str) -> None:
        """Makes a live job FAILED."""
        told = Failure(failure) if isinstance(failure, str) else failure
        plain: dict[str, Any] = {"class": told.class_name, "message": told.message, "class_of": told.class_of}
        self._memory.fail(flink_job, json.dumps({**plain, "detail": told.detail, "labels": dict(told.labels)}))

    def finish(self, flink_job: str) -> None:
        """Makes a live job FINISHED."""
        self._memory.finish(flink_job)

    def set_restarting(self, flink_job: str, restarting: bool) -> None:
        """Makes a live job RESTARTING, or RUNNING again."""
        self._memory.set_restarting(flink_job, restarting)

    def complete_checkpoint(self, flink_job: str) -> RestorePoint:
        """Completes a checkpoint of a live job; the one before it is deleted."""
        return restore_point_of(json.loads(self._memory.complete_checkpoint(flink_job)))

    def delete_restore_point(self, path: str) -> bool:
        """Deletes the files of a restore point behind everybody's back; False where there are none."""
        return self._memory.delete_restore_point(path)

    def crash_job_manager(self) -> None:
        """The JobManager dies and comes back empty: its jobs are no longer listed, their tasks live on."""
        self._memory.crash_job_manager()

    def forget(self, flink_job: str) -> None:
        """Forgets a job that is over, as Flink does after a while."""
        self._memory.forget(flink_job)

    def __repr__(self) -> str:
        return "MemoryCluster()"
