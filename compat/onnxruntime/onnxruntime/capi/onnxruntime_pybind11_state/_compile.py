# SPDX-License-Identifier: Apache-2.0
"""Classes that belong to parts of ONNX Runtime that Sardonyx does not have: adapters, model packages, compiled models
of other providers. They are there so that programs which name them can be imported; using them says what to do."""
import os
import pathlib

from ._enums import OrtCompileApiFlags
from ._errors import error, unavailable
from ._model import write_whole
from ._native import Opaque, exported, native, reading, setting
from ._session import InferenceSession

_PACKAGES = ("Model packages", "Sardonyx keeps models and versions in workspaces: `sardonyx workspace create`.")
_ADAPTERS = ("Adapters of models", "Merge the adapter into the weights before the export.")


@exported
class LoraAdapter:
    """A LoRA adapter; cannot be loaded."""

    __slots__ = ()

    def __init__(self) -> None:
        pass

    __init__ = native(__init__)

    @native
    def Load(self, arg0: "path") -> None:
        """Refused."""
        raise unavailable(*_ADAPTERS)


@exported
class AdapterFormat:
    """The file of an adapter; cannot be read or written."""

    __slots__ = ("_adapter_version", "_model_version", "_parameters")
    adapter_version = setting("adapter_version", "int", "Version of the adapter")
    model_version = setting("model_version", "int", "Version of the model it was made for")
    parameters = setting("parameters", "dict", "{name: OrtValue}")
    format_version = property(lambda self: 0, None, None, "Version of the file's format")

    def __init__(self) -> None:
        self._adapter_version, self._model_version, self._parameters = 0, 0, {}

    __init__ = native(__init__)

    @native
    def export_adapter(self, arg0: "path") -> None:
        """Refused."""
        raise unavailable(*_ADAPTERS)

    @staticmethod
    @native
    def read_adapter(arg0: "path") -> "AdapterFormat":
        """Refused."""
        raise unavailable(*_ADAPTERS)


@exported
class OrtExternalInitializerInfo:
    """Where an initializer lies: file, offset, bytes."""

    __slots__ = ("_filepath", "_file_offset", "_byte_size")
    filepath = reading("filepath", "Name of the file")
    file_offset = reading("file_offset", "Where its bytes begin")
    byte_size = reading("byte_size", "How many there are")

    def __init__(self, arg0: "path", arg1: "size", arg2: "size") -> None:
        self._filepath, self._file_offset, self._byte_size = arg0, int(arg1), int(arg2)

    __init__ = native(__init__)


@exported
class OrtEpContextData(Opaque):
    """Data of a provider's compiled model; none is ever made."""

    __slots__ = ("_size",)
    size = reading("size", "Bytes")

    @native
    def read(self, offset: "size" = 0, length: "size | None" = None) -> "bytes":
        """Bytes of it."""
        return b""


@exported
class OrtEpContextDataBuffer(Opaque):
    """Room for a provider's compiled model; none is ever made."""

    __slots__ = ("_size", "_max_size", "_is_allocated")
    size = reading("size", "Bytes")
    max_size = reading("max_size", "Bytes at most")
    is_allocated = reading("is_allocated", "Whether there is room")

    @native
    def allocate(self, size: "size") -> None:
        """Makes room."""

    @native
    def write(self, data: "buffer", offset: "size" = 0) -> None:
        """Writes bytes."""


@exported
class ModelPackage:
    """A package of models; cannot be made or opened."""

    __slots__ = ()

    def __init__(self) -> None:
        raise unavailable(*_PACKAGES)

    __init__ = native(__init__)

    @staticmethod
    @native
    def open(package_root: "path") -> "ModelPackage":
        """Refused."""
        raise unavailable(*_PACKAGES)


@exported
class ModelPackageOptions:
    """How to choose from a package; cannot be used."""

    __slots__ = ()

    def __init__(self, sess_options: "SessionOptions") -> None:
        raise unavailable(*_PACKAGES)

    __init__ = native(__init__)


@exported
class ModelPackageContext:
    """A package of models; cannot be opened."""

    __slots__ = ()

    def __init__(self, package_root: "path") -> None:
        raise unavailable(*_PACKAGES)

    __init__ = native(__init__)


@exported
class ModelPackageComponentContext(Opaque):
    """A model of a package; none is ever made."""

    __slots__ = ()


@exported
class ModelCompiler:
    """Writes a model that has been looked at: with the processor alone there is nothing to compile."""

    __slots__ = ("_options", "_model", "_is_file", "_flags")

    def __init__(self, arg0: "SessionOptions", arg1: "model", arg2: "bool", arg3: "bool", arg4: "str", arg5: "size",
                 arg6: "int", arg7: "GraphOptimizationLevel",
                 arg8: "Callable[[str, OrtValue, OrtExternalInitializerInfo], OrtExternalInitializerInfo]") -> None:
        self._options, self._model, self._is_file, self._flags = arg0, arg1, arg2, arg6
        if arg4 or arg8 is not None:
            raise unavailable("Initializers outside of a compiled model", "onnx.save_model puts them there.")

    __init__ = native(__init__)

    @native
    def compile_to_bytes(self) -> "bytes":
        """The model."""
        if self._is_file and not os.path.exists(self._model):
            raise error("InvalidArgument", f'Input model path does not exist: "{self._model}"')
        session = InferenceSession(self._options, self._model, self._is_file, False)
        session.initialize_session([], [], set())
        if self._flags & OrtCompileApiFlags.ERROR_IF_NO_NODES_COMPILED:
            raise error("Fail", "Unable to compile any nodes. Check that the session EPs support compilation and can "
                        "execute at least one subgraph in the model.")
        return pathlib.Path(self._model).read_bytes() if self._is_file else self._model

    @native
    def compile_to_file(self, arg0: "path | None") -> None:
        """Writes the model to a file."""
        if arg0 is None and not self._is_file:
            raise error("InvalidArgument", "Output model path was not specified, and the input model is no file")
        target = pathlib.Path(arg0 or self._model.removesuffix(".onnx") + "_ctx.onnx")
        if self._flags & OrtCompileApiFlags.ERROR_IF_OUTPUT_FILE_EXISTS and target.exists():
            raise error("Fail", f"Output file exists: {target}")
        write_whole(target, self.compile_to_bytes())

    @native
    def compile_to_stream(self, arg0: "Callable[[bytes], None]") -> None:
        """Gives the model to a function."""
        arg0(self.compile_to_bytes())

    @native
    def set_ep_context_data_write_func(self,
                                       write_func: "Callable[[str, OrtEpContextData], None]") -> None:
        """Kept; no provider has data of its own."""

    @native
    def clear_ep_context_data_write_func(self) -> None:
        """Nothing to clear."""

    @native
    def set_ep_context_binary_information(self, output_directory: "path", model_name: "str") -> None:
        """Kept; no provider has files of its own."""
        if not output_directory or not model_name:
            raise error("InvalidArgument", "Empty output directory or model name")
