"""Reads what a submission would send before anything is sent; secrets are masked.

python examples/02_plan.py orders.jar com.acme.Orders [http://jobmanager:8081/]
"""

from __future__ import annotations

import sys

import streampark as sp


def main(jar: str, entry_class: str, address: str = "http://localhost:8081/") -> None:
    """Prints the plan."""
    with sp.StreamPark(clusters={"dev": sp.StandaloneCluster(address)}) as platform:
        plan = platform.jobs.plan(
            "orders",
            sp.JarProgram(jar, entry_class=entry_class, args=["--env", "prod"]),
            cluster="dev",
            parallelism=2,
            flink={"execution.checkpointing.interval": "10 s", "s3.secret-key": "never shown"},
        )
        print(plan)
        print(plan.to_yaml())


if __name__ == "__main__":
    if len(sys.argv) not in {3, 4}:
        sys.exit("usage: 02_plan.py JAR ENTRY-CLASS [ADDRESS]")
    main(*sys.argv[1:])
