// SPDX-License-Identifier: Apache-2.0
// Caffe nets of any bytes: text and binary.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("caffe")
