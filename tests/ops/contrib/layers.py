# SPDX-License-Identifier: Apache-2.0
"""Cases of other layers: channels last, recurrent and linear, text, pictures. See common.py."""
import numpy as np

from contrib.common import EIGHT_BITS, Const, case, first, floats, integers, last, reference, scalar


@case("NhwcConv")
@case("NhwcFusedConv")
def nhwc_conv(random):
    x, w, bias = floats(random, 2, 7, 6, 4), floats(random, 6, 2, 3, 3), floats(random, 6)
    attributes = {"group": 2, "pads": [1, 0, 1, 2], "strides": [2, 1]}
    want = last(reference("Conv", [first(x), w, bias], attributes)[0])
    yield [x, Const(w), bias], attributes, {"expect": [want]}
    x1, w1 = floats(random, 1, 9, 4), floats(random, 5, 4, 3)
    yield [x1, w1], {"dilations": [2]}, {"expect": [last(reference("Conv", [first(x1), w1], {"dilations": [2]})[0])]}


@case("NhwcFusedConv")
def nhwc_fused(random):
    x, w, bias = floats(random, 2, 5, 6, 3), floats(random, 4, 3, 3, 3), floats(random, 4)
    want = last(reference("Conv", [first(x), w, bias], {})[0])
    add = floats(random, *want.shape)
    yield [x, w, bias, add], {"activation": "Relu"}, {"expect": [np.maximum(want + add, 0)]}


@case("NhwcMaxPool")
def nhwc_pool(random):
    for dtype in EIGHT_BITS:
        x = integers(random, 2, 7, 6, 3, dtype=dtype)
        attributes = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
        yield [x], attributes, {}
        yield [x], {**attributes, "ceil_mode": 1, "dilations": [1, 2]}, {}


def group_norm(x, gamma, beta, groups, silu, channels_last):
    planes = first(x) if channels_last else x
    split = planes.reshape(len(x), groups, -1).astype(np.float64)
    y = (split - split.mean(-1, keepdims=True)) / np.sqrt(split.var(-1, keepdims=True) + 1e-5)
    y = y.reshape(planes.shape) * gamma[:, None, None] + beta[:, None, None]
    y = y / (1 + np.exp(-y)) if silu else y
    return (last(y) if channels_last else y).astype(np.float32)


@case("GroupNorm")
def group_norms(random):
    for channels_last in (0, 1):
        for silu in (0, 1):
            x, gamma, beta = floats(random, 2, 6, 5, 6), floats(random, 6), floats(random, 6)
            yield [x, gamma, beta], {"groups": 3, "activation": silu, "channels_last": channels_last}, \
                {"expect": [group_norm(x, gamma, beta, 3, silu, channels_last)]}


@case("SkipGroupNorm")
def skip_group_norms(random):
    x, gamma, beta, bias = floats(random, 2, 4, 5, 6), floats(random, 6), floats(random, 6), floats(random, 6)
    for shape in ((2, 6), (2, 1, 1, 6), (2, 4, 5, 6)):
        skip = floats(random, *shape)
        total = x + (skip[:, None, None] if len(shape) == 2 else skip) + bias
        yield [x, gamma, beta, skip, bias], {"groups": 3, "activation": 1}, \
            {"outputs": 2, "expect": [group_norm(total, gamma, beta, 3, 1, 1), total]}


@case("NGramRepeatBlock")
def ngram(random):
    for size in (1, 2, 3):
        yield [random.integers(0, 3, (2, 8)).astype(np.int64), floats(random, 2, 5)], {"ngram_size": size}, {}


@case("BifurcationDetector")
def bifurcation(random):
    for _ in range(6):
        source, current = random.integers(0, 4, 8).astype(np.int64), random.integers(0, 4, 3).astype(np.int64)
        start = int(random.integers(0, 8))
        guess = np.append(source[start:], 2)
        guess[int(random.integers(len(guess))):] = 3
        sizes = {"min_ngram_size": int(random.integers(1, 3)), "max_ngram_size": int(random.integers(2, 5))}
        yield [source, current, scalar(start, np.int64), guess], sizes, {"outputs": 2}
        yield [source, current, scalar(0, np.int64)], sizes, {"outputs": 2}
        yield [source, current, scalar(0, np.int64)], {}, {"outputs": 2}


@case("CropAndResize")
def crop_and_resize(random):
    x, boxes = floats(random, 2, 3, 6, 7), random.uniform(-0.2, 1.2, (4, 4)).astype(np.float32)
    batch = random.integers(0, 2, 4).astype(np.int32)
    for size in ((3, 4), (1, 5), (8, 1)):
        for mode in ("bilinear", "nearest"):
            yield [x, boxes, batch, Const(np.array(size, np.int32))], {"mode": mode, "extrapolation_value": -7.0}, {}
    yield [x, boxes, batch, np.array([2, 2], np.int32)], {}, {}


@case("MaxpoolWithMask")
def maxpool_with_mask(random):
    def bits(*shape):
        return (random.random(shape) < 0.7).astype(np.int32)

    for shape, attributes in (((6, 7), {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [1, 2]}),
                              ((6, 7), {"kernel_shape": [2, 3], "auto_pad": "SAME_UPPER"}),
                              ((9,), {"kernel_shape": [3]}), ((4, 5, 6), {"kernel_shape": [2, 2, 3]})):
        x, mask = floats(random, 2, 3, *shape), bits(1, 1, *shape)
        yield [x, mask], attributes, {}
        # ONNX Runtime looks for the masks of further planes at wrong places: plane by plane they are found.
        masks = bits(2, 3, *shape)
        planes = [reference("MaxpoolWithMask", [x[i, j][None, None], masks[i, j][None, None]], attributes,
                            domain="com.microsoft")[0] for i in range(2) for j in range(3)]
        yield [x, masks], attributes, {"expect": [np.concatenate(planes).reshape(2, 3, *planes[0].shape[2:])]}


@case("WordConvEmbedding")
def word_conv_embedding(random):
    words = random.integers(0, 6, (7, 9)).astype(np.int32)
    words[0, 1:] = 0
    words[:, 0] = 2  # ONNX Runtime leaves what a word that starts with 0 gives as it finds it
    yield [words, floats(random, 5, 1, 4, 3), floats(random, 5), floats(random, 6, 3)], {}, {}


@case("DynamicTimeWarping")
def warping(random):
    yield [floats(random, 6, 9)], {}, {}
    yield [floats(random, 1, 7, 4)], {}, {}


@case("UnfoldTensor")
def unfold(random):
    for dim in (0, 1, -1):
        yield [floats(random, 5, 6, 7)], {"dim": dim, "size": 3, "step": 2}, {}


@case("GatedRMSNorm")
def gated_norm(random):
    x, scale, gate = floats(random, 2, 3, 8), floats(random, 4), floats(random, 2, 3, 8)
    groups = x.reshape(2, 3, 2, 4)
    y = (groups / np.sqrt((groups ** 2).mean(-1, keepdims=True) + 1e-5) * scale).reshape(x.shape)
    sigmoid = 1 / (1 + np.exp(-gate))
    yield [x, scale, gate], {}, {"expect": [y * sigmoid * gate]}
    yield [x, scale, gate], {"activation": "sigmoid"}, {"expect": [y * sigmoid]}


@case("LinearAttention")
def linear(random):
    q, k, v = floats(random, 2, 5, 8), floats(random, 2, 5, 8, scale=0.3), floats(random, 2, 5, 6)
    decay, beta = -np.abs(floats(random, 2, 5, 2)), np.abs(floats(random, 2, 5, 2))
    heads_of = {"q_num_heads": 2, "kv_num_heads": 2}
    yield [q, k, v], {**heads_of, "update_rule": "linear"}, {"outputs": 2}
    yield [q, k, v, None, decay, beta], {**heads_of, "update_rule": "gated_delta"}, {"outputs": 2}
    yield [q, k, v, floats(random, 2, 2, 4, 3), decay], {**heads_of, "update_rule": "gated"}, {"outputs": 2}
    yield [q[..., :4].copy(), k, v, None, None, beta], {**heads_of, "q_num_heads": 1, "update_rule": "delta"}, {"outputs": 2}
    for window in (3, 7):  # the states after each of the last steps
        past = floats(random, window, 2, 2, 4, 3)
        attributes = {**heads_of, "update_rule": "gated"}
        states = []
        for n in range(1, 6):
            want, state = reference("LinearAttention", [x[:, :n] for x in (q, k, v)] + [past[-1], decay[:, :n]], attributes,
                                    domain="com.microsoft", outputs=2)
            states.append(state)
        states = np.stack([np.zeros_like(states[0])] * max(0, window - 5) + states)[-window:]
        yield [q, k, v, past, decay], {**attributes, "state_window": window}, {"outputs": 2, "expect": [want, states]}


def delta_net(q, k, v, decay=None, beta=None, state=None, scale=None):
    """One sample: [tokens, heads, width]; the state is [value heads, v_width, width]."""
    group, y, added = v.shape[1] // q.shape[1], [], []
    state = np.zeros((v.shape[1], v.shape[2], q.shape[2])) if state is None else state.astype(np.float64)
    for t in range(len(q)):
        keys, values = k[t].repeat(group, 0), v[t].astype(np.float64)
        if decay is not None:
            state = state * np.exp(decay[t]).reshape(len(state), 1, -1)
        if beta is not None:
            values = beta[t][:, None] * (values - np.einsum("hvk,hk->hv", state, keys))
        added.append(values)
        state = state + values[:, :, None] * keys[:, None]
        y.append(np.einsum("hvk,hk->hv", state, q[t].repeat(group, 0)) * (scale or 1 / np.sqrt(q.shape[2])))
    return np.stack(y).astype(np.float32), state.astype(np.float32), np.stack(added).astype(np.float32)


@case("GatedDeltaNet")
def gated_delta_net(random):
    def l2(x):
        return x / np.sqrt((x ** 2).sum(-1, keepdims=True) + 1e-6)

    ends = [0, 2, 6]
    q, k, v = floats(random, 6, 2, 4), floats(random, 6, 2, 4), floats(random, 6, 4, 3)
    decay, beta, state = -np.abs(floats(random, 6, 4)), floats(random, 6, 4), floats(random, 2, 4, 3, 4)
    rate = 1 / (1 + np.exp(-beta))

    def joined(parts):
        return [np.concatenate([p[0] for p in parts]), np.stack([p[1] for p in parts])]

    spans = [slice(*ends[b:b + 2]) for b in range(2)]
    want = [delta_net(l2(q[b]), l2(k[b]), v[b], decay[b], rate[b], s) for b, s in zip(spans, state)]
    attributes = {"beta_activation": "sigmoid", "qk_l2_norm": 1}
    rest = [np.array(ends, np.int32), decay, beta, state]
    yield [q, k, v, *rest], attributes, {"outputs": 2, "expect": joined(want)}
    half = [x.astype(np.float16) for x in (q, k, v)]
    yield [*half, *rest], attributes, {"outputs": [0], "expect": [joined(want)[0].astype(np.float16)]}
    a_log, dt_bias = floats(random, 4), floats(random, 4)
    gate = -np.exp(a_log) * np.log1p(np.exp(decay + dt_bias))
    want = [delta_net(q[b], k[b], v[b], gate[b], None, s, 0.7) for b, s in zip(spans, state)]
    updates = np.zeros((2, 3 * (4 + 8 + 12)), np.float32)
    for b, counts in enumerate((1, 3)):  # asked for more than two of two, three of four
        for t in range(counts):
            updates[b, t * 4:t * 4 + 4] = np.exp(gate[ends[b] + t])
            updates[b, 12 + t * 8:12 + t * 8 + 8] = k[ends[b] + t].ravel()
            updates[b, 36 + t * 12:36 + t * 12 + 12] = want[b][2][t].ravel()
    attributes = {"update_rule": "gated", "gate_activation": "qwen", "scale": 0.7}
    rest = [np.array(ends, np.int32), decay, None, state, a_log, dt_bias]
    yield [q, k, v, *rest, np.array([1, 9], np.int32)], {**attributes, "state_update_capacity": 3}, \
        {"outputs": 3, "expect": [*joined(want), updates]}
    yield [q, k, v, *rest, np.array([1, 9], np.int32), np.array([0], np.int32)], \
        {**attributes, "state_update_capacity": 3}, {"outputs": 3, "expect": [*joined(want), updates * 0]}
    each = -np.abs(floats(random, 2, 3, 4, 4))  # [batch, time, ...] packed
    want = [delta_net(q[b], k[b], v[b], each[i], None, s) for i, (b, s) in enumerate(zip((slice(3), slice(3, 6)), state))]
    qkv = np.concatenate([x.reshape(2, 3, -1) for x in (q, k, v)], -1)
    yield [qkv, None, None, None, each, None, state], {"update_rule": "gated"}, \
        {"outputs": 2, "expect": [np.stack([w[0] for w in want]), np.stack([w[1] for w in want])]}


@case("CausalConvWithState")
def causal(random):
    x, w = floats(random, 2, 3, 5), floats(random, 3, 1, 4)
    yield [x, w, floats(random, 3), floats(random, 2, 3, 3)], {"activation": "silu"}, {"outputs": 2}
    yield [x, w], {}, {"outputs": 2}
    yield [x, w, None, floats(random, 2, 3, 6)], {"dilation": 2}, {"outputs": 2}
    yield [floats(random, 2, 5, 3), w, floats(random, 3), floats(random, 2, 3, 3)], {"channels_last": 1}, {"outputs": 2}
    yield [floats(random, 2, 5, 3, 2), floats(random, 6, 1, 3), None, floats(random, 2, 4, 3, 2)], \
        {"channels_last": 1, "dilation": 2}, {"outputs": 2}
    for window in (2, 7):
        past = floats(random, window, 2, 3, 3)
        y = reference("CausalConvWithState", [x, w, None, past[-1]], {}, domain="com.microsoft", outputs=2)[0]
        joined = np.concatenate([past[-1], x], 2)
        states = [joined[:, :, n:n + 3] if n > 0 else joined[:, :, :3] * 0 for n in range(6 - window, 6)]
        yield [x, w, None, past], {"state_window": window}, {"outputs": 2, "expect": [y, np.stack(states)]}


@case("VarlenCausalConvWithState")
def varlen_causal(random):
    x, w, bias, state = floats(random, 7, 3), floats(random, 3, 1, 3), floats(random, 3), floats(random, 2, 3, 4)
    ends, attributes = [0, 2, 7], {"activation": "silu", "dilation": 2}
    parts = [reference("CausalConvWithState", [x[None, a:b].transpose(0, 2, 1).copy(), w, bias, s[None]], attributes,
                       domain="com.microsoft", outputs=2) for a, b, s in zip(ends, ends[1:], state)]
    want = [np.concatenate([p[0][0].T for p in parts]), np.concatenate([p[1] for p in parts])]
    update = np.zeros((2, 3, 3), np.float32)
    update[0, :2], update[1, :1] = x[:2], x[2:3]
    inputs = [x, w, np.array(ends, np.int32), bias, state]
    yield inputs, attributes, {"outputs": 2, "expect": want}
    yield [*inputs, np.array([3, 1], np.int32)], {**attributes, "state_update_capacity": 3}, \
        {"outputs": 3, "expect": [*want, update]}


@case("CDist")
def cdist(random):
    for metric in ("euclidean", "sqeuclidean"):
        for dtype in (np.float32, np.float64):
            yield [floats(random, 5, 7, dtype=dtype), floats(random, 6, 7, dtype=dtype)], {"metric": metric}, \
                {"rtol": 1e-3, "atol": 1e-4}


@case("MurmurHash3")
def murmur(random):
    for dtype in (np.int32, np.uint32, np.int64, np.uint64):
        yield [integers(random, 4, dtype=dtype)], {"seed": 3}, {"types": {0: 12}}
    yield [floats(random, 3)], {"positive": 0}, {"types": {0: 6}}
    yield [np.array(["", "a", "ab", "abc", "abcd", "\u00fcbung 123"], object)], {}, {"types": {0: 12}}


@case("Inverse")
def inverse(random):
    for dtype in (np.float32, np.float64):
        yield [floats(random, 2, 4, 4, dtype=dtype)], {}, {"rtol": 1e-2, "atol": 1e-3}


@case("IsAllFinite")
def finite(random):
    x = floats(random, 3)
    for bad in (0, np.inf, np.nan):
        for only in ({}, {"isinf_only": 1}, {"isnan_only": 1}):
            found = {0: False, np.inf: "isnan_only" not in only}.get(bad, "isinf_only" not in only)
            yield [x, np.append(x, np.float32(bad))], only, {"expect": [np.array(not found)]}


@case("Tokenizer")
def tokenizer(random):
    texts = ["Hello World", "I love  computer science !", "", "übung a", "aXYb a.b\nab", "東京 tower"]
    x = np.array([texts[i] for i in random.permutation(6)], object)
    plain = {"mark": 0, "mincharnum": 1, "pad_value": "#"}
    for separators in ([" "], [""], ["o", "lo"], ["lo", "o"], ["[a-l]+", " "], ["X", "XY", "\\s+"], ["a|ab"], ["^H", "."],
                       ["o*"], [" ", "(?i)B"]):
        yield [x], {**plain, "separators": separators}, {}
        yield [x.reshape(2, 3)], {**plain, "separators": separators, "mark": 1}, {}
    for expression in (".", "[a-z]+", "[a-z]*", "l|lo|love", "a.*?b|ab", "\\b[A-Z]\\w*", "a??", "^.", ".$"):
        yield [x], {**plain, "tokenexp": expression}, {}
        yield [x], {**plain, "tokenexp": expression, "mark": 1}, {}
    yield [x], {**plain, "separators": [" "], "mincharnum": 3}, {}
    yield [x], {**plain, "tokenexp": "\\S+", "mincharnum": 2, "mark": 1}, {}
    for shape in ((0,), (3, 0)):
        yield [np.zeros(shape, object)], {**plain, "separators": [" "]}, {}
    yield [np.array(["", " "], object)], {**plain, "separators": [" "], "mark": 1}, {}


@case("TorchEmbedding")
def torch_embedding(random):
    table, ids = floats(random, 7, 3), random.integers(0, 7, (2, 4)).astype(np.int64)
    yield [table, ids], {}, {"expect": [table[ids]]}
    yield [table, ids, scalar(1, np.int64)], {}, {"expect": [table[ids]]}


@case("ConvTransposeWithDynamicPads")
def conv_transpose(random):
    x, w, bias = floats(random, 2, 4, 5, 6), floats(random, 4, 3, 3, 2), floats(random, 6)
    yield [x, w, np.array([1, 0, 0, 1], np.int64), bias], {"group": 2, "strides": [2, 1]}, {}
    yield [x, w, np.array([0, 0, 1, 1], np.int64)], {"strides": [2, 2], "output_padding": [1, 0], "dilations": [1, 2]}, {}
    yield [x, w], {"group": 1}, {"expect": reference("ConvTranspose", [x, w], {})}


@case("SparseToDenseMatMul")
def sparse_matmul(random):
    for dtype in (np.float32, np.int64):
        a = np.where(random.random((3, 4)) < 0.5, random.integers(-9, 9, (3, 4)), 0).astype(dtype)
        b = random.integers(-9, 9, (5, 4)).astype(dtype)
        yield [Const(a), b], {"transB": 1, "alpha": 2.0}, {"expect": [2 * a @ b.T]}
        yield [Const(a), b[:3].copy()], {"transA": 1}, {"expect": [a.T @ b[:3]]}


@case("AttnLSTM")
def attn_lstm(random):
    steps, batch, width, hidden, memory, length, keys, layer = 4, 2, 3, 5, 6, 7, 4, 3

    def inputs(directions, depth, *rest):
        return [floats(random, steps, batch, width), floats(random, directions, 4 * hidden, width + depth),
                floats(random, directions, 4 * hidden, hidden), floats(random, directions, 8 * hidden), *rest,
                floats(random, directions, hidden, keys), floats(random, directions, memory, keys),
                floats(random, directions, keys), floats(random, batch, length, memory)]

    def layers(directions):
        return floats(random, directions, memory + hidden, layer)

    lens, inside = np.array([4, 2], np.int32), np.array([3, 7], np.int32)
    attributes, outputs = {"hidden_size": hidden}, {"outputs": 3}
    yield inputs(1, memory, None, None, None, None), attributes, outputs
    yield [*inputs(1, layer, lens, None, None, None), inside, layers(1)], attributes, outputs
    state = [floats(random, 1, batch, hidden) for _ in range(2)]
    yield [*inputs(1, layer, None, *state, floats(random, 1, 3 * hidden)), None, layers(1)], attributes, outputs
    yield [*inputs(1, layer, lens, None, None, None), inside, layers(1)], {**attributes, "direction": "reverse"}, outputs
    yield [*inputs(2, layer, lens, None, None, None), inside, layers(2)], \
        {**attributes, "direction": "bidirectional"}, outputs
    yield [*inputs(1, layer, None, None, None, None), None, layers(1)], {**attributes, "input_forget": 1}, outputs
    yield inputs(1, memory, None, None, None, None), \
        {**attributes, "activations": ["HardSigmoid", "Softsign", "Relu"], "clip": 0.5}, outputs


@case("NGramHashMapping")
def ngram_hash(random):
    for dtype in (np.int32, np.int64):
        ids, past = (random.integers(0, 6, s).astype(dtype) for s in ((2, 9), (2, 3)))
        multipliers = random.integers(2**29, 2**30, 4).astype(dtype) * 2 + 1
        sizes, offsets = random.integers(5, 99, 6).astype(dtype), random.integers(0, 99, 6).astype(dtype)
        segments = (np.arange(9) >= [[3], [5]]).astype(np.int32)
        attributes = {"max_ngram_size": 4, "n_head_per_ngram": 2, "pad_id": 7}
        eos, reset = scalar(4, dtype), {"reset_on_eos": 1}
        for rest in ([], [past], [past, offsets], [None, None, eos], [past, None, eos], [past, None, None, segments],
                     [past, offsets, eos, segments]):
            for extra in ({}, reset):
                yield [ids, multipliers, sizes, *rest], {**attributes, **extra}, {"outputs": 2}


@case("VarlenNGramHashMapping")
def varlen_ngram_hash(random):
    for dtype in (np.int32, np.int64):
        ids, past = (random.integers(0, 6, s).astype(dtype) for s in ((9,), (2, 3)))
        multipliers, sizes = (random.integers(5, 99, n).astype(dtype) for n in (4, 3))
        segments, before = (np.sort(random.integers(0, 3, s)).astype(np.int32) for s in ((9,), (2, 3)))
        ends, count = np.array([0, 4, 9], np.int32), np.array([3, 1], np.int32)
        attributes = {"max_ngram_size": 4, "n_head_per_ngram": 1, "pad_id": 7}
        eos = scalar(4, dtype)
        for rest in ([], [past], [None, None, eos], [past, sizes, eos], [past, None, eos, segments],
                     [past, None, None, segments, before], [past, None, eos, segments, before]):
            wanted = {"outputs": [0, 1, 2] if len(rest) > 3 else 2}
            for extra in ({}, {"reset_on_eos": 1}):
                yield [ids, multipliers, sizes, ends, *rest], {**attributes, **extra}, wanted
        yield [ids, multipliers, sizes, ends, past, None, eos, segments, before, count], \
            {**attributes, "state_update_capacity": 2}, {"outputs": 4}
