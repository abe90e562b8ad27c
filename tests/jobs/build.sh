#!/usr/bin/env bash
# build.sh FLINK_HOME: compiles the test jobs against that Flink and prints the jar's path, tests/jobs/target/jobs.jar.
# One jar serves Flink 1.16 to 2.3; it is rebuilt when a source is newer.
set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
[ $# -eq 1 ] || { echo "usage: build.sh FLINK_HOME" >&2; exit 1; }
jar="$here/target/jobs.jar"
mkdir -p "$here/target"
exec 9>"$here/target/lock"
flock 9
if [ ! -f "$jar" ] || [ -n "$(find "$here/src" "$0" -newer "$jar" -print -quit)" ]; then
    classes="$(mktemp -d "$here/target/classes.XXXXXX")"
    trap 'rm -rf "$classes"' EXIT
    find "$here/src" -name '*.java' | LC_ALL=C sort >"$classes.files"
    "${JAVA_HOME:+$JAVA_HOME/bin/}javac" --release 11 -proc:none -nowarn -d "$classes" -cp "$1/lib/*" "@$classes.files" >&2
    rm -f "$classes.files"
    python3 "$here/../../streampark-core/runner/jar.py" "$jar" "$classes"
fi
printf '%s\n' "$jar"
