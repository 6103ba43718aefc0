# SPDX-License-Identifier: Apache-2.0
"""AdapterFormat and ModelCompiler, the classes around files that Sardonyx has no use for. They are names of
onnxruntime_inference_collection."""
from __future__ import annotations

import os
from collections.abc import Callable

from onnxruntime.capi import _pybind_state as C

GetInitializerLocationFunc = Callable[[str, object, "C.OrtExternalInitializerInfo | None"],
                                      "C.OrtExternalInitializerInfo | None"]


class AdapterFormat:
    """The file of an adapter: kept as parameters, neither read nor written (see C.AdapterFormat)."""

    def __init__(self, adapter=None) -> None:
        self._adapter = C.AdapterFormat() if adapter is None else adapter

    @staticmethod
    def read_adapter(file_path: os.PathLike) -> AdapterFormat:
        return AdapterFormat(C.AdapterFormat.read_adapter(file_path))

    def export_adapter(self, file_path: os.PathLike):
        self._adapter.export_adapter(file_path)

    def get_format_version(self) -> int:
        return self._adapter.format_version

    def set_adapter_version(self, adapter_version: int) -> None:
        self._adapter.adapter_version = adapter_version

    def get_adapter_version(self) -> int:
        return self._adapter.adapter_version

    def set_model_version(self, model_version: int) -> None:
        self._adapter.model_version = model_version

    def get_model_version(self) -> int:
        return self._adapter.model_version

    def set_parameters(self, params: dict[str, OrtValue]) -> None:
        self._adapter.parameters = {name: value._ortvalue for name, value in params.items()}

    def get_parameters(self) -> dict[str, OrtValue]:
        from onnxruntime import OrtValue
        return {name: OrtValue(value) for name, value in self._adapter.parameters.items()}


class ModelCompiler:
    """Writes a model as it is after optimisation. (The real one compiles parts of it for other devices.)"""

    def __init__(
        self,
        sess_options: C.SessionOptions,
        input_model_path_or_bytes: str | os.PathLike | bytes,
        embed_compiled_data_into_model: bool = False,
        external_initializers_file_path: str | os.PathLike | None = None,
        external_initializers_size_threshold: int = 1024,
        flags: int = C.OrtCompileApiFlags.NONE,
        graph_optimization_level: C.GraphOptimizationLevel = C.GraphOptimizationLevel.ORT_DISABLE_ALL,
        get_initializer_location_func: GetInitializerLocationFunc | None = None,
    ):
        if not isinstance(input_model_path_or_bytes, (str, os.PathLike, bytes)):
            raise TypeError(f"Unable to load from type '{type(input_model_path_or_bytes)}'")
        is_bytes = isinstance(input_model_path_or_bytes, bytes)
        if not input_model_path_or_bytes:
            raise ValueError("Input model bytes array is empty" if is_bytes else "Input model path is empty")
        external = external_initializers_file_path or ""
        if not isinstance(external, (str, os.PathLike)):
            raise TypeError(f"Output external initializer filepath is of unexpected type '{type(external)}'")
        if external and get_initializer_location_func is not None:
            raise ValueError("Cannot initialize ModelCompiler with both `external_initializers_file_path` and "
                             "`get_initializer_location_func`")
        self._model_compiler = C.ModelCompiler(
            sess_options, input_model_path_or_bytes if is_bytes else os.fspath(input_model_path_or_bytes),
            not is_bytes, embed_compiled_data_into_model, os.fspath(external), external_initializers_size_threshold,
            int(flags), graph_optimization_level, get_initializer_location_func)

    def compile_to_file(self, output_model_path: str | None = None):
        """Writes a file; without a name model_ctx.onnx beside model.onnx."""
        if output_model_path and not isinstance(output_model_path, (str, os.PathLike)):
            raise TypeError(f"Output model's filepath is of unexpected type '{type(output_model_path)}'")
        self._model_compiler.compile_to_file(os.fspath(output_model_path) if output_model_path else None)

    def set_ep_context_data_write_func(self, write_func: Callable[[str, C.OrtEpContextData], None]) -> None:
        """Kept; no provider has data of its own."""
        self._model_compiler.set_ep_context_data_write_func(write_func)

    def clear_ep_context_data_write_func(self) -> None:
        """Nothing to clear."""
        self._model_compiler.clear_ep_context_data_write_func()

    def set_ep_context_binary_information(self, output_directory: str | os.PathLike, model_name: str) -> None:
        """Kept; no provider has files of its own."""
        self._model_compiler.set_ep_context_binary_information(os.fspath(output_directory), model_name)

    def compile_to_bytes(self) -> bytes:
        """The bytes that compile_to_file would write."""
        return self._model_compiler.compile_to_bytes()

    def compile_to_stream(self, write_function: Callable[[bytes], None]):
        """Gives those bytes to a function."""
        self._model_compiler.compile_to_stream(write_function)
