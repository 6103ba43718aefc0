# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 byte by byte: framing, pipelining, split writes, hostile heads."""
import concurrent.futures, http.client, json, os, random, socket, sys, threading, time, unittest

from serving import BODY, GOOD, JSON, Server, Shared, drain, finish, main, request, status_of, wait_for


class Wire(Shared):
    def test_split_at_every_byte(self):
        for cut in range(1, len(GOOD)):
            with self.server.connect() as s:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                s.sendall(GOOD[:cut])
                time.sleep(0.001)
                s.sendall(GOOD[cut:])
                response = http.client.HTTPResponse(s)
                response.begin()
                self.assertEqual((response.status, response.read()), (200, b'{"result":[[1,2,3]]}'), cut)
        with self.server.connect() as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in GOOD:
                s.sendall(bytes([byte]))
            response = http.client.HTTPResponse(s)
            response.begin()
            self.assertEqual(response.status, 200)

    def test_pipelining(self):
        with self.server.connect() as s:
            bodies = [json.dumps({"data": [[i, 0, 0]]}).encode() for i in range(1000)]
            sender = threading.Thread(target=lambda: s.sendall(b"".join(request("/score", b, JSON) for b in bodies)))
            sender.start()
            with s.makefile("rb") as stream:
                for i in range(1000):
                    self.assertEqual(stream.readline(), b"HTTP/1.1 200 OK\r\n")
                    size = 0
                    while (line := stream.readline()) != b"\r\n":
                        if line.lower().startswith(b"content-length:"):
                            size = int(line.split(b":")[1])
                    self.assertEqual(json.loads(stream.read(size)), {"result": [[i, 0, 0]]})
            sender.join()

    def test_keep_alive_survives_errors(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        for body, status in (
            (BODY, 200),
            (b'{"data":', 400),
            (BODY, 200),
            (b'{"data":[[1]]}', 400),
            (BODY, 200),
        ):
            connection.request("POST", "/score", body, {"Content-Type": "application/json"})
            local = connection.sock
            self.assertEqual(finish(connection.getresponse())[0], status)
            self.assertIs(connection.sock, local)
        for path, status in (("/nothing", 404), ("/score", 415)):
            connection.request("POST", path, b"x" * 1000, {"Content-Type": "text/plain"})
            self.assertEqual(finish(connection.getresponse())[0], status)
        connection.request("POST", "/score", BODY)
        self.assertEqual(finish(connection.getresponse())[0], 200)
        connection.close()

    def test_chunked(self):
        pieces = lambda *sizes: b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in sizes) + b"0\r\n\r\n"
        chunked = lambda data: request("/score", data, JSON, "Transfer-Encoding: chunked", length=False)
        for data in (
            pieces(BODY),
            pieces(*[BODY[i : i + 1] for i in range(len(BODY))]),
            b"12;a=b\r\n" + BODY + b"\r\n0\r\nX: y\r\n\r\n",
        ):
            out, _ = self.server.raw(chunked(data) + request("/", b"", "Connection: close", method="GET"))
            self.assertEqual(out.count(b"HTTP/1.1 200"), 2, out)
        for data in (
            b"-3\r\nabc\r\n",
            b"0x12\r\n",
            b"f" * 20 + b"\r\n",
            b"zz\r\n",
            b"\r\n",
            b"12;" + b"a" * 100000,
            b"3\r\nabcd\r\n",
        ):
            out, closed = self.server.raw(chunked(data + b"0\r\n\r\n"))
            self.assertTrue(closed and status_of(out) in (400, 413, 500), (data[:40], out))

    def test_framing_is_strict(self):
        """What two servers may read differently is refused, and nothing behind it is read as a request."""
        smuggled = b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n"
        line = b"POST /score HTTP/1.1\r\n"
        for head in (
            b"Host: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            b"Host: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n",
            b"Host: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n",
            b"Host: x\r\nContent-Length: +3\r\n",
            b"Host: x\r\nContent-Length: 0x3\r\n",
            b"Host: x\r\nContent-Length: 3,3\r\n",
            b"Host: x\r\nContent-Length: -3\r\n",
            b"Host: x\r\nContent-Length: 18446744073709551616\r\n",
            b"Host: x\r\nContent-Length:\r\n",
            b"Host: x\r\nContent-Length: 1 3\r\n",
            b"Host: x\r\nContent-Length: 1\r\n 3\r\n",
            b"Host: x\r\nA: b\r\n c\r\nContent-Length: 3\r\n",
            b"Host: x\r\nA: b\r\n\tc\r\n",
            b"Host: x\r\nA : b\r\nContent-Length: 3\r\n",
            b"Host: x\nContent-Length: 3\r\n",
            b"Host: x\r\nA: b\nContent-Length: 3\r\n",
            b"Host: x\r\nContent-Length: 3\nA: b\r\n",
            b"Host: x\r\nA: b\0c\r\nContent-Length: 3\r\n",
            b"Host: x\r\nA: b\rc\r\nContent-Length: 3\r\n",
            b"Content-Length: 3\r\n",
            b"Host: x\r\nHost: y\r\nContent-Length: 3\r\n",
            b"Host: x\r\nTransfer-Encoding: gzip\r\n",
            b"Host: x\r\nTransfer-Encoding: xchunked\r\n",
            b"Host: x\r\nTransfer-Encoding: chunked, chunked\r\n",
            b"Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            b"Host: x\r\nA\x01B: c\r\nContent-Length: 3\r\n",
            b"Host: x\r\nnocolon\r\nContent-Length: 3\r\n",
            b"Host: x\r\n: v\r\nContent-Length: 3\r\n",
        ):
            out, closed = self.server.raw(line + head + b"\r\n" + b"abc" + smuggled)
            self.assertTrue(closed and b"HTTP/1.1 200" not in out, (head, out))
            self.assertIn(status_of(out), (400, 413), head)
        for first in (
            b"POST  /score HTTP/1.1",
            b"POST /sc\0re HTTP/1.1",
            b"POST /score HTTP/9.1",
            b"PRI * HTTP/2.0",
            b"POST /score",
            b"\x16\x03\x01",
        ):
            out, closed = self.server.raw(first + b"\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + smuggled, wait=2)
            self.assertLessEqual(out.count(b"HTTP/1.1 200"), 0, (first, out))
        self.assertEqual(
            status_of(self.server.raw(b"GET / HTTP/1.1\r\nHost:x\r\nA:   b  \r\nC:\r\n\r\n", wait=0.3)[0]), 200
        )
        self.assertEqual(status_of(self.server.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", wait=0.3)[0]), 200)
        self.assertEqual(status_of(self.server.raw(b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", wait=0.3)[0]), 200)

    def test_every_refusal_is_json_and_logged(self):
        """What is no request has a status, a JSON text and a line in the log like any other."""
        line, host = b"POST /score HTTP/1.1\r\n", b"Host: x\r\n"
        cases = (
            (400, b"\x16\x03\x01\x02\x00\r\n\r\n"),
            (400, b"\r\nGET\r\n\r\n"),
            (400, b"GET / HTTP/1.1\r\n\r\n"),
            (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
            (400, b"GET / HTTP/1.1\nHost: x\n\n"),
            (400, b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n"),
            (505, b"GET / HTTP/2.1\r\nHost: x\r\n\r\n"),
            (414, b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n"),
            (431, line + host + b"A: " + b"x" * 20000),
            (400, line + host + b"Content-Length: +78\r\n\r\n"),
            (400, line + host + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (413, line + host + b"Content-Length: 99999999999\r\n\r\n"),
            (417, line + host + b"Expect: miracles\r\nContent-Length: 3\r\n\r\n"),
            (400, line + host + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n"),
            (400, line + host + b"Transfer-Encoding: chunked\r\n\r\n3;" + b"x" * 1000000),
            (405, b"BREW / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            (404, b"GET /pot HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        )
        with Server(["rows"], "--access-log", "--head-timeout-ms", "500") as server:
            silent = lambda: [(s := server.connect()), s.sendall(b"GET / HT"), s][-1]
            for i, (status, data) in enumerate(cases):
                out, closed = server.raw(data)
                self.assertEqual((status_of(out), closed, out.count(b"HTTP/1.1 ")), (status, True, 1), (data[:60], out))
                head, body = out.split(b"\r\n\r\n", 1)
                self.assertIn("error", json.loads(body))
                self.assertIn(b"Content-Type: application/json", head)
                self.assertIn(b"Connection: close", head)
                self.assertTrue(wait_for(lambda: len(server.text().splitlines()) == i + 2), (data[:60], server.text()))
                self.assertIn(f" {status} ", server.text().splitlines()[-1])
            with silent() as s:
                out, closed = drain(s)
                self.assertEqual((status_of(out), closed), (408, True))
            self.assertIn(" 408 ", server.text().splitlines()[-1])

    def test_heads_too_large(self):
        self.assertEqual(status_of(self.server.raw(b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")[0]), 414)
        for lines in (
            b"A: " + b"x" * 100000 + b"\r\n",
            b"A: b\r\n" * 10000,
            b"A: b\r\n" * 120,
            b"A: " + b"x" * 17000 + b"\r\n",
        ):
            out, closed = self.server.raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
            self.assertEqual((status_of(out), closed), (431, True), lines[:20])

    def test_expect(self):
        with self.server.connect() as s:
            s.sendall(GOOD.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue").replace(BODY, b""))
            self.assertEqual(s.recv(1000), b"HTTP/1.1 100 Continue\r\n\r\n")
            s.sendall(BODY)
            self.assertEqual(status_of(s.recv(1000)), 200)
        out, closed = self.server.raw(
            request("/score", b"", JSON, "Expect: 100-continue", "Content-Length: 999999999999", length=False)
        )
        self.assertEqual((status_of(out), closed), (413, True))

    def test_http_1_0(self):
        out, closed = self.server.raw(
            b"POST /score HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
        )
        self.assertTrue(closed and out.startswith(b"HTTP/1.") and out.endswith(b'{"result":[[1,2,3]]}'), out)

    def test_answers_under_concurrency(self):
        def client(seed):
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
            for i in range(60):
                row = [seed, i, seed * i]
                connection.request("POST", "/score", json.dumps({"data": [row]}), {"Content-Type": "application/json"})
                self.assertEqual(json.loads(connection.getresponse().read()), {"result": [row]})
            connection.close()

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            for job in [pool.submit(client, n) for n in range(32)]:
                job.result()

    def test_random_bytes(self):
        seed = random.Random(7)
        for i in range(150):
            data = bytearray(GOOD)
            for _ in range(seed.randint(1, 4)):
                data[seed.randrange(len(data))] = seed.randrange(256)
            self.server.raw(bytes(data), wait=0.02)
        self.assertEqual(self.score({"data": [1, 2, 3]})[0], 200)

    @unittest.skipIf("ASAN_OPTIONS" in os.environ, "freed memory is kept by the sanitizer")
    def test_memory_is_flat(self):
        def burst():
            for i in range(40):
                head = request("/score", b"", JSON, "Connection: close", "Transfer-Encoding: chunked", length=False)
                out = self.server.raw(head + b"1\r\na\r\n" * 2000 + b"0\r\n\r\n")[0]
                self.assertEqual(status_of(out), 400)
                self.score('{"data":' + "[" * 50000)
                self.infer("rows", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2**40, 3], "data": [1]}]})

        burst()
        before = self.server.metric("process_resident_memory_bytes")
        burst()
        self.assertLess(self.server.metric("process_resident_memory_bytes") - before, 2**20)


if __name__ == "__main__":
    sys.exit(main())
