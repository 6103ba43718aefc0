// SPDX-License-Identifier: Apache-2.0
// LightGBM models (text, dump_model's JSON) of any bytes.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("lightgbm")
