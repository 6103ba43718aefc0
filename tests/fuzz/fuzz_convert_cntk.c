// SPDX-License-Identifier: Apache-2.0
// CNTK models of any bytes.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("cntk")
