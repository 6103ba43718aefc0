// SPDX-License-Identifier: Apache-2.0
// scikit-learn: pickles are programs, so the user's own Python reads them (program.h), and skl2onnx converts them.
#include "convert/format.h"

// What was trained on columns of a table has an input for each, or one for all where the columns have one type.
static const char reference[] =
    "def predict(path, inputs):\n"
    "    import joblib, numpy, pandas\n"
    "    model = joblib.load(path)\n"
    "    x = inputs['input'] if list(inputs) == ['input'] else pandas.DataFrame(\n"
    "        {name: numpy.ravel(column) for name, column in inputs.items()})\n"
    "    if not hasattr(model, 'predict'):\n"
    "        return {'variable': model.transform(x)}\n"
    "    if not hasattr(model, 'predict_proba'):\n"
    "        return {'variable': numpy.reshape(model.predict(x), (len(x), -1))}\n"
    "    return {'label': model.predict(x), 'probabilities': model.predict_proba(x)}\n";

CONVERT_FORMAT(sklearn) = {
    .name = "sklearn",
    .title = "scikit-learn",
    .files = "pickle, joblib, skops, by your own Python with skl2onnx (--trust)",
    .kinds = CONVERT_KINDS("pickle", "joblib", "skops"),
    .program = "sklearn.py",
    .reference = reference,
};
