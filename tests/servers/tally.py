#!/usr/bin/env python3
"""Runs test commands one after the other and counts what their runners say.

    tally.py LANE [-- COMMAND ARG...]...

Output goes through as it comes. The lane ends with a line `LANE: N passed, N failed`. A command that fails without a
failed test counts as one failure, and a lane in which nothing passed has failed: no lane passes by running nothing.
"""

import re
import subprocess
import sys

CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed;")
PYTEST = re.compile(
    r"^=*\s*((?:\d+ (?:passed|failed|errors?|skipped|deselected|xfailed|xpassed|warnings?)(?:, )?)+) in [\d.]+s"
)
COUNTED = re.compile(r"(\d+) (passed|failed|error)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run(command):
    """What one command passed and failed."""
    passed = failed = 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as child:
        for line in child.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
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
    if child.returncode and not failed:
        print(f"tally: {' '.join(command)} ended with {child.returncode}", flush=True)
        failed = 1
    return passed, failed


def main():
    lane, *rest = sys.argv[1:]
    commands = []
    for word in rest:
        if word == "--":
            commands.append([])
        else:
            commands[-1].append(word)
    passed = failed = 0
    for command in commands:
        more = run(command)
        passed, failed = passed + more[0], failed + more[1]
    if not passed and not failed:
        print(f"tally: lane {lane} ran no test", flush=True)
        failed = 1
    print(f"{lane}: {passed} passed, {failed} failed", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
