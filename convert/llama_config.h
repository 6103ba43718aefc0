// SPDX-License-Identifier: Apache-2.0
// A decoder's numbers from the config.json that the transformers library writes.
#pragma once

#include "convert/llama.h"

// Fills all but c and weights. What is not known is refused by name.
sdx_status llama_configure(llama *l, str config);
