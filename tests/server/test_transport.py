# SPDX-License-Identifier: Apache-2.0
"""What carries requests: Unix sockets, IPv6, TLS and its certificates, compressed bodies, proxies."""
import gzip, http.client, json, os, pathlib, signal, socket, ssl, stat, subprocess, sys, time, unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv

venv.enter("server")
import trustme, zstandard
from serving import BODY, GOOD, JSON, PROGRAM, WORK, Server, drain, finish, main, request, status_of, wait_for

ROWS = b'{"result":[[1,2,3]]}'


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def over(s, data=GOOD):
    """The answer to one request over a connected socket, which is closed."""
    with s:
        s.settimeout(10)
        s.sendall(data)
        response = http.client.HTTPResponse(s)
        response.begin()
        return finish(response)


class Addresses(unittest.TestCase):
    path = str(WORK / "socket")

    def unix(self):
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.path)
        return s

    def test_unix_socket(self):
        with Server(["rows"], "--unix", self.path, "--access-log") as server:
            self.assertEqual(server.port, 0)
            self.assertEqual(over(self.unix())[2], ROWS)
            index = over(self.unix(), request("/v2/repository/index", b""))
            self.assertEqual(index[0], 200)  # whoever may open the socket is on this machine
            self.assertIn(" unix POST ", server.text())
            second = subprocess.run([PROGRAM, "serve", str(WORK / "rows.onnx"), "--unix", self.path], capture_output=True)
            self.assertIn(b"Address already in use", second.stderr)
            self.assertEqual(over(self.unix())[2], ROWS)
        self.assertFalse(os.path.exists(self.path))

    def test_unix_beside_tcp(self):
        with Server(["rows"], "--unix", self.path, "--host", "127.0.0.1") as server:
            self.assertEqual(over(self.unix())[2], ROWS)
            self.assertEqual(over(server.connect())[2], ROWS)

    def test_what_lies_at_the_path(self):
        server = Server(["rows"], "--unix", self.path)
        server.process.kill()
        server.stop()
        self.assertTrue(stat.S_ISSOCK(os.stat(self.path).st_mode))
        with Server(["rows"], "--unix", self.path):  # a socket nobody listens on is left over
            self.assertEqual(over(self.unix())[2], ROWS)
        pathlib.Path(self.path).write_text("precious")
        refused = subprocess.run([PROGRAM, "serve", str(WORK / "rows.onnx"), "--unix", self.path], capture_output=True)
        self.assertEqual((refused.returncode, pathlib.Path(self.path).read_text()), (1, "precious"))
        os.unlink(self.path)

    @unittest.skipUnless(has_ipv6(), "this machine has no IPv6")
    def test_ipv6(self):
        for host in ("[::1]", "::1"):
            with Server(["rows"], "--host", host) as server:
                self.assertEqual(over(socket.create_connection(("::1", server.port)))[2], ROWS)

    @unittest.skipUnless(has_ipv6(), "this machine has no IPv6")
    def test_all_addresses(self):
        with Server(["rows"], "--host", "127.0.0.1", "--host", "::1") as server:
            for host in ("127.0.0.1", "::1"):
                self.assertEqual(over(socket.create_connection((host, server.port)))[2], ROWS)

    def test_wrong_hosts(self):
        for host in ("no.such.host.invalid", "[::1", "1.2.3.4.5", ""):
            words = [PROGRAM, "serve", str(WORK / "rows.onnx"), "--port", "0", "--host", host]
            refused = subprocess.run(words, capture_output=True, text=True, timeout=60)
            self.assertEqual(refused.returncode, 1, refused)
            self.assertIn("--host", refused.stderr)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = trustme.CA()
        cls.files = [str(WORK / "certificate.pem"), str(WORK / "key.pem")]
        cls.options = ["--tls-cert", cls.files[0], "--tls-key", cls.files[1]]

    def setUp(self):
        self.issue("localhost")

    def issue(self, name):
        """A certificate for the name, put in place as tools do: written beside and renamed."""
        made = self.authority.issue_cert(name)
        made.private_key_pem.write_to_path(self.files[1] + ".new")
        os.replace(self.files[1] + ".new", self.files[1])
        made.private_key_and_cert_chain_pem.write_to_path(self.files[0] + ".new")
        os.replace(self.files[0] + ".new", self.files[0])

    def connect(self, server, name="localhost", protocols=("http/1.1",)):
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        context.set_alpn_protocols(protocols)
        return context.wrap_socket(server.connect(), server_hostname=name)

    def test_https(self):
        with Server(["rows"], *self.options) as server:
            self.assertEqual(over(self.connect(server))[2], ROWS)
            s = self.connect(server)
            self.assertIn(s.version(), ("TLSv1.2", "TLSv1.3"))
            for _ in range(3):  # the connection stays
                s.sendall(GOOD)
                response = http.client.HTTPResponse(s)
                response.begin()
                self.assertEqual(response.read(), ROWS)
            s.close()
            big = b'{"data":[' + b",".join([b"[1,2,3]"] * 200000) + b"]}"
            self.assertEqual(len(json.loads(over(self.connect(server), request("/score", big, JSON))[2])["result"]), 200000)

    def test_alpn(self):
        with Server(["rows"], *self.options) as server:
            for offered, chosen in ((["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (["spdy/3"], None)):
                with self.connect(server, protocols=offered) as s:
                    self.assertEqual(s.selected_alpn_protocol(), chosen)
            self.assertEqual(over(self.connect(server, protocols=["spdy/3"]))[2], ROWS)

    def test_half_closed(self):
        with Server(["rows"], *self.options) as server:
            raw = server.connect()
            context = ssl._create_unverified_context()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            s = context.wrap_bio(incoming, outgoing, server_hostname="localhost")

            def pump(step):
                while True:
                    try:
                        return step()
                    except ssl.SSLWantReadError:
                        if outgoing.pending:
                            raw.sendall(outgoing.read())
                        incoming.write(raw.recv(65536))

            pump(s.do_handshake)
            s.write(GOOD)
            raw.sendall(outgoing.read())
            raw.shutdown(socket.SHUT_WR)
            self.assertIn(ROWS, pump(lambda: s.read(4096)))
            raw.close()
            self.assertTrue(wait_for(lambda: over(self.connect(server), request("/metrics", b"", method="GET"))[2]
                                     .find(b"sardonyx_connections 1\n") > 0))

    def test_not_tls(self):
        with Server(["rows"], *self.options, "--head-timeout-ms", "500") as server:
            out, closed = server.raw(GOOD)
            self.assertTrue(closed and b"HTTP/" not in out, out)
            out, closed = server.raw(b"\x16\x03\x01\x02\x00")  # a handshake that never goes on
            self.assertTrue(closed, out)
            self.assertEqual(over(self.connect(server))[2], ROWS)

    def test_certificates_are_read_again(self):
        for signalled in (True, False):
            with self.subTest(signalled=signalled):
                self.issue("localhost")
                with Server(["rows"], *self.options) as server:
                    old = self.connect(server)
                    self.issue("second.example")
                    if signalled:
                        server.process.send_signal(signal.SIGHUP)

                    def renewed():
                        try:
                            self.connect(server, "second.example").close()
                            return True
                        except ssl.SSLCertVerificationError:
                            return False

                    self.assertTrue(wait_for(renewed))
                    self.assertEqual(over(old)[2], ROWS)  # connections stay
                    self.assertIn("the certificate was read again", server.text())

    def test_bad_certificates(self):
        with Server(["rows"], *self.options) as server:
            pathlib.Path(self.files[0]).write_text("nothing of use")
            server.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_for(lambda: "the certificate stays as it was" in server.text()))
            self.assertEqual(over(self.connect(server))[2], ROWS)
        words = [PROGRAM, "serve", str(WORK / "rows.onnx"), "--port", "0"]
        for options in (self.options, ["--tls-cert", str(WORK / "none"), "--tls-key", self.files[1]]):
            refused = subprocess.run([*words, *options], capture_output=True, text=True)
            self.assertEqual(refused.returncode, 1)
            self.assertIn(options[1], refused.stderr)
        self.issue("localhost")
        other = trustme.CA().issue_cert("localhost")
        other.private_key_pem.write_to_path(self.files[1])
        refused = subprocess.run([*words, *self.options], capture_output=True, text=True)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("key values mismatch", refused.stderr)
        self.assertEqual(subprocess.run([*words, *self.options[:2]], capture_output=True).returncode, 2)


class Codings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(["rows", "bytes8"], "--max-body-bytes", "1000000")
        cls.ask = cls.server.ask

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0

    def score(self, body, coding, **more):
        return self.ask("POST", "/score", body, {"Content-Type": "application/json", "Content-Encoding": coding, **more})

    def test_requests(self):
        for coding, data in (
            ("gzip", gzip.compress(BODY)),
            ("x-gzip", gzip.compress(BODY)),
            ("GZIP", gzip.compress(BODY[:5]) + gzip.compress(BODY[5:])),  # members in a row are one body
            ("zstd", zstandard.compress(BODY)),
            ("zstd", zstandard.compress(BODY[:5]) + zstandard.compress(BODY[5:])),
            ("identity", BODY),
        ):
            self.assertEqual(self.score(data, coding)[::2], (200, ROWS), coding)
        big = b'{"data":[' + b",".join([b"[1,2,3]"] * 100000) + b"]}"
        for coding, data in (("gzip", gzip.compress(big)), ("zstd", zstandard.compress(big))):
            self.assertEqual(len(json.loads(self.score(data, coding)[2])["result"]), 100000)
        tensor = gzip.compress(bytes(range(256)))
        answer = self.ask("POST", "/v2/models/bytes8/infer", tensor, {
            "Content-Type": "application/octet-stream", "Content-Encoding": "gzip", "Inference-Header-Content-Length": "0"})
        self.assertTrue(answer[0] == 200 and answer[2].endswith(bytes(range(256))))

    def test_empty(self):
        """The first request of a connection, whose exchange has held no body yet."""
        for coding in ("gzip", "zstd"):
            out, _ = self.server.raw(request("/score", b"", JSON, f"Content-Encoding: {coding}", "Connection: close"))
            self.assertEqual(status_of(out), 400, out)
            self.assertIn(f"the {coding} body is empty".encode(), out)

    def test_bombs_and_damage(self):
        bomb = b" " * 100000000
        for coding, compress in (("gzip", gzip.compress), ("zstd", zstandard.compress)):
            before = self.server.metric("process_resident_memory_bytes")
            for _ in range(5):
                answer = self.score(compress(bomb), coding)
                self.assertEqual(answer[0], 413)
                self.assertIn("expands to more than 1000000 bytes (limit max-body-bytes)", json.loads(answer[2])["error"])
            if "ASAN_OPTIONS" not in os.environ:
                self.assertLess(self.server.metric("process_resident_memory_bytes") - before, 8 << 20)
            good = compress(BODY)
            for wrong in (good[:-1], good[: len(good) // 2], b"", b"x" + good, good + b"x", BODY):
                self.assertEqual(self.score(wrong, coding)[0], 400, (coding, wrong))
        for coding in ("br", "deflate", "gzip, gzip", "gzip;q=1", ""):
            answer = self.score(BODY, coding)
            self.assertEqual((answer[0], answer[1].get("accept-encoding")), (415, "gzip, zstd"), coding)
        self.assertEqual(self.server.metric("sardonyx_buffered_bytes"), 0)

    def test_responses(self):
        rows = [[i, 2, 3] for i in range(2000)]
        body = json.dumps({"data": rows}).encode()
        head = {"Content-Type": "application/json"}
        plain = self.ask("POST", "/score", body, head)
        self.assertNotIn("content-encoding", plain[1])
        zstd = lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)
        for accept, coding, decompress in (
            ("gzip", "gzip", gzip.decompress),
            ("zstd", "zstd", zstd),
            ("gzip, zstd, br", "zstd", zstd),
            ("zstd;q=0.5, gzip;q=0.9", "gzip", gzip.decompress),
            ("gzip;q=0", None, bytes),
            ("br, identity", None, bytes),
            ("", None, bytes),
        ):
            status, headers, data = self.ask("POST", "/score", body, {**head, "Accept-Encoding": accept})
            self.assertEqual((status, headers.get("content-encoding")), (200, coding), accept)
            self.assertEqual(decompress(data), plain[2])
            self.assertEqual(headers.get("vary"), coding and "Accept-Encoding")
            self.assertEqual("content-length" in headers, coding is None)
        small = self.ask("POST", "/score", BODY, {**head, "Accept-Encoding": "gzip"})
        self.assertNotIn("content-encoding", small[1])
        metrics = self.ask("HEAD", "/metrics", None, {"Accept-Encoding": "gzip"})
        self.assertEqual((metrics[0], metrics[2]), (200, b""))
        old = self.server.raw(b"POST /score HTTP/1.0\r\nAccept-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
                              % (len(body), body))[0]
        self.assertTrue(old.endswith(plain[2]) and b"chunked" not in old)


class Proxies(unittest.TestCase):
    def clients(self, headers, *options):
        """Who the access log says has asked, with each list of headers."""
        with Server(["rows"], "--access-log", *options) as server:
            asked = [status_of(server.raw(request("/score", BODY, JSON, "Connection: close", *h))[0]) for h in headers]
            self.assertTrue(wait_for(lambda: server.text().count(" POST ") == len(headers)))
            lines = [line.split() for line in server.text().splitlines() if " POST " in line]
            return [line[1] if status == 200 else status for line, status in zip(lines, asked)]

    def test_who_asks(self):
        headers = (
            [],
            ["X-Forwarded-For: 192.0.2.1"],
            ["X-Forwarded-For: 203.0.113.9, 192.0.2.1"],  # what the proxy added counts, not what it was told
            ["X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 192.0.2.1"],
            ["X-Forwarded-For: 192.0.2.1, 10.1.2.3"],
            ['Forwarded: for=192.0.2.1;proto=http, for="[2001:db8::1]:80"'],
            ["Forwarded: for=unknown"],
            ["Forwarded: for=_hidden, for=10.1.2.3"],
            ["X-Forwarded-For: 2001:db8::2"],
            ["X-Forwarded-For: 192.0.2.1:4711"],
            ["Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.2"],
            ["X-Forwarded-For: " + ",".join(["10.0.0.1"] * 100)],
        )
        trusted = ["127.0.0.1", "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1", "2001:db8::1", "127.0.0.1", "10.1.2.3",
                   "2001:db8::2", "192.0.2.1", 400, 400]
        self.assertEqual(
            self.clients(headers, "--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "10.0.0.0/8"), trusted)
        self.assertEqual(set(self.clients(headers)), {"127.0.0.1"})
        self.assertEqual(set(self.clients(headers, "--trusted-proxy", "10.0.0.0/8")), {"127.0.0.1"})

    def test_caps_are_the_clients(self):
        """Clients behind one proxy have limits of their own."""
        with Server(["slow"], "--workers", "1", "--max-client-requests", "1", "--trusted-proxy", "127.0.0.1",
                    "--max-client-connections", "2", "--max-queue-wait-ms", "60000") as server:
            sockets = []
            for client in ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.3"):
                s = server.connect(60)
                s.sendall(request("/score", b'{"data":[0]}', JSON, f"X-Forwarded-For: {client}", "Connection: close"))
                sockets.append(s)
                time.sleep(0.05)
            self.assertEqual([status_of(drain(s)[0]) for s in sockets], [200, 200, 200, 429])
            for s in sockets:
                s.close()

    def test_management_is_local(self):
        index = lambda *headers: request("/v2/repository/index", b"", "Connection: close", *headers)
        asked = lambda server, *headers: status_of(server.raw(index(*headers))[0])
        with Server(["rows"]) as server:
            self.assertEqual(asked(server), 200)
            self.assertEqual(asked(server, "X-Forwarded-For: 127.0.0.1"), 403)  # somebody speaks for somebody
        with Server(["rows"], "--trusted-proxy", "127.0.0.1") as server:
            self.assertEqual(asked(server, "X-Forwarded-For: 192.0.2.1"), 403)
            self.assertEqual(asked(server, "X-Forwarded-For: 127.0.0.1"), 200)

    def test_command_line(self):
        for word in ("x", "10.0.0.0/33", "10.0.0.0/", "::1/129", "10.0.0/8", "/8"):
            words = [PROGRAM, "serve", str(WORK / "rows.onnx"), "--port", "0", "--trusted-proxy", word]
            refused = subprocess.run(words, capture_output=True, text=True, timeout=20)
            self.assertEqual(refused.returncode, 2, word)
            self.assertIn("--trusted-proxy", refused.stderr)


if __name__ == "__main__":
    sys.exit(main())
