// SPDX-License-Identifier: Apache-2.0
// Operators of ai.onnx on tensors whose channels come last, as other domains have them: the ordinary operator between
// Transposes, which vanish where plans choose channels-last.
#pragma once

#include "ops/record.h"

// The node becomes `op_type` of `domain`, of the given version (0: the newest), between Transposes: of the inputs whose
// bits are set in `moved`, and of the output. To be returned by `upgrade`.
sdx_status rewrite_channels_last(op_upgrade *u, const char *domain, const char *op_type, int version, unsigned moved);
