# SPDX-License-Identifier: Apache-2.0
"""PaddlePaddle's inference programs (.json or .pdmodel beside .pdiparams, or their folder) to ONNX, by the user's own
Python with their own paddle2onnx:

    paddle.py MODEL OPSET [KEY VALUE ...]     OPSET 0: what paddle2onnx takes; keys and values of the model's metadata

The model goes to standard output, `error:`, `hint:` and `note:` lines to standard error. Only the
folder for temporary files can be written to, and paddle2onnx writes some into the current one."""
import os
import sys
import tempfile

output = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # whatever else prints


def tell(kind, text):
    print(f"{kind}: {' '.join(str(text).split())}", file=sys.stderr)


def find(path):
    """The program and its weights, "" where they are in it."""
    if os.path.isdir(path):
        names = sorted(os.listdir(path), key=lambda n: (not n.startswith("inference."), n))
        programs = [n for n in names if n.endswith((".json", ".pdmodel")) and
                    (os.path.splitext(n)[0] + ".pdiparams" in names or n.endswith(".pdmodel"))]
        if not programs:
            raise FileNotFoundError("no .json or .pdmodel with its .pdiparams is in the folder")
        path = os.path.join(path, programs[0])
    weights = os.path.splitext(path)[0] + ".pdiparams"
    if not os.path.exists(weights):
        tell("note", f"{os.path.basename(weights)} is not there: a program without weights")
    return path, weights if os.path.exists(weights) else ""


def convert(path, opset):
    import onnx
    import paddle
    import paddle2onnx
    program, weights = find(os.path.abspath(path))
    os.chdir(tempfile.gettempdir())
    newest = int(opset) or 19
    made = paddle2onnx.export(program, weights, None, opset_version=newest, auto_upgrade_opset=not int(opset), verbose=False)
    if not made:
        raise RuntimeError("paddle2onnx could not convert it; its messages are above")
    model = onnx.load_from_string(made)
    onnx.helper.set_model_props(model, {
        "source.format": f"PaddlePaddle {paddle.__version__}, paddle2onnx {paddle2onnx.__version__}",
        **dict(zip(sys.argv[3::2], sys.argv[4::2]))})
    onnx.checker.check_model(model, full_check=True)
    tell("note", f"PaddlePaddle {paddle.__version__} loaded it, paddle2onnx {paddle2onnx.__version__} converted it")
    return model.SerializeToString()


try:
    made = convert(sys.argv[1], sys.argv[2])
except ModuleNotFoundError as e:
    tell("hint", f"{sys.executable} -m pip install {'paddlepaddle' if e.name == 'paddle' else e.name}"
                 f" (--python names another Python)")
    tell("error", f"the Python {sys.executable} has no module '{e.name}', which reading this model needs")
    sys.exit(1)
except Exception as e:  # pylint: disable=broad-exception-caught
    tell("error", f"{type(e).__name__}: {e}")
    sys.exit(1)
output.write(made)
output.close()
