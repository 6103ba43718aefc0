#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests in a second of scripts/plain.py under both servers, at equal workers, in alternating slices; the median of the
paired ratios is the result. Clients are threads that send the next request when the answer is there.

    build/venv-peer/bin/python tests/peer/throughput.py [--workers N] [--clients N] [--rounds N] [--seconds S]
"""
import argparse
import pathlib
import socket
import statistics
import tempfile
import threading
import time

import servers

BODY = b'{"data": [[1.5, 2.5, 3.5, 4.5]]}'
REQUEST = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


def answered(s):
    """The answer to one request, and whether the connection stays."""
    s.sendall(REQUEST)
    answer = b""
    while not (b"data" in answer and answer.endswith(b"}")):
        piece = s.recv(65536)
        assert piece, answer
        answer += piece
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return b"connection: close" not in answer.lower()


def client(port, end, counts, at):
    stays = False
    s = None
    while time.monotonic() < end:
        if not stays:
            if s:
                s.close()
            s = socket.create_connection(("127.0.0.1", port))
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stays = answered(s)
        counts[at] += 1
    s.close()


def rate(port, clients, seconds):
    counts, begin = [0] * clients, time.monotonic()
    threads = [threading.Thread(target=client, args=(port, begin + seconds, counts, i)) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - begin)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("workers", 1), ("clients", 4), ("rounds", 7)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--seconds", type=float, default=1.0)
    given = parser.parse_args()
    script, ratios = servers.HERE / "scripts/plain.py", []
    with tempfile.TemporaryDirectory(prefix="sardonyx-peer-") as folder:
        folder = pathlib.Path(folder)
        with servers.peer(script, folder, given.workers) as there, servers.ours(script, folder, given.workers) as here:
            for port in (there, here):
                rate(port, given.clients, 0.3)
            for _ in range(given.rounds):
                real, own = rate(there, given.clients, given.seconds), rate(here, given.clients, given.seconds)
                ratios.append(own / real)
                print(f"{real:9.0f} /s there  {own:9.0f} /s here  x{own / real:.2f}", flush=True)
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"x{middle:.2f} [{low:.2f}, {high:.2f}] at {given.workers} worker(s), {given.clients} clients")


if __name__ == "__main__":
    main()
