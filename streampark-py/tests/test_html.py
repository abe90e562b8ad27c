"""What notebooks show: tables, with everything escaped."""

from __future__ import annotations

from datetime import datetime, timezone
from html.parser import HTMLParser

import streampark as sp
from streampark import _html

EVIL = "<script>alert('x')</script>"


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_safe(html: str) -> None:
    tags = Tags(html)
    assert tags.tags <= {"table", "thead", "tbody", "tr", "th", "td", "pre", "p"}
    assert EVIL in tags.text


def test_names_of_jobs_are_escaped(platform: sp.StreamPark, program: sp.SqlProgram) -> None:
    job = platform.jobs.create(EVIL, program, cluster="dev", owner=EVIL)
    assert_safe(job._repr_html_())  # pyright: ignore[reportPrivateUsage]
    assert_safe(platform.jobs._repr_html_())  # pyright: ignore[reportPrivateUsage]
    assert_safe(platform.jobs.list()._repr_html_())  # pyright: ignore[reportPrivateUsage]
    assert_safe(job.history()._repr_html_())  # pyright: ignore[reportPrivateUsage]
    assert_safe(job.status()._repr_html_())  # pyright: ignore[reportPrivateUsage]
    assert_safe(job.plan()._repr_html_())  # pyright: ignore[reportPrivateUsage]
    platform.clusters.add(EVIL, sp.MemoryCluster())
    assert_safe(platform.clusters._repr_html_())  # pyright: ignore[reportPrivateUsage]


def test_a_plan_is_shown_whole() -> None:
    plan = sp.Plan("memory", "a", [], text="x" * 5000)
    assert plan._repr_html_() == f"<pre>{'x' * 5000}</pre>"  # pyright: ignore[reportPrivateUsage]


def test_long_tables_and_long_texts_are_cut() -> None:
    html = _html.table(["a"], [[number] for number in range(450)])
    assert html.count("<td>") == 200
    assert html.endswith("<p>and 250 more</p>")
    assert len(_html.escape("y" * 1000)) == 300
    assert _html.escape(None) == ""
    assert _html.escape(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc)) == "2026-01-02 03:04:05"
