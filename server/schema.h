// SPDX-License-Identifier: Apache-2.0
// JSON Schemas of tensors, in the dialect of OpenAPI 3.0 (`nullable`, no `const`): what descriptions of the server are
// made of. A schema of a request allows what is accepted, one of a response what can come.
#pragma once

#include "base/text.h"
#include "sardonyx/sardonyx.h"

void schema_element(text *o, sdx_dtype dtype, bool request);
// Nested lists of the declared shape below its first `skip` dimensions. Where none is declared a request may have any
// number of dimensions; an element or a flat list is all that a schema can say to be right.
void schema_nested(text *o, const sdx_io *io, size_t skip, bool request);
// One list of as many elements as the shape has; of any length where a dimension is free.
void schema_flat(text *o, const sdx_io *io, bool request);
bool schema_is_fixed(const sdx_io *io);  // no dimension is free
// {"error": "..."}
extern const char schema_error[];
