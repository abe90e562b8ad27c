"""The notebooks, run from top to bottom on real Flink, and on real Hadoop."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import pytest

# Neither package is typed.
nbformat: Any = importlib.import_module("nbformat")
nbclient: Any = importlib.import_module("nbclient")

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def outputs(cell: Any) -> str:
    """Everything that a cell shows, in all its forms."""
    shown = [output.get("text", "") + "".join(output.get("data", {}).values()) for output in cell.get("outputs", [])]
    return "".join(shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_notebook_is_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook.cells)


def run(name: str, timeout: int, folder: Path) -> str:
    """Everything that a notebook shows when it is run in a folder."""
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    where = {"metadata": {"path": folder}}
    nbclient.NotebookClient(notebook, timeout=timeout, kernel_name="python3", resources=where).execute()
    return "".join(outputs(cell) for cell in notebook.cells)


def name_servers(monkeypatch: pytest.MonkeyPatch, lane: str, **names: str) -> None:
    """Sets the variables of a notebook from those of the tests."""
    for name, source in names.items():
        assert source in os.environ, f"{source} is not set; run: make {lane}"
        monkeypatch.setenv(name, os.environ[source])


@pytest.mark.flink
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_tells_the_main_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name_servers(
        monkeypatch, "test-flink", FLINK_HOME="STREAMPARK_TEST_FLINK_2", STREAMPARK_DEMO_JAR="STREAMPARK_TEST_JOBS_JAR"
    )
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    text = run("main_job.ipynb", 240, tmp_path)
    for part in (
        "ClusterOverview(flink_version=",
        "plan of &#x27;counting&#x27; on standalone",
        "run 1 failed",
        "counting: running again",
        "'FAILED', 'None'",
        "'checkpoint ",
        "started again at once, from its newest restore point",
        "<td>quiet</td>",
        "the data are in streampark-notebook-",
    ):
        assert part in text, f"{part!r} is not in the notebook's outputs"


@pytest.mark.yarn
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_goes_the_whole_road(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name_servers(
        monkeypatch, "test-yarn", FLINK_HOME="STREAMPARK_TEST_FLINK_2", HADOOP_JARS="STREAMPARK_TEST_HADOOP_3_5"
    )
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    text = run("whole_road.ipynb", 420, EXAMPLES)
    for part in (
        "hdfs://localhost:",
        "orders-job-1.0.jar",
        "java.lang.IllegalStateException: no price for order ",
        ": the price list is empty",
        "'FAILED', 'None'",
        "'checkpoint ",
        "'job_failed'",
        "run 3 works",
        "True Postage is 599 cents by Ada Lovelace <ada@example.com> built for bob",
        "<td>bob</td>",
        "the data are in streampark-notebook-",
    ):
        assert part in text, f"{part!r} is not in the notebook's outputs"
