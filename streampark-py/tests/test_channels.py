"""Channels: the shipped ones against a real receiver, and ones written in Python."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import streampark as sp
from conftest import QUICK, live, wait_until
from receiver import SECRET, Receiver

DELIVERY = sp.DispatcherOptions(backoff=0.05, gather=0.05, poll=1)


@pytest.fixture
def platform(cluster: sp.MemoryCluster, tmp_path: Path) -> Iterator[sp.StreamPark]:
    with sp.StreamPark(clusters={"dev": cluster}, cache=tmp_path, supervisor=QUICK, delivery=DELIVERY) as platform:
        yield platform


def fail_once(platform: sp.StreamPark, cluster: sp.MemoryCluster, program: sp.Program, channel: str) -> sp.Job:
    job = platform.jobs.create(
        "orders", program, cluster="dev", alerts=[channel], owner="ann", links={"runbook": "https://wiki/orders"}
    )
    job.start()
    job.wait_for("RUNNING", timeout=20)
    cluster.complete_checkpoint(live(cluster, job))
    cluster.fail(live(cluster, job), sp.Failure("the sink is full", "java.io.IOException"))
    wait_until(lambda: job.status().generation == 2, "the second run")
    return job


def test_a_webhook_is_signed_and_told_once(
    platform: sp.StreamPark, cluster: sp.MemoryCluster, program: sp.Program, receiver: Receiver
) -> None:
    platform.channels.add("oncall", sp.Webhook(receiver.url, SECRET))
    job = fail_once(platform, cluster, program, "oncall")
    wait_until(lambda: receiver.kinds() == ["job_failed", "job_recovered"], "both alerts")
    assert receiver.verified == [True] * len(receiver.bodies)
    (alert,) = receiver.bodies[0]["data"]["alerts"]
    assert (alert["job"], alert["job_name"], alert["owner"], alert["cluster"]) == (job.id, "orders", "ann", "dev")
    assert (alert["cause"]["class"], alert["cause"]["message"]) == ("java.io.IOException", "the sink is full")
    assert alert["action"] == "started again at once, from its newest restore point"
    assert alert["links"]["runbook"] == "https://wiki/orders"


def test_a_wrong_secret_is_refused_with_the_remedy(platform: sp.StreamPark, receiver: Receiver) -> None:
    platform.channels.add("oncall", sp.Webhook(receiver.url, "no secret"))
    with pytest.raises(sp.InvalidInputError, match="whsec_ followed by base64") as caught:
        platform.channels.test("oncall")
    assert "no secret" not in caught.value.message
    assert receiver.bodies == []


def test_nothing_prints_secrets() -> None:
    shown = repr(sp.Webhook("http://x/t0ken", SECRET)) + repr(sp.DingTalk("t0ken", "SECret"))
    assert "t0ken" not in shown
    assert "SECret" not in shown


def test_a_function_is_a_channel(platform: sp.StreamPark, cluster: sp.MemoryCluster, program: sp.Program) -> None:
    told: list[sp.Message] = []
    platform.channels.add("list", told.append)
    fail_once(platform, cluster, program, "list")
    wait_until(lambda: len(told) == 2, "both messages")
    failed, recovered = (message.alerts[0] for message in told)
    assert (failed.kind, failed.severity, failed.title) == (
        "job_failed",
        "error",
        "orders: java.io.IOException: the sink is full",
    )
    assert failed.cause == sp.Failure("the sink is full", "java.io.IOException")
    assert recovered.incident == failed.incident
    assert told[0].attempt == 1


class Flaky(sp.Channel):
    kind = "flaky"
    timeout = 10
    attempts = 3

    def __init__(self, errors: list[Exception]) -> None:
        self.errors = errors
        self.seen: list[tuple[str, int]] = []

    def send(self, message: sp.Message) -> str:
        self.seen.append((message.id, message.attempt))
        if self.errors:
            raise self.errors.pop(0)
        return "reference-1"


def test_an_exception_is_tried_again_with_the_same_id(
    platform: sp.StreamPark, cluster: sp.MemoryCluster, program: sp.Program
) -> None:
    channel = Flaky([OSError("away"), sp.UnreachableError("still away")])
    platform.channels.add("flaky", channel)
    fail_once(platform, cluster, program, "flaky")
    wait_until(lambda: platform.channels.status()[0].delivered == 2, "both messages")
    first = channel.seen[0][0]
    assert channel.seen[:3] == [(first, 1), (first, 2), (first, 3)]
    (status,) = platform.channels.status()
    assert (status.kind, status.failing, status.dead) == ("flaky", False, 0)
    assert status.last_error is not None
    assert "still away" in status.last_error


def test_a_message_that_is_given_up_is_a_dead_letter(
    platform: sp.StreamPark, cluster: sp.MemoryCluster, program: sp.Program
) -> None:
    channel = Flaky([sp.PermissionDeniedError("the room is locked")])
    platform.channels.add("flaky", channel)
    fail_once(platform, cluster, program, "flaky")
    wait_until(platform.channels.dead_letters, "the dead letter")
    (letter,) = [letter for letter in platform.channels.dead_letters() if letter.channel == "flaky"]
    assert (letter.state, letter.attempts, letter.alert.kind) == ("dead", 1, "job_failed")
    assert letter.last_error == "channel.send: the room is locked"


def test_test_messages_and_references(platform: sp.StreamPark) -> None:
    platform.channels.add("flaky", Flaky([]))
    assert platform.channels.test("flaky") == "reference-1"
    with pytest.raises(sp.AlreadyExistsError):
        platform.channels.add("flaky", sp.Log())
    platform.channels.remove("flaky")
    assert platform.channels.names() == []
    with pytest.raises(sp.NotFoundError):
        platform.channels.remove("flaky")


def test_a_coroutine_function_is_a_channel(platform: sp.StreamPark) -> None:
    class Later(sp.Channel):
        async def send(self, message: sp.Message) -> str:
            await asyncio.sleep(0)
            return message.alerts[0].kind

    async def function(message: sp.Message) -> None:
        await asyncio.sleep(0)
        raise ValueError(message.alerts[0].kind)

    platform.channels.add("later", Later())
    assert platform.channels.test("later") == "test"
    platform.channels.add("function", function)
    with pytest.raises(sp.RemoteError) as caught:
        platform.channels.test("function")
    assert caught.value.message == "channel.send: ValueError: test (channel: function)"


def test_a_channel_may_ask_the_platform(
    platform: sp.StreamPark, cluster: sp.MemoryCluster, program: sp.Program
) -> None:
    states: list[str] = []

    def ask(message: sp.Message) -> None:
        name = message.alerts[0].job_name
        assert name is not None
        states.append(platform.jobs.get(name).status().name)

    platform.channels.add("ask", ask)
    fail_once(platform, cluster, program, "ask")
    wait_until(lambda: states == ["orders", "orders"], "both answers")


def test_a_channel_that_hangs_holds_one_thread_and_nobody_else(
    platform: sp.StreamPark, cluster: sp.MemoryCluster, program: sp.Program
) -> None:
    release = threading.Event()
    inside: list[int] = []

    class Hanging(sp.Channel):
        timeout = 0.1
        attempts = 3

        def send(self, message: sp.Message) -> None:
            inside.append(message.attempt)
            release.wait(10)

    platform.channels.add("hanging", Hanging())
    try:
        job = fail_once(platform, cluster, program, "hanging")
        wait_until(platform.channels.dead_letters, "the dead letter")
        assert inside == [1]
        assert job.wait_for("RUNNING", timeout=20).generation == 2
    finally:
        release.set()


def test_the_log_channel_speaks_through_logging(platform: sp.StreamPark, caplog: pytest.LogCaptureFixture) -> None:
    platform.channels.add("log", sp.Log())
    with caplog.at_level(logging.INFO, logger="streampark.alert"):
        platform.channels.test("log")
        wait_until(lambda: "this is a test message" in caplog.text, "the line in the log")
    (record,) = [record for record in caplog.records if record.name == "streampark.alert"]
    assert record.levelno == logging.INFO
