# SPDX-License-Identifier: Apache-2.0
"""gRPC with the clients that people use: tritonclient, kserve, grpcio on its own, and bytes by hand where those do no
wrong."""
import gzip, pathlib, queue, struct, subprocess, sys, time, unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv

venv.enter("grpc")
import grpc
import numpy
import tritonclient.grpc as triton
import tritonclient.http
from tritonclient.grpc import service_pb2 as pb
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "server"))
from serving import MODELS, WORK, Server, main, model, onnx, wait_for

SERVICE = "/inference.GRPCInferenceService/"
DTYPES = {"FLOAT": "f4", "DOUBLE": "f8", "INT8": "i1", "INT16": "i2", "INT32": "i4", "INT64": "i8", "UINT8": "u1",
          "UINT16": "u2", "UINT32": "u4", "UINT64": "u8", "BOOL": "?", "FLOAT16": "f2"}
for dtype in DTYPES:
    copy = model([onnx.node("Identity", ["x"], ["y"])], *[[(n, getattr(onnx, dtype), ["n", 2])] for n in "xy"])
    (WORK / f"is_{dtype}.onnx").write_bytes(copy)


KSERVE = """
import asyncio, kserve, numpy, sys

async def ask(client, url, *base):
    x = kserve.InferInput("x", [1, 3], "FP32")
    x.set_data_from_numpy(numpy.array([[1, 2, 3]], numpy.float32), binary_data=False)
    asks = [client.is_server_live(*base), client.is_server_ready(*base), client.is_model_ready(*base, "rows")]
    flags = [await a for a in asks]
    answer = await client.infer(*base, kserve.InferRequest("rows", [x]), **({"model_name": "rows"} if base else {}))
    print(flags, answer.outputs[0].as_numpy().tolist())
    await client.close()

async def both():
    await ask(kserve.InferenceGRPCClient(sys.argv[1]), sys.argv[1])
    await ask(kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2")), "", "http://" + sys.argv[1])

asyncio.run(both())
"""


def tensor(name, array):
    given = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    given.set_data_from_numpy(array)
    return given


def typed(name, field, values, shape, datatype):
    x = pb.ModelInferRequest.InferInputTensor(name="x", datatype=datatype, shape=shape)
    getattr(x.contents, field).extend(values)
    return pb.ModelInferRequest(model_name=name, inputs=[x])


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server([m for m in MODELS if m not in ("slow", "quick")] +
                            [str(WORK / f"is_{d}.onnx") for d in DTYPES] + ["pair:2=" + str(WORK / "pair.onnx")])
        cls.address = f"127.0.0.1:{cls.server.port}"
        cls.client = triton.InferenceServerClient(cls.address)
        cls.channel = grpc.insecure_channel(cls.address)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.channel.close()
        assert cls.server.stop() == 0

    def call(self, procedure, request, reply=pb.ModelInferResponse, path=SERVICE, **more):
        encode = (lambda r: r) if isinstance(request, bytes) else type(request).SerializeToString
        return self.channel.unary_unary(path + procedure, encode, reply.FromString)(request, timeout=10, **more)

    def fails(self, code, text, *words, **more):
        with self.assertRaises(grpc.RpcError) as e:
            self.call(*words, **more)
        self.assertEqual(e.exception.code(), code, e.exception.details())
        self.assertIn(text, e.exception.details())


class Clients(Base):
    def test_descriptions(self):
        c = self.client
        self.assertTrue(c.is_server_live() and c.is_server_ready() and c.is_model_ready("rows"))
        self.assertEqual(c.get_server_metadata().name, "sardonyx")
        m = c.get_model_metadata("pair")
        self.assertEqual((m.name, list(m.versions), m.platform), ("pair", ["1", "2"], "onnx_onnxv1"))
        self.assertEqual([(i.name, i.datatype, list(i.shape)) for i in m.inputs], [("a", "INT64", [2]), ("b", "INT64", [2])])
        self.assertEqual(list(c.get_model_metadata("rows").inputs[0].shape), [-1, 3])
        with self.assertRaisesRegex(InferenceServerException, "no model 'nobody'"):
            c.get_model_metadata("nobody")

    def test_configuration(self):
        config = self.client.get_model_config("pair").config
        self.assertEqual((config.name, config.backend, config.max_batch_size), ("pair", "onnxruntime", 0))
        self.assertEqual([(i.name, i.data_type, list(i.dims)) for i in [*config.input, *config.output]],
                         [(n, 9, [2]) for n in ("a", "b", "sum", "product")])  # TYPE_INT64
        self.assertEqual(list(self.client.get_model_config("rows").config.input[0].dims), [-1, 3])
        with tritonclient.http.InferenceServerClient(self.address) as client:
            rest = client.get_model_config("rows")
        self.assertEqual((rest["input"], rest["max_batch_size"]), ([{"name": "x", "data_type": "TYPE_FP32", "dims": [-1, 3]}], 0))

    def test_every_type(self):
        """What goes in comes out, raw by tritonclient and typed by hand."""
        fields = {"f": "fp32_contents", "d": "fp64_contents", "b": "int_contents", "h": "int_contents", "i": "int_contents",
                  "l": "int64_contents", "B": "uint_contents", "H": "uint_contents", "I": "uint_contents",
                  "L": "uint64_contents", "?": "bool_contents"}
        for dtype, code in DTYPES.items():
            kind = numpy.dtype(code)
            x = numpy.array([[0, 1], [1, 1], [100, 7]]).astype(kind)
            if kind.kind in "iu":
                x[0] = [numpy.iinfo(kind).min, numpy.iinfo(kind).max]
            got = self.client.infer(f"is_{dtype}", [tensor("x", x)]).as_numpy("y")
            numpy.testing.assert_array_equal(got, x)
            self.assertEqual(got.dtype, kind)
            if kind.char not in fields:
                continue
            many = numpy.tile(x, (50, 1))
            request = typed(f"is_{dtype}", fields[kind.char], many.ravel().tolist(), many.shape, np_to_triton_dtype(kind))
            reply = self.call("ModelInfer", request)
            self.assertEqual(list(getattr(reply.outputs[0].contents, fields[kind.char])), many.ravel().tolist())
            self.assertEqual((list(reply.outputs[0].shape), len(reply.raw_output_contents)), ([150, 2], 0))

    def test_strings(self):
        words = numpy.array(["a", "", "grüße", "x" * 1000], dtype=object)
        got = self.client.infer("text", [tensor("x", words)]).as_numpy("y")
        self.assertEqual([w.decode() for w in got], list(words))
        reply = self.call("ModelInfer", typed("text", "bytes_contents", [b"one", b"\xc3\xbc"], [2], "BYTES"))
        self.assertEqual(list(reply.outputs[0].contents.bytes_contents), [b"one", b"\xc3\xbc"])

    def test_names_versions_wishes(self):
        a, b = numpy.array([1, 2]), numpy.array([3, 4])
        given = [tensor("b", b), tensor("a", a)]
        whole = self.client.infer("pair", given, request_id="me", model_version="2", priority=1, timeout=5000000)
        self.assertEqual((whole.get_response().id, whole.get_response().model_version), ("me", "2"))
        self.assertEqual(whole.as_numpy("sum").tolist() + whole.as_numpy("product").tolist(), [4, 6, 3, 8])
        one = self.client.infer("pair", given, outputs=[triton.InferRequestedOutput("product")])
        self.assertEqual((one.as_numpy("product").tolist(), one.as_numpy("sum")), ([3, 8], None))

    def test_compressed(self):
        x = numpy.ones((1000, 3), numpy.float32)
        for how in ("gzip", "deflate"):
            try:
                got = self.client.infer("rows", [tensor("x", x)], compression_algorithm=how).as_numpy("y")
            except InferenceServerException as e:
                self.assertEqual((how, "grpc-encoding" in str(e)), ("deflate", True))
            else:
                numpy.testing.assert_array_equal(got, x)
        # It waits in the queue of its model like any other.
        queued = 'sardonyx_queue_seconds_count{model="rows",version="1"}'
        before = self.server.metric(queued)
        self.client.infer("rows", [tensor("x", x)], compression_algorithm="gzip")
        self.assertEqual(self.server.metric(queued), before + 1)
        # What it expands to is bounded like any body.
        bomb = gzip.compress(bytes(80 << 20), 9)
        frame = b"\x01" + struct.pack(">I", len(bomb)) + bomb
        status = self.by_hand("ModelInfer", frame, ("grpc-encoding", "gzip"))
        self.assertEqual(status["grpc-status"], "8")

    def by_hand(self, procedure, body, *headers):
        """A request by a client of HTTP/2 that writes what it is told: headers and trailers of the answer."""
        import h2.config, h2.connection, h2.events
        found = {}
        with self.server.connect() as s:
            c = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
            c.initiate_connection()
            c.send_headers(1, [(":method", "POST"), (":path", SERVICE + procedure), (":scheme", "http"), (":authority", "x"),
                               ("content-type", "application/grpc"), ("te", "trailers"), *headers])
            while body:
                piece = body[:min(16384, c.local_flow_control_window(1))]
                if piece:
                    c.send_data(1, piece)
                    body = body[len(piece):]
                s.sendall(c.data_to_send())
                if not piece:
                    c.receive_data(s.recv(65536))
            c.end_stream(1)
            s.sendall(c.data_to_send())
            while data := s.recv(65536):
                for event in c.receive_data(data):
                    if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                        found |= dict(event.headers)
                    if isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                        return found
        return found

    def test_stream(self):
        answers = queue.Queue()
        client = triton.InferenceServerClient(self.address)
        client.start_stream(lambda result, error: answers.put((result, error)))
        for i in range(30):
            x = numpy.full((1, 3), i, numpy.float32)
            client.async_stream_infer("rows" if i != 7 else "nobody", [tensor("x", x)], request_id=str(i))
        found = [answers.get(timeout=20) for _ in range(30)]
        for i, (result, error) in enumerate(found):
            if i == 7:
                self.assertIn("no model 'nobody'", str(error))
            else:
                self.assertEqual((result.get_response().id, result.as_numpy("y")[0, 0]), (str(i), i))
        # One after the other, each when the one before was answered.
        for i in range(5):
            client.async_stream_infer("pair", [tensor("a", numpy.array([i, i])), tensor("b", numpy.array([1, 2]))])
            self.assertEqual(answers.get(timeout=20)[0].as_numpy("sum").tolist(), [i + 1, i + 2])
        client.stop_stream()
        client.close()
        self.assertEqual(self.server.metric("sardonyx_buffered_bytes"), 0)

    def test_large(self):
        x = numpy.random.default_rng(1).random((200000, 3), numpy.float32)
        numpy.testing.assert_array_equal(self.client.infer("rows", [tensor("x", x)]).as_numpy("y"), x)

    def test_repository(self):
        self.assertEqual({m.state for m in self.client.get_model_repository_index().models}, {"READY"})
        self.client.unload_model("half")
        self.assertFalse(self.client.is_model_ready("half"))
        with self.assertRaisesRegex(InferenceServerException, "UNAVAILABLE.*not loaded"):
            self.client.infer("half", [tensor("x", numpy.zeros((1, 2), numpy.float16))])
        self.client.load_model("half")
        self.assertTrue(self.client.is_model_ready("half"))
        with self.assertRaisesRegex(InferenceServerException, "config is not supported"):
            self.client.load_model("half", config="{}")

    def test_statistics(self):
        before = self.client.get_inference_statistics("is_INT16").model_stats[0].inference_count
        for _ in range(3):
            self.client.infer("is_INT16", [tensor("x", numpy.zeros((1, 2), numpy.int16))])
        stats = self.client.get_inference_statistics("is_INT16").model_stats
        self.assertEqual((len(stats), stats[0].inference_count - before), (1, 3))
        self.assertGreater(len(self.client.get_inference_statistics().model_stats), 10)

    def test_health(self):
        """grpc.health.v1, its messages by hand: one string in, one number out."""
        check = lambda name: self.channel.unary_unary(
            "/grpc.health.v1.Health/Check", bytes, bytes)(name and b"\x0a" + bytes([len(name)]) + name, timeout=5)
        self.assertEqual(check(b""), b"\x08\x01")
        self.assertEqual(check(b"inference.GRPCInferenceService"), b"\x08\x01")
        with self.assertRaises(grpc.RpcError) as e:
            check(b"other")
        self.assertEqual(e.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_kserve(self):
        """In a process of its own: it defines the messages of tritonclient once more."""
        done = subprocess.run([sys.executable, "-c", KSERVE, self.address], capture_output=True, text=True)
        self.assertEqual(done.stdout, "[True, True, True] [[1.0, 2.0, 3.0]]\n" * 2, done.stderr)

    def test_the_same_port_speaks_rest(self):
        rest = tritonclient.http.InferenceServerClient(self.address)
        x = tritonclient.http.InferInput("x", [1, 3], "FP32")
        x.set_data_from_numpy(numpy.array([[1, 2, 3]], numpy.float32))
        self.assertEqual(rest.infer("rows", [x]).as_numpy("y").tolist(), [[1, 2, 3]])
        self.assertEqual(self.server.ask("POST", SERVICE + "ServerLive", b"", {"Content-Type": "application/grpc"})[0], 505)


class Reflection(Base):
    """Clients that have no .proto files ask the server for them."""

    def pool(self):
        from google.protobuf.descriptor_pool import DescriptorPool
        from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.assertEqual(set(database.get_services()),
                         {"inference.GRPCInferenceService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                          "grpc.reflection.v1alpha.ServerReflection"})
        return DescriptorPool(database)

    def test_a_client_without_files(self):
        from google.protobuf.message_factory import GetMessageClass
        pool = self.pool()
        service = pool.FindServiceByName("inference.GRPCInferenceService")
        infer = service.FindMethodByName("ModelInfer")
        request, reply = (GetMessageClass(t) for t in (infer.input_type, infer.output_type))
        asked = request(model_name="rows")
        x = asked.inputs.add(name="x", datatype="FP32", shape=[1, 3])
        x.contents.fp32_contents.extend([1, 2, 3])
        asked.parameters["priority"].int64_param = 1
        got = self.channel.unary_unary(SERVICE + "ModelInfer", request.SerializeToString, reply.FromString)(asked, timeout=10)
        self.assertEqual(list(got.outputs[0].contents.fp32_contents), [1, 2, 3])
        stream = service.FindMethodByName("ModelStreamInfer")
        self.assertTrue(stream.client_streaming and stream.server_streaming and not infer.client_streaming)
        self.assertEqual(pool.FindServiceByName("grpc.health.v1.Health").FindMethodByName("Check").input_type.full_name,
                         "grpc.health.v1.HealthCheckRequest")

    def test_as_the_published_files_say(self):
        """Every procedure, and every field that is told, has the name, number and type of tritonclient's own."""
        pool = self.pool()
        told = pool.FindServiceByName("inference.GRPCInferenceService")
        own = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
        for method in told.methods:
            published = own.methods_by_name[method.name]
            self.assertEqual((method.input_type.full_name, method.output_type.full_name),
                             (published.input_type.full_name, published.output_type.full_name))
        seen = 0

        def compare(ours, theirs):
            nonlocal seen
            for field in ours.fields:
                other = theirs.fields_by_name[field.name]
                seen += 1
                kinds = {field.type, other.type} - {14}  # an enumeration is told as a number
                self.assertEqual((field.number, field.is_repeated, len(kinds)), (other.number, other.is_repeated, 1), field.full_name)
                self.assertEqual(bool(field.containing_oneof), bool(other.containing_oneof), field.full_name)
                if field.message_type and field.message_type.name != theirs.name:
                    compare(field.message_type, other.message_type)
        for method in told.methods:
            compare(method.input_type, own.methods_by_name[method.name].input_type)
            compare(method.output_type, own.methods_by_name[method.name].output_type)
        self.assertGreater(seen, 150)

    def test_what_there_is_not(self):
        from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
        ask = reflection_pb2_grpc.ServerReflectionStub(self.channel).ServerReflectionInfo
        words = ["inference.Nothing", "inference", "inference.", "", "x" * 5000, "inference.GRPCInferenceService.No",
                 "grpc.health.v1.HealthCheckReques", "inference.ModelInferRequest"]
        answers = list(ask(reflection_pb2.ServerReflectionRequest(file_containing_symbol=w) for w in words))
        self.assertEqual([a.error_response.error_code for a in answers], [5] * 7 + [0])
        self.assertEqual([a.original_request.file_containing_symbol for a in answers], words)
        odd = list(ask(iter([reflection_pb2.ServerReflectionRequest(all_extension_numbers_of_type="x")])))
        self.assertEqual(odd[0].error_response.error_code, 12)


class Refusals(Base):
    def test_requests(self):
        good = typed("rows", "fp32_contents", [1, 2, 3], [1, 3], "FP32")
        code = grpc.StatusCode

        def change(text, status=code.INVALID_ARGUMENT, **more):
            request = pb.ModelInferRequest()
            request.CopyFrom(good)
            change.of(request)
            self.fails(status, text, "ModelInfer", request, **more)

        cases = [
            (lambda r: r.ClearField("model_name"), "model_name is missing"),
            (lambda r: r.ClearField("inputs"), "inputs: 'x' is missing"),
            (lambda r: setattr(r.inputs[0], "name", "z"), "inputs[0].name: model 'rows' has no input 'z'"),
            (lambda r: setattr(r.inputs[0], "datatype", "FP64"), "inputs[0].datatype is FP64, input 'x' expects FP32"),
            (lambda r: r.inputs[0].shape.append(1), "inputs[0].shape is [1,3,1]"),
            (lambda r: r.inputs[0].shape.__setitem__(0, -1), "expected no negative number"),
            (lambda r: r.inputs[0].shape.__setitem__(0, 1 << 62), "too many elements"),
            (lambda r: r.inputs[0].shape.__setitem__(0, 2), "inputs[0].contents.fp32_contents has 3 elements, the shape has 6"),
            (lambda r: r.inputs[0].contents.int_contents.append(1), "FP32 expects fp32_contents"),
            (lambda r: r.inputs.append(r.inputs[0]), "is given twice"),
            (lambda r: r.raw_input_contents.append(b"123"), "inputs[0] has contents"),
            (lambda r: r.outputs.add(name="q"), "model 'rows' has no output 'q'"),
            (lambda r: (r.outputs.add(name="y"), r.outputs.add(name="y")), "outputs: 2 are asked for"),
            (lambda r: r.parameters["sequence_id"].__setattr__("int64_param", 1), "sequence_id is not supported"),
            (lambda r: r.parameters["priority"].__setattr__("string_param", "1"), "priority: expected a whole number"),
        ]
        for change.of, text in cases:
            change(text)
        change.of = lambda r: setattr(r, "model_name", "nobody")
        change("no model 'nobody'", code.NOT_FOUND)
        change.of = lambda r: setattr(r, "model_version", "9")
        change("no version '9'", code.NOT_FOUND)
        self.fails(code.UNIMPLEMENTED, "no such path", "Nothing", good)
        self.fails(code.INVALID_ARGUMENT, "", "ModelInfer", b"\xff\xff\xff")
        self.fails(code.INVALID_ARGUMENT, "the type has no room", "ModelInfer",
                   typed("is_INT8", "int_contents", [1, 128], [1, 2], "INT8"))
        raw = pb.ModelInferRequest(model_name="rows", raw_input_contents=[b"1234" * 3] * 2)
        raw.inputs.add(name="x", datatype="FP32", shape=[1, 3])
        self.fails(code.INVALID_ARGUMENT, "raw_input_contents has 2 elements, expected 1", "ModelInfer", raw)
        raw.raw_input_contents[:] = [b"1234"]
        self.fails(code.INVALID_ARGUMENT, "found 4 bytes of binary data, expected 3 elements", "ModelInfer", raw)
        self.assertEqual(list(self.call("ModelInfer", good).outputs[0].contents.fp32_contents), [1, 2, 3])

    def test_messages_that_are_none(self):
        hand = Clients.by_hand
        for frame in (b"", b"\0\0\0", b"\0\0\0\0\x05ab", b"\0\0\0\0\0ab", b"\x02\0\0\0\0", b"\x01\0\0\0\0"):
            self.assertEqual(hand(self, "ModelInfer", frame)["grpc-status"], "3", frame)
        self.assertEqual(hand(self, "ModelStreamInfer", b"\0\0\0\0\x05ab")["grpc-status"], "3")
        self.assertEqual(hand(self, "ModelStreamInfer", b"")["grpc-status"], "0")
        self.assertEqual(hand(self, "ModelInfer", b"\0\0\0\0\0", ("grpc-timeout", "1x"))["grpc-status"], "3")
        self.assertEqual(hand(self, "ModelInfer", b"\0\0\0\0\0", ("grpc-encoding", "snappy"))["grpc-status"], "12")

    def test_message_text_is_encoded(self):
        found = Clients.by_hand(self, "ModelMetadata", b"\0\0\0\0\x06\x0a\x04" + "ü%".encode() + b"z")
        self.assertNotIn("ü", found["grpc-message"])
        self.fails(grpc.StatusCode.NOT_FOUND, "ü", "ModelMetadata", pb.ModelMetadataRequest(name="ü"))


class Limits(unittest.TestCase):
    def test_deadline(self):
        with Server(["slow"], "--workers", "1") as server, \
                triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            x = [tensor("x", numpy.zeros(1, numpy.float32))]
            with self.assertRaisesRegex(InferenceServerException, "StatusCode.DEADLINE_EXCEEDED"):
                client.infer("slow", x, client_timeout=0.05)
            with self.assertRaisesRegex(InferenceServerException, "StatusCode.DEADLINE_EXCEEDED.*timeout"):
                client.infer("slow", x, timeout=20000)
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_buffered_bytes") == 0))

    def test_size(self):
        with Server(["rows"], "--max-body-bytes", "10000") as server, \
                triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            with self.assertRaisesRegex(InferenceServerException, "RESOURCE_EXHAUSTED.*max-body-bytes"):
                client.infer("rows", [tensor("x", numpy.zeros((1000, 3), numpy.float32))])

    def test_keys(self):
        (WORK / "keys").write_text("secret-secret-secret\n")
        with Server(["rows"], "--keys", str(WORK / "keys")) as server, \
                triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            x = [tensor("x", numpy.zeros((1, 3), numpy.float32))]
            self.assertTrue(client.is_server_live())
            with self.assertRaisesRegex(InferenceServerException, "UNAUTHENTICATED"):
                client.infer("rows", x)
            client.infer("rows", x, headers={"authorization": "Bearer secret-secret-secret"})

    def test_tls(self):
        import trustme
        authority = trustme.CA()
        pair = authority.issue_cert("localhost", "127.0.0.1")
        files = [str(WORK / f"grpc.{e}") for e in ("pem", "key", "ca")]
        pair.cert_chain_pems[0].write_to_path(files[0])
        pair.private_key_pem.write_to_path(files[1])
        authority.cert_pem.write_to_path(files[2])
        with Server(["rows"], "--tls-cert", files[0], "--tls-key", files[1]) as server, triton.InferenceServerClient(
                f"127.0.0.1:{server.port}", ssl=True, root_certificates=files[2]) as client:
            x = numpy.ones((1, 3), numpy.float32)
            numpy.testing.assert_array_equal(client.infer("rows", [tensor("x", x)]).as_numpy("y"), x)

    def stream_slowly(self, count, *options):
        """Sends more than is answered at a time; (ids of the answers, the error that ended them)."""
        found = []
        with Server(["quick"], *options) as server:
            answers = queue.Queue()
            client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
            client.start_stream(lambda result, error: answers.put((result, error)))
            for i in range(count):
                client.async_stream_infer("quick", [tensor("x", numpy.zeros(1, numpy.float32))], request_id=f"{i:<10000}")
            while len(found) < count:
                result, error = answers.get(timeout=60)
                if error:
                    return found, str(error)
                found.append(int(result.get_response().id))
            client.stop_stream()
        return found, None

    def test_streams_wait_for_room(self):
        self.assertEqual(self.stream_slowly(12, "--max-body-bytes", "65536"), (list(range(12)), None))

    def test_what_streams_send_ahead_counts_as_buffered(self):
        self.assertIn("EXHAUSTED", self.stream_slowly(30, "--max-buffered-bytes", "100000")[1] or "no error")

    def test_drain_ends_open_streams(self):
        with Server(["rows"]) as server:
            answers = queue.Queue()
            client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
            client.start_stream(lambda result, error: answers.put(result))
            client.async_stream_infer("rows", [tensor("x", numpy.ones((1, 3), numpy.float32))])
            self.assertIsNotNone(answers.get(timeout=10))
            start = time.monotonic()
            self.assertEqual(server.stop(), 0)
            self.assertLess(time.monotonic() - start, 5)
            client.stop_stream()
            client.close()


if __name__ == "__main__":
    sys.exit(main())
