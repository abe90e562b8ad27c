"""Projects, builds, artifacts and resources: real child processes, no repository."""

from __future__ import annotations

import hmac
import sys
import time
import types
import zipfile
from pathlib import Path

import pytest
import streampark as sp

SCRIPT = "#!/bin/sh\necho building\nmkdir -p out\ncp made.jar out/orders.jar\n"


def jar(path: Path, comment: str = "") -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nMain-Class: com.acme.Orders\n\n")
        archive.writestr("com/acme/Orders.class", b"\xca\xfe\xba\xbe")
        archive.comment = comment.encode()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "README.md").write_text("# Orders", encoding="utf-8")
    script = folder / "build.sh"
    script.write_text(SCRIPT, encoding="utf-8")
    script.chmod(0o755)
    jar(folder / "made.jar")
    return folder


def spec(code: Path) -> sp.ProjectSpec:
    builder = sp.CommandBuilder(["./build.sh"], {"": ["out/*.jar"]})
    return sp.ProjectSpec("orders", local=code, builder=builder, owner="ada", environment="test")


def test_a_spec_is_plain_data_in_both_ways(code: Path) -> None:
    yaml = (
        f"{{name: orders, local: {code}, builder: {{command: {{argv: [./build.sh], outputs: {{'': [out/*.jar]}}}}}}}}"
    )
    read = sp.ProjectSpec.from_yaml(yaml)
    assert read.to_dict()["builder"] == spec(code).to_dict()["builder"]
    assert sp.MavenBuilder.parse("-Pprod -Dx=1").profiles == ["prod"]
    with pytest.raises(sp.InvalidInputError, match="the build argument '\\|\\|' is refused"):
        sp.MavenBuilder.parse("-Pprod || rm -rf /")
    with pytest.raises(sp.InvalidInputError, match="hold a secret itself"):
        sp.ProjectSpec.from_yaml("{name: a, git: 'https://git.example.com/a', credentials: {token: s3cret}}")


def test_from_a_folder_to_a_job_and_back(tmp_path: Path, code: Path, cluster: sp.MemoryCluster) -> None:
    with sp.Projects(tmp_path / "data") as projects:
        orders = projects.create(spec(code))
        with pytest.raises(sp.AlreadyExistsError):
            projects.create(spec(code))
        build = orders.build(actor="ada")
        updates = list(build)
        assert sp.BuildUpdate("line", "building") in updates
        assert updates[-1] == sp.BuildUpdate("state", "SUCCEEDED")
        # Who comes when it is over hears the same, but for what it was before.
        late = [update for update in updates if update.kind in {"line", "step"}]
        assert list(build) == [*late, sp.BuildUpdate("state", "SUCCEEDED")]
        record = build.wait()
        assert (record.state, record.actor, record.builder) == ("SUCCEEDED", "ada", "command")
        assert "building" in build.log()
        assert build.position() is None
        (artifact,) = build.artifacts()
        assert (artifact.job_jar.path, artifact.rule) == ("orders.jar", "the only jar that can run")
        assert projects.jar(artifact.id).read_bytes() == (code / "made.jar").read_bytes()
        assert projects.inspect(artifact.id).manifest_class == "com.acme.Orders"
        assert orders.build().wait().reused == build.id
        assert orders.build_if_changed() is None
        for shown in (projects, orders, build, artifact):
            assert "<table>" in shown._repr_html_()  # pyright: ignore[reportPrivateUsage]

        with sp.StreamPark(clusters={"dev": cluster}, cache=tmp_path / "cache", projects=projects) as platform:
            program = sp.JarProgram(sp.ModuleRef("orders"), entry_class="com.acme.Orders")
            job = platform.jobs.create("orders", program, cluster="dev")
            job.start()
            job.wait_for("RUNNING", timeout=30)
            origin = job.origin()
            assert origin is not None
            assert (origin.name, origin.revision.id) == ("orders", orders.check().id)
            assert origin.project is not None
            assert origin.project.owner == "ada"
            assert origin.build is not None
            assert origin.build.id == build.id
            assert origin.readme == ("README.md", "# Orders")
            with pytest.raises(sp.ConflictError, match="is used by the jobs orders"):
                projects.remove("orders")
            assert list(projects.prune(keep=0, max_age=0).artifacts) == []


def test_a_failed_build_says_why(tmp_path: Path, code: Path) -> None:
    (code / "build.sh").write_text("#!/bin/sh\necho it is broken\nexit 3\n", encoding="utf-8")
    with sp.Projects(tmp_path / "data", timeout="1 min") as projects:
        build = projects.put(spec(code)).build()
        with pytest.raises(sp.ProgramError) as raised:
            build.wait()
        assert raised.value.context["reason"] == "other"
        problem = build.record().problem
        assert problem is not None
        assert (problem.reason, problem.lines) == ("other", ["it is broken"])
        with pytest.raises(sp.NotFoundError):
            projects.build("nothing")


def test_resources_are_uploaded_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jar"
    jar(path)
    with sp.Projects(tmp_path / "data") as projects:
        entry = projects.upload("tools", "1.0", path, team="text", actor="ada")
        assert (entry.kind, entry.team, entry.file) == ("jar", "text", "a.jar")
        assert projects.group("all", "1", ["tools:1.0"]).members == ["tools:1.0"]
        assert [one.name for one in projects.resources()] == ["all", "tools"]
        assert projects.resource_users("tools") == []
        with sp.StreamPark(clusters={"dev": sp.MemoryCluster()}, projects=projects) as platform:
            program = sp.SqlProgram("CREATE TABLE a (n INT) WITH ('connector' = 'x'); INSERT INTO a SELECT 1")
            platform.jobs.create("shouts", program, cluster="dev", dependencies=[sp.ResourceRef("tools")])
            assert projects.resource_users("tools", "1.0") == ["shouts"]
            with pytest.raises(sp.ConflictError, match="it is used by job shouts"):
                projects.remove_resource("tools")
            platform.jobs.get("shouts").delete()
            with pytest.raises(sp.ConflictError, match="it is used by group all"):
                projects.remove_resource("tools")
            projects.remove_resource("all")
            projects.remove_resource("tools", "1.0")
            assert projects.resources() == []
            assert projects.create_functions.__doc__


def test_a_jar_is_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "a.jar"
    jar(path)
    assert sp.inspect_jar(path).classes == 1
    assert sp.jar_problems(path, java=11, flink="1.20.5") == []
    path.write_text("no jar", encoding="utf-8")
    with pytest.raises(sp.ProgramError):
        sp.inspect_jar(path)


async def test_the_same_awaited(tmp_path: Path, code: Path) -> None:
    closed = sp.AsyncProjects(tmp_path / "data")
    with pytest.raises(sp.ConflictError, match="not open yet"):
        closed.list()
    async with closed as projects:
        orders = await projects.put(spec(code))
        build = await orders.build()
        updates = [update async for update in build]
        assert updates[-1].text == "SUCCEEDED"
        assert (await build.wait()).state == "SUCCEEDED"
        (artifact,) = await build.artifacts()
        assert await orders.artifact() == artifact
        assert (await projects.inspect(artifact.id)).classes == 1


def test_a_push_builds_what_it_concerns(tmp_path: Path) -> None:
    body = (
        b'{"ref": "refs/heads/main", "after": "0123456789abcdef0123456789abcdef01234567", "repository":'
        b' {"clone_url": "https://git.example.invalid/orders.git"}, "pusher": {"name": "ada"}}'
    )
    signature = hmac.new(b"s3cret", body, "sha256").hexdigest()
    headers = {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={signature}"}
    with sp.Projects(tmp_path / "data") as projects:
        projects.put(sp.ProjectSpec("orders", git="ssh://git@git.example.invalid/orders.git", ref="main"))
        projects.put(sp.ProjectSpec("other", git="https://git.example.invalid/other.git", ref="main"))
        (build,) = projects.pushed(headers, body, "s3cret")
        assert (build.record().project, build.record().actor) == ("orders", "ada")
        with pytest.raises(sp.AuthenticationError):
            projects.pushed(headers, body, "another")


def test_a_run_keeps_its_artifact_and_goes_back_to_it(tmp_path: Path, code: Path, cluster: sp.MemoryCluster) -> None:
    with (
        sp.Projects(tmp_path / "data") as projects,
        sp.StreamPark(clusters={"dev": cluster}, cache=tmp_path / "cache", projects=projects) as platform,
    ):
        orders = projects.acting_as("ada").put(spec(code))
        first = orders.build().artifacts()[0]
        program = sp.JarProgram(sp.ModuleRef("orders"), entry_class="com.acme.Orders")
        job = platform.jobs.create("orders", program, cluster="dev")
        job.start()
        job.wait_for("RUNNING", timeout=30)
        jar(code / "made.jar", "another")
        second = orders.build().artifacts()[0]
        assert second.id != first.id
        cluster.fail(job.runs(1)[0].flink_job, "boom")
        wait_for_run(job, 2)
        assert artifact_of(job) == first.id, "nobody asked for new code"
        job.restart()
        wait_for_run(job, 3)
        assert artifact_of(job) == second.id
        (pin,) = job.runs()[0].pins
        assert pin.named == sp.ModuleRef("orders")
        assert pin.facts["artifact"] == second.id
        with pytest.raises(sp.NotFoundError, match="no run 9 of the job is remembered; there are 3, 2, 1"):
            job.roll_back(9)
        job.roll_back(1)
        wait_for_run(job, 4)
        assert artifact_of(job) == first.id
        exact = job.spec().program
        assert isinstance(exact, sp.JarProgram)
        assert isinstance(exact.jar, sp.ModuleRef)
        assert exact.jar.artifact == first.id
        assert exact.jar.build == first.build


def wait_for_run(job: sp.Job, generation: int) -> None:
    deadline = time.monotonic() + 60
    while job.runs(1)[0].generation != generation or job.status().state != "RUNNING":
        assert time.monotonic() < deadline, job.history()
        time.sleep(0.05)


def artifact_of(job: sp.Job) -> str:
    origin = job.origin()
    assert origin is not None
    return origin.artifact.id


def test_the_history_tells_of_builds(tmp_path: Path, code: Path) -> None:
    with sp.Projects(tmp_path / "data") as projects:
        orders = projects.acting_as("ada").put(spec(code))
        assert list(orders.history()) == []
        with sp.StreamPark(projects=projects) as platform:
            orders.sync()
            orders.build().wait()
            (code / "build.sh").write_text("#!/bin/sh\nsleep 600\n", encoding="utf-8")
            slow = orders.build(actor="bob")
            slow.cancel("cleo")
            assert slow.record().ended_by == "cleo"
            deadline = time.monotonic() + 60
            while "build_cancelled" not in [event.kind for event in orders.history()]:
                assert time.monotonic() < deadline, orders.history()
                time.sleep(0.05)
            told = [(event.kind, event.actor) for event in orders.history()]
            assert told[-1] == ("project_synced", "ada")
            assert ("build_queued", "ada") in told
            assert ("build_succeeded", "supervisor") in told
            assert told[0] == ("build_cancelled", "cleo")
            newest = platform.history(kinds=["build_cancelled"])[0]
            assert newest.data["build"] == slow.id
            assert newest.message == "a build of 'orders' was cancelled"


def test_artifacts_are_kept_at_an_address(tmp_path: Path, code: Path) -> None:
    place = tmp_path / "elsewhere"
    with sp.Projects(tmp_path / "data", artifacts=place.as_uri()) as projects:
        artifact = projects.put(spec(code)).build().artifacts()[0]
        assert projects.jar(artifact.id).is_relative_to(place)
    with pytest.raises(sp.InvalidInputError, match="the artifacts cannot be kept at ftp://"):
        sp.Projects(tmp_path / "other", artifacts="ftp://host/artifacts")
    with pytest.raises(sp.InvalidInputError, match="'regoin' is no option of S3"):
        sp.Projects(tmp_path / "other", artifacts="s3://bucket/artifacts", artifact_options={"regoin": "x"})
    with pytest.raises(sp.InvalidInputError, match="a Git proxy is written http://host:port"):
        sp.Projects(tmp_path / "other", proxy="http://me:pa55@proxy.example.com:3128")
    with pytest.raises(sp.InvalidInputError, match="holds credentials; give them as options"):
        sp.Projects(tmp_path / "other", artifacts="s3://me:pa55@bucket/artifacts")


def test_progress_is_a_bar_where_tqdm_is_and_plain_lines_where_not(
    tmp_path: Path,
    code: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made: list[dict[str, object]] = []

    class Bar:
        total: int = 0
        n: int = 0

        def __init__(self, **words: object) -> None:
            made.append(words)

        def refresh(self) -> None:
            made.append({"n": self.n, "total": self.total})

        def close(self) -> None:
            made.append({"closed": True})

    tqdm = types.ModuleType("tqdm.auto")
    tqdm.tqdm = Bar  # type: ignore[attr-defined]
    with sp.Projects(tmp_path / "data") as projects:
        orders = projects.put(spec(code))
        for known, bars in ((None, 0), (tqdm, 1)):
            monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm") if known else None)
            monkeypatch.setitem(sys.modules, "tqdm.auto", known)
            assert orders.build(fresh=True).show().state == "SUCCEEDED"
            assert "building" in capsys.readouterr().out.splitlines()
            assert made.count({"closed": True}) == bars
