// SPDX-License-Identifier: Apache-2.0
// TensorFlow Lite models of any bytes.
#include "tests/fuzz/convert.h"

FUZZ_CONVERT("tflite")
