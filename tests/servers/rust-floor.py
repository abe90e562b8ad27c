#!/usr/bin/env python3
"""Proves, as far as one compiler can, that the workspace builds with the Rust version it names.

Reads `cargo metadata`: every crate that the workspace builds for this machine must declare a rust-version that is not
newer than the workspace's own. Clippy's incompatible_msrv lint, denied in the same target, looks after the standard
library calls in our own code. What neither sees: a crate that declares no version or a wrong one.
"""

import json
import subprocess
import sys


def version(text):
    parts = [int(part) for part in text.split("-")[0].split(".")]
    return tuple(parts + [0] * (3 - len(parts)))


def main():
    target = next(
        line.split()[1]
        for line in subprocess.check_output(["rustc", "-vV"], text=True).splitlines()
        if line.startswith("host:")
    )
    metadata = json.loads(
        subprocess.check_output(
            ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features", "--filter-platform", target]
        )
    )
    members = set(metadata["workspace_members"])
    built = {node["id"] for node in metadata["resolve"]["nodes"]}
    packages = [package for package in metadata["packages"] if package["id"] in built]
    floors = {package["rust_version"] for package in packages if package["id"] in members}
    if len(floors) != 1 or None in floors:
        sys.exit(f"rust-floor: the workspace names {floors or 'no rust-version'}; it must name exactly one")
    floor = floors.pop()
    above = [p for p in packages if p["rust_version"] and version(p["rust_version"]) > version(floor)]
    for package in above:
        print(
            f"rust-floor: {package['name']} {package['version']} asks for Rust {package['rust_version']}, we name {floor}"
        )
    silent = sum(1 for package in packages if not package["rust_version"])
    print(f"rust-floor: {len(packages)} crates, {len(above)} above Rust {floor}, {silent} declare none")
    sys.exit(bool(above))


if __name__ == "__main__":
    main()
