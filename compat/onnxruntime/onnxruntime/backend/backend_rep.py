# SPDX-License-Identifier: Apache-2.0
"""OnnxRuntimeBackendRep: a session that takes inputs by position."""
import numpy as np
from onnx.backend.base import BackendRep

from onnxruntime import RunOptions

_RUN_OPTIONS = frozenset(("log_severity_level", "log_verbosity_level", "logid", "only_execute_path_to_fetches"))


def _set_permitted(options, values, permitted):
    """Sets attributes of options; those that exist and are not permitted are refused, others ignored."""
    for name, value in values.items():
        if name in permitted:
            setattr(options, name, value)
        elif hasattr(options, name):
            raise RuntimeError(f"{type(options).__name__} attribute '{name}' is not permitted via the backend API. "
                               f"Allowed attributes: {', '.join(sorted(permitted))}")


class OnnxRuntimeBackendRep(BackendRep):
    """onnx.backend.base.BackendRep on an InferenceSession."""

    def __init__(self, session):
        self._session = session

    def run(self, inputs, **kwargs):
        """inputs: a list, one for each input, or the only one; kwargs: attributes of RunOptions. Returns a list."""
        options = RunOptions()
        _set_permitted(options, kwargs, _RUN_OPTIONS)
        names = [value.name for value in self._session.get_inputs()]
        if not isinstance(inputs, list):
            if len(names) != 1:
                raise RuntimeError(f"Model expect {len(names)} inputs")
            inputs = [inputs]
        feed = {name: np.asarray(value) if isinstance(value, np.generic) else value
                for name, value in zip(names, inputs)}
        return self._session.run(None, feed, options)
