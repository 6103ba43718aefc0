// SPDX-License-Identifier: Apache-2.0
// What the parts of view/ share (view.h).
#pragma once

#include "support/json.h"
#include "view/view.h"

// Adds "layout" and "blocks" to each graph of a model.
sdx_status view_arrange(json_t *model, fault *f);
// Adds "match" to the graphs of both: for each node the one it is in the other, and whether it is the same.
sdx_status view_compare(json_t *model, json_t *other, fault *f);
