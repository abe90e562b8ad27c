"""Hadoop YARN: options and identities; and applications and sessions on a real one."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import streampark as sp
from conftest import wait_until

ROOT = Path(__file__).parents[2]
SMALL = {
    "jobmanager.memory.process.size": "768m",
    "jobmanager.memory.jvm-metaspace.size": "160m",
    "taskmanager.memory.process.size": "900m",
    "taskmanager.memory.managed.size": "0m",
    "taskmanager.memory.jvm-metaspace.size": "160m",
}


def test_options_are_checked_without_a_request() -> None:
    cluster = sp.YarnCluster("http://rm:8088", user="alice", queue="streaming", timeout="3 s")
    assert repr(cluster) == "YarnCluster('http://rm:8088/ queue streaming')"
    assert cluster.info().kind == "yarn"
    assert cluster.capability().application
    with pytest.raises(sp.InvalidInputError, match="YARN keeps tags in lower case"):
        sp.YarnCluster("http://rm:8088", user="alice", tag="StreamPark")
    with pytest.raises(sp.InvalidInputError, match="no ResourceManager is known"):
        sp.YarnCluster(user="alice")
    with pytest.raises(sp.NotFoundError, match="the Hadoop configuration folder does not exist"):
        sp.YarnCluster(hadoop_conf="/nowhere/at/all", user="alice")


def build_once(projects: sp.Projects, folder: Path) -> tuple[sp.Artifact, bytes]:
    folder.mkdir()
    content = b"PK\x05\x06" + bytes(18)
    (folder / "orders.jar").write_bytes(content)
    orders = projects.put(sp.ProjectSpec("orders", local=folder, builder=sp.CommandBuilder(["true"], {"": ["*.jar"]})))
    return orders.build().artifacts()[0], content


def test_artifacts_lie_on_the_clusters_file_system(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    yarn = sp.YarnCluster("http://rm:8088", user="alice", default_fs="hdfs://nn:8020", shared_folder=shared)
    blobs = yarn.blobs("/artifacts")
    assert blobs.location == "/artifacts"
    with sp.Projects(tmp_path / "one", artifacts=blobs) as projects:
        artifact, content = build_once(projects, tmp_path / "code")
    assert repr(blobs) == "<BlobStore hdfs://nn:8020/artifacts>"
    sha256 = artifact.job_jar.sha256
    assert (shared / "artifacts" / "blobs" / sha256[:2] / sha256).read_bytes() == content
    with sp.Projects(tmp_path / "other", artifacts=yarn.blobs("hdfs:///artifacts")) as projects:
        assert projects.artifacts() == [artifact]
        assert projects.jar(artifact.id).read_bytes() == content
    with (
        sp.Projects(tmp_path / "third", artifacts=yarn.blobs("s3a://bucket/a")) as projects,
        pytest.raises(sp.InvalidInputError, match="is not on the cluster's file system, hdfs://nn:8020"),
    ):
        projects.artifacts()
    with pytest.raises(sp.InvalidInputError, match="artifact_options belong to an address"):
        sp.Projects(tmp_path / "fourth", artifacts=blobs, artifact_options={"region": "x"})


async def test_awaited_projects_take_a_blob_store(tmp_path: Path) -> None:
    yarn = sp.YarnCluster("http://rm:8088", user="alice", default_fs="hdfs://nn:8020", shared_folder=tmp_path / "s")
    async with sp.AsyncProjects(tmp_path / "one", artifacts=yarn.blobs("/artifacts")) as projects:
        assert await projects.artifacts() == []


def test_identities_hide_their_secrets() -> None:
    identity = sp.Identity.basic("alice", "canary")
    assert repr(identity) == "Identity.basic('alice')"
    sp.YarnCluster("http://rm:8088", identity=identity)
    for other in (
        sp.Identity.simple("alice"),
        sp.Identity.bearer("alice", "t"),
        sp.Identity.delegation_token("alice", "t"),
        sp.Identity.header("alice", "x-token", "t"),
    ):
        sp.YarnCluster("http://rm:8088", identity=other)


def test_kerberos_says_what_is_wrong(tmp_path: Path) -> None:
    conf = tmp_path / "krb5.conf"
    conf.write_text("[libdefaults]\n default_realm = R\n")
    absent = sp.Identity.kerberos("alice", keytab=tmp_path / "absent", krb5_conf=conf)
    with pytest.raises(sp.NotFoundError, match="the keytab cannot be read; check its path and its rights"):
        sp.YarnCluster("http://rm:8088", identity=absent)
    nameless = sp.Identity.kerberos(keytab="/a", krb5_conf=conf)
    with pytest.raises(sp.InvalidInputError, match=r"is given without kerberos\.principal; name whose key it is"):
        sp.YarnCluster("http://rm:8088", identity=nameless)
    identity = sp.Identity.kerberos("alice@R", ccache="FILE:/nowhere", krb5_conf=conf, timeout="2 s")
    assert repr(identity) == "Identity.kerberos('alice@R')"
    told = sp.YarnCluster("http://rm:8088", identity=identity).diagnose()
    assert told.checks[0].what == "Kerberos"
    assert told.checks[0].message.startswith("the Kerberos credential cache cannot be read; get a ticket by kinit")


class Gateway(http.server.BaseHTTPRequestHandler):
    """Lets nobody in without today's token."""

    def do_GET(self) -> None:
        good = self.headers.get("X-Vendor") == "token 2" and "doAs=bob" in self.path
        body = b'{"clusterInfo": {"haState": "ACTIVE", "resourceManagerVersion": "3.4.2"}}' if good else b""
        self.send_response(200 if good else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


async def test_a_vendors_way_to_prove_who_we_are() -> None:
    asked: list[sp.HadoopRequest] = []

    def headers(request: sp.HadoopRequest) -> dict[str, str]:
        asked.append(request)
        return {"X-Vendor": f"token {len(asked)}"}

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        cluster = sp.YarnCluster(address, identity=sp.Identity.custom("alice", headers), proxy_user="bob")
        told = await cluster.diagnose_async()
        server.shutdown()
    assert told.checks[0].message == f"{address}/ is active, Hadoop 3.4.2, asked as bob by alice"
    assert [request.refused for request in asked[:2]] == [False, True]
    assert asked[0].service == "resource_manager"
    assert asked[0].url == f"{address}/ws/v1/cluster/info"

    def broken(request: sp.HadoopRequest) -> dict[str, str]:
        raise ValueError("no token today")

    told = sp.YarnCluster(address, identity=sp.Identity.custom("alice", broken)).diagnose()
    assert "no token today" in told.checks[0].message


async def test_what_cannot_be_reached_is_told() -> None:
    cluster = sp.YarnCluster("http://127.0.0.1:9", user="alice", flink_home="/nowhere", failover_patience=0.2)
    told = await cluster.diagnose_async()
    assert not told.is_good
    assert "nobody listens at 127.0.0.1:9" in str(told)


def variable(name: str) -> str:
    value = os.environ.get(name)
    assert value, f"{name} is not set; run: make test-yarn"
    return value


def finite() -> sp.JarProgram:
    """A job that comes to its end by itself."""
    jar = variable("STREAMPARK_TEST_JOBS_JAR")
    return sp.JarProgram(jar, entry_class="streampark.testing.FiniteJob", args=["--name", "finite", "--rate", "50"])


@contextlib.contextmanager
def servers(script: str, work: Path) -> Generator[dict[str, Any], None, None]:
    """Real servers of a script in ``tests/servers``, and where they are."""
    home = variable("STREAMPARK_TEST_HADOOP_3_4")
    path = ROOT / "tests" / "servers" / script
    command = [sys.executable, str(path), "--home", home, "--memory", "4096", "--work", str(work)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


@pytest.fixture
def hadoop(tmp_path: Path) -> Iterator[dict[str, Any]]:
    with servers("hadoop.py", tmp_path / "hadoop") as at:
        yield at


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[dict[str, Any]]:
    with servers("secure.py", tmp_path / "secure") as at:
        yield at


def observed(cluster: sp.Cluster) -> list[sp.Observation] | None:
    """What runs; None where the JobManager does not answer in time."""
    try:
        return list(cluster.observe())
    except sp.TimedOutError:
        return None


@pytest.mark.yarn
def test_a_job_and_a_session_on_real_yarn(hadoop: dict[str, Any], tmp_path: Path) -> None:
    cluster = sp.YarnCluster(
        hadoop_conf=hadoop["conf"],
        flink_home=variable("STREAMPARK_TEST_FLINK_2"),
        flink={**SMALL, "state.checkpoints.dir": f"{hadoop['fs']}/flink/checkpoints"},
        timeout=60,
    )
    assert cluster.install() == "2.3.0"
    told = cluster.diagnose()
    assert told.is_good, str(told)
    program = finite()
    with sp.StreamPark(clusters={"yarn": cluster}, cache=tmp_path / "cache") as platform:
        job = platform.jobs.create("finite", program, cluster="yarn")
        assert "YarnApplicationClusterEntryPoint" in str(platform.jobs.plan("finite", program, cluster="yarn"))
        job.start()
        job.wait_for("FINISHED", timeout=180)
        run = job.runs()[0]
        assert run.deployment is not None
        assert run.deployment.startswith("application_")
    with sp.Projects(tmp_path / "one", artifacts=cluster.blobs("/streampark/artifacts")) as projects:
        artifact, content = build_once(projects, tmp_path / "code")
    with sp.Projects(tmp_path / "other", artifacts=cluster.blobs("/streampark/artifacts")) as projects:
        assert projects.artifacts() == [artifact]
        assert projects.jar(artifact.id).read_bytes() == content
    session = cluster.start_session("reports", flink={"taskmanager.numberOfTaskSlots": 2})
    wait_until(lambda: observed(session) == [], "the session", timeout=60)
    assert cluster.start_session("reports").info().location == session.info().location
    wait_until(
        lambda: getattr(cluster.session_state("reports"), "state", "") == "RUNNING", "its JobManager", timeout=60
    )
    cluster.stop_session("reports")
    wait_until(lambda: getattr(cluster.session_state("reports"), "state", "") == "ENDED", "the session's end")
    assert cluster.session_state("nobody") is None


@pytest.mark.yarn
def test_a_job_on_a_secure_cluster(secure: dict[str, Any], tmp_path: Path) -> None:
    def cluster(identity: sp.Identity, **more: Any) -> sp.YarnCluster:
        return sp.YarnCluster(
            hadoop_conf=secure["conf"],
            tls_ca=secure["authority"],
            identity=identity,
            timeout=60,
            connect_timeout=30,
            flink_home=variable("STREAMPARK_TEST_FLINK_2"),
            flink={**SMALL, "security.kerberos.krb5-conf.path": secure["krb5_conf"]},
            **more,
        )

    def by_keytab(user: str) -> sp.Identity:
        return sp.Identity.kerberos(user, keytab=secure["keytabs"][user], krb5_conf=secure["krb5_conf"])

    alice = cluster(by_keytab("alice"))
    assert alice.install() == "2.3.0"
    told = alice.diagnose()
    assert told.is_good, str(told)
    assert told.checks[0].message.startswith(f"alice@{secure['realm']} by keytab, the ticket ends at ")
    gate = cluster(by_keytab("gate"), proxy_user="alice")
    with pytest.raises(sp.PermissionDeniedError, match="is not allowed to impersonate alice"):
        gate.observe()
    nobody = cluster(sp.Identity.simple("alice"))
    with pytest.raises(sp.AuthenticationError, match="the server wants a Kerberos ticket"):
        nobody.observe()
    program = finite()
    with sp.StreamPark(clusters={"yarn": alice}, cache=tmp_path / "cache") as platform:
        job = platform.jobs.create("finite", program, cluster="yarn")
        job.start()
        job.wait_for("FINISHED", timeout=240)
