"""The platform on a simulated cluster: the life of a job, in Python's words."""

from __future__ import annotations

import dataclasses
import logging
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import streampark as sp
from conftest import QUICK, SCRIPT, live, wait_until
from streampark import _streampark
from streampark.options import options_to_json


def begin(platform: sp.StreamPark, program: sp.Program, name: str = "orders", **fields: object) -> sp.Job:
    job = platform.jobs.create(sp.JobSpec(name, program, cluster="dev").replace(**fields))  # pyright: ignore[reportArgumentType]
    job.start()
    job.wait_for("RUNNING", timeout=20)
    return job


def in_run(job: sp.Job, generation: int) -> None:
    wait_until(lambda: job.status().generation == generation, f"run {generation}")
    job.wait_for("RUNNING", timeout=20)


def test_a_job_fails_and_comes_back_from_its_checkpoint(
    platform: sp.StreamPark, cluster: sp.MemoryCluster, program: sp.Program
) -> None:
    job = begin(platform, program, owner="ann")
    first = live(cluster, job)
    point = cluster.complete_checkpoint(first)
    cluster.fail(first, sp.Failure("the sink is full", "java.io.IOException"))
    in_run(job, 2)
    newest, oldest = job.runs()
    assert newest.restored_from is not None
    assert (newest.restored_from.path, newest.restored_from.checkpoint_id) == (point.path, 1)
    assert (oldest.flink_job, oldest.outcome, oldest.generation) == (first, "FAILED", 1)
    failure = job.failure()
    assert failure is not None
    assert str(failure) == "java.io.IOException: the sink is full"
    kinds = [event.kind for event in job.history()]
    assert {"job_created", "submission_intended", "run_failed", "restart_decided"} <= set(kinds)
    assert kinds[-1] == "job_created"
    assert cluster.log().most_at_once(job.id) == 1
    assert [point.path for point in job.restore_points()] == [point.path]
    status = job.status()
    assert (status.state, status.desired, status.knowledge, status.restarts, status.owner) == (
        "RUNNING",
        "RUNNING",
        "observed",
        1,
        "ann",
    )
    assert status.run == newest
    assert job.state == "RUNNING"


def test_suspend_start_savepoint_update_restart(platform: sp.StreamPark, program: sp.Program) -> None:
    job = begin(platform, program)
    point = job.savepoint("/points/mine", timeout=10)
    assert (point.kind, point.run) == ("savepoint", f"{job.id}/1")
    assert point.path.startswith("/points/mine")
    job.suspend(directory="/points/suspended")
    assert job.wait_for("SUSPENDED", timeout=20).desired == "SUSPENDED"
    job.start()
    in_run(job, 2)
    restored = job.runs()[0].restored_from
    assert restored is not None
    assert restored.path.startswith("/points/suspended")
    job.update(parallelism=3, labels={"team": "shop"})
    in_run(job, 3)
    assert (job.spec().parallelism, job.status().spec_version) == (3, 2)
    assert [(version.version, version.spec.parallelism) for version in job.versions()] == [(2, 3), (1, None)]
    job.restart()
    in_run(job, 4)
    job.suspend(drain=True)
    job.wait_for("SUSPENDED", timeout=20)
    job.start(from_path=point.path)
    in_run(job, 5)
    restored = job.runs()[0].restored_from
    assert restored is not None
    assert restored.path == point.path
    job.cancel(kill=True)
    job.wait_for("CANCELED", timeout=20)
    job.start(empty=True)
    in_run(job, 6)
    assert job.runs()[0].restored_from is None


def test_copy_list_get_and_delete(platform: sp.StreamPark, program: sp.Program) -> None:
    job = begin(platform, program, labels={"team": "shop"})
    copy = job.copy("orders-2", parallelism=2)
    assert (copy.state, copy.spec().parallelism) == ("NEW", 2)
    assert [status.name for status in platform.jobs.list()] == ["orders", "orders-2"]
    assert [status.name for status in platform.jobs.list(states=["RUNNING"], labels={"team": "shop"})] == ["orders"]
    assert [status.name for status in platform.jobs.list(name_contains="ORDERS-")] == ["orders-2"]
    assert len(platform.jobs.list(after="orders", limit=5)) == 1
    assert platform.jobs.get("orders").id == platform.jobs.by_id(job.id).id == job.id
    with pytest.raises(sp.ConflictError):
        job.delete()
    copy.delete()
    with pytest.raises(sp.NotFoundError) as caught:
        platform.jobs.get("orders-2")
    assert caught.value.message == "jobs.get: there is no job named 'orders-2'"
    assert isinstance(caught.value, LookupError)


def test_bad_input_names_thing_rule_and_remedy(platform: sp.StreamPark, program: sp.Program) -> None:
    job = begin(platform, program)
    with pytest.raises(sp.AlreadyExistsError, match="orders"):
        platform.jobs.create("orders", program, cluster="dev")
    with pytest.raises(sp.NotFoundError) as caught:
        platform.jobs.create("b", program, cluster="prod")
    assert caught.value.message == ("platform.lookup: there is no cluster named 'prod'; registered are dev")
    with pytest.raises(sp.NotFoundError) as caught:
        platform.jobs.create("b", program, cluster="dev", alerts=["oncall"])
    assert caught.value.message == "platform.lookup: there is no channel named 'oncall'; none is registered"
    with pytest.raises(sp.InvalidInputError, match="there is no job state 'RUNING'; the states are NEW"):
        job.wait_for("RUNING")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(sp.InvalidInputError, match="-1 is no time in seconds; it must be 0 or more"):
        job.wait_for("FAILED", timeout=-1)
    with pytest.raises(TypeError, match="a job given by its name needs a program"):
        platform.jobs.create("b")
    with pytest.raises(TypeError, match="give either a JobSpec, or a name"):
        platform.jobs.create(job.spec(), parallelism=3)
    with pytest.raises(sp.NotFoundError):
        platform.jobs.by_id("0198c0de-7a11-7000-8000-000000000001")
    with pytest.raises(sp.InvalidInputError, match="is not a job id"):
        platform.jobs.by_id("orders")


def test_waiting_ends_in_time_and_with_the_reason(platform: sp.StreamPark, program: sp.Program) -> None:
    job = begin(platform, program)
    with pytest.raises(sp.TimedOutError, match="the state FINISHED did not come within") as caught:
        job.wait_for("FINISHED", timeout=0.2)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.context["job"] == "orders"
    job.cancel()
    job.wait_for("CANCELED", timeout="20 s")
    with pytest.raises(sp.ConflictError, match="the job is CANCELED and will not become RUNNING by itself"):
        job.wait_for("RUNNING", timeout=20)


def test_a_program_at_fault_parks_nothing_silently(platform: sp.StreamPark) -> None:
    job = platform.jobs.create("wrong", sp.SqlProgram(SCRIPT.replace("INSERT", "INSRT")), cluster="dev")
    job.start()
    with pytest.raises(sp.ConflictError, match="statement 3"):
        job.wait_for("RUNNING", timeout=20)


def test_a_plan_shows_what_would_be_sent_and_sends_nothing(
    platform: sp.StreamPark, cluster: sp.MemoryCluster, program: sp.Program
) -> None:
    plan = platform.jobs.plan("orders", program, cluster="dev", parallelism=3)
    assert (plan.cluster, plan.job, plan.steps[0]["method"]) == ("memory", "orders", "SUBMIT")
    assert plan.steps[0]["body"]["json"]["parallelism"] == 3
    assert str(plan).startswith("plan of 'orders' on memory\n1. simulate the run: SUBMIT memory\n")
    assert '"parallelism": 3' in plan.to_json()
    assert "parallelism: 3" in plan.to_yaml()
    job = platform.jobs.create("orders", program, cluster="dev")
    assert job.plan().steps[0]["body"]["json"]["entryClass"] == "org.streampark.sdk.runner.SqlRunner"
    assert cluster.log() == ()
    assert len(platform.jobs.list(states=["NEW"])) == 1


def test_a_running_job_is_adopted(
    platform: sp.StreamPark, cluster: sp.MemoryCluster, program: sp.Program, tmp_path: Path
) -> None:
    with sp.StreamPark(clusters={"dev": cluster}, cache=tmp_path / "other", supervisor=QUICK) as other:
        flink_job = live(cluster, begin(other, program))
    adopted = platform.jobs.adopt(flink_job, "mine", program, cluster="dev")
    adopted.wait_for("RUNNING", timeout=20)
    wait_until(lambda: adopted.status().knowledge == "observed", "the run to be observed")
    assert adopted.runs()[0].flink_job == flink_job
    assert len(cluster.log()) == 1
    with pytest.raises(sp.NotFoundError):
        platform.jobs.adopt("a" * 32, "nobody", program, cluster="dev")


def test_the_history_says_who(platform: sp.StreamPark, program: sp.Program) -> None:
    ann = platform.acting_as("ann")
    job = begin(ann, program)
    platform.jobs.get("orders").cancel()
    job.wait_for("CANCELED", timeout=20)
    actors = {event.actor for event in job.history()}
    assert {"ann", "embedder", "supervisor"} == actors
    created = platform.history(job=job.id, kinds=["job_created"])
    assert [event.message for event in created] == ["'orders' was created"]
    assert created[0].at.tzinfo is timezone.utc
    everything = platform.history()
    assert [event.sequence for event in everything] == sorted(event.sequence for event in everything)
    assert platform.history(after=everything[-1].sequence) == sp.History([])
    assert len(platform.history(newest_first=True, limit=2)) == 2
    assert platform.history(since=datetime.now(timezone.utc) + timedelta(hours=1)) == sp.History([])
    assert "'orders' was created" in str(job.history())


def test_events_are_followed_from_the_moment_of_asking(platform: sp.StreamPark, program: sp.Program) -> None:
    events = platform.events(timeout=0.5)
    begin(platform, program)
    seen = [(event.kind, event.to_state) for event in events]
    assert seen[0] == ("job_created", None)
    assert ("state_changed", "RUNNING") in seen


def test_a_slow_follower_is_told_how_many_events_it_missed(
    cluster: sp.MemoryCluster, program: sp.Program, tmp_path: Path
) -> None:
    options = sp.SupervisorOptions(interval=0.1, events=4)
    with sp.StreamPark(clusters={"dev": cluster}, cache=tmp_path, supervisor=options) as platform:
        events = platform.events(timeout=0.5)
        begin(platform, program)
        with pytest.raises(sp.ExhaustedError) as caught:
            next(events)
        missed = int(caught.value.context["missed"])
        first = next(events)
        assert first.sequence == missed + 1
        kept = [first, *events]
        assert [event.sequence for event in platform.history()] == list(range(1, missed + len(kept) + 1))


def test_events_end_with_the_engine(cluster: sp.MemoryCluster, tmp_path: Path) -> None:
    platform = sp.StreamPark(clusters={"dev": cluster}, cache=tmp_path)
    events = platform.events()
    platform.shutdown()
    platform.shutdown()
    assert list(events) == []
    with pytest.raises(sp.StreamParkError):
        platform.jobs.create("a", sp.SqlProgram(SCRIPT), cluster="dev")


def test_clusters_come_and_go(platform: sp.StreamPark, program: sp.Program) -> None:
    other = sp.MemoryCluster()
    platform.clusters.add("other", other)
    assert platform.clusters.names() == ["dev", "other"]
    assert platform.clusters.get("other").info().kind == "memory"
    job = begin(platform, program, cluster="other")
    assert len(other.log()) == 1
    wait_until(lambda: platform.clusters.views()[1].watched == 1, "the run to be watched")
    with pytest.raises(sp.ConflictError, match="orders"):
        platform.clusters.remove("other")
    job.cancel()
    job.wait_for("CANCELED", timeout=20)
    platform.clusters.remove("other")
    with pytest.raises(sp.NotFoundError) as caught:
        platform.clusters.get("other")
    assert caught.value.message == "platform.lookup: there is no cluster named 'other'; registered are dev"
    assert repr(platform) == "StreamPark(clusters=['dev'])"


def test_a_cluster_that_does_not_answer_is_no_failed_job(
    platform: sp.StreamPark, cluster: sp.MemoryCluster, program: sp.Program
) -> None:
    job = begin(platform, program)
    cluster.break_down(sp.Fault.refused())
    wait_until(lambda: platform.clusters.views()[0].unreachable_since is not None, "the cluster to be unreachable")
    wait_until(lambda: job.status().knowledge == "unreachable", "the run to be unreachable")
    assert (job.state, job.status().generation) == ("RUNNING", 1)
    assert platform.clusters.views()[0].last_error is not None
    cluster.heal()
    wait_until(lambda: platform.clusters.views()[0].unreachable_since is None, "the cluster to be back")
    assert len(cluster.log()) == 1


def test_a_cluster_that_has_ended_is_told(platform: sp.StreamPark, cluster: sp.MemoryCluster) -> None:
    told: list[sp.Alert] = []
    platform.channels.add("oncall", lambda message: told.extend(message.alerts))
    with pytest.raises(sp.NotFoundError, match="there is no channel named 'nobody'"):
        platform.clusters.alert("dev", ["nobody"])
    platform.clusters.alert("dev", ["oncall"])
    cluster.end("killed by user root")
    wait_until(lambda: len(told) == 1, "the alert")
    assert (told[0].kind, told[0].title) == ("cluster_ended", "cluster 'dev' has ended: killed by user root")
    assert platform.clusters.views()[0].ended == "killed by user root"
    cluster.heal()
    wait_until(lambda: len(told) == 2, "the news that it is there again")
    assert told[1].kind == "cluster_recovered"


def test_a_lost_answer_runs_once(cluster: sp.MemoryCluster, program: sp.Program, tmp_path: Path) -> None:
    cluster.inject("submit", sp.Fault.answer_lost())
    # A look at the cluster in between would find the run before its answer is missed.
    seldom = sp.SupervisorOptions(interval=60, quick_interval=60)
    with sp.StreamPark(clusters={"dev": cluster}, cache=tmp_path, supervisor=seldom) as platform:
        job = begin(platform, program)
        assert cluster.log().most_at_once(job.id) == 1
        assert "submission_in_doubt" in [event.kind for event in job.history()]


def test_a_file_keeps_jobs_and_history_and_is_opened_once(
    cluster: sp.MemoryCluster, program: sp.Program, tmp_path: Path
) -> None:
    file = tmp_path / "jobs.db"
    with sp.StreamPark(file, clusters={"dev": cluster}, cache=tmp_path) as platform:
        job = begin(platform, program)
        with pytest.raises(sp.StreamParkError, match=r"jobs\.db"):
            sp.StreamPark(sp.SqliteStore(file, lock_wait=0.1))
    with sp.StreamPark(sp.SqliteStore(file), clusters={"dev": cluster}, cache=tmp_path) as platform:
        again = platform.jobs.get("orders")
        assert again.id == job.id
        assert again.wait_for("RUNNING", timeout=20).generation == 1
        assert len(cluster.log()) == 1
        assert platform.prune(datetime.now(timezone.utc) - timedelta(days=1)) == 0
        assert platform.prune(datetime.now(timezone.utc) + timedelta(seconds=1)) > 0


def test_a_store_that_takes_no_commits_is_told(cluster: sp.MemoryCluster, program: sp.Program, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits of a process are POSIX's")
    file = tmp_path / "jobs.db"
    with sp.StreamPark(file, clusters={"dev": cluster}, cache=tmp_path) as platform:
        job = begin(platform, program)
        waits = platform.jobs.create("waits", program, cluster="dev")
        assert platform.storage_trouble() is None
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        # No file of this process may grow beyond what the store's log has by now.
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.with_name("jobs.db-wal").stat().st_size, hard))
        try:
            with pytest.raises(sp.StorageError):
                waits.start()
            trouble = platform.storage_trouble()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert trouble is not None
        assert "jobs.db" in trouble
        waits.start()
        waits.wait_for("RUNNING", timeout=20)
        assert platform.storage_trouble() is None
        assert job.state == "RUNNING"
        assert len(cluster.log()) == 2


def test_programs_of_ones_own(cluster: sp.MemoryCluster, tmp_path: Path) -> None:
    def report(options: object) -> sp.SqlProgram:
        assert options == {"word": "UPPER"}
        return sp.SqlProgram(SCRIPT)

    def broken(_: object) -> sp.SqlProgram:
        raise KeyError("day")

    kinds = {"report": report, "broken": broken}
    with sp.StreamPark(clusters={"dev": cluster}, programs=kinds, cache=tmp_path, supervisor=QUICK) as platform:
        begin(platform, sp.CustomProgram("report", {"word": "UPPER"}))
        job = platform.jobs.create("broken", sp.CustomProgram("broken"), cluster="dev")
        with pytest.raises(sp.ProgramError, match=r"program.prepare: KeyError: 'day' \(kind: broken\)"):
            job.plan()
        with pytest.raises(sp.NotFoundError, match="no program kind 'other' is registered; known kinds are jar, sql"):
            platform.jobs.plan("other", sp.CustomProgram("other"), cluster="dev")


def test_a_resolver_of_ones_own_finds_jars(cluster: sp.MemoryCluster, tmp_path: Path) -> None:
    jar = tmp_path / "orders.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n\n")
        archive.writestr("com/acme/Orders.class", b"\xca\xfe\xba\xbe")
    asked: list[sp.Dependency] = []

    def find(dependency: sp.Dependency) -> Path:
        asked.append(dependency)
        return jar

    program = sp.JarProgram(sp.ModuleRef("shop", "core"), entry_class="com.acme.Orders", args=["--env", "prod"])
    with sp.StreamPark(clusters={"dev": cluster}, resolver=find, cache=tmp_path / "cache") as platform:
        plan = platform.jobs.plan("orders", program, cluster="dev")
    assert asked == [sp.ModuleRef("shop", "core")]
    assert plan.steps[0]["body"]["json"]["programArgsList"] == ["--env", "prod"]


def test_bad_jars_are_refused_before_anything_is_sent(platform: sp.StreamPark, tmp_path: Path) -> None:
    no_jar = tmp_path / "no.jar"
    no_jar.write_text("this is no zip")
    with pytest.raises(sp.ProgramError) as caught:
        platform.jobs.plan("a", sp.JarProgram(no_jar, entry_class="a.B"), cluster="dev")
    assert caught.value.message == f"jar.prepare: '{no_jar}' is not a jar: it is a text file; name the jar itself"
    with pytest.raises(sp.InvalidInputError) as refused:
        platform.jobs.plan("a", sp.JarProgram(tmp_path / "absent.jar"), cluster="dev")
    assert refused.value.message.startswith(f"jar.prepare: the jar '{tmp_path}/absent.jar' does not exist; check its")


def test_options_are_checked() -> None:
    with pytest.raises(sp.InvalidInputError) as caught:
        sp.StreamPark(supervisor=sp.SupervisorOptions(misses=-1))
    assert caught.value.message == "the options of supervision: 'misses' must be a whole number of 0 or more"


@pytest.mark.parametrize("options", [sp.SupervisorOptions, sp.DispatcherOptions])
def test_every_option_is_known_to_the_engine(options: type[sp.SupervisorOptions] | type[sp.DispatcherOptions]) -> None:
    names = [field.name for field in dataclasses.fields(options)]
    builder = _streampark.Builder()
    take = builder.supervisor if options is sp.SupervisorOptions else builder.delivery
    take(options_to_json(options(**dict.fromkeys(names, 1))))
    with pytest.raises(sp.InvalidInputError, match="there is no option 'intervall'"):
        take('{"intervall": 1}')


def test_the_engine_speaks_through_logging(
    platform: sp.StreamPark, program: sp.Program, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="streampark"):
        begin(platform, program)
        wait_until(lambda: "'orders' was created" in caplog.text, "the line in the log")
    assert all(record.name.startswith("streampark") for record in caplog.records if "orders" in record.message)


def test_logs_of_a_run(platform: sp.StreamPark, program: sp.Program) -> None:
    job = platform.jobs.create("orders", program, cluster="dev")
    with pytest.raises(sp.ConflictError, match="the job never ran: it has no logs"):
        job.logs()
    job.start()
    job.wait_for("RUNNING", timeout=20)
    assert "generation: 1" in job.logs(task_manager=True, tail_bytes=None)
