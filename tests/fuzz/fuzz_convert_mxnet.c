// SPDX-License-Identifier: Apache-2.0
// MXNet symbols and files of arrays of any bytes.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("mxnet")
