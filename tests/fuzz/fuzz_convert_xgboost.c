// SPDX-License-Identifier: Apache-2.0
// XGBoost models (JSON, UBJSON, the old binary form) of any bytes.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("xgboost")
