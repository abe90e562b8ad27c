"""Flink's own REST interface, configuration, memory and units: usable without an engine.

from streampark import flink

client = flink.RestClient("http://jobmanager:8081/")
for job in client.jobs():
print(job.name, job.state)
"""

from streampark.flink.config import FlinkConfig, JobManagerMemory, TaskManagerMemory
from streampark.flink.records import (
    AggregatedMetric,
    ApplicationOverview,
    Cause,
    Checkpoint,
    CheckpointConfig,
    Checkpoints,
    ClusterConfig,
    ClusterOverview,
    ExceptionEntry,
    Jar,
    JobConfig,
    JobDetail,
    JobExceptions,
    JobOverview,
    JobVertex,
    LogFile,
    Metric,
    RootCause,
    SavepointStatus,
    TaskManager,
    UploadedJar,
)
from streampark.flink.rest import RestClient
from streampark.flink.rest_async import AsyncRestClient
from streampark.flink.units import (
    FlinkVersion,
    MemorySize,
    decode_list,
    encode_list,
    format_duration,
    is_sensitive_key,
    parse_duration,
)

__all__ = [
    "AggregatedMetric",
    "ApplicationOverview",
    "AsyncRestClient",
    "Cause",
    "Checkpoint",
    "CheckpointConfig",
    "Checkpoints",
    "ClusterConfig",
    "ClusterOverview",
    "ExceptionEntry",
    "FlinkConfig",
    "FlinkVersion",
    "Jar",
    "JobConfig",
    "JobDetail",
    "JobExceptions",
    "JobManagerMemory",
    "JobOverview",
    "JobVertex",
    "LogFile",
    "MemorySize",
    "Metric",
    "RestClient",
    "RootCause",
    "SavepointStatus",
    "TaskManager",
    "TaskManagerMemory",
    "UploadedJar",
    "decode_list",
    "encode_list",
    "format_duration",
    "is_sensitive_key",
    "parse_duration",
]
