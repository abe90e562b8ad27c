#!/usr/bin/env bash
# build.sh FLINK_HOME [OUT]: compiles the SQL runner for Java 8 against that Flink (1.16 to 1.20) into OUT, by default
# the sql-runner.jar beside this script, which the crate embeds. The bytes depend on the source alone: see docs/testing.md.
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
[ $# -ge 1 ] || { echo "usage: build.sh FLINK_HOME [OUT]" >&2; exit 1; }
out="${2:-$here/sql-runner.jar}"
classes="$(mktemp -d)"
trap 'rm -rf "$classes"' EXIT
# No debug information: it differs between compilers and names no line that a user could act on.
"${JAVA_HOME:+$JAVA_HOME/bin/}javac" --release 8 -g:none -proc:none -nowarn -Xlint:-options -encoding UTF-8 \
    -cp "$1/lib/*" -d "$classes" "$here/src/org/streampark/sdk/runner/SqlRunner.java"
python3 "$here/jar.py" "$out" "$classes" org.streampark.sdk.runner.SqlRunner
