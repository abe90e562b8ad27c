"""Free ports for servers that bind them only later.

A port that was found by binding to port 0 and let go is handed out again by the system, to any process, until the server
binds it. These lie below those that the system hands out, in blocks of which each belongs to one process as long as it
lives.
"""

import pathlib
import random
import socket

FIRST = 20_000
SIZE = 32
HELD = []


def _handed_out():
    """The lowest port that the system hands out by itself."""
    return int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def _is_free(port):
    with socket.socket() as tried:
        try:
            tried.bind(("", port))
        except OSError:
            return False
    return True


def free_ports(names):
    """A free port for each name, at most 32."""
    names = list(names)
    blocks = list(range(FIRST, min(_handed_out(), 32_768) - SIZE, SIZE))
    random.shuffle(blocks)
    for block in blocks:
        # A name in Linux' abstract namespace is free again when the process has ended, however it does.
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0streampark-ports-{block}")
        except OSError:
            holder.close()
            continue
        found = [port for port in range(block, block + SIZE) if _is_free(port)]
        if len(found) >= len(names):
            HELD.append(holder)
            return dict(zip(names, found))
        holder.close()
    raise OSError(f"no {len(names)} free ports together from {FIRST} to {_handed_out()}")
