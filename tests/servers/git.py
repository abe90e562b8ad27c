#!/usr/bin/env python3
"""Runs an OpenSSH server on a free loopback port with one Git repository, and a clone of it that may push.

    git.py --work FOLDER --sources FOLDER [--name NAME]

Everything is written below --work; the files of --sources are the repository's first commit, on the branch main. When
the server answers, one JSON line goes to stdout: `url` (ssh), `key` (the private key that may log in), `known_hosts`,
`clone` (a work folder in which `git commit` and `git push` work), `commit`, `pid`. At the end of stdin, or on SIGTERM
or SIGINT, the server is ended, and the program exits with 0.
"""

import argparse
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

from ports import free_ports

READY_SECONDS = 30
# What builds on this machine may have left.
LEFT = shutil.ignore_patterns("target", "build")


class Failed(Exception):
    """What went wrong, for the person who runs this."""


class Host:
    def __init__(self, work, name):
        self.work = pathlib.Path(work).resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.repository = self.work / f"{name}.git"
        self.clone = self.work / name
        self.key = self.work / "client"
        self.known_hosts = self.work / "known_hosts"
        self.port = free_ports(["ssh"])["ssh"]
        self.url = f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{self.repository}"

    def start(self):
        sshd = next((path for path in ("/usr/sbin/sshd", "/usr/bin/sshd") if os.access(path, os.X_OK)), None)
        if sshd is None or shutil.which("git") is None:
            raise Failed("no sshd or no git: run tests/servers/system.sh projects")
        for name in ("host", "client"):
            (self.work / name).unlink(missing_ok=True)
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.work / name))
        host_key = (self.work / "host.pub").read_text()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {host_key}")
        # OpenSSH wants this folder where it runs as root.
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        lines = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self.work / "host",
            "AuthorizedKeysFile": self.work / "client.pub",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PidFile": "none",
            "PermitRootLogin": "yes",
        }
        config = self.work / "sshd_config"
        config.write_text("".join(f"{word} {value}\n" for word, value in lines.items()))
        with open(self.work / "sshd.log", "ab") as log:
            self.server = subprocess.Popen(
                [sshd, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        end = time.monotonic() + READY_SECONDS
        while True:
            if self.server.poll() is not None or time.monotonic() > end:
                raise Failed(f"the ssh server did not start, see {self.work}/sshd.log")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return

    def fill(self, sources):
        run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.repository))
        ssh = f"ssh -i '{self.key}' -o IdentitiesOnly=yes -o UserKnownHostsFile='{self.known_hosts}' -F none"
        run("git", "init", "--quiet", "--initial-branch=main", str(self.clone))
        for word, value in {
            "core.sshCommand": ssh,
            "user.name": "Ada Lovelace",
            "user.email": "ada@example.com",
            "commit.gpgSign": "false",
            "push.autoSetupRemote": "true",
        }.items():
            run("git", "config", word, value, at=self.clone)
        run("git", "remote", "add", "origin", self.url, at=self.clone)
        shutil.copytree(sources, self.clone, ignore=LEFT, dirs_exist_ok=True)
        run("git", "add", "--all", at=self.clone)
        run("git", "commit", "--quiet", "--message", "Orders and their prices", at=self.clone)
        run("git", "push", "--quiet", "--set-upstream", "origin", "main", at=self.clone)

    def describe(self):
        return {
            "url": self.url,
            "key": str(self.key),
            "known_hosts": str(self.known_hosts),
            "clone": str(self.clone),
            "commit": run("git", "rev-parse", "HEAD", at=self.clone),
            "pid": self.server.pid,
        }

    def stop(self):
        server = getattr(self, "server", None)
        if server is not None and server.poll() is None:
            server.terminate()
            server.wait(10)


def run(*words, at=None):
    done = subprocess.run(words, cwd=at, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def leave(_signal, _frame):
    raise SystemExit(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True)
    parser.add_argument("--sources", required=True)
    parser.add_argument("--name", default="orders")
    options = parser.parse_args()
    host = Host(options.work, options.name)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    try:
        host.start()
        host.fill(options.sources)
        print(json.dumps(host.describe()), flush=True)
        sys.stdin.read()
    except Failed as error:
        sys.exit(f"git: {error}")
    finally:
        host.stop()


if __name__ == "__main__":
    main()
