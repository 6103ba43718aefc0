// SPDX-License-Identifier: Apache-2.0
// `convert` of what is ONNX already: to another opset, to numbers of 16 bits.
#pragma once

#include "cli/args.h"

bool convert_onnx_asked(const args *a);  // options say that the model is ONNX, or is to be changed once it is
int convert_onnx_check(const args *a);   // CLI_OK, or what was printed of options that mean nothing alone
int convert_onnx(const args *a);         // an exit code
