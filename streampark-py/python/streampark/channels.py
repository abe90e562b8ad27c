"""Channels: ways to reach people."""

from __future__ import annotations

import asyncio
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar, Union

from streampark import _streampark
from streampark._answers import (
    message_of,
)
from streampark._read import Duration, seconds
from streampark.flink._client import Pem, pem_of
from streampark.records import (
    Message,
)

__all__ = ["AnyChannel", "Channel", "DingTalk", "Log", "Webhook"]


class Channel(ABC):
    """A way to reach people: derive from it, and say each message in :meth:`send`.

    Attributes:
        kind: Its kind, for the status of channels.
        per_minute: Messages per minute; None is no limit.
        timeout: How long one attempt may take.
        attempts: Attempts before a message is given up and kept as a dead letter.
    """

    kind: ClassVar[str] = "python"
    per_minute: int | None = None
    timeout: Duration = 10
    attempts: int = 5

    @abstractmethod
    def send(self, message: Message) -> str | Awaitable[str | None] | None:
        """Makes one attempt to say ``message``; repeats and order are not its concern.

        It runs on a thread of its own, one call at a time; where it is a coroutine function, on an event loop
        of its own.

        Returns:
            The other side's own identity of the message, where it gives one.

        Raises:
            Exception: The attempt failed; it is made again, up to ``attempts`` times. A
                :class:`~streampark.StreamParkError` whose ``status`` is ``"permanent"`` is not tried again.
        """

    def _native(self) -> _streampark.Channel:
        limits = {"kind": self.kind, "per_minute": self.per_minute, "timeout": seconds(self.timeout)}

        def send(message: str) -> str | None:
            answer = self.send(message_of(json.loads(message)))
            return asyncio.run(_finish(answer)) if inspect.isawaitable(answer) else answer

        return _streampark.Channel.function(send, json.dumps({**limits, "attempts": self.attempts}))


async def _finish(answer: Awaitable[str | None]) -> str | None:
    return await answer


class _Function(Channel):
    kind = "function"

    def __init__(self, function: Callable[[Message], object]) -> None:
        self._function = function

    def send(self, message: Message) -> str | Awaitable[str | None] | None:
        answer = self._function(message)
        if inspect.isawaitable(answer):
            return answer
        return answer if isinstance(answer, str) else None


AnyChannel = Union[Channel, Callable[[Message], object]]
"""A channel, or a function that says one message."""


class Log(Channel):
    """Says alerts through :mod:`logging`, by the logger ``streampark.alert``."""

    kind = "log"

    def _native(self) -> _streampark.Channel:
        return _streampark.Channel.log()

    def send(self, message: Message) -> None:
        """Not for calling: the engine says it."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return "Log()"


class _Native(Channel):
    def __init__(self, native: _streampark.Channel) -> None:
        self._channel = native

    def _native(self) -> _streampark.Channel:
        return self._channel

    def send(self, message: Message) -> None:
        """Not for calling: the engine says it."""
        raise NotImplementedError


class Webhook(_Native):
    """Posts alerts as JSON to an endpoint, signed as the Standard Webhooks specification says.

    Args:
        url: The endpoint.
        secret: Signs every message: ``whsec_`` and base64, or its place, ``"env:NAME"`` or ``"file:/path"``.
        headers: Further headers, for example ``authorization``.
        per_minute: Messages per minute; None is no limit.
        timeout: How long one attempt may take.
        attempts: Attempts before a message is given up.
        ca_certificate: Certificates (PEM) trusted besides the machine's: bytes, or the path of a file.
        proxy: An HTTP proxy.
    """

    kind = "webhook"

    def __init__(
        self,
        url: str,
        secret: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        per_minute: int | None = None,
        timeout: Duration = 10,
        attempts: int = 5,
        ca_certificate: Pem | None = None,
        proxy: str | None = None,
    ) -> None:
        options = {
            "url": url,
            "secret": secret,
            "headers": list((headers or {}).items()),
            "per_minute": per_minute,
            "timeout": seconds(timeout),
            "attempts": attempts,
            "ca_certificate": pem_of(ca_certificate),
            "proxy": proxy,
        }
        super().__init__(_streampark.Channel.webhook(json.dumps(options)))

    def __repr__(self) -> str:
        return "Webhook(******)"


class DingTalk(_Native):
    """Says alerts through a custom robot of a DingTalk group.

    Args:
        token: The robot's ``access_token``, or its place, ``"env:NAME"`` or ``"file:/path"``.
        secret: Its signing secret (``SEC…``); None where a keyword or a list of addresses protects it.
        keyword: A word that the robot demands in every message.
        mention: Members, by mobile number, who are called by name where a message is an error or worse.
        base_url: Where the robots are, for private installations.
        timeout: How long one attempt may take.
        ca_certificate: Certificates (PEM) trusted besides the machine's: bytes, or the path of a file.
        proxy: An HTTP proxy.
    """

    kind = "dingtalk"

    def __init__(
        self,
        token: str,
        secret: str | None = None,
        *,
        keyword: str | None = None,
        mention: Sequence[str] = (),
        base_url: str | None = None,
        timeout: Duration = 10,
        ca_certificate: Pem | None = None,
        proxy: str | None = None,
    ) -> None:
        options = {
            "token": token,
            "secret": secret,
            "keyword": keyword,
            "mention": list(mention),
            "base_url": base_url,
            "timeout": seconds(timeout),
            "ca_certificate": pem_of(ca_certificate),
            "proxy": proxy,
        }
        super().__init__(_streampark.Channel.dingtalk(json.dumps(options)))

    def __repr__(self) -> str:
        return "DingTalk(******)"


def native_channel(channel: AnyChannel) -> _streampark.Channel:
    """The native channel; a function is given each message."""
    return (channel if isinstance(channel, Channel) else _Function(channel))._native()  # pyright: ignore[reportPrivateUsage]
