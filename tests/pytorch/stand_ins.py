# SPDX-License-Identifier: Apache-2.0
"""Libraries of CUDA by name alone. PyTorch's wheel on PyPI is linked against gigabytes of them, of which a machine without
such a card calls nothing but what looks for one; a library with the same functions, which all fail, is enough.

    stand_ins.py TARGET FOLDER-OF-LIBRARIES ...
"""
import collections
import pathlib
import re
import subprocess
import sys

NAMES = re.compile(r"lib(cu|nccl|nvrtc|nvshmem|nvJitLink)")
FUNCTIONS = re.compile(r"(__cuda|cu[A-Z_a-z]|nccl|nvrtc|nvshmem)")


def said(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True).stdout


def needs_of(library):
    """Names of libraries, and functions by (library or "", version)."""
    names = {n for n in re.findall(r"\(NEEDED\).*\[(.*?)\]", said("readelf", "-d", library)) if NAMES.match(n)}
    owners, owner = {}, ""
    for line in said("readelf", "-V", "-W", library).splitlines():
        file, version = re.search(r"File: (\S+)", line), re.search(r"Name: (\S+)\s+Flags", line)
        owner = file.group(1) if file else owner
        if version:
            owners[version.group(1)] = owner
    functions = collections.defaultdict(set)
    for line in said("nm", "-D", "--undefined-only", library).splitlines():
        name, _, version = line.split()[-1].partition("@")
        version = version.lstrip("@")
        if version in owners or FUNCTIONS.match(name):
            functions[owners.get(version, ""), version].add(name)
    return names, functions


def build(target, name, versions):
    """versions: functions by version, "" for none."""
    source, script = target / "source.c", target / "versions"
    every = sorted(set().union(*versions.values())) if versions else []
    # Registration gives a handle, which is kept; all else says that there is no device.
    source.write_text("".join(f"long {f}(void) {{ return {0 if f.startswith('__') or f.endswith('LastError') else 100}; }}\n"
                              for f in every))
    script.write_text("".join(f"{v} {{ global: {' '.join(f + ';' for f in sorted(fs))} }};\n" for v, fs in versions.items() if v))
    link = [f"-Wl,--version-script,{script}"] if script.stat().st_size else []
    said("gcc", "-w", "-shared", "-fPIC", "-o", target / name, source, f"-Wl,-soname,{name}", *link)


def make(target, *folders):
    target.mkdir(exist_ok=True)
    names, by_library = set(), collections.defaultdict(lambda: collections.defaultdict(set))
    for library in (file for folder in folders for file in folder.glob("*.so*")):
        needed, functions = needs_of(library)
        names |= needed
        for (owner, version), those in functions.items():
            for name in [owner] if owner else ["libcuda.so.1", "libnccl.so.2"]:
                by_library[name][version] |= those
    for name in names:
        build(target, name, by_library[name])


if __name__ == "__main__":
    make(*map(pathlib.Path, sys.argv[1:]))
