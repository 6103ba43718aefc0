# SPDX-License-Identifier: Apache-2.0
"""scikit-learn models (pickle, joblib, skops) to ONNX, run by the user's own Python with their own skl2onnx:

    sklearn.py MODEL OPSET [KEY VALUE ...]     OPSET 0: the newest; keys and values of the model's metadata

The model goes to standard output, `error:`, `hint:` and `note:` lines to standard error. Columns of strings are found
by what was learnt from them: categories, words, most frequent values."""
import os
import sys

output = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # whatever else prints


def tell(kind, text):
    print(f"{kind}: {' '.join(str(text).split())}", file=sys.stderr)


def load(path):
    with open(path, "rb") as file:
        head = file.read(4)
    if head == b"PK\3\4":
        import skops.io
        return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    import joblib
    return joblib.load(path)


# ---- inputs -------------------------------------------------------------------------------------------

def strings_in(values):
    return any(isinstance(v, str) for v in values)


def string_columns(model, names, count):
    """Of each column whether the model takes strings there."""
    found = [False] * count
    if hasattr(model, "transformers_"):  # ColumnTransformer
        for _, part, columns in model.transformers_:
            if isinstance(part, str):
                continue
            places = resolve(columns, names, count)
            for place, is_string in zip(places, string_columns(part, [names[p] for p in places], len(places))):
                found[place] = found[place] or is_string
    elif hasattr(model, "steps"):  # Pipeline
        for _, part in model.steps:
            if part is not None and not isinstance(part, str):
                return string_columns(part, names, count)
    elif hasattr(model, "transformer_list"):  # FeatureUnion
        for _, part in model.transformer_list:
            if not isinstance(part, str):
                found = [a or b for a, b in zip(found, string_columns(part, names, count))]
    elif hasattr(model, "categories_"):
        found = [strings_in(c) for c in model.categories_]
    elif hasattr(model, "vocabulary_"):
        found = [True] * count
    elif hasattr(model, "statistics_"):  # SimpleImputer
        found = [strings_in([s]) for s in model.statistics_]
    return found


def resolve(columns, names, count):
    """Places of a ColumnTransformer's columns: names, numbers, a slice or a mask."""
    if callable(columns):
        return []
    if isinstance(columns, slice):
        bounds = [names.index(b) if isinstance(b, str) else b for b in (columns.start, columns.stop)]
        if isinstance(columns.stop, str):
            bounds[1] += 1  # names include their end
        return list(range(count))[slice(*bounds, columns.step)]
    columns = [columns] if isinstance(columns, (str, int)) else list(columns)
    if columns and all(isinstance(c, bool) or type(c).__name__ in ("bool", "bool_") for c in columns):
        return [i for i, c in enumerate(columns) if c]
    return [names.index(c) if isinstance(c, str) else int(c) % count for c in columns]


def uses_names(model):
    """Whether columns are picked by name somewhere."""
    if hasattr(model, "transformers_"):
        return any(isinstance(c, str) or (not isinstance(c, (slice, int)) and strings_in(c))
                   for _, _, c in model.transformers_)
    return any(uses_names(part) for _, part in getattr(model, "steps", [])[:1])


def feature_count(model):
    while not hasattr(model, "n_features_in_") and hasattr(model, "steps"):
        model = model.steps[0][1]
    return getattr(model, "n_features_in_", 1)


def inputs_of(model):
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    count = feature_count(model)
    names = [str(n) for n in getattr(model, "feature_names_in_", [f"input_{i}" for i in range(count)])]
    strings = string_columns(model, names, count)
    if uses_names(model) or (any(strings) and not all(strings)):
        return [(n, (StringTensorType if s else FloatTensorType)([None, 1])) for n, s in zip(names, strings)], names
    return [("input", (StringTensorType if any(strings) else FloatTensorType)([None, count]))], names


# ---- the model ----------------------------------------------------------------------------------------

def convert(model, opset):
    import onnx
    import sklearn
    import skl2onnx
    if not hasattr(model, "predict") and not hasattr(model, "transform"):
        raise TypeError(f"the file holds an object of type {type(model).__name__}, which is no model of scikit-learn")
    inputs, names = inputs_of(model)
    options = {id(model): {"zipmap": False}} if sklearn.base.is_classifier(model) else None
    result = skl2onnx.convert_sklearn(model, type(model).__name__, inputs, options=options,
                                      target_opset=int(opset) or None)
    onnx.helper.set_model_props(result, {
        "source.format": f"scikit-learn {sklearn.__version__}, skl2onnx {skl2onnx.__version__}",
        "feature_names": __import__("json").dumps(names), **dict(zip(sys.argv[3::2], sys.argv[4::2]))})
    onnx.checker.check_model(result, full_check=True)
    tell("note", f"scikit-learn {sklearn.__version__} loaded it, skl2onnx {skl2onnx.__version__} converted it")
    return result


try:
    made = convert(load(sys.argv[1]), sys.argv[2]).SerializeToString()
except ModuleNotFoundError as e:
    tell("hint", f"{sys.executable} -m pip install {'scikit-learn' if e.name == 'sklearn' else e.name}"
                 f" (--python names another Python)")
    tell("error", f"the Python {sys.executable} has no module '{e.name}', which reading this model needs")
    sys.exit(1)
except Exception as e:  # pylint: disable=broad-exception-caught
    tell("error", f"{type(e).__name__}: {e}")
    sys.exit(1)
output.write(made)
output.close()
