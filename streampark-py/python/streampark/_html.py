"""Tables for notebooks. Everything is escaped: names and errors can come from anywhere."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime
from typing import Any

ROWS = 200
WIDTH = 300


def escape(value: object) -> str:
    """The value as text that is safe in HTML; long texts are cut."""
    if value is None:
        return ""
    text = value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else str(value)
    return html.escape(text if len(text) <= WIDTH else text[: WIDTH - 1] + "…")


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """An HTML table of at most 200 rows, and a line that counts the rest."""
    titles = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[:ROWS])
    more = len(rows) - ROWS
    rest = f"<p>and {more} more</p>" if more > 0 else ""
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>{rest}"


def pre(text: str) -> str:
    """A text as it stands."""
    return f"<pre>{html.escape(text)}</pre>"
