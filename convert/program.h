// SPDX-License-Identifier: Apache-2.0
// Sources that only a program of their own can read: a Python program of ours (convert/*.py), run by the user's own
// Python, loads the file, which may run code, and writes the ONNX model. It runs in a sandbox: it reads, but writes
// nothing beside a temporary folder of its own and reaches no network.
#pragma once

#include "convert/format.h"
#include "support/process.h"

// The model as bytes, to be freed. Its notes and problems are in the report.
sdx_status program_convert(conversion *c, const char *path, char **model, size_t *size);

// Runs Python text so, with arguments ended by NULL behind it; `python` NULL: python3. A failure is that it cannot be
// started, takes longer than half an hour or says more than 2 GB; else see o->code.
sdx_status program_run(const char *python, const char *text, const char *const *arguments, const void *input,
                       size_t size, process_output *o, fault *f);
