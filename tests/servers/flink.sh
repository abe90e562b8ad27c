#!/usr/bin/env bash
# flink.sh VERSION: unpacks Apache Flink VERSION into the cache, once, and prints its FLINK_HOME.
# The Python package apache-flink-libraries holds a whole Flink: an sdist with deps/ up to 1.20, a wheel with pyflink/ from 2.0.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -eq 1 ] || die "usage: flink.sh VERSION, as in flink.sh 1.20.5"
version="$1"
home="$CACHE/flink/$version"
complete() { [ -d "$home/plugins" ] && compgen -G "$home/lib/flink-dist-*.jar" >/dev/null; }

single "flink-$version"
if ! complete; then
    say "flink $version: downloading (about 230 MB)"
    scratch
    python="$(python_with_venv)" || die "no Python 3.9 or newer with venv: run tests/servers/system.sh"
    "$python" -m venv "$SCRATCH/venv"
    # pip reads the metadata of an sdist by building it, which needs these two at hand when isolation is off;
    # with isolation on it fails after the download.
    pip=("$SCRATCH/venv/bin/python" -m pip --quiet --disable-pip-version-check)
    "${pip[@]}" install setuptools==80.9.0 wheel==0.45.1 >&2
    "${pip[@]}" download --no-deps --no-build-isolation --dest "$SCRATCH" "apache-flink-libraries==$version" >&2 ||
        die "flink $version: pip found no apache-flink-libraries==$version"
    "$SCRATCH/venv/bin/python" - "$SCRATCH" <<'PY' >&2
import pathlib, shutil, sys, tarfile, zipfile

scratch = pathlib.Path(sys.argv[1])
home = scratch / "home"
(archive,) = [p for p in scratch.iterdir() if p.name.startswith("apache_flink_libraries") or p.name.startswith("apache-flink-libraries")]
wanted = ("lib", "opt", "bin", "plugins", "licenses", "conf")


def place(parts):
    """The path under FLINK_HOME of an archive member, or None for what is not part of Flink."""
    for root in ("deps", "pyflink"):
        if root in parts[:2]:
            rest = parts[parts.index(root) + 1 :]
            if len(rest) > 1 and rest[0] in wanted and ".." not in rest:
                return home.joinpath(*rest)
    return None


def write(target, stream):
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)


if archive.suffix == ".whl":
    with zipfile.ZipFile(archive) as z:
        for member in z.infolist():
            target = place(pathlib.PurePosixPath(member.filename).parts)
            if target and not member.is_dir():
                write(target, z.open(member))
else:
    with tarfile.open(archive) as t:
        for member in t:
            target = place(pathlib.PurePosixPath(member.name).parts)
            if target and member.isfile():
                write(target, t.extractfile(member))
(home / "plugins").mkdir(exist_ok=True)
PY
    compgen -G "$SCRATCH/home/lib/flink-dist-*.jar" >/dev/null || die "flink $version: the package holds no flink-dist jar"
    rm -rf "$home"
    keep "$SCRATCH/home" "$home"
fi
printf '%s\n' "$home"
