#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-rivals: Sardonyx against other engines on whole models, fairly on a machine that others use, too.

Each engine lives in a process of its own (engines.py), of which one runs at a time: slices of some hundred
milliseconds alternate, and a slice is dropped and taken again while the rest of the machine uses more than a share
(--busy) of a processor. What counts is the median of the ratios rival / Sardonyx of slices side by side: above 1 Sardonyx is
faster. Outputs are compared with ONNX Runtime's. Read next: engines.py, rivals_page.py.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import venv  # noqa: E402

HOME = pathlib.Path(__file__).resolve().parent
RIVALS = ("onnxruntime", "openvino", "mnn", "ncnn")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
SETTLE_S = 0.12  # workers of ONNX Runtime spin for tens of milliseconds after a run
TYPES = {"float": "float32", "double": "float64"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], epilog="example: bench/rivals.py "
                                     "--threads 1,2 --rivals onnxruntime,openvino --page docs models/*.onnx")
    parser.add_argument("models", nargs="+", type=pathlib.Path, help="files, or folders of .onnx files")
    parser.add_argument("--rivals", default=",".join(RIVALS[:2]), help=f"of {', '.join(RIVALS)} (default: %(default)s)")
    parser.add_argument("--threads", default="1", help="numbers of threads, with commas (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of slices (default: %(default)s)")
    parser.add_argument("--slice-ms", type=int, default=300, help="length of a slice (default: %(default)s)")
    parser.add_argument("--busy", type=float, default=0.1, metavar="SHARE",
                        help="of a processor that others may use during a slice (default: %(default)s)")
    parser.add_argument("--dim", action="append", default=[], metavar="NAME=N", help="a free dimension (default: 1)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="the figures for machines")
    parser.add_argument("--page", type=pathlib.Path, metavar="FOLDER", help="writes rivals.md and rivals.svg there")
    return parser.parse_args()


def make_inputs(model, dims, path):
    """Seeded numbers for all inputs; masks are ones."""
    import numpy
    import sardonyx
    random, feed = numpy.random.default_rng(0), {}
    for value in sardonyx.InferenceSession(str(model)).get_inputs():
        shape = [d if isinstance(d, int) else dims.get(d, 1) for d in value.shape]
        name = value.type[len("tensor("):-1]
        kind = numpy.dtype(TYPES.get(name, name))
        if kind.kind == "f":
            feed[value.name] = random.standard_normal(shape).astype(kind)
        elif "mask" in value.name or kind.kind == "b":
            feed[value.name] = numpy.ones(shape, kind)
        else:
            feed[value.name] = random.integers(0, 100, shape).astype(kind)
    numpy.savez(path, **feed)


class Engine:
    """A process that waits until it is asked for a slice. `facts` is None where the model does not run."""

    def __init__(self, name, threads, model, folder):
        self.slices = []
        self.outputs = f"{folder}/{name}.npz"
        self.log = pathlib.Path(folder, f"{name}.log")
        with open(self.log, "wb") as log:  # a pipe that nobody reads would fill
            self.process = subprocess.Popen(
                [sys.executable, HOME / "engines.py", name, str(threads), model, f"{folder}/inputs.npz", self.outputs],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, "RIVALS_TMP": folder, "OMP_NUM_THREADS": str(threads)})
        line = self.process.stdout.readline()
        self.facts = json.loads(line) if line else None
        self.reason = "" if line else self.last_words()

    def last_words(self):
        self.close()
        return (self.log.read_text(errors="replace").strip().splitlines() or ["it died"])[-1][:120]

    def slice(self, ms):
        self.process.stdin.write(f"{ms}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.communicate()


def busy_s():
    """What all processors have worked so far."""
    with open("/proc/stat", encoding="ascii") as stat:
        ticks = [int(v) for v in stat.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) * TICK_S  # without idle and waiting


def undisturbed(engine, ms, busy, tries=4):
    """ms of one run; None: others were busy each time."""
    for _ in range(tries):
        time.sleep(SETTLE_S)
        before = busy_s()
        got = engine.slice(ms)
        if busy_s() - before - got["cpu_s"] <= busy * got["wall_s"] + 2 * TICK_S:
            return got["ms"]
    return None


def difference(one, other):
    """The largest difference of outputs relative to their largest value; NaN: they cannot be compared."""
    import numpy
    a, b, worst = numpy.load(one), numpy.load(other), 0.0
    for k in range(max(len(a.files), len(b.files))):
        if f"arr_{k}" not in a or f"arr_{k}" not in b or a[f"arr_{k}"].size != b[f"arr_{k}"].size:
            return math.nan
        x, y = (v[f"arr_{k}"].astype("float64").ravel() for v in (a, b))
        worst = max(worst, float(numpy.abs(x - y).max() / max(numpy.abs(y).max(), 1e-30))) if x.size else worst
    return worst


def measure(model, threads, names, options, dims, folder):
    """A row of results: for each engine its times, or why there are none."""
    make_inputs(model, dims, f"{folder}/inputs.npz")
    engines = {name: Engine(name, threads, model, folder) for name in ("sardonyx", *names)}
    running = {name: e for name, e in engines.items() if e.facts}
    ratios, dropped = {name: [] for name in running}, 0
    for turn in range(options.rounds if "sardonyx" in running else 0):
        order = list(running) if turn % 2 else list(running)[::-1]
        times = {name: undisturbed(running[name], options.slice_ms, options.busy) for name in order}
        for name, ms in times.items():
            dropped += ms is None
            if ms and times["sardonyx"]:
                running[name].slices.append(ms)
                ratios[name].append(ms / times["sardonyx"])
    row = {"model": model.stem, "threads": threads, "slices": options.rounds * len(running), "dropped": dropped, "engines": {}}
    judge = "onnxruntime" if "onnxruntime" in running else "sardonyx"
    for name, e in engines.items():
        if e.facts and e.slices:
            quarters = statistics.quantiles(ratios[name], n=4) if len(ratios[name]) > 1 else ratios[name] * 3
            row["engines"][name] = {"ms": statistics.median(e.slices), "ratio": quarters[1], "ratio_p25": quarters[0],
                                    "ratio_p75": quarters[2], **e.facts,
                                    "difference": difference(e.outputs, engines[judge].outputs)}
        else:
            row["engines"][name] = {"reason": e.reason or "the machine was never quiet"}
        if e.facts:
            e.close()
    return row


def shortened(argument):
    """Where models lie on this machine concerns nobody."""
    return pathlib.Path(argument).name if os.path.isabs(argument) else argument


def show(row):
    ours = row["engines"]["sardonyx"]
    line = f"{row['model'][:28]:<28} {row['threads']:>2}  {ours['ms']:>10.3f} ms" if "ms" in ours else \
        f"{row['model'][:28]:<28} {row['threads']:>2}  {ours['reason']}"
    for name, e in row["engines"].items():
        if name != "sardonyx":
            line += f"  {name} {e['ratio']:.2f} ({e['ratio_p25']:.2f}-{e['ratio_p75']:.2f})" if "ms" in e else \
                f"  {name}: {e['reason']}"
    print(line, flush=True)


def main():
    options = arguments()
    venv.enter("bench", HOME / "requirements.txt")
    venv.install("bindings/python")
    import rivals_page
    names = options.rivals.split(",")
    unknown = [n for n in names if n not in RIVALS]
    if unknown:
        sys.exit(f"rivals.py: no rival '{unknown[0]}'; there are: {', '.join(RIVALS)}")
    dims = {name: int(size) for name, size in (d.split("=") for d in options.dim)}
    models = [f for m in options.models for f in (sorted(m.glob("*.onnx")) if m.is_dir() else [m])]
    rows = []
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            for threads in map(int, options.threads.split(",")):
                rows.append(measure(model.resolve(), threads, names, options, dims, folder))
                show(rows[-1])
    result = {"busy": options.busy, "machine": rivals_page.machine(), "versions": rivals_page.versions(["sardonyx", *names]),
              "command": " ".join(["bench/rivals.py", *map(shortened, sys.argv[1:])]), "rows": rows}
    for name, threads, mean in rivals_page.means(rows):
        print(f"geometric mean of {name} / sardonyx, {threads} thread{'s' * (threads > 1)}: {mean:.2f}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.page:
        rivals_page.write(result, options.page)


main()
