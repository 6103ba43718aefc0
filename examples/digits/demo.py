#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From a model file to an endpoint with keys, step by step, as commands one could type.

Registers the digit classifier in a workspace of its own, builds an image, puts it into operation, scores 20 held-out
handwritten digits through REST with the service's key, reads its metrics, and leaves it running: the last lines say
where to look and how to end it. Needs nothing but Python's standard library.

    examples/digits/demo.py build/sardonyx [--stop]
"""
import argparse
import http.client
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import time
import urllib.parse
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


class Endpoint:
    """A service as a client knows it: its address and a key."""
    def __init__(self, uri, key):
        self.uri = urllib.parse.urlsplit(uri)
        self.connection = http.client.HTTPConnection(self.uri.hostname, self.uri.port, timeout=10)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, method, path, body=None):
        """(text, milliseconds)"""
        start = time.perf_counter()
        self.connection.request(method, path, body, self.headers)
        response = self.connection.getresponse()
        text = response.read().decode()
        if response.status != 200:
            sys.exit(f"{path} answers {response.status}: {text}")
        return text, (time.perf_counter() - start) * 1e3

    def score(self, images):
        """POST /score for a batch of images: rows of probabilities, milliseconds."""
        body = json.dumps({"data": [[[[v / 255 for v in row] for row in rows]] for rows in images]})
        text, ms = self.ask("POST", self.uri.path, body)
        return json.loads(text)["result"], ms


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


def scored(endpoint, images):
    samples = []
    for path in images:
        rows = read_png(path)
        (probabilities,), ms = endpoint.score([rows])
        guess = max(range(10), key=probabilities.__getitem__)
        samples.append({"rows": rows, "truth": int(path.name[0]), "guess": guess, "probability": probabilities[guess], "ms": ms})
    return samples


class Shell:
    """Commands in the demo's workspace, shown as one would type them."""
    def __init__(self, sardonyx, folder):
        self.sardonyx, self.folder = sardonyx, folder

    def __call__(self, *words):
        print(f"\n$ sardonyx {' '.join(map(str, words))}", flush=True)
        subprocess.run([self.sardonyx, *map(str, words)], cwd=self.folder, check=True)

    def ask(self, *words, check=True):
        done = subprocess.run([self.sardonyx, *map(str, words), "--json"], cwd=self.folder, check=check, stdout=subprocess.PIPE)
        return json.loads(done.stdout or "null")


def fresh(sardonyx, folder):
    """A workspace without what an earlier demo left."""
    if folder.exists():
        shell = Shell(sardonyx, folder)
        for service in shell.ask("service", "list", check=False) or []:
            shell.ask("service", "delete", service["name"])
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return Shell(sardonyx, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sardonyx", nargs="?", default="sardonyx")
    parser.add_argument("--folder", type=pathlib.Path, default=HERE.parent.parent / "build/demo", help="for the workspace")
    parser.add_argument("--stop", action="store_true", help="end the service at the end")
    arguments = parser.parse_args()
    sardonyx = shutil.which(arguments.sardonyx)
    if not sardonyx:
        sys.exit(f"{arguments.sardonyx}: no such program; 'make build' makes it")
    shell = fresh(str(pathlib.Path(sardonyx).resolve()), arguments.folder.resolve())
    shutil.copy(HERE / "digits.onnx", shell.folder)
    images = sorted((HERE / "images").glob("*.png"))
    shell("workspace", "create", "--name", "demo")
    shell("model", "register", "digits.onnx", "--tag", "stage=demo")
    shell("image", "build", "--model", "digits")
    shell("service", "deploy", "digits", "--image", "digits", "--auth", "key", "--wait")
    service, keys = shell.ask("service", "show", "digits"), shell.ask("service", "keys", "digits")
    endpoint = Endpoint(service["scoring_uri"], keys["primary"])
    print(f"\n20 digits it has never seen, each one a POST to {service['scoring_uri']}:\n")
    samples = scored(endpoint, images)
    show(samples)
    _, batch_ms = endpoint.score([s["rows"] for s in samples])
    metrics = [line for line in endpoint.ask("GET", "/metrics")[0].splitlines() if line.startswith("sardonyx_requests")]
    print("of /metrics:", *metrics, sep="\n  ")
    right = sum(s["truth"] == s["guess"] for s in samples)
    latency = sorted(s["ms"] for s in samples)[len(samples) // 2]
    print(f"\n{right} of {len(samples)} digits right; median latency {latency:.2f} ms over HTTP; "
          f"all {len(samples)} in one request {batch_ms:.2f} ms")
    if arguments.stop:
        shell("service", "delete", "digits")
    else:
        address = service["scoring_uri"].rsplit("/", 1)[0]
        print(f"\nIt goes on running. Look at {address}/ in a browser; what asks for the key:\n"
              f"  curl -H 'Authorization: Bearer {keys['primary']}' {address}/swagger.json\n"
              f"  curl -H 'Authorization: Bearer {keys['primary']}' {address}/metrics\n"
              f"and to end it:\n  sardonyx service delete digits --workspace {shell.folder}")
    return 0 if right >= 19 else 1


if __name__ == "__main__":
    sys.exit(main())
