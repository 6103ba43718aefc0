// SPDX-License-Identifier: Apache-2.0
// The body of POST /score, for the route and for whoever is handed such a file: {"data": nested list} for a model with
// one input, {"data": {"x": ..., "y": ...}} or {"x": ..., "y": ...} for any. A nested list may lack leading dimensions
// of 1, or be flat.
#pragma once

#include "base/json.h"
#include "sardonyx/sardonyx.h"

// Sets inputs[i] for each of sdx_session_feed_count that the body has; what was set stays the caller's also on failure
// (see j->message).
bool score_body_read(json *j, const sdx_session *session, sdx_value **inputs);
