// SPDX-License-Identifier: Apache-2.0
// LibSVM models of any bytes.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("libsvm")
