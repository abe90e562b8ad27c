"""Specs: the same words and rules as in Rust, YAML and JSON."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest
import streampark as sp
from streampark.spec import SpecChanges, SpecFields

FULL = sp.JobSpec(
    "orders",
    sp.JarProgram("orders.jar", entry_class="com.acme.Orders", args=["--env", "prod"]),
    cluster="dev",
    parallelism=4,
    flink={"execution.checkpointing.interval": "10 s", "taskmanager.numberOfTaskSlots": 2, "a.b": True},
    dependencies=["lib/a.jar", sp.MavenRef("org.x:y:1.0"), sp.ResourceRef("udf"), sp.ModuleRef("shop", "core")],
    alerts=["oncall"],
    restart=sp.RestartPolicy(max_restarts=3, window=timedelta(minutes=30), initial_backoff="1 s"),
    restore=sp.RestoreOptions(state="required", max_age="1 d"),
    upgrade="last-state",
    owner="ann",
    description="takes orders",
    labels={"team": "shop"},
    links={"runbook": "https://wiki/orders"},
)


def test_yaml_and_json_give_the_same_spec_back() -> None:
    text = FULL.to_json()
    assert sp.JobSpec.from_json(text).to_json() == text
    assert sp.JobSpec.from_yaml(FULL.to_yaml()).to_json() == text
    assert sp.JobSpec.from_dict(FULL.to_dict()).to_json() == text


def test_what_is_read_equals_what_was_written() -> None:
    spec = FULL.replace(restart=None, restore=None)
    assert sp.JobSpec.from_yaml(spec.to_yaml()) == spec
    assert spec.flink == {
        "execution.checkpointing.interval": "10 s",
        "taskmanager.numberOfTaskSlots": "2",
        "a.b": "true",
    }


def test_secrets_are_not_printed() -> None:
    spec = sp.JobSpec("a", sp.SqlProgram("x"), flink={"s3.secret-key": "canary", "a.b": 1})
    assert repr(spec.flink) == "FlinkConfig({'s3.secret-key': '******', 'a.b': '1'})"
    assert "canary" not in repr(spec)
    assert sp.JobSpec.from_json(spec.to_json()).flink["s3.secret-key"] == "canary"


def test_a_restart_policy_crosses_with_its_durations() -> None:
    restart = sp.JobSpec.from_yaml(FULL.to_yaml()).restart
    assert restart is not None
    assert (restart.window, restart.initial_backoff, restart.max_restarts) == ("30 min", "1 s", 3)
    assert (restart.mode, restart.immediate_first, restart.max_backoff) == ("on-failure", True, "5 min")


@pytest.mark.parametrize(
    "program",
    [
        sp.SqlProgram("INSERT INTO a SELECT 1"),
        sp.SqlProgram(sql_file=Path("job.sql")),
        sp.CustomProgram("report", {"day": "monday"}),
        sp.JarProgram(sp.ModuleRef("shop", commit="abc")),
    ],
)
def test_every_kind_of_program_crosses(program: sp.Program) -> None:
    spec = sp.JobSpec("a", program)
    assert sp.JobSpec.from_json(spec.to_json()).to_dict() == spec.to_dict()


def test_an_unknown_field_is_refused_with_a_suggestion() -> None:
    with pytest.raises(sp.InvalidInputError) as caught:
        sp.JobSpec.from_yaml("name: a\nprogram: {sql: x}\nparalelism: 2\n")
    assert caught.value.message == (
        "job.parse: the job spec is not valid YAML: line 3 column 1: unknown field `paralelism`, expected one of name, "
        "program, cluster, parallelism, flink, dependencies, alerts, restart, restore, upgrade, owner, description, "
        "labels, links; did you mean 'parallelism'?"
    )
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            sp.JobSpec("a", sp.SqlProgram("x"), parallelism=0),
            "job.validate: parallelism is 0, it must be 1 to 32768; leave it out for the cluster's default (job: a)",
        ),
        (
            sp.JobSpec("", sp.SqlProgram("x")),
            "job.validate: name must have 1 to 255 characters and no control characters (job: )",
        ),
        (
            sp.JobSpec("a", sp.SqlProgram("x"), restart=sp.RestartPolicy(jitter=2)),
            "job.validate: restart.jitter is 2, it must be 0 to 1 (job: a)",
        ),
    ],
)
def test_rules_are_checked(spec: sp.JobSpec, message: str) -> None:
    with pytest.raises(sp.InvalidInputError) as caught:
        spec.validate()
    assert caught.value.message == message


def test_keyword_arguments_are_the_fields() -> None:
    fields = {field.name for field in dataclasses.fields(sp.JobSpec)}
    assert set(SpecChanges.__annotations__) == fields - {"name"}
    assert set(SpecFields.__annotations__) == fields - {"name", "program"}


def test_a_copy_with_other_values() -> None:
    assert FULL.replace(name="b", parallelism=1).to_dict() == {**FULL.to_dict(), "name": "b", "parallelism": 1}
