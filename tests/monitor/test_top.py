# SPDX-License-Identifier: Apache-2.0
"""`sardonyx service top` of a server with traffic."""
import json, pathlib, subprocess, sys, time, unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent), str(pathlib.Path(__file__).resolve().parent.parent / "server")]
from serving import PROGRAM, WORK, Server, main

ROW = {"data": [[1, 2, 3]]}


def top(*words):
    return subprocess.run([PROGRAM, "service", "top", *words], capture_output=True, text=True, timeout=60, check=False)


class Top(unittest.TestCase):
    def test_what_it_tells(self):
        with Server(["rows", "log"]) as server:
            for _ in range(40):
                server.score(ROW)
            server.score({"data": "wrong"})
            url = f"http://127.0.0.1:{server.port}/"
            rows, = (r for r in json.loads(top("--url", url, "--json").stdout) if r["model"] == "rows")
            self.assertEqual((rows["version"], rows["failed_ratio"], rows["waiting"], rows["alerts"]), ("1", 0, 0, 0))
            self.assertAlmostEqual(rows["requests_per_second"] * rows["seconds"], 41, places=3)
            self.assertTrue(0 < rows["p50_ms"] <= rows["p99_ms"] < 20000, rows)
            once = top("--url", url, "--once").stdout
            self.assertIn("requests/s", once)
            self.assertIn("rows", once)
            self.assertNotIn("\033", once)
            live = subprocess.Popen([PROGRAM, "service", "top", "--url", url, "--interval", "0.3"], stdout=subprocess.PIPE, text=True)
            end = time.monotonic() + 3
            while time.monotonic() < end:
                server.score(ROW)
            live.terminate()
            self.assertIn("█", live.communicate()[0])

    def test_refusals(self):
        key = WORK / "keys"
        key.write_text("first-" + "0" * 16 + "\n")
        key.chmod(0o600)
        with Server(["rows"], "--keys", str(key)) as server:
            url = f"http://127.0.0.1:{server.port}"
            refused = top("--url", url, "--once")
            self.assertEqual(refused.returncode, 1)
            self.assertIn("--key-file", refused.stderr)
            self.assertEqual(top("--url", url, "--once", "--key-file", str(key)).returncode, 0)
        self.assertEqual(top().returncode, 2)
        self.assertEqual(top("--url", "http://127.0.0.1:1", "--once").returncode, 1)


if __name__ == "__main__":
    sys.exit(main())
