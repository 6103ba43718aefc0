# SPDX-License-Identifier: Apache-2.0
"""Sessions and what they tell about a model, over sardonyx.InferenceSession.

What sardonyx fixes when it loads and the real module leaves open (initializers that are inputs, too; dimensions by
denotation; other values for initializers) is done on the bytes of the model before they are loaded: _model.py.
Read next: _binding.py, _profile.py.
"""
import os
import threading

import numpy as np
import sardonyx

from . import _config, _log
from ._devices import CPU_MEMORY, KNOWN_PROVIDERS, PROVIDERS, devices
from ._errors import OURS, error, loading, of_run, words_of
from ._model import Model, write_whole
from ._native import Opaque, exported, native, reading
from ._profile import Profile
from ._values import OrtValue, OrtValueVector, allocate, element_type_of, of_number

_NO_VERSION = 2**63 - 1
_ASSIGNMENT_KEY = "session.record_ep_graph_assignment_info"


@exported
class NodeArg(Opaque):
    """An input or output of a model."""

    __slots__ = ("_name", "_type", "_shape")
    name = reading("name", "Its name")
    type = reading("type", 'Its type in ONNX\'s notation: "tensor(float)"')
    shape = reading("shape", "A list: an int, the name of a free dimension, or None for each dimension")

    @native
    def __str__(self) -> "str":
        """name, type and shape"""
        return f"NodeArg(name='{self._name}', type='{self._type}', shape={self._shape})"


@exported
class ModelMetadata(Opaque):
    """What a model says about itself."""

    __slots__ = ("producer_name", "graph_name", "domain", "description", "graph_description", "version",
                 "custom_metadata_map")

    @classmethod
    def _of(cls, session, version):
        made, source = object.__new__(cls), session.get_modelmeta()
        for name in cls.__slots__:
            setattr(made, name, getattr(source, name))
        made.version = _NO_VERSION if version is None else made.version
        return made


@exported
class OrtEpAssignedNode(Opaque):
    """A node and where it is computed."""

    __slots__ = ("_name", "_domain", "_op_type")
    name = reading("name", "Name of the node")
    domain = reading("domain", "Domain of its operator")
    op_type = reading("op_type", "Its operator")


@exported
class OrtEpAssignedSubgraph(Opaque):
    """The nodes that a provider computes."""

    __slots__ = ("_ep_name", "_nodes")
    ep_name = reading("ep_name", "Name of the provider")

    @native
    def get_nodes(self) -> "list[OrtEpAssignedNode]":
        """The nodes."""
        return self._nodes


class _Logged(sardonyx.InferenceSession):
    """A session whose warnings are lines of the log."""

    def __init__(self, source, options, told):
        self._told = told
        super().__init__(source, options)

    def on_warning(self, text, stacklevel=2):
        for line in text.splitlines():
            _log.write(self._told, "Sardonyx", line)


def _tensor(items, kind):
    """A list of numbers as the array that an input of this kind takes."""
    try:
        return np.array(items, sardonyx.ELEMENT_TYPES[kind[len("tensor("):-1]][1])
    except (ValueError, TypeError):
        raise RuntimeError("Could not create tensor from given input list") from None


def _tensors(name, items, element_type):
    """The items of a sequence, or the real module's refusal."""
    if not isinstance(items, list):
        first = type(next(iter(items))) if isinstance(items, (tuple, str)) and items else type(items)
        raise RuntimeError(f"Iterable of {first} should be given as array for input '{name}'.")
    if not all(isinstance(item, np.ndarray) for item in items):
        raise RuntimeError("CreateSequenceOfTensors: Input is not a tensor")
    if any(element_type_of(item) != element_type for item in items):
        raise RuntimeError("TensorSeq: tensor to be added has a different data type.")
    return items


def _args(values):
    return [NodeArg._made(name=v.name, type=v.type, shape=v.shape) for v in values]


@exported
class InferenceSession:
    """A model that is loaded by initialize_session."""

    __slots__ = ("_options", "_model", "_session", "_types", "_plain", "_output_names", "_inputs", "_outputs", "_meta",
                 "_overridable", "_variants", "_profile", "__weakref__")

    def __init__(self, arg0: "SessionOptions", arg1: "model", arg2: "bool", arg3: "bool") -> None:
        if isinstance(arg1, str) != arg2:
            raise TypeError(f"a model is {'the name of a file' if arg2 else 'bytes'}, not {type(arg1)}")
        if arg2 and (arg1.endswith(".ort") or arg0._entries.get("session.load_model_format") == "ORT"):
            raise error("Fail", "ORT model verification failed. Sardonyx reads ONNX files: take the one that "
                        f"{os.path.basename(arg1)} was made of.")
        if arg2 and not os.path.exists(arg1):
            raise error("NoSuchFile", f"Load model from {arg1} failed:Load model {arg1} failed. File doesn't exist")
        self._model, self._variants, self._overridable = Model(arg1), {}, None
        config = self._model.metadata(_config.KEY) if arg3 else None
        self._options = config and _config.options_of(config) or arg0._copy()

    __init__ = native(__init__)

    @native
    def initialize_session(self, arg0: "Sequence[str]", arg1: "Sequence[Mapping[str, str]]", arg2: "Set[str]") -> None:
        """Loads the model: providers, their options, optimizers to leave out (those of Sardonyx have other names:
        the option sardonyx.disable_passes)."""
        for provider in arg0:
            if provider not in KNOWN_PROVIDERS:
                raise RuntimeError(f"Unknown Provider Type: {provider}")
        if not -1 <= self._options.log_severity_level <= 4:
            raise RuntimeError("Invalid session log severity level. Not a valid onnxruntime::logging::Severity value: "
                               f"{self._options.log_severity_level}")
        if self._options._cancelled:
            raise error("ModelLoadCanceled", "Graph loading canceled due to user request.")
        self._profile = Profile(self._options, self._model.is_file)
        source = self._model.edited(self._options)
        self._session = self._load(source)
        if self._options.optimized_model_filepath:
            write_whole(self._options.optimized_model_filepath, source)
        self._profile.loaded()
        self._inputs, self._outputs = _args(self._session.get_inputs()), _args(self._session.get_outputs())
        self._types = {v.name: v.type for v in self._inputs}
        self._plain = {name for name, of_type in self._types.items()
                       if of_type.startswith("tensor(") and "string" not in of_type}
        self._output_names = [v.name for v in self._outputs]
        self._meta = ModelMetadata._of(self._session, self._model.version())

    def _load(self, source):
        options = self._options._translated()
        free = self._model.dimensions() if self._options._dims else ()
        for name, size in self._options._dims.items():
            if name in free:  # others are ignored, as the real module does
                options.add_free_dimension_override_by_name(name, size)
        if self._model.is_file and isinstance(source, bytes) and not self._options._external_data_folder():
            options.add_session_config_entry("sardonyx.external_data_dir", self._model.folder)
        with loading(self._model):
            return _Logged(source, options, self._options)

    session_options = property(lambda self: self._options, None, None, "SessionOptions")
    inputs_meta = property(lambda self: self._inputs, None, None, "[NodeArg]")
    outputs_meta = property(lambda self: self._outputs, None, None, "[NodeArg]")
    model_meta = property(lambda self: self._meta, None, None, "ModelMetadata")
    input_meminfos = property(lambda self: [CPU_MEMORY] * len(self._inputs), None, None, "[OrtMemoryInfo]")
    output_meminfos = property(lambda self: [CPU_MEMORY] * len(self._outputs), None, None, "[OrtMemoryInfo]")
    input_epdevices = property(lambda self: devices(sardonyx.__version__) * len(self._inputs), None, None,
                               "[OrtEpDevice]")
    get_profiling_start_time_ns = property(lambda self: self._profile.start_ns, None, None,
                                           "When profiling began, as time.monotonic_ns")

    @property
    def overridable_initializers(self):
        """[NodeArg]: initializers that are inputs, too."""
        if self._overridable is None:
            names = self._model.overridable()
            inputs = _args(self._variant(names).get_inputs()) if names else []
            self._overridable = [value for value in inputs if value.name in names]
        return self._overridable

    def _variant(self, names):
        """The session in which these initializers are inputs."""
        names = frozenset(names)
        if names not in self._variants:
            self._variants[names] = self._load(self._model.without(names, self._options))
        return self._variants[names]

    @native
    def get_providers(self) -> "list[str]":
        """Names of the providers in use."""
        return list(PROVIDERS)

    @native
    def get_provider_options(self) -> "dict[str, dict[str, str]]":
        """Their options."""
        return {name: {} for name in PROVIDERS}

    @native
    def get_provider_graph_assignment_info(self) -> "list[OrtEpAssignedSubgraph]":
        """Which nodes which provider computes."""
        if self._options._entries.get(_ASSIGNMENT_KEY) != "1":
            raise error("Fail", f"Session configuration entry '{_ASSIGNMENT_KEY}' must be set to \"1\" to retrieve EP "
                        "graph assignment information.")
        nodes = [OrtEpAssignedNode._made(name=n["name"], domain="" if n["domain"] == "ai.onnx" else n["domain"],
                                         op_type=n["op"])
                 for n in self._session.describe("graph")["graphs"][0]["nodes"]]
        return [OrtEpAssignedSubgraph._made(ep_name=PROVIDERS[0], nodes=nodes)]

    @native
    def end_profiling(self) -> "str":
        """Writes the trace of the runs; the name of its file, "" if none was recorded."""
        return self._profile.write(self._session)

    @native
    def get_tuning_results(self) -> "list":
        """[]: there is nothing to tune."""
        return []

    @native
    def set_tuning_results(self, arg0: "list", arg1: "bool") -> None:
        """Ignored: there is nothing to tune."""

    @native
    def set_ep_dynamic_options(self, arg0: "dict") -> None:
        """Ignored: the provider has none."""
        if not arg0:
            raise RuntimeError("No options were provided")

    @native
    def is_webgpu_graph_capture_enabled(self) -> "bool":
        """False"""
        return False

    @native
    def webgpu_context_id(self) -> "int":
        """-1: there is none."""
        return -1

    @native
    def release_captured_graph(self, arg0: "int") -> None:
        """Nothing to release."""

    @native
    def create_ortvalue_from_shape_and_type(self, arg0: "Sequence[int]", arg1: "object",
                                            arg2: "OrtDevice") -> "OrtValue":
        """A tensor of zeros: shape, numpy type, device."""
        self._check_device(arg2)
        return OrtValue.ortvalue_from_shape_and_type(arg0, arg1, arg2)

    @native
    def create_ortvalue_from_shape_and_onnx_type(self, arg0: "Sequence[int]", arg1: "int",
                                                 arg2: "OrtDevice") -> "OrtValue":
        """A tensor of zeros: shape, ONNX's number of the element type, device."""
        self._check_device(arg2)
        name, dtype = of_number(arg1)
        return OrtValue._of(allocate(arg0, dtype), f"tensor({name})")

    @staticmethod
    def _check_device(device):
        if device.device_type():
            raise RuntimeError(f"No session allocator found for Device:[DeviceType:{device.device_type()} "
                               f"MemoryType:{device.mem_type()} VendorId:{device.vendor_id()} "
                               f"DeviceId:{device.device_id()} Alignment:0]")

    @native
    def run(self, arg0: "Sequence[str]", arg1: "Mapping[str, object]", arg2: "RunOptions | None") -> "list":
        """output names, {input name: value}, options"""
        return self._run(arg0, arg1, arg2)

    def _run(self, names, feed, options):
        token = None
        if options is not None:
            token = options._token
            options._check()
        session, types, plain = self._session, self._types, self._plain
        for name, value in feed.items():
            if type(value) is not np.ndarray or name not in plain:
                feed = {name: self._fed(name, value) for name, value in feed.items()}
                break
        overridden = [name for name in feed if name not in types] if len(feed) > len(types) else ()
        if overridden and all(name in [v.name for v in self.overridable_initializers] for name in overridden):
            session = self._variant(overridden)
        begin = self._profile.now()
        try:
            results = session.run(names, feed, token)
        except OURS as failure:
            for value in feed.values():
                if isinstance(value, np.ndarray) and value.dtype.kind in "cmM":
                    raise RuntimeError(f"Numpy_type {value.dtype.num} can't be converted to MLDataType.") from None
            raise of_run(failure) from None
        self._profile.ran(begin)
        return results

    def _fed(self, name, value):
        """What sardonyx takes for an input, or the real module's refusal."""
        kind = self._types.get(name, "tensor")
        value = value._ortvalue._data if hasattr(value, "_ortvalue") else value
        if kind.startswith("optional("):
            kind = kind[len("optional("):-1]
            if value is None:
                return None
        if isinstance(value, np.ndarray):
            if kind.startswith("seq("):
                raise error("InvalidArgument", f"input with name: '{name}' expected to be of type: 3 but received a "
                            "tensor")
            if kind == "tensor(string)" and value.dtype == object:
                return np.array([v if isinstance(v, (str, bytes)) else str(v) for v in value.flat],
                                object).reshape(value.shape)
            return value
        if kind.startswith("seq(tensor(") and value is not None:
            return _tensors(name, value, kind[len("seq(tensor("):-2])
        if isinstance(value, list) and name in self._plain:
            return _tensor(value, kind)
        if isinstance(value, list) or not kind.startswith(("tensor", "seq(tensor(")):
            return value
        if value is None:
            raise error("Fail", f"Missing Input: {name}")
        if isinstance(value, (str, bytes, tuple)):
            raise RuntimeError(f"Input must be a list of dictionaries or a single numpy array for input '{name}'.")
        if value == {}:
            raise RuntimeError("Size of dictionary is empty, unable to run the prediction.")
        raise RuntimeError(f"Unable to handle object of type {type(value)}")

    def _values(self, names, feed, options):
        """Like _run, with OrtValue in and out."""
        results = self._run(list(names), {name: value._data for name, value in feed.items()}, options)
        types = {v.name: v.type for v in self._outputs}
        return [OrtValue._of(result, types[name]) for name, result in zip(names, results)]

    @native
    def run_with_ort_values(self, arg0: "dict", arg1: "Sequence[str]",
                            arg2: "RunOptions | None") -> "OrtValueVector":
        """{input name: OrtValue}, output names, options"""
        results = OrtValueVector()
        for value in self._values(arg1, arg0, arg2):
            results.push_back(value)
        return results

    @native
    def run_with_ortvaluevector(self, arg0: "RunOptions", arg1: "Sequence[str]", arg2: "OrtValueVector",
                                arg3: "Sequence[str]", arg4: "OrtValueVector", arg5: "Sequence[OrtDevice]") -> None:
        """options, input names, inputs, output names, outputs, their devices"""
        results = self._values(arg3, dict(zip(arg1, arg2)), arg0)
        for at, value in enumerate(results):
            if at < len(arg4):
                arg4[at].update_inplace(value)
            else:
                arg4.push_back(value)

    @native
    def run_async(self: "object", arg0: "Sequence[str]", arg1: "Mapping[str, object]",
                  arg2: "Callable[[Sequence[object], object, str], None]", arg3: "object", arg4: "object") -> None:
        """output names, {input name: value}, callback, what to give it, options"""
        if self._options.intra_op_num_threads == 1:
            raise error("InvalidArgument", "intra op thread pool must have at least one thread for RunAsync")
        feed = {name: self._fed(name, value) for name, value in arg1.items()}

        def work():
            try:
                results, text = self._run(arg0, feed, arg4), ""
            except Exception as failure:  # handed to the caller, whatever it is
                results, text = [], words_of(failure)
            arg2(results, arg3, text)

        threading.Thread(target=work, daemon=True).start()

    @native
    def run_with_iobinding(self, arg0: "SessionIOBinding", arg1: "RunOptions | None") -> None:
        """what is bound, options"""
        arg0._execute(arg1)
