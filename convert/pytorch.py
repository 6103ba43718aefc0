# SPDX-License-Identifier: Apache-2.0
"""TorchScript, whole modules and state dicts of PyTorch to ONNX, run by the user's own Python with their own torch:

    pytorch.py MODEL OPSET SHAPE CLASS [KEY VALUE ...]     OPSET 0: torch's own; keys and values of the model's metadata

SHAPE is that of the inputs, "Nx3x224x224" or "Nx16:int64,Nx16:int64"; what is no number there stays free. CLASS is
"module:Class", for files that hold weights alone; it is called without arguments. The model goes to standard output,
`error:`, `hint:` and `note:` lines to standard error."""
import importlib
import io
import os
import sys
import zipfile

output = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # whatever else prints


class Wrong(Exception):
    """What the user can mend: a message and a hint."""


def tell(kind, text):
    print(f"{kind}: {' '.join(str(text).split())}", file=sys.stderr)


def inputs_of(shape):
    """Example inputs, and the free dimensions of each."""
    import torch
    if not shape:
        raise Wrong("the file does not tell the shapes of its inputs", "--shape Nx3x224x224, or Nx16:int64 for ids; several with commas")
    examples, free = [], {}
    for at, one in enumerate(shape.split(",")):
        sizes, _, kind = one.partition(":")
        dtype = getattr(torch, kind or "float32", None)
        if not isinstance(dtype, torch.dtype):
            raise Wrong(f"there is no type '{kind}'", "--shape Nx16:int64")
        sizes = [s for s in sizes.split("x") if s]
        known = [int(s) if s.isdigit() else 2 for s in sizes]
        free[f"input_{at}"] = {i: s for i, s in enumerate(sizes) if not s.isdigit()}
        examples.append(torch.rand(known).to(dtype) if dtype.is_floating_point else torch.zeros(known, dtype=dtype))
    return tuple(examples), free


def class_of(name):
    if ":" not in name:
        raise Wrong("the file holds weights alone, and no model that they belong to",
                    "--class module:Class names it, run where Python finds the module; it is called without arguments")
    module, _, cls = name.partition(":")
    sys.path.insert(0, os.getcwd())
    found = getattr(importlib.import_module(module), cls, None)
    if found is None:
        raise Wrong(f"the module '{module}' has no class '{cls}'", "--class module:Class")
    return found


def load(path, cls):
    import torch
    if zipfile.is_zipfile(path) and any("/code/" in n for n in zipfile.ZipFile(path).namelist()):
        return torch.jit.load(path, map_location="cpu").eval()
    held = torch.load(path, map_location="cpu", weights_only=False)
    if isinstance(held, torch.nn.Module):
        return held.eval()
    for key in ("state_dict", "model_state_dict", "model"):  # of checkpoints
        if isinstance(held, dict) and isinstance(held.get(key), dict):
            held = held[key]
    model = class_of(cls)()
    model.load_state_dict(held)
    return model.eval()


def convert(path, opset, shape, cls, metadata):
    import torch
    examples, free = inputs_of(shape)
    model, made = load(path, cls), io.BytesIO()
    with torch.no_grad():
        torch.onnx.export(model, examples, made, input_names=list(free), dynamic_axes={k: v for k, v in free.items() if v},
                          opset_version=int(opset) or None, dynamo=False)
    import onnx
    result = onnx.load_from_string(made.getvalue())
    onnx.helper.set_model_props(result, {"source.format": f"PyTorch {torch.__version__}", **metadata})
    tell("note", f"PyTorch {torch.__version__} loaded and exported it")
    return result.SerializeToString()


try:
    result = convert(*sys.argv[1:5], dict(zip(sys.argv[5::2], sys.argv[6::2])))
except ModuleNotFoundError as e:
    tell("hint", f"{sys.executable} -m pip install {e.name} (--python names another Python)")
    tell("error", f"the Python {sys.executable} has no module '{e.name}', which reading this model needs")
    sys.exit(1)
except Wrong as e:
    tell("hint", e.args[1])
    tell("error", e.args[0])
    sys.exit(1)
except Exception as e:  # pylint: disable=broad-exception-caught
    tell("error", f"{type(e).__name__}: {e}")
    sys.exit(1)
output.write(result)
output.close()
