# SPDX-License-Identifier: Apache-2.0
"""Options of a session that a model carries itself: JSON in its metadata under `ort_config`. They count when the
environment variable ORT_LOAD_CONFIG_FROM_MODEL is 1, and then in place of the caller's. Read next: _options.py."""
import json

from ._enums import ExecutionMode, GraphOptimizationLevel
from ._options import SessionOptions

KEY = "ort_config"
_REFUSED = "Could not finalize session options while constructing the inference session. Error Message: "


def _member(of, name, value):
    if value not in [int(member) for member in of.__members__.values()]:
        raise RuntimeError(f"{_REFUSED}Unsupported {name} value in ORT config: {value}")
    return of(value)


def _switch(name, value):
    if value not in (0, 1):
        raise RuntimeError(f"{_REFUSED}Unsupported value for {name} option: {value}")
    return bool(value)


_READERS = {
    "intra_op_num_threads": lambda name, value: value, "inter_op_num_threads": lambda name, value: value,
    "execution_mode": lambda name, value: _member(ExecutionMode, name, value),
    "graph_optimization_level": lambda name, value: _member(GraphOptimizationLevel, name, value),
    "enable_profiling": _switch,
}


def options_of(text):
    """SessionOptions of the JSON, or None where it has none."""
    try:
        config = json.loads(text)
    except ValueError as failure:
        raise RuntimeError(f"{_REFUSED}Json stored in the `{KEY}` key cannot be parsed. Error message: "
                           f"{failure}") from None
    given = config.get("session_options") if isinstance(config, dict) else None
    if not isinstance(given, dict):
        return None
    options = SessionOptions()
    for name, value in given.items():
        if name not in _READERS:
            continue
        if type(value) is not int:
            raise RuntimeError(f"{_REFUSED}{name} option in the model file must be an integer")
        setattr(options, name, _READERS[name](name, value))
    return options
