"""Writes a jar whose bytes depend on nothing but its class files: jar.py OUT CLASSES_DIR [MAIN_CLASS].

Entries are stored, sorted and dated 1980, so that neither zlib's version, nor the file system's order, nor the clock
shows in the result.
"""

import os
import pathlib
import sys
import zipfile


def write_jar(out: pathlib.Path, classes: pathlib.Path, main_class: "str | None") -> None:
    manifest = "Manifest-Version: 1.0\r\n" + (f"Main-Class: {main_class}\r\n" if main_class else "") + "\r\n"
    entries = {"META-INF/MANIFEST.MF": manifest.encode()}
    for path in sorted(classes.rglob("*")):
        if path.is_file():
            entries[path.relative_to(classes).as_posix()] = path.read_bytes()
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as jar:
        for name in sorted(entries, key=lambda name: (name != "META-INF/MANIFEST.MF", name)):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            jar.writestr(entry, entries[name])
    temporary.replace(out)


if __name__ == "__main__":
    write_jar(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
