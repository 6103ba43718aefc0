#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stranger's three commands (README.md) in a Debian made by debootstrap: each ends within a minute, and the model
answers. SKIPPED where debootstrap is not installed, the user may not make one, or no mirror is reached."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from lab import twice  # noqa: E402
import suite  # noqa: E402

BASE, HERE = ROOT / "build/debian/base", ROOT / "build/debian/try"
MIRROR = "http://deb.debian.org/debian"


def commands():
    text = (ROOT / "README.md").read_text().split("in a bare Debian container:", 1)[1]
    return [line.split("#")[0].strip() for line in re.search(r"```\n(.*?)```", text, re.S).group(1).strip().split("\n")]


class Debian(unittest.TestCase):
    def setUp(self):
        if not shutil.which("debootstrap") or not shutil.which("cpack") or not shutil.which("dpkg-shlibdeps"):
            self.skipTest("debootstrap, cpack or dpkg-shlibdeps is not installed")
        if os.geteuid():
            self.skipTest("only root may make a Debian")
        if not (BASE / "etc/debian_version").exists():
            shutil.rmtree(BASE, ignore_errors=True)
            made = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", BASE, MIRROR], capture_output=True, text=True,
                                  check=False)
            if made.returncode:
                self.skipTest("debootstrap: " + made.stdout.strip().split("\n")[-1])
        shutil.rmtree(HERE, ignore_errors=True)
        subprocess.run(["cp", "-a", BASE, HERE], check=True)
        for folder in ("proc", "dev"):
            self.addCleanup(subprocess.run, ["umount", "-l", HERE / folder], check=True)
            subprocess.run(["mount", "--rbind", "/" + folder, HERE / folder], check=True)
        shutil.copy("/etc/resolv.conf", HERE / "etc")

    def inside(self, line):
        done = subprocess.run(["chroot", HERE, "/usr/bin/env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                               "DEBIAN_FRONTEND=noninteractive", "sh", "-c", "cd /root && " + line],
                              capture_output=True, text=True, timeout=600, check=False)
        self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def test_three_commands(self):
        subprocess.run(["cpack", "-B", "packages"], cwd=ROOT / "build", check=True, stdout=subprocess.DEVNULL)
        for package in (ROOT / "build/packages").glob("*.deb"):
            shutil.copy(package, HERE / "root")
        (HERE / "root/model.onnx").write_bytes(twice())
        self.assertEqual(len(commands()), 3)
        self.addCleanup(self.inside, "sardonyx workspace delete --yes")  # ends the service
        for line in commands():
            begin = time.monotonic()
            said = self.inside(line)
            took = time.monotonic() - begin
            print(f"{took:.1f} s: {line}")
            self.assertLess(took, 60)
        self.assertRegex(said, r"state +Healthy")
        self.assertRegex(said, r"scoring_uri +http://127.0.0.1:\d+/score")
        (HERE / "root/request.json").write_text('{"data": [[1, 2, 3]]}')
        self.assertEqual(self.inside("sardonyx service run model request.json"), '{"result":[[2,4,6]]}\n')


if __name__ == "__main__":
    sys.exit(suite.run())
