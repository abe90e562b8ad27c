"""The notebook, run from top to bottom on real Flink."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import pytest

# Neither package is typed.
nbformat: Any = importlib.import_module("nbformat")
nbclient: Any = importlib.import_module("nbclient")

NOTEBOOK = Path(__file__).parents[2] / "examples" / "main_job.ipynb"


def outputs(cell: Any) -> str:
    """Everything that a cell shows, in all its forms."""
    shown = [output.get("text", "") + "".join(output.get("data", {}).values()) for output in cell.get("outputs", [])]
    return "".join(shown)


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook.cells)


@pytest.mark.flink
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_tells_the_main_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, source in (
        ("FLINK_HOME", "STREAMPARK_TEST_FLINK_2"),
        ("STREAMPARK_DEMO_JAR", "STREAMPARK_TEST_JOBS_JAR"),
    ):
        assert source in os.environ, f"{source} is not set; run: make test-flink"
        monkeypatch.setenv(name, os.environ[source])
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    text = "".join(outputs(cell) for cell in notebook.cells)
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
