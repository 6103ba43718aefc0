// SPDX-License-Identifier: Apache-2.0
// Between rewrite.c and raise.c: nodes in newest form become nodes of one version that ONNX's readers know.
#pragma once

#include "builder/builder.h"

// What passes and inference compute with: the session of the file, or one without. NULL after a failure.
sdx_session *build_session(sdx_builder *b);
// All nodes of a graph in newest form get the version `wanted`, or 0: the lowest from `least` on that can say them.
sdx_status build_settle(sdx_builder *b, int64_t least, int64_t wanted);
