#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job on real input: a model file becomes predictions and a REST endpoint.

Runs the digit classifier from the command line, starts the server, scores 20 held-out handwritten
digits over HTTP, prints what it saw, and stops the server. Needs nothing but Python's standard library.

    examples/digits/demo.py build/sardonyx
"""
import http.client
import json
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib

HERE = pathlib.Path(__file__).resolve().parent
SHADES = " .:-=+*#%@"


def read_png(path):
    """Rows of grey values 0 to 255 of an 8-bit grey, unfiltered PNG as train.py writes them."""
    data, at, pixels, width = path.read_bytes(), 8, b"", 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width = struct.unpack(">I", body[:4])[0]
        elif kind == b"IDAT":
            pixels += body
        at += size + 12
    rows = zlib.decompress(pixels)
    return [list(rows[y + 1:y + 1 + width]) for y in range(0, len(rows), width + 1)]


def draw(rows):
    return ["".join(SHADES[v * 9 // 255] * 2 for v in row) for row in rows]


def score(connection, images):
    """POST /score for a batch of images; (rows of probabilities, milliseconds)."""
    body = json.dumps({"data": [[[[v / 255 for v in row] for row in rows]] for rows in images]})
    start = time.perf_counter()
    connection.request("POST", "/score", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status != 200:
        sys.exit(f"the server answered {response.status}: {answer}")
    return answer["result"], (time.perf_counter() - start) * 1e3


def show(samples):
    """Prints the digits four abreast with truth, prediction, probability and latency under each."""
    columns = max(1, min(5, shutil.get_terminal_size().columns // 20))
    for first in range(0, len(samples), columns):
        group = samples[first:first + columns]
        for line in zip(*(draw(s["rows"]) for s in group)):
            print("  ".join(f"{cell:<18}" for cell in line))
        print("  ".join(f"{'is ' + str(s['truth']) + ', says ' + str(s['guess']) + (' ok' if s['truth'] == s['guess'] else ' WRONG'):<18}"
                        for s in group))
        print("  ".join(f"{100 * s['probability']:5.1f} %  {s['ms']:5.2f} ms".ljust(18) for s in group))
        print()


def main():
    sardonyx = sys.argv[1] if len(sys.argv) > 1 else "sardonyx"
    model = HERE / "digits.onnx"
    images = sorted((HERE / "images").glob("*.png"))
    print(f"$ sardonyx run {model.name} image=images/{images[0].name}")
    subprocess.run([sardonyx, "run", model, f"image={images[0]}", "--image-scale", "0.00392156862745098"], check=True)
    print(f"\n$ sardonyx serve {model.name}")
    server = subprocess.Popen([sardonyx, "serve", model, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline().strip()
        if "http://" not in line:
            sys.exit(f"the server did not start: {line}")
        print(line, end="\n\n")
        host, port = line.rsplit("http://", 1)[1].split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        samples = []
        for path in images:
            rows = read_png(path)
            (probabilities,), ms = score(connection, [rows])
            guess = max(range(10), key=probabilities.__getitem__)
            samples.append({"rows": rows, "truth": int(path.name[0]), "guess": guess,
                            "probability": probabilities[guess], "ms": ms})
        show(samples)
        _, batch_ms = score(connection, [s["rows"] for s in samples])
        connection.close()
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(timeout=60)
    right = sum(s["truth"] == s["guess"] for s in samples)
    latency = sorted(s["ms"] for s in samples)[len(samples) // 2]
    print(f"{right} of {len(samples)} digits right; median latency {latency:.2f} ms over HTTP; "
          f"all {len(samples)} in one request {batch_ms:.2f} ms; server stopped with exit code {code}")
    return 0 if code == 0 and right >= 19 else 1


if __name__ == "__main__":
    sys.exit(main())
