#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The random operators by statistics: moments, the distance between the empirical and the true distribution
(Kolmogorov and Smirnov), independence of neighbours, and what seeds promise. Draws are seeded, so the
verdict is the same in every run; those without a seed get bounds that fail once in ten million runs."""
import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv  # noqa: E402

venv.enter()
import numpy as np  # noqa: E402
import onnx  # noqa: E402
from onnx import helper  # noqa: E402

import cases  # noqa: E402
import engine  # noqa: E402
import suite  # noqa: E402

COUNT = 40000
FLOATS = {"float": 1, "double": 11, "float16": 10, "bfloat16": 16}
tally = suite.Tally()


def check(good, text):
    tally.note("", None if good else text)


def model(name, attributes, inputs=(), version=22):
    """`inputs`: (name, array) of graph inputs, or (name, array, True) of constants."""
    node = helper.make_node(name, [i[0] for i in inputs], ["y"], **attributes)
    constants = [cases.tensor_of(i[0], i[1]) for i in inputs if len(i) == 3]
    infos = [cases.value_info(i[0], i[1], i[1].shape) for i in inputs if len(i) == 2]
    graph = helper.make_graph([node], "g", infos, [onnx.ValueInfoProto(name="y")], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=10).SerializeToString()


def draw(name, attributes, inputs=(), version=22, runs=1, **options):
    session = engine.Session(model(name, attributes, inputs, version), **options)
    feeds = {i[0]: i[1] for i in inputs if len(i) == 2}
    made = [session.run(feeds)[0] for _ in range(runs)]
    return made[0] if runs == 1 else made


def normal_below(x):
    return np.array([0.5 * (1 + math.erf(v / 2 ** 0.5)) for v in x])


def distance(sample, below):
    """The largest difference between the sample's distribution and the true one, times sqrt(n)."""
    x = np.sort(sample)
    true, n = below(x), len(x)
    return max((np.arange(1, n + 1) / n - true).max(), (true - np.arange(n) / n).max()) * n ** 0.5


def moments(label, x, mean, deviation, bound=4.5):
    x = x.astype(np.float64).ravel()
    check(abs(x.mean() - mean) <= bound * deviation / len(x) ** 0.5, f"{label}: mean {x.mean():.5f}, expected {mean}")
    fourth = (((x - mean) / deviation) ** 4).mean() if deviation else 1
    error = deviation * ((max(fourth - 1, 0) / len(x)) ** 0.5 / 2 + bound / len(x))
    check(abs(x.std() - deviation) <= bound * error, f"{label}: deviation {x.std():.5f}, expected {deviation:.5f}")
    if deviation:
        lag = ((x[1:] - mean) * (x[:-1] - mean)).mean() / deviation ** 2
        check(abs(lag) < bound / len(x) ** 0.5, f"{label}: neighbours correlate by {lag:.4f}")


def seeds(label, name, attributes, inputs=(), whole=False):
    one, two, other = ({**attributes, "seed": int(s) if whole else s} for s in (1.0, 1.0, 2.0))
    first = draw(name, one, inputs)
    same = lambda a, b: np.array_equal(a, b)  # noqa: E731
    check(same(first, draw(name, two, inputs)), f"{label}: the same seed draws something else in another session")
    check(same(*draw(name, one, inputs, runs=2)), f"{label}: the same seed draws something else in another run")
    check(same(first, draw(name, one, inputs, threads=4)), f"{label}: threads change what is drawn")
    check(not same(first, draw(name, other, inputs)), f"{label}: another seed draws the same")
    check(not same(*draw(name, attributes, inputs, runs=2)), f"{label}: without a seed two runs draw the same")


def numbers():
    """RandomNormal, RandomUniform and their Like forms."""
    like = np.zeros((COUNT // 100, 100), np.float32)
    for kind, number in FLOATS.items():
        fine = kind in ("float", "double")  # the others have too few values for a distance
        for name, inputs in (("RandomNormal", ()), ("RandomNormalLike", (("x", like),))):
            shape = {} if inputs else {"shape": [COUNT]}
            for mean, scale, seed in ((0.0, 1.0, 5.0), (2.0, 3.0, 6.0), (-1.0, 0.25, None)):
                label = f"{name} {kind} mean {mean} scale {scale} seed {seed}"
                given = {"mean": mean, "scale": scale, "dtype": number, **shape, **({} if seed is None else {"seed": seed})}
                x = draw(name, given, inputs).astype(np.float64).ravel()
                moments(label, x, mean, scale, 4.5 if seed else 5.5)
                check(np.abs((x - mean) / scale).max() < 6.5, f"{label}: {np.abs((x - mean) / scale).max()} deviations off")
                if fine:
                    d = distance((x - mean) / scale, normal_below)
                    check(d < (1.7 if seed else 3), f"{label}: distance {d:.2f} / sqrt(n)")
        for name, inputs in (("RandomUniform", ()), ("RandomUniformLike", (("x", like),))):
            shape = {} if inputs else {"shape": [COUNT]}
            for low, high, seed in ((0.0, 1.0, 5.0), (-1.0, 5.0, 6.0), (0.5, 0.75, None)):
                label = f"{name} {kind} {low} to {high} seed {seed}"
                given = {"low": low, "high": high, "dtype": number, **shape, **({} if seed is None else {"seed": seed})}
                x = draw(name, given, inputs).astype(np.float64).ravel()
                moments(label, x, (low + high) / 2, (high - low) / 12 ** 0.5, 4.5 if seed else 5.5)
                check(x.min() >= low and x.max() <= high, f"{label}: from {x.min()} to {x.max()}")
                if fine:
                    d = distance((x - low) / (high - low), lambda v: np.clip(v, 0, 1))
                    check(d < (1.7 if seed else 3), f"{label}: distance {d:.2f} / sqrt(n)")
    seeds("RandomNormal", "RandomNormal", {"shape": [1000]})
    seeds("RandomUniform", "RandomUniform", {"shape": [1000]})
    seeds("RandomNormalLike", "RandomNormalLike", {}, (("x", like),))
    seeds("RandomUniformLike", "RandomUniformLike", {}, (("x", like),))
    # The type is that of the input unless `dtype` says so.
    for name in ("RandomNormalLike", "RandomUniformLike"):
        check(draw(name, {}, (("x", like.astype(np.float64)),)).dtype == np.float64, f"{name}: not the input's type")
        check(draw(name, {"dtype": 1}, (("x", like.astype(np.int64)),)).dtype == np.float32, f"{name}: not `dtype`")


def bernoulli():
    for p in (0.0, 0.1, 0.5, 0.97, 1.0):
        for kind in (np.float32, np.float64, np.float16):
            x = np.full(COUNT, p, kind)
            made = draw("Bernoulli", {"seed": 3.0, "dtype": 1}, (("x", x),))
            p_held = float(x[0])
            moments(f"Bernoulli {p} {x.dtype}", made, p_held, (p_held * (1 - p_held)) ** 0.5)
            check(set(np.unique(made)) <= {0, 1}, f"Bernoulli {p}: draws {np.unique(made)[:5]}")
    mixed = np.tile(np.array([0, 1, 0.25, 0.75], np.float32), COUNT // 4)
    made = draw("Bernoulli", {"seed": 4.0, "dtype": 9}, (("x", mixed),))
    check(made.dtype == bool, "Bernoulli: not `dtype`")
    for k, p in enumerate((0, 1, 0.25, 0.75)):
        share = made[k::4].mean()
        check(abs(share - p) <= 4.5 * (p * (1 - p) / (COUNT / 4)) ** 0.5, f"Bernoulli: {share} at elements of {p}")
    seeds("Bernoulli", "Bernoulli", {}, (("x", np.full(500, 0.5, np.float32)),))


def multinomial():
    p = np.array([[0.1, 0.2, 0.3, 0.4, 0], [0.96, 0.01, 0.01, 0.01, 0.01]])
    for kind in (np.float32, np.float64, np.float16):
        with np.errstate(divide="ignore"):
            x = (np.log(p) + 3).astype(kind)  # unnormalised; -inf is never drawn
        for number, made_of in ((6, np.int32), (7, np.int64)):
            made = draw("Multinomial", {"seed": 8.0, "sample_size": COUNT, "dtype": number}, (("x", x),))
            check(made.dtype == made_of and made.shape == (2, COUNT), f"Multinomial: {made.dtype} {made.shape}")
            for row in range(2):
                got = np.bincount(made[row], minlength=5) / COUNT
                error = 4.5 * (p[row] * (1 - p[row]) / COUNT) ** 0.5 + (2e-3 if kind == np.float16 else 1e-6) * p[row]
                check((np.abs(got - p[row]) <= error).all(), f"Multinomial {np.dtype(kind)} row {row}: {got}, not {p[row]}")
    check(not np.array_equal(*draw("Multinomial", {"seed": 1.0, "sample_size": 100}, (("x", np.zeros((2, 9), np.float32)),))),
          "Multinomial: rows draw the same")
    seeds("Multinomial", "Multinomial", {"sample_size": 300}, (("x", np.zeros((1, 50), np.float32)),))


def dropout():
    x = np.full(COUNT, 3.0, np.float32)
    training = ("training", np.bool_(True), True)
    for ratio in (0.0, 0.1, 0.5, 0.9):
        inputs = (("x", x), ("ratio", np.float32(ratio), True), training)
        made = draw("Dropout", {"seed": 5}, inputs)
        kept = made != 0
        check(np.allclose(made[kept], 3 / (1 - ratio)), f"Dropout {ratio}: what is kept becomes {made[kept][:1]}")
        moments(f"Dropout {ratio}", kept, 1 - ratio, (ratio * (1 - ratio)) ** 0.5)
    inputs = (("x", x), ("ratio", np.float32(0.5), True), ("training", np.bool_(False), True))
    check(np.array_equal(draw("Dropout", {"seed": 5}, inputs), x), "Dropout: changes its input outside of training")
    seeds("Dropout", "Dropout", {}, (("x", x), ("ratio", np.float32(0.5), True), training), True)


def refusals():
    """Types that cannot be drawn, and shapes nobody can have."""
    text = np.array(["a", "b"], object)
    for name, attributes, inputs in (
            ("RandomUniformLike", {}, (("x", text),)), ("RandomNormalLike", {}, (("x", np.arange(3)),)),
            ("RandomNormal", {"shape": [2], "dtype": 8}, ()), ("RandomUniform", {"shape": [-1]}, ()),
            ("RandomUniform", {"shape": [1 << 40, 1 << 40]}, ()), ("Bernoulli", {"dtype": 8}, (("x", np.zeros(3, np.float32)),)),
            ("Bernoulli", {"dtype": 99}, (("x", np.zeros(3, np.float32)),)),
            ("Multinomial", {"sample_size": -1}, (("x", np.zeros((1, 3), np.float32)),)),
            ("Multinomial", {"dtype": 1}, (("x", np.zeros((1, 3), np.float32)),)),
            ("Multinomial", {}, (("x", np.zeros((2, 0), np.float32)),))):
        try:
            draw(name, attributes, inputs)
            check(False, f"{name} {attributes}: is not refused")
        except engine.Failure as failure:
            check(name in failure.args[1], f"{name} {attributes}: {failure.args}")


def main():
    for part in (numbers, bernoulli, multinomial, dropout, refusals):
        part()
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
