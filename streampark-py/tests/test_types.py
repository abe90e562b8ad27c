"""The types help: what is right passes a type checker, what is wrong does not."""

from __future__ import annotations

import re
from pathlib import Path

from mypy import api

CODE = """
import streampark as sp

def right(platform: sp.StreamPark) -> None:
    job = platform.jobs.create("a", sp.JarProgram("a.jar"), cluster="dev", parallelism=2, flink={"a": 1})
    job.update(program=sp.SqlProgram("x"), labels={"a": "b"})
    reveal_type(job.status().run)
    reveal_type([event.at for event in platform.events(timeout="10 s")])
    reveal_type(sp.LocalCluster().rest.jobs())
    platform.channels.add("fn", lambda message: print(message.alerts[0].title))

async def awaited(platform: sp.AsyncStreamPark) -> None:
    reveal_type(await (await platform.jobs.get("a")).wait_for("RUNNING"))

def wrong(platform: sp.StreamPark, job: sp.Job) -> None:
    platform.jobs.create("a", sp.JarProgram("a.jar"), paralelism=2)
    platform.jobs.create("a", sp.JarProgram("a.jar"), parallelism="two")
    job.wait_for("RUNING")
    job.copy("b", name="c")
    sp.MemoryCluster().inject("submitt", sp.Fault.refused())
    platform.clusters.add("dev", "http://x/")
"""


def test_types(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    file.write_text(CODE)
    out, err, _ = api.run(
        [
            "--strict",
            "--python-version",
            "3.11",
            "--no-error-summary",
            "--cache-dir",
            str(tmp_path / "cache"),
            str(file),
        ]
    )
    assert err == ""
    told = re.findall(r"code.py:(\d+): (\w+): (.*?)(?:  \[|$)", out, re.MULTILINE)
    notes = [text for _, level, text in told if level == "note" and text.startswith("Revealed")]
    assert notes == [
        'Revealed type is "streampark.records.Run | None"',
        'Revealed type is "builtins.list[datetime.datetime]"',
        'Revealed type is "builtins.list[streampark.flink.records.JobOverview]"',
        'Revealed type is "streampark.records.JobStatus"',
    ]
    first = CODE.splitlines().index("def wrong(platform: sp.StreamPark, job: sp.Job) -> None:") + 2
    assert [int(line) for line, level, _ in told if level == "error"] == list(range(first, first + 6))
