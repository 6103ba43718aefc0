# SPDX-License-Identifier: Apache-2.0
"""A dry run: init() and run(sample) of a score.py, watched. What would fail is noted with its line and, where that is
possible, put right, so that one run finds what a user would find one failure after the other: a float64 array is converted,
a wrong model name becomes the nearest, a module that is not imported is imported. The report says what was.

Watched are the exceptions that pass through the script (also those it swallows), the sessions it opens, what it feeds them
and the models it asks for. Read first: sardonyx_lint.py (what is seen without running), sardonyx_worker.py.
"""
import ast
import importlib
import json
import os
import signal
import sys
import time

import sardonyx_lint
import sardonyx_standin
import sardonyx_worker

MOST_FINDINGS = 200
MOST_TURNS = 6  # runs with one more repair each
TYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(int64)": "int64",
         "tensor(int32)": "int32", "tensor(int16)": "int16", "tensor(int8)": "int8", "tensor(uint8)": "uint8",
         "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64", "tensor(bool)": "bool"}


class OutOfTime(BaseException):
    """init() or run() takes longer than it may."""


class Watch:
    """What is noted, and where the script stands."""

    def __init__(self, start):
        self.start, self.path, self.phase = start, start["script"], "import"
        self.findings, self.seen, self.sessions, self.fed, self.repaired, self.hidden = [], set(), 0, False, False, []

    def note(self, severity, code, message, hint="", line=None):
        line = self.line() if line is None else line
        if (code, line) in self.seen or len(self.findings) >= MOST_FINDINGS:
            return
        self.seen.add((code, line))
        self.findings.append({"severity": severity, "code": code, "line": line, "phase": self.phase, "message": message, "hint": hint})

    def line(self):
        """The line of the script that is being executed: the innermost frame of it."""
        frame = sys._getframe()
        while frame:
            if frame.f_code.co_filename == self.path:
                return frame.f_lineno
            frame = frame.f_back
        return 0

    def trace(self, frame, event, argument):
        """For sys.settrace: exceptions where they arise in the script itself, those included that it catches."""
        if frame.f_code.co_filename != self.path:
            return None
        if event == "exception":
            error = argument[1]
            try:
                error.__dict__.setdefault("_sardonyx_line", frame.f_lineno)  # where it arose in the script
            except AttributeError:
                pass
            # One that the script handles by doing something else is its own affair; one it only hides is not.
            if any(first <= frame.f_lineno <= last for first, last in self.hidden):
                self.exception(error)
        return self.trace

    def exception(self, error):
        if isinstance(error, (StopIteration, GeneratorExit, OutOfTime)):
            return
        kind, hint = type(error), ""
        line = getattr(error, "_sardonyx_line", None) or sardonyx_worker.describe(error, self.path)["line"]
        if kind is NameError and getattr(error, "name", None) in sys.stdlib_module_names:
            hint = f"import {error.name}"
        elif kind is AttributeError and isinstance(getattr(error, "obj", None), list):
            hint = "session.run returns a list with one array for each output: take [0] first"
        code = {NameError: "undefined-name", AttributeError: "list-attribute" if hint else "attribute"}.get(kind, "exception")
        if isinstance(error, ModuleNotFoundError):
            code, hint = "import", f"it is not installed for {sys.executable}: the image may have it, this machine has not"
        self.note("error", code, f"{kind.__name__}: {sardonyx_worker.said(error)[:500]}", hint, line)


# ---- sessions ------------------------------------------------------------------------------------

def watch_sessions(watch, module):
    """Puts a watching class in the place of InferenceSession of onnxruntime or sardonyx."""
    real = module.InferenceSession

    class InferenceSession(real):
        def __init__(self, *arguments, **more):
            watch.sessions += 1
            if watch.phase == "run":
                watch.note("warning", "session-per-request", "run() opens the model on every request",
                           "open it once in init() and keep it in a global")
            super().__init__(*arguments, **more)

        def run(self, output_names, input_feed, run_options=None):
            feed = check_feed(watch, self, input_feed)
            return super().run(check_outputs(watch, self, output_names), feed, run_options)

    InferenceSession.__qualname__ = real.__qualname__
    module.InferenceSession = InferenceSession


def check_outputs(watch, session, names):
    known = [o.name for o in session.get_outputs()]
    put_right = []
    for at, name in enumerate(names or []):
        if name in known:
            put_right.append(name)
            continue
        meant = sardonyx_lint.nearest(name, known) or known[min(at, len(known) - 1)]
        watch.note("error", "unknown-output", f"the model has no output '{name}'; it has {', '.join(known)}", f"'{meant}'")
        put_right.append(meant)
        watch.repaired = True
    return put_right or names


def check_feed(watch, session, feed):
    if not isinstance(feed, dict):
        return feed
    inputs = {i.name: i for i in session.get_inputs()}
    put_right = {}
    watch.fed = True
    for at, (name, value) in enumerate(feed.items()):
        if name not in inputs:
            free = [n for n in inputs if n not in feed]
            meant = sardonyx_lint.nearest(name, inputs) or (free[0] if free else next(iter(inputs)))
            watch.note("error", "unknown-input", f"the model has no input '{name}'; it has {', '.join(inputs)}", f"'{meant}'")
            name, watch.repaired = meant, True
        put_right[name] = check_value(watch, inputs[name], value)
    missing = [n for n in inputs if n not in put_right]
    if missing:
        watch.note("error", "missing-input", f"run is called without the model's input{'s' * (len(missing) > 1)} {', '.join(missing)}")
    return put_right


def check_value(watch, wanted, value):
    """The value with the type that the model wants; type and shape are noted where they do not fit."""
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    expected = TYPES.get(wanted.type)
    if dtype is None:
        if expected:
            watch.note("error", "not-an-array", f"input '{wanted.name}' gets a {type(value).__name__}, expected an array of {expected}",
                       f"np.array(value, dtype=np.{expected})")
        return value
    if expected and str(dtype) != expected:
        watch.note("error", "dtype", f"input '{wanted.name}' gets {dtype}, the model wants {expected}", f".astype(np.{expected})")
        try:
            value, watch.repaired = value.astype(expected), True
        except (TypeError, ValueError):
            return value
    if wanted.shape and shape is not None:
        fits = len(shape) == len(wanted.shape) and all(not isinstance(w, int) or w < 0 or w == s
                                                       for s, w in zip(shape, wanted.shape))
        if not fits:
            declared = "x".join(str(d) if d is not None else "?" for d in wanted.shape)
            watch.note("error", "shape", f"input '{wanted.name}' gets shape {'x'.join(map(str, shape)) or 'scalar'}, the model wants "
                       f"{declared}", "the sample may be what is wrong: --sample FILE gives another")
    return value


# ---- models --------------------------------------------------------------------------------------

def watch_models(watch, module):
    """Model.get_model_path of azureml, ours or theirs: names are checked, and the nearest is taken."""
    def get_model_path(model_name, version=None, _workspace=None):
        models = watch.start["models"]
        problem = sardonyx_lint.model_problem(model_name, models, watch.start.get("registered", []))
        if problem:
            watch.note("error", "unknown-model", *problem)
            watch.repaired, names = True, [m["name"] for m in models]
            model_name, version = sardonyx_lint.nearest(model_name, names) or (names[0] if names else model_name), None
        return sardonyx_standin.model_path(model_name, version)

    module.Model.get_model_path = staticmethod(get_model_path)


# ---- the sample ----------------------------------------------------------------------------------

def sample_key(source):
    """The key under which the script looks for its data: json.loads(...)["key"], else "data"."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript) and sardonyx_lint.called_name(node.value) in ("loads", "load") and \
                isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            return node.slice.value
    return "data"


def nested(shape, whole, counter):
    if not shape:
        counter[0] += 1
        return counter[0] % 2 if whole else counter[0] % 10 / 10
    return [nested(shape[1:], whole, counter) for _ in range(shape[0])]


def make_sample(start, source):
    """A body out of the first model's inputs: free dimensions are 1, numbers small."""
    model = next((m for m in start["models"] if m.get("inputs")), None)
    if not model:
        return b'{"data": []}'
    values = {}
    for wanted in model["inputs"]:
        shape = [d if isinstance(d, int) and d >= 0 else 1 for d in wanted["shape"] or [1]]
        whole = not any(word in wanted["type"] for word in ("float", "double"))
        values[wanted["name"]] = nested(shape, whole, [0])
    body = {sample_key(source): next(iter(values.values()))} if len(values) == 1 else {sample_key(source): values, **values}
    return json.dumps(body).encode()


# ---- the run -------------------------------------------------------------------------------------

def limit(seconds):
    signal.setitimer(signal.ITIMER_REAL, seconds)


def out_of_time(number, frame):
    raise OutOfTime()


def watched(watch, phase, seconds, function, *arguments):
    """(result, exception) of a call, with what happened noted."""
    watch.phase = phase
    limit(seconds)
    sys.settrace(watch.trace)
    try:
        return function(*arguments), None
    except OutOfTime as error:
        frames = [f for f in sardonyx_worker.traceback.extract_tb(error.__traceback__) if f.filename == watch.path]
        watch.note("error", "time", f"{phase} takes longer than {seconds} s", "", frames[-1].lineno if frames else 0)
        return None, error
    except SystemExit as error:
        watch.note("error", "exit", f"sys.exit({error.code}) would end the worker", "", sardonyx_worker.describe(error, watch.path)["line"])
        return None, error
    except sardonyx_worker.ScriptError as error:
        watch.note("error", "contract", str(error), "", 0)
        return None, error
    except Exception as error:
        watch.exception(error)
        return None, error
    finally:
        sys.settrace(None)
        limit(0)


def answer(watch, result):
    """What the client would see."""
    try:
        status, _, body = sardonyx_worker.encode(result)
    except (TypeError, ValueError) as error:
        watch.note("error", "not-json", f"what run() returns cannot be sent as JSON: {error}", ".tolist() makes lists of arrays", 0)
        return None
    text = body[:2000].decode("utf-8", "replace")
    if isinstance(result, str) and text.startswith('"{'):
        watch.note("note", "double-encoded", "run() returns a string: the client gets it as a JSON string, to be parsed twice",
                   "return the dict itself", 0)
    return {"status": status, "body": text}


def turns(watch, script, body):
    """run(sample), again and again with one more module imported where that was what was missing."""
    result, error = None, None
    for _ in range(MOST_TURNS):
        before = len(watch.findings)
        result, error = watched(watch, "run", watch.start["seconds"], script.run, {"method": "POST", "path": "/score", "headers": {
            "Content-Type": "application/json"}}, body)
        missing = [f["hint"][7:] for f in watch.findings[before:] if f["code"] == "undefined-name" and f["hint"].startswith("import ")]
        if not missing:
            break
        watch.repaired = True
        for name in missing:
            setattr(script.module, name, importlib.import_module(name))
    hidden = next((f for f in watch.static if f["code"] == "error-as-200"), None)
    failed = any(f["phase"] == "run" and f["severity"] == "error" for f in watch.findings)
    if hidden and failed and error is None and not hasattr(result, "status_code"):
        watch.note("error", "error-as-200", "run() fails and answers with status 200: the client takes it for a result, and monitoring "
                   "sees nothing", "let the exception out of run() (status 500), or return AMLResponse(message, 400)",
                   hidden["line"])
    return result, error


def execute(watch, source, body):
    times = {}
    begin = time.perf_counter()
    script, error = watched(watch, "import", watch.start["seconds"], sardonyx_worker.Script, watch.path)
    if not error:
        _, error = watched(watch, "init", watch.start["seconds"], script.init)
        times["init_ms"] = (time.perf_counter() - begin) * 1000
    if error:
        return {**times, "answer": None}
    begin = time.perf_counter()
    result, error = turns(watch, script, body or make_sample(watch.start, source))
    times["run_ms"] = (time.perf_counter() - begin) * 1000
    return {**times, "answer": None if error else answer(watch, result)}


def as_dicts(findings):
    keys = ("severity", "code", "line", "message", "hint")
    return [{**dict(zip(keys, f)), "phase": "static"} for f in findings]


def merge(watch):
    """One finding for each (code, line): the run knows better than the look, and of arrays it knows all."""
    seen = {(f["code"], f["line"]) for f in watch.findings}
    kept = [f for f in watch.static if (f["code"], f["line"]) not in seen and not (f["code"] == "float64-array" and watch.fed)]
    return sorted(kept + watch.findings, key=lambda f: (f["line"], f["code"]))


def prepare_modules(watch, source):
    """Watches what the script will import. A missing package is the script's own failure, later."""
    sardonyx_standin.install(watch.start)
    names = sardonyx_lint.imported(ast.parse(source))
    for name in ("onnxruntime", "sardonyx"):
        if name in names:
            try:
                watch_sessions(watch, importlib.import_module(name))
            except ImportError:
                pass
    if "azureml" in names:
        try:
            watch_models(watch, importlib.import_module("azureml.core.model"))
        except ImportError:
            pass


def check(channel, start):
    """Reads, looks, runs, reports. `start` is the host's first frame (README.md)."""
    with open(start["script"], encoding="utf-8") as file:
        source = file.read()
    _, body = channel.receive()
    local = {n.rsplit(".", 1)[0] for n in os.listdir(start["folder"])}
    packages = set(start["packages"]) if start.get("packages") is not None else None
    watch = Watch(start)
    watch.static = as_dicts(sardonyx_lint.lint(source, start["script"], packages, local, start["models"], start.get("registered", [])))
    report = {"answer": None}
    if not any(f["code"] == "syntax" for f in watch.static):
        out, err = sardonyx_worker.Log(channel, "stdout"), sardonyx_worker.Log(channel, "stderr")
        sys.stdout, sys.stderr = out, err
        signal.signal(signal.SIGALRM, out_of_time)
        watch.hidden = sardonyx_lint.hiding_blocks(sardonyx_lint.Look(source, start["script"]))
        prepare_modules(watch, source)
        report = execute(watch, source, body)
        out.end()
        err.end()
    channel.send("report", findings=merge(watch), sessions=watch.sessions, repaired=watch.repaired,
                 python=".".join(map(str, sys.version_info[:3])), **report)
