# SPDX-License-Identifier: Apache-2.0
"""The classes that programs use: InferenceSession, IOBinding, OrtValue, OrtDevice, SparseTensor and what belongs to
them. Each wraps the class of onnxruntime_pybind11_state that does the work, as in the real package, so that programs
which reach below (session._sess, value._ortvalue) find there what they look for."""
from __future__ import annotations

import collections.abc
import os
import typing
import warnings
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from sardonyx._phrases import phrase

from onnxruntime.capi import _pybind_state as C
from onnxruntime.capi._compiling import AdapterFormat, GetInitializerLocationFunc, ModelCompiler

if typing.TYPE_CHECKING:
    import numpy.typing as npt


def get_ort_device_type(device_type: str) -> int:
    """The number of a kind of device."""
    if device_type not in ("cuda", "cann", "cpu", "dml", "webgpu", "gpu", "npu"):
        raise Exception("Unsupported device type: " + device_type)
    return getattr(C.OrtDevice, device_type)()


class OrtDeviceVendorId(IntEnum):
    """Numbers of vendors on the PCI bus."""

    NONE = 0x0000
    AMD = 0x1002
    NVIDIA = 0x10DE
    ARM = 0x13B5
    MICROSOFT = 0x1414
    HUAWEI = 0x19E5
    QUALCOMM = 0x5143
    INTEL = 0x8086


_VENDOR_OF = {"cuda": OrtDeviceVendorId.NVIDIA, "dml": OrtDeviceVendorId.MICROSOFT, "cann": OrtDeviceVendorId.HUAWEI,
              "webgpu": OrtDeviceVendorId.NONE}


def get_vendor_id_for_device_type(device_type: str) -> OrtDeviceVendorId | None:
    """Who makes devices of a kind, if there is only one."""
    return _VENDOR_OF.get(device_type)


def _pairs(providers, provider_options):
    """(name, options) of each provider that was asked for."""
    if provider_options is None:
        for provider in providers:
            if isinstance(provider, str):
                yield provider, {}
            elif isinstance(provider, tuple) and len(provider) == 2 and isinstance(provider[0], str) and \
                    isinstance(provider[1], dict):
                yield provider
            else:
                raise ValueError("'providers' values must be either strings or (string, dict) tuples.")
        return
    if not isinstance(provider_options, collections.abc.Sequence):
        raise ValueError("'provider_options' should be a sequence.")
    if len(providers) != len(provider_options):
        raise ValueError("'providers' and 'provider_options' should be the same length if both are given.")
    if not all(isinstance(provider, str) for provider in providers):
        raise ValueError("Only string values for 'providers' are supported if 'provider_options' is given.")
    if not all(isinstance(options, dict) for options in provider_options):
        raise ValueError("'provider_options' values must be dicts.")
    yield from zip(providers, provider_options)


def check_and_normalize_provider_args(
    providers: Sequence[str | tuple[str, dict[Any, Any]]] | None,
    provider_options: Sequence[dict[Any, Any]] | None,
    available_provider_names: Sequence[str],
):
    """(names, their options as texts) of what was asked for; warns of unknown and repeated ones."""
    if providers is None:
        return [], []
    iter(providers)
    if not isinstance(providers, collections.abc.Sequence):
        raise ValueError("'providers' should be a sequence.")
    found = {}
    for name, options in _pairs(providers, provider_options):
        if name not in available_provider_names:
            available = ", ".join(available_provider_names)
            warnings.warn(f"Specified provider '{name}' is not in available provider names."
                          f"Available providers: '{available}'", stacklevel=5)
        if name in found:
            warnings.warn(f"Duplicate provider '{name}' encountered, ignoring.", stacklevel=5)
        else:
            found[name] = {str(key): str(value) for key, value in options.items()}
    return list(found), list(found.values())


class Session:
    """A model that can be run; InferenceSession loads it."""

    def __init__(self, enable_fallback: bool = True):
        self._sess = None
        self._enable_fallback = enable_fallback

    def get_session_options(self) -> C.SessionOptions:
        """SessionOptions it was loaded with."""
        return self._sess_options

    def get_inputs(self) -> Sequence[C.NodeArg]:
        """Inputs a run needs, a list of NodeArg."""
        return self._inputs_meta

    def get_outputs(self) -> Sequence[C.NodeArg]:
        """Outputs, a list of NodeArg."""
        return self._outputs_meta

    def get_overridable_initializers(self) -> Sequence[C.NodeArg]:
        """Inputs with a value of their own, a list of NodeArg."""
        return self._sess.overridable_initializers

    def get_modelmeta(self) -> C.ModelMetadata:
        """ModelMetadata."""
        return self._model_meta

    def get_input_memory_infos(self) -> Sequence[C.OrtMemoryInfo]:
        """Where each input is wanted."""
        return self._sess.input_meminfos

    def get_output_memory_infos(self) -> Sequence[C.OrtMemoryInfo]:
        """Where each output comes."""
        return self._sess.output_meminfos

    def get_input_epdevices(self) -> Sequence[C.OrtEpDevice]:
        """The device that each input is wanted on."""
        return self._sess.input_epdevices

    def get_providers(self) -> Sequence[str]:
        """Names of the providers in use."""
        return self._providers

    def get_provider_options(self):
        """{provider: its options}"""
        return self._provider_options

    def get_provider_graph_assignment_info(self) -> Sequence[C.OrtEpAssignedSubgraph]:
        """Which nodes which provider computes; wants session.record_ep_graph_assignment_info to be "1"."""
        return self._sess.get_provider_graph_assignment_info()

    def set_providers(self, providers=None, provider_options=None) -> None:
        """Loads the model again with other providers."""
        self._sess_options = self._sess_options_initial
        self._create_inference_session(providers, provider_options)

    def disable_fallback(self) -> None:
        """A provider's failure is not answered by other providers any more."""
        self._enable_fallback = False

    def enable_fallback(self) -> None:
        """A provider's failure is answered by the providers to fall back to."""
        self._enable_fallback = True

    def _validate_input(self, feed_input_names):
        missing = [v.name for v in self._inputs_meta
                   if v.name not in feed_input_names and not v.type.startswith("optional")]
        if missing:
            raise ValueError(phrase("missing-input", missing=missing, fed=feed_input_names))

    def run(self, output_names, input_feed, run_options=None) -> Sequence[np.ndarray | C.SparseTensor | list | dict]:
        """Computes outputs: names (None or [] for all), {input name: array}, RunOptions. A list in their order."""
        self._validate_input(list(input_feed.keys()))
        return self._sess.run(output_names or self._output_names, input_feed, run_options)

    def run_async(self, output_names, input_feed, callback, user_data, run_options=None):
        """Like run, on another thread; then callback(results, user_data, error message)."""
        self._validate_input(list(input_feed.keys()))
        self._sess.run_async(output_names or self._output_names, input_feed, callback, user_data, run_options)

    def run_with_ort_values(self, output_names, input_dict_ort_values, run_options=None) -> Sequence[OrtValue]:
        """Like run, with OrtValue in and out."""
        self._validate_input(list(input_dict_ort_values.keys()))
        feed = {name: value._get_c_value() for name, value in input_dict_ort_values.items()}
        results = self._sess.run_with_ort_values(feed, output_names or self._output_names, run_options)
        return [OrtValue(value) for value in results]

    def end_profiling(self):
        """Writes the trace of the runs; the name of its file."""
        return self._sess.end_profiling()

    def get_profiling_start_time_ns(self):
        """When profiling began, as time.monotonic_ns."""
        return self._sess.get_profiling_start_time_ns

    def io_binding(self) -> IOBinding:
        """An IOBinding for this session."""
        return IOBinding(self)

    def create_ortvalue_from_shape_and_type(
        self,
        shape: Sequence[int],
        element_type,
        device_type: str,
        device_id: int = 0,
        vendor_id: int | OrtDeviceVendorId = -1,
    ) -> OrtValue:
        """A tensor of zeros: shape, numpy type or ONNX's number of one, device."""
        device = OrtDevice.make(device_type, device_id, vendor_id)._get_c_device()
        create = self._sess.create_ortvalue_from_shape_and_onnx_type if isinstance(element_type, int) else \
            self._sess.create_ortvalue_from_shape_and_type
        return OrtValue(create(shape, element_type, device), session=self._sess)

    def release_captured_graph(self, graph_annotation_id: int = 0) -> None:
        """Nothing to release: graphs are not captured."""
        self._sess.release_captured_graph(graph_annotation_id)

    def run_with_iobinding(self, iobinding, run_options=None):
        """Computes what is bound."""
        if iobinding._session is not self._sess:
            raise ValueError("IOBinding must be used with the session that created it.")
        self._sess.run_with_iobinding(iobinding._iobinding, run_options)

    def set_ep_dynamic_options(self, options: dict[str, str]):
        """Ignored: the provider has none."""
        self._sess.set_ep_dynamic_options(options)

    def get_tuning_results(self):
        """[]: there is nothing to tune."""
        return self._sess.get_tuning_results()

    def set_tuning_results(self, results, *, error_on_invalid=False):
        """Ignored: there is nothing to tune."""
        return self._sess.set_tuning_results(results, error_on_invalid)

    def run_with_ortvaluevector(self, run_options, feed_names, feeds, fetch_names, fetches, fetch_devices):
        """Like run, with OrtValueVector in and out."""
        self._sess.run_with_ortvaluevector(run_options, feed_names, feeds, fetch_names, fetches, fetch_devices)


class InferenceSession(Session):
    """A loaded model; threads may share one."""

    def __init__(
        self,
        path_or_bytes: str | bytes | os.PathLike,
        sess_options: C.SessionOptions | None = None,
        providers: Sequence[str | tuple[str, dict[Any, Any]]] | None = None,
        provider_options: Sequence[dict[Any, Any]] | None = None,
        **kwargs,
    ) -> None:
        """
        path_or_bytes: name of a file, or its content.
        sess_options: SessionOptions.
        providers, provider_options: names, or (name, options), or names and options apart.
        kwargs: enable_fallback, disabled_optimizers, read_config_from_model.
        """
        super().__init__(enable_fallback=int(kwargs.get("enable_fallback", 1)) == 1)
        if not isinstance(path_or_bytes, (str, bytes, os.PathLike)):
            raise TypeError(f"Unable to load from type '{type(path_or_bytes)}'")
        is_bytes = isinstance(path_or_bytes, bytes)
        self._model_path = None if is_bytes else os.fspath(path_or_bytes)
        self._model_bytes = path_or_bytes if is_bytes else None
        self._sess_options = self._sess_options_initial = sess_options
        self._read_config_from_model = (int(kwargs.get("read_config_from_model", 1)) == 1 and
                                        os.environ.get("ORT_LOAD_CONFIG_FROM_MODEL") == "1")
        self._fallback_providers = ["CPUExecutionProvider"]
        try:
            self._create_inference_session(providers, provider_options, kwargs.get("disabled_optimizers"))
        except (ValueError, RuntimeError) as failure:
            if not self._enable_fallback:
                raise
            print("*************** EP Error ***************")
            print(f"EP Error {failure} when using {providers}")
            print(f"Falling back to {self._fallback_providers} and retrying.")
            print("****************************************")
            self._create_inference_session(self._fallback_providers, None)
            self.disable_fallback()

    def _create_inference_session(self, providers, provider_options, disabled_optimizers=None):
        providers, provider_options = check_and_normalize_provider_args(providers, provider_options,
                                                                        C.get_available_providers())
        if self._sess_options is not None and (providers or provider_options) and self._sess_options.has_providers():
            warnings.warn("Specified 'providers'/'provider_options' when creating InferenceSession but SessionOptions "
                          "has already been configured with providers. InferenceSession will only use the providers "
                          "passed to InferenceSession().", stacklevel=4)
        options = self._sess_options or C.get_default_session_options()
        if self._model_path:
            sess = C.InferenceSession(options, self._model_path, True, self._read_config_from_model)
        else:
            sess = C.InferenceSession(options, self._model_bytes, False, self._read_config_from_model)
        sess.initialize_session(providers, provider_options, set(disabled_optimizers or ()))
        self._bind_session(sess)

    def _bind_session(self, sess):
        self._sess = sess
        self._sess_options = sess.session_options
        self._inputs_meta, self._outputs_meta = sess.inputs_meta, sess.outputs_meta
        self._output_names = [v.name for v in self._outputs_meta]
        self._model_meta = sess.model_meta
        self._providers, self._provider_options = sess.get_providers(), sess.get_provider_options()


class IOBinding:
    """Inputs and outputs that stay bound from run to run."""

    def __init__(self, session: Session):
        self._session = session._sess
        self._iobinding = C.SessionIOBinding(session._sess)

    def bind_cpu_input(self, name, arr_on_cpu):
        """An array as input; it is read when the session runs."""
        self._iobinding.bind_input(name, arr_on_cpu)

    def bind_input(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        """Memory at an address as input."""
        device = OrtDevice.make(device_type, device_id)._get_c_device()
        self._iobinding.bind_input(name, device, element_type, shape, buffer_ptr)

    def bind_ortvalue_input(self, name, ortvalue):
        """An OrtValue as input."""
        self._iobinding.bind_ortvalue_input(name, ortvalue._ortvalue)

    def synchronize_inputs(self):
        """Nothing to wait for."""
        self._iobinding.synchronize_inputs()

    def bind_output(
        self,
        name,
        device_type="cpu",
        device_id=0,
        element_type=None,
        shape=None,
        buffer_ptr=None,
    ):
        """An output, in memory of its own or at an address."""
        if buffer_ptr is not None and (element_type is None or shape is None):
            raise ValueError("`element_type` and `shape` are to be provided if pre-allocated memory is provided")
        device = OrtDevice.make(device_type, device_id)._get_c_device()
        if buffer_ptr is None:
            self._iobinding.bind_output(name, device)
        else:
            self._iobinding.bind_output(name, device, element_type, shape, buffer_ptr)

    def bind_ortvalue_output(self, name, ortvalue):
        """The OrtValue that an output is written into."""
        self._iobinding.bind_ortvalue_output(name, ortvalue._ortvalue)

    def synchronize_outputs(self):
        """Nothing to wait for."""
        self._iobinding.synchronize_outputs()

    def get_outputs(self):
        """Results of the last run, a list of OrtValue."""
        return [OrtValue(value) for value in self._iobinding.get_outputs()]

    def get_outputs_as_ortvaluevector(self):
        """Results of the last run."""
        return self._iobinding.get_outputs()

    def copy_outputs_to_cpu(self):
        """Results of the last run as arrays."""
        return self._iobinding.copy_outputs_to_cpu()

    def clear_binding_inputs(self):
        """Lets go of the inputs."""
        self._iobinding.clear_binding_inputs()

    def clear_binding_outputs(self):
        """Lets go of the outputs."""
        self._iobinding.clear_binding_outputs()


def _of_class(given, wanted):
    """Refuses what is not of a class of the module below."""
    if not isinstance(given, wanted):
        name = "Provided ortvalue" if wanted is C.OrtValue else "Provided object"
        raise ValueError(f"`{name}` needs to be of type `{wanted.__module__}.{wanted.__name__}`")
    return given


class OrtValue:
    """A tensor, sparse tensor, sequence or map."""

    def __init__(
        self,
        ortvalue: C.OrtValue,
        numpy_obj: np.ndarray | None = None,
        session: C.InferenceSession | None = None,
    ):
        self._ortvalue = _of_class(ortvalue, C.OrtValue)
        self._numpy_obj = numpy_obj
        self._session = session

    def _get_c_value(self) -> C.OrtValue:
        return self._ortvalue

    @classmethod
    def ortvalue_from_numpy(
        cls, numpy_obj: np.ndarray, /, device_type="cpu", device_id=0, vendor_id: int | OrtDeviceVendorId = -1
    ) -> OrtValue:
        """A tensor over an array's memory."""
        device = OrtDevice.make(device_type, device_id, vendor_id)._get_c_device()
        return cls(C.OrtValue.ortvalue_from_numpy(numpy_obj, device), numpy_obj)

    @classmethod
    def ortvalue_from_numpy_with_onnx_type(cls, data: np.ndarray, /, onnx_element_type: int) -> OrtValue:
        """A tensor over an array's memory, its elements taken as another type of their size (bfloat16 of uint16)."""
        return cls(C.OrtValue.ortvalue_from_numpy_with_onnx_type(data, onnx_element_type), data)

    @classmethod
    def ortvalue_from_shape_and_type(
        cls,
        shape: Sequence[int],
        element_type,
        device_type: str = "cpu",
        device_id: int = 0,
        vendor_id: int | OrtDeviceVendorId = -1,
        memory_info: C.OrtMemoryInfo | None = None,
    ) -> OrtValue:
        """A tensor of zeros: shape, numpy type or ONNX's number of one."""
        by = "onnx_type" if isinstance(element_type, int) else "type"
        if memory_info is None:
            device = OrtDevice.make(device_type, device_id, vendor_id)._get_c_device()
            return cls(getattr(C.OrtValue, f"ortvalue_from_shape_and_{by}")(shape, element_type, device))
        if device_type != "cpu" or device_id != 0 or vendor_id != -1:
            warnings.warn("device_type, device_id, and vendor_id are ignored when memory_info is provided.",
                          stacklevel=2)
        create = getattr(C.OrtValue, f"ortvalue_from_shape_and_{by}_for_memory_info")
        return cls(create(shape, element_type, memory_info))

    @classmethod
    def ort_value_from_sparse_tensor(cls, sparse_tensor: SparseTensor) -> OrtValue:
        """The value that holds a sparse tensor."""
        return cls(C.OrtValue.ort_value_from_sparse_tensor(sparse_tensor._get_c_tensor()))

    def as_sparse_tensor(self) -> SparseTensor:
        """The sparse tensor it holds."""
        return SparseTensor(self._ortvalue.as_sparse_tensor())

    def data_ptr(self) -> int:
        """Address of the first element."""
        return self._ortvalue.data_ptr()

    def device_name(self) -> str:
        """'cpu'"""
        return self._ortvalue.device_name().lower()

    def shape(self) -> Sequence[int]:
        """The dimensions."""
        return self._ortvalue.shape()

    def data_type(self) -> str:
        """The type in ONNX's notation: 'tensor(int64)'."""
        return self._ortvalue.data_type()

    def element_type(self) -> int:
        """ONNX's number of the element type."""
        return self._ortvalue.element_type()

    def tensor_size_in_bytes(self) -> int:
        """Bytes of the elements."""
        return self._ortvalue.tensor_size_in_bytes()

    def has_value(self) -> bool:
        """False for an optional that is empty."""
        return self._ortvalue.has_value()

    def is_tensor(self) -> bool:
        """Whether it is a tensor."""
        return self._ortvalue.is_tensor()

    def is_sparse_tensor(self) -> bool:
        """Whether it is a sparse tensor."""
        return self._ortvalue.is_sparse_tensor()

    def is_tensor_sequence(self) -> bool:
        """Whether it is a sequence of tensors."""
        return self._ortvalue.is_tensor_sequence()

    def numpy(self) -> np.ndarray:
        """The tensor as an array, over the same memory."""
        return self._ortvalue.numpy()

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        array = self.numpy()
        if copy is not None:
            return np.array(array, dtype=dtype, copy=copy)
        return np.asarray(array, dtype=dtype)

    def __dlpack__(self, *, stream=None):
        """A DLPack capsule over the tensor's memory."""
        return self._ortvalue.__dlpack__(stream=stream)

    def __dlpack_device__(self) -> tuple[int, int]:
        """(kind of device, its number) as DLPack has them."""
        return self._ortvalue.__dlpack_device__()

    @classmethod
    def from_dlpack(cls, data, /) -> OrtValue:
        """A tensor over the memory of another library's tensor, or of a DLPack capsule."""
        return cls(C.OrtValue.from_dlpack(data.__dlpack__() if hasattr(data, "__dlpack__") else data))

    def update_inplace(self, data) -> None:
        """Writes the elements of an array or of another OrtValue into this one."""
        if not isinstance(data, (np.ndarray, OrtValue)):
            raise TypeError("data must be a numpy.ndarray or an OrtValue.")
        self._ortvalue.update_inplace(data._ortvalue if isinstance(data, OrtValue) else data)


def copy_tensors(src: Sequence[OrtValue], dst: Sequence[OrtValue], stream=None) -> None:
    """Writes the elements of values into others."""
    C.copy_tensors([value._get_c_value() for value in src], [value._get_c_value() for value in dst], stream)


class OrtDevice:
    """A device: kind, number, vendor."""

    def __init__(self, c_ort_device):
        self._ort_device = _of_class(c_ort_device, C.OrtDevice)

    def _get_c_device(self):
        return self._ort_device

    @staticmethod
    def make(ort_device_name, device_id, vendor_id: int | OrtDeviceVendorId = -1):
        """The device of a kind ("cpu", "cuda", ...), number and vendor (-1: the one who makes them)."""
        kind, memory = get_ort_device_type(ort_device_name), C.OrtDevice.default_memory()
        if vendor_id < 0:
            vendor_id = get_vendor_id_for_device_type(ort_device_name)
        if vendor_id is None:
            return OrtDevice(C.OrtDevice(kind, memory, device_id))
        return OrtDevice(C.OrtDevice(kind, memory, int(vendor_id), device_id))

    def device_id(self):
        """Its number."""
        return self._ort_device.device_id()

    def device_type(self):
        """Its kind, a number."""
        return self._ort_device.device_type()

    def device_vendor_id(self):
        """Its vendor, a number."""
        return self._ort_device.vendor_id()

    def device_mem_type(self):
        """The kind of its memory, a number."""
        return self._ort_device.mem_type()


class SparseTensor:
    """A tensor of which only some elements are kept."""

    def __init__(self, sparse_tensor: C.SparseTensor):
        self._tensor = _of_class(sparse_tensor, C.SparseTensor)

    def _get_c_tensor(self) -> C.SparseTensor:
        return self._tensor

    @classmethod
    def sparse_coo_from_numpy(
        cls,
        dense_shape: npt.NDArray[np.int64],
        values: np.ndarray,
        coo_indices: npt.NDArray[np.int64],
        ort_device: OrtDevice,
    ) -> SparseTensor:
        """values: the elements that are kept; coo_indices: positions in the flat tensor, or [n, 2] of coordinates."""
        return cls(C.SparseTensor.sparse_coo_from_numpy(dense_shape, values, coo_indices, ort_device._get_c_device()))

    @classmethod
    def sparse_csr_from_numpy(
        cls,
        dense_shape: npt.NDArray[np.int64],
        values: np.ndarray,
        inner_indices: npt.NDArray[np.int64],
        outer_indices: npt.NDArray[np.int64],
        ort_device: OrtDevice,
    ) -> SparseTensor:
        """values: the elements that are kept; their columns; where each row begins, and the end."""
        return cls(C.SparseTensor.sparse_csr_from_numpy(dense_shape, values, inner_indices, outer_indices,
                                                        ort_device._get_c_device()))

    def values(self) -> np.ndarray:
        """The elements that are kept."""
        return self._tensor.values()

    def as_coo_view(self):
        """Its indices() tell where the elements are."""
        return self._tensor.get_coo_data()

    def as_csrc_view(self):
        """Its inner() and outer() tell where the elements are."""
        return self._tensor.get_csrc_data()

    def as_blocksparse_view(self):
        """Its indices() tell where the blocks are."""
        return self._tensor.get_blocksparse_data()

    def to_cuda(self, ort_device):
        """Refused: there is no such device."""
        return SparseTensor(self._tensor.to_cuda(ort_device._get_c_device()))

    def format(self):
        """OrtSparseFormat"""
        return self._tensor.format

    def dense_shape(self) -> npt.NDArray[np.int64]:
        """The dimensions."""
        return self._tensor.dense_shape()

    def data_type(self) -> str:
        """The type in ONNX's notation."""
        return self._tensor.data_type()

    def device_name(self) -> str:
        """'cpu'"""
        return self._tensor.device_name().lower()
