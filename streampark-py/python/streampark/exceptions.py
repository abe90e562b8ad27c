"""Errors of StreamPark.

Every error is a :class:`StreamParkError`. Where a builtin exception fits, the class derives from it
too, so that ``except TimeoutError`` or ``except LookupError`` works as expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "AlreadyExistsError",
    "AuthenticationError",
    "CancelledError",
    "ConflictError",
    "ExhaustedError",
    "InternalError",
    "InvalidInputError",
    "IoError",
    "NotFoundError",
    "PermissionDeniedError",
    "ProgramError",
    "RemoteError",
    "StorageError",
    "StreamParkError",
    "TimedOutError",
    "UnexpectedResponseError",
    "UnreachableError",
    "UnsupportedError",
]


class StreamParkError(Exception):
    """Why a call failed.

    Args:
        message: What went wrong, in one line.
        status: May it have happened, may it work later? None is the usual one of the class.
        operation: The operation that failed.
        context: The facts around the failure.

    Attributes:
        kind: What went wrong, for programs: ``"not_found"``, ``"timeout"``, …
        status: ``"permanent"``, ``"temporary"``, or ``"unknown"`` where it may have happened.
        operation: The operation that failed, for example ``"flink.jars.run"``.
        context: The facts around the failure.
    """

    kind: str = "internal"
    status: str = "permanent"

    def __init__(
        self,
        message: str,
        status: str | None = None,
        operation: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status
        self.operation = operation
        self.context = dict(context or {})

    @property
    def message(self) -> str:
        """The whole message, in one line."""
        return str(self.args[0])

    @property
    def retryable(self) -> bool:
        """Whether nothing happened and the same call may work later."""
        return self.status == "temporary"

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.message, self.status, self.operation, self.context))


class InvalidInputError(StreamParkError, ValueError):
    """The caller gave something that can never work; the message names the rule and the remedy."""

    kind = "invalid_input"


class NotFoundError(StreamParkError, LookupError):
    """The thing named does not exist."""

    kind = "not_found"


class AlreadyExistsError(StreamParkError):
    """A thing of that name or identity exists already."""

    kind = "already_exists"


class ConflictError(StreamParkError):
    """The thing is in a state in which the call is refused, or somebody else changed it first."""

    kind = "conflict"


class UnsupportedError(StreamParkError, NotImplementedError):
    """The engine, store or cluster cannot do this at all."""

    kind = "unsupported"


class AuthenticationError(StreamParkError, PermissionError):
    """The other side does not know who we are."""

    kind = "unauthenticated"


class PermissionDeniedError(StreamParkError, PermissionError):
    """The other side knows us and refuses."""

    kind = "permission_denied"


class UnreachableError(StreamParkError, ConnectionError):
    """Nobody answered."""

    kind = "unreachable"
    status = "temporary"


class TimedOutError(StreamParkError, TimeoutError):
    """An answer, or a state that was waited for, did not come in time."""

    kind = "timeout"
    status = "temporary"


class UnexpectedResponseError(StreamParkError):
    """The other side answered with something that is not its protocol."""

    kind = "unexpected_response"
    status = "temporary"


class RemoteError(StreamParkError):
    """The other side answered that it failed."""

    kind = "remote"
    status = "temporary"


class ExhaustedError(StreamParkError):
    """A bound was reached: a queue is full, a limit is used up."""

    kind = "exhausted"
    status = "temporary"


class CancelledError(StreamParkError):
    """The caller or a shutdown ended the call before it was done."""

    kind = "cancelled"


class StorageError(StreamParkError, OSError):
    """The store could not read or write: disk full, read-only, damaged."""

    kind = "storage"


class IoError(StreamParkError, OSError):
    """A local file or process operation failed."""

    kind = "io"


class ProgramError(StreamParkError):
    """The user's own program is at fault: its ``main`` threw, its SQL does not parse."""

    kind = "program"


class InternalError(StreamParkError, RuntimeError):
    """A defect of StreamPark itself."""

    kind = "internal"


_BY_KIND = {
    error.kind: error
    for error in (
        InvalidInputError,
        NotFoundError,
        AlreadyExistsError,
        ConflictError,
        UnsupportedError,
        AuthenticationError,
        PermissionDeniedError,
        UnreachableError,
        TimedOutError,
        UnexpectedResponseError,
        RemoteError,
        ExhaustedError,
        CancelledError,
        StorageError,
        IoError,
        ProgramError,
        InternalError,
    )
}


def from_native(  # noqa: PLR0917
    kind: str, status: str, operation: str | None, message: str, context: dict[str, str], causes: list[str]
) -> StreamParkError:
    """The exception for an error of the native half, with its causes chained."""
    error = _BY_KIND.get(kind, InternalError)(message, status, operation, context)
    inner: RuntimeError | None = None
    for cause in reversed(causes):
        outer = RuntimeError(cause)
        outer.__cause__ = inner
        inner = outer
    error.__cause__ = inner
    return error
