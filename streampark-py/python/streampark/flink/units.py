"""Durations, sizes, lists and versions in Flink's notation."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from streampark import _streampark
from streampark._read import Duration, seconds

__all__ = [
    "FlinkVersion",
    "MemorySize",
    "decode_list",
    "encode_list",
    "format_duration",
    "is_sensitive_key",
    "parse_duration",
]


def parse_duration(text: str) -> timedelta:
    """Reads a duration in Flink's notation: ``10 s``, ``3min``, ``500`` (milliseconds)."""
    return timedelta(seconds=_streampark.duration_from_text(text))


def format_duration(duration: Duration) -> str:
    """Writes a duration in the largest unit that divides it, as Flink does."""
    return _streampark.duration_to_text(seconds(duration))


def is_sensitive_key(key: str) -> bool:
    """Whether the value of a configuration key must not be shown, by Flink's own rule."""
    return _streampark.is_sensitive_key(key)


def decode_list(text: str) -> list[str]:
    """Reads a list in either notation of Flink: a JSON array, or items parted by ``;``."""
    return _streampark.list_from_text(text)


def encode_list(items: Iterable[str], *, legacy: bool = False) -> str:
    """Writes a list: as a JSON array, or with ``legacy`` parted by ``;`` as every version of Flink reads it."""
    return _streampark.list_to_text(list(items), legacy)


class MemorySize(int):
    """A number of bytes in Flink's notation: ``1600m``, ``1 gb``, ``1024``. It is an ``int``."""

    def __new__(cls, size: int | str) -> MemorySize:
        """Takes bytes, or reads Flink's notation."""
        return super().__new__(cls, _streampark.memory_from_text(size) if isinstance(size, str) else size)

    @property
    def mebibytes(self) -> int:
        """The number of whole MiB."""
        return int(self) >> 20

    def __str__(self) -> str:
        return _streampark.memory_to_text(int(self))

    def __repr__(self) -> str:
        return f"MemorySize({str(self)!r})"


@functools.total_ordering
class FlinkVersion:
    """A version of Flink, and the rules that changed between versions.

    A snapshot or release candidate comes before its release, any other suffix after it.
    """

    def __init__(self, text: str) -> None:
        self._text = text.strip()
        self._rules: dict[str, Any] = json.loads(_streampark.version(self._text))

    @property
    def major(self) -> int:
        """The first number."""
        return int(self._rules["major"])

    @property
    def minor(self) -> int:
        """The second number."""
        return int(self._rules["minor"])

    @property
    def patch(self) -> int:
        """The third number, 0 where the text had none."""
        return int(self._rules["patch"])

    @property
    def suffix(self) -> str:
        """What follows the numbers; empty for a release."""
        return str(self._rules["suffix"])

    def at_least(self, major: int, minor: int) -> bool:
        """Whether this is ``major.minor`` or later."""
        return (self.major, self.minor) >= (major, minor)

    @property
    def supports_config_yaml(self) -> bool:
        """Whether ``conf/config.yaml`` is read: since 1.19."""
        return bool(self._rules["supports_config_yaml"])

    @property
    def supports_flink_conf_yaml(self) -> bool:
        """Whether ``conf/flink-conf.yaml`` is read: until 1.20."""
        return bool(self._rules["supports_flink_conf_yaml"])

    @property
    def checkpoint_directory_key(self) -> str:
        """The key of the checkpoint folder."""
        return str(self._rules["checkpoint_directory_key"])

    @property
    def savepoint_directory_key(self) -> str:
        """The key of the savepoint folder."""
        return str(self._rules["savepoint_directory_key"])

    @property
    def rules(self) -> Mapping[str, Any]:
        """Every rule by its name, for example ``restart_strategy_key``."""
        return dict(self._rules)

    def _rank(self) -> tuple[int, int, int, int, str]:
        lower = self.suffix.lower()
        early = "snapshot" in lower or lower.startswith("rc")
        return (self.major, self.minor, self.patch, 0 if not lower else -1 if early else 1, self.suffix)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FlinkVersion) and self._rank() == other._rank()

    def __lt__(self, other: FlinkVersion) -> bool:
        return self._rank() < other._rank()

    def __hash__(self) -> int:
        return hash(self._rank())

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"FlinkVersion({self._text!r})"
