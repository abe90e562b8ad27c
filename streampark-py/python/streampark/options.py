"""The numbers by which an engine works; what is left None keeps its default."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from streampark._read import Duration, seconds

__all__ = ["DispatcherOptions", "SupervisorOptions"]


@dataclass(frozen=True)
class SupervisorOptions:
    """How often, how long and how much at once; the defaults fit a thousand jobs.

    Attributes:
        interval: How often each cluster is asked for its runs. Default 1 s.
        quick_interval: How often it is asked for ``quick_for`` after an operation on it. Default 250 ms.
        quick_for: How long a cluster is asked more often after an operation. Default 15 s.
        observe_timeout: How long one such question may take. Default 3 s.
        misses: Misses in a row after which a cluster counts as unreachable. Default 3.
        submissions: Submissions under way at once in the whole process. Default 20.
        submissions_per_cluster: Submissions under way at once on one cluster. Default 4.
        calls: Other calls under way at once in the whole process. Default 512.
        calls_per_cluster: Other calls under way at once on one cluster. Default 32.
        submit_timeout: How long making a program ready and sending it may take. Default 3 min.
        call_timeout: How long any other call may take, savepoints aside. Default 20 s.
        savepoint_timeout: How long a savepoint, or a stop with one, may take. Default 10 min.
        mailbox: Commands that may wait for one job before more are refused. Default 32.
        events: Events kept for a follower that lags before it is told how many it missed. Default 8,192.
        storage_backoff: The first wait before a refused commit is tried again. Default 100 ms.
        storage_backoff_max: The longest such wait. Default 5 s.
        shutdown_timeout: How long a shutdown waits for calls under way. Default 10 s.
        retry_backoff: The first wait before a call that failed for the moment is made again. Default 1 s.
        retry_backoff_max: The longest such wait. Default 30 s.
        tell_within: How long a failure may go untold while its cause is looked for. Default 4 s.
        patience: How long a submission may stay in doubt before people are told. Default 5 min.
        recovered_after: How long a run must be RUNNING before people hear that it recovered. Default 10 s.
        operation_attempts: Attempts at a savepoint before it is given up. Default 3.
        fetch_attempts: Attempts to learn a cause of failure or restore points. Default 3.
        operation_patience: How long a stop with savepoint waits for a run that is not RUNNING. Default 1 min.
        points_fresh: Restore points older than this are asked for again before use. Default 5 s.
        probe_interval: How often a running job's checkpoints are looked at. Default 1 min.
        checkpoint_silence: A job that completed no checkpoint for this long is unhealthy. Default 30 min.
        restarting_count: Restarts by Flink's own strategy that make a job unhealthy. Default 5.
        restarting_window: The time in which they are counted. Default 5 min.
    """

    interval: Duration | None = None
    quick_interval: Duration | None = None
    quick_for: Duration | None = None
    observe_timeout: Duration | None = None
    misses: int | None = None
    submissions: int | None = None
    submissions_per_cluster: int | None = None
    calls: int | None = None
    calls_per_cluster: int | None = None
    submit_timeout: Duration | None = None
    call_timeout: Duration | None = None
    savepoint_timeout: Duration | None = None
    mailbox: int | None = None
    events: int | None = None
    storage_backoff: Duration | None = None
    storage_backoff_max: Duration | None = None
    shutdown_timeout: Duration | None = None
    retry_backoff: Duration | None = None
    retry_backoff_max: Duration | None = None
    tell_within: Duration | None = None
    patience: Duration | None = None
    recovered_after: Duration | None = None
    operation_attempts: int | None = None
    fetch_attempts: int | None = None
    operation_patience: Duration | None = None
    points_fresh: Duration | None = None
    probe_interval: Duration | None = None
    checkpoint_silence: Duration | None = None
    restarting_count: int | None = None
    restarting_window: Duration | None = None


@dataclass(frozen=True)
class DispatcherOptions:
    """How alerts are delivered; what a channel bears is its own matter.

    Attributes:
        backoff: The longest wait before the first repeat. Default 2 s.
        backoff_factor: How much longer each further wait may be. Default 4.
        backoff_max: The longest wait of all. Default 5 min.
        gather: How long a digest gathers before it leaves. Default 2 s.
        poll: How often the outbox is read without a reason. Default 15 s.
        digest: Alerts in one message at most. Default 256.
    """

    backoff: Duration | None = None
    backoff_factor: int | None = None
    backoff_max: Duration | None = None
    gather: Duration | None = None
    poll: Duration | None = None
    digest: int | None = None


_COUNTS = {
    field.name
    for options in (SupervisorOptions, DispatcherOptions)
    for field in dataclasses.fields(options)
    if field.type == "int | None"
}


def options_to_json(options: SupervisorOptions | DispatcherOptions) -> str:
    """The options that are set, times in seconds."""
    given = {name: value for name, value in vars(options).items() if value is not None}
    return json.dumps({name: value if name in _COUNTS else seconds(value) for name, value in given.items()})
