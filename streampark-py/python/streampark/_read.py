"""Answers of the native half, which are JSON, as records."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar, Union

from streampark import _streampark

T = TypeVar("T")

Duration = Union[timedelta, float, str]
"""A time: a ``timedelta``, seconds, or a text in Flink's notation such as ``"10 s"`` or ``"5 min"``."""


def seconds(value: Duration) -> float:
    """A duration in seconds."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return _streampark.duration_from_text(value) if isinstance(value, str) else float(value)


def seconds_or_none(value: Duration | None) -> float | None:
    """A duration in seconds, or None."""
    return None if value is None else seconds(value)


def time_of(text: str) -> datetime:
    """A time as the native half prints it: UTC, at most nine decimals, of which six are kept."""
    head, _, decimals = text.rstrip("Z").partition(".")
    micros = int((decimals + "000000")[:6])
    return datetime.strptime(head, "%Y-%m-%dT%H:%M:%S").replace(microsecond=micros, tzinfo=timezone.utc)


def time_or_none(text: str | None) -> datetime | None:
    """A time, or None."""
    return None if text is None else time_of(text)


def or_none(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """Reads what may be None."""
    return lambda value: None if value is None else read(value)


def each(read: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    """Reads every item of a list."""
    return lambda values: tuple(read(value) for value in values)


def snake(name: str) -> str:
    """``flink-version``, ``flinkVersion`` and ``FLINK_VERSION`` as ``flink_version``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return spaced.replace("-", "_").replace(".", "_").lower()


def record(cls: type[T], value: Mapping[str, Any], **nested: Callable[[Any], Any]) -> T:
    """A record out of plain data; fields that the record does not have are left out.

    Args:
        cls: A dataclass; a field that may be absent has a default.
        value: Plain data, keys in any spelling.
        nested: How to read the fields that are more than plain data.
    """
    known = {snake(name): item for name, item in value.items()}
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    given = {name: known[name] for name in names if name in known}
    return cls(**{name: nested[name](item) if name in nested else item for name, item in given.items()})
