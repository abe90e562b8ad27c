#!/usr/bin/env python3
"""Guards over the dependency tree: what each crate must not pull in, and that docs/dependencies.md explains every one."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FORBIDDEN = [
    # package, features, crates that must not be below it
    (
        "streampark-core",
        ["--no-default-features"],
        {"rusqlite", "libsqlite3-sys", "nix", "git2", "pyo3", "axum", "kube"},
    ),
    ("streampark-core", [], {"git2", "pyo3", "axum", "kube", "openssl-sys", "native-tls", "streampark-yarn"}),
    ("streampark-yarn", [], {"git2", "pyo3", "axum", "kube", "openssl-sys", "native-tls", "streampark-py"}),
]


def tree(package, features):
    command = [
        "cargo",
        "tree",
        "--locked",
        "-p",
        package,
        *features,
        "-e",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]
    return {line.split()[0] for line in subprocess.check_output(command, text=True, cwd=ROOT).splitlines() if line}


def main():
    faults = []
    for package, features, forbidden in FORBIDDEN:
        for name in sorted(tree(package, features) & forbidden):
            faults.append(f"{package} {' '.join(features)} pulls in {name}")
    manifest = (ROOT / "Cargo.toml").read_text()
    table = manifest.split("[workspace.dependencies]")[1].split("\n[")[0]
    declared = re.findall(r"^([\w-]+)\s*=", table, re.MULTILINE)
    if declared != sorted(declared):
        faults.append("[workspace.dependencies] is not in alphabetical order")
    explained = set(re.findall(r"^\| `([\w-]+)`", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE))
    faults += [f"docs/dependencies.md says nothing of {name}" for name in declared if name not in explained]
    faults += [
        f"docs/dependencies.md explains {name}, which is no dependency" for name in sorted(explained - set(declared))
    ]
    for fault in faults:
        print(f"dependencies: {fault}")
    print(f"dependencies: {len(declared)} in the workspace table, {len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
