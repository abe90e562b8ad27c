"""Uses what StreamPark knows of Flink without an engine: configuration, memory, units, the REST interface.

python examples/05_flink_alone.py [http://jobmanager:8081/]
"""

from __future__ import annotations

import sys

import streampark as sp
from streampark import flink

config = flink.FlinkConfig.from_config_yaml("""
jobmanager:
  memory:
    process:
      size: 1600m
taskmanager.memory.process.size: 4g
s3.secret-key: never shown
""")
print(config)
manager = flink.JobManagerMemory.from_config(config, "2.3.0")
print(f"a JobManager of {manager.process} has a heap of {manager.heap}: {' '.join(manager.jvm_args)}")
worker = flink.TaskManagerMemory.from_config(config, "1.20.5")
print(f"a TaskManager of {worker.process} has {worker.managed} of managed memory")
print(f"Flink 1.18 reads {config.to_file('1.18.1')[0]}, Flink 2.3 reads {config.to_file('2.3.0')[0]}")
print(f"'90 s' is {flink.parse_duration('90 s')}, and Flink writes {flink.format_duration(5400)}")

address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:1/"
client = flink.RestClient(address)
try:
    print(client.overview())
    for job in client.jobs():
        print(job.jid, job.state, job.name)
except sp.UnreachableError as error:
    print(f"no Flink here: {error}")
