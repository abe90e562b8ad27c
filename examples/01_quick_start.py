"""Creates a job on a simulated cluster, starts it, lets it fail, and reads its history.

python examples/01_quick_start.py
"""

from __future__ import annotations

import time

import streampark as sp

SCRIPT = """
CREATE TABLE orders (id BIGINT) WITH ('connector' = 'datagen');
CREATE TABLE nowhere (id BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO nowhere SELECT id FROM orders;
"""

cluster = sp.MemoryCluster()
with sp.StreamPark(clusters={"dev": cluster}) as platform:
    orders = platform.jobs.create("orders", sp.SqlProgram(SCRIPT), cluster="dev", owner="ann")
    orders.start()
    running = orders.wait_for("RUNNING", timeout=60)
    print(f"orders is {running.state} as run {running.generation}")

    flink_job = cluster.flink_job(orders.id)
    assert flink_job is not None
    cluster.complete_checkpoint(flink_job)
    cluster.fail(flink_job, sp.Failure("the sink is full", "java.io.IOException"))
    while orders.status().generation < 2:
        time.sleep(0.05)
    orders.wait_for("RUNNING", timeout=60)

    print(f"it failed: {orders.failure()}")
    print(f"it came back from {orders.runs()[0].restored_from}")
    print(f"copies at one moment, at most: {cluster.log().most_at_once(orders.id)}")
    for event in reversed(orders.history()):
        print(f"{event.sequence:3}  {event.actor:<12}  {event.message}")
