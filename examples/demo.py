"""The main job: a real Flink runs a SQL job and a JAR job; the JAR job fails on purpose, people are
told, and it comes back from its checkpoint. Every step is printed with its second.

FLINK_HOME=... STREAMPARK_DEMO_JAR=tests/jobs/target/jobs.jar python examples/demo.py
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import sys
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import streampark as sp

CHECKPOINT = 7
KEY = secrets.token_bytes(24)
BEGUN = time.monotonic()

SCRIPT = """CREATE TABLE words (word STRING) WITH ('connector' = 'datagen', 'rows-per-second' = '5');
CREATE TABLE nowhere (word STRING) WITH ('connector' = 'blackhole');
INSERT INTO nowhere SELECT UPPER(word) FROM words;
"""


def say(line: str) -> None:
    """Prints a line of the timeline."""
    print(f"{time.monotonic() - BEGUN:7.2f} s  {line}", flush=True)


class Receiver(BaseHTTPRequestHandler):
    """Stands in for the people on call: checks the signature, and remembers what it was told."""

    told: list[dict[str, Any]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        """Takes one message."""
        body = self.rfile.read(int(self.headers["content-length"]))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        genuine = hmac.compare_digest(self.headers["webhook-signature"], expected)
        self.send_response(204 if genuine else 401)
        self.end_headers()
        if genuine:
            message = json.loads(body)["data"]
            say(f"✉ alert delivered: {message['title']}")
            self.told.extend(message["alerts"])

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of requests."""


def await_alert(kind: str) -> None:
    """Waits until an alert of this kind was delivered."""
    deadline = time.monotonic() + 60
    while not any(alert["kind"] == kind for alert in Receiver.told):
        if time.monotonic() > deadline:
            raise sp.TimedOutError(f"no alert '{kind}' was delivered")
        time.sleep(0.05)


def line_of(event: sp.Event) -> str | None:
    """What the timeline says of an event."""
    lines = {
        "submission_intended": f"submitted; {event.message}",
        "state_changed": event.to_state,
        "run_failed": f"FAILED noticed; {event.error or event.message}",
        "restart_decided": event.message,
        "submission_in_doubt": event.message,
        "submission_refused": event.message,
    }
    return lines.get(event.kind)


def follow(events: sp.EventStream) -> None:
    """Prints what the engine commits, as it is committed; ends with the engine."""
    for event in events:
        line = line_of(event)
        if line is not None:
            say(f"{event.job_name}: {line}")


def watch_checkpoint(folder: Path) -> None:
    """Says when Flink has completed the checkpoint: its ``_metadata`` is the last file of it."""
    while not list(folder.glob(f"*/chk-{CHECKPOINT}/_metadata")):
        time.sleep(0.02)
    say(f"counting: checkpoint {CHECKPOINT} completed")


def print_history(job: sp.Job) -> None:
    """What happened to a job, oldest first."""
    print(f"\nhistory of {job.name}")
    for event in reversed(job.history(200)):
        print(f"  {event.at:%H:%M:%S.%f}  {event.actor:<11} {event.message}")
    for run in reversed(job.runs()):
        print(f"  run {run.generation} as {run.flink_job} from {run.restored_from or 'empty'}")


def story(platform: sp.StreamPark, data: Path) -> None:
    """The story of both jobs."""
    words = platform.jobs.create("words", sp.SqlProgram(SCRIPT), cluster="local")
    checkpoints = data / "checkpoints"
    arguments = ["--rate", "50", "--restart", "none", "--fail-once", "--fail-message", "the sink is full"]
    counting = platform.jobs.create(
        "counting",
        sp.JarProgram(
            os.environ["STREAMPARK_DEMO_JAR"],
            entry_class="streampark.testing.CountingJob",
            args=[*arguments, "--fail-at-checkpoint", str(CHECKPOINT), "--output", str(data / "output")],
        ),
        cluster="local",
        owner="ann",
        alerts=["oncall"],
        flink={
            "execution.checkpointing.interval": "1 s",
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
            "execution.checkpointing.dir": checkpoints.as_uri(),
            "state.checkpoints.dir": checkpoints.as_uri(),
        },
    )
    print(f"\n{counting.plan()}")
    threading.Thread(target=follow, args=[platform.events()], daemon=True).start()
    threading.Thread(target=watch_checkpoint, args=[checkpoints], daemon=True).start()
    words.start()
    words.wait_for("RUNNING", timeout=120)
    counting.start()
    counting.wait_for("RUNNING", timeout=120)
    await_alert("job_failed")
    await_alert("job_recovered")
    print_history(words)
    print_history(counting)
    for job in (words, counting):
        job.cancel()
        job.wait_for("CANCELED", timeout=60)


def main() -> None:
    """Starts a real Flink, tells the story, and stops all."""
    for name in ("FLINK_HOME", "STREAMPARK_DEMO_JAR"):
        if name not in os.environ:
            sys.exit(f"{name} is not set; see the head of this file")
    data = Path.cwd() / "demo-data" / f"{datetime.now():%Y%m%d-%H%M%S}"
    data.mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    oncall = sp.Webhook(f"http://127.0.0.1:{server.server_port}/", "whsec_" + base64.b64encode(KEY).decode())

    say("starting a real Flink: one JobManager, one TaskManager")
    with sp.LocalCluster(work_dir=data / "flink") as flink:
        say(f"Flink {flink.version} answers at {flink.address}")
        with sp.StreamPark(
            data / "jobs.db",
            clusters={"local": flink},
            channels={"oncall": oncall},
            cache=data / "cache",
            actor="demo",
        ) as platform:
            story(platform, data)
    say("Flink is stopped")
    server.shutdown()
    print(f"\nthe data are in {data}")
    print("  jobs.db  jobs, runs, history\n  flink/   Flink's logs\n  output/  what the job wrote")


if __name__ == "__main__":
    main()
