"""Errors of StreamPark.

Every error is a :class:`StreamParkError`. Where a builtin exception fits, the class derives from it
too, so that ``except TimeoutError`` or ``except LookupError`` works as expected.
"""

from __future__ import annotations

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

    Attributes:
        kind: What went wrong, for programs: ``"not_found"``, ``"timeout"``, …
        status: ``"permanent"``, ``"temporary"``, or ``"unknown"`` where it may have happened.
        operation: The operation that failed, for example ``"flink.jars.run"``.
        context: The facts around the failure.
    """

    kind: str
    status: str
    operation: str | None
    context: dict[str, str]

    def __init__(
        self,
        message: str,
        kind: str = "internal",
        status: str = "permanent",
        operation: str | None = None,
        context: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
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

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.message, self.kind, self.status, self.operation, self.context))


class InvalidInputError(StreamParkError, ValueError):
    """The caller gave something that can never work."""


class NotFoundError(StreamParkError, LookupError):
    """The thing named does not exist."""


class AlreadyExistsError(StreamParkError):
    """A thing of that name or identity exists already."""


class ConflictError(StreamParkError):
    """The thing is in a state in which the call is refused."""


class UnsupportedError(StreamParkError, NotImplementedError):
    """The engine, store or cluster cannot do this at all."""


class AuthenticationError(StreamParkError, PermissionError):
    """The other side does not know who we are."""


class PermissionDeniedError(StreamParkError, PermissionError):
    """The other side knows us and refuses."""


class UnreachableError(StreamParkError, ConnectionError):
    """Nobody answered."""


class TimedOutError(StreamParkError, TimeoutError):
    """An answer, or a state that was waited for, did not come in time."""


class UnexpectedResponseError(StreamParkError):
    """The other side answered with something that is not its protocol."""


class RemoteError(StreamParkError):
    """The other side answered that it failed."""


class ExhaustedError(StreamParkError):
    """A bound was reached: a queue is full, a limit is used up."""


class CancelledError(StreamParkError):
    """A shutdown ended the call before it was done."""


class StorageError(StreamParkError, OSError):
    """The store could not read or write."""

    def __str__(self) -> str:
        return self.message


class IoError(StreamParkError, OSError):
    """A local file or process operation failed."""

    def __str__(self) -> str:
        return self.message


class ProgramError(StreamParkError):
    """The user's own program is at fault."""


class InternalError(StreamParkError, RuntimeError):
    """A defect of StreamPark itself."""


_BY_KIND: dict[str, type[StreamParkError]] = {
    "invalid_input": InvalidInputError,
    "not_found": NotFoundError,
    "already_exists": AlreadyExistsError,
    "conflict": ConflictError,
    "unsupported": UnsupportedError,
    "unauthenticated": AuthenticationError,
    "permission_denied": PermissionDeniedError,
    "unreachable": UnreachableError,
    "timeout": TimedOutError,
    "unexpected_response": UnexpectedResponseError,
    "remote": RemoteError,
    "exhausted": ExhaustedError,
    "cancelled": CancelledError,
    "storage": StorageError,
    "io": IoError,
    "program": ProgramError,
    "internal": InternalError,
}


def _from_native(
    kind: str, status: str, operation: str | None, message: str, context: dict[str, str], causes: list[str]
) -> StreamParkError:
    """The exception for an error of the native half, with its causes chained."""
    error = _BY_KIND.get(kind, StreamParkError)(message, kind, status, operation, context)
    inner: BaseException | None = None
    for cause in reversed(causes):
        outer = RuntimeError(cause)
        outer.__cause__ = inner
        inner = outer
    error.__cause__ = inner
    return error
