# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 over plain connections that begin with its preface: streams beside each other, flow control, what is refused,
and clients that do wrong on purpose."""
import gzip, json, os, pathlib, signal, socket, sys, time, unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv

venv.enter("server")
import h2.config, h2.connection, h2.errors, h2.events, h2.exceptions, h2.settings
import hyperframe.frame as frames
from serving import BODY, SLOW, Server, main, tells_nothing_it_should_not, wait_for

ROWS = b'{"result":[[1,2,3]]}'
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Client:
    """One connection. Answers are gathered by stream: headers, body, and the code of a reset."""

    def __init__(self, server, timeout=20, manual=False):
        self.socket = server.connect(timeout)
        # Headers are sent as they are given: what is wrong with them is for the server to say.
        config = h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False,
                                           normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.answers, self.ended, self.resets, self.goaway, self.manual = {}, set(), {}, None, manual
        self.informed, self.bytes = set(), b""
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def ask(self, method, path, body=None, headers=(), end=True):
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":authority", "x"), (":path", path), *headers]
        self.h2.send_headers(stream, head, end_stream=end and body is None)
        self.flush()
        if body is not None:
            self.send(stream, body, end)
        return stream

    def post(self, body, path="/score", headers=(), **more):
        return self.ask("POST", path, body, [("content-type", "application/json"), *headers], **more)

    def send(self, stream, body, end=True):
        while body:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if not room:
                self.step()
                if stream in self.ended or stream in self.resets:
                    return
                continue
            self.h2.send_data(stream, body[:room])
            body = body[room:]
            self.flush()
        if end:
            self.h2.end_stream(stream)
            self.flush()

    def events(self, data):
        """Frame by frame: the library takes nothing behind a GOAWAY, though streams go on there."""
        self.bytes += data
        while len(self.bytes) >= 9 and len(self.bytes) >= 9 + (size := int.from_bytes(self.bytes[:3], "big")):
            frame, self.bytes = self.bytes[: 9 + size], self.bytes[9 + size :]
            for event in self.h2.receive_data(frame):
                if isinstance(event, h2.events.ConnectionTerminated):
                    self.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
                yield event

    def step(self):
        """Takes what has come. False: the end."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            return False
        for event in self.events(data):
            stream = getattr(event, "stream_id", None)
            if isinstance(event, h2.events.ResponseReceived):
                self.answers[stream] = [dict(event.headers), b""]
            elif isinstance(event, h2.events.InformationalResponseReceived):
                self.informed.add(stream)
            elif isinstance(event, h2.events.DataReceived):
                self.answers[stream][1] += event.data
                if not self.manual:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(stream)
                tells_nothing_it_should_not(self.answers[stream][1])
            elif isinstance(event, h2.events.StreamReset):
                self.resets[stream] = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.goaway = event.error_code
        try:
            self.flush()
        except OSError:
            return False
        return True

    def wait(self, stream):
        while stream not in self.ended and stream not in self.resets and self.step():
            pass
        headers, body = self.answers.get(stream, [{}, b""])
        return int(headers.get(":status", 0)), headers, body

    def until_end(self):
        while self.step():
            pass
        return self.goaway


class Http2(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(["rows", "text"], "--max-body-bytes", "4000000", "--access-log")

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0

    def client(self, **more):
        return Client(self.server, **more)

    def test_plain(self):
        with self.client() as c:
            status, headers, body = c.wait(c.post(BODY))
            self.assertEqual((status, body), (200, ROWS))
            self.assertEqual(headers["content-length"], str(len(ROWS)))
            self.assertEqual(headers["content-type"], "application/json")
            self.assertIn("date", headers)
            self.assertFalse([name for name in headers if name != name.lower() or name == "connection"])
            self.assertEqual(c.wait(c.ask("GET", "/"))[2], b"Healthy")
            self.assertEqual(c.wait(c.ask("GET", "/v2/health/ready"))[2], b'{"ready":true}')
            self.assertEqual(c.wait(c.ask("OPTIONS", "/score"))[::2], (204, b""))
            status, headers, body = c.wait(c.ask("HEAD", "/"))
            self.assertEqual((status, headers["content-length"], body), (200, "7", b""))
        self.assertTrue(wait_for(lambda: ' POST "/score" 200' in self.server.text()))

    def test_streams_beside_each_other(self):
        with self.client() as c:
            streams = [c.post(json.dumps({"data": [i, 2, 3]}).encode()) for i in range(90)]
            for i, stream in enumerate(streams):
                self.assertEqual(json.loads(c.wait(stream)[2]), {"result": [[i, 2, 3]]})
            # Bodies in turns, the first to begin is the last to end.
            slow = c.post(BODY[:5], end=False)
            for i in range(20):
                self.assertEqual(c.wait(c.post(BODY))[2], ROWS)
            c.send(slow, BODY[5:])
            self.assertEqual(c.wait(slow)[2], ROWS)

    def test_flow_control(self):
        body = b'{"data":[' + b",".join([b"[1,2,3]"] * 400000) + b"]}"  # three windows of a stream
        with self.client() as c:
            status, _, answer = c.wait(c.post(body))
            self.assertEqual((status, len(json.loads(answer)["result"])), (200, 400000))
        with self.client(manual=True) as c:  # a reader that opens its window when it is used up
            stream, received = c.post(body), 0
            while stream not in c.ended:
                self.assertTrue(c.step())
                size = len(c.answers.get(stream, [0, b""])[1])
                if size > received and c.h2.remote_flow_control_window(stream) == 0:
                    c.h2.acknowledge_received_data(size - received, stream)
                    received = size
                    c.flush()
            self.assertEqual(len(json.loads(c.answers[stream][1])["result"]), 400000)

    def test_coded(self):
        rows = json.dumps({"data": [[i, 2, 3] for i in range(5000)]}).encode()
        head = [("content-encoding", "gzip"), ("accept-encoding", "gzip")]
        with self.client() as c:
            status, headers, body = c.wait(c.post(gzip.compress(rows), headers=head))
            self.assertEqual((status, headers["content-encoding"]), (200, "gzip"))
            self.assertEqual(len(json.loads(gzip.decompress(body))["result"]), 5000)
            self.assertEqual(c.wait(c.post(gzip.compress(b" " * 5000000), headers=head))[0], 413)

    def test_refusals(self):
        """Each with its status and a JSON error; the connection goes on."""
        with self.client() as c:
            for status, ask in (
                (404, lambda: c.ask("GET", "/nothing")),
                (405, lambda: c.ask("DELETE", "/score")),
                (400, lambda: c.post(b'{"data":')),
                (400, lambda: c.ask("GET", "/%zz")),
                (400, lambda: c.ask("POST", "/score")),
                (414, lambda: c.ask("GET", "/" + "x" * 2000)),
                (415, lambda: c.ask("POST", "/score", BODY, [("content-type", "text/plain")])),
                (417, lambda: c.post(BODY, headers=[("expect", "miracles")])),
                (431, lambda: c.ask("GET", "/", headers=[(f"a{i}", "b" * 150) for i in range(120)])),
                (431, lambda: c.ask("GET", "/", headers=[(f"a{i}", "b") for i in range(120)])),
                (413, lambda: c.post(BODY, headers=[("content-length", "99999999")], end=False)),
                (413, lambda: c.post(b" " * 4100000)),
            ):
                stream = ask()
                code, headers, body = c.wait(stream)
                self.assertEqual(code, status, body)
                self.assertIn("error", json.loads(body))
                self.assertTrue(wait_for(lambda: f" {status} " in self.server.text()))
            self.assertEqual(c.wait(c.post(BODY))[2], ROWS)

    def test_expect(self):
        with self.client() as c:
            stream = c.post(b"", headers=[("expect", "100-continue")], end=False)
            while stream not in c.informed:
                self.assertTrue(c.step())
            c.send(stream, BODY)
            self.assertEqual(c.wait(stream)[2], ROWS)

    def test_trailers(self):
        with self.client() as c:
            stream = c.post(BODY, end=False)
            c.h2.send_headers(stream, [("checksum", "none")], end_stream=True)
            c.flush()
            self.assertEqual(c.wait(stream)[2], ROWS)

    def test_malformed_streams(self):
        """Only the stream ends (RFC 9113, 8.1.1), by a reset or a refusal, and the log shows it."""
        good = [(":method", "POST"), (":scheme", "http"), (":path", "/score"), (":authority", "x")]
        with self.client() as c:
            for headers in (
                [*good, ("Upper", "x")],
                [*good, ("connection", "close")],
                [*good, ("transfer-encoding", "chunked")],
                [*good, ("te", "gzip")],
                [*good, ("a", "b\nc")],
                [*good, (":method", "GET")],
                [("a", "b"), *good],
                [*good, (":strange", "x")],
                good[:2],
                [*good, ("content-length", "5"), ("content-length", "6")],
                [*good, ("content-length", "+5")],
                [*good, ("host", "other")],
                [(":method", "GET"), (":scheme", "http"), (":path", "score"), (":authority", "x")],
            ):
                before = self.server.text().count(" 400 ")
                stream = c.h2.get_next_available_stream_id()
                c.h2.send_headers(stream, headers)
                c.flush()
                status = c.wait(stream)[0]
                self.assertTrue(stream in c.resets or status == 400, headers)
                self.assertTrue(wait_for(lambda: self.server.text().count(" 400 ") == before + 1), headers)
            stream = c.post(BODY, headers=[("content-length", str(len(BODY) + 1))])
            c.wait(stream)
            self.assertEqual(c.resets.get(stream), h2.errors.ErrorCodes.PROTOCOL_ERROR)
            self.assertEqual(c.wait(c.post(BODY))[2], ROWS)

    def end_of(self, data, wait=5):
        """The code of the GOAWAY that bytes behind the preface end in."""
        with self.server.connect(wait) as s:
            s.sendall(PREFACE + data)
            out = b""
            try:
                while piece := s.recv(65536):
                    out += piece
            except ConnectionResetError:
                pass
        goaway = None
        while len(out) >= 9:
            frame, size = frames.Frame.parse_frame_header(memoryview(out[:9]))
            frame.parse_body(memoryview(out[9 : 9 + size]))
            if isinstance(frame, frames.GoAwayFrame):
                goaway = frame.error_code
            out = out[9 + size :]
        return goaway

    def test_malformed_connections(self):
        codes = h2.errors.ErrorCodes
        settings = frames.SettingsFrame(0).serialize()
        header = lambda size, kind, flags, stream: size.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
        for data, code in (
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", codes.PROTOCOL_ERROR),
            (settings + header(20000, 0, 0, 1) + b"x" * 20000, codes.FRAME_SIZE_ERROR),
            (settings + header(4, 0, 0, 0) + b"abcd", codes.PROTOCOL_ERROR),
            (settings + header(3, 1, 5, 1) + b"\xff\xff\xff", codes.COMPRESSION_ERROR),
            (settings + header(3, 1, 5, 2) + b"\x82\x86\x84", codes.PROTOCOL_ERROR),
            (settings + header(4, 8, 0, 0) + b"\0\0\0\0", codes.PROTOCOL_ERROR),
            (settings + header(3, 1, 0, 1) + b"\x82\x86\x84" + header(8, 6, 0, 0) + b"x" * 8, codes.PROTOCOL_ERROR),
        ):
            self.assertEqual(self.end_of(data), code, data[:40])
        self.assertTrue(self.server.score({"data": [1, 2, 3]})[0] == 200)

    def test_rapid_resets(self):
        """Streams that are opened and given up are work for nothing: the connection ends."""
        with self.client() as c:
            try:
                for _ in range(3000):
                    stream = c.post(b"{", end=False)
                    c.h2.reset_stream(stream)
                    c.flush()
            except (OSError, h2.exceptions.ProtocolError):
                pass
            self.assertEqual(c.until_end(), h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
        self.assertEqual(self.server.score({"data": [1, 2, 3]})[0], 200)

    def test_floods(self):
        """Frames that want an answer, from a client that reads none; and heads that never end."""
        before = self.server.metric("process_resident_memory_bytes")
        ping, settings = frames.PingFrame(0, b"12345678").serialize(), frames.SettingsFrame(0).serialize()
        for flood in (ping * 10000, settings * 10000):
            with self.server.connect(2) as s:
                try:
                    s.sendall(PREFACE + settings)
                    for _ in range(100):
                        s.sendall(flood)
                except OSError:
                    pass
        head = frames.HeadersFrame(1, b"\x82\x86\x84").serialize()
        with self.server.connect(2) as s:
            try:
                s.sendall(PREFACE + settings + head)
                for _ in range(2000):
                    s.sendall(frames.ContinuationFrame(1, b"\0\x01a\x7f\x80\x3f" + b"b" * 255).serialize())
                while s.recv(65536):
                    pass
            except OSError:
                pass
        self.assertTrue(wait_for(lambda: self.server.metric("sardonyx_connections") <= 1))
        if "ASAN_OPTIONS" not in os.environ:
            self.assertLess(self.server.metric("process_resident_memory_bytes") - before, 8 << 20)

    def test_half_closed(self):
        with self.client() as c:
            stream = c.post(BODY)
            c.socket.shutdown(socket.SHUT_WR)
            c.flush = lambda: None
            self.assertEqual(c.wait(stream)[2], ROWS)
            c.until_end()

    def test_one_byte_at_a_time(self):
        with self.client() as c:
            sent, c.flush = [], lambda: sent.append(c.h2.data_to_send())
            stream = c.post(BODY)
            for byte in b"".join(sent):
                c.socket.sendall(bytes([byte]))
            del c.flush
            self.assertEqual(c.wait(stream)[2], ROWS)


class Ends(unittest.TestCase):
    def test_drain(self):
        """At SIGTERM what was asked is answered, then the connection ends; an idle one at once."""
        server = Server(["slow"], "--workers", "1", "--max-queue-wait-ms", "60000")
        with Client(server) as busy, Client(server) as idle:
            stream = busy.post(json.dumps(SLOW).encode())
            idle.wait(idle.ask("GET", "/"))
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            start = time.monotonic()
            self.assertEqual(idle.until_end(), h2.errors.ErrorCodes.NO_ERROR)
            self.assertLess(time.monotonic() - start, 1)
            self.assertEqual(busy.wait(stream)[0], 200)
            self.assertEqual(busy.until_end(), h2.errors.ErrorCodes.NO_ERROR)
        self.assertEqual(server.stop(term=False), 0)

    def test_reset_cancels(self):
        with Server(["slow"], "--workers", "1", "--max-queue-wait-ms", "60000") as server, Client(server) as c:
            running, waiting = (c.post(json.dumps(SLOW).encode()) for _ in range(2))
            time.sleep(0.1)
            for stream in (running, waiting):
                c.h2.reset_stream(stream)
            c.flush()
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_cancelled_total") == 2))
            self.assertEqual(c.wait(c.post(json.dumps(SLOW).encode()))[0], 200)

    def test_phases_are_timed(self):
        with Server(["rows"], "--head-timeout-ms", "300", "--idle-timeout-ms", "300") as server:
            with Client(server) as c:  # asks nothing
                start = time.monotonic()
                self.assertEqual(c.until_end(), h2.errors.ErrorCodes.NO_ERROR)
                self.assertLess(time.monotonic() - start, 2)
            with Client(server) as c:  # asks no more
                c.wait(c.post(BODY))
                self.assertEqual(c.until_end(), h2.errors.ErrorCodes.NO_ERROR)
            with server.connect() as s:  # a head that does not end
                s.sendall(PREFACE + frames.SettingsFrame(0).serialize() + frames.HeadersFrame(1, b"\x82").serialize())
                while s.recv(65536):
                    pass


if __name__ == "__main__":
    sys.exit(main())
