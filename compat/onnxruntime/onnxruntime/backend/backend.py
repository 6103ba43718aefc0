# SPDX-License-Identifier: Apache-2.0
"""OnnxRuntimeBackend: prepares models of the onnx package, files and bytes. Read next: backend_rep.py."""
import os
import unittest

from onnx import helper
from onnx.backend.base import Backend
from onnx.checker import check_model

from onnxruntime import InferenceSession, SessionOptions, get_available_providers, get_device
from onnxruntime.backend.backend_rep import OnnxRuntimeBackendRep, _set_permitted

# What a caller of this interface may set; the rest writes files.
_SESSION_OPTIONS = frozenset((
    "enable_cpu_mem_arena", "enable_mem_pattern", "enable_mem_reuse", "execution_mode", "execution_order",
    "graph_optimization_level", "inter_op_num_threads", "intra_op_num_threads", "log_severity_level",
    "log_verbosity_level", "logid", "use_deterministic_compute", "use_per_session_threads"))


class OnnxRuntimeBackend(Backend):
    """onnx.backend.base.Backend on InferenceSession."""

    allowReleasedOpsetsOnly = os.getenv("ALLOW_RELEASED_ONNX_OPSET_ONLY", "1") == "1"

    @classmethod
    def is_compatible(cls, model, device=None, **kwargs):
        """Whether the device is there; models are not looked at."""
        return cls.supports_device(get_device() if device is None else device)

    @classmethod
    def is_opset_supported(cls, model):
        """(whether all opsets of a model are released ones, or why not)"""
        for opset in model.opset_import if cls.allowReleasedOpsetsOnly else ():
            domain = opset.domain or "ai.onnx"
            if (domain, opset.version) not in helper.OP_SET_ID_VERSION_MAP:
                return False, ("Skipping this test as only released onnx opsets are supported."
                               "To run this test set env variable ALLOW_RELEASED_ONNX_OPSET_ONLY to 0."
                               f" Got Domain '{domain}' version '{opset.version}'.")
        return True, ""

    @classmethod
    def supports_device(cls, device):
        """Whether it computes on a device: "CPU"."""
        return device == get_device()

    @classmethod
    def prepare(cls, model, device=None, **kwargs):
        """model: ModelProto, bytes, name of a file, InferenceSession; kwargs: attributes of SessionOptions. Returns an
        OnnxRuntimeBackendRep."""
        if isinstance(model, OnnxRuntimeBackendRep):
            return model
        if isinstance(model, InferenceSession):
            return OnnxRuntimeBackendRep(model)
        if not isinstance(model, (str, bytes)):
            serialized = model.SerializeToString()
            check_model(serialized)
            supported, reason = cls.is_opset_supported(model)
            if not supported:
                raise unittest.SkipTest(reason)
            return cls.prepare(serialized, device, **kwargs)
        options = SessionOptions()
        options.add_session_config_entry("session.allow_released_opsets_only", str(int(cls.allowReleasedOpsetsOnly)))
        _set_permitted(options, kwargs, _SESSION_OPTIONS)
        excluded = os.getenv("ORT_ONNX_BACKEND_EXCLUDE_PROVIDERS", default="").split(",")
        providers = [name for name in get_available_providers() if name not in excluded]
        session = InferenceSession(model, sess_options=options, providers=providers)
        session.disable_fallback()
        if device is not None and not cls.supports_device(device):
            raise RuntimeError(f"Incompatible device expected '{device}', got '{get_device()}'")
        return OnnxRuntimeBackendRep(session)

    @classmethod
    def run_model(cls, model, inputs, device=None, **kwargs):
        """The outputs of a model; see prepare and OnnxRuntimeBackendRep.run."""
        return cls.prepare(model, device, **kwargs).run(inputs, **kwargs)

    @classmethod
    def run_node(cls, node, inputs, device=None, outputs_info=None, **kwargs):
        """Refused: models are run."""
        raise NotImplementedError("It is much more efficient to run a whole model than every node independently.")


is_compatible = OnnxRuntimeBackend.is_compatible
prepare = OnnxRuntimeBackend.prepare
run = OnnxRuntimeBackend.run_model
supports_device = OnnxRuntimeBackend.supports_device
