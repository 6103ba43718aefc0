#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""GGUF files, written here by the package `gguf` and taken from llama2.c, against a decoder in NumPy that reads the same
file with that package: every token of a greedy run, in both engines, with their cache.

    tests/convert/test_gguf.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import json
import pathlib
import struct
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import venv  # noqa: E402

venv.enter("convert")

import gguf  # noqa: E402
import numpy as np  # noqa: E402
import onnx  # noqa: E402

import suite  # noqa: E402
from decoder import Decoder, Runner  # noqa: E402
from harness import NATIVE, command, convert, same, scratch  # noqa: E402

Q = gguf.GGMLQuantizationType
WIDTH, HEADS, KV, HEAD, INNER, WORDS, LAYERS = 256, 4, 2, 64, 512, 96, 2
PROMPT = [3, 17, 90, 4, 41]


# ---- files --------------------------------------------------------------------------------------------

def random_blocks(rng, kind, rows, columns):
    """Bytes of blocks that the package cannot make, with scales of a size that nets have."""
    count, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (rows * columns // count, size), dtype=np.uint8)
    halves = {Q.Q2_K: (80, 82), Q.Q3_K: (108,), Q.Q4_K: (0, 2), Q.Q5_K: (0, 2), Q.Q6_K: (208,), Q.IQ4_NL: (0,)}[kind]
    small = {Q.Q6_K: 2e-5, Q.Q3_K: 8e-4, Q.IQ4_NL: 1e-3, Q.Q5_K: 1e-4, Q.Q4_K: 2e-4, Q.Q2_K: 3e-3}[kind]
    middle = {Q.Q2_K: 1.5, Q.Q4_K: 7.5, Q.Q5_K: 15.5}.get(kind, 1)  # so that shifts take away what scales add
    for at, times in zip(halves, (1, middle)):
        d = (rng.uniform(0.5, 1.5, len(blocks)) * small * times).astype(np.float16)
        blocks[:, at:at + 2] = d.view(np.uint8).reshape(-1, 2)
    if kind == Q.Q4_K:
        blocks[::3, 4:8] &= 0xc0  # some groups have no scale, only a shift
    return blocks.reshape(rows, -1)


class File:
    """A model being written; what a reader of the package makes of its weights is in `weights`."""

    def __init__(self, name, architecture, seed=1, **numbers):
        self.path, self.rng = scratch(name + ".gguf"), np.random.default_rng(seed)
        self.writer = w = gguf.GGUFWriter(self.path, architecture)
        w.add_name("small " + architecture)
        w.add_block_count(LAYERS)
        w.add_context_length(512)
        w.add_embedding_length(WIDTH)
        w.add_feed_forward_length(INNER)
        w.add_head_count(HEADS)
        w.add_head_count_kv(KV)
        w.add_layer_norm_rms_eps(1e-5)
        w.add_tokenizer_model("gpt2")
        w.add_token_list([f"word{i}" for i in range(WORDS - 1)] + ["\"é\n"])
        w.add_bos_token_id(1)
        for key, value in numbers.items():
            getattr(w, "add_float32" if isinstance(value, float) else "add_string" if isinstance(value, str)
                    else "add_uint32")(f"{architecture}.{key}", value)

    def add(self, name, shape, kind=Q.F32, size=None, about=0.0):
        values = (self.rng.normal(size=shape) * (size or shape[-1] ** -0.5) + about).astype(np.float32)
        if kind in (Q.F32, Q.F16):
            self.writer.add_tensor(name, values.astype(np.float16 if kind == Q.F16 else np.float32))
        elif kind in (Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.IQ4_NL):
            self.writer.add_tensor(name, random_blocks(self.rng, kind, *shape), raw_dtype=kind)
        else:
            self.writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    def add_net(self, kind=Q.F32, embedding=None, output=None, biases=False, fused=False, heads=False, post=False,
                head=HEAD):
        self.add("token_embd.weight", (WORDS, WIDTH), embedding or kind, 0.06)
        for i in range(LAYERS):
            blk = f"blk.{i}."
            self.add(blk + "attn_norm.weight", (WIDTH,), size=0.2, about=1.0)
            self.add(blk + "ffn_norm.weight", (WIDTH,), size=0.2, about=1.0)
            sizes = {"q": HEADS * head, "k": KV * head, "v": KV * head}
            if fused:
                self.add(blk + "attn_qkv.weight", (sum(sizes.values()), WIDTH), kind)
            else:
                for name, size in sizes.items():
                    self.add(blk + f"attn_{name}.weight", (size, WIDTH), kind)
                    if biases:
                        self.add(blk + f"attn_{name}.bias", (size,), size=0.3)
            if heads:
                self.add(blk + "attn_q_norm.weight", (head,), size=0.2, about=1.0)
                self.add(blk + "attn_k_norm.weight", (head,), size=0.2, about=1.0)
            if post:
                self.add(blk + "post_attention_norm.weight", (WIDTH,), size=0.2, about=1.0)
                self.add(blk + "post_ffw_norm.weight", (WIDTH,), size=0.2, about=1.0)
            self.add(blk + "attn_output.weight", (WIDTH, HEADS * head), kind)
            if fused:
                self.add(blk + "ffn_up.weight", (2 * INNER, WIDTH), kind)
            else:
                self.add(blk + "ffn_gate.weight", (INNER, WIDTH), kind)
                self.add(blk + "ffn_up.weight", (INNER, WIDTH), kind)
            self.add(blk + "ffn_down.weight", (WIDTH, INNER), kind)
        self.add("output_norm.weight", (WIDTH,), size=1.0)  # or else a net says its last word again
        if output:
            self.add("output.weight", (WORDS, WIDTH), output)
        return self

    def close(self):
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()
        return self.path


def weights_of(path):
    return {t.name: gguf.quants.dequantize(t.data, t.tensor_type).reshape([int(n) for n in reversed(t.shape)])
            for t in gguf.GGUFReader(path).tensors}


# ---- the runs -----------------------------------------------------------------------------------------

def check(path, decoder, prompt=PROMPT, count=12, distance=2e-4):
    model = convert(path)
    want, logits = decoder.greedy(prompt, count)
    for ours in (True, False):
        tokens, got = Runner(model, ours).greedy(prompt, count)
        same("logits in " + ("Sardonyx" if ours else "ONNX Runtime"), got.astype(np.float64), logits, distance)
        assert tokens == want, f"{tokens}, expected {want}"
    assert len(set(want)) > 2, "the net says always the same"
    return model


def llama(path, **others):
    return Decoder(weights_of(path), **{"layers": LAYERS, "heads": HEADS, "kv_heads": KV, "head": HEAD, "interleaved": True, **others})


USUAL = 10000.0 ** -(np.arange(0, HEAD, 2) / HEAD)


class Types(unittest.TestCase):
    """Each type of weights in all matrices, the embedding included, which is the output as well."""


def add_type(kind):
    def test(self):
        path = File(kind.name, "llama", seed=int(kind) + 1).add_net(kind).close()
        model = check(path, llama(path))
        types = {i.name: i.data_type for i in onnx.load(model).graph.initializer}
        names = {n.op_type for n in onnx.load(model).graph.node}
        packed = kind not in (Q.F32, Q.F16, Q.BF16)
        self.assertEqual("MatMulNBits" in names, packed)
        self.assertEqual(types["blk.0.ffn_up.weight"] == onnx.TensorProto.UINT8, packed)
    setattr(Types, "test_" + kind.name, test)


for each in (Q.F32, Q.F16, Q.BF16, Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.IQ4_NL):
    add_type(each)


class Families(unittest.TestCase):
    def test_qwen2(self):
        path = File("qwen2", "qwen2", seed=3, **{"rope.freq_base": 1000000.0}).add_net(Q.Q4_K, output=Q.Q6_K, biases=True).close()
        check(path, llama(path, interleaved=False, base=1000000.0))

    def test_qwen3(self):
        path = File("qwen3", "qwen3", **{"attention.key_length": 96, "attention.value_length": 96})
        path = path.add_net(Q.F16, heads=True, head=96).close()
        check(path, llama(path, interleaved=False, head=96))

    def test_phi3(self):
        path = File("phi3", "phi3", **{"attention.sliding_window": 4}).add_net(Q.Q4_0, output=Q.Q8_0, fused=True).close()
        check(path, llama(path, interleaved=False))

    def test_phi3_long(self):
        file = File("phi3long", "phi3", **{"rope.scaling.original_context_length": 64, "rope.scaling.attn_factor": 1.19})
        for kind in ("long", "short"):
            file.add(f"rope_factors_{kind}.weight", (HEAD // 2,), size=0.2, about=2.0)
        path = file.add_net(Q.Q8_0, fused=True).close()
        long = np.float64(weights_of(path)["rope_factors_long.weight"])
        check(path, llama(path, interleaved=False, frequencies=USUAL / long, amplitude=np.float32(1.19)))

    def test_gemma(self):
        path = File("gemma", "gemma").add_net(Q.Q8_0).close()
        check(path, llama(path, interleaved=False, gelu=True, scaled=True))

    def test_gemma2(self):
        path = File("gemma2", "gemma2", **{"attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0,
                                           "attention.sliding_window": 4}).add_net(Q.Q6_K, post=True).close()
        check(path, llama(path, interleaved=False, gelu=True, scaled=True, softcap=5.0, final_softcap=3.0, windows=[4, 0]))

    def test_gemma3(self):
        path = File("gemma3", "gemma3", **{"attention.sliding_window": 4, "rope.freq_base": 1000000.0})
        path = path.add_net(Q.Q4_0, post=True, heads=True).close()
        check(path, llama(path, interleaved=False, gelu=True, scaled=True, windows=[4, 4], base=1e6, local_base=1e4))


class Positions(unittest.TestCase):
    def test_frequencies_of_llama3(self):
        file = File("llama3", "llama", seed=4)
        file.add("rope_freqs.weight", (HEAD // 2,), size=0.5, about=3.0)
        path = file.add_net(Q.Q4_K, embedding=Q.Q6_K).close()
        check(path, llama(path, frequencies=USUAL / np.float64(weights_of(path)["rope_freqs.weight"])))

    def test_linear(self):
        path = File("linear", "llama", **{"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}).add_net(Q.Q8_0).close()
        check(path, llama(path, frequencies=USUAL / 4))

    def test_part_of_a_head(self):
        path = File("partial", "llama", **{"rope.dimension_count": 32}).add_net(Q.Q8_0).close()
        check(path, llama(path, frequencies=10000.0 ** -(np.arange(0, 32, 2) / 32)))

    def test_yarn(self):
        path = File("yarn", "llama", **{"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
                                        "rope.scaling.original_context_length": 128}).add_net(Q.Q8_0).close()
        at = [HEAD * np.log(128 / (turns * 2 * np.pi)) / (2 * np.log(10000)) for turns in (32, 1)]
        low, high = max(0, np.floor(at[0])), min(HEAD - 1, np.ceil(at[1]))
        ramp = np.clip((np.arange(HEAD // 2) - low) / (high - low), 0, 1)
        check(path, llama(path, frequencies=USUAL * (1 - ramp) + USUAL / 4 * ramp, amplitude=1 + 0.1 * np.log(4)))

    def test_padding_on_the_left_changes_nothing(self):
        model = convert(File("padded", "llama").add_net(Q.Q8_0).close())
        for ours in (True, False):
            r = Runner(model, ours)
            ids, mask = np.array([[0, 0, 5, 6, 7], [1, 2, 3, 4, 5]]), np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
            positions = np.maximum(np.cumsum(mask, 1) - 1, 0)
            both, _ = r.step(ids, mask, positions, r.empty(2))
            alone, _ = r.step(np.array([[5, 6, 7]]), np.ones((1, 3), np.int64), np.arange(3)[None], r.empty())
            same("of the padded text", both[0, 2:], alone[0], 1e-5)


class Real(unittest.TestCase):
    @unittest.skipUnless((NATIVE / "llama2c").is_dir(), "no ../shared/models/native/llama2c")
    def test_stories260k(self):
        """Weights of llama2.c's smallest model, which turn neighbouring numbers as GGUF's do."""
        data = (NATIVE / "llama2c/stories260K.bin").read_bytes()
        width, inner, layers, heads, kv, words, _ = struct.unpack("<7i", data[:28])
        words, head, at = abs(words), width // heads, 28

        def take(*shape):
            nonlocal at
            values = np.frombuffer(data, np.float32, int(np.prod(shape)), at).reshape(shape)
            at += values.nbytes
            return values

        names = [("attn_norm", (width,)), ("attn_q", (width, width)), ("attn_k", (kv * head, width)),
                 ("attn_v", (kv * head, width)), ("attn_output", (width, width)), ("ffn_norm", (width,)),
                 ("ffn_gate", (inner, width)), ("ffn_down", (width, inner)), ("ffn_up", (inner, width))]
        path = scratch("stories.gguf")
        w = gguf.GGUFWriter(path, "llama")
        for add, value in ((w.add_block_count, layers), (w.add_embedding_length, width), (w.add_feed_forward_length, inner),
                           (w.add_head_count, heads), (w.add_head_count_kv, kv), (w.add_layer_norm_rms_eps, 1e-5)):
            add(value)
        w.add_tensor("token_embd.weight", take(words, width))
        for name, shape in names:
            for i, values in enumerate(take(layers, *shape)):
                w.add_tensor(f"blk.{i}.{name}.weight", values)
        w.add_tensor("output_norm.weight", take(width))
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()
        check(path, llama(path, layers=layers, heads=heads, kv_heads=kv, head=head), prompt=[1], count=120, distance=1e-3)


class Command(unittest.TestCase):
    def test_inspect_lists_what_lies_in_the_file(self):
        path = File("listed", "llama").add_net(Q.Q4_K, output=Q.Q6_K).close()
        listed = json.loads(command("inspect", path, "--json").stdout)
        tensors = gguf.GGUFReader(path).tensors
        self.assertEqual([(w["name"], w["type"], w["shape"], w["bytes"]) for w in listed["weights"]],
                         [(t.name, t.tensor_type.name, [int(n) for n in reversed(t.shape)], int(t.n_bytes)) for t in tensors])
        self.assertEqual(listed["metadata"]["llama.block_count"], LAYERS)
        self.assertEqual(listed["metadata"]["tokenizer.ggml.tokens"][-1], "\"é\n")
        table = command("inspect", path).stdout
        for word in ("blk.1.ffn_down.weight", "Q4_K", "256×512", "llama.embedding_length"):
            self.assertIn(word, table)

    def test_metadata_stays(self):
        path = File("kept", "llama").add_net(Q.Q8_0).close()
        kept = {p.key: p.value for p in onnx.load(convert(path)).metadata_props}
        self.assertEqual(kept["general.architecture"], "llama")
        self.assertEqual(len(json.loads(kept["tokenizer.ggml.tokens"])), WORDS)
        self.assertEqual(kept["tokenizer.ggml.bos_token_id"], "1")

    def refused(self, path, *words):
        done = command("convert", path, "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1, done.stdout)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertFalse(pathlib.Path(scratch("no.onnx")).exists())

    def test_refusals(self):
        self.refused(File("bert", "bert").add_net().close(), "'bert'", "qwen2", "inspect")
        file = File("moe", "llama", expert_count=8)
        self.refused(file.add_net().close(), "mixtures of experts")
        file = File("lost", "llama")
        for name in ("token_embd", "blk.0.ffn_up"):
            file.add(name + ".weight", (WORDS, WIDTH))
        self.refused(file.close(), "blk.1.ffn_down.weight: the weight is missing", "output_norm.weight")
        path = File("short", "llama").add_net().close()
        whole = pathlib.Path(path).read_bytes()
        for size in (3, 20, 200, len(whole) // 2):
            pathlib.Path(path).write_bytes(whole[:size])
            self.refused(path, "")
        done = command("convert", File("opset", "llama").add_net().close(), "--opset", "17", "-o", scratch("no.onnx"))
        self.assertIn("since opset 23", done.stderr)

    def test_run_takes_it_directly(self):
        path = File("direct", "llama").add_net(Q.Q4_0).close()
        done = command("run", path, "--random", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    sys.exit(suite.run())
