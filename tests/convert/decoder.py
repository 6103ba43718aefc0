# SPDX-License-Identifier: Apache-2.0
"""A decoder of the LLaMA family in NumPy, evaluated from the text's beginning for each token, without a cache, in double:
what converted decoders are held against. And both engines running such a model token by token, with their cache."""
import numpy as np
import onnx

from harness import engine, ort


def rotate(x, angles, interleaved):
    """x [heads, rows, head]; angles [rows, rotary / 2]."""
    half = angles.shape[-1]
    cos, sin, turned = np.cos(angles), np.sin(angles), x.copy()
    a, b = (slice(0, 2 * half, 2), slice(1, 2 * half, 2)) if interleaved else (slice(0, half), slice(half, 2 * half))
    turned[..., a] = x[..., a] * cos - x[..., b] * sin
    turned[..., b] = x[..., b] * cos + x[..., a] * sin
    return turned


def rms(x, weight, epsilon):
    return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + epsilon) * weight


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))


class Decoder:
    """weights by the names of GGUF, as matrices [out, in]."""

    def __init__(self, weights, *, layers, heads, kv_heads, head, epsilon=1e-5, base=10000.0, interleaved=False, gelu=False,
                 scaled=False, windows=None, local_base=None, frequencies=None, amplitude=1.0, scale=None, softcap=0,
                 final_softcap=0):
        self.w = {k: np.asarray(v, np.float64) for k, v in weights.items()}
        self.layers, self.heads, self.kv_heads, self.head, self.epsilon = layers, heads, kv_heads, head, epsilon
        self.interleaved, self.act, self.scaled = interleaved, globals()["gelu" if gelu else "silu"], scaled
        self.windows, self.amplitude = windows or [0] * layers, amplitude
        self.scale = scale or head ** -0.5
        self.softcap, self.final_softcap = softcap, final_softcap
        usual = np.arange(0, head, 2) / head
        self.frequencies = np.asarray(frequencies if frequencies is not None else base ** -usual)
        self.local = (local_base or base) ** -usual if local_base else self.frequencies

    def linear(self, x, name):
        y = x @ self.w[name + ".weight"].T
        return y + self.w[name + ".bias"] if name + ".bias" in self.w else y

    def norm(self, x, name):
        return rms(x, self.w[name + ".weight"], self.epsilon) if name + ".weight" in self.w else x

    def attend(self, x, blk, layer, positions):
        n, h, g, d = len(x), self.heads, self.kv_heads, self.head
        if blk + "attn_qkv.weight" in self.w:
            q, k, v = np.split(self.linear(x, blk + "attn_qkv"), [h * d, (h + g) * d], -1)
        else:
            q, k, v = (self.linear(x, blk + "attn_" + name) for name in "qkv")
        q, k, v = (np.reshape(a, (n, -1, d)).transpose(1, 0, 2) for a in (q, k, v))
        q, k = self.norm(q, blk + "attn_q_norm"), self.norm(k, blk + "attn_k_norm")
        window = self.windows[layer]
        angles = positions[:, None] * (self.local if window else self.frequencies)
        q, k = (rotate(a, angles, self.interleaved) for a in (q, k))
        turned = 2 * angles.shape[-1]
        q[..., :turned] *= self.amplitude
        k[..., :turned] *= self.amplitude
        k, v = (np.repeat(a, h // g, 0) for a in (k, v))
        scores = q @ k.transpose(0, 2, 1) * self.scale
        if self.softcap:
            scores = np.tanh(scores / self.softcap) * self.softcap
        apart = np.arange(n)[:, None] - np.arange(n)
        scores = np.where((apart >= 0) & ((apart < window) | (not window)), scores, -np.inf)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        y = (p / p.sum(-1, keepdims=True)) @ v
        return self.linear(y.transpose(1, 0, 2).reshape(n, -1), blk + "attn_output")

    def forward(self, x, blk):
        if blk + "ffn_gate.weight" in self.w:
            gate, up = self.linear(x, blk + "ffn_gate"), self.linear(x, blk + "ffn_up")
        else:
            gate, up = np.split(self.linear(x, blk + "ffn_up"), 2, -1)
        return self.linear(self.act(gate) * up, blk + "ffn_down")

    def __call__(self, tokens):
        """Logits of each place."""
        x = self.w["token_embd.weight"][tokens]
        if self.scaled:
            x = x * np.sqrt(x.shape[-1])
        for i in range(self.layers):
            blk = f"blk.{i}."
            y = self.attend(self.norm(x, blk + "attn_norm"), blk, i, np.arange(len(tokens), dtype=np.float64))
            x = x + self.norm(y, blk + "post_attention_norm")
            y = self.forward(self.norm(x, blk + "ffn_norm"), blk)
            x = x + self.norm(y, blk + "post_ffw_norm")
        x = self.norm(x, "output_norm")
        x = self.linear(x, "output" if "output.weight" in self.w else "token_embd")
        return np.tanh(x / self.final_softcap) * self.final_softcap if self.final_softcap else x

    def greedy(self, prompt, count):
        """The tokens, and the logits that chose each."""
        tokens, logits = list(prompt), []
        for _ in range(count):
            logits.append(self(tokens)[-1])
            tokens.append(int(np.argmax(logits[-1])))
        return tokens[len(prompt):], np.array(logits)


class Runner:
    """A converted decoder in one engine. Feeds the cache back."""

    def __init__(self, path, ours):
        model = onnx.load(path, load_external_data=False)
        self.names = [o.name for o in model.graph.output]
        self.inputs = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
        if ours:
            session = engine.Session(open(path, "rb").read())
            self.run = session.run
        else:
            session = ort.InferenceSession(path)
            self.run = lambda feeds: session.run(None, feeds)

    def empty(self, batch=1):
        return {n: np.zeros((batch, s[1], 0, s[3]), np.float32) for n, s in self.inputs.items() if n.startswith("past")}

    def step(self, ids, mask, positions, cache):
        feeds = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, **cache}
        got = dict(zip(self.names, self.run({k: v for k, v in feeds.items()})))
        return got["logits"], {n.replace("present", "past_key_values"): v for n, v in got.items() if n != "logits"}

    def greedy(self, prompt, count):
        cache, new, tokens, logits, done = self.empty(), list(prompt), [], [], 0
        for _ in range(count):
            ids = np.array([new], np.int64)
            mask = np.ones((1, done + len(new)), np.int64)
            got, cache = self.step(ids, mask, np.arange(done, done + len(new), dtype=np.int64)[None], cache)
            done += len(new)
            logits.append(got[0, -1])
            new = [int(np.argmax(logits[-1]))]
            tokens += new
        return tokens, np.array(logits)
