"""The numbered course runs as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str, folder: Path) -> str:
    """What an example prints."""
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_quick_start(tmp_path: Path) -> None:
    out = run("01_quick_start.py", folder=tmp_path)
    assert "orders is RUNNING as run 1\n" in out
    assert "it failed: java.io.IOException: the sink is full\n" in out
    assert "it came back from checkpoint 1\n" in out
    assert "copies at one moment, at most: 1\n" in out


def test_the_plan(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "orders.jar", "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n\n")
        archive.writestr("com/acme/Orders.class", b"\xca\xfe\xba\xbe")
    out = run("02_plan.py", "orders.jar", "com.acme.Orders", folder=tmp_path)
    assert out.startswith("plan of 'orders' on standalone http://localhost:8081/\n1. ")
    assert "POST http://localhost:8081/jars/{jar-id}/run" in out
    assert "******" in out
    assert "never shown" not in out


def test_asyncio(tmp_path: Path) -> None:
    out = run("03_asyncio.py", folder=tmp_path)
    assert out == (
        "20 jobs run, the last is orders-19\nfound by its label: orders-07\n"
        "events told of 20 jobs that came to RUNNING\n"
    )


def test_a_channel_of_ones_own(tmp_path: Path) -> None:
    out = run("04_own_channel.py", folder=tmp_path)
    lines = out.splitlines()
    assert lines[0].startswith("[error] ")
    assert lines[0].endswith("(attempt 2)")
    assert lines[1] == "the cluster does not answer; orders is still RUNNING"
    assert lines[2].startswith("[info] ")
    assert lines[3] == "copies that ever ran: 1"


def test_flink_alone(tmp_path: Path) -> None:
    out = run("05_flink_alone.py", folder=tmp_path)
    assert "s3.secret-key: ******\n" in out
    assert "a JobManager of 1600 mb has a heap of 1 gb: -Xmx1073741824" in out
    assert "Flink 1.18 reads flink-conf.yaml, Flink 2.3 reads config.yaml\n" in out
    assert out.splitlines()[-1].startswith("no Flink here: flink.overview: nobody listens at 127.0.0.1:1")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_says_what_it_shows(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith('"""')
