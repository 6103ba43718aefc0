#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every operator on random data, for every element type, against onnx.reference and ONNX Runtime.

The cases of the operator records (docs/cases.md) say what can vary: element types, sizes, values. An oracle
that cannot run a case is not asked; where one is wrong, disagreements.md says so with the reason.

    tests/ops/test_differential.py [--long] [--verbose] [NAME ...]     only operators whose name contains a NAME
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import warnings
import zlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import venv  # noqa: E402

venv.enter()
import numpy as np  # noqa: E402
import onnx  # noqa: E402

import cases  # noqa: E402
import definitions  # noqa: E402
import engine  # noqa: E402
import oracles  # noqa: E402
import records  # noqa: E402

warnings.filterwarnings("ignore")
np.seterr(all="ignore")
ROUNDS = {False: 20, True: 400}
WORKERS = 2

# Operators without cases: what they take has no text form, or they are random.
ELSEWHERE = {
    "If": "takes graphs: conformance, tests/run", "Loop": "takes graphs: conformance, tests/run",
    "Scan": "takes graphs: conformance", "SequenceMap": "takes graphs: conformance",
    "Gradient": "takes graphs: test_gradient.py",
    "BeamSearch": "takes graphs: test_search.py", "GreedySearch": "takes graphs: test_search.py",
    "Sampling": "takes graphs: test_search.py", "WhisperBeamSearch": "takes graphs: test_search.py",
    "ImageDecoder": "takes files: conformance",
    "Bernoulli": "random: test_random.py", "Multinomial": "random: test_random.py",
    "RandomNormal": "random: test_random.py", "RandomNormalLike": "random: test_random.py",
    "RandomUniform": "random: test_random.py", "RandomUniformLike": "random: test_random.py",
}
# Domains whose records are other spellings of ai.onnx operators.
SPELLINGS = {"com.microsoft.nchwc": "tests/models", "com.ms.internal.nhwc": "tests/models"}
# Their attributes hold values of an input's type: each type needs a case of its own.
NATIVE_ONLY = {"BitCast", "LabelEncoder", "OneHotEncoder", "Imputer", "CategoryMapper", "Tile T1", "CastLike", "SequenceInsert T", "MatMulNBits T3"}
# Operators that are less precise by nature, and the type whose tolerance they get: coordinates in single
# precision, as scales have it; quantisation on the way.
COARSE = {"Resize": "near double", "Upsample": "near double", "GridSample": "near double",
          "DeformConv": "near double",
          "DynamicQuantizeLSTM": "quantised"}
# What the oracles broadcast where the specification wants equal sizes.
LENIENT = {"LinearAttention"}
# Inputs in which a zero means something else in every engine.
NONZERO = {"Div": ("B",), "Mod": ("B",)}


# ---- oracles ------------------------------------------------------------------------------------------

class Asked:
    """An oracle's answer to one case, if need be in a wider element type: half precision is judged by single,
    whatever no oracle computes by a type that holds its values."""

    def __init__(self, oracle, case, types, arrays, wide):
        self.case, self.types, self.wide, self.name = case, types, wide, oracle.name
        for version in case.record.versions:
            try:
                self.oracle = oracle(cases.model(case, self.widened(arrays), version))
                self.run(arrays)
                return
            except Exception:  # an oracle refuses in its own words
                continue
        raise LookupError(oracle.name)

    def widened(self, arrays):
        if not self.wide:
            return arrays
        return [a if x.absent or self.types.get(formal.type) != self.wide[0] or
                formal.type in engine.DTYPES else convert(a, self.wide[1])
                for (formal, x), a in zip(self.case.inputs, arrays)]

    def run(self, arrays):
        made = self.oracle.run(cases.named(self.case, self.widened(arrays)))
        return [oracles.typed(x, self.expected(i)) for i, x in enumerate(made)]

    def expected(self, place):
        """Element type of output `place` by the record, None where only the result tells."""
        if not self.wide and self.name != oracles.Reference.name:
            return None
        formals = self.case.record.outputs
        kind = formals[min(place, len(formals) - 1)].type
        if kind in self.types or kind in engine.DTYPES:
            return self.types.get(kind, kind)
        return None


def attempt(oracle, arrays):
    """The oracle's answer, None where these sizes or values are not for it."""
    try:
        return oracle.run(arrays)
    except Exception:  # oracles refuse in their own words
        return None


def convert(x, dtype):
    return [convert(i, dtype) for i in x] if isinstance(x, list) else x.astype(engine.DTYPES[dtype][1])


WIDER = {"float16": ["float"], "bfloat16": ["float"], "double": ["float"], "bool": ["uint8", "int32"],
         "int8": ["int32", "int64", "float"], "int16": ["int32", "int64", "float"], "int32": ["int64", "float"],
         "uint8": ["int32", "int64", "float"], "uint16": ["int32", "int64", "float"], "int64": ["float"],
         "uint32": ["int64", "int32", "float"], "uint64": ["int64", "int32", "float"]}


def ask(case, variable, types, arrays, refused):
    """The oracles for a case."""
    def those(wide):
        found = []
        for oracle in (oracles.Reference, oracles.Runtime, definitions.Definition):
            if oracle.name not in refused:
                try:
                    found.append(Asked(oracle, case, types, arrays, wide))
                except LookupError:
                    pass
        return found

    dtype = types.get(variable)
    wider = [(dtype, w) for w in WIDER.get(dtype, []) if all(
        w in case.record.types[v] for v, t in types.items() if t == dtype)]
    half = dtype in ("float16", "bfloat16")
    for wide in wider + [None] if half else [None] + wider:
        found = those(wide)
        if found:
            return found
    return []


# ---- one operator -------------------------------------------------------------------------------------

class Outcome:
    def __init__(self):
        self.passed, self.skipped, self.failures, self.unjudged = 0, 0, [], []


def askable(record, texts, variable, dtype, random, ignored):
    """[(case, types, oracles)]"""
    found = []
    for case in texts:
        types = case.retyped(variable, dtype) if variable else {}
        kinds = list(types.values()) or ["string"]
        refused = oracles.refused(record.name, kinds, case.text, ignored)
        arrays = cases.feeds_of(case, types, random, {}, NONZERO.get(record.name, ()))
        found.append((case, types, ask(case, variable, types, arrays, refused)))
    return found


def run_type(record, groups, variable, dtype, rounds, ignored, outcome):
    """`rounds` random runs of cases in which type variable `variable` is `dtype`: of the first group that some oracle
    judges; without any, at least that the first group runs, which counts as skipped."""
    label = f"{record.label} {variable}={dtype}" if variable else record.label
    random = np.random.default_rng(zlib.crc32(label.encode()))
    judged = runs = 0
    nonzero = NONZERO.get(record.name, ())
    first = chosen = None
    for texts in groups:
        found = askable(record, texts, variable, dtype, random, ignored)
        first = first or found
        chosen = [u for u in found if u[2]]
        if chosen:
            break
    chosen = chosen or first
    share = -(-rounds // len(chosen))
    for case, types, asked in chosen:
        dynamic = static = None
        for k in range(share):
            sizes = cases.random_sizes(random, case) if k % 4 else {}
            arrays = cases.feeds_of(case, types, random, sizes, nonzero)
            feeds = cases.named(case, arrays)
            wants = [(o, answer) for o, answer in ((o, attempt(o, arrays)) for o in asked) if answer]
            if sizes and not wants:
                sizes = {}
                arrays = cases.feeds_of(case, types, random, sizes, nonzero)
                feeds = cases.named(case, arrays)
                wants = [(o, answer) for o, answer in ((o, attempt(o, arrays)) for o in asked) if answer]
            text = f"{label}: {case.text}" + (f" sizes {sizes}" if sizes else "")
            try:
                if k == 0:
                    session = static = engine.Session(cases.model(case, arrays, None, True).SerializeToString())
                else:
                    # Constants may have other sizes than those the model holds.
                    if dynamic is None or any(x.constant for _, x in case.inputs):
                        dynamic = engine.Session(cases.model(case, arrays, None).SerializeToString())
                    session = dynamic
                got = session.run(feeds)
            except engine.Failure as failure:
                # An oracle may be more lenient than the specification with sizes that do not fit together.
                empty = any(isinstance(x, np.ndarray) and x.size == 0 for _, want in wants for x in want)
                if sizes and (len(wants) < 2 or empty or record.name in LENIENT) and failure.args[0] in ("INVALID_SHAPE", "OUT_OF_RANGE", "INVALID_GRAPH",
                                                                   "INVALID_ARGUMENT"):
                    continue
                outcome.failures.append(f"{text}: {': '.join(failure.args)[:300]}")
                break
            runs += 1
            bad = None
            for oracle, want in wants:
                judged += 1
                wide = oracle.wide[1] if oracle.wide else dtype if oracle.name == oracles.Reference.name else "near double"
                wide = COARSE.get(record.name, wide)
                lenient = oracle.wide is not None or oracle.name == oracles.Reference.name
                why = oracles.differs(got, list(want), oracles.Rules(oracles.rounded(record), wide, lenient))
                if why and not bad:
                    bad = f"{text}: against {oracle.name}: {why}"
            if bad:
                outcome.failures.append(bad)
                break
            # That it runs shows little: without an oracle's word it counts as skipped.
            if wants:
                outcome.passed += 1
            else:
                outcome.skipped += 1
    if not judged:
        outcome.unjudged.append(label)


def run_operator(record, rounds, ignored):
    outcome = Outcome()
    try:
        texts = [cases.Case(record, t) for t in record.cases]
    except ValueError as error:
        outcome.failures.append(str(error))
        return outcome
    done = set()
    for variable in [f.type for f in record.inputs]:
        if variable in engine.DTYPES or variable in done:
            continue
        done.add(variable)
        mine = [t for t in texts if variable in t.base_types()]
        for dtype in [d for d in engine.DTYPES if any(d in t.elements(variable) for t in mine)]:
            # A case of the type itself says more than a retyped one.
            native = {record.name, f"{record.name} {variable}"} & NATIVE_ONLY
            groups = [[t for t in mine if t.fits(variable, dtype) == fit] for fit in ((0,) if native else (0, 1, 2))]
            if any(groups):
                run_type(record, [g for g in groups if g], variable, dtype, rounds, ignored, outcome)
    rest = [t for t in texts if not t.base_types()]
    if rest:
        run_type(record, [rest], None, None, rounds, ignored, outcome)
    return outcome


# ---- processes ----------------------------------------------------------------------------------------

def worker(rounds):
    """Operators by label from stdin, one JSON line each; a crash costs the parent only this one."""
    table = {r.label: r for r in records.load().values()}
    ignored = oracles.disagreements()
    for line in sys.stdin:
        start = time.monotonic()
        label, *refused = line.split()
        outcome = run_operator(table[label], rounds, ignored + [(table[label].name, "*", r) for r in refused])
        print(json.dumps([outcome.passed, outcome.skipped, outcome.failures, outcome.unjudged, time.monotonic() - start]),
              flush=True)


class Worker:
    def __init__(self, rounds):
        self.rounds, self.process = rounds, None

    def run(self, label):
        """A crash may be an oracle's: then the operator passes without it."""
        answer = self.ask(label)
        if isinstance(answer, str):
            again = self.ask(f"{label} {oracles.Runtime.name}")
            if isinstance(again, str):
                return [0, 0, [answer], [], 0]
            again[3].append(f"{label} ({oracles.Runtime.name} dies)")
            return again
        return answer

    def ask(self, label):
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen([sys.executable, __file__, "--worker", str(self.rounds)], text=True,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.process.stdin.write(label + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if answer:
            return json.loads(answer)
        error = self.process.stderr.read()[-600:]
        return f"{label}: the process died ({self.process.wait()}): {error}"


def main():
    from concurrent.futures import ThreadPoolExecutor
    from queue import Queue

    long, verbose = "--long" in sys.argv, "--verbose" in sys.argv
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    table = [r for r in records.load().values() if not names or any(n in r.label for n in names)]
    passed = failed = skipped = 0
    unjudged = []
    workers = Queue()
    for _ in range(WORKERS):
        workers.put(Worker(ROUNDS[long]))

    def one(record):
        mine = workers.get()
        try:
            return record, mine.run(record.label)
        finally:
            workers.put(mine)

    with ThreadPoolExecutor(WORKERS) as pool:
        for record, (good, open_runs, failures, open_ones, seconds) in pool.map(one, [r for r in table if r.cases]):
            passed += good
            skipped += open_runs
            failed += len(failures)
            unjudged += open_ones
            for failure in failures[:None if verbose else 12]:
                print("FAILED " + failure)
            if len(failures) > 12 and not verbose:
                print(f"FAILED {record.label}: {len(failures) - 12} more")
            if verbose:
                print(f"{record.label}: {good} passed, {len(failures)} failed, {seconds:.1f} s")
    while not workers.empty():
        process = workers.get().process
        if process and process.poll() is None:
            process.stdin.close()
            process.wait()
    for record in table:
        if not record.cases and record.name not in ELSEWHERE and record.domain not in SPELLINGS:
            print(f"FAILED {record.label}: the record has no cases")
            failed += 1
    if unjudged:
        names = sorted({label.split()[0] for label in unjudged})
        plain = [n for n in names if "." not in n]
        print(f"SKIPPED {skipped} runs that no oracle computes (they ran here): sizes or values that all of them refuse, and "
              f"some element types of {', '.join(plain)} and {len(names) - len(plain)} operators of other domains (test_contrib.py, tests/qonnx)")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed != 0


if __name__ == "__main__":
    if "--worker" in sys.argv:
        worker(int(sys.argv[-1]))
    else:
        sys.exit(main())
