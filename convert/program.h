// SPDX-License-Identifier: Apache-2.0
// Sources that only a program of their own can read: a Python program of ours (convert/*.py), run by the user's own
// Python, loads the file, which may run code, and writes the ONNX model. It runs in a sandbox: it reads, but writes
// nothing and reaches no network.
#pragma once

#include "convert/format.h"

// The model as bytes, to be freed. Its notes and problems are in the report.
sdx_status program_convert(conversion *c, const char *path, char **model, size_t *size);
