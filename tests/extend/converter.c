// SPDX-License-Identifier: Apache-2.0
// A format of models that all are Relu, of as many columns as the byte behind "EXMP" says.
#include "convert/nodes.h"

static sdx_status convert(conversion *c) {
  SDX_TRY(source_load(c->source, NULL, NULL, c->f));
  str bytes = {c->source->bytes, (size_t)c->source->size};
  if (bytes.size < 5) return convert_fail(c, SDX_INVALID_MODEL, "byte 4", NULL, "the file ends too early");
  size_t columns = (unsigned char)bytes.at[4];
  sdx_ref x = node_rows_input(c, "input", SDX_FLOAT, columns);
  sdx_ref y = sdx_graph_add_node(c->graph, "Relu", "relu", SDX_REFS(x));
  node_rows_output(c, "output", y, SDX_FLOAT, columns);
  return SDX_OK;
}

CONVERT_FORMAT(example) = {
    .name = "example", .title = "Example", .files = "any", .kinds = CONVERT_KINDS("example"), .convert = convert};
