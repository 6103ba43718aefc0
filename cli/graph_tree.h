// SPDX-License-Identifier: Apache-2.0
// A graph as a tree for the terminal: bodies below the nodes that hold them; what repeats is told once.
#pragma once

#include <jansson.h>

// `graphs`: as sdx_session_describe "graph" lists them.
void graph_tree_print(const json_t *graphs);
