"""The client of Flink's REST interface that waits."""

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

__all__ = ["RestClient"]


class RestClient(Client):
    """A client of one cluster's JobManagers, which waits for each answer.

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
    def of_native(cls, rest: _streampark.Rest) -> RestClient:
        """The client over a native one."""
        client = cls.__new__(cls)
        client._rest = rest
        return client

    def version(self) -> FlinkVersion:
        """The version that the cluster runs."""
        return self._call("version", FlinkVersion).wait()

    def overview(self) -> ClusterOverview:
        """Slots and jobs of the cluster."""
        return self._call("overview", of(ClusterOverview)).wait()

    def config(self) -> ClusterConfig:
        """What the cluster is and allows."""
        return self._call("config", of(ClusterConfig, features=keys_of)).wait()

    def jobmanager_config(self) -> FlinkConfig:
        """The configuration that the JobManager runs with."""
        return self._call("jobmanager_config", config_of).wait()

    def taskmanagers(self) -> list[TaskManager]:
        """The TaskManagers that are registered."""
        return self._call("taskmanagers", task_managers_of).wait()

    def logs(self, task_manager: str | None = None) -> list[LogFile]:
        """The files in the log folder of the JobManager, or of a TaskManager by its id."""
        return self._call("logs", list_of(LogFile), task_manager=task_manager).wait()

    def read_log(self, name: str, *, task_manager: str | None = None, tail: int = 1 << 20) -> str:
        """The last ``tail`` bytes of a log file, from the start of a line."""
        return self._call("read_log", str, name=name, task_manager=task_manager, tail=tail).wait()

    def shut_down_cluster(self) -> None:
        """Ends the cluster: its jobs stop, its processes exit."""
        self._call("shut_down_cluster", nothing_of).wait()

    def jobs(self) -> list[JobOverview]:
        """Every job that the cluster remembers."""
        return self._call("jobs", list_of(JobOverview, tasks=keys_of)).wait()

    def applications(self) -> list[ApplicationOverview]:
        """Every run of a program's main that the cluster remembers; Flink before 2.3 knows none of it."""
        return self._call("applications", list_of(ApplicationOverview)).wait()

    def job(self, job: str) -> JobDetail:
        """One job; up to 3 s old."""
        return self._call("job", job_of, job=job).wait()

    def job_status(self, job: str) -> str:
        """The status of one job, for example ``"RUNNING"``."""
        return self._call("job_status", str, job=job).wait()

    def job_config(self, job: str) -> JobConfig:
        """The configuration that a job runs with."""
        return self._call("job_config", of(JobConfig, execution_config=or_none(keys_of)), job=job).wait()

    def job_exceptions(self, job: str) -> JobExceptions:
        """Why one job failed or restarted; up to 3 s old."""
        return self._call("job_exceptions", exceptions_of, job=job).wait()

    def checkpoints(self, job: str) -> Checkpoints:
        """The checkpoints of one job; up to 3 s old."""
        return self._call("checkpoints", checkpoints_of, job=job).wait()

    def checkpoint_config(self, job: str) -> CheckpointConfig:
        """How one job takes checkpoints."""
        return self._call("checkpoint_config", of(CheckpointConfig, externalization=keys_of), job=job).wait()

    def cancel(self, job: str) -> None:
        """Cancels a job; returns when the wish is taken."""
        self._call("cancel", nothing_of, job=job).wait()

    def job_metrics(self, job: str, *names: str) -> list[Metric]:
        """Metrics of one job; with no names the names that exist."""
        return self._call("job_metrics", list_of(Metric), job=job, names=names).wait()

    def jobmanager_metrics(self, *names: str) -> list[Metric]:
        """Metrics of the JobManager."""
        return self._call("jobmanager_metrics", list_of(Metric), names=names).wait()

    def taskmanager_metrics(self, task_manager: str, *names: str) -> list[Metric]:
        """Metrics of one TaskManager."""
        return self._call("taskmanager_metrics", list_of(Metric), task_manager=task_manager, names=names).wait()

    def vertex_metrics(self, job: str, vertex: str, *names: str) -> list[AggregatedMetric]:
        """Metrics of one vertex over all its subtasks."""
        return self._call("vertex_metrics", list_of(AggregatedMetric), job=job, vertex=vertex, names=names).wait()

    def jars(self) -> list[Jar]:
        """The jars that were uploaded to this JobManager."""
        return self._call("jars", lambda jars: [jar_of(jar) for jar in jars]).wait()

    def upload_jar(self, path: str | Path, progress: Callable[[int, int], object] | None = None) -> UploadedJar:
        """Uploads a jar, piece by piece; ``progress`` is told the bytes sent and the bytes in all."""
        return self._upload(path, progress).wait()

    def delete_jar(self, jar: str) -> None:
        """Deletes an uploaded jar; jobs that run from it go on."""
        self._call("delete_jar", nothing_of, jar=jar).wait()

    def run_jar(
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
        return self._run(
            jar,
            args,
            flink_configuration,
            entry_class=entry_class,
            parallelism=parallelism,
            job_id=job_id,
            savepoint_path=savepoint_path,
            allow_non_restored_state=allow_non_restored_state,
            claim_mode=claim_mode,
        ).wait()

    def trigger_savepoint(
        self,
        job: str,
        *,
        target_directory: str | None = None,
        format_type: Format = "CANONICAL",
        trigger: str | None = None,
    ) -> str:
        """Starts a savepoint and gives its trigger id; with the same ``trigger`` nothing new starts."""
        return self._trigger(
            "trigger_savepoint",
            job,
            trigger,
            target_directory=target_directory,
            format=format_type,
        ).wait()

    def stop(
        self,
        job: str,
        *,
        target_directory: str | None = None,
        format_type: Format = "CANONICAL",
        drain: bool = False,
        trigger: str | None = None,
    ) -> str:
        """Stops a job with a savepoint and gives the trigger id of that savepoint."""
        return self._trigger(
            "stop",
            job,
            trigger,
            target_directory=target_directory,
            format=format_type,
            drain=drain,
        ).wait()

    def savepoint_status(self, job: str, trigger: str) -> SavepointStatus:
        """How far a savepoint is."""
        return self._call("savepoint_status", savepoint_status_of, job=job, trigger=trigger).wait()

    def await_savepoint(self, job: str, trigger: str, patience: Duration = 600) -> str:
        """Waits until a savepoint is complete and gives its path."""
        return self._call("await_savepoint", location_of, job=job, trigger=trigger, patience=seconds(patience)).wait()
