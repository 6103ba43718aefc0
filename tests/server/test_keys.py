# SPDX-License-Identifier: Apache-2.0
"""Keys of the endpoint: what asks for one, what is taken for one, replacing them while the server runs."""
import json, signal, subprocess, sys, unittest

from serving import PROGRAM, WORK, Server, main, wait_for

OPEN = {"/", "/health/live", "/v2/health/live", "/health/ready", "/v2/health/ready", "/ping"}
FIRST, SECOND, THIRD = "first-" + "0" * 16, "second-" + "1" * 16, "third-" + "2" * 16


def key_file(*lines):
    path = WORK / "keys"
    path.write_text("".join(line + "\n" for line in lines))
    path.chmod(0o600)
    return path


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


class Keys(unittest.TestCase):
    def test_every_path_but_health_asks_for_one(self):
        with Server(["rows", "log"], "--keys", str(key_file(FIRST))) as server:
            paths = json.loads(server.ask("GET", "/openapi.json", headers=bearer(FIRST))[2])["paths"]
            self.assertGreater(len(paths), 15)
            for path, operations in paths.items():
                for method in operations.keys() - {"parameters"}:
                    body = "{}" if method == "post" else None
                    status, head, _ = server.ask(method.upper(), path, body, {"Content-Type": "application/json"})
                    with self.subTest(f"{method} {path}"):
                        self.assertEqual(status == 401, path not in OPEN, status)
                        self.assertEqual(head.get("www-authenticate"), "Bearer" if path not in OPEN else None)

    def test_what_is_a_key(self):
        with Server(["rows"], "--keys", str(key_file(FIRST, "", SECOND))) as server:
            ask = lambda headers: server.ask("POST", "/score", '{"data": [[1, 2, 3]]}', {"Content-Type": "application/json", **headers})[0]
            for key in (FIRST, SECOND):
                self.assertEqual(ask(bearer(key)), 200)
                self.assertEqual(ask({"authorization": f"bearer {key}"}), 200)
            for headers in ({}, bearer(""), bearer(FIRST[:-1]), bearer(FIRST + "0"), bearer(THIRD), bearer(FIRST.upper()),
                            {"Authorization": FIRST}, {"Authorization": f"Basic {FIRST}"}):
                self.assertEqual(ask(headers), 401, headers)
            self.assertNotIn(FIRST, server.text())
            self.assertIn('code="401"', server.ask("GET", "/metrics", headers=bearer(FIRST))[2].decode())

    def test_keys_are_replaced_while_it_runs(self):
        path = key_file(FIRST, SECOND)
        with Server(["rows"], "--keys", str(path)) as server:
            status = lambda key: server.ask("GET", "/v2", headers=bearer(key))[0]
            key_file(SECOND, THIRD)
            server.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_for(lambda: status(THIRD) == 200))
            self.assertEqual((status(FIRST), status(SECOND)), (401, 200))
            key_file("short")
            server.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_for(lambda: "the old keys stay in force" in server.text()))
            self.assertEqual((status(SECOND), status(THIRD)), (200, 200))

    def test_files_that_are_no_good(self):
        cases = ((["short"], "16 to 128 visible characters"), (["with a space in it", ], "visible characters"),
                 ([FIRST, SECOND, THIRD], "at most 2 keys"), ([], "there is no key in it"), (["x" * 129], "16 to 128"))
        for lines, words in cases:
            with self.subTest(lines):
                done = subprocess.run([PROGRAM, "serve", str(WORK / "rows.onnx"), "--port", "0", "--keys", str(key_file(*lines))],
                                      capture_output=True, text=True, timeout=20, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(words, done.stderr)
                self.assertTrue(not lines or lines[0] not in done.stderr)
        done = subprocess.run([PROGRAM, "serve", str(WORK / "rows.onnx"), "--keys", "/nowhere/keys"], capture_output=True, text=True,
                              timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/keys", done.stderr)
        path = key_file(FIRST)
        path.chmod(0o644)
        with Server(["rows"], "--keys", str(path)) as server:
            self.assertIn("chmod 600", server.text())


if __name__ == "__main__":
    sys.exit(main())
