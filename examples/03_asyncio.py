"""Many jobs at once from asyncio: follows the events while others are started.

python examples/03_asyncio.py
"""

from __future__ import annotations

import asyncio

import streampark as sp

SCRIPT = """
CREATE TABLE orders (id BIGINT) WITH ('connector' = 'datagen');
CREATE TABLE nowhere (id BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO nowhere SELECT id FROM orders;
"""


async def follow(events: sp.AsyncEventStream) -> int:
    """Counts the jobs that come to RUNNING, until the engine ends."""
    running = 0
    while True:
        try:
            async for event in events:
                running += event.to_state == "RUNNING"
        except sp.ExhaustedError as lag:
            print(f"too slow: {lag.context['missed']} events are to be read from the history")
        else:
            return running


async def main() -> None:
    """Starts 20 jobs, at most 4 at a time on their cluster."""
    cluster = sp.MemoryCluster(start_delay=0.05)
    options = sp.SupervisorOptions(submissions_per_cluster=4)
    async with sp.AsyncStreamPark(clusters={"dev": cluster}, supervisor=options) as platform:
        follower = asyncio.create_task(follow(platform.events()))

        async def run(number: int) -> str:
            job = await platform.jobs.create(
                f"orders-{number:02}", sp.SqlProgram(SCRIPT), cluster="dev", labels={"shard": str(number)}
            )
            await job.start()
            return (await job.wait_for("RUNNING", timeout=60)).name

        names = await asyncio.gather(*(run(number) for number in range(20)))
        print(f"{len(names)} jobs run, the last is {names[-1]}")
        print(f"found by its label: {(await platform.jobs.list(labels={'shard': '7'}))[0].name}")
    print(f"events told of {await follower} jobs that came to RUNNING")


asyncio.run(main())
