# SPDX-License-Identifier: Apache-2.0
"""Runs one score.py for a host: loads it, calls init() once and run() for each request. The host talks to it by frames
over descriptor 3; README.md describes them. Nothing is imported but the standard library until the script does.

    python3 -I -B sardonyx_worker.py        (started by the host: script/worker.c)
"""
import importlib.util
import inspect
import io
import json
import os
import struct
import sys
import threading
import time
import traceback
import urllib.parse

HEAD = struct.Struct("<IQ")  # bytes of the head, bytes of the body
MOST_HEAD = 1 << 20
MOST_TRACE = 16000
MOST_LOG = 60000
host = None  # the Channel, for compat/azureml's collector


class Channel:
    """Frames to and from the host."""

    def __init__(self, descriptor=3):
        self.descriptor = descriptor
        self.lock = threading.Lock()  # threads of the script print, too
        os.set_inheritable(descriptor, False)

    def _exactly(self, size):
        parts = []
        while size:
            part = os.read(self.descriptor, min(size, 1 << 20))
            if not part:
                raise EOFError("the host closed the channel")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def receive(self):
        head, body = HEAD.unpack(self._exactly(HEAD.size))
        return json.loads(self._exactly(head)), self._exactly(body)

    def send(self, kind, body=b"", **fields):
        head = json.dumps({"type": kind, **fields}).encode()
        if len(head) > MOST_HEAD:
            raise ValueError(f"a frame's head of {len(head)} bytes")
        data = memoryview(HEAD.pack(len(head), len(body)) + head + body)
        with self.lock:
            while data:
                data = data[os.write(self.descriptor, data):]


class Log(io.TextIOBase):
    """sys.stdout and sys.stderr of a script: lines become frames that name the request."""

    def __init__(self, channel, stream):
        self.channel, self.stream, self.request, self.line = channel, stream, 0, ""

    def writable(self):
        return True

    def write(self, text):
        *lines, self.line = (self.line + str(text)).split("\n")
        for line in lines:
            self._send(line)
        if len(self.line) > MOST_LOG:
            self._send(self.line)
            self.line = ""
        return len(text)

    def _send(self, line):
        for at in range(0, max(1, len(line)), MOST_LOG):
            self.channel.send("log", id=self.request, stream=self.stream, text=line[at:at + MOST_LOG])

    def end(self):
        if self.line:
            self._send(self.line)
            self.line = ""


class ScriptError(Exception):
    """The script is not what a host can call."""


class Script:
    """A loaded score.py. `run` is called as its signature and decorators ask for."""

    def __init__(self, path):
        self.path = path
        # The name under which the scoring container loads it; found by pickle and inspect.
        spec = importlib.util.spec_from_file_location("entry_module", path)
        self.module = importlib.util.module_from_spec(spec)
        sys.modules["entry_module"] = self.module
        spec.loader.exec_module(self.module)
        for name in ("init", "run"):
            if not callable(getattr(self.module, name, None)):
                raise ScriptError(f"there is no function {name}()")
        self.function = self.module.run
        parameters = list(inspect.signature(self.function).parameters.values())
        if any(p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in parameters):
            raise ScriptError("run() takes plain parameters only: no *args, **kwargs or positional-only ones")
        self.wants_headers = any(p.name == "request_headers" for p in parameters)
        self.parameters = [p for p in parameters if p.name != "request_headers"]
        if not self.parameters:
            raise ScriptError("run() takes no input; expected run(raw_data)")
        # The package whose @rawhttp was used, if one was.
        self.raw = next((module for name, module in list(sys.modules.items())
                         if name.endswith("aml_request") and getattr(module, "_rawHttpRequested", False)), None)
        schema = sys.modules.get("inference_schema.schema_util")
        self.schema = schema if schema and schema.is_schema_decorated(self.function) else None

    def init(self):
        self.module.init()

    def documents(self):
        """Input and output schema of the decorators of inference_schema, or None."""
        if not self.schema:
            return None
        return {"input": self.schema.get_input_schema(self.function), "output": self.schema.get_output_schema(self.function)}

    def arguments(self, request, body):
        if self.raw:
            given = {self.parameters[0].name: self.raw_request(request, body)}
        elif request.get("method", "POST") == "GET":
            query = parse_query(request.get("query", ""))
            given = self._of_object(query) if self.schema else {self.parameters[0].name: json.dumps(query)}
        elif self.schema:
            headers = {name.lower(): value for name, value in request.get("headers", {}).items()}
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json" and not kind.endswith("+json"):
                raise BadRequest(f"Content-Type is '{kind}', expected application/json", 415)
            try:
                given = self._of_object(json.loads(body))
            except ValueError as error:
                raise BadRequest(f"the body is not JSON: {error}") from None
        else:
            try:
                given = {self.parameters[0].name: body.decode("utf-8")}
            except UnicodeDecodeError as error:
                raise BadRequest(f"the body is not UTF-8: {error}") from None
        if self.wants_headers:
            given["request_headers"] = {name.title(): value for name, value in request.get("headers", {}).items()}
        return given

    def raw_request(self, request, body):
        """What run() gets under @rawhttp: an AMLRequest of the package that made it, flask's where that stands on it."""
        make = getattr(self.raw.AMLRequest, "of_frame", flask_request)
        return make(request, body)

    def _of_object(self, value):
        names = [p.name for p in self.parameters]
        if not isinstance(value, dict):
            raise BadRequest(f"the body is expected to be an object with {', '.join(names)}")
        missing = [p.name for p in self.parameters if p.name not in value and p.default is p.empty]
        if missing:
            raise BadRequest(f"missing in the body: {', '.join(missing)}")
        return {p.name: value.get(p.name, p.default) for p in self.parameters}

    def run(self, request, body):
        return self.function(**self.arguments(request, body))


class BadRequest(Exception):
    """The request cannot be given to run()."""

    def __init__(self, message, status=400):
        super().__init__(message)
        self.status = status


def parse_query(text):
    """a=1&b=[1,2]&c=x as {"a": 1, "b": [1, 2], "c": "x"}; a name given twice is a list."""
    result = {}
    for name, values in urllib.parse.parse_qs(text, keep_blank_values=True).items():
        read = []
        for value in values:
            try:
                read.append(json.loads(value))
            except ValueError:
                read.append(value)
        result[name] = read if len(read) > 1 else read[0]
    return result


def flask_request(request, body):
    import flask
    headers = {name.upper().replace("-", "_"): value for name, value in request.get("headers", {}).items()}
    return flask.Request({
        "REQUEST_METHOD": request.get("method", "POST"), "PATH_INFO": request.get("path", "/score"), "SERVER_PROTOCOL": "HTTP/1.1",
        "QUERY_STRING": request.get("query", ""), "SERVER_NAME": "localhost", "SERVER_PORT": "80", "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        **{name if name.startswith("CONTENT_") else "HTTP_" + name: value for name, value in headers.items()}})


def encode(result):
    """(status, headers, body) of what run() returned. A response object is sent as it is; all else as JSON, a string too."""
    if hasattr(result, "status_code") and hasattr(result, "get_data"):
        headers = [[str(k), str(v)] for k, v in result.headers.items()]
        data = result.get_data()
        return int(result.status_code), headers, data.encode() if isinstance(data, str) else bytes(data)
    return 200, [["Content-Type", "application/json"]], json.dumps({} if result is None else result).encode()


def said(error):
    """The text of an exception. str() of azureml's is a page; they have it as `message`."""
    text = getattr(error, "message", None)
    return text if isinstance(text, str) else str(error)


def describe(error, path):
    """What the host is told of an exception: the script's own part of the trace, and the line where it left it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename == path]
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == path else own[-1].lineno if own else 0
    first = next((i for i, f in enumerate(frames) if f.filename == path), len(frames))
    lines = traceback.format_list(frames[first:]) + traceback.format_exception_only(type(error), error)
    trace = "Traceback (most recent call last):\n" * (first < len(frames)) + "".join(lines)
    return {"type": type(error).__name__, "message": said(error)[:2000], "line": line or 0, "trace": trace[-MOST_TRACE:]}


def prepare(start):
    """The process as the script is to find it. In an image its packages lie beside the programs."""
    os.chdir(start["folder"])
    packages = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../site"))
    for path in reversed([*start.get("paths", []), packages]):
        sys.path.insert(0, path)
    sys.path.insert(0, start["folder"])
    sys.argv = [start["script"]]


def serve(channel, start):
    out, err = Log(channel, "stdout"), Log(channel, "stderr")
    sys.stdout, sys.stderr = out, err
    begin = time.perf_counter()
    phase = "import"
    try:
        script = Script(start["script"])
        phase = "init"
        script.init()
    except BaseException as error:  # sys.exit() too: the host decides what becomes of it
        out.end()
        err.end()
        channel.send("failed", phase=phase, error=describe(error, start["script"]))
        return
    out.end()
    err.end()
    channel.send("ready", ms=(time.perf_counter() - begin) * 1000, raw=script.raw is not None, schema=script.documents(),
                 python=".".join(map(str, sys.version_info[:3])))
    while True:
        request, body = channel.receive()
        if request["type"] == "stop":
            return
        out.request = err.request = request["id"]
        begin = time.perf_counter()
        answer = {"id": request["id"]}
        try:
            result = script.run(request, body)
            answer["ms"] = (time.perf_counter() - begin) * 1000
            status, headers, data = encode(result)
            kind, fields = "result", {"status": status, "headers": headers}
        except BadRequest as error:
            kind, fields, data = "bad", {"message": str(error), "status": error.status}, b""
        except BaseException as error:
            kind, fields, data = "error", {"error": describe(error, start["script"])}, b""
        answer.setdefault("ms", (time.perf_counter() - begin) * 1000)
        out.end()
        err.end()
        channel.send(kind, data, **answer, **fields)


def main():
    global host
    host = channel = Channel()
    start, _ = channel.receive()
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.append(here)  # last: stand-ins and the check, where nothing else has their names
    prepare(start)
    if start["type"] == "check":
        import sardonyx_check
        sardonyx_check.check(channel, start)
    else:
        import sardonyx_standin
        sardonyx_standin.install(start)
        serve(channel, start)


if __name__ == "__main__":
    try:
        main()
    except EOFError:
        sys.exit(0)
