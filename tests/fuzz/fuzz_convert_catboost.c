// SPDX-License-Identifier: Apache-2.0
// CatBoost models (binary, JSON) of any bytes.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("catboost")
