"""Clusters as Python sees them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
import streampark as sp


def test_a_simulated_cluster_says_what_it_is(cluster: sp.MemoryCluster) -> None:
    info = cluster.info()
    assert (info.kind, info.location, info.orphan_timeout) == ("memory", "memory", 60.0)
    assert cluster.capability().stop_with_savepoint
    assert not sp.MemoryCluster(capability=sp.Capability(savepoint=True)).capability().drain
    assert cluster.observe() == []
    assert repr(cluster) == "MemoryCluster()"


def test_what_is_wrong_with_a_fault_is_said(cluster: sp.MemoryCluster) -> None:
    with pytest.raises(sp.InvalidInputError) as caught:
        cluster.inject("submitt", sp.Fault.refused())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert caught.value.message == (
        "there is no call 'submitt' of a cluster; the calls are observe, reserve, submit, lookup, stop, savepoint, "
        "restore_points, failure, release"
    )
    with pytest.raises(sp.InvalidInputError, match="it must be 0 or more"):
        cluster.inject("submit", sp.Fault.hang(-1))


def test_faults_strike_until_they_are_healed(cluster: sp.MemoryCluster) -> None:
    cluster.inject("observe", sp.Fault.server_error(), times=2)
    for _ in range(2):
        with pytest.raises(sp.RemoteError, match=r"memory\.call: the simulated cluster answered 500"):
            cluster.observe()
    assert cluster.observe() == []
    cluster.break_down(sp.Fault.refused())
    with pytest.raises(sp.UnreachableError):
        cluster.observe()
    cluster.heal()
    assert cluster.observe() == []
    cluster.inject("observe", sp.Fault.hang(timedelta(milliseconds=20)))
    with pytest.raises(sp.TimedOutError) as caught:
        cluster.observe()
    assert caught.value.retryable


async def test_a_cluster_can_be_awaited(cluster: sp.MemoryCluster) -> None:
    assert await cluster.observe_async() == []


def test_the_log_judges_one_copy() -> None:
    def at(second: int) -> datetime:
        return datetime(2026, 1, 1, 0, 0, second, tzinfo=timezone.utc)

    log = sp.CopyLog(
        [
            sp.Copy("a", 1, "f1", None, at(0), at(10), "FAILED"),
            sp.Copy("a", 2, "f2", "/chk-1", at(10)),
            sp.Copy("b", 1, "f3", None, at(5)),
            sp.Copy("b", 2, "f4", None, at(6)),
        ]
    )
    assert (log.most_at_once("a"), log.most_at_once("b"), log.most_at_once("c")) == (1, 2, 0)
    assert log.alive("a", at(3)) == 1
    assert (log.jobs(), len(log.of("a"))) == (["a", "b"], 2)


def test_a_local_flink_that_does_not_run_says_so(tmp_path: object) -> None:
    local = sp.LocalCluster(str(tmp_path))
    assert repr(local) == "LocalCluster(not running)"
    with pytest.raises(sp.ConflictError) as caught:
        _ = local.address
    assert caught.value.message == "this local Flink does not run; call start(), or use it in a with block"
    with pytest.raises(sp.NotFoundError, match=r"local.flink_home: no flink-dist-\*.jar lies there"):
        local.start()
    local.stop()


def test_a_standalone_cluster_shows_its_address() -> None:
    cluster = sp.StandaloneCluster("http://jobmanager:8081/flink", headers={"authorization": "Bearer t0ken"})
    assert repr(cluster) == "StandaloneCluster('http://jobmanager:8081/flink/')"
    info = cluster.info()
    assert (info.kind, info.web_url) == ("standalone", "http://jobmanager:8081/flink/")
    assert cluster.rest.base_url == cluster.rest_async.base_url == "http://jobmanager:8081/flink/"
