"""StreamPark owns the life of Apache Flink jobs: submit, watch, restart, tell, remember.

    import streampark as sp

    with sp.StreamPark("jobs.db") as platform:
        platform.clusters.add("dev", sp.StandaloneCluster("http://jobmanager:8081/"))
        orders = platform.jobs.create(
            "orders", sp.JarProgram("orders.jar", entry_class="com.acme.Orders"), cluster="dev")
        orders.start()
        orders.wait_for("RUNNING", timeout=60)

:class:`AsyncStreamPark` has the same methods, awaited.
"""

from streampark._streampark import (
    DingTalk,
    LocalCluster,
    Log,
    MemoryCluster,
    StandaloneCluster,
    Webhook,
    __version__,
)
from streampark.aio import AsyncChannels, AsyncClusters, AsyncJob, AsyncJobs, AsyncStreamPark
from streampark.exceptions import *  # noqa: F403
from streampark.exceptions import __all__ as _exceptions
from streampark.platform import Channels, Clusters, Job, Jobs, StreamPark
from streampark.records import (
    Event,
    Failure,
    History,
    JobList,
    JobStatus,
    Plan,
    RestorePoint,
    Run,
    SpecVersion,
)
from streampark.spec import (
    CustomProgram,
    Dependency,
    JarProgram,
    JobSpec,
    MavenRef,
    ModuleRef,
    Program,
    ResourceRef,
    RestartPolicy,
    RestoreOptions,
    SqlProgram,
)

__all__ = [
    "AsyncChannels",
    "AsyncClusters",
    "AsyncJob",
    "AsyncJobs",
    "AsyncStreamPark",
    "Channels",
    "Clusters",
    "CustomProgram",
    "Dependency",
    "DingTalk",
    "Event",
    "Failure",
    "History",
    "JarProgram",
    "Job",
    "JobList",
    "JobSpec",
    "JobStatus",
    "Jobs",
    "LocalCluster",
    "Log",
    "MavenRef",
    "MemoryCluster",
    "ModuleRef",
    "Plan",
    "Program",
    "ResourceRef",
    "RestartPolicy",
    "RestoreOptions",
    "RestorePoint",
    "Run",
    "SpecVersion",
    "SqlProgram",
    "StandaloneCluster",
    "StreamPark",
    "Webhook",
    "__version__",
    *_exceptions,
]
