# SPDX-License-Identifier: Apache-2.0
"""System shared memory by tritonclient, as its own examples do it, over REST and gRPC; and what hostile clients try."""
import os, pathlib, sys, unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv

venv.enter("grpc")
import numpy
import tritonclient.grpc
import tritonclient.http
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import InferenceServerException

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "server"))
from serving import Server, main

KEY = f"/sardonyx-test-{os.getpid()}"
A, B = numpy.array([3, 4], numpy.int64), numpy.array([5, 6], numpy.int64)


class SharedMemory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(["pair", "text", "flags", "rows"])
        address = f"127.0.0.1:{cls.server.port}"
        cls.kinds = [(tritonclient.http, tritonclient.http.InferenceServerClient(address)),
                     (tritonclient.grpc, tritonclient.grpc.InferenceServerClient(address))]

    @classmethod
    def tearDownClass(cls):
        for _, client in cls.kinds:
            client.close()
        assert cls.server.stop() == 0

    def setUp(self):
        self.handle = shm.create_shared_memory_region("mine", KEY, 4096)
        self.addCleanup(shm.destroy_shared_memory_region, self.handle)
        for _, client in self.kinds:
            client.unregister_system_shared_memory()
            client.unregister_cuda_shared_memory()

    def pair(self, module, region="data"):
        """Inputs at 0 and 16, outputs at 32 and 64."""
        inputs = [module.InferInput(name, [2], "INT64") for name in "ab"]
        outputs = [module.InferRequestedOutput(name) for name in ("sum", "product")]
        for i, (x, y) in enumerate(zip(inputs, outputs)):
            x.set_shared_memory(region, 16, offset=16 * i)
            y.set_shared_memory(region, 16, offset=32 + 32 * i)
        return inputs, outputs

    def test_as_the_examples_do(self):
        shm.set_shared_memory_region(self.handle, [A, B])
        for module, client in self.kinds:
            client.register_system_shared_memory("data", KEY, 4096)
            status = client.get_system_shared_memory_status()
            one = status[0] if isinstance(status, list) else status.regions["data"]
            self.assertEqual((one["name"], one["byte_size"]) if isinstance(one, dict) else (one.name, one.byte_size),
                             ("data", 4096))
            inputs, outputs = self.pair(module)
            result = client.infer("pair", inputs, outputs=outputs)
            self.assertIsNotNone(result.get_output("sum"))
            for offset, expected in ((32, A + B), (64, A * B)):
                got = shm.get_contents_as_numpy(self.handle, numpy.int64, [2], offset)
                numpy.testing.assert_array_equal(got, expected)
            shm.set_shared_memory_region(self.handle, [numpy.zeros(64, numpy.int64)], 32)
            client.unregister_system_shared_memory("data")
            with self.assertRaisesRegex(InferenceServerException, "there is no region 'data'"):
                client.infer("pair", inputs, outputs=outputs)
            shm.set_shared_memory_region(self.handle, [A, B])

    def test_some_in_memory_some_in_the_message(self):
        shm.set_shared_memory_region(self.handle, [A, B])
        for module, client in self.kinds:
            client.register_system_shared_memory("data", KEY, 64, offset=0)
            inputs, outputs = self.pair(module)
            plain = module.InferInput("b", [2], "INT64")
            plain.set_data_from_numpy(B)
            result = client.infer("pair", [inputs[0], plain], outputs=[module.InferRequestedOutput("product"), outputs[0]])
            numpy.testing.assert_array_equal(result.as_numpy("product"), A * B)
            numpy.testing.assert_array_equal(shm.get_contents_as_numpy(self.handle, numpy.int64, [2], 32), A + B)
            client.unregister_system_shared_memory()

    def test_strings(self):
        words = numpy.array([b"one", b"", "grüße".encode()], dtype=object)
        packed = tritonclient.utils.serialize_byte_tensor(words)
        shm.set_shared_memory_region(self.handle, [packed])
        size = len(packed.item())
        for module, client in self.kinds:
            client.register_system_shared_memory("data", KEY, 4096)
            x, y = module.InferInput("x", [3], "BYTES"), module.InferRequestedOutput("y")
            x.set_shared_memory("data", size)
            y.set_shared_memory("data", size, offset=1024)
            client.infer("text", [x], outputs=[y])
            got = shm.get_contents_as_numpy(self.handle, numpy.object_, [3], 1024)
            self.assertEqual(got.tolist(), words.tolist())
            client.unregister_system_shared_memory()

    def refused(self, body, *texts, path="/v2/models/pair/infer", status=400):
        answer = self.server.post(path, body)
        self.assertEqual(answer[0], status, answer)
        for text in texts:
            self.assertIn(text, answer[1]["error"])

    def test_registrations_that_are_refused(self):
        path = "/v2/systemsharedmemory/region/r/register"
        self.refused({"key": "/nobody-made-this", "byte_size": 1}, "cannot be opened", path=path, status=404)
        for body, text in [({"key": "/../etc/passwd", "byte_size": 1}, "expected the name of"),
                           ({"key": "/..", "byte_size": 1}, "expected the name of"),
                           ({"key": "", "byte_size": 1}, "expected the name of"),
                           ({"key": "/x\nx", "byte_size": 1}, "expected the name of"),
                           ({"key": "/" + "x" * 300, "byte_size": 1}, "expected the name of"),
                           ({"key": KEY, "byte_size": 4097}, "reach behind the object's end, 4096"),
                           ({"key": KEY, "byte_size": 1, "offset": 4096}, "reach behind"),
                           ({"key": KEY, "byte_size": 2**63 - 1, "offset": 2**63 - 1}, "reach behind"),
                           ({"key": KEY, "byte_size": 1, "offset": -1}, "expected an offset"),
                           ({"key": KEY, "byte_size": 0}, "expected an offset"),
                           ({"key": KEY, "size": 1}, "no such member")]:
            self.refused(body, text, path=path)
        self.assertEqual(self.server.post(path, {"key": KEY, "byte_size": 8})[0], 200)
        self.refused({"key": KEY, "byte_size": 8}, "registered already", path=path, status=409)
        self.refused({"key": KEY, "byte_size": 8}, "1 to 128 letters", path=path.replace("/r/", f"/{'r' * 200}/"))
        for i in range(1023):
            self.assertEqual(self.server.post(path.replace("/r/", f"/r{i}/"), {"key": KEY, "byte_size": 8})[0], 200)
        self.refused({"key": KEY, "byte_size": 8}, "which is the most", path=path.replace("/r/", "/more/"), status=503)

    def test_requests_that_are_refused(self):
        self.assertEqual(self.server.post("/v2/systemsharedmemory/region/r/register", {"key": KEY, "byte_size": 64})[0], 200)

        def a(**p):
            return {"name": "a", "datatype": "INT64", "shape": [2],
                    "parameters": {"shared_memory_" + k: v for k, v in p.items()}}
        for x, text in [(a(region="r", byte_size=15), "expected 2 elements of 8 bytes"),
                        (a(region="r", byte_size=16, offset=49), "reach behind the end of region 'r', 64"),
                        (a(region="r", byte_size=16, offset=2**63 - 1), "reach behind"),
                        (a(region="r", byte_size=16, offset=-1), "no negative offset"),
                        (a(region="r"), "byte_size above 0"),
                        (a(region=5, byte_size=16), "inputs[0].parameters.shared_memory_region"),
                        (a(region="no", byte_size=16), "no region 'no'"),
                        (dict(a(region="r", byte_size=16), data=[1, 2]), "has data beside")]:
            self.refused({"inputs": [x]}, text)
        huge = a(region="r", byte_size=2**40 * 12)
        huge.update(name="x", datatype="FP32", shape=[2**40, 3])
        self.refused({"inputs": [huge]}, "limit max-body-bytes", path="/v2/models/rows/infer")
        inputs = [{"name": n, "datatype": "INT64", "shape": [2], "data": [1, 2]} for n in "ab"]
        for p, text in [({"byte_size": 15}, "output 'sum' takes 16 bytes"), ({"byte_size": 16, "offset": 60}, "reach behind"),
                        ({"byte_size": -1}, "no negative")]:
            output = {"name": "sum", "parameters": {"shared_memory_" + k: v for k, v in {**p, "region": "r"}.items()}}
            self.refused({"inputs": inputs, "outputs": [output]}, text)
        flags = {"name": "x", "datatype": "BOOL", "shape": [2], "parameters": {"shared_memory_region": "r", "shared_memory_byte_size": 2}}
        shm.set_shared_memory_region(self.handle, [numpy.array([1, 7], numpy.uint8)])
        self.refused({"inputs": [flags]}, "BOOL expects 0 or 1", path="/v2/models/flags/infer")

    def test_an_object_that_shrinks(self):
        """Whoever made it may cut it while it is read: an error, no signal."""
        self.assertEqual(self.server.post("/v2/systemsharedmemory/region/r/register", {"key": KEY, "byte_size": 4096})[0], 200)
        part = {"shared_memory_region": "r", "shared_memory_byte_size": 16, "shared_memory_offset": 4000}
        inputs = [{"name": n, "datatype": "INT64", "shape": [2], "parameters": part} for n in "ab"]
        body = {"inputs": inputs, "outputs": [{"name": "sum", "parameters": part}]}
        self.assertEqual(self.server.infer("pair", body)[0], 200)
        os.truncate("/dev/shm" + KEY, 100)
        self.refused(body, "became shorter")
        body["inputs"] = [{"name": n, "datatype": "INT64", "shape": [2], "data": [1, 2]} for n in "ab"]
        self.refused(body, "became shorter")
        self.assertEqual(os.path.getsize("/dev/shm" + KEY), 100)
        os.truncate("/dev/shm" + KEY, 4096)
        self.assertEqual(self.server.infer("pair", body)[0], 200)

    def test_only_on_this_machine(self):
        """What a proxy sends on for others has no shared memory."""
        path = "/v2/systemsharedmemory/region/r/register"
        elsewhere = {"X-Forwarded-For": "192.0.2.1"}
        self.assertEqual(self.server.post(path, {"key": KEY, "byte_size": 64}, elsewhere)[0], 403)
        self.assertEqual(self.server.post(path, {"key": KEY, "byte_size": 64})[0], 200)
        part = {"shared_memory_region": "r", "shared_memory_byte_size": 16}
        body = {"inputs": [{"name": "a", "datatype": "INT64", "shape": [2], "parameters": part}]}
        status, answer = self.server.post("/v2/models/pair/infer", body, elsewhere)
        self.assertEqual((status, "on the server's machine" in answer["error"]), (400, True), answer)


if __name__ == "__main__":
    raise SystemExit(main())
