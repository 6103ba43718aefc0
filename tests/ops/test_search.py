#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""GreedySearch, Sampling, BeamSearch and WhisperBeamSearch against ONNX Runtime, token by token: small random decoders
with every kind of state (GPT-2, T5, Whisper), under every option.

    tests/ops/test_search.py [--seeds N] [-v] [NAME ...]     only cases whose name contains a NAME
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import venv  # noqa: E402

venv.enter()

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402
from onnx import TensorProto as T, helper, numpy_helper  # noqa: E402

import engine  # noqa: E402
import suite  # noqa: E402

ort.set_default_logger_severity(4)
HEADS, SIZE, WIDTH = 2, 3, 6  # WIDTH = HEADS * SIZE


class Body:
    """A graph under construction."""

    def __init__(self, rng, vocabulary):
        self.rng, self.vocabulary = rng, vocabulary
        self.nodes, self.constants, self.inputs, self.outputs, self.fresh = [], [], [], [], 0

    def node(self, op, *inputs, outputs=None, **attributes):
        self.fresh += 1
        out = outputs or f"t{self.fresh}"
        self.nodes.append(helper.make_node(op, inputs, [out], **attributes))
        return out

    def constant(self, value):
        self.fresh += 1
        self.constants.append(numpy_helper.from_array(np.asarray(value), f"c{self.fresh}"))
        return self.constants[-1].name

    def weights(self, *shape, scale=1.0):
        return self.constant((self.rng.normal(size=shape) * scale).astype(np.float32))

    def input(self, name, dtype, shape):
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name, value, shape):
        self.node("Identity", value, outputs=name)
        self.outputs.append(helper.make_tensor_value_info(name, T.FLOAT, shape))

    def heads(self, x):
        """[batch, length, WIDTH] to [batch, HEADS, length, SIZE]."""
        return self.node("Transpose", self.node("Reshape", x, self.constant(np.int64([0, 0, HEADS, SIZE]))),
                         perm=[0, 2, 1, 3])

    def sum_over(self, state, mask):
        """State [batch, HEADS, length, SIZE] under a mask [batch, length] to [batch, 1, WIDTH]."""
        if mask:
            state = self.node("Mul", state, self.node("Unsqueeze", self.node("Cast", mask, to=T.FLOAT),
                                                      self.constant(np.int64([1, 3]))))
        total = self.node("ReduceSum", state, self.constant(np.int64([2])), keepdims=0)
        return self.node("Reshape", total, self.constant(np.int64([-1, 1, WIDTH])))

    def logits(self, embedded, *summaries):
        h = embedded
        for s in summaries:
            h = self.node("Add", h, self.node("MatMul", s, self.weights(WIDTH, WIDTH, scale=0.4)))
        return self.node("MatMul", self.node("Tanh", h), self.weights(WIDTH, self.vocabulary, scale=2.5))

    def graph(self, name):
        return helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.constants)


def gpt(seed, vocabulary):
    b = Body(np.random.default_rng(seed), vocabulary)
    ids = b.input("input_ids", T.INT32, ["B", "S"])
    positions = b.input("position_ids", T.INT32, ["B", "S"])
    mask = b.input("attention_mask", T.INT32, ["B", "T"])
    x = b.node("Add", b.node("Gather", b.weights(vocabulary, WIDTH), ids),
               b.node("Gather", b.weights(64, WIDTH, scale=0.5), positions))
    summaries = []
    for layer in range(2):
        past = b.input(f"past_{layer}", T.FLOAT, [2, "B", HEADS, "P", SIZE])
        parts = [b.node("Unsqueeze", b.heads(b.node("MatMul", x, b.weights(WIDTH, WIDTH, scale=0.4))),
                        b.constant(np.int64([0]))) for _ in range(2)]
        present = b.node("Concat", past, b.node("Concat", *parts, axis=0), axis=3)
        for i in range(2):
            part = b.node("Gather", present, b.constant(np.int64(i)), axis=0)
            summaries.append(b.sum_over(part, mask))
        b.late = getattr(b, "late", []) + [(f"present_{layer}", present)]
    b.output("logits", b.logits(x, *summaries), ["B", "S", vocabulary])
    for name, present in b.late:
        b.output(name, present, [2, "B", HEADS, "T", SIZE])
    return b.graph("gpt")


def self_state(b, x, past, i):
    made = b.heads(b.node("MatMul", x, b.constant((np.random.default_rng(900 + i).normal(size=(WIDTH, WIDTH)) * 0.4)
                                                  .astype(np.float32))))
    return b.node("Concat", past, made, axis=2) if past else made


def decoder_core(b, seed, vocabulary, ids, cross, mask, pasts):
    """Logits and new states: the same whether it runs inside of the encoder's body or by itself."""
    saved, b.rng = b.rng, np.random.default_rng(seed)
    x = b.node("Gather", b.weights(vocabulary, WIDTH), ids)
    presents = [self_state(b, x, pasts[i] if pasts else None, i) for i in range(2)]
    summaries = [b.sum_over(p, None) for p in presents] + [b.sum_over(c, mask) for c in cross]
    logits = b.logits(x, *summaries)
    b.rng = saved
    return logits, presents


SELF = ["key_self_0", "value_self_0"]
CROSS = ["key_cross_0", "value_cross_0"]


def encoder(seed, vocabulary, whisper, starts):
    b = Body(np.random.default_rng(seed + 1), vocabulary)
    if whisper:
        features = b.input("encoder_input_ids", T.FLOAT, ["B", WIDTH, "F"])
        h, mask = b.node("Transpose", features, perm=[0, 2, 1]), None
    else:
        ids = b.input("encoder_input_ids", T.INT32, ["B", "S"])
        mask = b.input("encoder_attention_mask", T.INT32, ["B", "S"])
        h = b.node("Gather", b.weights(vocabulary, WIDTH), ids)
    h = b.node("Tanh", b.node("MatMul", h, b.weights(WIDTH, WIDTH)))
    cross = [b.heads(b.node("MatMul", h, b.weights(WIDTH, WIDTH, scale=0.4))) for _ in range(2)]
    if starts:
        start = b.input("decoder_input_ids", T.INT32, ["B", "D"])
        logits, presents = decoder_core(b, seed, vocabulary, start, cross, mask, None)
        b.output("logits", logits, ["B", "D", vocabulary])
        b.output("encoder_hidden_states", h, ["B", "S", WIDTH])
        for name, p in zip(SELF, presents):
            b.output("present_" + name, p, ["B", HEADS, "D", SIZE])
    for name, c in zip(CROSS, cross):
        b.output("present_" + name, c, ["B", HEADS, "S", SIZE])
    return b.graph("encoder")


def decoder(seed, vocabulary, whisper, hidden):
    b = Body(np.random.default_rng(seed + 2), vocabulary)
    ids = b.input("input_ids", T.INT32, ["B", 1])
    mask = None if whisper else b.input("encoder_attention_mask", T.INT32, ["B", "S"])
    if hidden:
        b.input("encoder_hidden_states", T.FLOAT, ["B", "S", WIDTH])
    pasts = [b.input("past_" + n, T.FLOAT, ["B", HEADS, "P", SIZE]) for n in SELF]
    cross = [b.input("past_" + n, T.FLOAT, ["B", HEADS, "S", SIZE]) for n in CROSS]
    logits, presents = decoder_core(b, seed, vocabulary, ids, cross, mask, pasts)
    b.output("logits", logits, ["B", 1, vocabulary])
    for name, p in zip(SELF, presents):
        b.output("present_" + name, p, ["B", HEADS, "T", SIZE])
    return b.graph("decoder")


BEAM_INPUTS = ["input_ids", "max_length", "min_length", "num_beams", "num_return_sequences", "length_penalty",
               "repetition_penalty", "vocab_mask", "prefix_vocab_mask", "attention_mask", "decoder_input_ids",
               "logits_processor", "cross_qk_layer_head", "extra_decoding_ids", "temperature"]
GREEDY_INPUTS = ["input_ids", "max_length", "min_length", "repetition_penalty", "vocab_mask", "prefix_vocab_mask",
                 "attention_mask", "presence_mask", "seed"]


def build(op, bodies, feeds, outputs, attributes):
    known = BEAM_INPUTS if "Beam" in op else GREEDY_INPUTS
    names = [n if n in feeds else "" for n in known]
    while not names[-1]:
        names.pop()
    node = helper.make_node(op, names, outputs, domain="com.microsoft", name="search", **bodies, **attributes)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
                      for n, x in feeds.items()],
        [helper.make_tensor_value_info(o, T.INT32 if o == "sequences" else T.FLOAT, None) for o in outputs if o])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def ours(model, feeds):
    return engine.Session(model).run(feeds)


class Refused(Exception):
    pass


def theirs(model, feeds):
    try:
        return ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, feeds)
    except Exception as e:  # it has exceptions of its own
        raise Refused(str(e).splitlines()[0][:200]) from e


def one_by_one(model, feeds, batch):
    """Results of every batch entry alone: where ONNX Runtime asks whether a beam search is done, it mixes entries up."""
    batched = [n for n, x in feeds.items() if x.ndim > 1]
    parts = [theirs(model, {n: x[i:i + 1] if n in batched else x for n, x in feeds.items()}) for i in range(batch)]
    return [np.concatenate(p, axis=0) for p in zip(*parts)]


def compare(build_model, feeds, outputs):
    batch = len(feeds["input_ids"])
    if batch > 1:
        outputs = [o for o in outputs if o != "scores"]
    beams = "sequences_scores" in outputs
    model = build_model(feeds, outputs)
    free = build_model({n: np.empty((1,) + x.shape[1:], x.dtype) if x.ndim > 1 else x for n, x in feeds.items()}, outputs)
    got = ours(model, feeds)
    want = one_by_one(free, feeds, batch) if beams and batch > 1 else theirs(model, feeds)
    for name, g, w in zip([o for o in outputs if o], got, want, strict=True):
        assert g.shape == w.shape, f"{name} is {g.shape}, wanted {w.shape}"
        if name == "sequences":
            if not beams:  # what comes after all sequences have ended is whatever was in memory: here it is padding
                end = int(np.flatnonzero((g != 1).any(axis=0))[-1]) + 2
                g, w = g[:, :end], w[:, :end]
            assert np.array_equal(g, w), f"sequences\n{g}\nwanted\n{w}"
        elif name == "scores":  # so are steps that never ran
            steps = int(np.flatnonzero(np.any(g.reshape(len(g), -1) != 0, axis=1)).max(initial=-1)) + 1
            assert np.allclose(g[:steps], w[:steps], rtol=1e-4, atol=1e-4), f"{name}\n{g[:steps]}\nwanted\n{w[:steps]}"
        else:
            assert np.allclose(g, w, rtol=1e-4, atol=1e-5), f"{name}\n{g}\nwanted\n{w}"


def number(x):
    return np.asarray([x], np.float32 if isinstance(x, float) else np.int32)


def options_for(rng, op, batch, vocabulary, start):
    """A random choice of everything that can be set."""
    feeds, attributes = {"max_length": number(int(rng.integers(start + 2, start + 14)))}, {}
    maybe = lambda share=0.35: rng.random() < share  # noqa: E731
    if maybe() or "Beam" in op:  # which ONNX Runtime takes for a required input
        feeds["min_length"] = number(int(rng.integers(0, int(feeds["max_length"][0]))))
    if maybe():
        feeds["repetition_penalty"] = number(float(rng.uniform(0.7, 2.0)))
    if maybe():
        mask = (rng.random(vocabulary) < 0.7).astype(np.int32)
        mask[:4] = 1
        feeds["vocab_mask"] = mask
    if maybe():
        mask = (rng.random((batch, vocabulary)) < 0.5).astype(np.int32)
        mask[:, :4] = 1
        feeds["prefix_vocab_mask"] = mask
    if maybe():
        attributes["no_repeat_ngram_size"] = int(rng.integers(1, 4))
    if "Beam" in op:
        beams = int(rng.integers(1, 6))
        feeds["num_beams"] = number(beams)
        feeds["num_return_sequences"] = number(int(rng.integers(1, beams + 1)))
        feeds["length_penalty"] = number(float(rng.choice([0.5, 1.0, 2.0])) if maybe(0.6) else 1.0)
        attributes["early_stopping"] = int(maybe())
    return feeds, attributes


def gpt_case(op, mask=False, first=False):
    def case(rng):
        vocabulary, batch, start = int(rng.integers(8, 20)), int(rng.integers(1, 4)), int(rng.integers(1, 6))
        seed = int(rng.integers(1 << 30))
        feeds, attributes = options_for(rng, op, batch, vocabulary, start)
        ids = rng.integers(2, vocabulary, (batch, start)).astype(np.int32)
        for row in ids:
            row[:rng.integers(0, start)] = 1  # padding on the left
        if mask:
            feeds["attention_mask"] = (rng.random(ids.shape) < 0.7).astype(np.int32)
            feeds["attention_mask"][:, -1] = 1
        feeds = {"input_ids": ids, **feeds}
        bodies = {"decoder": gpt(seed, vocabulary), **({"init_decoder": gpt(seed + 7, vocabulary)} if first else {})}
        outputs = ["sequences", "sequences_scores", "scores"] if "Beam" in op else ["sequences"]
        attributes = {"eos_token_id": 0 if op == "GreedySearch" else 2, "pad_token_id": 1, **attributes}
        compare(lambda f, o: build(op, bodies, f, o, attributes), feeds, outputs)
    return case


def t5_case(hidden, starts):
    def case(rng):
        vocabulary, batch = int(rng.integers(8, 20)), int(rng.integers(1, 4))
        seed, length = int(rng.integers(1 << 30)), int(rng.integers(1, 6))
        feeds, attributes = options_for(rng, "BeamSearch", batch, vocabulary, 1)
        ids = rng.integers(1, vocabulary, (batch, length)).astype(np.int32)
        feeds = {"input_ids": ids, **feeds}
        if rng.random() < 0.3:
            feeds["attention_mask"] = (rng.random(ids.shape) < 0.7).astype(np.int32)
        bodies = {"encoder": encoder(seed, vocabulary, False, starts),
                  "decoder": decoder(seed, vocabulary, False, hidden)}
        outputs = ["sequences", "sequences_scores", "scores"]
        attributes = {"eos_token_id": 2, "pad_token_id": 1, "decoder_start_token_id": 3, "model_type": 1, **attributes}
        compare(lambda f, o: build("BeamSearch", bodies, f, o, attributes), feeds, outputs)
    return case


def whisper_case(timestamps):
    def case(rng):
        vocabulary, batch, start = 60, int(rng.integers(1, 3)), int(rng.integers(1, 5))
        seed = int(rng.integers(1 << 30))
        feeds, attributes = options_for(rng, "WhisperBeamSearch", batch, vocabulary, start)
        feeds = {"input_ids": rng.normal(size=(batch, WIDTH, 5)).astype(np.float32), **feeds}
        prompt = rng.integers(8, 14, (batch, start)).astype(np.int32)
        prompt[:, 0] = 3
        feeds["decoder_input_ids"] = prompt
        if timestamps:
            feeds["logits_processor"] = number(1)
        if rng.random() < 0.4:
            feeds["temperature"] = number(float(rng.uniform(0.5, 2)))
        bodies = {"encoder": encoder(seed, vocabulary, True, True), "decoder": decoder(seed, vocabulary, True, False)}
        outputs = ["sequences", "sequences_scores", "scores"]
        attributes = {"eos_token_id": 2, "pad_token_id": 2, "decoder_start_token_id": 3, "translate_token_id": 8,
                      "transcribe_token_id": 9, "start_of_lm_token_id": 10, "no_speech_token_id": 12,
                      "no_timestamps_token_id": 11, "beginning_timestamp_token_id": 40, **attributes}
        compare(lambda f, o: build("WhisperBeamSearch", bodies, f, o, attributes), feeds, outputs)
    return case


def sampling_case(custom):
    """With almost nothing left to choose from, sampling is exact."""
    def case(rng):
        vocabulary, batch, start = int(rng.integers(8, 20)), int(rng.integers(1, 4)), int(rng.integers(1, 6))
        seed = int(rng.integers(1 << 30))
        feeds, attributes = options_for(rng, "Sampling", batch, vocabulary, start)
        feeds = {"input_ids": rng.integers(2, vocabulary, (batch, start)).astype(np.int32), **feeds, "seed": number(5)}
        attributes = {"eos_token_id": 0, "pad_token_id": 1, "min_tokens_to_keep": 1, "top_p": 1e-6, "custom": custom,
                      "temperature": float(rng.uniform(0.5, 2)), **attributes}
        if custom:
            feeds.pop("vocab_mask", None)  # ties at the end are cut at another place
        compare(lambda f, o: build("Sampling", {"decoder": gpt(seed, vocabulary)}, f, o, attributes), feeds,
                ["sequences"])
    return case


def sampling_statistics(rng):
    """As often as their probability says; the same for the same seed; only what top_p leaves."""
    vocabulary, batch = 8, 4000
    seed, top_p = int(rng.integers(1 << 30)), float(rng.uniform(0.3, 0.95))
    ids = np.tile(rng.integers(2, vocabulary, (1, 3)), (batch, 1)).astype(np.int32)
    outputs, custom = ["sequences", "filtered_logits"], int(rng.integers(2))
    def sample(number_of_seed, share):
        feeds = {"input_ids": ids, "max_length": number(4), "seed": number(number_of_seed)}
        attributes = {"eos_token_id": 0, "pad_token_id": 0, "min_tokens_to_keep": 1, "top_p": share, "custom": custom,
                      "temperature": 8.0}
        return ours(build("Sampling", {"decoder": gpt(seed, vocabulary)}, feeds, outputs, attributes), feeds)
    tokens, logits = sample(1, top_p)
    again, other = sample(1, top_p)[0], sample(2, top_p)[0]
    assert np.array_equal(tokens, again), "another result for the same seed"
    assert not np.array_equal(tokens, other), "the same result for another seed"
    raw = sample(1, 1.0)[1][0].astype(np.float64)
    share = np.exp(raw - raw.max()) / np.exp(raw - raw.max()).sum()
    order = np.argsort(-share)
    kept = order[:1 + int(np.count_nonzero(np.cumsum(share[order])[:-1] < top_p))]
    left = np.zeros(vocabulary)
    left[kept] = share[kept] / share[kept].sum()
    assert sorted(np.flatnonzero(logits[0] > -1e19)) == sorted(kept), f"{logits[0]} is left of {share} at {top_p}"
    seen = np.bincount(tokens[:, 3], minlength=vocabulary) / batch
    limit = 5 * np.sqrt(left * (1 - left) / batch) + 1e-9
    assert np.all(np.abs(seen - left) <= limit), f"frequencies {seen}, wanted {left}"


def whisper_extras(rng):
    """The probability of silence comes from the first step's logits (ONNX Runtime gives it on GPUs only); half-precision
    options make the scores half-precision."""
    vocabulary, seed = 60, int(rng.integers(1 << 30))
    feeds = {"input_ids": rng.normal(size=(2, WIDTH, 5)).astype(np.float32), "max_length": number(9),
             "num_beams": number(2), "num_return_sequences": number(2), "length_penalty": number(2.0)}
    bodies = {"encoder": encoder(seed, vocabulary, True, True), "decoder": decoder(seed, vocabulary, True, False)}
    attributes = {"eos_token_id": 2, "pad_token_id": 2, "decoder_start_token_id": 3, "no_speech_token_id": 12}
    outputs = ["sequences", "sequences_scores", "scores", "", "non_speech_probs"]
    tokens, final, scores, silence = ours(build("WhisperBeamSearch", bodies, feeds, outputs, attributes), feeds)
    assert np.allclose(silence, np.exp(scores[0, :, 0, 12]), rtol=1e-5)
    half = {**feeds, "length_penalty": feeds["length_penalty"].astype(np.float16)}
    model = build("WhisperBeamSearch", bodies, half, outputs[:2], attributes)
    saved = onnx.load_from_string(model)
    saved.graph.output[1].type.tensor_type.elem_type = T.FLOAT16
    again = ours(saved.SerializeToString(), half)
    assert np.array_equal(again[0], tokens) and again[1].dtype == np.float16
    assert np.allclose(again[1].astype(np.float32), final, rtol=1e-2)


def greedy_with_encoder(rng):
    """ONNX Runtime has none: greedy is what one beam does."""
    vocabulary, seed = 12, int(rng.integers(1 << 30))
    ids = {"input_ids": rng.integers(2, vocabulary, (3, 4)).astype(np.int32), "max_length": number(12)}
    bodies = {"encoder": encoder(seed, vocabulary, False, True), "decoder": decoder(seed, vocabulary, False, True)}
    attributes = {"eos_token_id": 2, "pad_token_id": 1, "decoder_start_token_id": 3, "model_type": 1}
    beam = {**ids, "num_beams": number(1), "num_return_sequences": number(1)}
    want = ours(build("BeamSearch", bodies, beam, ["sequences"], attributes), beam)[0]
    got = ours(build("GreedySearch", bodies, ids, ["sequences"], attributes), ids)[0]
    assert np.array_equal(got, want[:, 0]), f"{got}\nwanted\n{want}"


def refusals(rng):
    ids = np.int32([[3, 4]])
    decoder_only, good = {"decoder": gpt(1, 10)}, {"input_ids": ids, "max_length": number(6), "num_beams": number(2),
                                                   "num_return_sequences": number(1)}
    ends = {"eos_token_id": 2, "pad_token_id": 1}
    for feeds, attributes, part in (
            ({"max_length": number(2)}, {}, "'max_length'"), ({"num_beams": number(0)}, {}, "'num_beams'"),
            ({"num_return_sequences": number(3)}, {}, "'num_return_sequences'"),
            ({"repetition_penalty": number(0.0)}, {}, "'repetition_penalty'"),
            ({"vocab_mask": np.ones(9, np.int32)}, {}, "'vocab_mask'"),
            ({"prefix_vocab_mask": np.ones((2, 10), np.int32)}, {}, "'prefix_vocab_mask'"),
            ({"attention_mask": np.ones((1, 3), np.int32)}, {}, "'attention_mask'"),
            ({}, {"model_type": 1}, "'encoder'"), ({}, {"model_type": 3}, "'model_type'")):
        feeds = {**good, **feeds}
        model = build("BeamSearch", decoder_only, feeds, ["sequences"], {**ends, **attributes})
        try:
            ours(model, feeds)
        except engine.Failure as e:
            assert part in e.args[1], f"wanted {part} in: {e.args[1]}"
        else:
            raise AssertionError(f"{part} was accepted")


CASES = {"greedy": gpt_case("GreedySearch"), "greedy mask": gpt_case("GreedySearch", mask=True),
         "greedy init_decoder": gpt_case("GreedySearch", first=True), "beam": gpt_case("BeamSearch"),
         "beam mask": gpt_case("BeamSearch", mask=True), "beam init_decoder": gpt_case("BeamSearch", first=True),
         "t5": t5_case(True, True), "t5 without hidden states": t5_case(False, True),
         "t5 encoder alone": t5_case(False, False), "whisper": whisper_case(False),
         "whisper timestamps": whisper_case(True), "sampling": sampling_case(0), "sampling custom": sampling_case(1)}
ONCE = {"sampling statistics": sampling_statistics, "refusals": refusals,
        "whisper extras": whisper_extras, "greedy with an encoder": greedy_with_encoder}


def main():
    seeds = suite.number_after("--seeds", 300 if "--long" in sys.argv else 25)
    tally = suite.Tally()
    for name, case in {**CASES, **ONCE}.items():
        for seed in range(seeds if name in CASES else 2):
            if not tally.wants(name):
                continue
            try:
                tally.attempt(f"{name} {seed}", lambda: case(np.random.default_rng(seed)), (AssertionError, engine.Failure))
            except Refused as e:
                tally.skipped += 1
                if "-v" in sys.argv:
                    print(f"skipped {name} {seed}: {e}")
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
