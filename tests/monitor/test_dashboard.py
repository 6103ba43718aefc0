# SPDX-License-Identifier: Apache-2.0
"""Dashboard and rules: valid, and about metrics that a server really has. promtool checks the rules where it is installed."""
import json, pathlib, re, shutil, subprocess, sys, unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent), str(pathlib.Path(__file__).resolve().parent.parent / "server")]
from serving import PROGRAM, WORK, Server, main

FOLDER = WORK / "dashboards"


class Dashboard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        done = subprocess.run([PROGRAM, "service", "dashboard", "-o", str(FOLDER)], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        cls.board, cls.rules = (FOLDER / "sardonyx-dashboard.json").read_text(), (FOLDER / "sardonyx-rules.yaml").read_text()

    def test_every_metric_is_there(self):
        with Server(["rows"]) as server:
            server.score({"data": [[1, 2, 3]]})
            page = server.ask("GET", "/metrics")[2].decode()
            names = set(re.findall(r"^# TYPE (\S+)", page, re.M))
            asked = set(re.findall(r"\b((?:sardonyx|process)_[a-z_]+)", self.board + self.rules))
            self.assertGreater(len(asked), 15)
            for name in asked:
                self.assertIn(re.sub("_(bucket|sum|count)$", "", name), names)

    def test_the_dashboard(self):
        board = json.loads(self.board)
        self.assertEqual(len({p["id"] for p in board["panels"]}), len(board["panels"]))
        places = set()
        for panel in board["panels"]:
            self.assertTrue(panel["targets"] and panel["title"])
            at = panel["gridPos"]
            self.assertLessEqual(at["x"] + at["w"], 24)
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(cells & places, panel["title"])
            places |= cells

    def test_promtool(self):
        promtool = shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool is not installed (Debian's package prometheus)")
        done = subprocess.run([promtool, "check", "rules", str(FOLDER / "sardonyx-rules.yaml")], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    sys.exit(main())
