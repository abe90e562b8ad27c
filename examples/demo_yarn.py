"""The whole road on a real Hadoop: a Git repository behind ssh, a Maven build, a job on YARN that fails, is told of and
comes back from HDFS, and a new commit that takes over with a savepoint. Every step is printed with its second.

HADOOP_JARS="$(tests/servers/hadoop.sh 3.5.0)" FLINK_HOME="$(tests/servers/flink.sh 2.3.0)" python examples/demo_yarn.py
"""

from __future__ import annotations

import os
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import streampark as sp
from real_servers import GitHost, Hadoop

PRICE = "shared/src/main/java/streampark/orders/shared/Price.java"
BEGUN = time.monotonic()


def say(line: str) -> None:
    """Prints a line of the timeline."""
    print(f"{time.monotonic() - BEGUN:7.2f} s  {line}", flush=True)


def follow(events: sp.EventStream) -> None:
    """Prints what the engine commits, as it is committed; ends with the engine."""
    for event in events:
        line = event.to_state if event.kind == "state_changed" else event.error or event.message
        say(f"{event.job_name}: {line}")


def cluster(hadoop: Hadoop) -> sp.YarnCluster:
    """YARN with small processes, for a machine on which everything else runs too."""
    return sp.YarnCluster(
        hadoop_conf=hadoop.at["conf"],
        flink_home=os.environ["FLINK_HOME"],
        flink={
            "jobmanager.memory.process.size": "1g",
            "taskmanager.memory.process.size": "1200m",
            "taskmanager.memory.managed.size": "64m",
            "execution.checkpointing.interval": "1 s",
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
            "state.checkpoints.dir": f"{hadoop.at['fs']}/flink/checkpoints",
            "state.savepoints.dir": f"{hadoop.at['fs']}/flink/savepoints",
            "restart-strategy.type": "none",
        },
    )


def project(host: GitHost) -> sp.ProjectSpec:
    """The project as a user writes it down."""
    return sp.ProjectSpec.from_yaml(f"""
name: orders
git: {host.at["url"]}
ref: main
credentials: {{key: {{file: {host.at["key"]}}}}}
builder: {{maven: {{}}}}
modules: [jobs/orders]
owner: team-orders
environment: prod
""")


def build(orders: sp.Project, actor: str) -> None:
    """Brings what is new, and builds it."""
    revision = orders.sync().revision
    say(f"synchronised: {revision.id[:10]} '{revision.summary}' by {revision.author}")
    done = orders.build(actor=actor)
    done.wait()
    for artifact in done.artifacts():
        say(f"build {done.id} for {actor}: {artifact.job_jar.path} of {artifact.module}, sha256 {artifact.id[:10]}")


def first_order(output: Path, generation: int) -> None:
    """Waits until that many runs have put out an order: only then their tasks work."""
    deadline = time.monotonic() + 300
    while not output.is_dir() or len(list(output.iterdir())) < generation:
        if time.monotonic() > deadline:
            raise sp.TimedOutError(f"run {generation} has put out no order")
        time.sleep(0.05)
    say(f"run {generation} works: its first order is out")


def main() -> None:
    """Starts the servers, tells the story, and stops all."""
    for name in ("HADOOP_JARS", "FLINK_HOME"):
        if name not in os.environ:
            sys.exit(f"{name} is not set; see the head of this file")
    data = Path.cwd() / "demo-data" / f"{datetime.now():%Y%m%d-%H%M%S}"
    data.mkdir(parents=True)
    output = data / "output"
    told: list[str] = []

    def people(message: sp.Message) -> None:
        for alert in message.alerts:
            say(f"✉ {alert.title}")
            told.append(alert.kind)

    say("starting a real Hadoop, and an ssh server with a Git repository")
    with GitHost() as host, Hadoop() as hadoop:
        say(f"YARN answers at {hadoop.at['resource_manager']}, Git at {host.at['url']}")
        with sp.Projects(data / "projects", known_hosts=[host.at["known_hosts"]]) as projects:
            orders = projects.put(project(host))
            with sp.StreamPark(
                data / "jobs.db",
                clusters={"yarn": cluster(hadoop)},
                channels={"oncall": people},
                cache=data / "cache",
                projects=projects,
                actor="ada",
            ) as platform:
                threading.Thread(target=follow, args=[platform.events()], daemon=True).start()
                build(orders, "ada")
                # After three checkpoints it throws, once.
                program = sp.JarProgram(sp.ModuleRef("orders", "jobs/orders"), args=[str(output), "3"])
                job = platform.jobs.create("orders", program, cluster="yarn", owner="ada", alerts=["oncall"])
                job.start()
                first_order(output, 1)
                first_order(output, 2)
                host.push("Postage is 599 cents", PRICE, "+ 499", "+ 599")
                build(orders, "bob")
                # New code comes when somebody asks for it; here somebody else, and the history says who.
                platform.acting_as("bob").jobs.get("orders").restart()
                first_order(output, 3)
                print("\nhistory")
                for event in reversed(job.history(200)):
                    print(f"  {event.at:%H:%M:%S.%f}  {event.actor:<11} {event.message}")
                for run in reversed(job.runs()):
                    made_of = ", ".join(f"{name} {value[:12]}" for pin in run.pins for name, value in pin.facts.items())
                    print(f"  run {run.generation} as {run.deployment} from {run.restored_from or 'empty'}: {made_of}")
                job.cancel()
                job.wait_for("CANCELED", timeout=120)
        assert "job_failed" in told, told
        say("stopping Hadoop")
    print(f"\nthe data are in {data}")


if __name__ == "__main__":
    main()
