#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every .onnx of ../shared/models: against the numbers stored beside it (`sardonyx test`, recordings, predictions
of file types) and, on random inputs of several batches and lengths, against ONNX Runtime; streaming models over a
whole recording with their state carried along.

    tests/models/test_models.py [NAME ...]     only models whose path contains a NAME

The bars are those of MANIFEST.md: 1e-3 of the largest number, 2e-2 for half precision; integers are equal.
"""
import base64
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import wave
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODELS = ROOT.parent / "shared/models"
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/ops")]
import venv

if not MODELS.is_dir():
    venv.skip(f"{MODELS} is absent")
venv.enter()

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import engine

# Files ONNX Runtime does not open (opset 1, no opset at all), and the one with the same weights that it does open
# or that has stored numbers.
TWINS = {"vision/style/candy_noopset.onnx": "vision/style/candy.onnx",
         "seed/mnist-cntk/mnist-noopset.onnx": "seed/mnist-cntk/mnist-1.onnx",
         "seed/mnist-cntk/mnist-1.onnx": None}
# Free dimensions by name where any number will not do; all others are 1, then 3.
SIZES = {"audio/silero_vad/v1": [{"samples": 16000}, {"batch": 3, "samples": 6000}],
         "audio/silero_vad/v3": [{"sequence": 512}, {"sequence": 1536}],
         "audio/silero_vad/v6": [{"input:1": 512, "sequence": 512},
                                {"batch": 3, "input:0": 3, "state:1": 3, "input:1": 512, "sequence": 512}],
         "audio/basic_pitch": [{}, {"unk__749": 3}]}
# What numbers of an input are, or lie below: pictures of 0 to 255 are what the networks that ask for them are made for.
MOST = {"sr": 16000, "bytes": 256, "inputImage": 255}


def random_feeds(path, session, sizes, otherwise):
    random = np.random.default_rng(zlib.crc32(path.encode()))
    feeds = {}
    for i in session.get_inputs():
        shape = [d if isinstance(d, int) else sizes.get(d or f"{i.name}:{axis}", otherwise)
                 for axis, d in enumerate(i.shape)]
        kind = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64,
                "tensor(int32)": np.int32}[i.type]
        most = MOST.get(i.name, 1)
        feeds[i.name] = (random.random(shape) * most if shape else np.array(most)).astype(kind)
    return feeds


def difference(got, want, bar):
    """None, or what is wrong with `got`."""
    if isinstance(want, (list, dict)):
        if type(got) is not type(want) or len(got) != len(want) or (isinstance(want, dict) and set(got) != set(want)):
            return f"got {str(got)[:100]}, want {str(want)[:100]}"
        items = want if isinstance(want, dict) else range(len(want))
        return next((d for d in (difference(got[k], want[k], bar) for k in items) if d), None)
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return f"got shape {got.shape}, want {want.shape}"
    if want.dtype.kind not in "fc":
        return None if (got == want).all() else f"{(got != want).sum()} of {want.size} differ"
    got, want = got.astype(np.float64), want.astype(np.float64)
    if not np.isfinite(got).all():
        return "numbers that are not finite"
    worst, most = np.abs(got - want).max(initial=0), np.abs(want).max(initial=1e-6)
    return None if worst <= bar * most else f"off by {worst:.3g} where the largest number is {most:.3g}"


def compare(path):
    """A model on random inputs of several sizes: yields (what, None or why it failed)."""
    data = (MODELS / path).read_bytes()
    ours = engine.Session(data, threads=0)
    rival = TWINS.get(path, path)
    if rival is None:
        return
    if rival != path and rival in TWINS:
        other = engine.Session((MODELS / rival).read_bytes())
        x = np.random.default_rng(1).random((1, 1, 28, 28), np.float32)
        yield "as " + rival, difference(ours.run({"Input3": x}), other.run({"Input3": x}), 1e-6)
        return
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")  # or sums of bytes saturate on some processors
    theirs = onnxruntime.InferenceSession((MODELS / rival).read_bytes(), options, providers=["CPUExecutionProvider"])
    shapes = [i.shape for i in theirs.get_inputs()]
    free = any(not isinstance(d, int) for s in shapes for d in s)
    sizes = next((s for start, s in SIZES.items() if path.startswith(start)), [{}, {}])
    for otherwise, fixed in list(zip((1, 3), sizes))[:1 + free]:
        what = f"free dimensions {fixed or otherwise}" if free else "fixed shape"
        feeds = random_feeds(path, theirs, fixed, 1 if fixed else otherwise)
        half = any(f.dtype == np.float16 for f in feeds.values())
        try:
            want = theirs.run(None, feeds)
        except Exception as e:
            yield what, f"ONNX Runtime: {str(e)[:200]}"
            continue
        yield what, difference(ours.run(feeds), want, 2e-2 if half else 1e-3)


# ---- recordings ---------------------------------------------------------------------------------------

def read_wave(path):
    with wave.open(str(MODELS / path)) as file:
        return file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16) / np.float32(32768)


def both(model):
    data = model if isinstance(model, bytes) else (MODELS / model).read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    theirs = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    ours = engine.Session(data)
    return ours.run, lambda feeds: theirs.run(None, feeds)


def stream(run, frames, carried, feed):
    """All outputs 0 of `frames`, and the last state; `carried` names the inputs that outputs 1.. are fed back to."""
    outputs = []
    for frame in frames:
        out = run({**feed(frame), **carried})
        outputs.append(out[0])
        carried = dict(zip(carried, out[1:]))
    return np.concatenate([o.reshape(1, -1) for o in outputs]), list(carried.values())


def check_stream(model, frames, carried, feed):
    ours, theirs = (stream(run, frames, carried, feed) for run in both(model))
    return ours[0], difference([ours[0], *ours[1]], [theirs[0], *theirs[1]], 1e-3)


def silero():
    """Speech probability of every 32 ms of a minute, all generations with a state."""
    rate, sound = read_wave("audio/silero_vad/test.wav")
    assert rate == 16000
    blocks = sound[:len(sound) // 512 * 512].reshape(-1, 1, 512)
    state = np.zeros((2, 1, 64), np.float32)
    chunks = sound[:len(sound) // 1536 * 1536].reshape(-1, 1, 1536)
    yield "v3", check_stream("audio/silero_vad/v3/silero_vad.onnx", chunks, {"h0": state, "c0": state},
                             lambda x: {"input": x})[1]
    context = np.concatenate([np.zeros((1, 1, 64), np.float32), blocks[:-1, :, -64:]])
    long = np.concatenate([context, blocks], axis=2)  # the last 64 samples come again
    for name in ("silero_vad", "silero_vad_16k_op15", "silero_vad_op18_ifless"):
        made, wrong = check_stream(f"audio/silero_vad/v6/{name}.onnx", long,
                                   {"state": np.zeros((2, 1, 128), np.float32)},
                                   lambda x: {"input": x, "sr": np.array(16000, np.int64)})
        if not wrong and not (made.max() > 0.9 and made.min() < 0.1):
            wrong = f"a recording with speech and pauses gives {made.min():.3f} to {made.max():.3f}"
        yield f"v6 {name}", wrong


def gtcrn():
    """Noise taken out of a recording, frame by frame; upstream's own result is stored beside it."""
    _, noisy = read_wave("audio/gtcrn/mix.wav")
    _, clean = read_wave("audio/gtcrn/enh_stream.wav")
    window = np.hanning(513)[:512] ** 0.5
    padded = np.pad(noisy, 256, mode="reflect")
    starts = range(0, len(padded) - 511, 256)
    spectra = np.stack([np.fft.rfft(padded[s:s + 512] * window) for s in starts])
    frames = np.stack([spectra.real, spectra.imag], -1).astype(np.float32)[:, None, :, None, :]
    for name in ("gtcrn", "gtcrn_simple"):
        carried = {"conv_cache": np.zeros((2, 1, 16, 16, 33), np.float32),
                   "tra_cache": np.zeros((2, 3, 1, 1, 16), np.float32),
                   "inter_cache": np.zeros((2, 1, 33, 16), np.float32)}
        made, wrong = check_stream(f"audio/gtcrn/{name}.onnx", frames, carried, lambda x: {"mix": x})
        yield name, wrong
        made = made.reshape(-1, 257, 2)
        sound = np.zeros(len(padded) + 512)
        weight = np.zeros_like(sound)
        for s, spectrum in zip(starts, made[..., 0] + 1j * made[..., 1]):
            sound[s:s + 512] += np.fft.irfft(spectrum) * window
            weight[s:s + 512] += window ** 2
        sound = (sound / np.maximum(weight, 1e-8))[256:256 + len(clean)]
        error = np.abs(sound - clean)[512:-512].max()
        yield f"{name} against enh_stream.wav", None if error < 1e-3 else f"off by {error:.4f}"


def dtln_model(units, bins):
    """A mask for a spectrum from two LSTMs whose states go in and out as one tensor, as DTLN is exported."""
    random = np.random.default_rng(5)
    nodes, constants = [], {"one": np.array([1]), "state_shape": np.array([1, 1, units]),
                            "packed_shape": np.array([1, 1, units, 1]),
                            "dense": (random.normal(size=(units, bins)) * 0.1).astype(np.float32)}
    node = lambda op, inputs, outputs, **more: nodes.append(helper.make_node(op, inputs, outputs, **more))
    node("Split", ["states"], ["s0", "s1"], axis=1)
    x = "magnitude"
    for i, width in enumerate((bins, units)):
        for name, shape in ((f"w{i}", (1, 4 * units, width)), (f"r{i}", (1, 4 * units, units)),
                            (f"b{i}", (1, 8 * units))):
            constants[name] = (random.normal(size=shape) * 0.1).astype(np.float32)
        node("Split", [f"s{i}"], [f"h{i}_", f"c{i}_"], axis=3)
        for part in "hc":
            node("Reshape", [f"{part}{i}_", "state_shape"], [f"{part}{i}"])
        node("LSTM", [x, f"w{i}", f"r{i}", f"b{i}", "", f"h{i}", f"c{i}"], [f"y{i}", f"h{i}o", f"c{i}o"],
             hidden_size=units)
        node("Squeeze", [f"y{i}", "one"], [f"z{i}"])
        for part in "hc":
            node("Reshape", [f"{part}{i}o", "packed_shape"], [f"{part}{i}p"])
        node("Concat", [f"h{i}p", f"c{i}p"], [f"s{i}o"], axis=3)
        x = f"z{i}"
    node("MatMul", [x, "dense"], ["logits"])
    node("Sigmoid", ["logits"], ["mask"])
    node("Concat", ["s0o", "s1o"], ["states_out"], axis=1)
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    packed = [1, 2, units, 2]
    graph = helper.make_graph(nodes, "dtln", [value("magnitude", [1, 1, bins]), value("states", packed)],
                              [value("mask", [1, 1, bins]), value("states_out", packed)],
                              [numpy_helper.from_array(c, n) for n, c in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def dtln():
    """32 ms every 8 ms of a noisy recording; the published weights are not in ONNX, so they are random."""
    _, sound = read_wave("audio/gtcrn/mix.wav")
    starts = range(0, len(sound) - 511, 128)
    blocks = [np.abs(np.fft.rfft(sound[s:s + 512])).astype(np.float32)[None, None] for s in starts]
    yield "masks", check_stream(dtln_model(128, 257), blocks, {"states": np.zeros((1, 2, 128, 2), np.float32)},
                                lambda x: {"magnitude": x})[1]


def basic_pitch():
    """Notes of a sung melody. The reference was made with another resampler, so it is held loosely."""
    rate, sound = read_wave("audio/basic_pitch/vocadito_10.wav")
    assert rate == 44100
    taps = np.sinc(np.arange(-64, 65) / 2) * np.kaiser(129, 8)
    sound = np.convolve(sound, taps / taps.sum(), "same")[::2].astype(np.float32)
    sound = np.concatenate([np.zeros(3840, np.float32), sound])
    windows = [sound[s:s + 43844] for s in range(0, len(sound), 36164)]
    windows = np.stack([np.pad(w, (0, 43844 - len(w))) for w in windows])[..., None]
    ours, theirs = both("audio/basic_pitch/nmp.onnx")
    got, want = ours({"serving_default_input_2:0": windows}), theirs({"serving_default_input_2:0": windows})
    yield "all windows at once", difference(got, want, 1e-3)
    stored = np.load(MODELS / "audio/basic_pitch/vocadito_10/model_output_arrays.npz")
    for made, name in zip(got, ("onset", "note", "contour")):
        expected = stored[name]
        made = np.concatenate([w[15:-15] for w in made])[:len(expected)]
        likeness = np.corrcoef(made.reshape(-1), expected.reshape(-1))[0, 1]
        yield f"{name} as stored", None if likeness > 0.99 else f"correlation {likeness:.4f}"


# ---- other stored numbers -------------------------------------------------------------------------------

def magika():
    """Types of file contents with their scores."""
    def features(content):
        head, tail = content[:4096].lstrip()[:1024], content[-4096:].rstrip()[-1024:]
        return [*head, *[256] * (1024 - len(head)), *[256] * (1024 - len(tail)), *tail]

    with gzip.open(MODELS / "text/magika/standard_v3_3-inference_examples_by_content.json.gz") as file:
        examples = [e for e in json.load(file) if e["status"] == "ok" and e["prediction"]["dl"] != "undefined"]
    labels = json.loads((MODELS / "text/magika/standard_v3_3/config.min.json").read_text())["target_labels_space"]
    x = np.array([features(base64.b64decode(e["content_base64"])) for e in examples], np.int32)
    ours, theirs = both("text/magika/standard_v3_3/model.onnx")
    scores = ours({"bytes": x})[0]
    best = scores.argmax(1)
    # Against doubles, this engine is off by 7e-4 and ONNX Runtime by 1.2e-3, which is 3.5e-3 off what was stored.
    yield "contents", difference(scores, theirs({"bytes": x})[0], 2e-3)
    wrong = [e["prediction"] for e, b in zip(examples, best) if labels[b] != e["prediction"]["dl"]]
    yield f"{len(examples)} labels", f"{len(wrong)} differ: {wrong[:3]}" if wrong else None
    yield "scores", difference(scores.max(1), np.array([e["prediction"]["score"] for e in examples]), 5e-3)


def mnist():
    """CNTK's first export and the sets stored for it; a digit as a picture."""
    run = engine.Session((MODELS / "seed/mnist-cntk/mnist-1.onnx").read_bytes()).run
    for i in range(3):
        stored = np.load(MODELS / f"seed/mnist-cntk/mnist-1_test_data_{i}.npz", allow_pickle=True)
        got = [run({"Input3": x.reshape(1, 1, 28, 28).astype(np.float32)})[0] for x in stored["inputs"]]
        yield f"mnist-1 set {i}", difference(np.concatenate(got), stored["outputs"].reshape(-1, 10), 1e-3)


SERIES = [("audio/silero_vad", silero), ("audio/gtcrn", gtcrn), ("audio/gtcrn", dtln),
          ("audio/basic_pitch", basic_pitch), ("text/magika", magika), ("seed/mnist-cntk", mnist)]


def stored_sets():
    """`sardonyx test` on all folders: (passed, failed, skipped)."""
    folders = sorted({p.parts[len(MODELS.parts)] for p in MODELS.rglob("*.onnx")})
    done = subprocess.run([os.environ.get("SARDONYX", ROOT / "build/sardonyx"), "test",
                           *[str(MODELS / f) for f in folders]], capture_output=True, text=True, errors="replace")
    for line in done.stdout.splitlines():
        if line.startswith(("failed", "skipped")):
            print(line.replace("failed", "FAILED", 1).replace("skipped", "SKIPPED", 1))
    counts = re.search(r"(\d+) passed, (\d+) failed, (\d+) skipped\s*$", done.stdout)
    return [int(n) for n in counts.groups()] if counts else [0, 1, 0]


def main():
    names = sys.argv[1:]
    onnxruntime.set_default_logger_severity(4)
    wanted = lambda path: not names or any(n in path for n in names)
    passed, failed, skipped = stored_sets() if not names else (0, 0, 0)
    paths = sorted(str(p.relative_to(MODELS)) for p in MODELS.rglob("*.onnx"))
    tasks = [(p, lambda p=p: compare(p)) for p in paths if wanted(p)]
    tasks += [(p, series) for p, series in SERIES if wanted(p) and (MODELS / p).is_dir()]
    for path, task in tasks:
        try:
            for what, wrong in task():
                passed, failed = passed + (not wrong), failed + bool(wrong)
                if wrong:
                    print(f"FAILED {path}, {what}: {wrong}")
        except engine.Failure as e:
            failed += 1
            print(f"FAILED {path}: {': '.join(e.args)}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
