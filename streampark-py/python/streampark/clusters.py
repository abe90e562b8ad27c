"""Clusters: places that accept runs."""

from __future__ import annotations

import atexit
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from streampark import _streampark
from streampark._answers import (
    observation_of,
)
from streampark._read import Duration, record, seconds
from streampark.exceptions import ConflictError
from streampark.flink import AsyncRestClient, RestClient
from streampark.flink._client import Pem, rest_options
from streampark.records import (
    Capability,
    ClusterInfo,
    Observation,
)

__all__ = ["Cluster", "LocalCluster", "StandaloneCluster"]


class Cluster(ABC):
    """A place that accepts runs."""

    @abstractmethod
    def _native(self) -> _streampark.Cluster: ...

    def info(self) -> ClusterInfo:
        """What it is; no request is made."""
        return record(ClusterInfo, json.loads(self._native().info()))

    def capability(self) -> Capability:
        """What it can do; no request is made."""
        return record(Capability, json.loads(self._native().capability()))

    def observe(self) -> list[Observation]:
        """Everything it runs, whoever started it."""
        return [observation_of(seen) for seen in json.loads(self._native().observe().wait())]

    async def observe_async(self) -> list[Observation]:
        """Like :meth:`observe`, awaited."""
        return [observation_of(seen) for seen in json.loads(await self._native().observe())]


class RegisteredCluster(Cluster):
    """A cluster as a platform knows it, of whatever kind."""

    def __init__(self, native: _streampark.Cluster) -> None:
        self._cluster = native

    def _native(self) -> _streampark.Cluster:
        return self._cluster

    def __repr__(self) -> str:
        info = self.info()
        return f"<{info.kind} cluster at {info.location}>"


class StandaloneCluster(Cluster):
    """A Flink session that somebody else runs, by the address of its REST interface.

    Args:
        *urls: The address, for example ``"http://jobmanager:8081/"``; a path is kept as a prefix. More than
            one where high availability has several JobManagers.
        headers: Sent with every request; a value may name its place, ``"env:NAME"`` or ``"file:/path"``.
        tls_ca: Certificates (PEM) trusted besides the machine's: bytes, or the path of a file.
        tls_certificate: Our own certificate chain, where the server asks for one.
        tls_key: The key of ``tls_certificate``.
        timeout: How long one question may take. Default 3 s.
        connect_timeout: How long to wait for a connection. Default 1 s.
        transfer_timeout: How long a jar may take to upload, or a log to read. Default 5 min.
        run_timeout: How long the program's ``main`` may take. Default 60 s.
        proxy_from_env: Whether the proxy named by the environment is used.
        max_answer: The longest answer that is read, in bytes. Default 64 MiB.
    """

    def __init__(
        self,
        *urls: str,
        headers: Mapping[str, str] | None = None,
        tls_ca: Pem | None = None,
        tls_certificate: Pem | None = None,
        tls_key: Pem | None = None,
        timeout: Duration | None = None,
        connect_timeout: Duration | None = None,
        transfer_timeout: Duration | None = None,
        run_timeout: Duration | None = None,
        proxy_from_env: bool = False,
        max_answer: int | None = None,
    ) -> None:
        options = rest_options(
            urls,
            headers=headers,
            tls_ca=tls_ca,
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            timeout=timeout,
            connect_timeout=connect_timeout,
            transfer_timeout=transfer_timeout,
            run_timeout=run_timeout,
            proxy_from_env=proxy_from_env,
            max_answer=max_answer,
        )
        self._cluster, self._rest = _streampark.standalone(options)

    def _native(self) -> _streampark.Cluster:
        return self._cluster

    @property
    def rest(self) -> RestClient:
        """The client of Flink's REST interface."""
        return RestClient.of_native(self._rest)

    @property
    def rest_async(self) -> AsyncRestClient:
        """The client of Flink's REST interface, awaited."""
        return AsyncRestClient.of_native(self._rest)

    def __repr__(self) -> str:
        return f"StandaloneCluster({self._rest.base_url()!r})"


_running: set[_streampark.Local] = set()
_owner = os.getpid()


def _stop_all() -> None:
    if os.getpid() == _owner:
        for native in list(_running):
            native.stop().wait()


atexit.register(_stop_all)


class LocalCluster(Cluster):
    """A real Flink on this machine: a JobManager and TaskManagers as child processes, without Flink's scripts.

    It runs from :meth:`start` to :meth:`stop`, or from the head of a ``with`` (or ``async with``) block to its
    end; what still runs when the interpreter ends is stopped then. Where this process is killed, Flink lives on,
    and the next start in the same ``work_dir`` uses it again, or ends it where ``adopt`` is False.

    Args:
        flink_home: A FLINK_HOME, the folder of an installed PyFlink, or a folder with Flink's jars. Default: the
            environment variable ``FLINK_HOME``.
        work_dir: Where configuration, logs and checkpoints are kept. Default: a new folder among the temporary files.
        task_managers: How many TaskManagers.
        slots: Slots of each TaskManager.
        config: Options of Flink, over all that is set by itself.
        timeout: How long Flink may take until it answers.
        adopt: Whether a Flink left behind in ``work_dir`` is used again.
    """

    def __init__(
        self,
        flink_home: str | Path | None = None,
        *,
        work_dir: str | Path | None = None,
        task_managers: int = 1,
        slots: int = 4,
        config: Mapping[str, str | int | float | bool] | None = None,
        timeout: Duration = 90,
        adopt: bool = True,
    ) -> None:
        words = {
            key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in (config or {}).items()
        }
        self._options = json.dumps(
            {
                "flink_home": None if flink_home is None else str(flink_home),
                "work_dir": None if work_dir is None else str(work_dir),
                "task_managers": task_managers,
                "slots": slots,
                "config": list(words.items()),
                "timeout": seconds(timeout),
                "adopt": adopt,
            }
        )
        self._local: _streampark.Local | None = None

    def _started(self) -> _streampark.Local:
        if self._local is None:
            raise ConflictError("this local Flink does not run; call start(), or use it in a with block")
        return self._local

    def _native(self) -> _streampark.Cluster:
        return self._started().cluster()

    def _take(self, native: _streampark.Local) -> LocalCluster:
        self._local = native
        _running.add(native)
        return self

    def start(self) -> LocalCluster:
        """Starts Flink and waits until it answers with all its TaskManagers; gives this cluster."""
        return self if self._local is not None else self._take(_streampark.Local.start(self._options).wait())

    async def start_async(self) -> LocalCluster:
        """Like :meth:`start`, awaited."""
        return self if self._local is not None else self._take(await _streampark.Local.start(self._options))

    def stop(self) -> None:
        """Ends Flink; a second call does nothing."""
        if self._local is not None:
            self._local.stop().wait()
            _running.discard(self._local)
            self._local = None

    async def stop_async(self) -> None:
        """Like :meth:`stop`, awaited."""
        if self._local is not None:
            await self._local.stop()
            _running.discard(self._local)
            self._local = None

    def __enter__(self) -> LocalCluster:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> LocalCluster:
        return await self.start_async()

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_async()

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._local is not None

    @property
    def address(self) -> str:
        """The address of its REST interface and web UI."""
        return self._started().address()

    @property
    def work_dir(self) -> Path:
        """The folder with configuration, logs, checkpoints and savepoints."""
        return Path(self._started().work_dir())

    @property
    def version(self) -> str:
        """The version of Flink."""
        return self._started().version()

    @property
    def process_ids(self) -> tuple[int | None, list[int]]:
        """The process ids of the JobManager and of the TaskManagers."""
        return self._started().process_ids()

    @property
    def rest(self) -> RestClient:
        """The client of Flink's REST interface."""
        return RestClient.of_native(self._started().rest())

    @property
    def rest_async(self) -> AsyncRestClient:
        """The client of Flink's REST interface, awaited."""
        return AsyncRestClient.of_native(self._started().rest())

    def kill_job_manager(self) -> None:
        """Kills the JobManager as ``kill -9`` does, for tests of what follows; its TaskManagers live on."""
        self._started().kill_job_manager().wait()

    def __repr__(self) -> str:
        return f"LocalCluster({self._local.address()!r})" if self._local is not None else "LocalCluster(not running)"
