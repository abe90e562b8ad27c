#!/usr/bin/env bash
# cargo-deny.sh: builds cargo-deny from source into the cache, once (some minutes), and prints the program's path. No
# package of a Python or system registry is new enough to know the licences of today's crates.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version=0.20.2
home="$CACHE/cargo-deny/$version"
single "cargo-deny-$version"
if [ ! -x "$home/bin/cargo-deny" ]; then
    say "cargo-deny $version: building (some minutes, once)"
    scratch
    CARGO_TARGET_DIR="$SCRATCH/target" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        CARGO_PROFILE_RELEASE_OPT_LEVEL=1 cargo install --quiet --locked --root "$SCRATCH/home" "cargo-deny@$version" >&2 ||
        die "cargo-deny $version could not be built"
    keep "$SCRATCH/home" "$home"
fi
printf '%s\n' "$home/bin/cargo-deny"
