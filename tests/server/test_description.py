# SPDX-License-Identifier: Apache-2.0
"""What the server says of itself is true: schemathesis asks what /openapi.json and /swagger.json allow and what they do
not, and compares every answer."""
import json, pathlib, re, subprocess, sys, unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv

venv.enter("server")
from serving import LONG, ROOT, WORK, Server, main

# No schema can say that `data` has as many elements as the numbers of `shape` multiply to, or that each input is there
# once: where a dimension is free or there are several inputs, what a schema allows may still be refused.
# Nor what a table must hold to be a model's inputs.
# A request may ask to be given up after a microsecond, and is: 504.
CONFIG = """
seed = 7
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "504"]
[phases.stateful]
enabled = false
[[operations]]
include-path-regex = "/v2/models/(?!image/)[^/]+/(versions/1/)?infer$|:predict$|^/invocations$"
checks.positive_data_acceptance.enabled = false
"""


class Description(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(["rows", "pair", "image", "text", "flags", "half", "zipmap", "scaled", "scalar", "fixed"])
        (WORK / "schemathesis.toml").write_text(CONFIG)

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0

    def holds(self, path, *options):
        words = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(WORK / "schemathesis.toml"), "run",
                 f"http://127.0.0.1:{self.server.port}{path}", "--max-examples", "100" if LONG else "4", "--no-color"]
        done = subprocess.run([*words, *options], capture_output=True, text=True, cwd=WORK)
        tested = re.search(r"Tested: (\d+)", done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
        return int(tested[1])

    def test_openapi(self):
        # Once a model is unloaded its paths answer 503, as they should.
        self.assertGreater(self.holds("/openapi.json", "--exclude-path-regex", "/unload$"), 80)

    def test_swagger(self):
        self.assertEqual(self.holds("/swagger.json"), 2)

    def test_what_json_cannot_carry_is_not_offered(self):
        server = Server(["complex"])
        content = json.loads(server.ask("GET", "/openapi.json")[2])["paths"]["/score"]["post"]["requestBody"]["content"]
        bodies = [s["properties"] for s in content["application/json"]["schema"]["anyOf"]]
        self.assertEqual([b["x"]["anyOf"][0]["items"] for b in bodies if "x" in b], [{"not": {}}])
        self.assertEqual(server.ask("POST", "/score", b'{"x": [1, 2]}')[0], 400)
        self.assertEqual(server.stop(), 0)

    def test_every_path_is_described(self):
        """The patterns of all routes, with the words written out."""
        paths = json.loads(self.server.ask("GET", "/openapi.json")[2])["paths"]
        source = "".join(f.read_text() for f in (ROOT / "server/routes").glob("[!g]*.c"))
        # What people see is not described.
        source = re.sub(r"HTTP_ROUTE\(\w+\) = \{PAGE,.*?\};", "", source, flags=re.S)
        patterns = [p for block in re.findall(r"\.paths\s*=\s*\{(.*?)\},?\n?\s*\.", source, re.S)
                    for p in re.findall(r'"(/[^"]*)"', block)]
        self.assertGreater(len(patterns), 20)
        for pattern in patterns:
            self.assertIn(pattern.replace("{model}", "rows").replace("{version}", "1"), paths)


if __name__ == "__main__":
    sys.exit(main())
