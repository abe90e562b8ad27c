"""What the tests share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streampark as sp
from receiver import Receiver

# Else pytest-asyncio has the main thread make an event loop around each awaited test, which nobody closes once
# something else (asyncio.run, a notebook's client) sets its own.
asyncio.set_event_loop(None)

QUICK = sp.SupervisorOptions(interval=0.1, quick_interval=0.05, recovered_after=0.2, retry_backoff=0.1)

SCRIPT = """CREATE TABLE words (word STRING) WITH ('connector' = 'datagen', 'rows-per-second' = '5');
CREATE TABLE nowhere (word STRING) WITH ('connector' = 'blackhole');
INSERT INTO nowhere SELECT UPPER(word) FROM words;
"""


@pytest.fixture
def cluster() -> sp.MemoryCluster:
    return sp.MemoryCluster()


@pytest.fixture
def program() -> sp.SqlProgram:
    return sp.SqlProgram(SCRIPT)


@pytest.fixture
def platform(cluster: sp.MemoryCluster, tmp_path: Path) -> Iterator[sp.StreamPark]:
    with sp.StreamPark(clusters={"dev": cluster}, cache=tmp_path / "cache", supervisor=QUICK) as platform:
        yield platform


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def wait_until(true: Callable[[], object], what: str, timeout: float = 20) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"waited {timeout} s in vain for {what}"
        time.sleep(0.02)


def live(cluster: sp.MemoryCluster, job: sp.Job | sp.AsyncJob) -> str:
    """Flink's id of the job's newest run."""
    flink_job = cluster.flink_job(job.id)
    assert flink_job is not None
    return flink_job
