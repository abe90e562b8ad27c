"""Hadoop YARN: applications and sessions, without a JVM."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streampark import _streampark
from streampark._read import Duration, record, seconds
from streampark.blobs import BlobStore, GivenBlobStore
from streampark.clusters import Cluster, RegisteredCluster

__all__ = ["Check", "CollectedDistributions", "Diagnosis", "HadoopRequest", "Identity", "SessionState", "YarnCluster"]


@dataclass(frozen=True)
class HadoopRequest:
    """A request for which an identity of the user's own gives headers.

    Args:
        service: ``"resource_manager"``, ``"node_manager"`` or ``"file_system"``.
        method: The HTTP method.
        url: The address with its query.
        refused: Whether the headers that were given before were answered with 401.
    """

    service: str
    method: str
    url: str
    refused: bool


@dataclass(frozen=True)
class Identity:
    """Who we are to Hadoop, and how it is proven; made by one of the functions below.

    Secrets may name their place: ``"env:NAME"`` or ``"file:/path"``.

    Args:
        kind: The way of the proof.
    """

    kind: str
    details: tuple[tuple[str, str], ...] = field(repr=False)
    headers: Callable[[HadoopRequest], Mapping[str, str]] | None = field(default=None, repr=False)

    @staticmethod
    def simple(user: str) -> Identity:
        """Says a name without proof."""
        return Identity("simple", (("user", user),))

    @staticmethod
    def basic(user: str, password: str) -> Identity:
        """Name and password, for a gateway such as Knox."""
        return Identity("basic", (("user", user), ("password", password)))

    @staticmethod
    def bearer(user: str, token: str) -> Identity:
        """A bearer token, for a gateway."""
        return Identity("bearer", (("user", user), ("token", token)))

    @staticmethod
    def delegation_token(user: str, token: str) -> Identity:
        """A Hadoop delegation token."""
        return Identity("delegation_token", (("user", user), ("token", token)))

    @staticmethod
    def header(user: str, name: str, value: str) -> Identity:
        """Any header, for a vendor's own way."""
        return Identity("header", (("user", user), ("name", name), ("value", value)))

    @staticmethod
    def kerberos(
        principal: str | None = None,
        *,
        keytab: str | Path | None = None,
        ccache: str | Path | None = None,
        krb5_conf: str | Path | None = None,
        user: str | None = None,
        timeout: Duration | None = None,
    ) -> Identity:
        """Kerberos tickets (SPNEGO), from a keytab or a credential cache; no library of the system is needed.

        Args:
            principal: Who we are: ``"alice@EXAMPLE.ORG"``. Default: the owner of the credential cache.
            keytab: The file with the principal's key.
            ccache: The credential cache. Default: ``KRB5CCNAME``, ``krb5.conf``, ``/tmp/krb5cc_<user id>``.
            krb5_conf: Default: ``KRB5_CONFIG``, then ``/etc/krb5.conf``.
            user: The short name, where Hadoop's ``auth_to_local`` makes another one than the principal's first part.
            timeout: How long one KDC may take. Default 3 s.
        """
        words = {"principal": principal, "keytab": keytab, "ccache": ccache, "krb5_conf": krb5_conf, "user": user}
        details = [(name, str(word)) for name, word in words.items() if word is not None]
        if timeout is not None:
            details.append(("timeout", f"{round(seconds(timeout) * 1000)} ms"))
        return Identity("kerberos", tuple(details))

    @staticmethod
    def custom(user: str, headers: Callable[[HadoopRequest], Mapping[str, str]]) -> Identity:
        """Headers from a function of your own, asked for each request: a vendor's way to prove who we are.

        The function may block: it runs on a thread of its own, one call at a time. After a 401 it is asked once more.

        Args:
            user: The short name of the user whom the headers prove.
            headers: Gives the headers of a request, by their names.
        """
        return Identity("custom", (("user", user),), headers)

    def _json(self) -> str:
        return json.dumps({"kind": self.kind, **dict(self.details)})

    def _function(self) -> Callable[[str], str | None] | None:
        headers = self.headers
        if headers is None:
            return None

        def give(request: str) -> str | None:
            return json.dumps(dict(headers(HadoopRequest(**json.loads(request)))))

        return give

    def __repr__(self) -> str:
        details = dict(self.details)
        return f"Identity.{self.kind}({details.get('user') or details.get('principal') or ''!r})"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        what: What, in a few words.
        finding: ``"good"``, ``"doubtful"``, ``"bad"`` or ``"skipped"``.
        message: What was found; where it is bad, what to change.
    """

    what: str
    finding: str
    message: str


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a cluster, and what to change; ``str()`` gives a table.

    Args:
        checks: In the order in which a submission would meet them.
        table: The same for people.
    """

    checks: tuple[Check, ...]
    table: str

    @property
    def is_good(self) -> bool:
        """Whether a submission can work."""
        return all(check.finding in {"good", "doubtful"} for check in self.checks)

    def __str__(self) -> str:
        return self.table


@dataclass(frozen=True)
class CollectedDistributions:
    """What a collection of distributions of Flink did.

    Args:
        removed: Distributions that were removed from the cluster.
        kept: Distributions that stay: applications use them, or this cluster submits with them.
    """

    removed: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True)
class SessionState:
    """Where a session stands.

    Args:
        deployment: YARN's application id.
        state: ``"STARTING"``, ``"RUNNING"`` or ``"ENDED"``.
        reason: Why it has ended.
    """

    deployment: str
    state: str
    reason: str | None = None


def _diagnosis_of(text: str) -> Diagnosis:
    value = json.loads(text)
    return Diagnosis(tuple(record(Check, check) for check in value["checks"]), value["table"])


def _collected_of(text: str) -> CollectedDistributions:
    value = json.loads(text)
    return CollectedDistributions(tuple(value["removed"]), tuple(value["kept"]))


def _session_of(text: str) -> SessionState | None:
    value = json.loads(text)
    return None if value is None else record(SessionState, value)


def _words(config: Mapping[str, str | int | float | bool] | None) -> dict[str, str]:
    words = (config or {}).items()
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in words}


class YarnCluster(Cluster):
    """A Hadoop cluster: each run is a YARN application of its own.

    What is left out is taken from the Hadoop configuration folder, then asked of the ResourceManager.

    Args:
        *resource_managers: The web addresses of the ResourceManagers, for example ``"http://rm:8088/"``.
        hadoop_conf: A folder with ``core-site.xml``, ``hdfs-site.xml`` and ``yarn-site.xml``.
        identity: Who we are. Default: the user's name, without proof.
        proxy_user: The user in whose name everything is done (``doAs``); the cluster must let us.
        user: The user who owns applications and files. Default: ``HADOOP_USER_NAME``, ``USER``, the process's own.
        default_fs: ``fs.defaultFS`` as the cluster spells it.
        web_hdfs: The web addresses of the NameNodes, or of an HttpFS server.
        http_fs: Whether ``web_hdfs`` is an HttpFS server.
        shared_folder: Where the cluster's file system is mounted on this machine.
        object_store: How the object store behind a ``default_fs`` of ``"s3a://bucket"`` is opened: ``region``,
            ``endpoint``, ``access_key_id``, ``secret_access_key``, …; values may be ``"env:NAME"`` or ``"file:/path"``.
        host_map: Hosts by the names that Hadoop calls them, and where we reach them.
        staging: The folder that holds ``.flink``.
        flink_home: Flink on this machine; it is put on the cluster once.
        flink_version: Flink's version, where the name of its jar does not tell.
        provided_lib_dirs: Folders on the cluster that hold Flink, in place of ``flink_home``.
        distribution_folder: Where distributions are kept on the cluster.
        queue: The queue.
        tag: Marks every application of this installation.
        flink: Options of Flink below those of each job.
        keep_job_manager: Whether JobManagers stay until the end of their jobs is recorded.
        job_archive: Whether ended jobs are written beside the staging folder.
        tls_ca: A file with certificates (PEM) trusted besides the machine's.
        timeout: How long one request may take. Default 10 s.
        connect_timeout: How long to wait for a connection. Default 3 s.
        transfer_timeout: How long a file may take to arrive. Default 10 min.
        failover_patience: How long to look for an active ResourceManager. Default 5 s.
        orphan_timeout: How long tasks may outlive a lost JobManager. Default 3 min.
    """

    def __init__(
        self,
        *resource_managers: str,
        hadoop_conf: str | Path | None = None,
        identity: Identity | None = None,
        proxy_user: str | None = None,
        user: str | None = None,
        default_fs: str | None = None,
        web_hdfs: Sequence[str] = (),
        http_fs: bool = False,
        shared_folder: str | Path | None = None,
        object_store: Mapping[str, str] | None = None,
        host_map: Mapping[str, str] | None = None,
        staging: str | None = None,
        flink_home: str | Path | None = None,
        flink_version: str | None = None,
        provided_lib_dirs: Sequence[str] = (),
        distribution_folder: str | None = None,
        queue: str | None = None,
        tag: str = "streampark",
        flink: Mapping[str, str | int | float | bool] | None = None,
        keep_job_manager: bool = True,
        job_archive: bool = True,
        tls_ca: str | Path | None = None,
        timeout: Duration | None = None,
        connect_timeout: Duration | None = None,
        transfer_timeout: Duration | None = None,
        failover_patience: Duration | None = None,
        orphan_timeout: Duration | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "resource_managers": list(resource_managers),
            "web_hdfs": list(web_hdfs),
            "http_fs": http_fs,
            "object_store": dict(object_store or {}),
            "host_map": dict(host_map or {}),
            "provided_lib_dirs": list(provided_lib_dirs),
            "tag": tag,
            "flink": _words(flink),
            "keep_job_manager": keep_job_manager,
            "job_archive": job_archive,
        }
        folders = {
            "hadoop_conf": hadoop_conf,
            "shared_folder": shared_folder,
            "flink_home": flink_home,
            "tls_ca": tls_ca,
        }
        options.update({name: str(folder) for name, folder in folders.items() if folder is not None})
        words = {
            "user": user,
            "proxy_user": proxy_user,
            "default_fs": default_fs,
            "staging": staging,
            "flink_version": flink_version,
            "distribution_folder": distribution_folder,
            "queue": queue,
        }
        options.update({name: word for name, word in words.items() if word is not None})
        times = {
            "timeout": timeout,
            "connect_timeout": connect_timeout,
            "transfer_timeout": transfer_timeout,
            "failover_patience": failover_patience,
            "orphan_timeout": orphan_timeout,
        }
        options.update({name: f"{round(seconds(time) * 1000)} ms" for name, time in times.items() if time is not None})
        who, function = (None, None) if identity is None else (identity._json(), identity._function())  # pyright: ignore[reportPrivateUsage]
        self._yarn = _streampark.Yarn(json.dumps(options), who, function)

    def _native(self) -> _streampark.Cluster:
        return self._yarn.cluster()

    def blobs(self, folder: str) -> BlobStore:
        """A folder of the cluster's file system that keeps artifacts of projects. Nothing is asked or made yet.

        Args:
            folder: An absolute path, or one with the scheme (``"hdfs://nn/artifacts"``).

        Example:
            ``projects = sp.Projects("/var/lib/streampark", artifacts=yarn.blobs("/streampark/artifacts"))``
        """
        return GivenBlobStore(self._yarn.blobs(folder))

    def diagnose(self) -> Diagnosis:
        """Walks through all that a submission needs; starts nothing."""
        return _diagnosis_of(self._yarn.diagnose().wait())

    async def diagnose_async(self) -> Diagnosis:
        """Like :meth:`diagnose`, awaited."""
        return _diagnosis_of(await self._yarn.diagnose())

    def install(self) -> str:
        """Puts Flink on the cluster where that is needed, and gives its version."""
        return str(json.loads(self._yarn.install().wait()))

    async def install_async(self) -> str:
        """Like :meth:`install`, awaited."""
        return str(json.loads(await self._yarn.install()))

    def collect_distributions(self) -> CollectedDistributions:
        """Removes distributions of Flink that no application uses any more."""
        return _collected_of(self._yarn.collect_distributions().wait())

    async def collect_distributions_async(self) -> CollectedDistributions:
        """Like :meth:`collect_distributions`, awaited."""
        return _collected_of(await self._yarn.collect_distributions())

    def start_session(self, name: str, *, flink: Mapping[str, str | int | float | bool] | None = None) -> Cluster:
        """Starts a session, or finds the running one of that name, and waits until it answers."""
        return RegisteredCluster(self._yarn.start_session(name, json.dumps(_words(flink))).wait())

    async def start_session_async(
        self, name: str, *, flink: Mapping[str, str | int | float | bool] | None = None
    ) -> Cluster:
        """Like :meth:`start_session`, awaited."""
        return RegisteredCluster(await self._yarn.start_session(name, json.dumps(_words(flink))))

    def session_state(self, name: str) -> SessionState | None:
        """Where a session stands; None where there never was one."""
        return _session_of(self._yarn.session_status(name).wait())

    async def session_state_async(self, name: str) -> SessionState | None:
        """Like :meth:`session_state`, awaited."""
        return _session_of(await self._yarn.session_status(name))

    def stop_session(self, name: str, *, kill: bool = False) -> None:
        """Stops a session: by Flink, else by YARN; with ``kill`` by YARN at once. One that does not run is no error."""
        self._yarn.stop_session(name, kill).wait()

    async def stop_session_async(self, name: str, *, kill: bool = False) -> None:
        """Like :meth:`stop_session`, awaited."""
        await self._yarn.stop_session(name, kill)

    def __repr__(self) -> str:
        return f"YarnCluster({self.info().location!r})"
