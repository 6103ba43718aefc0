# SPDX-License-Identifier: Apache-2.0
"""SessionIOBinding: inputs that stay bound from run to run, outputs in memory of the caller's.
Read next: _session.py."""
import numpy as np
from sardonyx._phrases import phrase

from ._errors import CLASSES, words_of
from ._native import exported, native, variant
from ._session import InferenceSession
from ._values import OrtValue, OrtValueVector, array_at, element_type_of, of_number


def _dtype(given):
    """(numpy type, ONNX's name) of a numpy type or a number of ONNX's."""
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        name, dtype = of_number(int(given))
        return dtype, name
    dtype = np.dtype(given)
    if dtype.kind in "OUS":
        raise RuntimeError("Only binding non-string Tensors is currently supported")
    return dtype, element_type_of(np.empty(0, dtype))


def _at(element_type, shape, address):
    dtype, name = _dtype(element_type)
    return OrtValue._of(array_at(address, dtype, tuple(shape)), f"tensor({name})")


@exported
class SessionIOBinding:
    """Values bound to the inputs and outputs of a session."""

    __slots__ = ("_session", "_inputs", "_outputs", "_results", "__weakref__")

    def __init__(self, arg0: "InferenceSession") -> None:
        self._session, self._inputs, self._outputs, self._results = arg0, {}, {}, OrtValueVector()

    __init__ = native(__init__)

    def _bind_array(self, arg0: "str", arg1: "object") -> None:
        if arg0 not in self._session._types:
            raise RuntimeError(f"Failed to find NodeArg with name: {arg0} in the def list")
        if not isinstance(arg1, np.ndarray):
            raise RuntimeError("Unable to create OrtValue from the given python object")
        self._inputs[arg0] = OrtValue._of(arg1, f"tensor({element_type_of(arg1)})")

    def _bind_memory(self, arg0: "str", arg1: "OrtDevice", arg2: "object", arg3: "Sequence[size]",
                     arg4: "size") -> None:
        self.bind_ortvalue_input(arg0, _at(arg2, arg3, arg4))

    bind_input = native(_bind_array, variant(_bind_memory, arg2="int"), _bind_memory)

    @native
    def bind_ortvalue_input(self, arg0: "str", arg1: "OrtValue") -> None:
        """The value of an input."""
        if arg0 not in self._session._types:
            raise RuntimeError(f"Error when binding input: Failed to find input name in the mapping: {arg0}")
        self._inputs[arg0] = arg1

    def _bind_output_memory(self, arg0: "str", arg1: "OrtDevice", arg2: "object", arg3: "Sequence[size]",
                            arg4: "size") -> None:
        self.bind_ortvalue_output(arg0, _at(arg2, arg3, arg4))

    def _bind_output_device(self, arg0: "str", arg1: "OrtDevice") -> None:
        self._outputs[arg0] = None

    bind_output = native(variant(_bind_output_memory, arg2="int"), _bind_output_memory, _bind_output_device)

    @native
    def bind_ortvalue_output(self, arg0: "str", arg1: "OrtValue") -> None:
        """The value that an output is written into."""
        self._outputs[arg0] = arg1

    @native
    def synchronize_inputs(self) -> None:
        """Nothing to wait for."""

    @native
    def synchronize_outputs(self) -> None:
        """Nothing to wait for."""

    @native
    def clear_binding_inputs(self) -> None:
        """Lets go of the inputs."""
        self._inputs.clear()

    @native
    def clear_binding_outputs(self) -> None:
        """Lets go of the outputs."""
        self._outputs.clear()
        self._results = OrtValueVector()

    @native
    def get_outputs(self) -> "OrtValueVector":
        """Results of the last run, in the order in which the outputs were bound."""
        return self._results

    @native
    def copy_outputs_to_cpu(self) -> "list":
        """Results of the last run as arrays."""
        return [value._data for value in self._results]

    def _execute(self, options):
        try:
            self._results = self._finish(self._run(options))
        except (RuntimeError, *CLASSES.values()) as failure:
            raise RuntimeError(f"Error in execution: {words_of(failure)}") from None

    def _run(self, options):
        """Results of the outputs that are bound; refuses what the real module does, in its order."""
        session, names = self._session, list(self._outputs)
        missing = [name for name in session._types if name not in self._inputs]
        unknown = [name for name in names if name not in session._output_names]
        if unknown:
            raise RuntimeError(phrase("unknown-output", output=f" {unknown[0]}"))
        if names and missing:
            raise RuntimeError(f"Missing Input: {missing[0]}")
        results = [] if missing else session._values(names or session._output_names, self._inputs, options)
        if not names:
            raise RuntimeError("At least one output should be requested.")
        return results

    def _finish(self, results):
        """Writes results into the memory bound for them."""
        finished = OrtValueVector()
        for (name, target), result in zip(self._outputs.items(), results):
            if target is not None and target.is_tensor():
                self._check_target(name, target, result)
                np.copyto(target._data, result._data)
                result = target
            finished.push_back(result)
        return finished

    @staticmethod
    def _check_target(name, target, result):
        if target.data_type() != result.data_type():
            raise RuntimeError(f"Unexpected output data type. Actual: ({target.data_type()}) , expected: "
                               f"({result.data_type()})")
        if target.shape() != result.shape():
            raise RuntimeError(f"the memory bound to output '{name}' has shape {target.shape()}, its result "
                               f"{result.shape()}")
