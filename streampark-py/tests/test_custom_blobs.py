"""Places of artifacts that are written in Python."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import streampark as sp

JAR = b"PK\x05\x06" + bytes(18)


class Shelf(sp.CustomBlobStore):
    """A folder, as if it were far away."""

    def __init__(self, folder: Path, *, timeout: float = 60, at_once: int = 8) -> None:
        super().__init__("the shelf", timeout=timeout, at_once=at_once)
        self.folder = folder
        self.asked: list[str] = []
        self.before: Callable[[str], None] = lambda method: None

    def _at(self, method: str, key: str) -> Path:
        self.asked.append(method)
        self.before(method)
        return self.folder / key

    def exists(self, key: str) -> bool:
        return self._at("exists", key).exists()

    def put(self, key: str, file: Path) -> None:
        place = self._at("put", key)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place.with_suffix(".draft"))
        place.with_suffix(".draft").rename(place)

    def fetch(self, key: str, to: Path) -> bool:
        place = self._at("fetch", key)
        if not place.exists():
            return False
        shutil.copyfile(place, to)
        return True

    def list(self, prefix: str) -> list[str]:
        place = self._at("list", prefix)
        return [str(file.relative_to(self.folder)) for file in place.rglob("*") if file.is_file()]

    def delete(self, key: str) -> None:
        self._at("delete", key).unlink(missing_ok=True)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


def build(projects: sp.Projects, tmp_path: Path, content: bytes = JAR) -> sp.Build:
    code = tmp_path / "code"
    code.mkdir(exist_ok=True)
    (code / "orders.jar").write_bytes(content)
    builder = sp.CommandBuilder(["true"], {"": ["*.jar"]})
    return projects.put(sp.ProjectSpec("orders", local=code, builder=builder)).build()


def test_artifacts_are_kept_shared_and_removed(shelf: Shelf, tmp_path: Path) -> None:
    assert repr(shelf) == "<Shelf the shelf>"
    large = JAR[:20] + (60_000).to_bytes(2, "little") + b"x" * 60_000
    with sp.Projects(tmp_path / "one", artifacts=shelf) as projects:
        first = build(projects, tmp_path).artifacts()[0]
        second = build(projects, tmp_path, large).artifacts()[0]
        assert build(projects, tmp_path, large).wait().reused is not None
    with sp.Projects(tmp_path / "other", artifacts=Shelf(tmp_path / "shelf")) as projects:
        assert projects.artifacts() == [second, first]
        assert projects.jar(first.id).read_bytes() == JAR
        assert projects.jar(second.id).read_bytes() == large
        shutil.rmtree(tmp_path / "shelf" / "blobs")
        assert projects.jar(second.id).read_bytes() == large, "a copy is here"
        pruned = projects.prune(keep=0, max_age=0)
        assert set(pruned.artifacts) == {first.id, second.id}
        assert projects.artifacts() == []
        with pytest.raises(sp.NotFoundError):
            projects.jar(first.id)


async def test_awaited(shelf: Shelf, tmp_path: Path) -> None:
    async with sp.AsyncProjects(tmp_path / "one", artifacts=shelf) as projects:
        assert await projects.artifacts() == []
    assert shelf.asked == ["list"]


def test_what_goes_wrong_is_told_with_its_method(shelf: Shelf, tmp_path: Path) -> None:
    def full(method: str) -> None:
        if method == "put":
            raise OSError("the shelf is full")

    shelf.before = full
    with sp.Projects(tmp_path / "one", artifacts=shelf) as projects:
        told = build(projects, tmp_path)
        with pytest.raises(sp.StreamParkError, match="the shelf is full"):
            told.wait()
        shelf.before = lambda method: None
        assert projects.artifacts() == []
        assert build(projects, tmp_path).wait().state == "SUCCEEDED"


def test_an_answer_that_cannot_be_read(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mumbled(prefix: str) -> list[int]:
        return [1]

    monkeypatch.setattr(shelf, "list", mumbled)
    with (
        sp.Projects(tmp_path / "two", artifacts=shelf) as projects,
        pytest.raises(sp.StreamParkError, match="`list` of the place of artifacts gave"),
    ):
        projects.artifacts()


def test_a_method_that_hangs_ends_in_time(tmp_path: Path) -> None:
    shelf, go = Shelf(tmp_path / "shelf", timeout=0.3, at_once=1), threading.Event()

    def hang(method: str) -> None:
        go.wait(20)

    shelf.before = hang
    try:
        with sp.Projects(tmp_path / "one", artifacts=shelf) as projects:
            with pytest.raises(sp.TimedOutError, match=r"did not answer within 0\.3 s"):
                projects.artifacts()
            with pytest.raises(sp.TimedOutError, match="the calls before this one did not end"):
                projects.artifacts()
    finally:
        go.set()
    assert shelf.asked == ["list"], "no more threads hang than may"
    with pytest.raises(sp.InvalidInputError, match="at_once is 0; it must be from 1 to 64"):
        Shelf(tmp_path, at_once=0)
