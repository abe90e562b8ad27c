"""Stores: where jobs and history are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Union

from streampark import _streampark
from streampark._read import Duration, seconds

__all__ = ["AnyStore", "MemoryStore", "SqliteStore"]


class SqliteStore:
    """One SQLite file; a second process on the same file is refused.

    Args:
        path: The file; it is created where there is none.
        lock_wait: How long to wait for another process, or an earlier store of this one, to let go of the file.
        busy_timeout: How long to wait where a foreign program holds the file.
        readers: Threads that read at once.
        allow_network_file_system: Opens a file on a network file system, where SQLite cannot promise that nothing
            is lost.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        lock_wait: Duration = 1,
        busy_timeout: Duration = 5,
        readers: int = 2,
        allow_network_file_system: bool = False,
    ) -> None:
        self.path = Path(path)
        self._lock_wait, self._busy_timeout, self._readers = seconds(lock_wait), seconds(busy_timeout), readers
        self._network = allow_network_file_system

    def _open(self) -> _streampark.Pending[_streampark.Store]:
        return _streampark.Store.sqlite(
            str(self.path), self._lock_wait, self._busy_timeout, self._readers, self._network
        )

    def __repr__(self) -> str:
        return f"SqliteStore({str(self.path)!r})"


class MemoryStore:
    """Keeps everything in memory: for tests."""

    def __init__(self) -> None:
        self._native = _streampark.Store.memory()

    def __repr__(self) -> str:
        return "MemoryStore()"


AnyStore = Union[str, Path, SqliteStore, MemoryStore, None]
"""A store, or the path of a SQLite file; None keeps everything in memory."""
