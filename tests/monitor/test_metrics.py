# SPDX-License-Identifier: Apache-2.0
"""Metrics as prometheus_client reads them, trace context, and spans as a collector made of opentelemetry-proto gets them."""
import json, pathlib, socket, subprocess, sys, time, unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent), str(pathlib.Path(__file__).resolve().parent.parent / "server")]
import venv

venv.enter("monitor")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text_form

from collector import Collector
from serving import PROGRAM, WORK, Server, main, wait_for

OPEN = {"Accept": "application/openmetrics-text; version=1.0.0,text/plain;q=0.5"}
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ROW = {"data": [[1, 2, 3]]}
PHASES = ("queue", "parse", "compute", "write")


def parent(flags="01", trace=TRACE):
    return {"traceparent": f"00-{trace}-{PARENT}-{flags}"}


class Metrics(unittest.TestCase):
    def test_both_forms_are_read_and_say_the_same(self):
        second = WORK / "second.onnx"
        second.write_bytes((WORK / "rows.onnx").read_bytes())
        with Server(["rows", "log", f"log:2={second}"]) as server:
            for _ in range(3):
                self.assertEqual(server.score(ROW, headers=parent())[0], 200)
            server.score({"data": "wrong"})
            status, head, page = server.ask("GET", "/metrics", headers=OPEN)
            self.assertEqual(status, 200)
            self.assertTrue(head["content-type"].startswith("application/openmetrics-text; version=1.0.0"))
            families = {f.name: f for f in open_metrics(page.decode())}
            plain = {f.name: f for f in text_form(server.ask("GET", "/metrics")[2].decode())}
            self.assertEqual(set(families), set(plain))
            for name, family in families.items():
                self.assertEqual((family.type, family.documentation), (plain[name].type, plain[name].documentation), name)
            for phase in ("request", *PHASES[1:]):
                counts = {(s.labels["model"], s.labels["version"]): s.value
                          for s in families[f"sardonyx_{phase}_seconds"].samples if s.name.endswith("_count")}
                self.assertEqual(set(counts), {("rows", "1"), ("log", "1"), ("log", "2")})
                self.assertEqual(counts["rows", "1"], 3 if phase in ("compute", "write") else 4, phase)
            exemplars = [s.exemplar for phase in ("request", *PHASES[1:]) for s in families[f"sardonyx_{phase}_seconds"].samples if s.exemplar]
            self.assertGreaterEqual(len(exemplars), 4)
            for exemplar in exemplars:
                self.assertEqual(exemplar.labels, {"trace_id": TRACE})
                self.assertLess(abs(float(exemplar.timestamp) - time.time()), 60)
            self.assertNotIn(b"trace_id", server.ask("GET", "/metrics")[2])

    def test_queue_is_a_phase(self):
        with Server(["quick"], "--workers", "1", "--inline-us", "0") as server:
            for job in server.background(3):
                job.result()
            self.assertEqual(server.metric("sardonyx_queue_seconds_count"), 3)


class Traces(unittest.TestCase):
    def test_what_is_no_context(self):
        wrong = (f"00-{TRACE}-{PARENT}", f"00-{TRACE}-{PARENT}-01-x", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01",
                 f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE.upper()}-{PARENT}-01", f"00-{TRACE}-{PARENT}-0g", "", "x" * 55, "-" * 55)
        with Server(["rows"], "--access-log", "--json-log") as server:
            for value in wrong:
                self.assertEqual(server.score(ROW, headers={"traceparent": value})[0], 200)
            twice = server.raw(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 18\r\n"
                               b"Connection: close\r\n" + f"traceparent: {parent()['traceparent']}\r\n".encode() * 2 + b"\r\n" + b'{"data":[[1,2,3]]}')
            self.assertTrue(twice[0].startswith(b"HTTP/1.1 400"), twice)
            self.assertNotIn("trace_id", server.text())
            for value in (parent()["traceparent"], f"01-{TRACE}-{PARENT}-01-later", f"00-{TRACE}-{PARENT}-00"):
                self.assertEqual(server.score(ROW, headers={"traceparent": value})[0], 200)
            lines = [json.loads(l) for l in server.text().splitlines() if "trace_id" in l]
            self.assertEqual([(l["trace_id"], l["span_id"]) for l in lines], [(TRACE, PARENT)] * 3)

    def test_spans_reach_a_collector(self):
        with Collector() as collector, Server(["rows", "quick"], "--otlp", collector.url, "--access-log", "--json-log") as server:
            server.score(ROW, headers={**parent(), "tracestate": "a=b", "x-request-id": "mine"})
            server.infer("rows", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [9, 9], "data": [1]}]})
            server.infer("quick", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]})
            server.score(ROW, headers=parent("00"))  # the client does not want it recorded
            self.assertTrue(wait_for(lambda: len({s.trace_id for s in collector.spans()}) == 3))
            self.assertEqual(set(collector.types), {"application/x-protobuf"})
            self.assertEqual(set(collector.paths), {"/v1/traces"})
            whole = {s.trace_id.hex(): s for s in collector.spans() if s.kind == 2}
            self.assertEqual(len(whole), 3)
            span = whole[TRACE]
            values = {a.key: a.value.string_value or a.value.int_value for a in span.attributes}
            self.assertEqual((span.parent_span_id.hex(), span.name, span.trace_state), (PARENT, "POST /score", "a=b"))
            self.assertEqual((values["http.request.id"], values["http.response.status_code"], values["sardonyx.model.name"]), ("mine", 200, "rows"))
            beneath = {s.name: s for s in collector.spans() if s.parent_span_id == span.span_id}
            self.assertLessEqual({"parse", "compute", "write"}, set(beneath))
            for child in beneath.values():
                self.assertEqual(child.trace_id, span.trace_id)
                self.assertLessEqual(span.start_time_unix_nano, child.start_time_unix_nano)
                self.assertLessEqual(child.end_time_unix_nano, span.end_time_unix_nano)
            self.assertLess(abs(span.start_time_unix_nano / 1e9 - time.time()), 60)
            names = {s.name for s in collector.spans() if s.trace_id in {w.trace_id for w in whole.values() if "quick" in str(w)}}
            self.assertIn("queue", names)
            request = ExportTraceServiceRequest.FromString(collector.bodies[0])
            self.assertIn("service.name", {a.key for a in request.resource_spans[0].resource.attributes})
            logged = next(json.loads(l) for l in server.text().splitlines() if '"mine"' in l)
            self.assertEqual((logged["trace_id"], logged["span_id"]), (TRACE, span.span_id.hex()))

    def test_a_share_of_traces(self):
        with Collector() as collector, Server(["rows"], "--otlp", collector.url + "/v1/traces", "--otlp-sample", "0.3") as server:
            for _ in range(200):
                server.score(ROW)
            time.sleep(1.5)
            self.assertTrue(30 < len({s.trace_id for s in collector.spans()}) < 95)

    def test_a_collector_that_is_away_costs_nothing(self):
        with Collector(503, 503) as collector, Server(["rows"], "--otlp", collector.url) as server:
            server.score(ROW, headers=parent())
            self.assertTrue(wait_for(lambda: collector.spans(), 10))
            self.assertEqual(server.metric('sardonyx_exported_total{what="spans",outcome="delivered"}'), 1)
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            start = time.monotonic()
            with Server(["rows"], "--otlp", f"http://127.0.0.1:{deaf.getsockname()[1]}") as server:
                for _ in range(20):
                    self.assertEqual(server.score(ROW)[0], 200)
            self.assertLess(time.monotonic() - start, 12)

    def test_an_url_that_is_none(self):
        done = subprocess.run([PROGRAM, "serve", str(WORK / "rows.onnx"), "--port", "0", "--otlp", "somewhere"], capture_output=True,
                              text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--otlp somewhere: expected http:// or https://", done.stderr)

    def test_a_script_gets_it(self):
        script = WORK / "score.py"
        script.write_text("def init():\n    pass\n\n\ndef run(data, request_headers):\n    return request_headers.get('Traceparent')\n")
        with Collector() as collector, Server([], "--script", str(script), "--otlp", collector.url) as server:
            given = server.score({"data": "1"}, headers=parent())[1].split("-")
            self.assertEqual((given[0], given[1], given[3]), ("00", TRACE, "01"))
            self.assertTrue(wait_for(lambda: any(s.span_id.hex() == given[2] for s in collector.spans())))


if __name__ == "__main__":
    sys.exit(main())
