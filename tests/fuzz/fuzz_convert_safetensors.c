// SPDX-License-Identifier: Apache-2.0
// safetensors files of any bytes.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("safetensors")
