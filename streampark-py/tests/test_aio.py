"""The awaited platform: the same methods, and cancellation."""

from __future__ import annotations

import asyncio
import inspect
import time
from pathlib import Path

import pytest
import streampark as sp
from conftest import QUICK, live


async def test_the_life_of_a_job(cluster: sp.MemoryCluster, program: sp.Program, tmp_path: Path) -> None:
    told: list[str] = []
    async with sp.AsyncStreamPark(
        tmp_path / "jobs.db",
        clusters={"dev": cluster},
        channels={"list": lambda message: told.append(message.alerts[0].kind)},
        cache=tmp_path,
        actor="ann",
        supervisor=QUICK,
    ) as platform:
        events = platform.events()
        job = await platform.jobs.create("orders", program, cluster="dev", alerts=["list"])
        await job.start()
        await job.wait_for("RUNNING", timeout=20)
        cluster.complete_checkpoint(live(cluster, job))
        cluster.fail(live(cluster, job), "the sink is full")
        async for event in events:
            if event.kind == "alert_raised" and event.message == "orders: running again":
                break
        assert (await job.status()).generation == 2
        assert await job.state() == "RUNNING"
        assert [run.generation for run in await job.runs()] == [2, 1]
        failure = await job.failure()
        assert failure is not None
        assert failure.message == "the sink is full"
        copy = await job.copy("orders-2", parallelism=2)
        assert (await copy.spec()).parallelism == 2
        assert (await copy.plan()).job == "orders-2"
        await copy.update(parallelism=3)
        assert [version.version for version in await copy.versions()] == [2, 1]
        point = await job.savepoint(timeout=10)
        assert point in await job.restore_points()
        await job.suspend()
        await job.wait_for("SUSPENDED", timeout=20)
        assert [status.name for status in await platform.jobs.list(states=["SUSPENDED"])] == ["orders"]
        assert {event.actor for event in await platform.acting_as("bob").history(job=job.id)} >= {"ann", "supervisor"}
        while len(told) < 2:
            await asyncio.sleep(0.02)
    assert told == ["job_failed", "job_recovered"]


async def test_an_engine_may_be_awaited_once_or_more(cluster: sp.MemoryCluster, tmp_path: Path) -> None:
    platform = sp.AsyncStreamPark(clusters={"dev": cluster}, cache=tmp_path)
    assert repr(platform) == "AsyncStreamPark(not started)"
    with pytest.raises(TypeError, match="await it, or use it in an async with block"):
        platform.events()
    assert await platform is await platform
    assert platform.clusters.names() == ["dev"]
    assert platform.storage_trouble() is None
    await platform.shutdown()


async def test_cancelling_a_task_cancels_the_call(program: sp.Program, tmp_path: Path) -> None:
    slow = sp.MemoryCluster(start_delay=60)
    async with sp.AsyncStreamPark(clusters={"dev": slow}, cache=tmp_path) as platform:
        stream = platform.events()
        task = asyncio.create_task(stream.__anext__())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The cancelled call has let go of the stream: the next one is served.
        job = await platform.jobs.create("a", program, cluster="dev")
        assert (await asyncio.wait_for(stream.__anext__(), 5)).kind == "job_created"
        for number in range(20):
            # Cancelled when the event may be on its way already: it is not lost.
            task = asyncio.create_task(stream.__anext__())
            await asyncio.sleep(0.001)
            await platform.jobs.create(f"b-{number}", program, cluster="dev")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if task.cancelled():
                assert (await asyncio.wait_for(stream.__anext__(), 5)).job_name == f"b-{number}"
            else:
                assert task.result().job_name == f"b-{number}"
        await job.start()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(job.wait_for("RUNNING"), 0.1)


async def test_many_calls_at_once_do_not_wait_for_each_other(cluster: sp.MemoryCluster) -> None:
    cluster.inject("observe", sp.Fault.hang(0.3), times=10)
    begun = time.monotonic()
    answers = await asyncio.gather(*(cluster.observe_async() for _ in range(10)), return_exceptions=True)
    assert all(isinstance(answer, sp.TimedOutError) for answer in answers)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    ("waiting", "awaited"),
    [
        (sp.StreamPark, sp.AsyncStreamPark),
        (sp.Jobs, sp.AsyncJobs),
        (sp.Job, sp.AsyncJob),
        (sp.Clusters, sp.AsyncClusters),
        (sp.Channels, sp.AsyncChannels),
    ],
)
def test_both_halves_have_the_same_words(waiting: type, awaited: type) -> None:
    def methods(cls: type) -> dict[str, tuple[str, str | None]]:
        found: dict[str, tuple[str, str | None]] = {}
        for name, member in vars(cls).items():
            function = member.fget if isinstance(member, property) else member
            if not callable(function) or (name.startswith("_") and name != "__init__"):
                continue
            signature = str(inspect.signature(function)).replace("Async", "")
            found[name] = (signature, function.__doc__)
        return found

    assert methods(waiting) == methods(awaited)
