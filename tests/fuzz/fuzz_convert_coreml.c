// SPDX-License-Identifier: Apache-2.0
// Core ML models of any bytes.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("coreml")
