# Sourced by the set-up scripts: where downloads are kept, and how two scripts at once stay out of each other's way.
set -eu

CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/streampark-sdk"
SERVERS_DIR="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
REPO_ROOT="$(cd "$SERVERS_DIR/../.." && pwd)"

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# single NAME: holds the lock NAME until this script ends; a second script waits here, then finds the work done.
single() {
    mkdir -p "$CACHE/locks"
    exec 9>"$CACHE/locks/$1"
    flock 9
}

# scratch: a new empty folder inside the cache, so that the last rename stays on one file system; removed at exit.
scratch() {
    mkdir -p "$CACHE"
    SCRATCH="$(mktemp -d "$CACHE/unpacking.XXXXXX")"
    trap 'rm -rf "$SCRATCH"' EXIT
}

# keep FOLDER TARGET: makes FOLDER appear as TARGET in one step.
keep() {
    mkdir -p "$(dirname "$2")"
    mv -T "$1" "$2"
}

# python_with_venv: the first Python on the path that is 3.9 or newer and can make virtual environments.
python_with_venv() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3 python3.13 python3.12 python3.11 python3.10 python3.9; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}
