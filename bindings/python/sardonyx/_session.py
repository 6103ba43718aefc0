# SPDX-License-Identifier: Apache-2.0
"""InferenceSession and what it tells about a model. `run` itself lives in _engine.c."""

import json
import os
import threading
import time
import warnings
from collections.abc import Sequence

from . import _engine
from ._options import SessionOptions

_PROVIDERS = ("CPUExecutionProvider",)


class NodeArg:
    """An input or output of a model.

    name: str. type: ONNX notation, "tensor(float)" or "seq(map(int64,tensor(float)))".
    shape: list with one entry per dimension: int if fixed, str if named, None if unknown; [] for
    scalars and for values of unknown rank.
    """

    __slots__ = ("name", "type", "shape")

    def __init__(self, name, type, shape):
        self.name, self.type, self.shape = name, type, shape

    def __str__(self):
        return f"NodeArg(name='{self.name}', type='{self.type}', shape={self.shape})"

    __repr__ = __str__


class ModelMetadata:
    """What a model says about itself: producer_name, graph_name, domain, description and
    graph_description are str, version is int, custom_metadata_map is {str: str}."""

    def __init__(self, session):
        def text(key):
            return session._metadata(key) or ""

        self.producer_name = text("producer_name")
        self.graph_name = text("graph_name")
        self.domain = text("domain")
        self.description = text("description")
        self.graph_description = text("graph_description")
        self.version = int(text("model_version") or 0)
        self.custom_metadata_map = session._custom_metadata()


def _check_providers(providers, provider_options):
    """The usable names out of what the caller asked for; unknown ones give a warning."""
    if providers is None:
        if provider_options is not None:
            raise ValueError("'provider_options' needs 'providers'.")
        return list(_PROVIDERS)
    if not isinstance(providers, Sequence) or isinstance(providers, str):
        raise ValueError("'providers' should be a sequence.")
    if provider_options is not None:
        if not isinstance(provider_options, Sequence):
            raise ValueError("'provider_options' should be a sequence.")
        if len(providers) != len(provider_options):
            raise ValueError("'providers' and 'provider_options' should be the same length if both are given.")
        if not all(isinstance(name, str) for name in providers):
            raise ValueError("Only string values for 'providers' are supported if 'provider_options' is given.")
        if not all(isinstance(options, dict) for options in provider_options):
            raise ValueError("'provider_options' values must be dicts.")
    names = []
    for entry in providers:
        pair = isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str) and isinstance(entry[1], dict)
        if not isinstance(entry, str) and not pair:
            raise ValueError("'providers' values must be either strings or (string, dict) tuples.")
        name = entry if isinstance(entry, str) else entry[0]
        if name in names:
            warnings.warn(f"Duplicate provider '{name}' encountered, ignoring.", stacklevel=3)
        elif name not in _PROVIDERS:
            warnings.warn(f"Specified provider '{name}' is not in available provider names. "
                          f"Available providers: '{', '.join(_PROVIDERS)}'", stacklevel=3)
        else:
            names.append(name)
    return names or list(_PROVIDERS)


class InferenceSession(_engine.Session):
    """A loaded model; threads may share one.

    path_or_bytes: path of a .onnx file (str or os.PathLike) or its content (bytes).
    sess_options: SessionOptions or None.
    providers: sequence of names or (name, dict); provider_options: dicts parallel to names.
    disabled_optimizers: names of graph passes to leave out.

    Raises NoSuchFile, InvalidProtobuf (not an ONNX file), InvalidGraph (breaks a rule of ONNX; the
    message names the node), NotImplemented (an operator this build lacks), InvalidArgument, Fail
    (a limit), TypeError.
    """

    def __init__(self, path_or_bytes, sess_options=None, providers=None, provider_options=None, **kwargs):
        if isinstance(path_or_bytes, (bytearray, memoryview)):
            path_or_bytes = bytes(path_or_bytes)
        if not isinstance(path_or_bytes, (str, bytes, os.PathLike)):
            raise TypeError(f"Unable to load from type '{type(path_or_bytes)}'")
        if sess_options is not None and not isinstance(sess_options, SessionOptions):
            raise TypeError(f"sess_options is {type(sess_options)}, expected SessionOptions")
        self._providers = _check_providers(providers, provider_options)
        self._options = sess_options or SessionOptions()
        super().__init__(path_or_bytes, *self._options._translate(tuple(kwargs.get("disabled_optimizers") or ())))
        self._started_ns = time.time_ns()
        if self._options.optimized_model_filepath:
            warnings.warn("optimized_model_filepath is ignored: no optimised model is written", stacklevel=2)
        text = self._warnings()
        if text:
            self.on_warning(text.strip(), stacklevel=3)

    def on_warning(self, text, stacklevel=2):
        """Called with what a load warns of, one a line, and with the first thing that a run does: gives a UserWarning.
        A subclass may do otherwise."""
        warnings.warn(text, stacklevel=stacklevel)

    def get_inputs(self):
        """Inputs a run needs: a list of NodeArg."""
        return [NodeArg(*io) for io in self._inputs()]

    def get_outputs(self):
        """Outputs of the model: a list of NodeArg."""
        return [NodeArg(*io) for io in self._outputs()]

    def get_overridable_initializers(self):
        """Initializers that a run may feed another value for: a list of NodeArg. The model lists them as inputs (files of
        IR version 4 and later), or the option overridable_initializers names them."""
        return [NodeArg(*io) for io in self._defaults()]

    def get_modelmeta(self):
        """ModelMetadata."""
        return ModelMetadata(self)

    def get_session_options(self):
        """The SessionOptions the session was loaded with."""
        return self._options

    def get_providers(self):
        """Names of the providers in use, a list of str."""
        return list(self._providers)

    def get_provider_options(self):
        """{provider name: {}}"""
        return {name: {} for name in self._providers}

    def set_providers(self, providers=None, provider_options=None):
        """Checks the names; there is one provider, so nothing changes."""
        self._providers = _check_providers(providers, provider_options)

    def enable_fallback(self):
        """Nothing to fall back to; accepted for compatibility."""

    def disable_fallback(self):
        """Nothing to fall back to; accepted for compatibility."""

    def run_async(self, output_names, input_feed, callback, user_data, run_options=None):
        """Like run, on another thread; then callback(results, user_data, err): results is the list of
        run, or None with err the message of the failure ("" if there was none)."""

        def work():
            try:
                results, err = self.run(output_names, input_feed, run_options), ""
            except Exception as failure:  # handed to the caller, whatever it is
                results, err = None, str(failure)
            callback(results, user_data, err)

        threading.Thread(target=work, daemon=True).start()

    def describe(self, what="summary"):
        """The engine's description as a dict: "summary", "graph", "plan" (steps, kernels, offsets) or
        "memory" (sizes in bytes)."""
        text = self._describe(what)
        if text is None:
            raise ValueError(f"describe: unknown part '{what}'; expected summary, graph, plan or memory")
        return json.loads(text)

    def get_profiling_start_time_ns(self):
        """When the session was made, nanoseconds since the epoch."""
        return self._started_ns

    def profile(self):
        """The Chrome trace of the runs so far, a dict; without SessionOptions.enable_profiling it has no events."""
        return json.loads(self._profile() or '{"traceEvents": []}')

    def end_profiling(self):
        """Writes the Chrome trace of the runs so far to a file and returns its name, a str ("" if
        SessionOptions.enable_profiling was not set)."""
        if not self._options.enable_profiling:
            return ""
        name = f"{self._options.profile_file_prefix}{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
        with open(name, "w", encoding="utf-8") as file:
            file.write(self._profile() or "[]")
        return name


def check_model(path_or_bytes):
    """Every problem of a model at once: a list of dicts with severity ("error" or "warning"), code,
    place, message and hint, all str. An empty list means the model is fine."""
    return json.loads(_engine.check(path_or_bytes) or "[]")
