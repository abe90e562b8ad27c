"""The main job on real Flink, both major versions, in Python."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import ClassVar

import pytest
import streampark as sp
from conftest import SCRIPT, wait_until
from receiver import SECRET, Receiver
from streampark.flink import JobOverview

pytestmark = pytest.mark.flink

# What failed is asked here, not how soon it is told.
REAL = sp.SupervisorOptions(interval=0.5, recovered_after=1, tell_within=60)


def variable(name: str) -> str:
    value = os.environ.get(name)
    assert value, f"{name} is not set; run: make test-flink"
    return value


@pytest.fixture(scope="module", params=["STREAMPARK_TEST_FLINK_1", "STREAMPARK_TEST_FLINK_2"])
def flink(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sp.LocalCluster]:
    work = tmp_path_factory.mktemp("flink")
    sizes = {"jobmanager.memory.process.size": "1g", "taskmanager.memory.process.size": "1200m"}
    with sp.LocalCluster(variable(request.param), work_dir=work, slots=4, config=sizes, timeout=180) as flink:
        yield flink
        pids = [pid for pid in (flink.process_ids[0], *flink.process_ids[1]) if pid is not None]
        assert len(pids) == 2
    assert not flink.is_running
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.fixture
def platform(flink: sp.LocalCluster, receiver: Receiver, tmp_path: Path) -> Iterator[sp.StreamPark]:
    with sp.StreamPark(
        tmp_path / "jobs.db",
        clusters={"local": flink},
        channels={"people": sp.Webhook(receiver.url, SECRET)},
        cache=tmp_path / "cache",
        supervisor=REAL,
    ) as platform:
        yield platform


def counting(folder: Path, *more: str) -> sp.JobSpec:
    arguments = ["--rate", "50", "--restart", "none", "--output", str(folder / "output"), *more]
    return sp.JobSpec(
        "counting",
        sp.JarProgram(
            variable("STREAMPARK_TEST_JOBS_JAR"), entry_class="streampark.testing.CountingJob", args=arguments
        ),
        cluster="local",
        owner="ann",
        alerts=["people"],
        flink={
            "execution.checkpointing.interval": "500 ms",
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        },
    )


class Gateway(sp.CustomCluster):
    """Flink by its REST interface, as somebody else would wrap a vendor's."""

    STATES: ClassVar = {
        "RUNNING": "Running",
        "FAILING": "Restarting",
        "RESTARTING": "Restarting",
        "CANCELLING": "Cancelling",
        "FAILED": "Failed",
        "CANCELED": "Canceled",
        "FINISHED": "Finished",
    }

    def __init__(self, flink: sp.LocalCluster) -> None:
        able = sp.Capability(session=True, fenced_submit=True, job_config=True, restore=True)
        super().__init__(sp.ClusterInfo("gateway", flink.address, flink.version), able)
        self.rest = flink.rest

    def observe(self) -> list[sp.Observation]:
        return [self.seen(job) for job in self.rest.jobs()]

    def seen(self, job: JobOverview) -> sp.Observation:
        return sp.Observation(
            job.name,
            self.STATES.get(job.state, "Starting"),
            job.state,
            datetime.now(timezone.utc),
            flink_job=job.jid,
            started_at=datetime.fromtimestamp(job.start_time / 1000, timezone.utc),
            ended_at=None if job.end_time < 0 else datetime.fromtimestamp(job.end_time / 1000, timezone.utc),
            tasks=(job.tasks.get("running", 0), job.tasks.get("total", 0)),
        )

    def submit(self, submission: sp.Submission) -> sp.Accepted:
        assert submission.jar is not None
        assert submission.jar.path is not None
        jar = self.rest.upload_jar(submission.jar.path)
        flink_job = self.rest.run_jar(
            jar.id,
            entry_class=submission.entry_class,
            args=submission.args,
            job_id=submission.run.flink_job,
            savepoint_path=None if submission.restore is None else submission.restore.path,
            flink_configuration=submission.config,
        )
        return sp.Accepted(flink_job)

    def lookup(self, run: sp.RunRef) -> sp.Observation | None:
        return next((self.seen(job) for job in self.rest.jobs() if job.jid == run.flink_job), None)

    def stop(self, run: sp.RunRef, how: str, savepoint: sp.SavepointOptions) -> sp.Stopped:
        assert how in {"cancel", "kill"}
        self.rest.cancel(run.flink_job)
        return sp.Stopped()

    def restore_points(self, run: sp.RunRef) -> list[sp.RestorePoint]:
        # Flink answers from a cache of 3 s.
        time.sleep(3.1)
        newest = self.rest.checkpoints(run.flink_job).completed
        if newest is None or newest.external_path is None:
            return []
        at = datetime.fromtimestamp(newest.latest_ack_timestamp / 1000, timezone.utc)
        return [sp.RestorePoint("checkpoint", newest.external_path, at, newest.id, None, run.key, run.flink_job)]

    def failure(self, run: sp.RunRef) -> sp.Failure | None:
        root = self.rest.job_exceptions(run.flink_job).root
        return None if root is None else sp.Failure(root.message, root.class_name, root.stacktrace)


def lines(folder: Path) -> list[list[str]]:
    """What the job wrote, in the order of time."""
    files = (folder / "output").glob("*.txt")
    return sorted(line.split() for file in files for line in file.read_text().splitlines())


def cancel(job: sp.Job) -> None:
    job.cancel()
    job.wait_for("CANCELED", timeout=60)


def test_a_jar_fails_is_told_and_comes_back_with_its_state(
    platform: sp.StreamPark, flink: sp.LocalCluster, receiver: Receiver, tmp_path: Path
) -> None:
    spec = counting(tmp_path, "--fail-once", "--fail-at-checkpoint", "3", "--fail-message", "the sink is full")
    job = platform.jobs.create(spec)
    job.start()
    wait_until(lambda: receiver.kinds() == ["job_failed", "job_recovered"], "both alerts", 120)
    assert receiver.verified == [True] * len(receiver.bodies)
    failed = receiver.bodies[0]["data"]["alerts"][0]
    assert (failed["job_name"], failed["owner"]) == ("counting", "ann")
    assert "the sink is full" in failed["cause"]["message"]
    newest, oldest = job.runs()
    assert (oldest.outcome, newest.generation) == ("FAILED", 2)
    assert oldest.failure is not None
    assert "the sink is full" in oldest.failure.message
    restored = newest.restored_from
    assert restored is not None
    assert restored.kind == "checkpoint"
    assert (restored.checkpoint_id or 0) >= 3
    kinds = {event.kind for event in job.history()}
    assert {"submission_intended", "submission_accepted", "run_failed", "restart_decided", "alert_raised"} <= kinds

    assert newest.flink_job in [seen.flink_job for seen in flink.observe()]
    assert flink.rest.job_status(newest.flink_job) == "RUNNING"
    exceptions = flink.rest.job_exceptions(oldest.flink_job)
    assert exceptions.root is not None
    assert "the sink is full" in exceptions.root.message
    wait_until(lambda: flink.rest.checkpoints(newest.flink_job).completed is not None, "a checkpoint", 30)
    detail = flink.rest.job(newest.flink_job)
    assert (detail.state, detail.timestamps["running"] > 0, detail.vertices[0].parallelism) == ("RUNNING", True, 1)
    assert "StandaloneSession" in job.logs(tail_bytes=None)
    cancel(job)
    wrote = lines(tmp_path)
    ids = [line[1] for line in wrote]
    assert ids == [oldest.flink_job] * ids.count(oldest.flink_job) + [newest.flink_job] * ids.count(newest.flink_job)
    assert all(int(line[6]) == int(line[4]) + 1 for line in wrote), "no element of the state was lost"
    assert {line[7] for line in wrote} == {"fresh", "restored"}


def test_a_cluster_written_in_python(flink: sp.LocalCluster, tmp_path: Path) -> None:
    with sp.StreamPark(
        clusters={"local": Gateway(flink)},
        cache=tmp_path / "cache",
        supervisor=REAL,
    ) as platform:
        fails = ["--fail-once", "--fail-at-checkpoint", "3", "--fail-message", "the sink is full"]
        job = platform.jobs.create(counting(tmp_path, *fails).replace(alerts=[]))
        job.start()
        wait_until(lambda: job.status().generation == 2, "the second run", 120)
        job.wait_for("RUNNING", timeout=60)
        newest, oldest = job.runs()
        assert oldest.failure is not None
        assert "the sink is full" in oldest.failure.message
        assert newest.restored_from is not None
        assert (newest.restored_from.checkpoint_id or 0) >= 3
        wait_until(lambda: [line for line in lines(tmp_path) if line[1] == newest.flink_job], "its output", 30)
        cancel(job)
    wrote = lines(tmp_path)
    assert {line[1] for line in wrote} == {oldest.flink_job, newest.flink_job}
    assert all(int(line[6]) == int(line[4]) + 1 for line in wrote), "no element of the state was lost"


def test_suspend_and_go_on(platform: sp.StreamPark, tmp_path: Path) -> None:
    job = platform.jobs.create(counting(tmp_path))
    job.start()
    job.wait_for("RUNNING", timeout=60)
    wait_until(lambda: len(lines(tmp_path)) > 20, "output")
    point = job.savepoint(timeout=60)
    assert (point.kind, point.verification) == ("savepoint", "present")
    job.suspend(directory=(tmp_path / "mine").as_uri())
    job.wait_for("SUSPENDED", timeout=60)
    job.start()
    job.wait_for("RUNNING", timeout=60)
    restored = job.runs()[0].restored_from
    assert restored is not None
    assert restored.path.startswith(f"file:{tmp_path / 'mine'}")
    cancel(job)


def test_a_script_runs_and_the_statement_at_fault_is_told(platform: sp.StreamPark, flink: sp.LocalCluster) -> None:
    plan = platform.jobs.plan("words", sp.SqlProgram(SCRIPT), cluster="local", parallelism=1)
    assert (plan.steps[-1]["method"], plan.steps[-1]["target"]) == ("POST", f"{flink.address}jars/{{jar-id}}/run")
    words = platform.jobs.create("words", sp.SqlProgram(SCRIPT), cluster="local")
    words.start()
    words.wait_for("RUNNING", timeout=60)
    cancel(words)
    wrong = words.copy("wrong", program=sp.SqlProgram(SCRIPT.replace("SELECT UPPER", "SELEC UPPER")))
    wrong.start()
    with pytest.raises(sp.ConflictError, match="statement 3 at line 3: INSERT INTO nowhere SELEC UPPER") as caught:
        wrong.wait_for("RUNNING", timeout=60)
    assert "\tat " not in caught.value.message


async def test_asyncio_speaks_with_flink(flink: sp.LocalCluster) -> None:
    rest = flink.rest_async
    overview, jars = await asyncio.gather(rest.overview(), rest.jars())
    assert (overview.taskmanagers, overview.flink_version) == (1, flink.version)
    sent: list[tuple[int, int]] = []
    jar = await rest.upload_jar(
        variable("STREAMPARK_TEST_JOBS_JAR"), lambda sent_bytes, total: sent.append((sent_bytes, total))
    )
    assert sent
    assert sent[-1][0] == sent[-1][1]
    assert len(await rest.jars()) == len(jars) + 1
    job = await rest.run_jar(jar.id, entry_class="streampark.testing.FiniteJob", job_id="c" * 32)
    assert job == "c" * 32
    with pytest.raises(sp.AlreadyExistsError):
        await rest.run_jar(jar.id, entry_class="streampark.testing.FiniteJob", job_id="c" * 32)
    with suppress(sp.StreamParkError):
        await rest.cancel(job)
    await rest.delete_jar(jar.id)


def test_no_flink_is_left_behind(tmp_path: Path) -> None:
    """A killed program's Flink is adopted by the next one; one that forgets to stop it does so at its end."""
    home = variable("STREAMPARK_TEST_FLINK_2")
    code = textwrap.dedent(
        f"""
        import time, sys
        import streampark as sp

        flink = sp.LocalCluster({home!r}, work_dir={str(tmp_path / "work")!r}, slots=1, timeout=180).start()
        print(*[flink.process_ids[0], *flink.process_ids[1]], flink.address, flush=True)
        if sys.argv[1] == "wait":
            time.sleep(60)
        """
    )

    def start(argument: str) -> tuple[subprocess.Popen[str], list[int], str]:
        process = subprocess.Popen([sys.executable, "-c", code, argument], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        *pids, address = process.stdout.readline().split()
        return process, [int(pid) for pid in pids], address

    def alive(pid: int) -> bool:
        try:
            return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            return False

    killed, pids, address = start("wait")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert killed.stdout is not None
    killed.stdout.close()
    assert all(alive(pid) for pid in pids)
    again, same, same_address = start("end")
    assert (same, same_address) == (pids, address)
    out, _ = again.communicate(timeout=60)
    assert (again.returncode, out) == (0, "")
    wait_until(lambda: not any(alive(pid) for pid in pids), "the end of what was adopted", 10)
