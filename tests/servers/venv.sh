#!/usr/bin/env bash
# venv.sh: makes .venv in the repository with the tools of tests/requirements.txt, anew when that file has changed, and
# prints its folder.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

venv="$REPO_ROOT/.venv"
wanted="$REPO_ROOT/tests/requirements.txt"
single "venv-$(printf '%s' "$REPO_ROOT" | cksum | cut -d' ' -f1)"
if ! cmp -s "$wanted" "$venv/requirements.txt"; then
    say "venv: installing the tools of tests/requirements.txt"
    python="$(python_with_venv)" || die "no Python 3.9 or newer with venv: run tests/servers/system.sh"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip --quiet --disable-pip-version-check install --requirement "$wanted" >&2
    cp "$wanted" "$venv/requirements.txt"
fi
printf '%s\n' "$venv"
