#!/usr/bin/env bash
# s3.sh: installs a server that speaks S3 (moto, in a virtual environment of its own) into the cache, once, and prints
# its program: PROGRAM -H 127.0.0.1 -p PORT.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version=5.2.5
home="$CACHE/s3/$version"

single s3
if [ ! -x "$home/bin/moto_server" ]; then
    say "s3: installing moto $version"
    python="$(python_with_venv)" || die "no Python 3.9 or newer with venv: run tests/servers/system.sh"
    rm -rf "$home"
    # A virtual environment holds its own place and cannot be moved: its program comes last.
    "$python" -m venv "$home"
    "$home/bin/python" -m pip --quiet --disable-pip-version-check install "moto[server]==$version" >&2
fi
printf '%s\n' "$home/bin/moto_server"
