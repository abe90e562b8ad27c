"""Tells people over a channel of one's own, and breaks a cluster to have something to tell.

python examples/04_own_channel.py
"""

from __future__ import annotations

import time

import streampark as sp

SCRIPT = """
CREATE TABLE orders (id BIGINT) WITH ('connector' = 'datagen');
CREATE TABLE nowhere (id BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO nowhere SELECT id FROM orders;
"""


class Terminal(sp.Channel):
    """Prints alerts; the first attempt fails, to show that a message is said again under the same id."""

    kind = "terminal"
    per_minute = 30
    broken = True

    def send(self, message: sp.Message) -> None:
        """Says one message."""
        if self.broken:
            self.broken = False
            raise ConnectionError("the terminal was not there yet")
        for alert in message.alerts:
            print(f"[{alert.severity}] {alert.title} (attempt {message.attempt})", flush=True)


cluster = sp.MemoryCluster()
quick = sp.SupervisorOptions(interval=0.2)
with sp.StreamPark(clusters={"dev": cluster}, channels={"terminal": Terminal()}, supervisor=quick) as platform:
    orders = platform.jobs.create("orders", sp.SqlProgram(SCRIPT), cluster="dev", alerts=["terminal"])
    orders.start()
    orders.wait_for("RUNNING", timeout=60)

    cluster.break_down(sp.Fault.refused())
    while platform.channels.status()[0].delivered < 1:
        time.sleep(0.1)
    print(f"the cluster does not answer; orders is still {orders.state}")
    cluster.heal()
    while platform.channels.status()[0].delivered < 2:
        time.sleep(0.1)
    print(f"copies that ever ran: {len(cluster.log().of(orders.id))}")
