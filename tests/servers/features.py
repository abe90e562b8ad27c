#!/usr/bin/env python3
"""features.py CARGO-WORDS... [-- MORE]: runs a cargo command on each library without features, with each feature alone,
and with all of them, so that every promise of a feature is built. The features are read from the manifest."""

import json
import subprocess
import sys

LIBRARIES = ["streampark-core", "streampark-yarn"]


def main():
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    metadata = json.loads(
        subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"])
    )
    for package in metadata["packages"]:
        if package["name"] in LIBRARIES:
            run(package, words[:cut], words[cut:])


def run(package, before, after):
    alone = sorted(set(package["features"]) - {"default"})
    choices = [
        ["--no-default-features"],
        *(["--no-default-features", "--features", name] for name in alone),
        ["--all-features"],
    ]
    for choice in choices:
        command = ["cargo", *before, "--locked", "-p", package["name"], *choice, *after]
        print("features:", " ".join(command[1:]), flush=True)
        code = subprocess.call(command)
        if code:
            sys.exit(code)


if __name__ == "__main__":
    main()
