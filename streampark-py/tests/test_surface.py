"""What is public: exported once, documented, typed; and the README's example."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import streampark as sp
from streampark import _read, flink

ROOT = Path(__file__).parents[2]
PUBLIC = [(module, name) for module in (sp, flink) for name in module.__all__ if name != "__version__"]


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=[name for _, name in PUBLIC])
def test_everything_public_is_documented(module: object, name: str) -> None:
    thing = getattr(module, name)
    if not inspect.isclass(thing):
        return
    assert (thing.__doc__ or "").strip(), f"{name} has no documentation"
    for member, function in vars(thing).items():
        if not member.startswith("_") and (inspect.isfunction(function) or isinstance(function, property)):
            assert inspect.getdoc(getattr(thing, member)), f"{name}.{member} has no documentation"


@pytest.mark.parametrize("name", [name for name in sp.__all__ if inspect.isclass(getattr(sp, name))])
def test_every_field_of_a_record_is_documented(name: str) -> None:
    thing = getattr(sp, name)
    fields = getattr(thing, "__dataclass_fields__", {})
    if not fields or name == "Fault":
        return
    told = set(re.findall(r"^    (\w+): ", inspect.getdoc(thing) or "", re.MULTILINE))
    shown = {field for field, details in fields.items() if details.repr}
    assert shown <= told <= set(fields)


def test_the_package_is_typed() -> None:
    assert (Path(sp.__file__).parent / "py.typed").exists()
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", sp.__version__)


def test_times_of_the_native_half() -> None:
    assert _read.time_of("2026-01-02T03:04:05Z").isoformat() == "2026-01-02T03:04:05+00:00"
    assert _read.time_of("2026-01-02T03:04:05.123456789Z").microsecond == 123456
    assert _read.time_of("2026-01-02T03:04:05.5Z").microsecond == 500000
    assert [_read.snake(name) for name in ("flink-version", "slotsNumber", "IN_PROGRESS")] == [
        "flink_version",
        "slots_number",
        "in_progress",
    ]


def test_the_readmes_example_runs(monkeypatch: pytest.MonkeyPatch, cluster: sp.MemoryCluster, tmp_path: Path) -> None:
    source = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", source, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("orders.jar", "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n\n")
        archive.writestr("com/acme/Orders.class", b"\xca\xfe\xba\xbe")

    # The example's cluster is nowhere: a simulated one stands in for it.
    def stand_in(_: str) -> sp.MemoryCluster:
        return cluster

    monkeypatch.setattr(sp, "StandaloneCluster", stand_in)
    exec(compile(code, "README.md", "exec"), {"token": "t0ken", "secret": "SECret"})
    assert len(cluster.log()) == 1


def test_the_guide_runs_from_top_to_bottom(tmp_path: Path) -> None:
    source = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", source, re.DOTALL)
    assert len(blocks) == 12
    guide = tmp_path / "guide.py"
    guide.write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(guide)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for part in ("name: orders-2", "spec_changed", "info this is a test message", "already_exists False", "1 gb"):
        assert part in done.stdout
