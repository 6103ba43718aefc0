// SPDX-License-Identifier: Apache-2.0
// TensorFlow graphs of any bytes.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("tensorflow")
