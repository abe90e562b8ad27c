"""StreamPark owns the life of Apache Flink jobs: submit, watch, restart, tell, remember.

    import streampark as sp

    with sp.StreamPark("jobs.db") as platform:
        platform.clusters.add("dev", sp.StandaloneCluster("http://jobmanager:8081/"))
        orders = platform.jobs.create(
            "orders", sp.JarProgram("orders.jar", entry_class="com.acme.Orders"), cluster="dev")
        orders.start()
        orders.wait_for("RUNNING", timeout=60)

:class:`AsyncStreamPark` has the same methods, awaited. :mod:`streampark.flink` speaks with Flink alone.
What the engine says goes to :mod:`logging`, to loggers below ``streampark``.
"""

import logging as _logging

from streampark import flink
from streampark._streampark import __version__
from streampark.aio import AsyncChannels, AsyncClusters, AsyncEventStream, AsyncJob, AsyncJobs, AsyncStreamPark
from streampark.channels import Channel, DingTalk, Log, Webhook
from streampark.clusters import Cluster, Copy, CopyLog, Fault, LocalCluster, MemoryCluster, StandaloneCluster
from streampark.exceptions import (
    AlreadyExistsError,
    AuthenticationError,
    CancelledError,
    ConflictError,
    ExhaustedError,
    InternalError,
    InvalidInputError,
    IoError,
    NotFoundError,
    PermissionDeniedError,
    ProgramError,
    RemoteError,
    StorageError,
    StreamParkError,
    TimedOutError,
    UnexpectedResponseError,
    UnreachableError,
    UnsupportedError,
)
from streampark.options import DispatcherOptions, SupervisorOptions
from streampark.platform import Channels, Clusters, EventStream, Job, Jobs, StreamPark
from streampark.records import (
    Alert,
    Capability,
    ChannelStatus,
    ClusterInfo,
    ClusterList,
    ClusterView,
    Delivery,
    Event,
    Failure,
    History,
    JobList,
    JobStatus,
    Message,
    Observation,
    Operation,
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
from streampark.stores import MemoryStore, SqliteStore
from streampark.yarn import Check, CollectedDistributions, Diagnosis, Identity, SessionState, YarnCluster

_logging.getLogger(__name__).addHandler(_logging.NullHandler())

__all__ = [
    "Alert",
    "AlreadyExistsError",
    "AsyncChannels",
    "AsyncClusters",
    "AsyncEventStream",
    "AsyncJob",
    "AsyncJobs",
    "AsyncStreamPark",
    "AuthenticationError",
    "CancelledError",
    "Capability",
    "Channel",
    "ChannelStatus",
    "Channels",
    "Check",
    "Cluster",
    "ClusterInfo",
    "ClusterList",
    "ClusterView",
    "Clusters",
    "CollectedDistributions",
    "ConflictError",
    "Copy",
    "CopyLog",
    "CustomProgram",
    "Delivery",
    "Dependency",
    "Diagnosis",
    "DingTalk",
    "DispatcherOptions",
    "Event",
    "EventStream",
    "ExhaustedError",
    "Failure",
    "Fault",
    "History",
    "Identity",
    "InternalError",
    "InvalidInputError",
    "IoError",
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
    "MemoryStore",
    "Message",
    "ModuleRef",
    "NotFoundError",
    "Observation",
    "Operation",
    "PermissionDeniedError",
    "Plan",
    "Program",
    "ProgramError",
    "RemoteError",
    "ResourceRef",
    "RestartPolicy",
    "RestoreOptions",
    "RestorePoint",
    "Run",
    "SessionState",
    "SpecVersion",
    "SqlProgram",
    "SqliteStore",
    "StandaloneCluster",
    "StorageError",
    "StreamPark",
    "StreamParkError",
    "SupervisorOptions",
    "TimedOutError",
    "UnexpectedResponseError",
    "UnreachableError",
    "UnsupportedError",
    "Webhook",
    "YarnCluster",
    "__version__",
    "flink",
]
