"""A simulated cluster: runs nothing, forgets nothing, fails on demand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from streampark import _streampark
from streampark._answers import plain_failure, restore_point_of
from streampark._read import Duration, record, seconds, seconds_or_none, time_of, time_or_none
from streampark.clusters import Cluster
from streampark.records import (
    Capability,
    Failure,
    RestorePoint,
)

__all__ = ["CallName", "Copy", "CopyLog", "Fault", "MemoryCluster"]

CallName = Literal[
    "observe", "reserve", "submit", "lookup", "stop", "savepoint", "restore_points", "failure", "release"
]


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
        """Ends every fault; one that had ended is there again."""
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
        self._memory.fail(flink_job, json.dumps(plain_failure(told)))

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

    def end(self, reason: str) -> None:
        """The cluster itself ends, as a session does: it lists nothing any more, and says why."""
        self._memory.end(reason)

    def forget(self, flink_job: str) -> None:
        """Forgets a job that is over, as Flink does after a while."""
        self._memory.forget(flink_job)

    def __repr__(self) -> str:
        return "MemoryCluster()"
