"""What both clients of Flink's REST interface share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, Union

from streampark import _streampark
from streampark._read import Duration, seconds_or_none
from streampark.flink.config import AnyConfig, FlinkConfig
from streampark.flink.records import UploadedJar, of

T = TypeVar("T")

Pem = Union[bytes, str, Path]
"""Certificates or a key in PEM: bytes, or the path of a file."""

Claim = Literal["NO_CLAIM", "CLAIM", "LEGACY"]
Format = Literal["CANONICAL", "NATIVE"]


def pem_of(pem: Pem | None) -> str | None:
    """The text of a PEM, read from its file where it is a path."""
    if pem is None:
        return None
    return pem.decode() if isinstance(pem, bytes) else Path(pem).read_text(encoding="utf-8")


def rest_options(
    urls: Sequence[str],
    *,
    headers: Mapping[str, str] | None,
    tls_ca: Pem | None,
    tls_certificate: Pem | None,
    tls_key: Pem | None,
    timeout: Duration | None,
    connect_timeout: Duration | None,
    transfer_timeout: Duration | None,
    run_timeout: Duration | None,
    proxy_from_env: bool,
    max_answer: int | None,
) -> str:
    """How to reach a JobManager, for the native half."""
    return json.dumps(
        {
            "urls": list(urls),
            "headers": list((headers or {}).items()),
            "tls_ca": pem_of(tls_ca),
            "tls_certificate": pem_of(tls_certificate),
            "tls_key": pem_of(tls_key),
            "timeout": seconds_or_none(timeout),
            "connect_timeout": seconds_or_none(connect_timeout),
            "transfer_timeout": seconds_or_none(transfer_timeout),
            "run_timeout": seconds_or_none(run_timeout),
            "proxy_from_env": proxy_from_env,
            "max_answer": max_answer,
        }
    )


class Answer(Generic[T]):
    """A call to be waited for or awaited, and how its answer is read."""

    def __init__(self, pending: _streampark.Pending[str], read: Callable[[Any], T]) -> None:
        self._pending, self._read = pending, read

    def wait(self) -> T:
        return self._read(json.loads(self._pending.wait()))

    def __await__(self) -> Generator[Any, None, T]:
        answer = yield from self._pending.__await__()
        return self._read(json.loads(answer))


class Client:
    """What both clients share: every call, made by neither."""

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
        self._rest = _streampark.Rest(
            rest_options(
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
        )

    @property
    def base_url(self) -> str:
        """The address that answered last; the first one before any call."""
        return self._rest.base_url()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    def _call(self, call: str, read: Callable[[Any], T], **arguments: object) -> Answer[T]:
        return Answer(self._rest.call(json.dumps({"call": call, **arguments})), read)

    def _upload(self, path: str | Path, progress: Callable[[int, int], object] | None) -> Answer[UploadedJar]:
        return Answer(self._rest.upload_jar(str(path), progress), of(UploadedJar))

    def _trigger(self, call: str, job: str, trigger: str | None, **arguments: object) -> Answer[str]:
        return self._call(call, str, job=job, trigger=trigger or os.urandom(16).hex(), **arguments)

    def _run(
        self, jar: str, args: Sequence[str], flink_configuration: AnyConfig | None, **arguments: object
    ) -> Answer[str]:
        entries = list(FlinkConfig(flink_configuration or {}).items())
        run = {**arguments, "args": list(args), "flink_configuration": entries}
        return self._call("run_jar", str, jar=jar, run=run)
