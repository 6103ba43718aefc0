// SPDX-License-Identifier: Apache-2.0
// `convert --verify`: whether a converted model computes what its own framework does. The framework runs in the user's
// Python (a reference of the format, convert/format.h), sandboxed: it reads, but writes nothing and reaches no network.
#pragma once

#include "cli/args.h"
#include "convert/convert.h"

typedef struct verification {
  const args *a;
  char text[600];  // what came out, for people
} verification;

bool verify_asked(const args *a);
// For convert_options.prove. The proof is JSON: data, rows, versions, and each output with its largest difference.
sdx_status verify_model(verification *v, const char *model, const char *source, const convert_report *r, char **proof,
                        fault *f);
