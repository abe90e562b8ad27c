"""Places that keep artifacts of projects for several machines."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from streampark import _streampark
from streampark._read import Duration, seconds

__all__ = ["BlobStore", "CustomBlobStore", "GivenBlobStore"]


class BlobStore(ABC):
    """A place that keeps artifacts: given by ``YarnCluster.blobs``, or one of your own; taken by ``Projects``."""

    @abstractmethod
    def _native(self) -> _streampark.BlobStore: ...

    @property
    def location(self) -> str:
        """Where it is, for people."""
        return self._native().location()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.location}>"


class GivenBlobStore(BlobStore):
    """What a cluster gives; its location is whole once it was asked for something."""

    def __init__(self, native: _streampark.BlobStore) -> None:
        self._given = native

    def _native(self) -> _streampark.BlobStore:
        return self._given

    def __repr__(self) -> str:
        return f"<BlobStore {self.location}>"


class CustomBlobStore(BlobStore):
    """A place of your own: subclass it and write its methods.

    A key is a path of letters, digits, ``-``, ``.`` and ``/``. It is written once and never changed, and whoever reads
    or lists must see it whole or not at all: write under another name, and rename. The methods are called on threads
    of the library, several at once. An exception of StreamPark says what went wrong by its class; any other counts as
    ``"remote"`` and passing.

    Args:
        location: Where it is, for people.
        timeout: How long a method may take; one that takes longer counts as failed and holds its thread.
        at_once: How many methods run at the same time, from 1 to 64.
    """

    def __init__(self, location: str, *, timeout: Duration = 600, at_once: int = 8) -> None:
        self._options = (location, seconds(timeout), at_once)
        self._native()

    def _native(self) -> _streampark.BlobStore:
        return _streampark.BlobStore.custom(*self._options, self._called)

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is such a key."""

    @abstractmethod
    def put(self, key: str, file: Path) -> None:
        """Keeps what ``file`` holds; a key that is there already may stay as it is."""

    @abstractmethod
    def fetch(self, key: str, to: Path) -> bool:
        """Writes the bytes of ``key`` into the file ``to``; False where there is no such key."""

    @abstractmethod
    def list(self, prefix: str) -> Sequence[str]:
        """All keys below the folder ``prefix``."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Removes a key; one that is not there is no error."""

    def _called(self, question: str) -> str | None:
        asked = json.loads(question)
        method, key = asked["method"], asked["key"]
        if method == "exists":
            return json.dumps(self.exists(key))
        if method == "put":
            self.put(key, Path(asked["path"]))
            return None
        if method == "fetch":
            return json.dumps(self.fetch(key, Path(asked["path"])))
        if method == "list":
            return json.dumps(list(self.list(key)))
        self.delete(key)
        return None
