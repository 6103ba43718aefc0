# SPDX-License-Identifier: Apache-2.0
"""SessionOptions, RunOptions and the options of allocators. What Sardonyx has an equal of is handed on by _translated;
the rest is kept and has no effect. Read next: _session.py, which loads with them."""
import ctypes

import sardonyx

from ._devices import KNOWN_PROVIDERS, PROVIDERS, OrtEpDevice
from ._enums import ExecutionMode, ExecutionOrder, GraphOptimizationLevel
from ._errors import error, unavailable
from ._native import exported, field, native, setting

_LONGEST_KEY, _LONGEST_VALUE = 1024, 8192


class _Entries:
    """Named options, both texts."""

    __slots__ = ()

    def _add_entry(self, key, value):
        if not 0 < len(key.encode()) <= _LONGEST_KEY:
            raise RuntimeError(f"Config key is empty or longer than maximum length {_LONGEST_KEY}")
        if len(value.encode()) > _LONGEST_VALUE:
            raise RuntimeError(f"Config value is longer than maximum length: {_LONGEST_VALUE}")
        self._entries[key] = value

    def _get_entry(self, key):
        if key not in self._entries:
            raise RuntimeError(f"{type(self).__name__} does not have configuration with key: {key}")
        return self._entries[key]


@exported
class SessionOptions(_Entries):
    """Configuration of a session."""

    _DEFAULTS = {
        "enable_cpu_mem_arena": True, "enable_mem_pattern": True, "enable_mem_reuse": True, "enable_profiling": False,
        "execution_mode": ExecutionMode.ORT_SEQUENTIAL, "execution_order": ExecutionOrder.DEFAULT,
        "graph_optimization_level": GraphOptimizationLevel.ORT_ENABLE_ALL, "inter_op_num_threads": 0,
        "intra_op_num_threads": 0, "log_severity_level": -1, "log_verbosity_level": 0, "logid": "",
        "optimized_model_filepath": "", "profile_file_prefix": "onnxruntime_profile_",
        "use_deterministic_compute": False, "use_per_session_threads": True,
    }
    __slots__ = (*("_" + name for name in _DEFAULTS), "_entries", "_dims", "_denoted_dims", "_initializers",
                 "_external_initializers", "_external_files", "_providers", "_cancelled")

    def __init__(self) -> None:
        for name, value in self._DEFAULTS.items():
            setattr(self, "_" + name, value)
        self._entries, self._dims, self._denoted_dims, self._providers = {}, {}, {}, []
        self._initializers, self._external_initializers, self._external_files = {}, {}, {}
        self._cancelled = False

    __init__ = native(__init__)

    enable_cpu_mem_arena = setting("enable_cpu_mem_arena", "bool", "Kept; Sardonyx plans its memory.")
    enable_mem_pattern = setting("enable_mem_pattern", "bool", "Kept; Sardonyx plans its memory.")
    enable_mem_reuse = setting("enable_mem_reuse", "bool", "Kept; Sardonyx plans its memory.")
    enable_profiling = setting("enable_profiling", "bool", "Record a trace of the runs, see end_profiling.")
    execution_mode = setting("execution_mode", "ExecutionMode", "Kept; work is split inside operators.")
    execution_order = setting("execution_order", "ExecutionOrder", "Kept; the plan has its own order.")
    graph_optimization_level = setting("graph_optimization_level", "GraphOptimizationLevel",
                                       "How much the graph is rewritten when the model is loaded.")
    inter_op_num_threads = setting("inter_op_num_threads", "int", "Kept; work is split inside operators.")
    intra_op_num_threads = setting("intra_op_num_threads", "int", "Threads of one run; 0 = all the process may use.")
    log_severity_level = setting("log_severity_level", "int", "0 verbose, 1 info, 2 warning, 3 error, 4 fatal; -1 = "
                                 "as set_default_logger_severity says.")
    log_verbosity_level = setting("log_verbosity_level", "int", "Kept.")
    logid = setting("logid", "str", "Named in the lines of the log.")
    optimized_model_filepath = setting("optimized_model_filepath", "path",
                                       "Where the model is written as it is loaded; each load optimises it anew.")
    profile_file_prefix = setting("profile_file_prefix", "path", "Begin of the name of the trace's file.")
    use_deterministic_compute = setting("use_deterministic_compute", "bool", "Kept; results always are.")
    use_per_session_threads = setting("use_per_session_threads", "bool", "Kept; a process has one pool.")

    @native
    def add_session_config_entry(self, arg0: "str", arg1: "str") -> None:
        """Sets a named option. "sardonyx.<name>" is one of the engine's own."""
        self._add_entry(arg0, arg1)

    @native
    def get_session_config_entry(self, arg0: "str") -> "str":
        """The value that was set for a name."""
        return self._get_entry(arg0)

    @native
    def add_free_dimension_override_by_name(self, arg0: "str", arg1: "size") -> None:
        """Fixes a named dimension of the inputs."""
        self._dims[arg0] = int(arg1)

    @native
    def add_free_dimension_override_by_denotation(self, arg0: "str", arg1: "size") -> None:
        """Fixes the dimensions of the inputs that have a denotation."""
        self._denoted_dims[arg0] = int(arg1)

    @native
    def add_initializer(self, arg0: "str", arg1: "object") -> None:
        """A value for an initializer, in place of the model's."""
        if not hasattr(arg1, "_get_c_value"):
            raise RuntimeError("The provided Python object must be an OrtValue")
        if arg0 in self._initializers:
            raise RuntimeError(str(error("InvalidArgument",
                                         f"An OrtValue for this name has already been added: {arg0}")))
        self._initializers[arg0] = arg1._get_c_value()

    @native
    def add_external_initializers(self, arg0: "list", arg1: "list") -> None:
        """Values for initializers whose data lies outside of the model."""
        if len(arg0) != len(arg1):
            raise RuntimeError("Expecting names and ort_values lists to have equal length")
        for name, value in zip(arg0, arg1):
            if not hasattr(value, "_get_c_value"):
                raise RuntimeError("The provided Python object must be an OrtValue")
            self._external_initializers[name] = value._get_c_value()

    @native
    def add_external_initializers_from_files_in_memory(self, arg0: "Sequence[str]", arg1: "Sequence[buffer]",
                                                       arg2: "Sequence[size]") -> None:
        """Content of the files that external data lies in: names, bytes, how many bytes count."""
        if not len(arg0) == len(arg1) == len(arg2):
            raise RuntimeError("Expecting names, buffers and lengths of equal length")
        for name, content, length in zip(arg0, arg1, arg2):
            self._external_files[name] = bytes(memoryview(content).cast("B")[:length])

    @native
    def add_provider(self, arg0: "str", arg1: "Mapping[str, str]") -> None:
        """Adds an execution provider by name."""
        if arg0 in PROVIDERS:
            self._providers.append(arg0)
        elif arg0 in KNOWN_PROVIDERS:
            raise error("InvalidArgument", f"Failed to add provider of type '{arg0}' to SessionOptions. Provider "
                        "configuration is not supported.")
        else:
            raise RuntimeError(f"Unknown Provider Type: {arg0}")

    @native
    def add_provider_for_devices(self, arg0: "Sequence[OrtEpDevice]", arg1: "Mapping[str, str]") -> None:
        """Adds the execution provider that the devices belong to."""
        if not arg0:
            raise error("InvalidArgument", "Must provide one or more OrtEpDevice instances.")
        self._providers.append(arg0[0].ep_name)

    @native
    def set_provider_selection_policy(self, arg0: "OrtExecutionProviderDevicePolicy") -> None:
        """Kept; there is one provider."""
        self._providers.append(arg0)

    @native
    def set_provider_selection_policy_delegate(
            self, arg0: "Callable[[Sequence[OrtEpDevice], Mapping[str, str], Mapping[str, str], int], "
                        "list[OrtEpDevice]]") -> None:
        """Kept; there is one provider."""
        self._providers.append(arg0)

    @native
    def has_providers(self) -> "bool":
        """Whether a provider, a device or a policy was set."""
        return bool(self._providers)

    @native
    def register_custom_ops_library(self, arg0: "path") -> None:
        """Looks into the library and says why its operators cannot be used."""
        try:
            library = ctypes.CDLL(arg0)
        except OSError as failure:
            raise error("Fail", f"Failed to load library {arg0} with error: {failure}") from None
        if not hasattr(library, "RegisterCustomOps"):
            raise error("Fail", f"Failed to get symbol RegisterCustomOps with error: {arg0}: undefined symbol: "
                        "RegisterCustomOps")
        raise unavailable(f"The C interface of ONNX Runtime, which the operators of {arg0} are made for,",
                          "Operators of your own are registered in C with sdx_options_add_op (sardonyx.h); "
                          "with ONNX Runtime this library works as it is.")

    @native
    def set_load_cancellation_flag(self, arg0: "bool") -> None:
        """Loads with these options end, or are refused."""
        self._cancelled = bool(arg0)

    @native
    def set_ep_context_data_read_func(self, read_func: "Callable[[str, OrtEpContextDataBuffer], None]",
                                      max_data_size: "size") -> None:
        """Refused: there are no compiled models of other providers."""
        raise unavailable("EPContext data", "It belongs to providers that Sardonyx does not have.")

    @native
    def clear_ep_context_data_read_func(self) -> None:
        """Nothing to clear."""

    def _copy(self):
        """What a session keeps: later changes do not concern it."""
        made = SessionOptions()
        for name in self.__slots__:
            value = getattr(self, name)
            setattr(made, name, value.copy() if isinstance(value, (dict, list)) else value)
        return made

    def _translated(self):
        """sardonyx.SessionOptions that say the same."""
        options = sardonyx.SessionOptions()
        options.graph_optimization_level = int(self._graph_optimization_level)
        options.intra_op_num_threads = max(0, self._intra_op_num_threads)
        options.enable_profiling = self._enable_profiling
        for key, value in self._entries.items():
            if key.startswith("sardonyx."):
                options.add_session_config_entry(key, value)
        folder = self._external_data_folder()
        if folder:
            options.add_session_config_entry("sardonyx.external_data_dir", folder)
        return options

    def _external_data_folder(self):
        return self._entries.get("session.model_external_initializers_file_folder_path")


@exported
class RunOptions(_Entries):
    """Configuration of a run."""

    __slots__ = ("_token", "_log_severity_level", "_log_verbosity_level", "_logid", "_only_execute_path_to_fetches",
                 "_entries", "__weakref__")

    def __init__(self) -> None:
        self._token = sardonyx.RunOptions()
        self._log_severity_level, self._log_verbosity_level, self._logid = -1, 0, ""
        self._only_execute_path_to_fetches, self._entries = False, {}

    __init__ = native(__init__)

    log_severity_level = field("log_severity_level", "int", "Kept; see SessionOptions.")
    log_verbosity_level = field("log_verbosity_level", "int", "Kept.")
    logid = field("logid", "str", "Kept.")
    only_execute_path_to_fetches = field("only_execute_path_to_fetches", "bool",
                                           "Kept; nothing else is ever executed.")
    _terminate = property(lambda self: self._token.terminate,
                          lambda self, value: setattr(self._token, "terminate", value))
    terminate = field("terminate", "bool", "True ends the runs in progress that were given these options, and "
                        "refuses new ones.")

    @native
    def add_run_config_entry(self, arg0: "str", arg1: "str") -> None:
        """Sets a named option."""
        self._add_entry(arg0, arg1)

    @native
    def get_run_config_entry(self, arg0: "str") -> "str":
        """The value that was set for a name."""
        return self._get_entry(arg0)

    @native
    def add_active_adapter(self, arg0: "LoraAdapter") -> None:
        """Refused: see LoraAdapter."""
        raise unavailable("Adapters of models", "Merge the adapter into the weights before the export.")

    def _check(self):
        """Refuses what the real module refuses when a run begins."""
        shrink = self._entries.get("memory.enable_memory_arena_shrinkage", "")
        for device in filter(None, shrink.split(";")):
            name, _, number = device.partition(":")
            if name != "cpu" or not number.isdigit():
                raise error("InvalidArgument",
                            f"Unsupported device specified in the memory arena shrink list: {device}")


@exported
class OrtArenaCfg:
    """Configuration of an arena; kept, Sardonyx plans its memory."""

    _FIELDS = ("max_mem", "arena_extend_strategy", "initial_chunk_size_bytes", "max_dead_bytes_per_chunk",
               "initial_growth_chunk_size_bytes", "max_power_of_two_extend_bytes")
    __slots__ = tuple("_" + name for name in _FIELDS)

    def _of_numbers(self, arg0: "size", arg1: "int", arg2: "int", arg3: "int") -> None:
        for name, value in zip(self._FIELDS, (arg0, arg1, arg2, arg3, -1, -1)):
            setattr(self, "_" + name, int(value))

    def _of_dict(self, arg0: "dict") -> None:
        for name in self._FIELDS:
            setattr(self, "_" + name, 0 if name == "max_mem" else -1)
        for name, value in arg0.items():
            if name not in self._FIELDS:
                raise RuntimeError(f"Invalid OrtArenaCfg option: {name}")
            setattr(self, "_" + name, int(value))

    __init__ = native(_of_numbers, _of_dict)

    max_mem = field("max_mem", "size", "")
    arena_extend_strategy = field("arena_extend_strategy", "int", "")
    initial_chunk_size_bytes = field("initial_chunk_size_bytes", "int", "")
    max_dead_bytes_per_chunk = field("max_dead_bytes_per_chunk", "int", "")
    initial_growth_chunk_size_bytes = field("initial_growth_chunk_size_bytes", "int", "")
    max_power_of_two_extend_bytes = field("max_power_of_two_extend_bytes", "size", "")
