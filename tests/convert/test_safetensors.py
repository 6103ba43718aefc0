#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Folders as the transformers library writes them (config.json, model.safetensors or its parts), written here by the
package `safetensors`, against a decoder in NumPy.

    tests/convert/test_safetensors.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import json
import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import venv  # noqa: E402

venv.enter("convert")

import ml_dtypes  # noqa: E402
import numpy as np  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

import suite  # noqa: E402
from decoder import Decoder, Runner  # noqa: E402
from harness import command, convert, same, scratch  # noqa: E402

WIDTH, HEADS, KV, HEAD, INNER, WORDS, LAYERS = 64, 4, 2, 16, 96, 50, 2
NAMES = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_qkv": "self_attn.qkv_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
         "ffn_norm": "post_attention_layernorm"}
BEHIND = {"ffn_norm": "pre_feedforward_layernorm", "post_attention_norm": "post_attention_layernorm",
          "post_ffw_norm": "post_feedforward_layernorm"}
USUAL = 10000.0 ** -(np.arange(0, HEAD, 2) / HEAD)


def net(seed=3, biases=False, heads=False, behind=False, fused=False, tied=False):
    """Weights by GGUF's names."""
    rng, w = np.random.default_rng(seed), {}

    def add(name, *shape):
        w[name + ".weight"] = (rng.normal(size=shape) * shape[-1] ** -0.5 if len(shape) > 1
                               else 1 + 0.2 * rng.normal(size=shape)).astype(np.float32)

    add("token_embd", WORDS, WIDTH)
    for i in range(LAYERS):
        blk, sizes = f"blk.{i}.", {"q": HEADS * HEAD, "k": KV * HEAD, "v": KV * HEAD}
        for name in ["attn_norm", "ffn_norm"] + ["post_attention_norm", "post_ffw_norm"] * behind:
            add(blk + name, WIDTH)
        if fused:
            add(blk + "attn_qkv", sum(sizes.values()), WIDTH)
        else:
            for name, size in sizes.items():
                add(blk + "attn_" + name, size, WIDTH)
                if biases:
                    w[blk + f"attn_{name}.bias"] = (0.2 * rng.normal(size=size)).astype(np.float32)
        for name in ["attn_q_norm", "attn_k_norm"] * heads:
            add(blk + name, HEAD)
        add(blk + "attn_output", WIDTH, HEADS * HEAD)
        for name in ["ffn_up"] if fused else ["ffn_gate", "ffn_up"]:
            add(blk + name, 2 * INNER if fused else INNER, WIDTH)
        add(blk + "ffn_down", WIDTH, INNER)
    w["output_norm.weight"] = rng.normal(size=WIDTH).astype(np.float32)
    if not tied:
        add("output", WORDS, WIDTH)
    return w


def folder(name, model_type, weights, parts=1, less=0, dtype=np.float32, **numbers):
    """Writes it; the weights as they are then."""
    path = pathlib.Path(scratch(name))
    os.mkdir(path)
    behind = any("post_ffw" in n for n in weights)
    (path / "config.json").write_text(json.dumps({
        "architectures": ["ForCausalLM"], "model_type": model_type, "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV, "head_dim": HEAD, "intermediate_size": INNER, "vocab_size": WORDS,
        "rms_norm_eps": 1e-5, "max_position_embeddings": 256, "hidden_act": "gelu_pytorch_tanh" if "gemma" in model_type else "silu",
        **numbers}))
    files, kept = {}, {}
    for key, value in weights.items():
        value = (value - less if "norm" in key else value).astype(dtype)
        kept[key] = value.astype(np.float32) + (less if "norm" in key else 0)
        start, _, rest = key.rpartition(".")
        if start.startswith("blk."):
            _, number, what = start.split(".")
            what = "mlp.gate_up_proj" if "attn_qkv" in str(weights.keys()) and what == "ffn_up" else \
                {**NAMES, **(BEHIND if behind else {})}[what]
            key = f"model.layers.{number}.{what}.{rest}"
        else:
            key = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}[start] + "." + rest
        files[key] = np.ascontiguousarray(value)
    if parts == 1:
        save_file(files, path / "model.safetensors", metadata={"format": "pt"})
    else:
        places = {}
        for i in range(parts):
            part = f"model-{i + 1:05}-of-{parts:05}.safetensors"
            names = sorted(files)[i::parts]
            save_file({n: files[n] for n in names}, path / part)
            places.update(dict.fromkeys(names, part))
        (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return str(path), kept


def decoder(weights, **others):
    return Decoder(weights, **{"layers": LAYERS, "heads": HEADS, "kv_heads": KV, "head": HEAD, **others})


def check(path, reference, count=12):
    model = convert(path)
    want, logits = reference.greedy([3, 17, 40, 4], count)
    for ours in (True, False):
        tokens, got = Runner(model, ours).greedy([3, 17, 40, 4], count)
        same("logits", got.astype(np.float64), logits, 2e-4)
        assert tokens == want, f"{tokens}, expected {want}"
    assert len(set(want)) > 2, "the net says always the same"


class Folders(unittest.TestCase):
    def test_llama(self):
        path, w = folder("llama", "llama", net())
        check(path, decoder(w))
        check(path + "/model.safetensors", decoder(w))  # config.json lies beside it

    def test_parts(self):
        path, w = folder("parts", "llama", net(5), parts=3)
        check(path, decoder(w))

    def test_llama3_in_bf16(self):
        scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                   "original_max_position_embeddings": 64}
        path, w = folder("llama3", "llama", net(tied=True), dtype=ml_dtypes.bfloat16, rope_theta=500000.0, rope_scaling=scaling)
        frequencies = 500000.0 ** -(np.arange(0, HEAD, 2) / HEAD)
        waves, slow = 2 * np.pi / frequencies, frequencies / 8
        smooth = (64 / waves - 1) / 3
        frequencies = np.where(waves < 16, frequencies, np.where(waves > 64, slow, (1 - smooth) * slow + smooth * frequencies))
        check(path, decoder(w, frequencies=frequencies))

    def test_mistral_in_fp16(self):
        path, w = folder("mistral", "mistral", net(6), dtype=np.float16, sliding_window=5)
        check(path, decoder(w, windows=[5] * LAYERS))

    def test_qwen2(self):
        path, w = folder("qwen2", "qwen2", net(biases=True), use_sliding_window=False, sliding_window=4)
        check(path, decoder(w))

    def test_qwen3(self):
        path, w = folder("qwen3", "qwen3", net(heads=True))
        check(path, decoder(w))

    def test_phi3(self):
        factors = list(np.linspace(1, 3, HEAD // 2))
        path, w = folder("phi3", "phi3", net(fused=True), original_max_position_embeddings=64,
                         rope_scaling={"type": "longrope", "long_factor": factors, "short_factor": [1.0] * (HEAD // 2)})
        check(path, decoder(w, frequencies=USUAL / np.float32(factors), amplitude=np.sqrt(1 + np.log(4) / np.log(64))))

    def test_gemma(self):
        path, w = folder("gemma", "gemma", net(7, tied=True), less=1)
        check(path, decoder(w, gelu=True, scaled=True))

    def test_gemma2(self):
        path, w = folder("gemma2", "gemma2", net(behind=True, tied=True), less=1, sliding_window=4, query_pre_attn_scalar=32,
                         attn_logit_softcapping=5.0, final_logit_softcapping=3.0)
        check(path, decoder(w, gelu=True, scaled=True, windows=[4, 0], scale=32 ** -0.5, softcap=5.0, final_softcap=3.0))


class Command(unittest.TestCase):
    def test_lists_and_advice(self):
        path = scratch("other.safetensors")
        save_file({"a.weight": np.zeros((3, 4), np.float16), "b": np.zeros((), np.int64)}, path, metadata={"made": "here"})
        listed = json.loads(command("inspect", path, "--json").stdout)
        self.assertEqual(listed["metadata"], {"made": "here"})
        self.assertEqual(sorted((w["name"], w["type"], w["shape"], w["bytes"]) for w in listed["weights"]),
                         [("a.weight", "F16", [3, 4], 24), ("b", "I64", [], 8)])
        self.assertIn("3×4", command("inspect", path).stdout)
        done = command("convert", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("config.json", done.stderr)

    def refused(self, path, *words):
        done = command("convert", path, "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_refusals(self):
        path, _ = folder("other", "mamba", net())
        self.refused(path, "'mamba'", "qwen3", "optimum")
        self.refused(folder("moe", "llama", net(), num_local_experts=8)[0], "mixtures of experts")
        self.refused(folder("act", "llama", net(), hidden_act="relu")[0], "'relu'")
        self.refused(folder("rope", "llama", net(), rope_scaling={"rope_type": "dynamic", "factor": 2.0})[0], "'dynamic'")
        self.refused(folder("more", "llama", net(heads=True, behind=True))[0], "layernorm")
        path, _ = folder("less", "llama", {k: v for k, v in net().items() if "blk.1.ffn_up" not in k}, parts=2)
        self.refused(path, "blk.1.ffn_up.weight: the weight is missing")
        os.remove(path + "/model-00002-of-00002.safetensors")
        self.refused(path, "model-00002-of-00002.safetensors")


if __name__ == "__main__":
    sys.exit(suite.run())
