// SPDX-License-Identifier: Apache-2.0
// Exported programs of PyTorch of any bytes: the archive, the graph as JSON, pickled tensors.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("pt2")
