"""Real servers for the examples of the whole road: Hadoop, and Git behind ssh; both end with their ``with`` block."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[1]

AnyServer = TypeVar("AnyServer", bound="Server")


class Server:
    """A program of ``tests/servers`` that says where it is, and ends when its input does."""

    def __init__(self, program: str, *arguments: str) -> None:
        self._work = tempfile.TemporaryDirectory(prefix="streampark-server-")
        command = [sys.executable, str(ROOT / "tests" / "servers" / program), *arguments, "--work", self._work.name]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{program} did not start: it says why on its standard error")
        self.at: dict[str, Any] = json.loads(line)

    def stop(self) -> None:
        """Ends it."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.wait()
        self._work.cleanup()

    def __enter__(self: AnyServer) -> AnyServer:  # noqa: PYI019
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Hadoop(Server):
    """HDFS and YARN, one node each, from the jars in ``HADOOP_JARS`` (made by ``tests/servers/hadoop.sh``)."""

    def __init__(self) -> None:
        super().__init__("hadoop.py", "--home", os.environ["HADOOP_JARS"], "--memory", "4096")


class GitHost(Server):
    """An ssh server with one Git repository, and a clone that may push."""

    def __init__(self) -> None:
        super().__init__("git.py", "--sources", str(ROOT / "tests" / "projects" / "streaming"))

    def push(self, message: str, file: str, old: str, new: str) -> str:
        """Changes a file of the clone, commits, and pushes over ssh; gives the commit's id."""
        clone = Path(self.at["clone"])
        text = (clone / file).read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {file}"
        (clone / file).write_text(text.replace(old, new), encoding="utf-8")
        for words in (["commit", "--quiet", "--all", "--message", message], ["push", "--quiet"]):
            subprocess.run(["git", *words], cwd=clone, check=True)
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, check=True, capture_output=True, text=True)
        return done.stdout.strip()
