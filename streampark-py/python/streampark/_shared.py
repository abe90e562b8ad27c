"""What the waiting and the awaited classes share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Union

from streampark import _streampark
from streampark.spec import JobSpec, Program

StateName = Literal[
    "NEW",
    "SUBMITTING",
    "IN_DOUBT",
    "STARTING",
    "RUNNING",
    "RESTARTING",
    "STOPPING",
    "CANCELLING",
    "BACKING_OFF",
    "FAILED",
    "PARKED",
    "SUSPENDED",
    "CANCELED",
    "FINISHED",
]

Cluster = Union[_streampark.MemoryCluster, _streampark.StandaloneCluster, _streampark.LocalCluster]
Channel = Union[_streampark.Webhook, _streampark.DingTalk, _streampark.Log, Callable[[dict[str, Any]], None]]


def seconds(value: timedelta | float | None) -> float | None:
    """A duration in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def store_of(store: str | Path | None) -> str | None:
    """The path of the store's file; None is memory."""
    return None if store is None else str(store)


def spec_of(spec: JobSpec | str, program: Program | None, fields: Mapping[str, Any]) -> str:
    """The spec as JSON, from a spec or from a name and fields."""
    if isinstance(spec, str):
        if program is None:
            raise TypeError("a job given by its name needs a program, for example JarProgram('orders.jar')")
        spec = JobSpec(spec, program, **fields)
    elif program is not None or fields:
        raise TypeError("give either a JobSpec, or a name with a program and fields")
    return json.dumps(spec.to_dict())


def channel_of(channel: Channel) -> Any:  # noqa: ANN401
    """The native channel; a function is called with each message as plain data."""
    if callable(channel):
        return _streampark.FunctionChannel(lambda message: channel(json.loads(message)))
    return channel
