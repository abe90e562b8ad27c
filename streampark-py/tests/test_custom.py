"""Clusters written in Python: the supervisor lives with them as with any other."""

from __future__ import annotations

import dataclasses
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
import streampark as sp
from conftest import QUICK, SCRIPT, wait_until


def now() -> datetime:
    return datetime.now(timezone.utc)


class Engine(sp.CustomCluster):
    """An engine that is a dictionary: its runs by Flink's JobID."""

    def __init__(self, *, timeout: float = 60, at_once: int = 8) -> None:
        info = sp.ClusterInfo("toy", "nowhere", flink_version="2.3.0", orphan_timeout=0.2)
        able = sp.Capability(
            application=True,
            fenced_submit=True,
            reserve=True,
            job_config=True,
            savepoint=True,
            stop_with_savepoint=True,
            restore=True,
            verify_restore_points=True,
            logs=True,
            extra_jars=True,
        )
        super().__init__(info, able, timeout=timeout, at_once=at_once)
        self.runs: dict[str, sp.Observation] = {}
        self.sent: list[sp.Submission] = []
        self.points: dict[str, list[sp.RestorePoint]] = {}
        self.failures: dict[str, sp.Failure] = {}
        self.released: list[str] = []
        self.savepoints: dict[str | None, sp.RestorePoint] = {}
        self.before: Callable[[str], None] = lambda method: None

    def become(self, flink_job: str, status: str) -> None:
        ended = now() if status in {"Failed", "Canceled", "Finished"} else None
        self.runs[flink_job] = sp.Observation(
            "orders", status, status.upper(), now(), flink_job=flink_job, ended_at=ended, tasks=(1, 1)
        )

    def complete(self, run: sp.RunRef | sp.Run, kind: str, path: str, number: int | None) -> sp.RestorePoint:
        point = sp.RestorePoint(kind, path, now(), number, 10, run.key, run.flink_job, "present")
        self.points.setdefault(run.flink_job, []).insert(0, point)
        return point

    def observe(self) -> list[sp.Observation]:
        self.before("observe")
        return [
            sp.Observation(
                seen.name,
                seen.status,
                seen.engine_status,
                now(),
                seen.flink_job,
                started_at=now(),
                ended_at=seen.ended_at,
                tasks=seen.tasks,
            )
            for seen in list(self.runs.values())
        ]

    def reserve(self, run: str) -> str | None:
        return f"place-{run.rpartition('/')[2]}"

    def submit(self, submission: sp.Submission) -> sp.Accepted:
        self.before("submit")
        flink_job = submission.run.flink_job
        there = flink_job in self.runs
        if not there:
            self.sent.append(submission)
            self.become(flink_job, "Running")
        return sp.Accepted(flink_job, submission.run.deployment, already_there=there)

    def lookup(self, run: sp.RunRef) -> sp.Observation | None:
        self.before("lookup")
        return self.runs.get(run.flink_job)

    def stop(self, run: sp.RunRef, how: str, savepoint: sp.SavepointOptions) -> sp.Stopped:
        self.before("stop")
        point = None if how in {"cancel", "kill"} else self.savepoint(run, savepoint)
        self.become(run.flink_job, "Canceled" if point is None else "Finished")
        return sp.Stopped(point, complete=True)

    def savepoint(self, run: sp.RunRef, options: sp.SavepointOptions) -> sp.RestorePoint:
        if options.trigger_id not in self.savepoints:
            path = f"{options.directory or 'toy:/savepoints'}/{len(self.savepoints)}"
            self.savepoints[options.trigger_id] = self.complete(run, "savepoint", path, None)
        return self.savepoints[options.trigger_id]

    def restore_points(self, run: sp.RunRef) -> list[sp.RestorePoint]:
        return self.points.get(run.flink_job, [])

    def verify(self, point: sp.RestorePoint) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return "present"

    def failure(self, run: sp.RunRef) -> sp.Failure | None:
        return self.failures.get(run.flink_job)

    def logs(self, run: sp.RunRef, *, task_manager: bool | str = False, tail_bytes: int | None = None) -> str:
        return f"log of {run.key}, {task_manager}, {tail_bytes}"

    def plan(self, submission: sp.Submission) -> sp.Plan:
        step = {
            "purpose": "start it",
            "method": "PUT",
            "target": "toy:/runs",
            "body": {"json": dict(submission.config)},
        }
        return sp.Plan("toy at nowhere", submission.name, [step], notes=["of a toy"])

    def release(self, run: sp.RunRef) -> None:
        self.released.append(run.flink_job)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def toy(engine: Engine, tmp_path: Path) -> Iterator[sp.StreamPark]:
    with sp.StreamPark(clusters={"dev": engine}, cache=tmp_path / "cache", supervisor=QUICK) as platform:
        yield platform


def begin(platform: sp.StreamPark, **fields: object) -> sp.Job:
    spec = sp.JobSpec("orders", sp.SqlProgram(SCRIPT), cluster="dev", flink={"a.b": "c"}, labels={"team": "shop"})
    job = platform.jobs.create(spec.replace(**fields))  # pyright: ignore[reportArgumentType]
    job.start()
    job.wait_for("RUNNING", timeout=20)
    return job


def test_it_is_what_it_says(engine: Engine) -> None:
    assert engine.info() == sp.ClusterInfo("toy", "nowhere", "2.3.0", None, 0.2)
    assert engine.capability().savepoint
    assert not engine.capability().drain
    assert repr(engine) == "<toy cluster at nowhere>"
    engine.become("0" * 32, "Running")
    engine.become("1" * 32, "DREAMING")
    assert [(seen.status, seen.engine_status, seen.tasks) for seen in engine.observe()] == [
        ("Running", "RUNNING", (1, 1)),
        ("DREAMING", "DREAMING", (1, 1)),
    ]
    with pytest.raises(sp.InvalidInputError, match="at_once is 0; it must be from 1 to 64"):
        Engine(at_once=0)
    with pytest.raises(TypeError, match="abstract"):
        sp.CustomCluster(engine.info(), engine.capability())  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]


async def test_a_time_without_a_bound_does_not_overflow() -> None:
    # By way of the native half, which keeps the time.
    assert await Engine(timeout=1e19).observe_async() == []


def test_a_life(toy: sp.StreamPark, engine: Engine) -> None:
    job = begin(toy, parallelism=2)
    (first,) = engine.sent
    assert first.run.deployment == job.runs()[0].deployment == "place-1"
    assert (first.run.key, first.name, first.runtime, first.parallelism) == (f"{job.id}/1", "orders", "java", 2)
    assert (first.config["a.b"], dict(first.labels), first.restore) == ("c", {"team": "shop"}, None)
    assert first.jar is not None
    assert first.jar.read().startswith(b"PK"), "the runner's jar, in memory"
    assert first.entry_class is not None

    point = engine.complete(first.run, "checkpoint", "toy:/chk-7", 7)
    engine.failures[first.run.flink_job] = sp.Failure("the sink is full", "java.io.IOException", at=now())
    engine.become(first.run.flink_job, "Failed")
    wait_until(lambda: job.status().generation == 2, "the second run")
    job.wait_for("RUNNING", timeout=20)
    assert engine.sent[1].restore is not None
    assert engine.sent[1].restore.path == point.path
    failure = job.failure()
    assert failure is not None
    assert str(failure) == "java.io.IOException: the sink is full"
    wait_until(lambda: engine.released == [first.run.flink_job], "the release of the first")

    assert job.savepoint("toy:/mine", timeout=10).path == "toy:/mine/0"
    assert job.logs(tail_bytes=7) == f"log of {job.id}/2, False, 7"
    assert job.logs(task_manager="tm-1").startswith(f"log of {job.id}/2, tm-1, ")
    job.suspend(directory="toy:/ours")
    job.wait_for("SUSPENDED", timeout=20)
    job.start()
    job.wait_for("RUNNING", timeout=20)
    restore = engine.sent[2].restore
    assert restore is not None
    assert (restore.kind, restore.path) == ("savepoint", "toy:/ours/1")
    job.cancel()
    job.wait_for("CANCELED", timeout=20)
    assert len(engine.sent) == 3


def test_a_plan(toy: sp.StreamPark, engine: Engine) -> None:
    plan = toy.jobs.plan("orders", sp.SqlProgram(SCRIPT), cluster="dev", flink={"a.b": "c"})
    assert (plan.cluster, plan.job, plan.notes) == ("toy at nowhere", "orders", ("of a toy",))
    assert plan.steps[0]["body"]["json"]["a.b"] == "c"
    assert "1. start it: PUT toy:/runs" in str(plan)
    assert not engine.sent


@pytest.mark.parametrize("answer", [ConnectionResetError("reset"), sp.TimedOutError("no answer"), "taken"])
def test_an_answer_that_is_lost_is_looked_up(
    engine: Engine, answer: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    submit, looked_up = engine.submit, threading.Event()

    def taken(submission: sp.Submission) -> object:
        submit(submission)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def before(method: str) -> None:
        if method == "lookup":
            looked_up.set()
        # Else the list could tell of it before the answer is missed.
        if method == "observe" and not looked_up.is_set():
            raise ConnectionResetError("reset")

    monkeypatch.setattr(engine, "submit", taken)
    engine.before = before
    # A cluster out of reach is sent nothing.
    patient = dataclasses.replace(QUICK, misses=1_000)
    with sp.StreamPark(clusters={"dev": engine}, cache=tmp_path / "cache", supervisor=patient) as platform:
        job = begin(platform)
        assert looked_up.is_set()
        assert len(engine.sent) == 1
        assert "submission_in_doubt" in [event.kind for event in job.history()]
        assert job.status().generation == 1


@pytest.mark.parametrize("arrived", [True, False])
@pytest.mark.parametrize("answer", [ConnectionResetError("reset"), "stopped"])
def test_a_stop_whose_answer_is_lost_is_asked_for_once(
    toy: sp.StreamPark, engine: Engine, arrived: bool, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, lost = engine.stop, threading.Event()

    def mumbled(run: sp.RunRef, how: str, savepoint: sp.SavepointOptions) -> object:
        if lost.is_set():
            return stop(run, how, savepoint)
        lost.set()
        if arrived:
            stop(run, how, savepoint)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(engine, "stop", mumbled)
    job = begin(toy)
    job.suspend(directory="toy:/ours")
    job.wait_for("SUSPENDED", timeout=20)
    assert lost.is_set()
    job.start()
    job.wait_for("RUNNING", timeout=20)
    assert len(engine.savepoints) == 1, "one, whoever asked for it"
    restore = engine.sent[1].restore
    assert restore is not None
    assert (restore.kind, restore.path) == ("savepoint", "toy:/ours/0")


def test_a_savepoint_whose_answer_cannot_be_read(
    toy: sp.StreamPark, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mumbled(run: sp.RunRef, options: sp.SavepointOptions) -> str:
        return "toy:/mine/0"

    job = begin(toy)
    monkeypatch.setattr(engine, "savepoint", mumbled)
    with pytest.raises(sp.TimedOutError, match=r"within 5s; the job is RUNNING: .* savepoint gave a str"):
        job.savepoint("toy:/mine", timeout=5)
    operation = job.status().operation
    assert operation is not None
    assert "savepoint gave a str" in (operation.trouble or "")
    monkeypatch.undo()
    wait_until(lambda: job.status().operation is None, "the savepoint")
    assert [point.path for point in job.restore_points()] == ["toy:/mine/0"]


def test_a_submission_that_is_refused_for_good(toy: sp.StreamPark, engine: Engine) -> None:
    def before(method: str) -> None:
        if method == "submit":
            raise sp.InvalidInputError("the queue 'gold' is closed")

    engine.before = before
    job = toy.jobs.create("orders", sp.SqlProgram(SCRIPT), cluster="dev")
    job.start()
    with pytest.raises(sp.ConflictError, match="the queue 'gold' is closed"):
        job.wait_for("RUNNING", timeout=20)
    assert not engine.sent


def test_methods_that_hang_end_in_time_and_hold_few_threads(tmp_path: Path) -> None:
    engine, go = Engine(timeout=0.5, at_once=2), threading.Event()
    hung: list[str] = []

    def before(method: str) -> None:
        if method in {"submit", "observe"}:
            hung.append(method)
            go.wait(20)

    engine.before = before
    try:
        with sp.StreamPark(clusters={"dev": engine}, cache=tmp_path / "cache", supervisor=QUICK) as platform:
            job = platform.jobs.create("orders", sp.SqlProgram(SCRIPT), cluster="dev")
            job.start()
            wait_until(lambda: len(hung) == 2, "two methods that hang")
            begun = time.monotonic()
            with pytest.raises(sp.TimedOutError, match=r"within 0\.5 s"):
                platform.clusters.get("dev").observe()
            assert time.monotonic() - begun < 5
            assert len(hung) == 2, "no more threads hang than may"
    finally:
        go.set()


async def test_awaited(engine: Engine, tmp_path: Path) -> None:
    async with sp.AsyncStreamPark(clusters={"dev": engine}, cache=tmp_path, supervisor=QUICK) as platform:
        job = await platform.jobs.create("orders", sp.SqlProgram(SCRIPT), cluster="dev")
        await job.start()
        await job.wait_for("RUNNING", timeout=20)
        assert [seen.status for seen in await engine.observe_async()] == ["Running"]
        assert [seen.status for seen in await platform.clusters.get("dev").observe_async()] == ["Running"]


def test_the_end_of_all_is_told(toy: sp.StreamPark, engine: Engine) -> None:
    begin(toy)
    engine.set_ended(sp.Failure("the session was stopped"))
    wait_until(lambda: toy.clusters.views()[0].ended is not None, "its end")
    assert toy.clusters.views()[0].ended == "the session was stopped"
    engine.set_ended(None)
    wait_until(lambda: toy.clusters.views()[0].ended is None, "its return")


def test_what_cannot_be_done_is_refused(tmp_path: Path) -> None:
    class Least(sp.CustomCluster):
        def observe(self) -> list[sp.Observation]:
            return []

        def submit(self, submission: sp.Submission) -> sp.Accepted:
            return sp.Accepted(submission.run.flink_job)

        def lookup(self, run: sp.RunRef) -> sp.Observation | None:
            return None

        def stop(self, run: sp.RunRef, how: str, savepoint: sp.SavepointOptions) -> sp.Stopped:
            return sp.Stopped()

    least = Least(sp.ClusterInfo("least", "here"), sp.Capability())
    with (
        sp.StreamPark(clusters={"dev": least}, cache=tmp_path, supervisor=QUICK) as platform,
        pytest.raises(sp.UnsupportedError, match="write its method plan"),
    ):
        platform.jobs.plan("orders", sp.SqlProgram(SCRIPT), cluster="dev")
    gone = weakref.ref(least)
    del least, platform

    def is_gone() -> bool:
        # What the engine's threads let go of is freed at the next call into the native half.
        sp.MemoryCluster()
        gc.collect()
        return gone() is None

    wait_until(is_gone, "the end of the cluster")


def test_a_time_without_a_zone_is_refused(toy: sp.StreamPark, engine: Engine) -> None:
    engine.runs["0" * 32] = sp.Observation("x", "Failed", "FAILED", now(), "0" * 32, ended_at=datetime(2026, 1, 2))
    with pytest.raises(sp.InvalidInputError, match="2026-01-02T00:00:00 has no time zone"):
        toy.clusters.get("dev").observe()
