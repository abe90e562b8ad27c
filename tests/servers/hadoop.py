#!/usr/bin/env python3
"""Runs a real HDFS and YARN of one node each, owned by whoever started this program.

    hadoop.py --home FOLDER --work FOLDER [--rm-recovery] [--nm-recovery] [--nm-expiry SECONDS] [--ha] [--memory MB]
              [--cores N] [--core K=V] [--hdfs K=V] [--yarn K=V] [--scheduler K=V]

With --ha there are two ResourceManagers, resourcemanager and resourcemanager2, and a zookeeper. A second node,
nodemanager2, is there once it is started.

FOLDER of --home comes from hadoop.sh. Everything is written below --work, every port is a free one on the loopback.
When all four daemons are ready, one JSON line with addresses and pids goes to stdout. Then lines on stdin are obeyed,
each answered by a JSON line {"ok": true, ...} or {"ok": false, "error": ...}:

    kill NAME | term NAME | start NAME | pause NAME | resume NAME     NAME: namenode datanode resourcemanager nodemanager
    set SITE K=V                                                      SITE: core hdfs yarn scheduler; for daemons to start
    stop                                                              the same as the end of stdin

At the end of stdin, or on SIGTERM or SIGINT, daemons and left-over containers are ended, and the program exits with 0.
"""

import argparse
import contextlib
import ctypes
import getpass
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from xml.sax.saxutils import escape

from ports import free_ports

DAEMONS = {
    "namenode": "org.apache.hadoop.hdfs.server.namenode.NameNode",
    "datanode": "org.apache.hadoop.hdfs.server.datanode.DataNode",
    "resourcemanager": "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
    "nodemanager": "org.apache.hadoop.yarn.server.nodemanager.NodeManager",
}
# Those that are not always there.
MORE_DAEMONS = {
    "resourcemanager2": DAEMONS["resourcemanager"],
    "nodemanager2": DAEMONS["nodemanager"],
    "zookeeper": "org.apache.zookeeper.server.ZooKeeperServerMain",
}
NODE_MANAGERS = ["nodemanager", "nodemanager2"]
RESOURCE_MANAGERS = {"resourcemanager": "rm_http", "resourcemanager2": "rm2_http"}
OPENED = [
    "java.io",
    "java.lang",
    "java.lang.reflect",
    "java.math",
    "java.net",
    "java.text",
    "java.util",
    "java.util.concurrent",
    "java.util.zip",
    "sun.security.util",
    "sun.security.x509",
]
PORTS = [
    "fs",
    "nn_http",
    "dn_data",
    "dn_ipc",
    "dn_http",
    "rm",
    "rm_scheduler",
    "rm_tracker",
    "rm_admin",
    "rm_http",
    "nm",
    "nm_localizer",
    "nm_http",
    "nm_collector",
    "rm2",
    "rm2_scheduler",
    "rm2_tracker",
    "rm2_admin",
    "rm2_http",
    "nm2",
    "nm2_localizer",
    "nm2_http",
    "nm2_collector",
    "zookeeper",
]
READY_SECONDS = 300
LOG4J = """log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c: %m%n
"""


class Failed(Exception):
    """What went wrong, for the person who runs the tests."""


def java_home():
    if os.environ.get("JAVA_HOME"):
        return os.environ["JAVA_HOME"]
    java = shutil.which("java")
    if not java:
        raise Failed("no java on the path and no JAVA_HOME: run tests/servers/system.sh")
    return str(pathlib.Path(java).resolve().parent.parent)


def pairs(texts):
    return dict(text.split("=", 1) for text in texts)


def die_with_parent():
    """In the child: the kernel ends it when this program is killed, however that happens."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Hadoop:
    def __init__(self, options):
        self.options = options
        self.home = pathlib.Path(options.home).resolve()
        self.work = pathlib.Path(options.work).resolve()
        self.conf = self.work / "conf"
        self.local = self.work / "nm-local"
        self.logs = self.work / "nm-logs"
        self.java_home = java_home()
        self.user = getpass.getuser()
        self.children = {}
        # Those that were ended on purpose.
        self.ended = set()
        self.ports = free_ports(PORTS)
        self.ready_seconds = {}

    # -- configuration

    def write_configuration(self):
        for folder in (
            "conf/webapps/hdfs",
            "conf/webapps/datanode",
            "log",
            "tmp",
            "nm-local",
            "nm-local-2",
            "nm-logs",
            "nm-logs-2",
            "zookeeper",
        ):
            (self.work / folder).mkdir(parents=True, exist_ok=True)
        port = {name: f"localhost:{number}" for name, number in self.ports.items()}
        self.xml(
            "core-site.xml",
            {
                "fs.defaultFS": f"hdfs://{port['fs']}",
                "hadoop.tmp.dir": self.work / "tmp",
                f"hadoop.proxyuser.{self.user}.hosts": "*",
                f"hadoop.proxyuser.{self.user}.groups": "*",
            },
            self.options.core,
        )
        self.xml(
            "hdfs-site.xml",
            {
                "dfs.replication": 1,
                "dfs.namenode.name.dir": f"file://{self.work}/name",
                "dfs.datanode.data.dir": f"file://{self.work}/data",
                "dfs.namenode.http-address": port["nn_http"],
                "dfs.datanode.address": port["dn_data"],
                "dfs.datanode.ipc.address": port["dn_ipc"],
                "dfs.datanode.http.address": port["dn_http"],
                "dfs.datanode.hostname": "localhost",
                "dfs.namenode.datanode.registration.ip-hostname-check": "false",
                # Else every restart with blocks waits for 30 s.
                "dfs.namenode.safemode.extension": 0,
            },
            self.options.hdfs,
        )
        yarn = {
            "yarn.resourcemanager.hostname": "localhost",
            "yarn.resourcemanager.address": port["rm"],
            "yarn.resourcemanager.scheduler.address": port["rm_scheduler"],
            "yarn.resourcemanager.resource-tracker.address": port["rm_tracker"],
            "yarn.resourcemanager.admin.address": port["rm_admin"],
            "yarn.resourcemanager.webapp.address": port["rm_http"],
            # By default a NodeManager looks for a restarted ResourceManager only every 30 s.
            "yarn.resourcemanager.connect.retry-interval.ms": 500,
            "yarn.resourcemanager.scheduler.class": "org.apache.hadoop.yarn.server.resourcemanager.scheduler.capacity.CapacityScheduler",
            "yarn.nodemanager.hostname": "localhost",
            "yarn.nodemanager.address": port["nm"],
            "yarn.nodemanager.localizer.address": port["nm_localizer"],
            "yarn.nodemanager.webapp.address": port["nm_http"],
            "yarn.nodemanager.collector-service.address": port["nm_collector"],
            "yarn.nodemanager.resource.memory-mb": self.options.memory,
            "yarn.nodemanager.resource.cpu-vcores": self.options.cores,
            "yarn.scheduler.minimum-allocation-mb": 128,
            "yarn.scheduler.maximum-allocation-mb": min(4096, self.options.memory),
            "yarn.nodemanager.vmem-check-enabled": "false",
            "yarn.nodemanager.pmem-check-enabled": "false",
            "yarn.nodemanager.local-dirs": self.local,
            "yarn.nodemanager.log-dirs": self.logs,
            "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99.0",
            "yarn.application.classpath": f"$HADOOP_CONF_DIR,{self.home}/client/*",
        }
        if self.options.rm_recovery:
            yarn |= {
                "yarn.resourcemanager.recovery.enabled": "true",
                "yarn.resourcemanager.store.class": "org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore",
                "yarn.resourcemanager.fs.state-store.uri": f"file://{self.work}/rm-state",
            }
        if self.options.nm_expiry:
            yarn["yarn.nm.liveness-monitor.expiry-interval-ms"] = self.options.nm_expiry * 1000
        if self.options.nm_recovery:
            yarn |= {
                "yarn.nodemanager.recovery.enabled": "true",
                "yarn.nodemanager.recovery.supervised": "true",
                "yarn.nodemanager.recovery.dir": self.work / "nm-recovery",
            }
        if self.options.ha:
            yarn |= self.high_availability(port)
        self.xml("yarn-site.xml", yarn, self.options.yarn)
        queues = {
            "yarn.scheduler.capacity.root.queues": "default,flink",
            "yarn.scheduler.capacity.maximum-am-resource-percent": "0.9",
        }
        for queue in ("default", "flink"):
            name = f"yarn.scheduler.capacity.root.{queue}."
            queues |= {
                name + "capacity": 50,
                name + "maximum-capacity": 100,
                name + "user-limit-factor": 10,
                name + "state": "RUNNING",
            }
        self.xml("capacity-scheduler.xml", queues, self.options.scheduler)
        (self.conf / "log4j.properties").write_text(LOG4J)

    def high_availability(self, port):
        (self.conf / "zoo.cfg").write_text(
            f"dataDir={self.work}/zookeeper\nclientPort={self.ports['zookeeper']}\nclientPortAddress=127.0.0.1\n"
            "admin.enableServer=false\ntickTime=500\n"
        )
        yarn = {
            "yarn.resourcemanager.ha.enabled": "true",
            "yarn.resourcemanager.ha.rm-ids": "rm1,rm2",
            "yarn.resourcemanager.cluster-id": "tests",
            "hadoop.zk.address": port["zookeeper"],
            "hadoop.zk.timeout-ms": 4000,
            # Else a ResourceManager looks for a frozen ZooKeeper for minutes.
            "hadoop.zk.num-retries": 10,
            "yarn.resourcemanager.recovery.enabled": "true",
            "yarn.resourcemanager.store.class": "org.apache.hadoop.yarn.server.resourcemanager.recovery.ZKRMStateStore",
        }
        for name in ("rm1", "rm2"):
            own = "rm" if name == "rm1" else "rm2"
            yarn[f"yarn.resourcemanager.hostname.{name}"] = "localhost"
            for key, suffix in (
                ("address", ""),
                ("scheduler.address", "_scheduler"),
                ("resource-tracker.address", "_tracker"),
                ("admin.address", "_admin"),
                ("webapp.address", "_http"),
            ):
                yarn[f"yarn.resourcemanager.{key}.{name}"] = port[own + suffix]
        return yarn

    def arguments_of(self, name):
        """The arguments by which one daemon of a pair differs from the other."""
        if name == "zookeeper":
            return [str(self.conf / "zoo.cfg")]
        if name in RESOURCE_MANAGERS and self.options.ha:
            return ["-D", f"yarn.resourcemanager.ha.id={'rm1' if name == 'resourcemanager' else 'rm2'}"]
        if name != "nodemanager2":
            return []
        own = {
            "yarn.nodemanager.address": f"localhost:{self.ports['nm2']}",
            "yarn.nodemanager.localizer.address": f"localhost:{self.ports['nm2_localizer']}",
            "yarn.nodemanager.webapp.address": f"localhost:{self.ports['nm2_http']}",
            "yarn.nodemanager.collector-service.address": f"localhost:{self.ports['nm2_collector']}",
            "yarn.nodemanager.local-dirs": f"{self.local}-2",
            "yarn.nodemanager.log-dirs": f"{self.logs}-2",
            "yarn.nodemanager.recovery.dir": self.work / "nm-recovery-2",
        }
        return [word for key, value in own.items() for word in ("-D", f"{key}={value}")]

    def xml(self, name, settings, more):
        settings = {**settings, **pairs(more)}
        body = "".join(
            f"  <property><name>{escape(str(k))}</name><value>{escape(str(v))}</value></property>\n"
            for k, v in settings.items()
        )
        (self.conf / name).write_text(f'<?xml version="1.0"?>\n<configuration>\n{body}</configuration>\n')

    # -- processes

    def command(self, main):
        opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
        return [
            f"{self.java_home}/bin/java",
            "-XX:+IgnoreUnrecognizedVMOptions",
            *opens,
            "-Xmx256m",
            "-XX:+UseSerialGC",
            # They live for minutes: the second compiler costs more than it gives.
            "-XX:TieredStopAtLevel=1",
            "-Djava.net.preferIPv4Stack=true",
            f"-Dhadoop.log.dir={self.work}/log",
            f"-Dyarn.log.dir={self.work}/log",
            f"-Djava.io.tmpdir={self.work}/tmp",
            "-cp",
            f"{self.conf}:{self.home}/servers/*",
            main,
        ]

    def environment(self):
        return {
            **os.environ,
            "JAVA_HOME": self.java_home,
            "HADOOP_CONF_DIR": str(self.conf),
            "HADOOP_HOME": str(self.home),
            "HADOOP_USER_NAME": self.user,
        }

    def spawn(self, name):
        with open(self.work / "log" / f"{name}.log", "ab") as log:
            self.children[name] = subprocess.Popen(
                self.command({**DAEMONS, **MORE_DAEMONS}[name]) + self.arguments_of(name),
                cwd=self.work,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 (one thread here)
            )

    def start(self):
        started = time.monotonic()
        self.end_containers()
        self.write_configuration()
        if not (self.work / "name").exists():
            log = self.work / "log" / "format.log"
            with open(log, "ab") as out:
                code = subprocess.call(
                    self.command(DAEMONS["namenode"]) + ["-format", "-nonInteractive"],
                    cwd=self.work,
                    env=self.environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                )
            if code:
                raise Failed(f"the NameNode could not be formatted, see {log}")
        for name in (["zookeeper", "resourcemanager2"] if self.options.ha else []) + list(DAEMONS):
            self.spawn(name)
        self.wait("HDFS", self.hdfs_ready)
        self.ready_seconds["hdfs"] = round(time.monotonic() - started, 1)
        self.make_folders()
        self.wait("YARN", self.yarn_ready)
        self.ready_seconds["yarn"] = round(time.monotonic() - started, 1)

    def wait(self, what, ready):
        end = time.monotonic() + READY_SECONDS
        while not ready():
            for name, child in self.children.items():
                if child.poll() is not None and name not in self.ended:
                    raise Failed(f"the {name} ended with {child.returncode}, see {self.work}/log/{name}.log")
            if time.monotonic() > end:
                raise Failed(f"{what} was not ready after {READY_SECONDS} s, see {self.work}/log")
            time.sleep(0.2)

    def get(self, port, path):
        try:
            with urllib.request.urlopen(f"http://localhost:{self.ports[port]}{path}", timeout=5) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return {}

    def hdfs_ready(self):
        beans = self.get("nn_http", "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState").get("beans", [])
        if not self.get("dn_http", "/jmx?qry=Hadoop:service=DataNode,name=DataNodeInfo").get("beans"):
            return False
        return any(bean.get("NumLiveDataNodes") == 1 and bean.get("FSState") == "Operational" for bean in beans)

    def lives(self, name):
        return name in self.children and self.children[name].poll() is None

    def yarn_ready(self):
        for name, port in zip(NODE_MANAGERS, ("nm_http", "nm2_http")):
            if self.lives(name) and not self.get(port, "/ws/v1/node/info").get("nodeInfo", {}).get("nodeHealthy"):
                return False
        nodes = sum(self.lives(name) for name in NODE_MANAGERS)
        ports = [port for name, port in RESOURCE_MANAGERS.items() if self.lives(name)]
        metrics = [self.get(port, "/ws/v1/cluster/metrics").get("clusterMetrics", {}) for port in ports]
        return any(each.get("activeNodes", -1) >= nodes for each in metrics)

    def zookeeper_ready(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ports["zookeeper"]), 2):
            return True
        return False

    def readiness(self, name):
        if name == "zookeeper":
            return self.zookeeper_ready
        if name in RESOURCE_MANAGERS and self.options.ha:
            port = RESOURCE_MANAGERS[name]
            return lambda: bool(self.get(port, "/ws/v1/cluster/info").get("clusterInfo"))
        return self.yarn_ready if name in {*NODE_MANAGERS, *RESOURCE_MANAGERS} else self.hdfs_ready

    def make_folders(self):
        for path, mode in (("/tmp", "1777"), ("/flink", "755"), ("/user", "755"), (f"/user/{self.user}", "755")):
            url = f"http://localhost:{self.ports['nn_http']}/webhdfs/v1{path}?op=MKDIRS&permission={mode}&user.name={self.user}"
            with urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=READY_SECONDS):
                pass

    def describe(self):
        url = {name: f"http://localhost:{number}" for name, number in self.ports.items()}
        return {
            "resource_manager": url["rm_http"],
            "resource_managers": [url["rm_http"], url["rm2_http"]] if self.options.ha else [url["rm_http"]],
            "node_manager": url["nm_http"],
            "second_node_manager": url["nm2_http"],
            "web_hdfs": url["nn_http"],
            "data_node": url["dn_http"],
            "fs": f"hdfs://localhost:{self.ports['fs']}",
            "user": self.user,
            "conf": str(self.conf),
            "class_path": f"{self.conf}:{self.home}/client/*",
            "java_home": self.java_home,
            "local_dirs": str(self.local),
            "log_dirs": str(self.logs),
            "ready_seconds": self.ready_seconds,
            "pids": {name: child.pid for name, child in self.children.items()},
        }

    # -- commands and the end

    def obey(self, line):
        verb, _, name = line.strip().partition(" ")
        signals = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "pause": signal.SIGSTOP, "resume": signal.SIGCONT}
        if verb == "set":
            site, _, setting = name.partition(" ")
            getattr(self.options, site).append(setting)
            self.write_configuration()
            return {"ok": True}
        known = [*DAEMONS, *MORE_DAEMONS]
        if name not in known or verb not in {*signals, "start"} or (verb != "start" and name not in self.children):
            raise Failed(
                f"unknown command {line.strip()!r}: say one of {' '.join([*signals, 'start'])} and one of {' '.join(known)}"
            )
        if verb == "start":
            if self.lives(name):
                raise Failed(f"the {name} runs already")
            self.spawn(name)
            self.ended.discard(name)
            self.wait(name, self.readiness(name))
        else:
            child = self.children[name]
            child.send_signal(signals[verb])
            if verb in ("kill", "term"):
                self.ended.add(name)
                child.wait(30)
            elif verb == "pause":
                self.wait_until_still(name, child.pid)
        return {"ok": True, "pid": self.children[name].pid}

    def wait_until_still(self, name, pid):
        """The signal is only a wish: on a busy machine a thread goes on for a moment, and may answer."""
        end = time.monotonic() + 30
        while True:
            stats = []
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    stats.append((task / "stat").read_text().rpartition(") ")[2][:1])
            if stats and all(state == "T" for state in stats):
                return
            if time.monotonic() > end:
                raise Failed(f"the {name} does not stand still within 30 s: its threads are in {''.join(stats)}")
            time.sleep(0.001)

    def containers(self):
        """Processes that work below a NodeManager's folder: containers live in sessions of their own and outlive it."""
        found = []
        locals_ = [self.local, pathlib.Path(f"{self.local}-2")]
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    folder = pathlib.Path(os.readlink(entry / "cwd"))
                    if any(folder.is_relative_to(local) for local in locals_):
                        found.append(int(entry.name))
        return found

    def stop(self):
        # The NodeManager first: it ends its containers, and without a ResourceManager it would wait for one.
        others = [*RESOURCE_MANAGERS, "datanode", "namenode"]
        for group in (NODE_MANAGERS, others, ["zookeeper"]):
            live = [child for name, child in self.children.items() if name in group and child.poll() is None]
            for child in live:
                child.send_signal(signal.SIGCONT)
                child.terminate()
            end = time.monotonic() + 8
            for child in live:
                try:
                    child.wait(max(0.1, end - time.monotonic()))
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        self.end_containers()

    def end_containers(self):
        # A container that is just being started shows up in a second look.
        for _ in range(3):
            left = self.containers()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                break
            time.sleep(0.1)


def arguments(description=__doc__):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--rm-recovery", action="store_true")
    parser.add_argument("--nm-recovery", action="store_true")
    parser.add_argument("--ha", action="store_true")
    parser.add_argument("--nm-expiry", type=int, metavar="SECONDS")
    parser.add_argument("--memory", type=int, default=8192, metavar="MB")
    parser.add_argument("--cores", type=int, default=8)
    for name in ("core", "hdfs", "yarn", "scheduler"):
        parser.add_argument(f"--{name}", action="append", default=[], metavar="K=V")
    return parser.parse_args()


def tell(what):
    print(json.dumps(what), flush=True)


def run(hadoop):
    def leave(_signal, _frame):
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    try:
        hadoop.start()
        tell(hadoop.describe())
        for line in sys.stdin:
            if line.strip() == "stop":
                break
            try:
                tell(hadoop.obey(line))
            except (Failed, OSError, subprocess.SubprocessError) as error:
                tell({"ok": False, "error": str(error)})
    except Failed as error:
        sys.exit(f"hadoop: {error}")
    finally:
        # A second signal must not leave half of them behind.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        hadoop.stop()


if __name__ == "__main__":
    run(Hadoop(arguments()))
