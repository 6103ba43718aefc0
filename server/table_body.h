// SPDX-License-Identifier: Apache-2.0
// Bodies that hold rows, as other servers take them, to inputs. TensorFlow Serving: {"instances": [row, ...]} with a
// row a tensor or an object of named ones, or {"inputs": ...}, whole tensors. MLflow: the same, and {"dataframe_split":
// {"columns", "data"}}, {"dataframe_records": [{column: value}, ...]}: columns are inputs by their name, or, where the
// model has one input, its features. They are written anew as a body of /score and read as one.
#pragma once

#include "base/json.h"
#include "sardonyx/sardonyx.h"

// `by_rows`: the request has rows, so should the answer. Else as score_body_read.
bool table_body_read(json *j, const sdx_session *session, sdx_value **inputs, bool *by_rows);
