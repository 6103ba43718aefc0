#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Large files: converting one takes no more memory than 1.2 times its size, beside what the command itself takes.

    tests/convert/test_large.py [--mb 64] [-v] [NAME ...]
"""
import json
import os
import pathlib
import struct
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import venv  # noqa: E402

venv.enter("convert")

import gguf  # noqa: E402
import numpy as np  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

import suite  # noqa: E402
from harness import COMMAND, scratch  # noqa: E402

MB = suite.number_after("--mb", 64)
RATIO, ALLOWANCE = 1.2, 24 << 20
WIDTH = 1024


# What a process has had at most counts for those that come of it until they are others: a small one starts the command.
STARTER = """import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(status, usage.ru_maxrss * 1024)"""


def peak(*words):
    """The status of a command, seconds, and bytes of memory it had at most."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-S", "-c", STARTER, COMMAND, *words], capture_output=True, text=True, check=True)
    status, memory = map(int, done.stdout.splitlines()[-1].split())
    return status, time.monotonic() - started, memory, done.stderr


# ---- protobuf, written by hand --------------------------------------------------------------------------

def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def matrices():
    """Weights of dense layers, about as large together as the file is to be."""
    rng = np.random.default_rng(1)
    one = rng.normal(size=(WIDTH, WIDTH)).astype(np.float32) * WIDTH ** -0.5
    return [one] * max(2, (MB << 20) // one.nbytes)


def caffe(path):
    layers = field(100, field(1, "data") + field(2, "Input") + field(4, "x0") +
                   field(143, field(1, field(1, 1) + field(1, WIDTH))))
    with open(path, "wb") as f:
        f.write(field(1, "net") + layers)
        for i, w in enumerate(matrices()):
            blob = field(7, field(1, WIDTH) + field(1, WIDTH)) + field(5, w.tobytes())
            f.write(field(100, field(1, f"fc{i}") + field(2, "InnerProduct") + field(3, f"x{i}") + field(4, f"x{i + 1}") +
                          field(7, blob) + field(117, field(1, WIDTH) + field(2, 0))))
    return path


def tensorflow(path):
    def attr(key, value):
        return field(5, field(1, key) + field(2, value))

    kind = attr("dtype", field(6, 1))
    shape = field(2, field(1, 1)) + field(2, field(1, WIDTH))
    with open(path, "wb") as f:
        f.write(field(1, field(1, "x0") + field(2, "Placeholder") + kind + attr("shape", field(7, shape))))
        for i, w in enumerate(matrices()):
            tensor = field(1, 1) + field(2, (field(2, field(1, WIDTH))) * 2) + field(4, w.tobytes())
            f.write(field(1, field(1, f"w{i}") + field(2, "Const") + kind + attr("value", field(8, tensor))))
            f.write(field(1, field(1, f"x{i + 1}") + field(2, "MatMul") + field(3, f"x{i}") + field(3, f"w{i}") +
                          attr("T", field(6, 1))))
    return path


def coreml(path):
    array = field(5, field(1, WIDTH) + field(2, 65568))
    io = field(1, field(1, "x0") + field(3, array)), field(10, field(1, f"x{len(matrices())}") + field(3, array))
    layers = b"".join(
        field(1, field(1, f"fc{i}") + field(2, f"x{i}") + field(3, f"x{i + 1}") +
              field(140, field(1, WIDTH) + field(2, WIDTH) + field(20, field(1, w.tobytes()))))
        for i, w in enumerate(matrices()))
    with open(path, "wb") as f:
        f.write(field(1, 1) + field(2, io[0] + io[1]) + field(500, layers))
    return path


# ---- other files ------------------------------------------------------------------------------------------

def mxnet(path):
    def string(s):
        return struct.pack("<Q", len(s)) + s.encode()

    nodes, weights = [{"op": "null", "name": "data", "inputs": []}], matrices()
    for i in range(len(weights)):
        nodes += [{"op": "null", "name": f"fc{i}_weight", "inputs": []},
                  {"op": "FullyConnected", "name": f"fc{i}", "attrs": {"num_hidden": str(WIDTH), "no_bias": "True"},
                   "inputs": [[2 * i, 0, 0], [2 * i + 1, 0, 0]]}]
    pathlib.Path(path + "-symbol.json").write_text(json.dumps({
        "nodes": nodes, "arg_nodes": [0] + list(range(1, len(nodes), 2)), "heads": [[len(nodes) - 1, 0, 0]]}))
    with open(path + "-0000.params", "wb") as f:
        f.write(struct.pack("<QQQ", 0x112, 0, len(weights)))
        for w in weights:
            f.write(struct.pack("<IiIqqiii", 0xF993FAC9, 0, 2, WIDTH, WIDTH, 1, 0, 0) + w.tobytes())
        f.write(struct.pack("<Q", len(weights)) + b"".join(string(f"arg:fc{i}_weight") for i in range(len(weights))))
    return path + "-symbol.json"


def llama_weights():
    """Names of GGUF and shapes of a net of the wanted size, in float16."""
    width, words = 1024, 4096
    layer = {"attn_q": (width, width), "attn_k": (width, width), "attn_v": (width, width), "attn_output": (width, width),
             "ffn_gate": (2 * width, width), "ffn_up": (2 * width, width), "ffn_down": (width, 2 * width)}
    layers = max(1, ((MB << 20) - words * width * 2) // (20 << 20))
    shapes = {"token_embd.weight": (words, width), "output_norm.weight": (width,)}
    for i in range(layers):
        shapes.update({f"blk.{i}.{k}.weight": v for k, v in layer.items()})
        shapes.update({f"blk.{i}.{k}.weight": (width,) for k in ("attn_norm", "ffn_norm")})
    return layers, shapes


def gguf_file(path, kind):
    layers, shapes = llama_weights()
    w = gguf.GGUFWriter(path, "llama")
    for add, value in ((w.add_block_count, layers), (w.add_embedding_length, 1024), (w.add_feed_forward_length, 2048),
                       (w.add_head_count, 16), (w.add_layer_norm_rms_eps, 1e-5)):
        add(value)
    made = {}
    for name, shape in shapes.items():
        if len(shape) == 1:
            w.add_tensor(name, np.ones(shape, np.float32))
            continue
        if shape not in made:
            values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
            made[shape] = gguf.quants.quantize(values, kind)
        w.add_tensor(name, made[shape], raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return path


def safetensors(path):
    layers, shapes = llama_weights()
    names = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    parts = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
             "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
             "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
    files = {}
    for name, shape in shapes.items():
        if name not in names:
            _, i, what, _ = name.split(".")
            names[name] = f"model.layers.{i}.{parts[what]}.weight"
        files[names[name]] = np.full(shape, 0.01, np.float16)
    os.mkdir(path)
    save_file(files, path + "/model.safetensors")
    pathlib.Path(path + "/config.json").write_text(json.dumps({
        "model_type": "llama", "hidden_size": 1024, "num_hidden_layers": layers, "num_attention_heads": 16,
        "intermediate_size": 2048}))
    return path + "/model.safetensors"


class Memory(unittest.TestCase):
    def check(self, path, data=None):
        size = os.path.getsize(data or path)
        status, seconds, memory, said = peak("convert", path, "-o", scratch("large.onnx"))
        self.assertEqual(status, 0, said)
        print(f"{pathlib.Path(path).name}: {size / 2**20:.0f} MB, {seconds:.2f} s, {memory / size:.2f} of its size in memory")
        self.assertLess(memory, RATIO * size + ALLOWANCE, f"{memory >> 20} MB for a file of {size >> 20} MB")
        self.assertGreater(os.path.getsize(scratch("large.onnx")), size * 0.9)
        for leftover in pathlib.Path(path).parent.glob("large.onnx*"):
            leftover.unlink()

    def test_caffe(self):
        self.check(caffe(scratch("net.caffemodel")))

    def test_tensorflow(self):
        self.check(tensorflow(scratch("net.pb")))

    def test_coreml(self):
        self.check(coreml(scratch("net.mlmodel")))

    def test_mxnet(self):
        path = mxnet(scratch("net"))
        self.check(path, scratch("net-0000.params"))

    def test_gguf(self):
        self.check(gguf_file(scratch("f16.gguf"), gguf.GGMLQuantizationType.F16))

    def test_gguf_in_blocks(self):
        self.check(gguf_file(scratch("q4_0.gguf"), gguf.GGMLQuantizationType.Q4_0))

    def test_safetensors(self):
        self.check(safetensors(scratch("safe")))


if __name__ == "__main__":
    sys.exit(suite.run())
