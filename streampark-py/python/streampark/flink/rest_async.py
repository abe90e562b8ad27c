"""The client of Flink's REST interface for asyncio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from streampark import _streampark
from streampark._read import Duration, or_none, seconds
from streampark.flink._client import Claim, Client, Format
from streampark.flink.config import AnyConfig, FlinkConfig
from streampark.flink.records import (
    AggregatedMetric,
    ApplicationOverview,
    CheckpointConfig,
    Checkpoints,
    ClusterConfig,
    ClusterOverview,
    Jar,
    JobConfig,
    JobDetail,
    JobExceptions,
    JobOverview,
    LogFile,
    Metric,
    SavepointStatus,
    TaskManager,
    UploadedJar,
    checkpoints_of,
    config_of,
    exceptions_of,
    jar_of,
    job_of,
    keys_of,
    list_of,
    location_of,
    nothing_of,
    of,
    savepoint_status_of,
    task_managers_of,
)
from streampark.flink.units import FlinkVersion

__all__ = ["AsyncRestClient"]


class AsyncRestClient(Client):
    """A client of one cluster's JobManagers for asyncio: the same methods as :class:`RestClient`, awaited.

    Args:
        *urls: The address, for example ``"http://jobmanager:8081/"``; more than one for several JobManagers.
        headers: Sent with every request; a value may name its place, ``"env:NAME"`` or ``"file:/path"``.
        tls_ca: Certificates (PEM) trusted besides the machine's.
        tls_certificate: Our own certificate chain, where the server asks for one.
        tls_key: The key of ``tls_certificate``.
        timeout: How long one question may take. Default 3 s.
        connect_timeout: How long to wait for a connection. Default 1 s.
        transfer_timeout: How long a jar may take to upload, or a log to read. Default 5 min.
        run_timeout: How long the program's ``main`` may take. Default 60 s.
        proxy_from_env: Whether the proxy named by the environment is used.
        max_answer: The longest answer that is read, in bytes. Default 64 MiB.
    """

    @classmethod
    def of_native(cls, rest: _streampark.Rest) -> AsyncRestClient:
        """The client over a native one."""
        client = cls.__new__(cls)
        client._rest = rest
        return client

    async def version(self) -> FlinkVersion:
        """The version that the cluster runs."""
        return await self._call("version", FlinkVersion)

    async def overview(self) -> ClusterOverview:
        """Slots and jobs of the cluster."""
        return await self._call("overview", of(ClusterOverview))

    async def config(self) -> ClusterConfig:
        """What the cluster is and allows."""
        return await self._call("config", of(ClusterConfig, features=keys_of))

    async def jobmanager_config(self) -> FlinkConfig:
        """The configuration that the JobManager runs with."""
        return await self._call("jobmanager_config", config_of)

    async def taskmanagers(self) -> list[TaskManager]:
        """The TaskManagers that are registered."""
        return await self._call("taskmanagers", task_managers_of)

    async def logs(self, task_manager: str | None = None) -> list[LogFile]:
        """The files in the log folder of the JobManager, or of a TaskManager by its id."""
        return await self._call("logs", list_of(LogFile), task_manager=task_manager)

    async def read_log(self, name: str, *, task_manager: str | None = None, tail: int = 1 << 20) -> str:
        """The last ``tail`` bytes of a log file, from the start of a line."""
        return await self._call("read_log", str, name=name, task_manager=task_manager, tail=tail)

    async def shut_down_cluster(self) -> None:
        """Ends the cluster: its jobs stop, its processes exit."""
        await self._call("shut_down_cluster", nothing_of)

    async def jobs(self) -> list[JobOverview]:
        """Every job that the cluster remembers."""
        return await self._call("jobs", list_of(JobOverview, tasks=keys_of))

    async def applications(self) -> list[ApplicationOverview]:
        """Every run of a program's main that the cluster remembers; Flink before 2.3 knows none of it."""
        return await self._call("applications", list_of(ApplicationOverview))

    async def job(self, job: str) -> JobDetail:
        """One job; up to 3 s old."""
        return await self._call("job", job_of, job=job)

    async def job_status(self, job: str) -> str:
        """The status of one job, for example ``"RUNNING"``."""
        return await self._call("job_status", str, job=job)

    async def job_config(self, job: str) -> JobConfig:
        """The configuration that a job runs with."""
        return await self._call("job_config", of(JobConfig, execution_config=or_none(keys_of)), job=job)

    async def job_exceptions(self, job: str) -> JobExceptions:
        """Why one job failed or restarted; up to 3 s old."""
        return await self._call("job_exceptions", exceptions_of, job=job)

    async def checkpoints(self, job: str) -> Checkpoints:
        """The checkpoints of one job; up to 3 s old."""
        return await self._call("checkpoints", checkpoints_of, job=job)

    async def checkpoint_config(self, job: str) -> CheckpointConfig:
        """How one job takes checkpoints."""
        return await self._call("checkpoint_config", of(CheckpointConfig, externalization=keys_of), job=job)

    async def cancel(self, job: str) -> None:
        """Cancels a job; returns when the wish is taken."""
        await self._call("cancel", nothing_of, job=job)

    async def job_metrics(self, job: str, *names: str) -> list[Metric]:
        """Metrics of one job; with no names the names that exist."""
        return await self._call("job_metrics", list_of(Metric), job=job, names=names)

    async def jobmanager_metrics(self, *names: str) -> list[Metric]:
        """Metrics of the JobManager."""
        return await self._call("jobmanager_metrics", list_of(Metric), names=names)

    async def taskmanager_metrics(self, task_manager: str, *names: str) -> list[Metric]:
        """Metrics of one TaskManager."""
        return await self._call("taskmanager_metrics", list_of(Metric), task_manager=task_manager, names=names)

    async def vertex_metrics(self, job: str, vertex: str, *names: str) -> list[AggregatedMetric]:
        """Metrics of one vertex over all its subtasks."""
        return await self._call("vertex_metrics", list_of(AggregatedMetric), job=job, vertex=vertex, names=names)

    async def jars(self) -> list[Jar]:
        """The jars that were uploaded to this JobManager."""
        return await self._call("jars", lambda jars: [jar_of(jar) for jar in jars])

    async def upload_jar(self, path: str | Path, progress: Callable[[int, int], object] | None = None) -> UploadedJar:
        """Uploads a jar, piece by piece; ``progress`` is told the bytes sent and the bytes in all."""
        return await self._upload(path, progress)

    async def delete_jar(self, jar: str) -> None:
        """Deletes an uploaded jar; jobs that run from it go on."""
        await self._call("delete_jar", nothing_of, jar=jar)

    async def run_jar(
        self,
        jar: str,
        *,
        entry_class: str | None = None,
        args: Sequence[str] = (),
        parallelism: int | None = None,
        job_id: str | None = None,
        savepoint_path: str | None = None,
        allow_non_restored_state: bool = False,
        claim_mode: Claim | None = None,
        flink_configuration: AnyConfig | None = None,
    ) -> str:
        """Runs an uploaded jar and gives the JobID. With ``job_id``, a submission sent twice starts one job."""
        return await self._run(
            jar,
            args,
            flink_configuration,
            entry_class=entry_class,
            parallelism=parallelism,
            job_id=job_id,
            savepoint_path=savepoint_path,
            allow_non_restored_state=allow_non_restored_state,
            claim_mode=claim_mode,
        )

    async def trigger_savepoint(
        self,
        job: str,
        *,
        target_directory: str | None = None,
        format_type: Format = "CANONICAL",
        trigger: str | None = None,
    ) -> str:
        """Starts a savepoint and gives its trigger id; with the same ``trigger`` nothing new starts."""
        return await self._trigger(
            "trigger_savepoint",
            job,
            trigger,
            target_directory=target_directory,
            format=format_type,
        )

    async def stop(
        self,
        job: str,
        *,
        target_directory: str | None = None,
        format_type: Format = "CANONICAL",
        drain: bool = False,
        trigger: str | None = None,
    ) -> str:
        """Stops a job with a savepoint and gives the trigger id of that savepoint."""
        return await self._trigger(
            "stop",
            job,
            trigger,
            target_directory=target_directory,
            format=format_type,
            drain=drain,
        )

    async def savepoint_status(self, job: str, trigger: str) -> SavepointStatus:
        """How far a savepoint is."""
        return await self._call("savepoint_status", savepoint_status_of, job=job, trigger=trigger)

    async def await_savepoint(self, job: str, trigger: str, patience: Duration = 600) -> str:
        """Waits until a savepoint is complete and gives its path."""
        return await self._call("await_savepoint", location_of, job=job, trigger=trigger, patience=seconds(patience))
