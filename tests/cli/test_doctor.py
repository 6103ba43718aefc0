#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`sardonyx doctor`: what the machine offers, and what is wrong where it is made so. Standard library only."""
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import lab  # noqa: E402
import suite  # noqa: E402


class Doctor(lab.Case):
    workspace = False

    def doctor(self, *prefix, code=0, **environment):
        """{check: what was found} by name, under a prefix such as `prlimit`."""
        began = time.monotonic()
        done = subprocess.run([*prefix, lab.COMMAND, "doctor", "--json"], capture_output=True, text=True, cwd=self.folder,
                              env={**os.environ, **environment}, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (code, ""), done.stdout)
        self.assertLess(time.monotonic() - began, 5)
        said = json.loads(done.stdout)
        checks = {c["check"]: c for c in said["checks"]}
        self.assertEqual(said["problems"], sum(c["state"] == "problem" for c in said["checks"]))
        self.assertEqual([c for c in said["checks"] if ("hint" in c) != (c["state"] != "ok")], [])
        self.assertEqual(list(self.folder.rglob("*")), [])
        return checks

    def test_doctor(self):
        checks = self.doctor()
        self.assertLessEqual({"kernels", "processors", "memory", "open files", "workspace", "cache", "temporary", "python",
                              "containers", "rootless", "sandbox", "port", "libraries", "locale"}, set(checks))
        kernels = json.loads(self.command("kernels", "--json").stdout)
        self.assertIn(f"tier {kernels['tier']}", checks["kernels"]["found"])
        self.assertIn(f"{kernels['cpus']} of", checks["processors"]["found"])
        self.assertLessEqual(max(map(len, self.command("doctor").stdout.splitlines())), 80)

    def test_doctor_findings(self):
        """What is wrong is found, and only problems make the exit code 1."""
        self.assertEqual(self.doctor(SARDONYX_CPU="portable")["kernels"]["state"], "note")
        self.assertEqual(self.doctor(LC_ALL="C")["locale"]["state"], "note")
        nothing = self.doctor(PATH="/nowhere")
        self.assertEqual((nothing["python"]["found"], nothing["containers"]["found"]), ("no python3 in PATH", "none"))
        self.assertEqual(self.doctor("prlimit", "--nofile=100", code=1)["open files"]["state"], "problem")
        self.assertEqual(self.doctor("prlimit", "--nofile=2000")["open files"]["state"], "note")
        self.assertEqual(self.doctor(TMPDIR="/proc/nothing", code=1)["temporary"]["state"], "problem")
        if len(os.sched_getaffinity(0)) > 1:
            self.assertIn("1 of", self.doctor("taskset", "-c", str(min(os.sched_getaffinity(0))))["processors"]["found"])
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind(("127.0.0.1", 8080))
            except OSError:
                pass  # somebody else has it
            taken.listen()
            self.assertEqual(self.doctor()["port"]["found"], "8080 is taken")


if __name__ == "__main__":
    sys.exit(suite.run())
