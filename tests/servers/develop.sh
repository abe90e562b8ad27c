#!/usr/bin/env bash
# develop.sh: builds the Python package with the development profile and installs it into .venv.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

venv="$("$SERVERS_DIR/venv.sh")"
cd "$REPO_ROOT"
VIRTUAL_ENV="$venv" PYO3_PYTHON="$venv/bin/python" "$venv/bin/maturin" develop --quiet --locked --manifest-path streampark-py/Cargo.toml
