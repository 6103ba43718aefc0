# SPDX-License-Identifier: Apache-2.0
"""Both servers on a script of scripts/, and requests to them."""
import contextlib
import http.client
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = os.environ.get("SARDONYX", str(HERE.parents[1] / "build/sardonyx"))
TIMEOUT_MS = 1500


def ask(port, method, path, body, headers):
    """(status, {header: value}, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until_healthy(process, port, log):
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            if ask(port, "GET", "/", None, {})[0] == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the server does not come up: " + pathlib.Path(log).read_text(errors="replace")[-2000:])


@contextlib.contextmanager
def running(command, log, port, **environment):
    with open(log, "wb") as file:
        process = subprocess.Popen([str(word) for word in command], stdout=file, stderr=file, env={**os.environ, **environment})
    try:
        wait_until_healthy(process, port, log)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def peer(script, folder, workers=1):
    port = free_port()
    return running([pathlib.Path(sys.executable).parent / "azmlinfsrv", "--entry_script", script, "--port", port, "--worker_count", workers],
                   folder / "peer.log", port, SCORING_TIMEOUT_MS=str(TIMEOUT_MS), AML_APP_ROOT=str(HERE / "scripts"))


def ours(script, folder, workers=1, *more):
    port = free_port()
    return running([PROGRAM, "serve", *more, "--script", script, "--python", sys.executable, "--port", port, "--script-workers", workers,
                    "--timeout-ms", TIMEOUT_MS], folder / "ours.log", port)


def plain_id(value):
    """An id that a server made itself, as a word."""
    return "MADE" if re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value or "") else value
