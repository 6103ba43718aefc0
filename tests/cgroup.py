# SPDX-License-Identifier: Apache-2.0
"""A control group with one processor of quota and 512 MiB, for tests of what a container sees. It is made by hand where
this process may (version 1 or 2), else by systemd-run; `group()` raises Unavailable with the reason where neither works.

    with cgroup.group() as inside:
        subprocess.run([*inside, "program", "argument"])
"""
import contextlib
import os
import pathlib
import subprocess

MEMORY_BYTES = 512 << 20


class Unavailable(Exception):
    pass


def _mounts():
    """[(type, options, mount point)] of the hierarchies."""
    lines = [line.split(" - ") for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    return [(tail.split()[0], tail.split()[2].split(","), pathlib.Path(head.split()[4])) for head, tail in lines
            if tail.startswith("cgroup")]


def _own(mounts, controller):
    """This process's folder in the hierarchy of a controller; "" is version 2."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(",") if controller else not names:
            for kind, options, point in mounts:
                if (kind == "cgroup2" if not controller else kind == "cgroup" and controller in options) and \
                        (point / path.lstrip("/")).is_dir():
                    return point / path.lstrip("/")
    raise OSError(f"no hierarchy for {controller or 'version 2'}")


def _make(folder, values):
    folder.mkdir()
    for name, value in values.items():
        (folder / name).write_text(str(value))
    return folder


def _by_hand():
    """The folders of a new group."""
    mounts, name, made = _mounts(), f"sardonyx-test-{os.getpid()}", []
    if not os.access(next((point for _, _, point in mounts), "/"), os.W_OK):
        raise OSError("the control groups are not mounted writable")
    try:
        if any(kind == "cgroup" and "memory" in options for kind, options, _ in mounts):
            made.append(_make(_own(mounts, "cpu") / name, {"cpu.cfs_period_us": 100000, "cpu.cfs_quota_us": 100000}))
            made.append(_make(_own(mounts, "memory") / name, {"memory.limit_in_bytes": MEMORY_BYTES}))
        else:
            parent = _own(mounts, "")
            (parent / "cgroup.subtree_control").write_text("+cpu +memory")
            made.append(_make(parent / name, {"cpu.max": "100000 100000", "memory.max": MEMORY_BYTES}))
        return made
    except OSError:
        _remove(made)
        raise


def _remove(folders):
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def group():
    try:
        folders = _by_hand()
    except OSError as error:
        scope = ["systemd-run", "--quiet", "--scope", *([] if os.getuid() == 0 else ["--user"]), "-p", "CPUQuota=100%",
                 "-p", f"MemoryMax={MEMORY_BYTES}", "--"]
        try:
            tried = subprocess.run([*scope, "true"], capture_output=True, text=True, timeout=30, check=False)
            refusal = tried.stderr.strip() if tried.returncode else None
        except (OSError, subprocess.TimeoutExpired) as failure:
            refusal = str(failure)
        if refusal:
            raise Unavailable(f"no control group can be made ({error}), and systemd-run says: {refusal}") from None
        yield scope
        return
    try:
        enter = " && ".join(f"echo $$ >'{folder}/cgroup.procs'" for folder in folders)
        yield ["sh", "-c", f'{enter} && exec "$@"', "sh"]
    finally:
        _remove(folders)
