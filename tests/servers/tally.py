#!/usr/bin/env python3
"""Runs test commands and counts what their runners say.

    tally.py LANE [-- COMMAND ARG...]...

Commands run one after the other, and their output goes through as it comes. One that is begun by `++` in place of `--`
may run beside those before it, two at a time; what each of these says comes whole, when it has ended. The lane ends with a line `LANE: N passed, N failed`. A command that fails without a
failed test counts as one failure, and a lane in which nothing passed has failed: no lane passes by running nothing.
"""

import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed;")
PYTEST = re.compile(
    r"^=*\s*((?:\d+ (?:passed|failed|errors?|skipped|deselected|xfailed|xpassed|warnings?)(?:, )?)+) in [\d.]+s"
)
COUNTED = re.compile(r"(\d+) (passed|failed|error)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SAYING = threading.Lock()


def count(lines):
    """What a runner passed and failed, by its own words."""
    passed = failed = 0
    for line in lines:
        plain = COLOUR.sub("", line).strip()
        cargo = CARGO.match(plain)
        pytest = PYTEST.match(plain)
        if cargo:
            passed, failed = passed + int(cargo[1]), failed + int(cargo[2])
        elif pytest:
            for number, what in COUNTED.findall(pytest[1]):
                if what == "passed":
                    passed += int(number)
                else:
                    failed += int(number)
    return passed, failed


def say(text):
    """Prints at once; one writer at a time."""
    with SAYING:
        sys.stdout.write(text)
        sys.stdout.flush()


def run(command, beside):
    """What one command passed and failed."""
    began, name = time.monotonic(), " ".join(command)
    if beside:
        say(f"tally: {name} begins\n")
    lines = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as child:
        for line in child.stdout:
            lines.append(line)
            if not beside:
                say(line)
    if beside:
        say("".join(lines))
    passed, failed = count(lines)
    if child.returncode and not failed:
        say(f"tally: {name} ended with {child.returncode}\n")
        failed = 1
    say(f"tally: {name}: {time.monotonic() - began:.0f} s\n")
    return passed, failed


def main():
    lane, *rest = sys.argv[1:]
    stages = []
    for word in rest:
        if word == "--":
            stages.append([[]])
        elif word == "++":
            stages[-1].append([])
        else:
            stages[-1][-1].append(word)
    passed = failed = 0
    for commands in stages:
        beside = len(commands) > 1
        with ThreadPoolExecutor(max_workers=2) as workers:
            for more in workers.map(run, commands, [beside] * len(commands)):
                passed, failed = passed + more[0], failed + more[1]
    if not passed and not failed:
        print(f"tally: lane {lane} ran no test", flush=True)
        failed = 1
    print(f"{lane}: {passed} passed, {failed} failed", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
