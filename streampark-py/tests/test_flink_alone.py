"""`streampark.flink` without an engine: units, configuration, memory, versions, stack traces, and its client."""

from __future__ import annotations

import asyncio
import inspect
import json
import random
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import streampark as sp
from streampark import flink


def test_durations() -> None:
    assert flink.parse_duration("10 min") == timedelta(minutes=10)
    assert flink.parse_duration("500") == timedelta(milliseconds=500)
    assert flink.format_duration(timedelta(seconds=90)) == "90 s"
    assert flink.format_duration("120 s") == "2 min"
    with pytest.raises(sp.InvalidInputError) as caught:
        flink.parse_duration("10 parsecs")
    assert caught.value.message == "'10 parsecs' is no duration: unit 'parsecs' is none of d, h, min, s, ms, µs, ns"


def test_memory_sizes() -> None:
    size = flink.MemorySize("1600m")
    assert (size, str(size), size.mebibytes) == (1600 << 20, "1600 mb", 1600)
    assert repr(flink.MemorySize(1 << 30)) == "MemorySize('1 gb')"
    with pytest.raises(ValueError, match="is no size"):
        flink.MemorySize("many")


def test_lists() -> None:
    items = ["--a", "b;x", "it's", ""]
    for legacy in (True, False):
        assert flink.decode_list(flink.encode_list(items, legacy=legacy)) == items


def test_versions_compare_and_know_their_rules() -> None:
    texts = ["1.16.3", "1.20-SNAPSHOT", "1.20.0", "1.20.5", "2.0.0-rc1", "2.0.0", "2.0.0-vendor", "2.3.0"]
    versions = [flink.FlinkVersion(text) for text in texts]
    assert sorted(random.sample(versions, len(versions))) == versions
    assert flink.FlinkVersion("1.20") == flink.FlinkVersion("1.20.0")
    new, old = versions[-1], versions[0]
    assert (new.supports_config_yaml, new.supports_flink_conf_yaml) == (True, False)
    assert (old.supports_config_yaml, old.supports_flink_conf_yaml) == (False, True)
    assert old.checkpoint_directory_key == "state.checkpoints.dir"
    assert new.rules["restart_strategy_key"] == "restart-strategy.type"
    with pytest.raises(sp.InvalidInputError):
        flink.FlinkVersion("the newest")


def test_configuration_is_read_written_and_masked() -> None:
    config = flink.FlinkConfig.from_config_yaml("parallelism:\n  default: 4\ns3.secret-key: abc\n")
    assert dict(config) == {"parallelism.default": "4", "s3.secret-key": "abc"}
    assert str(config) == "parallelism.default: 4\ns3.secret-key: ******\n"
    assert "abc" not in repr(config)
    config["taskmanager.numberOfTaskSlots"] = 2
    config["a.flag"] = True
    assert flink.FlinkConfig.from_config_yaml(config.to_config_yaml()) == config
    assert flink.FlinkConfig.from_flink_conf_yaml(config.to_flink_conf_yaml()) == config
    assert config.to_file("1.18.1")[0] == "flink-conf.yaml"
    assert config.to_file(flink.FlinkVersion("2.3.0"))[0] == "config.yaml"
    config.set_list("jars", ["a;b", "c"], "1.18.1")
    assert (config["jars"], config.get_list("jars")) == ("'a;b';c", ["a;b", "c"])
    assert config.get_list("nothing") is None
    with pytest.raises(sp.InvalidInputError):
        flink.FlinkConfig({"key": "cut # here"}).to_flink_conf_yaml()


def test_memory_is_what_flink_derives() -> None:
    manager = flink.JobManagerMemory.from_config({"jobmanager.memory.process.size": "1600m"}, "2.3.0")
    assert (manager.heap.mebibytes, manager.off_heap.mebibytes, manager.metaspace.mebibytes) == (1024, 128, 256)
    assert manager.jvm_args[0] == "-Xmx1073741824"
    worker = flink.TaskManagerMemory.from_config({"taskmanager.memory.process.size": "1728m"}, "1.20.5")
    assert sum(
        (
            worker.task_heap,
            worker.task_off_heap,
            worker.framework_heap,
            worker.framework_off_heap,
            worker.network,
            worker.managed,
            worker.metaspace,
            worker.overhead,
        )
    ) == int(worker.process)
    assert worker.dynamic_properties["taskmanager.numberOfTaskSlots"] == "1"
    with pytest.raises(sp.InvalidInputError, match=r"set jobmanager\.memory\.process\.size"):
        flink.JobManagerMemory.from_config({}, "2.3.0")


def test_a_stack_trace_is_read() -> None:
    cause = flink.RootCause.from_stacktrace(
        "java.util.concurrent.CompletionException: java.io.IOException: disk full\n\tat a.B.c(B.java:1)\n"
        "Caused by: java.io.IOException: disk full\n\t... 1 more\n"
    )
    assert (cause.class_name, cause.message) == ("java.io.IOException", "disk full")
    assert [link.class_name for link in cause.chain] == [
        "java.util.concurrent.CompletionException",
        "java.io.IOException",
    ]


JOB = "a" * 32
ANSWERS: dict[str, Any] = {
    "/overview": {"taskmanagers": 1, "slots-total": 4, "flink-version": "1.20.5", "flink-commit": "abc"},
    "/jobs/overview": {
        "jobs": [{"jid": JOB, "name": "orders", "state": "RUNNING", "start-time": 1, "tasks": {"running": 2}}]
    },
    "/applications/overview": {"applications": [{"id": "a1", "status": "FINISHED", "start-time": 5}]},
    f"/jobs/{JOB}/status": {"status": "RUNNING"},
    "/jobmanager/config": [{"key": "b", "value": "2"}, {"key": "a", "value": "1"}],
    "/taskmanagers": {"taskmanagers": [{"id": "tm", "slotsNumber": 4, "hardware": {"cpuCores": 2}}]},
}


class FakeFlink(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        FakeFlink.seen.append((self.path, self.headers.get("authorization", "")))
        answer = ANSWERS.get(self.path.replace("/proxy", ""))
        body = json.dumps(answer if answer is not None else {"errors": ["Not found: " + self.path]}).encode()
        self.send_response(200 if answer is not None else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def address() -> Iterator[str]:
    FakeFlink.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeFlink)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/proxy/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_client_gives_records(address: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("Bearer t0ken\n")
    client = flink.RestClient("http://127.0.0.1:1/", address, headers={"authorization": f"file:{token}"})
    overview = client.overview()
    assert (overview.flink_version, overview.slots_total, overview.flink_commit) == ("1.20.5", 4, "abc")
    assert client.base_url == address
    (job,) = client.jobs()
    assert (job.jid, job.name, job.state, job.start_time) == (JOB, "orders", "RUNNING", 1)
    assert job.tasks["running"] == 2
    assert client.job_status(JOB) == "RUNNING"
    (application,) = client.applications()
    assert (application.id, application.start_time, application.is_over) == ("a1", 5, True)
    assert list(client.jobmanager_config().items()) == [("a", "1"), ("b", "2")]
    (manager,) = client.taskmanagers()
    assert (manager.slots_number, manager.hardware["cpu_cores"]) == (4, 2)
    assert {token for _, token in FakeFlink.seen} == {"Bearer t0ken"}
    with pytest.raises(sp.NotFoundError) as caught:
        client.checkpoints(JOB)
    assert caught.value.context["job"] == JOB


async def test_the_awaited_client_gives_the_same(address: str) -> None:
    client = flink.AsyncRestClient(address)
    overview, jobs = await asyncio.gather(client.overview(), client.jobs())
    assert (overview.slots_total, len(jobs)) == (4, 1)
    assert (await client.applications())[0].status == "FINISHED"
    with pytest.raises(sp.NotFoundError):
        await client.job("b" * 32)


def test_both_clients_have_the_same_methods() -> None:
    def methods(cls: type) -> dict[str, str]:
        public = {name: member for name, member in vars(cls).items() if not name.startswith("_") and callable(member)}
        return {name: str(inspect.signature(member)) for name, member in public.items()}

    assert methods(flink.RestClient) == methods(flink.AsyncRestClient)
    assert {"jobs", "run_jar", "applications"} <= set(methods(flink.RestClient))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("jobmanager:8081", "'jobmanager:8081' is no address of a JobManager: the scheme is neither http nor https"),
        ("http://user:pw@x/", "'http://x/' is no address of a JobManager: user and password do not belong into it"),
    ],
)
def test_bad_addresses_are_refused_without_a_request(url: str, message: str) -> None:
    with pytest.raises(sp.InvalidInputError) as caught:
        sp.StandaloneCluster(url)
    assert caught.value.message.startswith(message)


def test_a_client_certificate_needs_its_key(tmp_path: Path) -> None:
    with pytest.raises(sp.InvalidInputError) as caught:
        sp.StandaloneCluster("https://x/", tls_certificate=b"no pem")
    assert caught.value.message == "a client certificate takes both tls_certificate and tls_key"
