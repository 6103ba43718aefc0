# SPDX-License-Identifier: Apache-2.0
"""The trace of a session as the real module writes it: a JSON list of events of categories Session and Node, times in
microseconds. The nodes' events are those of sardonyx's own trace."""
import json
import os
import threading
import time


class Profile:
    """Records when a session was loaded and run; without enable_profiling it does nothing."""

    def __init__(self, options, is_file):
        self.active = options.enable_profiling
        self.prefix = os.fspath(options.profile_file_prefix)
        self.start_ns = time.monotonic_ns() if self.active else 0
        self.events = []
        self.loading = "model_loading_uri" if is_file else "model_loading_array"

    def now(self):
        return time.monotonic_ns() if self.active else 0

    def _add(self, name, begin):
        self.events.append({"cat": "Session", "pid": os.getpid(), "tid": threading.get_native_id(),
                            "dur": (time.monotonic_ns() - begin) // 1000, "ts": (begin - self.start_ns) // 1000,
                            "ph": "X", "name": name, "args": {}})

    def loaded(self):
        if self.active:
            self._add(self.loading, self.start_ns)
            self._add("session_initialization", self.start_ns)

    def ran(self, begin):
        if self.active:
            self._add("model_run", begin)

    def write(self, session):
        """Ends the recording; the file's name, or "" if there was none."""
        if not self.active:
            return ""
        self.active = False
        events = self.events + [_node(event) for event in session.profile()["traceEvents"]]
        clock = time.time()
        name = (f"{self.prefix}_{time.strftime('%Y-%m-%d_%H-%M-%S', time.localtime(clock))}_"
                f"{int(clock % 1 * 1000):03d}.json")
        with open(name, "w", encoding="utf-8") as file:
            json.dump(events, file)
        return name


def _node(event):
    operator, node = event["name"], event["args"]["node"]
    return {"cat": "Node", "pid": event["pid"], "tid": event["tid"], "dur": round(event["dur"]),
            "ts": round(event["ts"]), "ph": "X", "name": f"{node or operator}_kernel_time",
            "args": {"provider": "CPUExecutionProvider", "op_name": operator, "kernel": event["args"]["kernel"]}}
