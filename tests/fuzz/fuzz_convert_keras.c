// SPDX-License-Identifier: Apache-2.0
// Keras models (HDF5, archives) of any bytes.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("keras")
