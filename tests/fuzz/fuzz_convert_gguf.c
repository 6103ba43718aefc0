// SPDX-License-Identifier: Apache-2.0
// GGUF files of any bytes.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("gguf")
