"""Errors: one base, the fitting builtin, facts for programs, chains, pickles."""

from __future__ import annotations

import builtins
import inspect
import pickle
from pathlib import Path

import pytest
import streampark as sp
from streampark import exceptions

ALL = [getattr(exceptions, name) for name in exceptions.__all__]
BUILTINS = {
    sp.InvalidInputError: ValueError,
    sp.NotFoundError: LookupError,
    sp.UnsupportedError: NotImplementedError,
    sp.AuthenticationError: PermissionError,
    sp.PermissionDeniedError: PermissionError,
    sp.UnreachableError: ConnectionError,
    sp.TimedOutError: TimeoutError,
    sp.StorageError: OSError,
    sp.IoError: OSError,
    sp.InternalError: RuntimeError,
}


@pytest.mark.parametrize("error", ALL)
def test_every_error_has_the_base_a_doc_and_a_kind(error: type[sp.StreamParkError]) -> None:
    assert issubclass(error, sp.StreamParkError)
    assert inspect.getdoc(error)
    assert getattr(sp, error.__name__) is error
    assert error not in vars(builtins).values()


def test_kinds_are_the_native_ones_each_once() -> None:
    kinds = [error.kind for error in ALL if error is not sp.StreamParkError]
    assert len(set(kinds)) == len(kinds) == 17


@pytest.mark.parametrize(("error", "builtin"), BUILTINS.items())
def test_the_fitting_builtin_catches_it(error: type[sp.StreamParkError], builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match=r"^what went wrong$"):
        raise error("what went wrong")


@pytest.mark.parametrize("error", ALL)
def test_a_pickle_keeps_everything(error: type[sp.StreamParkError]) -> None:
    first = error("what went wrong", "unknown", "flink.jars.run", {"url": "http://x/"})
    second = pickle.loads(pickle.dumps(first))
    assert type(second) is error
    assert (str(second), second.args) == (str(first), first.args)
    assert (second.kind, second.status, second.operation, second.context) == (
        error.kind,
        "unknown",
        "flink.jars.run",
        {"url": "http://x/"},
    )


def test_a_native_error_has_its_facts_and_its_causes() -> None:
    with pytest.raises(sp.UnreachableError) as caught:
        sp.flink.RestClient("http://127.0.0.1:1/").overview()
    error = caught.value
    assert (error.kind, error.status, error.retryable) == ("unreachable", "temporary", True)
    assert error.operation == "flink.overview"
    assert error.context == {"url": "http://127.0.0.1:1/"}
    assert error.message.startswith("flink.overview: nobody listens at 127.0.0.1:1")
    assert error.__cause__ is not None
    causes = [str(error)]
    cause: BaseException | None = error.__cause__
    while cause is not None:
        assert str(cause) not in causes
        causes.append(str(cause))
        cause = cause.__cause__


def test_errors_of_a_store(tmp_path: Path) -> None:
    file = tmp_path / "jobs.db"
    file.write_text("this is a text, and it is longer than the header of a SQLite file" * 5)
    with pytest.raises(ValueError, match="is not a SQLite database") as refused:
        sp.StreamPark(file)
    assert str(refused.value) == (
        f"store.open: '{file}' is not a SQLite database; name a store made by StreamPark, or a new file"
    )
    with pytest.raises(sp.StorageError) as caught:
        sp.StreamPark(tmp_path / "none" / "jobs.db")
    assert caught.value.message == (
        f"store.open: the folder '{tmp_path / 'none'}' of the store does not exist; create it first"
    )
    assert str(caught.value.__cause__) == "No such file or directory (os error 2)"
