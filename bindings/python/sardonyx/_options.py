# SPDX-License-Identifier: Apache-2.0
"""SessionOptions and RunOptions. What the engine knows is translated by SessionOptions._translate."""

import enum

from . import _engine


class GraphOptimizationLevel(enum.IntEnum):
    """How much the graph is rewritten when a model is loaded."""

    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(enum.IntEnum):
    """Accepted for compatibility: the engine splits the work inside operators."""

    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


class SessionOptions:
    """How a model is loaded.

    graph_optimization_level: GraphOptimizationLevel, default ORT_ENABLE_ALL.
    intra_op_num_threads: threads of one run; 0 (default) = all the process may use.
    enable_profiling, profile_file_prefix: record a Chrome trace, see InferenceSession.end_profiling.
    precision: "highest" (default, at least as accurate as float32), "high" or "medium" matrix products.
    The other attributes are accepted for compatibility and have no effect; a misspelt one is an AttributeError.
    """

    __slots__ = (
        "graph_optimization_level", "intra_op_num_threads", "inter_op_num_threads", "execution_mode",
        "enable_profiling", "profile_file_prefix", "precision", "enable_cpu_mem_arena", "enable_mem_pattern",
        "enable_mem_reuse", "use_deterministic_compute", "use_per_session_threads", "log_severity_level",
        "log_verbosity_level", "logid", "optimized_model_filepath", "_entries", "_dims",
    )

    def __init__(self):
        self.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
        self.intra_op_num_threads = 0
        self.inter_op_num_threads = 0
        self.execution_mode = ExecutionMode.ORT_SEQUENTIAL
        self.enable_profiling = False
        self.profile_file_prefix = "sardonyx_profile_"
        self.precision = "highest"
        self.enable_cpu_mem_arena = True
        self.enable_mem_pattern = True
        self.enable_mem_reuse = True
        self.use_deterministic_compute = False
        self.use_per_session_threads = True
        self.log_severity_level = 2
        self.log_verbosity_level = 0
        self.logid = ""
        self.optimized_model_filepath = ""
        self._entries = {}
        self._dims = {}

    def add_session_config_entry(self, key, value):
        """Sets a named option, both str. "sardonyx.<name>" sets an engine option (memory_limit_bytes,
        run_timeout_ms, ...; `sardonyx run --option list` shows all); other keys are kept and ignored."""
        self._entries[str(key)] = str(value)

    def get_session_config_entry(self, key):
        """The value set for `key`, a str. Raises RuntimeError if there is none."""
        if key not in self._entries:
            raise RuntimeError(f"SessionOptions does not have configuration with key: {key}")
        return self._entries[key]

    def add_free_dimension_override_by_name(self, name, size):
        """Fixes a free input dimension, e.g. ("batch", 1), before the graph is optimised."""
        self._dims[str(name)] = int(size)

    def _translate(self, disabled_passes=()):
        """([(engine option, value)], {dimension: size})"""
        level = int(self.graph_optimization_level)
        pairs = [
            ("threads", str(int(self.intra_op_num_threads))),
            ("optimize", "none" if level == 0 else "basic" if level == 1 else "all"),
            ("precision", str(self.precision)),
            ("profile", "1" if self.enable_profiling else "0"),
        ]
        if disabled_passes:
            pairs.append(("disable_passes", ",".join(disabled_passes)))
        pairs += [(k[len("sardonyx."):], v) for k, v in self._entries.items() if k.startswith("sardonyx.")]
        return pairs, dict(self._dims)


class RunOptions(_engine.CancelToken):
    """Options of one or more runs.

    terminate: setting it to True, from any thread, ends the runs in progress that were given these
    options with Fail, and refuses new ones until it is False again.
    The other attributes are accepted for compatibility and have no effect; a misspelt one is an AttributeError.
    """

    __slots__ = ("log_severity_level", "log_verbosity_level", "logid", "only_execute_path_to_fetches", "_entries")

    def __init__(self):
        self.log_severity_level = 2
        self.log_verbosity_level = 0
        self.logid = ""
        self.only_execute_path_to_fetches = False
        self._entries = {}

    def add_run_config_entry(self, key, value):
        """Kept and ignored; both str."""
        self._entries[str(key)] = str(value)

    def get_run_config_entry(self, key):
        """The value set for `key`, a str. Raises RuntimeError if there is none."""
        if key not in self._entries:
            raise RuntimeError(f"RunOptions does not have configuration with key: {key}")
        return self._entries[key]
